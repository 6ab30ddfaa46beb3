import Basics
import Document

/// What a node knows about itself when it starts: `/etc/lab/node.json`.
public struct NodeRecord: Sendable, Equatable {
    public var cluster: String
    public var name: String
    public var index: Int
    public var isControlPlane: Bool
    /// Which controllers run, as `--controllers` of kube-controller-manager says it.
    public var controllers = ["*"]
    /// Whether controllers and scheduler work only while they hold their leases.
    public var leaderElection = true
    /// Where load balancers get their addresses from; nil leaves them to something else.
    public var loadBalancers: CIDR?

    public var address: IPAddress { Addresses.node(index) }

    public init(cluster: String, name: String, index: Int) {
        self.cluster = cluster
        self.name = name
        self.index = index
        self.isControlPlane = index == 0
    }

    public var document: Document {
        var document: Document = [
            "cluster": Document(cluster), "name": Document(name), "index": Document(index),
            "controlPlane": Document(isControlPlane), "controllers": Document(controllers),
            "leaderElection": Document(leaderElection),
        ]
        if let loadBalancers { document["loadBalancers"] = Document("\(loadBalancers)") }
        return document
    }

    public init(_ document: Document) throws(Failure) {
        guard let cluster = document.text("cluster"), let name = document.text("name"),
            let index = document.number("index"), index >= 0
        else { throw Failure("the node's configuration lacks cluster, name or index") }
        self.init(cluster: cluster, name: name, index: index)
        if document["controllers"] != nil { controllers = document.list("controllers").compactMap(\.string) }
        leaderElection = document.flag("leaderElection") ?? true
        loadBalancers = document.text("loadBalancers").flatMap { CIDR($0) }
    }
}

/// A cluster as it is remembered on the host.
public struct ClusterRecord: Sendable, Equatable {
    public enum Phase: String, Sendable { case creating, running }

    public var name: String
    public var phase: Phase
    public var nodes: [String]
    public var apiPort: UInt16
    public var createdAt: Timestamp

    public init(name: String, phase: Phase, nodes: [String], apiPort: UInt16, createdAt: Timestamp) {
        self.name = name
        self.phase = phase
        self.nodes = nodes
        self.apiPort = apiPort
        self.createdAt = createdAt
    }

    public var document: Document {
        [
            "name": Document(name), "phase": Document(phase.rawValue), "nodes": Document(nodes),
            "apiPort": Document(Int(apiPort)),
            "createdAt": Document(createdAt.description),
        ]
    }

    public init?(_ document: Document) {
        guard let name = document.text("name"), let phase = document.text("phase").flatMap(Phase.init(rawValue:)),
            let port = document.number("apiPort").flatMap({ UInt16(exactly: $0) })
        else { return nil }
        self.name = name
        self.phase = phase
        self.nodes = document.list("nodes").compactMap(\.string)
        self.apiPort = port
        self.createdAt = document.text("createdAt").flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(seconds: 0)
    }
}
