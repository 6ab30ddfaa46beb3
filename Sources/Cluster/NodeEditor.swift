import Basics
import Client
import Document
import Glibc
import Kinds
import Kubelet
import Linux
import Runtime
import Wire

/// `lab node add | remove | stop | start`: changes the nodes of a living cluster.
public struct NodeEditor: Sendable {
    let host: Host
    let progress: any Progress

    public init(host: Host, progress: any Progress) {
        self.host = host
        self.progress = progress
    }

    /// Adds workers that are alike; answers their names.
    public func add(
        _ count: Int, like configuration: NodeConfiguration, to name: String, wait: Duration
    ) async throws -> [String] {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        var record = try host.completeRecord(of: name)
        let fabric = try await runningFabric(name)
        try check(count, record)
        let cluster = host.layout.cluster(name)
        let begun = host.world.clock.now
        var added: [ClusterNode] = []
        for _ in 0..<count {
            let node = ClusterNode(
                name: record.nextWorkerName(), index: record.nextIndex(), configuration: configuration)
            record.nodes.append(node)
            added.append(node)
        }
        let files = NodeFiles(cluster: cluster, record: record)
        let control = record.nodes.first { $0.isControlPlane }?.name ?? ""
        do {
            try await progress.step("Issuing certificates") { [added] in
                let authority = try ClusterAuthority(
                    pki: "\(cluster.node(control).configuration)/pki", now: begun)
                for node in added {
                    // What a removal that was cut off has left under that name.
                    try Files.removeTree(cluster.node(node.name).directory)
                    try files.make(node, authority: authority)
                }
            }
            // Written before anything runs: whatever dies later leaves a trace.
            try host.write(record, phase: .running)
            for node in record.nodes { try files.writeNames(node) }
            let starter = ClusterStarter(record: record, host: host, progress: progress)
            try await progress.step("Starting \(count) \(count == 1 ? "node" : "nodes")") { [added] in
                for node in added {
                    try await NodeStarter(blueprint: starter.blueprint(node), host: host).start(in: fabric)
                }
            }
        } catch {
            for node in added { try? await end(node, in: fabric, cluster, removing: true) }
            record.nodes.removeAll { node in added.contains { $0.name == node.name } }
            try? host.write(record, phase: .running)
            throw error
        }
        if wait > .zero { try await waitFor(added, record, since: begun, within: wait) }
        return added.map(\.name)
    }

    private func check(_ count: Int, _ record: ClusterRecord) throws {
        let workers = record.nodes.count { !$0.isControlPlane }
        try ClusterConfiguration.check(workers: workers + count)
        guard record.nodes.count + count <= 1 << max(0, 24 - record.networking.podSubnet.prefix) else {
            throw Failure(
                "the pod subnet \(record.networking.podSubnet) has no /24 for another node",
                remedy: "create the cluster with a larger podSubnet")
        }
    }

