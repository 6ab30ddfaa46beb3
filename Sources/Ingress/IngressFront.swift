import Basics
import Synchronization
import Wire

/// What all sessions share: the table, the connections to endpoints, and the one task that watches their time.
final class IngressFront: Sendable {
    struct Limits: Sendable {
        var head = HTTPLimits()
        var sessions = 4_096
        var handshakeTime = Duration.seconds(10)
        /// From a request's first byte to the end of its head.
        var headTime = Duration.seconds(60)
        /// Between two requests.
        var idleTime = Duration.seconds(75)
        /// For a client to send or to take a piece.
        var clientTime = Duration.seconds(60)
        var connectTime = Duration.seconds(5)
        /// For connections that have left HTTP, without a byte in either direction.
        var tunnelTime = Duration.seconds(3_600)

        init() {
            head.headBytes = 64 << 10
            head.headerFields = 128
            // Bodies are passed on as they come; a route may have a limit of its own.
            head.bodyBytes = .max >> 8
        }
    }

    let limits: Limits
    let world: World
    let log: Log
    let pool = UpstreamPool()
    private let current = Mutex(RouteTable())
    private let sessions = Mutex<[ObjectIdentifier: IngressSession]>([:])
    private let arrivals = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    init(limits: Limits = Limits(), world: World, log: Log) {
        self.limits = limits
        self.world = world
        self.log = log
    }

    var table: RouteTable { current.withLock { $0 } }
    func use(_ table: RouteTable) { current.withLock { $0 = table } }

    var sessionCount: Int { sessions.withLock { $0.count } }

    /// Accepts until the listener is closed or the task is cancelled.
    func serve(_ listener: any Listener, isSecure: Bool) async throws {
        defer { listener.close() }
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let connection = try await listener.accept()
                let session = IngressSession(connection, self, isSecure: isSecure)
                let count = sessions.withLock { sessions in
                    if sessions.count < limits.sessions { sessions[ObjectIdentifier(session)] = session }
                    return sessions.count
                }
                guard count < limits.sessions || sessions.withLock({ $0[ObjectIdentifier(session)] != nil }) else {
                    connection.close()
                    continue
                }
                if count == 1 { arrivals.continuation.yield() }
                group.addTask {
                    await session.run()
                    _ = self.sessions.withLock { $0.removeValue(forKey: ObjectIdentifier(session)) }
                }
            }
        }
    }

    /// Looks at every session's time once a second, for as long as there is one.
    func watch() async throws {
        defer { pool.closeAll() }
        for await _ in arrivals.stream {
            while true {
                try await world.clock.sleep(for: .seconds(1))
                let now = world.clock.uptime
                let all = sessions.withLock { Array($0.values) }
                for session in all { session.check(now) }
                if pool.sweep(now), all.isEmpty { break }
            }
        }
        try Task.checkCancellation()
    }
}

/// A connection to an endpoint and the parser that reads from it.
final class Upstream: Sendable {
    let endpoint: Endpoint
    let connection: any Connection
    let parser: Mutex<HTTPParser>

    init(_ endpoint: Endpoint, _ connection: any Connection, _ limits: HTTPLimits) {
        self.endpoint = endpoint
        self.connection = connection
        parser = Mutex(HTTPParser(.responses, limits: limits))
    }
}
