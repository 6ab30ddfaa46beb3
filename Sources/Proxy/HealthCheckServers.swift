import Basics
import Client
import Synchronization
import Wire

/// Whether a service has endpoints on this node, for load balancers outside that ask each node.
public struct HealthCheck: Sendable, Hashable {
    public var port: UInt16
    public var service: String
    public var localEndpoints: Int

    public init(port: UInt16, service: String, localEndpoints: Int) {
        self.port = port
        self.service = service
        self.localEndpoints = localEndpoints
    }

    /// The answer, as kube-proxy gives it.
    func response(isHealthy: Bool) -> Response {
        let parts = service.split(separator: "/", maxSplits: 1)
        let text = """
            {
            \t"service": {
            \t\t"namespace": "\(parts.first ?? "")",
            \t\t"name": "\(parts.last ?? "")"
            \t},
            \t"localEndpoints": \(localEndpoints),
            \t"serviceProxyHealthy": \(isHealthy)
            }
            """
        let headers = Headers([
            ("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"),
            ("X-Load-Balancing-Endpoint-Weight", "\(localEndpoints)"),
        ])
        return Response(
            status: isHealthy && localEndpoints > 0 ? 200 : 503, headers: headers, body: .bytes(Array(text.utf8)))
    }
}

/// One little HTTP server for each service that wants to be asked. None runs where no service does.
final class HealthCheckServers: Sendable {
    private static let retryAfter = Duration.seconds(5)

    private struct State {
        var checks: [UInt16: HealthCheck] = [:]
        var running: Set<UInt16> = []
        var isHealthy = false
    }

    private let state = Mutex(State())
    private let change = Wakeup()
    private let address: IPAddress
    private let world: World
    private let log: Log

    init(address: IPAddress, world: World, log: Log) {
        self.address = address
        self.world = world
        self.log = log
    }

    func update(_ checks: some Sequence<HealthCheck>, isHealthy: Bool) {
        let isNews = state.withLock { state in
            let ports = Set(state.checks.keys)
            state.checks = Dictionary(checks.map { ($0.port, $0) }, uniquingKeysWith: { first, _ in first })
            state.isHealthy = isHealthy
            return ports != Set(state.checks.keys)
        }
        if isNews { change.wake() }
    }

    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let ticket = change.ticket
                let new = state.withLock { state in
                    let new = state.checks.keys.filter { !state.running.contains($0) }.sorted()
                    state.running.formUnion(new)
                    return new
                }
                for port in new { group.addTask { try await self.serve(port) } }
                try await change.wait(since: ticket)
            }
        }
    }

    /// Serves one port until no service wants it.
    private func serve(_ port: UInt16) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    do {
                        let listener = try await self.world.network.listen(on: .ip(self.address, port: port))
                        try await self.server(port, listener).run()
                    } catch is CancellationError {
                        throw CancellationError()
                    } catch {
                        self.log.warning("health checks on port \(port): \(error)")
                    }
                    try await self.world.clock.sleep(for: Self.retryAfter)
                }
            }
            group.addTask {
                while true {
                    let ticket = self.change.ticket
                    if self.state.withLock({ $0.checks[port] == nil }) { return }
                    try await self.change.wait(since: ticket)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        // The port may have been asked for again meanwhile.
        state.withLock { _ = $0.running.remove(port) }
        change.wake()
    }

    private func server(_ port: UInt16, _ listener: any Listener) -> HTTPServer {
        var limits = HTTPServer.Limits()
        limits.connections = 32
        return HTTPServer(listener: listener, limits: limits, clock: world.clock, log: log) { _ in
            let (check, isHealthy) = self.state.withLock { ($0.checks[port], $0.isHealthy) }
            return check?.response(isHealthy: isHealthy) ?? Response(status: 404, headers: Headers(), body: .bytes([]))
        }
    }
}
