import Basics
import Synchronization

/// An HTTP/1.1 client of one server, with a pool of connections that live on between requests.
public final class HTTPTransport: UpgradingTransport {
    public struct Limits: Sendable {
        /// Connections in use and idle together; a request that finds none free waits in line.
        public var connections = 1024
        public var waiting = 4096
        /// Idle connections kept for the next request: as many as a burst uses, for a handshake costs more than most
        /// requests. The surplus goes with the first request after `idleTime`.
        public var idle = 256
        /// Well below any server's own idle time, so that a pooled connection is rarely a dead one.
        public var idleTime: Duration = .seconds(20)
        public var connectTime: Duration = .seconds(10)
        /// Until the response's head is there; nil waits for ever.
        public var headTime: Duration? = .seconds(90)
        public var message = HTTPLimits()

        public init() {}
    }

    public struct TimedOut: Error, CustomStringConvertible {
        public let what: String
        public var description: String { "\(what) took too long" }
    }

    private let endpoint: Endpoint
    private let host: String
    private let serverName: String
    private let tls: TLSClientContext?
    private let network: any Network
    private let clock: any WorldClock
    private let limits: Limits
    private let pool: HTTPPool

    /// - host: the `Host` field, such as `10.96.0.1:443`.
    /// - serverName: what the server's certificate must carry; the host without its port where not given.
    public init(
        _ endpoint: Endpoint, host: String, tls: TLSClientContext? = nil, serverName: String? = nil,
        network: any Network, clock: any WorldClock, limits: Limits = Limits()
    ) {
        self.endpoint = endpoint
        self.host = host
        self.serverName = serverName ?? Self.withoutPort(host)
        self.tls = tls
        self.network = network
        self.clock = clock
        self.limits = limits
        pool = HTTPPool(limits)
    }

    /// For messages: a network that knows a server by its name alone is given the endpoint of no machine.
    private var title: String {
        if case .ip(.any, _) = endpoint { return host }
        return endpoint.description
    }

    private static func withoutPort(_ host: String) -> String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        let parts = host.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[0]) : host
    }

    /// Closes the idle connections. Those in use end with their responses.
    public func closeIdle() { pool.closeIdle() }

    public func send(_ request: Request) async throws -> any ResponseStream {
        let (head, connection) = try await exchange(request)
        return HTTPResponseStream(head, connection, pool)
    }

    public func upgrade(_ request: Request) async throws -> Upgrade {
        let (head, connection) = try await exchange(request)
        guard head.status == 101 else { return .refused(HTTPResponseStream(head, connection, pool)) }
        pool.forget(connection)
        let early = connection.parser.withLock { $0.takeRest() }
        return .switched(head.headers, PrefixedConnection(early, before: connection.stream))
    }

    private func exchange(_ request: Request) async throws -> (HTTPHead, PooledConnection) {
        let repeatable = ["GET", "HEAD", "OPTIONS"].contains(request.method)
        var fresh = false
        while true {
            let connection = try await checkOut(fresh: fresh)
            do {
                return (try await ask(request, connection), connection)
            } catch {
                pool.discard(connection)
                // The server may have closed an idle connection just as we took it. Once is an accident.
                guard connection.isReused, repeatable, !fresh, !Task.isCancelled, !(error is TimedOut) else {
                    throw error
                }
                fresh = true
            }
        }
    }

    private func checkOut(fresh: Bool) async throws -> PooledConnection {
        if let idle = try await pool.enter(now: clock.uptime, fresh: fresh) { return idle }
        do {
            let stream = try await withDeadline(limits.connectTime, clock, "connecting to \(self.title)") { [self] in
                let plain = try await network.connect(to: endpoint)
                guard let tls else { return plain }
                do {
                    return try await tls.connect(plain, serverName: serverName) as any Connection
                } catch {
                    plain.close()
                    throw error
                }
            }
            return PooledConnection(stream, limits.message, clock)
        } catch {
            pool.leave()
            throw error
        }
    }

    private func ask(_ request: Request, _ connection: PooledConnection) async throws -> HTTPHead {
        connection.parser.withLock { $0.expect(answerTo: request.method) }
        guard let time = limits.headTime else { return try await converse(request, connection) }
        return try await withDeadline(time, clock, "\(request.method) \(request.target)") { [self] in
            try await converse(request, connection)
        }
    }

    private func converse(_ request: Request, _ connection: PooledConnection) async throws -> HTTPHead {
        var headers = request.headers
        if headers["Host"] == nil { headers.add("Host", host) }
        headers["Transfer-Encoding"] = nil
        headers["Content-Length"] = nil
        if !request.body.isEmpty || ["POST", "PUT", "PATCH"].contains(request.method) {
            headers.add("Content-Length", String(request.body.count))
        }
        var out = HTTPSerializer.request(request.method, request.target, headers)
        do {
            if request.body.count <= 16 << 10 {
                out += request.body
                try await connection.stream.write(out)
            } else {
                try await connection.stream.write(pieces: [out, request.body])
            }
        } catch let failure where !(failure is CancellationError) {
            // A server that refuses a long body answers and hangs up before it has read all of it.
            do { return try await readHead(connection) } catch { throw failure }
        }
        return try await readHead(connection)
    }

    private func readHead(_ connection: PooledConnection) async throws -> HTTPHead {
        while true {
            if let event = try connection.parser.withLock({ try $0.next() }) {
                // Interim answers (100, 103) come before the real one; 101 is final.
                if case .head(let head) = event, head.status >= 200 || head.status == 101 { return head }
                continue
            }
            let bytes = try await connection.stream.read(atMost: 64 << 10)
            if bytes.isEmpty { throw HTTPError(502, "\(title) closed the connection without an answer") }
            connection.parser.withLock { $0.feed(bytes) }
        }
    }
}

