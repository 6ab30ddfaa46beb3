import Basics
import Client
import Document
import Kinds
import Linux
import Runtime

/// A running cluster's network as seen from this machine: its API, and the namespaces of its nodes.
public struct ClusterNetwork: Sendable {
    let cluster: ClusterLayout
    let nodes: [String]
    let client: APIClient
    let runtime: any SandboxRuntime

    public init(cluster name: String, host: Host) throws {
        guard let record = host.index.record(of: name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        cluster = host.layout.cluster(name)
        nodes = record.nodeNames
        client = try Connect.client(try Kubeconfig(yaml: try Files.read(cluster.kubeconfig)), world: host.world)
        runtime = host.runtime
    }

    func namespace(of node: String) async throws -> NetworkNamespace {
        guard nodes.contains(node) else {
            throw Failure("there is no node '\(node)'", remedy: "nodes are \(nodes.joined(separator: ", "))")
        }
        guard let supervisor = try await runtime.attach(stateDirectory: cluster.node(node).state) else {
            throw Failure("the node \(node) does not run", remedy: "'lab list' tells how the cluster is")
        }
        return try NetworkNamespace(processID: supervisor.pid)
    }

    func name(ofNode text: String) -> String { nodes.contains(text) ? text : "\(cluster.name)-\(text)" }

    struct Pod: Sendable {
        var namespace: String
        var name: String
        var uid: String
        var node: String
        var address: IPAddress
        var isOnHostNetwork: Bool

        var text: String { "pod \(namespace)/\(name)" }

        init?(_ pod: Document) {
            guard let namespace = pod.text("metadata", "namespace"), let name = pod.text("metadata", "name"),
                let node = pod.text("spec", "nodeName"),
                let address = pod.text("status", "podIP").flatMap({ IPAddress($0) })
            else { return nil }
            self.namespace = namespace
            self.name = name
            self.node = node
            self.address = address
            uid = pod.map("metadata", "annotations")["kubernetes.io/config.mirror"] ?? pod.text("metadata", "uid") ?? ""
            isOnHostNetwork = pod.flag("spec", "hostNetwork") == true
        }
    }

    func pod(_ namespace: String, _ name: String) async throws -> Pod {
        guard let pod = Pod(try await client.get(.pods, namespace: namespace, name: name)) else {
            throw Failure("the pod \(namespace)/\(name) has no address yet", remedy: "wait until it runs")
        }
        return pod
    }
}
