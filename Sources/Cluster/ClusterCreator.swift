import Basics
import Client
import Document
import Glibc
import Images
import Kinds
import Linux
import Runtime

/// `lab create`: an ordered list of steps. Whatever fails, what the earlier steps made is taken down again.
public struct ClusterCreator: Sendable {
    public let configuration: ClusterConfiguration
    let host: Host
    let progress: any Progress

    public init(configuration: ClusterConfiguration, host: Host, progress: any Progress) {
        self.configuration = configuration
        self.host = host
        self.progress = progress
    }

    private var name: String { configuration.name }
    private var cluster: ClusterLayout { host.layout.cluster(name) }

    /// Returns the cluster's kubeconfig once the API serves and, unless `wait` is zero, every node is ready.
    public func create(wait: Duration) async throws -> Kubeconfig {
        try configuration.check()
        try checkArchives()
        try checkPathLengths()
        try prepareHome()
        guard let lock = try FileLock(path: cluster.lock) else {
            throw Failure(
                "cluster '\(name)' is being created or deleted by another process",
                remedy: "wait for it, and see 'lab list'")
        }
        defer { withExtendedLifetime(lock) {} }
        try await clearRemains()
        do {
            return try await buildUnlessInterrupted(wait: wait)
        } catch {
            let evidence = keepEvidence()
            do {
                try await ClusterRemover(host: host).remove(name: name)
            } catch let leftover {
                progress.note("not all of it could be removed again: \(leftover)")
            }
            // A kernel that lacks something fails in many ways; the doctor names the one cause.
            for finding in await Doctor(host: host).examine() where finding.verdict == .problem {
                progress.note(
                    "\(finding.subject): \(finding.detail)\(finding.remedy.isEmpty ? "" : " → \(finding.remedy)")")
            }
            if let evidence { progress.note("the logs of the failed creation are in \(evidence)") }
            throw error
        }
    }

