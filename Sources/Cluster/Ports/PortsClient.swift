import Basics
import Document
import Linux
import Wire

/// Asks a cluster's port carrier.
public struct PortsClient: Sendable {
    let control: Endpoint
    let world: World

    public init(cluster: ClusterLayout, world: World) {
        control = .unix(cluster.portsControl)
        self.world = world
    }

    /// One port as the carrier tells it, with what keeps it from working.
    public struct Entry: Sendable {
        public var port: CarriedPort
        public var error: String?
        public var document: Document
    }

    public func list() async throws -> [Entry] { try await ask("GET", []) }
    public func add(_ ports: [CarriedPort]) async throws -> [Entry] { try await ask("POST", ports) }
    public func remove(_ ports: [CarriedPort]) async throws -> [Entry] { try await ask("DELETE", ports) }

    private func ask(_ method: String, _ ports: [CarriedPort]) async throws -> [Entry] {
        var limits = HTTPTransport.Limits()
        limits.idle = 0
        limits.headTime = .seconds(10)
        let transport = HTTPTransport(
            control, host: "ports", network: world.network, clock: world.clock, limits: limits)
        let answer: any ResponseStream
        do {
            answer = try await transport.send(
                Request(method, "/ports", body: method == "GET" ? [] : PortsFile.bytes(ports)))
        } catch let error as SystemError {
            throw Failure(
                "the cluster's ports cannot be asked for: \(error)", remedy: "see with 'lab list' whether it runs")
        }
        let document = try Document(json: try await answer.collect(limit: 4 << 20))
        guard answer.status == 200 else {
            throw Failure(
                document.text("error") ?? "HTTP status \(answer.status)", remedy: document.text("remedy") ?? "")
        }
        return document.list("ports").compactMap { entry in
            CarriedPort(entry).map { Entry(port: $0, error: entry.text("error"), document: entry) }
        }
    }
}
