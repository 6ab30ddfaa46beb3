import Basics
import Client
import Document
import Glibc
import Linux
import Runtime

/// Brings a cluster's processes up from its directories: the second half of `create`, and all of `start`.
struct ClusterStarter: Sendable {
    let record: ClusterRecord
    let host: Host
    let progress: any Progress

    private var cluster: ClusterLayout { host.layout.cluster(record.name) }
    private var nodes: [ClusterNode] { record.nodes.filter { !$0.isStopped } }

    var ports: Ports { Ports(record: record, cluster: cluster, world: host.world) }

    /// The cluster's ports have been written.
    func startFabric() async throws -> Fabric {
        try Files.makeDirectories(cluster.logs)
        let fabric = try await Fabric.start(cluster: cluster, binary: cluster.binary)
        try await fabric.carryPorts()
        do { try giveBalancers(try fabric.linkToHost(egress: record.egress).balancers) } catch {
            // Such as in a container that may not touch its host's network. The cluster is whole without it.
            progress.note("pods do not reach the outside, and load balancers get no addresses: \(error)")
        }
        return fabric
    }

    /// The addresses are known once the link to the host is, and needed first by the control plane.
    private func giveBalancers(_ network: CIDR) throws {
        for node in record.nodes {
            let path = "\(cluster.node(node.name).configuration)/node.json"
            var known = try NodeRecord(try Document(json: try Files.read(path)))
            known.loadBalancers = network
            try Files.write(known.document.json, to: path)
        }
    }

    func startNodes(in fabric: Fabric) async throws {
        try await withThrowingTaskGroup { group in
            for node in nodes {
                group.addTask { try await NodeStarter(blueprint: blueprint(node), host: self.host).start(in: fabric) }
            }
            try await group.waitForAll()
        }
    }

    /// `since`: what the store says about the nodes of an earlier run is no news.
    func waitUntilReady(_ kubeconfig: Kubeconfig, within limit: Duration, since: Timestamp?) async throws {
        guard limit > .zero, !nodes.isEmpty, nodes.contains(where: \.isControlPlane) else { return }
        let readiness = Readiness(
            client: try Connect.client(kubeconfig, world: host.world), nodes: nodes.map(\.name),
            cluster: cluster, world: host.world, progress: progress, since: since,
            // Without a pod network a node never gets ready; that it is there is all that can be waited for.
            onlyRegistered: record.networking.disableDefaultCNI)
        try await progress.step("Waiting for the API server") { try await readiness.waitForAPI(within: limit) }
        try await progress.step("Waiting for \(nodes.count) \(nodes.count == 1 ? "node" : "nodes")") {
            try await readiness.waitForNodes(within: limit)
        }
    }

    func blueprint(_ node: ClusterNode) -> NodeBlueprint {
        NodeBlueprint(node, cluster: cluster, images: host.layout.images)
    }

    /// The port of the API as it was, or a free one where it never was chosen.
    static func choosePort(
        _ wanted: UInt16?, on address: IPAddress, host: Host,
        remedy: String = "choose another with --api-port, or leave it out to get a free one"
    ) async throws -> UInt16 {
        do {
            let listener = try await host.world.network.listen(on: .ip(address, port: wanted ?? 0))
            defer { listener.close() }
            if case .ip(_, let port) = listener.local { return port }
            return wanted ?? 0
        } catch let error as SystemError where error.errno == EADDRINUSE {
            throw Failure(
                "port \(wanted ?? 0) on \(address) is in use",
                remedy: remedy)
        } catch let error as SystemError where error.errno == EADDRNOTAVAIL {
            throw Failure("\(address) is no address of this machine", remedy: "choose another apiServerAddress")
        }
    }
}