    /// The building is a child of its own, so that an interrupt cancels it alone and not the clean-up after it.
    private func buildUnlessInterrupted(wait: Duration) async throws -> Kubeconfig {
        try await withThrowingTaskGroup(of: Kubeconfig.self) { group in
            group.addTask { try await build(wait: wait) }
            group.addTask {
                try await host.interruption()
                throw Failure("interrupted", remedy: "what had been made is removed again")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    private func build(wait: Duration) async throws -> Kubeconfig {
        try Files.makeDirectories(cluster.directory)
        let port = try await choosePort()
        var record = ClusterRecord(
            name: name, phase: .creating, nodes: configuration.nodeNames, apiPort: port,
            createdAt: host.world.clock.now)
        try Files.write(record.document.json, to: cluster.record, durable: true)
        try Files.copy("/proc/self/exe", to: cluster.binary, mode: 0o755)

        let blueprints = makeBlueprints()
        let authority = try await progress.step("Issuing certificates") { try issueCertificates(blueprints) }
        let fabric = try await progress.step("Starting the cluster's fabric") { try await startFabric(port: port) }
        try await progress.step("Starting \(blueprints.count) nodes") { try await start(blueprints, in: fabric) }
        // Last, when the nodes are busy starting: they need images only when the first pod comes.
        try await progress.step("Loading images") { try await loadImages() }
        let kubeconfig = authority.adminKubeconfig(cluster: name, port: port)
        try Files.write(kubeconfig.yaml, to: cluster.kubeconfig, mode: 0o600, durable: true)
        if wait > .zero {
            let readiness = Readiness(
                client: try Connect.client(kubeconfig, world: host.world), nodes: configuration.nodeNames,
                cluster: cluster, world: host.world, progress: progress)
            try await progress.step("Waiting for the API server") { try await readiness.waitForAPI(within: wait) }
            try await progress.step("Waiting for \(blueprints.count) nodes") {
                try await readiness.waitForNodes(within: wait)
            }
        }
        record.phase = .running
        try Files.write(record.document.json, to: cluster.record, durable: true)
        return kubeconfig
    }

    // MARK: Before anything is made

    private func checkArchives() throws {
        for archive in configuration.imageArchives where access(archive, R_OK) != 0 {
            throw Failure(
                "cannot read the image archive \(archive): \(String(cString: strerror(errno)))",
                remedy: "make one with 'docker save -o \(archive) IMAGE' or 'skopeo copy … oci-archive:\(archive)'")
        }
    }

    private func checkPathLengths() throws {
        let longest = configuration.nodeNames.map { "\(cluster.node($0).state)/control.sock" }.max {
            $0.count < $1.count
        }
        guard let longest, longest.utf8.count > 107 else { return }
        throw Failure(
            "\(longest) is too long for a socket's path", remedy: "use a shorter name, or a shorter LAB_HOME")
    }

    private func prepareHome() throws {
        for directory in [host.layout.clusters, host.layout.images, host.layout.locks] {
            try Files.makeDirectories(directory)
        }
    }

    /// A cluster of that name that lives is the user's; one whose creation was killed is swept away.
    private func clearRemains() async throws {
        guard Files.exists(cluster.directory) else { return }
        let record = host.index.record(of: name)
        if record?.phase == .running {
            let alive = try await host.runtime.attach(stateDirectory: cluster.state) != nil
            throw Failure(
                "cluster '\(name)' exists already\(alive ? "" : ", though its processes are gone")",
                remedy: alive
                    ? "delete it with 'lab delete \(name)', or choose another name: 'lab create NAME'"
                    : "remove what is left of it with 'lab delete \(name)', then create it again")
        }
        progress.note("an earlier creation of '\(name)' was cut off; removing what it left")
        try await ClusterRemover(host: host).remove(name: name)
    }

    private func choosePort() async throws -> UInt16 {
        let wanted = Endpoint.ip(.loopback, port: configuration.apiPort ?? 0)
        do {
            let listener = try await host.world.network.listen(on: wanted)
            defer { listener.close() }
            if case .ip(_, let port) = listener.local { return port }
            return configuration.apiPort ?? 0
        } catch let error as SystemError where error.errno == EADDRINUSE {
            throw Failure(
                "port \(configuration.apiPort ?? 0) on 127.0.0.1 is in use",
                remedy: "choose another with --api-port, or leave it out to get a free one")
        }
    }

    // MARK: Steps

    private func loadImages() async throws {
        let archives = configuration.imageArchives
        let root = host.layout.images
        let binary = cluster.binary
        let progress = self.progress
        try await host.blocking.run {
            let store = try ImageStore(root: root)
            _ = try store.ensureTestbox(binary: binary)
            for archive in archives {
                progress.waiting(for: archive)
                _ = try store.load(archive: archive, progress: { progress.waiting(for: $0) })
            }
        }
    }

    private func makeBlueprints() -> [NodeBlueprint] {
        configuration.nodeNames.enumerated().map { index, node in
            NodeBlueprint(
                name: node, layout: cluster.node(node), address: Addresses.node(index), isControlPlane: index == 0,
                binary: cluster.binary, images: host.layout.images)
        }
    }

    private func issueCertificates(_ blueprints: [NodeBlueprint]) throws -> ClusterAuthority {
        let authority = try ClusterAuthority(cluster: name, now: host.world.clock.now)
        for (index, blueprint) in blueprints.enumerated() {
            let layout = blueprint.layout
            for directory in [layout.root, layout.configuration, layout.data, layout.state] {
                try Files.makeDirectories(directory)
            }
            for path in NodeBlueprint.skeleton { try Files.makeDirectories("\(layout.root)/\(path)") }
            for path in NodeBlueprint.dataSkeleton { try Files.makeDirectories("\(layout.data)/\(path)") }
            try Files.write([], to: "\(layout.root)/bin/lab", mode: 0o755)
            var record = NodeRecord(cluster: name, name: blueprint.name, index: index)
            record.controllers = configuration.controllers
            record.leaderElection = configuration.leaderElection
            try Files.write(record.document.json, to: "\(layout.configuration)/node.json")
            try host.writeNameFiles(for: blueprint, nodes: configuration.nodeNames)
            try authority.writeFiles(for: record, into: "\(layout.configuration)/pki")
        }
        return authority
    }

    private func startFabric(port: UInt16) async throws -> Fabric {
        try Files.makeDirectories(cluster.logs)
        let fabric = try await Fabric.start(cluster: cluster, binary: cluster.binary)
        try await Ports(configuration: configuration, cluster: cluster, world: host.world).publish(
            apiPort: port, through: fabric)
        return fabric
    }

    private func start(_ blueprints: [NodeBlueprint], in fabric: Fabric) async throws {
        try await withThrowingTaskGroup { group in
            for blueprint in blueprints {
                group.addTask { try await NodeStarter(blueprint: blueprint, host: self.host).start(in: fabric) }
            }
            try await group.waitForAll()
        }
    }

    /// Copies the logs to where the removal does not reach; the newest failure of a name replaces the one before.
    private func keepEvidence() -> String? {
        let target = "\(host.layout.failed)/\(name)"
        do {
            try Files.removeTree(target)
            try Files.makeDirectories(target)
            for node in configuration.nodeNames {
                let logs = "\(cluster.node(node).data)/log/lab"
                for file in (try? Files.list(logs)) ?? [] {
                    try Files.copy("\(logs)/\(file)", to: "\(target)/\(node)-\(file)")
                }
            }
            for file in (try? Files.list(cluster.logs)) ?? [] {
                try Files.copy("\(cluster.logs)/\(file)", to: "\(target)/\(file)")
            }
            guard try !Files.list(target).isEmpty else {
                try Files.removeTree(target)
                return nil
            }
            return target
        } catch {
            return nil
        }
    }
}
