import Basics
import Glibc
import Linux

/// Settles a new cluster's ports: the API's, and those that the user asks for. Their file in the cluster's directory is
/// what the carrier works by, whenever the cluster is started.
struct Ports: Sendable {
    let record: ClusterRecord
    let world: World

    func write(_ asked: [PublishedPort], to file: String) async throws {
        let ports = try asked.map { asked in
            try CarriedPort(asked, nodes: record.nodeNames) { record.nodes[$0].address }
        }
        try await write(ports, to: file)
    }

    /// The API's port comes from the record.
    func write(_ asked: [CarriedPort], to file: String) async throws {
        var api = CarriedPort(
            listen: .ip(record.networking.apiServerAddress, port: record.apiPort),
            target: .ip(Addresses.node(0), port: Addresses.apiPort), transport: .tcp,
            node: record.nodes.first { $0.isControlPlane }?.name ?? "")
        api.isAPI = true
        var ports = [api]
        for asked in asked {
            var port = asked
            port.listen = try await available(port)
            guard !ports.contains(where: { $0.key == port.key }) else {
                throw Failure("\(port.key) is asked for twice", remedy: "give every port of the host once")
            }
            ports.append(port)
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
