import Basics
import Synchronization

/// An HTTP/1.1 server over any listener.
///
/// `run` serves until its task is cancelled, which cuts everything off, or until `drain` has been called
/// and the last request is answered.
public final class HTTPServer: Sendable {
    public struct Limits: Sendable {
        public var message = HTTPLimits()
        /// Further clients wait in the listener's queue.
        public var connections = 4096
        /// Of the bodies of all requests that are being read or answered; more are refused for the moment.
        public var allBodies = 256 << 20
        public var handshakeTime: Duration = .seconds(10)
        /// From a request's first byte to the end of its body.
        public var requestTime: Duration = .seconds(60)
        /// Between two requests.
        public var idleTime: Duration = .seconds(180)
        /// For the reader to take one piece of a response.
        public var writeTime: Duration = .seconds(60)

        public init() {}
    }

    let handler: Handler
    /// Asked with a request's head who takes its body as it comes; nil for one that is gathered for the handler.
    let intake: Intake?
    let limits: Limits
    let clock: any WorldClock
    let log: Log
    /// How a protocol error is told to the client.
    let renderError: @Sendable (HTTPError) -> Response
    private let listener: any Listener
    private let tls: TLSServerContext?
    private let gate: Gate
    private let shared = Mutex(Shared())
    /// Bytes of the bodies that are in memory.
    let bodyBytes = Atomic(0)
    /// Told when the first of several connections comes.
    private let arrivals = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    private let dateCache = Mutex((second: Int64.min, text: ""))

    private struct Shared {
        var sessions: [ObjectIdentifier: HTTPServerSession] = [:]
        var draining = false
    }

    public init(
        listener: any Listener, tls: TLSServerContext? = nil, limits: Limits = Limits(), clock: any WorldClock,
        log: Log = .silent, renderError: (@Sendable (HTTPError) -> Response)? = nil, intake: Intake? = nil,
        handler: @escaping Handler
    ) {
        self.listener = listener
        self.tls = tls
        self.limits = limits
        self.clock = clock
        self.log = log
        self.handler = handler
        self.intake = intake
        self.renderError =
            renderError ?? { error in
                Response(
                    status: error.status, headers: Headers([("Content-Type", "text/plain; charset=utf-8")]),
                    body: .bytes(Array((error.reason + "\n").utf8)))
            }
        gate = Gate(limits.connections)
    }

    public var local: Endpoint { listener.local }

    public func run() async throws {
        defer { listener.close() }
        try await withThrowingTaskGroup(of: Void.self) { outer in
            outer.addTask { try await self.reap() }
            outer.addTask { try await self.acceptAll() }
            // The reaper never ends by itself; the accepting side ends when it is drained or broken.
            defer { outer.cancelAll() }
            try await outer.next()
        }
    }

    /// Stops accepting, ends idle connections, and lets the requests under way finish.
    public func drain() {
        let idle = shared.withLock { shared in
            shared.draining = true
            return shared.sessions.values.filter(\.isIdle)
        }
        listener.close()
        for session in idle { session.connection.close() }
    }

    var isDraining: Bool { shared.withLock { $0.draining } }

    private func acceptAll() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try await gate.enter()
                let connection: any Connection
                do {
                    connection = try await listener.accept()
                } catch {
                    gate.leave()
                    if isDraining { return }
                    throw error
                }
                group.addTask {
                    await self.serve(connection)
                    self.gate.leave()
                }
            }
        }
    }

    private func serve(_ raw: any Connection) async {
        let session = HTTPServerSession(raw, server: self)
        let (draining, isFirst) = shared.withLock { shared in
            shared.sessions[ObjectIdentifier(session)] = session
            return (shared.draining, shared.sessions.count == 1)
        }
        if isFirst { arrivals.continuation.yield() }
        defer {
            raw.close()
            shared.withLock { _ = $0.sessions.removeValue(forKey: ObjectIdentifier(session)) }
        }
        if draining { return }
        do {
            try await session.run(tls: tls)
        } catch is CancellationError {
        } catch {
            log.debug("\(raw.peer?.description ?? "client"): \(error)")
        }
    }

    /// One task watches every connection's deadline, so that a request costs no timer of its own; without
    /// connections it sleeps.
    private func reap() async throws {
        for await _ in arrivals.stream {
            while shared.withLock({ !$0.sessions.isEmpty }) {
                try await clock.sleep(for: .seconds(1))
                let now = clock.uptime.wholeNanoseconds
                let late = shared.withLock { $0.sessions.values.filter { $0.isLate(now) } }
                for session in late { session.connection.close() }
            }
        }
        try Task.checkCancellation()
    }

    /// `Date` as RFC 9110 wants it, made once a second.
    func dateLine() -> String {
        let now = clock.now
        return dateCache.withLock { cache in
            if cache.second != now.seconds { cache = (now.seconds, "Date: \(HTTPDate.format(now))\r\n") }
            return cache.text
        }
    }
}

enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func format(_ time: Timestamp) -> String {
        let text = Array(time.rfc3339().utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }
        let month = Int(part(5..<7)) ?? 1
        let day = days[Int(time.seconds / 86_400 % 7 + 7) % 7]
        return "\(day), \(part(8..<10)) \(months[month - 1]) \(part(0..<4)) \(part(11..<19)) GMT"
    }
}

/// Lets `limit` inside at once. One task at a time waits to enter.
final class Gate: Sendable {
    private struct State {
        var free: Int
        var waiter: UnsafeContinuation<Void, any Error>?
    }

    private let state: Mutex<State>

    init(_ limit: Int) { state = Mutex(State(free: limit)) }

    func enter() async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                enum Outcome { case enter, wait, cancelled }
                let outcome: Outcome = state.withLock { state in
                    if Task.isCancelled { return .cancelled }
                    if state.free > 0 {
                        state.free -= 1
                        return .enter
                    }
                    state.waiter = continuation
                    return .wait
                }
                switch outcome {
                case .enter: continuation.resume()
                case .wait: break
                case .cancelled: continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            takeWaiter()?.resume(throwing: CancellationError())
        }
    }

    private func takeWaiter() -> UnsafeContinuation<Void, any Error>? {
        state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
    }

    func leave() {
        let waiter = state.withLock { state -> UnsafeContinuation<Void, any Error>? in
            guard let waiter = state.waiter else {
                state.free += 1
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }
}
