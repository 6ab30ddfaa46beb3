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
    /// What was asked of this node, and of the cluster as far as its parts need it.
    public var configuration: NodeConfiguration
    public var networking = Networking()
    public var components = Components()
    /// Where load balancers get their addresses from; nil leaves them to something else.
    public var loadBalancers: CIDR?

    public var address: IPAddress { Addresses.node(index) }

    public init(cluster: String, name: String, index: Int) {
        self.cluster = cluster
        self.name = name
        self.index = index
        self.isControlPlane = index == 0
        configuration = NodeConfiguration(role: index == 0 ? .controlPlane : .worker)
    }

    public var document: Document {
        var document: Document = [
            "cluster": Document(cluster), "name": Document(name), "index": Document(index),
            "controlPlane": Document(isControlPlane), "controllers": Document(controllers),
            "leaderElection": Document(leaderElection), "configuration": configuration.document,
            "networking": networking.document, "components": components.document,
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
        if let found = document["configuration"].flatMap({ NodeConfiguration($0) }) { configuration = found }
        if let found = document["networking"] { networking = Networking(found) }
        if let found = document["components"] { components = Components(found) }
        loadBalancers = document.text("loadBalancers").flatMap { CIDR($0) }
    }

    /// The taints with which it registers.
    var taints: [NodeConfiguration.Taint] {
        configuration.taints ?? (isControlPlane ? [NodeConfiguration.controlPlaneTaint] : [])
    }
}
