import Basics
import Glibc
import Linux

/// Publishes a new cluster's ports: the API's, and those that the user asks for.
struct Ports: Sendable {
    let configuration: ClusterConfiguration
    let cluster: ClusterLayout
    let world: World

    func publish(apiPort: UInt16, through fabric: Fabric) async throws {
        var api = CarriedPort(
            listen: .ip(.loopback, port: apiPort), target: .ip(Addresses.node(0), port: Addresses.apiPort),
            transport: .tcp, node: configuration.nodeNames[0])
        api.isAPI = true
        var ports = [api]
        for asked in configuration.ports {
            var port = try CarriedPort(asked, nodes: configuration.nodeNames) { Addresses.node($0) }
            port.listen = try await available(port)
            guard !ports.contains(where: { $0.key == port.key }) else {
                throw Failure("\(port.key) is asked for twice", remedy: "give every port of the host once")
            }
            ports.append(port)
        }
        try Files.write(PortsFile.bytes(ports), to: cluster.ports, durable: true)
        try await fabric.carryPorts()
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