/// Runs `body`, cancelled with `TimedOut` when it takes longer than `time`.
public func withDeadline<T: Sendable>(
    _ time: Duration, _ clock: any WorldClock, _ what: @autoclosure @escaping @Sendable () -> String,
    _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
    try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await clock.sleep(for: time)
            throw HTTPTransport.TimedOut(what: what())
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw CancellationError() }
        return first
    }
}

/// A client's connection and the parser that reads from it.
final class PooledConnection: Sendable {
    let stream: any Connection
    let parser: Mutex<HTTPParser>
    let clock: any WorldClock
    private let state = Mutex((reused: false, idleSince: Duration.zero))

    init(_ stream: any Connection, _ limits: HTTPLimits, _ clock: any WorldClock) {
        self.stream = stream
        self.clock = clock
        parser = Mutex(HTTPParser(.responses, limits: limits))
    }

    var isReused: Bool { state.withLock { $0.reused } }
    var idleSince: Duration { state.withLock { $0.idleSince } }
    func rest() { state.withLock { $0 = (true, clock.uptime) } }
}

/// The connections of one client: a bound on their number, and the idle ones.
final class HTTPPool: Sendable {
    struct Exhausted: Error, CustomStringConvertible {
        var description: String { "too many requests wait for a connection already" }
    }

    private struct State {
        var used = 0
        /// The most recently used last: taking from the end lets the surplus grow old.
        var idle: [PooledConnection] = []
        var waiters: [(id: UInt64, continuation: UnsafeContinuation<Void, any Error>)] = []
        var nextID: UInt64 = 0
    }

    private let limits: HTTPTransport.Limits
    private let state = Mutex(State())

    init(_ limits: HTTPTransport.Limits) { self.limits = limits }

    deinit { closeIdle() }

    /// A place, with an idle connection where there is one that is young enough.
    func enter(now: Duration, fresh: Bool) async throws -> PooledConnection? {
        try await takePlace()
        let (found, old) = state.withLock { state -> (PooledConnection?, [PooledConnection]) in
            let limit = now - limits.idleTime
            let keep = fresh ? state.idle.count : state.idle.firstIndex { $0.idleSince >= limit } ?? state.idle.count
            let old = Array(state.idle.prefix(keep))
            state.idle.removeFirst(keep)
            return (state.idle.popLast(), old)
        }
        for connection in old { connection.stream.close() }
        return found
    }

    private func takePlace() async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                let answer: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.used < limits.connections {
                        state.used += 1
                        return .success(())
                    }
                    if state.waiters.count >= limits.waiting { return .failure(Exhausted()) }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// Gives a place back, to the one who waits longest.
    func leave() {
        let waiter = state.withLock { state -> UnsafeContinuation<Void, any Error>? in
            if !state.waiters.isEmpty { return state.waiters.removeFirst().continuation }
            state.used -= 1
            return nil
        }
        waiter?.resume()
    }

    func discard(_ connection: PooledConnection) {
        connection.stream.close()
        leave()
    }

    /// The connection is no longer the pool's, but stays open.
    func forget(_ connection: PooledConnection) { leave() }

    func put(back connection: PooledConnection) {
        connection.rest()
        let surplus = state.withLock { state -> PooledConnection? in
            state.idle.append(connection)
            return state.idle.count > limits.idle ? state.idle.removeFirst() : nil
        }
        surplus?.stream.close()
        leave()
    }

    func closeIdle() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for connection in idle { connection.stream.close() }
    }
}

/// The body of a response as it arrives. At its end the connection goes back to the pool.
final class HTTPResponseStream: ResponseStream {
    let status: Int
    let headers: Headers
    private let keepAlive: Bool
    private let pool: HTTPPool
    /// Nil once the connection has been given back or up.
    private let connection: Mutex<PooledConnection?>

    init(_ head: HTTPHead, _ connection: PooledConnection, _ pool: HTTPPool) {
        status = head.status
        headers = head.headers
        keepAlive = head.keepAlive
        self.pool = pool
        self.connection = Mutex(connection)
    }

    deinit { cancel() }

    func next() async throws -> [UInt8]? {
        guard let connection = connection.withLock({ $0 }) else { return nil }
        do {
            while true {
                switch try connection.parser.withLock({ try $0.next() }) {
                case .body(let piece): return piece
                case .head: continue
                case .end:
                    end(reusable: keepAlive && connection.parser.withLock { $0.isBetweenMessages })
                    return nil
                case nil:
                    let bytes = try await connection.stream.read(atMost: 64 << 10)
                    if !bytes.isEmpty {
                        connection.parser.withLock { $0.feed(bytes) }
                    } else if !connection.parser.withLock({ $0.finish() }) {
                        throw HTTPError(502, "the server hung up in the middle of its answer")
                    }
                }
            }
        } catch {
            cancel()
            throw error
        }
    }

    func cancel() { end(reusable: false) }

    private func end(reusable: Bool) {
        let taken = connection.withLock { connection in
            defer { connection = nil }
            return connection
        }
        guard let taken else { return }
        if reusable { pool.put(back: taken) } else { pool.discard(taken) }
    }
}
