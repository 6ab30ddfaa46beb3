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
    /// Whether a cluster whose creation fails stays, to be looked at.
    let retain: Bool

    public init(configuration: ClusterConfiguration, host: Host, progress: any Progress, retain: Bool = false) {
        self.configuration = configuration
        self.host = host
        self.progress = progress
        self.retain = retain
    }

    private var name: String { configuration.name }
    private var cluster: ClusterLayout { host.layout.cluster(name) }

    /// Returns the cluster's kubeconfig once the API serves and, unless `wait` is zero, every node is ready.
    public func create(wait: Duration) async throws -> Kubeconfig {
        try configuration.check()
        try checkArchives()
        try checkPathLengths()
        try prepareHome()
        try makeMountSources()
        for note in configuration.notes { progress.note(note) }
        let lock = try await host.lockName(name)
        defer { withExtendedLifetime(lock) {} }
        try await clearRemains()
        do {
            return try await buildUnlessInterrupted(wait: wait)
        } catch {
            let evidence = Evidence(host: host).keep(name, nodes: configuration.nodeNames)
            if retain {
                progress.note("what was made is kept in \(cluster.directory); remove it with 'lab delete \(name)'")
            } else {
                do { try await ClusterRemover(host: host).remove(name: name) } catch let leftover {
                    progress.note("not all of it could be removed again: \(leftover)")
                }
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
        let address = configuration.networking.apiServerAddress
        let port = try await ClusterStarter.choosePort(configuration.apiPort, on: address, host: host)
        var record = ClusterRecord(configuration, apiPort: port, createdAt: host.world.clock.now)
        try Files.write(record.document.json, to: cluster.record, durable: true)
        try Files.copy("/proc/self/exe", to: cluster.binary, mode: 0o755)

        let starter = ClusterStarter(record: record, host: host, progress: progress)
        let authority = try await progress.step("Issuing certificates") { try issueCertificates(record) }
        try await starter.ports.write(configuration.allPorts)
        let fabric = try await progress.step("Starting the cluster's fabric") { try await starter.startFabric() }
        try await progress.step("Starting \(record.nodes.count) \(record.nodes.count == 1 ? "node" : "nodes")") {
            try await starter.startNodes(in: fabric)
        }
        // Last, when the nodes are busy starting: they need images only when the first pod comes.
        try await progress.step("Loading images") { try await loadImages() }
        let kubeconfig = try authority.adminKubeconfig(cluster: name, server: .ip(address, port: port))
        try Files.write(kubeconfig.yaml, to: cluster.kubeconfig, mode: 0o600, durable: true)
        try await starter.waitUntilReady(kubeconfig, within: wait, since: nil)
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
        if let record = host.index.record(of: name), record.phase != .creating {
            let state = await host.index.entry(name)?.state ?? .dead
            let remedy =
                switch state {
                case .stopped, .dead: "start it again with 'lab start \(name)', or remove it with 'lab delete \(name)'"
                case .paused: "let it go on with 'lab resume \(name)', or remove it with 'lab delete \(name)'"
                default: "delete it with 'lab delete \(name)', or choose another name: 'lab create NAME'"
                }
            let how =
                switch state {
                case .stopped, .paused: ", and is \(state.rawValue)"
                case .dead: ", though its processes are gone"
                default: ""
                }
            throw Failure("cluster '\(name)' exists already\(how)", remedy: remedy)
        }
        progress.note("an earlier creation of '\(name)' was cut off; removing what it left")
        try await ClusterRemover(host: host).remove(name: name)
    }

    /// As docker does: a directory that is not there is made.
    private func makeMountSources() throws {
        for mount in configuration.nodes.flatMap(\.extraMounts) where !Files.exists(mount.hostPath) {
            try Files.makeDirectories(mount.hostPath)
            progress.note("made the directory \(mount.hostPath), which is to be mounted into nodes")
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

    private func issueCertificates(_ record: ClusterRecord) throws -> ClusterAuthority {
        let authority = try ClusterAuthority(cluster: name, now: host.world.clock.now)
        let files = NodeFiles(cluster: cluster, record: record)
        for node in record.nodes { try files.make(node, authority: authority) }
        return authority
    }
}
