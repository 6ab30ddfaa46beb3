import Basics
import Glibc
import Linux

/// A cluster's published ports, as its directory remembers them: the API's, and those that the user asked for.
struct Ports: Sendable {
    let record: ClusterRecord
    let cluster: ClusterLayout
    let world: World

    private var api: CarriedPort {
        var api = CarriedPort(
            listen: .ip(record.networking.apiServerAddress, port: record.apiPort),
            target: .ip(Addresses.node(0), port: Addresses.apiPort), transport: .tcp,
            node: record.nodes.first { $0.isControlPlane }?.name ?? "")
        api.isAPI = true
        return api
    }

    /// Those of a new cluster. One that cannot be had ends the creation with its reason.
    func write(_ asked: [PublishedPort]) async throws {
        var ports = [api]
        for published in asked {
            var port = try CarriedPort(published, nodes: record.nodeNames) { record.nodes[$0].address }
            port.listen = try await available(port)
            guard !ports.contains(where: { $0.key == port.key }) else {
                throw Failure("\(port.key) is asked for twice", remedy: "give every port of the host once")
            }
            ports.append(port)
        }
        try Files.write(PortsFile.bytes(ports), to: cluster.ports, durable: true)
    }

    /// Those of a cluster that is started again: as they were, with free numbers where a copy has none yet. What
    /// cannot be had is the carrier's to tell; the cluster starts without it.
    func renew() async throws {
        var ports = [api]
        if Files.exists(cluster.ports) {
            for known in try PortsFile.read(try Files.read(cluster.ports)) where !known.isAPI {
                var port = known
                if case .ip(_, 0) = port.listen { port.listen = try await available(port) }
                ports.append(port)
            }
        }
        try Files.write(PortsFile.bytes(ports), to: cluster.ports, durable: true)
    }

    /// In a copy that is to run beside the original, which has its ports of the host.
    static func release(_ file: String) throws {
        guard Files.exists(file) else { return }
        let ports = try PortsFile.read(try Files.read(file)).filter { !$0.isAPI }.map { port in
            var port = port
            if case .ip(let address, _) = port.listen { port.listen = .ip(address, port: 0) }
            return port
        }
        try Files.write(PortsFile.bytes(ports), to: file, durable: true)
    }

    /// Where the port can be listened on, with a number in place of 0. It is opened for a moment only, so that a port
    /// that is taken ends the creation with its reason.
    private func available(_ port: CarriedPort) async throws -> Endpoint {
        do {
            switch port.transport {
            case .tcp:
                let listener = try await world.network.listen(on: port.listen)
                defer { listener.close() }
                return listener.local
            case .udp:
                let socket = try await world.network.datagrams(on: port.listen)
                defer { socket.close() }
                return socket.local
            }
        } catch let error as SystemError {
            throw Failure("\(port.key) cannot be published: \(error)", remedy: "choose another port with --port")
        }
    }
}