    /// Takes workers away for good: their pods are deleted, their data is removed.
    public func remove(_ names: [String], from name: String) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        var record = try host.completeRecord(of: name)
        let fabric = try await runningFabric(name)
        let cluster = host.layout.cluster(name)
        let nodes = try names.map { try find($0, in: record) }
        if let control = nodes.first(where: \.isControlPlane) {
            throw Failure(
                "\(control.name) is the control plane, which a cluster cannot be without",
                remedy: "remove the cluster with 'lab delete \(name)'")
        }
        let client = try host.client(of: name)
        try await expectAnswer(client, record)
        let ports = PortsClient(cluster: cluster, world: host.world)
        let published = try await ports.list().map(\.port).filter { names.contains($0.node) }
        if !published.isEmpty { _ = try await ports.remove(published) }
        for node in nodes {
            try await progress.step("Removing node \(node.name)") {
                // Its files go last: what fails before leaves a node that is stopped, and can be removed again.
                try await end(node, in: fabric, cluster, removing: false)
                record.set(stopped: true, node.name)
                try host.write(record, phase: .running)
                try await forget(node, client)
                record.nodes.removeAll { $0.name == node.name }
                try host.write(record, phase: .running)
                try await host.blocking.run { try Files.removeTree(cluster.node(node.name).directory) }
            }
        }
        let files = NodeFiles(cluster: cluster, record: record)
        for node in record.nodes { try files.writeNames(node) }
    }

    public func stop(_ names: [String], of name: String) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        var record = try host.completeRecord(of: name)
        let fabric = try await runningFabric(name)
        for node in try names.map({ try find($0, in: record) }) {
            guard !node.isStopped else {
                progress.note("node \(node.name) is stopped already")
                continue
            }
            try await progress.step("Stopping node \(node.name)") {
                try await end(node, in: fabric, host.layout.cluster(name), removing: false)
                record.set(stopped: true, node.name)
                try host.write(record, phase: .running)
            }
        }
    }

    /// Nodes that were stopped, or whose processes are gone. Answers which it started.
    @discardableResult
    public func start(_ names: [String], of name: String, wait: Duration) async throws -> [String] {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        var record = try host.completeRecord(of: name)
        let fabric = try await runningFabric(name)
        let begun = host.world.clock.now
        var started: [ClusterNode] = []
        for node in try names.map({ try find($0, in: record) }) {
            if !node.isStopped {
                guard !host.index.isUp(node, of: name) else {
                    progress.note("node \(node.name) runs already")
                    continue
                }
                try await end(node, in: fabric, host.layout.cluster(name), removing: false)
            }
            record.set(stopped: false, node.name)
            let starter = ClusterStarter(record: record, host: host, progress: progress)
            try await progress.step("Starting node \(node.name)") {
                try await NodeStarter(blueprint: starter.blueprint(node), host: host).start(in: fabric)
                try host.write(record, phase: .running)
            }
            started.append(node)
        }
        if wait > .zero, !started.isEmpty { try await waitFor(started, record, since: begun, within: wait) }
        return started.map(\.name)
    }

    // MARK: Steps

    private func find(_ node: String, in record: ClusterRecord) throws -> ClusterNode {
        if let found = record.nodes.first(where: { $0.name == node }) { return found }
        throw Failure(
            "cluster '\(record.name)' has no node '\(node)'",
            remedy: "it has \(record.nodeNames.joined(separator: ", "))")
    }

    /// Before anything is done that cannot be undone without it.
    private func expectAnswer(_ client: APIClient, _ record: ClusterRecord) async throws {
        let silent = Failure(
            "the API server of cluster '\(record.name)' does not answer", remedy: host.index.remedy(record))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { _ = try await client.list(.nodes, limit: 1) } catch let error where Connect.isSilence(error) {
                    throw silent
                }
            }
            group.addTask {
                try await host.world.clock.sleep(for: .seconds(5))
                throw silent
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func runningFabric(_ name: String) async throws -> Fabric {
        let cluster = host.layout.cluster(name)
        guard !Freezer.isFrozen(cluster) else {
            throw Failure("cluster '\(name)' is paused", remedy: "let it go on with 'lab resume \(name)'")
        }
        guard let supervisor = try await host.runtime.attach(stateDirectory: cluster.state) else {
            throw Failure("cluster '\(name)' is not running", remedy: "start it with 'lab start \(name)'")
        }
        return Fabric(cluster: cluster, sandbox: supervisor)
    }

    /// Ends the node's supervisor, which is the first process of its pid namespace, and so all that runs on it.
    private func end(
        _ node: ClusterNode, in fabric: Fabric, _ cluster: ClusterLayout, removing: Bool
    ) async throws {
        let layout = cluster.node(node.name)
        let group = try Cgroup(layout.cgroup, layout: try CgroupLayout.ofProcess())
        // A fault may have frozen it, and the frozen do not even die.
        try await host.blocking.run { try group.thawAll() }
        do { try await fabric.sandbox.remove(node.name) } catch let error as SystemError where error.errno == ENOENT {}
        try fabric.disconnect(index: node.index)
        try await host.blocking.run {
            try group.remove()
            try LoopDevice.detachAll(in: ["\(layout.data)/\(NodeLayout.volumes)"])
            if removing { try Files.removeTree(layout.directory) }
        }
    }

    /// The node's object goes, and the pods that were bound to it: nobody is there to end them in order.
    private func forget(_ node: ClusterNode, _ client: APIClient) async throws {
        let pods = try await client.list(.pods, fieldSelector: "spec.nodeName=\(node.name)")
        do { _ = try await client.delete(.nodes, name: node.name) } catch let status as APIStatus
            where status.isNotFound
        {}
        let now: Document = ["apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0]
        for pod in pods.list("items") {
            guard let name = pod.text("metadata", "name") else { continue }
            do {
                _ = try await client.delete(
                    .pods, namespace: pod.text("metadata", "namespace"), name: name, options: now)
            } catch let status as APIStatus where status.isNotFound {}
        }
    }

    private func waitFor(
        _ nodes: [ClusterNode], _ record: ClusterRecord, since: Timestamp, within limit: Duration
    ) async throws {
        let readiness = Readiness(
            client: try host.client(of: record.name), nodes: nodes.map(\.name),
            cluster: host.layout.cluster(record.name), world: host.world, progress: progress, since: since,
            onlyRegistered: record.networking.disableDefaultCNI)
        if nodes.contains(where: \.isControlPlane) {
            try await progress.step("Waiting for the API server") { try await readiness.waitForAPI(within: limit) }
        }
        try await progress.step("Waiting for \(nodes.count) \(nodes.count == 1 ? "node" : "nodes")") {
            try await readiness.waitForNodes(within: limit)
        }
    }
}

extension ClusterRecord {
    mutating func set(stopped: Bool, _ name: String) {
        for index in nodes.indices where nodes[index].name == name { nodes[index].isStopped = stopped }
    }
}

extension Fabric {
    /// Removes a node's port of the bridge, in case the kernel is still busy ending the node's namespace.
    func disconnect(index: Int) throws {
        let route = try RouteSocket(in: try NetworkNamespace(processID: sandbox.pid))
        guard let link = try route.link(named: "node\(index)") else { return }
        do { try route.delete(linkIndex: link.index) } catch let error as SystemError where error.errno == ENODEV {}
    }
}
