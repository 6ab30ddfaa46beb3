import Basics
import Document

/// A port of the host that leads to a port of a node.
public struct PublishedPort: Sendable, Hashable {
    public enum Transport: String, Sendable, CaseIterable { case tcp = "TCP", udp = "UDP" }

    public var listenAddress: IPAddress
    /// 0 takes a free one.
    public var hostPort: UInt16
    /// The control plane where no node is named. A name may leave out the cluster's.
    public var node: String?
    public var containerPort: UInt16
    public var transport: Transport

    public init(
        listenAddress: IPAddress = .any, hostPort: UInt16, node: String? = nil, containerPort: UInt16,
        transport: Transport = .tcp
    ) {
        self.listenAddress = listenAddress
        self.hostPort = hostPort
        self.node = node
        self.containerPort = containerPort
        self.transport = transport
    }

    public static let syntax = "[LISTEN:]HOST:CONTAINER[/udp][@NODE]"

    /// `8080:80`, `127.0.0.1:8080:80`, `[::1]:8080:80`, `5353:53/udp`, `8080:80@worker2`.
    public init(parsing text: String) throws(UsageError) {
        let wrong = UsageError("'\(text)' is not a port mapping", remedy: "write it as \(Self.syntax)")
        var rest = text[...]
        self.init(hostPort: 0, containerPort: 0)
        if let at = rest.lastIndex(of: "@") {
            node = String(rest[rest.index(after: at)...])
            rest = rest[..<at]
            if node?.isEmpty == true { throw wrong }
        }
        if let slash = rest.lastIndex(of: "/") {
            guard let known = Transport(rawValue: rest[rest.index(after: slash)...].uppercased()) else {
                throw UsageError("'\(text)': the protocol is tcp or udp", remedy: "write it as \(Self.syntax)")
            }
            transport = known
            rest = rest[..<slash]
        }
        guard let colon = rest.lastIndex(of: ":"), let container = UInt16(rest[rest.index(after: colon)...]),
            container > 0
        else { throw wrong }
        containerPort = container
        rest = rest[..<colon]
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
            var address = rest[..<colon]
            if address.hasPrefix("["), address.hasSuffix("]") { address = address.dropFirst().dropLast() }
            guard let listen = IPAddress(address) else { throw wrong }
            listenAddress = listen
            rest = rest[rest.index(after: colon)...]
        }
        guard let host = UInt16(rest) else { throw wrong }
        hostPort = host
    }

    public var listen: Endpoint { .ip(listenAddress, port: hostPort) }

    /// The number of the node among `nodes`, the control plane first.
    public func nodeIndex(among nodes: [String]) throws(UsageError) -> Int {
        guard let node else { return 0 }
        if let index = nodes.firstIndex(where: { $0 == node || $0.hasSuffix("-\(node)") }) { return index }
        throw UsageError("there is no node '\(node)'", remedy: "there are \(nodes.joined(separator: ", "))")
    }
}

/// A port as it is carried: where to listen on the host, and whom to reach in the cluster's network.
public struct CarriedPort: Sendable, Hashable {
    public var listen: Endpoint
    public var target: Endpoint
    public var transport: PublishedPort.Transport
    /// Whom the target belongs to, for people.
    public var node: String
    /// The API's own way in, which is not the user's to remove.
    public var isAPI = false

    public init(listen: Endpoint, target: Endpoint, transport: PublishedPort.Transport, node: String) {
        self.listen = listen
        self.target = target
        self.transport = transport
        self.node = node
    }

    public init(_ port: PublishedPort, nodes: [String], address: (Int) -> IPAddress) throws(UsageError) {
        let index = try port.nodeIndex(among: nodes)
        self.init(
            listen: port.listen, target: .ip(address(index), port: port.containerPort), transport: port.transport,
            node: nodes[index])
    }

    /// Two ports with the same key cannot be carried at once.
    public var key: String { "\(listen)/\(transport.rawValue)" }

    public var document: Document {
        func address(_ endpoint: Endpoint) -> (Document, Document) {
            guard case .ip(let address, let port) = endpoint else { return ("", 0) }
            return (Document(address.description), Document(Int(port)))
        }
        let (listenAddress, hostPort) = address(listen)
        let (targetAddress, containerPort) = address(target)
        return [
            "listenAddress": listenAddress, "hostPort": hostPort, "protocol": Document(transport.rawValue),
            "node": Document(node), "address": targetAddress, "containerPort": containerPort, "api": Document(isAPI),
        ]
    }

    public init?(_ document: Document) {
        func endpoint(_ address: String, _ port: String) -> Endpoint? {
            guard let address = document.text(address).flatMap({ IPAddress($0) }),
                let port = document.number(port).flatMap({ UInt16(exactly: $0) })
            else { return nil }
            return .ip(address, port: port)
        }
        guard let listen = endpoint("listenAddress", "hostPort"), let target = endpoint("address", "containerPort"),
            let transport = document.text("protocol").flatMap(PublishedPort.Transport.init(rawValue:))
        else { return nil }
        self.init(listen: listen, target: target, transport: transport, node: document.text("node") ?? "")
        isAPI = document.flag("api") ?? false
    }
}

/// The ports of one cluster, as they are remembered in its directory: `{"ports": […]}`.
public enum PortsFile {
    public static func read(_ bytes: [UInt8]) throws -> [CarriedPort] {
        let entries = try Document(json: bytes).list("ports")
        let ports = entries.compactMap { CarriedPort($0) }
        guard ports.count == entries.count else { throw Failure("a published port is described wrongly") }
        return ports
    }

    public static func bytes(_ ports: [CarriedPort]) -> [UInt8] {
        (["ports": Document(ports.map(\.document))] as Document).json
    }
}
