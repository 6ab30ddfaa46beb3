import Basics
import Linux
import Wire

/// The ports beside the server's own that tell how it is: `/health`, `/ready` and `/metrics`, as CoreDNS has them.
struct DNSSidecars: Sendable {
    /// Whom the listeners' real ports are told to, as configured port → listening port.
    typealias Publish = @Sendable ([UInt16: UInt16]) async throws -> Void

    let address: IPAddress
    let metrics: DNSMetrics
    let isReady: @Sendable () -> Bool
    let publish: Publish
    let world: World
    let log: Log

    /// Serves until cancelled.
    func run(_ configuration: DNSConfiguration) async throws {
        var wanted: [UInt16: Set<String>] = [:]
        for (port, path) in [
            (configuration.health, "/health"), (configuration.ready, "/ready"), (configuration.metrics, "/metrics"),
        ] {
            if let port { wanted[port, default: []].insert(path) }
        }
        var servers: [HTTPServer] = []
        var ports: [UInt16: UInt16] = [:]
        for (port, paths) in wanted.sorted(by: { $0.key < $1.key }) {
            // Any free port: the configured ones may belong to pods that use the node's network.
            let listener = try await world.network.listen(on: .ip(address, port: 0))
            if case .ip(_, let local) = listener.local { ports[port] = local }
            var limits = HTTPServer.Limits()
            limits.connections = 32
            limits.message.bodyBytes = 0
            limits.idleTime = .seconds(30)
            servers.append(
                HTTPServer(
                    listener: listener, limits: limits, clock: world.clock, log: log,
                    handler: { request in answer(request, paths) }))
        }
        do { try await publish(ports) } catch let error as CancellationError { throw error } catch {
            log.warning("health and metrics are not to be reached: \(error)")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for server in servers { group.addTask { try await server.run() } }
            try await group.waitForAll()
        }
    }

    private func answer(_ request: Request, _ paths: Set<String>) -> Response {
        let path = String(request.target.prefix { $0 != "?" })
        guard paths.contains(path) else { return Self.text(404, "404 page not found\n") }
        switch path {
        case "/health": return Self.text(200, "OK")
        case "/ready": return isReady() ? Self.text(200, "OK") : Self.text(503, "kubernetes")
        default:
            var text = MetricsText()
            metrics.write(to: &text)
            return Response(
                status: 200, headers: Headers([("Content-Type", MetricsText.contentType)]),
                body: .bytes(Array(text.text.utf8)))
        }
    }

    private static func text(_ status: Int, _ text: String) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", "text/plain; charset=utf-8")]),
            body: .bytes(Array(text.utf8)))
    }
}

/// Leads the well-known ports of the server's address to those where it really listens.
///
///     table ip lab-dns {
///         prerouting, output (nat):  daddr ADDRESS tcp dport PORT dnat to ADDRESS:LISTENING
///     }
///
/// A socket bound to port 8080 of one address would keep every pod on the node's network from binding it to all.
public struct DNSPorts: Sendable {
    let address: IPAddress

    public init(address: IPAddress) { self.address = address }

    public static let table = "lab-dns"

    func batch(_ ports: [UInt16: UInt16]) -> NftBatch {
        var batch = NftBatch(table: Self.table)
        batch.resetTable()
        guard !ports.isEmpty else { return batch }
        for (chain, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
            batch.addChain(chain, NftHook(.nat, point, priority: -100))
            for (port, listening) in ports.sorted(by: { $0.key < $1.key }) {
                batch.addRule(
                    chain,
                    [
                        .destinationAddress(to: 0), .compare(0, .equal, address.bytes),
                        .meta(.protocolNumber, to: 1), .compare(1, .equal, [6]),
                        .destinationPort(to: 2), .compare(2, .equal, Self.bytes(port)),
                        .immediate(address.bytes, to: 3), .immediate(Self.bytes(listening), to: 4),
                        .destinationNAT(address: 3, port: 4),
                    ])
            }
        }
        return batch
    }

    public func publish(_ ports: [UInt16: UInt16]) throws { try Nftables().commit(batch(ports)) }

    private static func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 0xFF)] }
}
