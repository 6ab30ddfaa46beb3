import Basics
import Document

/// One node of a cluster, as the host remembers it.
public struct ClusterNode: Sendable, Equatable {
    public var name: String
    /// Its place in the fabric: it decides the address, and is never given to two nodes at a time.
    public var index: Int
    public var configuration: NodeConfiguration
    /// Stopped by itself: it stays so when the cluster is started.
    public var isStopped = false

    public init(name: String, index: Int, configuration: NodeConfiguration) {
        self.name = name
        self.index = index
        self.configuration = configuration
    }

    public var isControlPlane: Bool { index == 0 }
    public var address: IPAddress { Addresses.node(index) }

    var document: Document {
        var document: Document = [
            "name": Document(name), "index": Document(index), "configuration": configuration.document,
        ]
        if isStopped { document["stopped"] = true }
        return document
    }

    init?(_ document: Document) {
        guard let name = document.text("name"), let index = document.number("index"), index >= 0,
            let configuration = document["configuration"].flatMap({ NodeConfiguration($0) })
        else { return nil }
        self.init(name: name, index: index, configuration: configuration)
        isStopped = document.flag("stopped") ?? false
    }
}

/// A cluster as it is remembered on the host: all that is needed to start it again.
public struct ClusterRecord: Sendable, Equatable {
    public enum Phase: String, Sendable {
        case creating, running
        /// Stopped by the user; its directories hold all of it.
        case stopped
    }

    public var name: String
    public var phase: Phase
    public var nodes: [ClusterNode]
    public var apiPort: UInt16
    public var createdAt: Timestamp
    public var controllers = ["*"]
    public var leaderElection = true
    /// Whether pods reach what the host reaches.
    public var egress = true
    public var networking = Networking()
    public var components = Components()

    public init(name: String, phase: Phase, nodes: [ClusterNode], apiPort: UInt16, createdAt: Timestamp) {
        self.name = name
        self.phase = phase
        self.nodes = nodes
        self.apiPort = apiPort
        self.createdAt = createdAt
    }

    /// The cluster that a configuration asks for.
    init(_ configuration: ClusterConfiguration, apiPort: UInt16, createdAt: Timestamp) {
        let nodes = zip(configuration.nodeNames, configuration.nodes).enumerated().map { index, node in
            ClusterNode(name: node.0, index: index, configuration: node.1)
        }
        self.init(
            name: configuration.name, phase: .creating, nodes: nodes, apiPort: apiPort, createdAt: createdAt)
        controllers = configuration.controllers
        leaderElection = configuration.leaderElection
        egress = configuration.egress
        networking = configuration.networking
        components = configuration.components
        // A control plane alone takes everybody's pods, as with kind.
        if nodes.count == 1, nodes[0].configuration.taints == nil { self.nodes[0].configuration.taints = [] }
    }

    public var document: Document {
        [
            "name": Document(name), "phase": Document(phase.rawValue), "nodes": Document(nodes.map(\.document)),
            "apiPort": Document(Int(apiPort)), "createdAt": Document(createdAt.description),
            "controllers": Document(controllers), "leaderElection": Document(leaderElection),
            "egress": Document(egress),
            "networking": networking.document, "components": components.document,
        ]
    }

    public init?(_ document: Document) {
        guard let name = document.text("name"), let phase = document.text("phase").flatMap(Phase.init(rawValue:)),
            let port = document.number("apiPort").flatMap({ UInt16(exactly: $0) })
        else { return nil }
        self.name = name
        self.phase = phase
        nodes = document.list("nodes").compactMap { ClusterNode($0) }
        guard nodes.count == document.list("nodes").count else { return nil }
        self.apiPort = port
        self.createdAt = document.text("createdAt").flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(seconds: 0)
        if document["controllers"] != nil { controllers = document.list("controllers").compactMap(\.string) }
        leaderElection = document.flag("leaderElection") ?? true
        egress = document.flag("egress") ?? true
        if let found = document["networking"] { networking = Networking(found) }
        if let found = document["components"] { components = Components(found) }
    }

    public var nodeNames: [String] { nodes.map(\.name) }

    /// What a node is told about itself.
    func nodeRecord(_ node: ClusterNode) -> NodeRecord {
        var record = NodeRecord(cluster: name, name: node.name, index: node.index)
        record.controllers = controllers
        record.leaderElection = leaderElection
        record.configuration = node.configuration
        record.networking = networking
        record.components = components
        return record
    }

    /// The name that the next worker gets: the first number that is free.
    func nextWorkerName() -> String {
        // A fork's nodes have the names of the cluster that it was made from.
        let suffix = "-control-plane"
        let first = nodes.first { $0.isControlPlane }?.name ?? name
        let prefix = first.hasSuffix(suffix) ? String(first.dropLast(suffix.count)) : name
        let taken = Set(nodeNames)
        return (1...).lazy.map { ClusterConfiguration.workerName($0, of: prefix) }.first { !taken.contains($0) } ?? ""
    }

    func nextIndex() -> Int {
        let taken = Set(nodes.map(\.index))
        return (1...).first { !taken.contains($0) } ?? nodes.count
    }
}
