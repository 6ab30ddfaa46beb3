import Basics
import Client
import Document
import Glibc
import Kubelet
import Linux
import Runtime

/// `lab stop`, `start`, `pause` and `resume`. All that a cluster is lies in its directory: stopping ends its processes
/// and starting makes new ones, whether they were stopped, killed, or went with the machine.
public struct ClusterLifecycle: Sendable {
    let host: Host
    let progress: any Progress

    public init(host: Host, progress: any Progress) {
        self.host = host
        self.progress = progress
    }

    /// Ends every process at once, as a power cut would: the store and the volumes hold what was written.
    public func stop(_ name: String) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        let record = try host.completeRecord(of: name)
        guard record.phase != .stopped else { return progress.note("cluster '\(name)' is stopped already") }
        try await progress.step("Stopping cluster \"\(name)\"") {
            try await endProcesses(of: name)
            try host.write(record, phase: .stopped)
        }
    }

    public func start(_ name: String, wait: Duration) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        let record = try host.completeRecord(of: name)
        let entry = await host.index.entry(name)
        switch entry?.state {
        case .running:
            let down = entry?.down ?? []
            return progress.note(
                "cluster '\(name)' runs already"
                    + (down.isEmpty
                        ? ""
                        : ", without \(down.joined(separator: ", ")): 'lab node start --cluster \(name) "
                            + "\(down.joined(separator: " "))' starts what is missing"))
        case .paused:
            throw Failure("cluster '\(name)' is paused", remedy: "let it go on with 'lab resume \(name)'")
        default: break
        }
        try await startLocked(record, wait: wait)
    }

    /// The caller holds the lock. A cluster that does not get up is ended again, and stays as it was.
    func startLocked(_ record: ClusterRecord, wait: Duration) async throws {
        let cluster = host.layout.cluster(record.name)
        do {
            try await withInterruption { try await bringUp(record, cluster, wait: wait) }
        } catch {
            let evidence = Evidence(host: host).keep(record.name, nodes: record.nodeNames)
            try? await endProcesses(of: record.name)
            if let evidence { progress.note("the logs of the failed start are in \(evidence)") }
            throw error
        }
    }

    private func bringUp(_ record: ClusterRecord, _ cluster: ClusterLayout, wait: Duration) async throws {
        // What a kill or a restart of the machine has left of the last run.
        try await endProcesses(of: record.name)
        let begun = host.world.clock.now
        _ = try await ClusterStarter.choosePort(
            record.apiPort, on: record.networking.apiServerAddress, host: host,
            remedy: "the cluster's API has that port: end what uses it ('ss -ltnp' tells what)")
        let files = NodeFiles(cluster: cluster, record: record)
        for node in record.nodes { try files.writeNames(node) }
        let starter = ClusterStarter(record: record, host: host, progress: progress)
        try await starter.ports.renew()
        let fabric = try await progress.step("Starting the cluster's fabric") { try await starter.startFabric() }
        let count = record.nodes.count { !$0.isStopped }
        try await progress.step("Starting \(count) \(count == 1 ? "node" : "nodes")") {
            try await starter.startNodes(in: fabric)
        }
        // From here on its processes are there, whether or not all gets ready in time.
        try host.write(record, phase: .running)
        let kubeconfig = try Kubeconfig(yaml: try Files.read(cluster.kubeconfig))
        do { try await starter.waitUntilReady(kubeconfig, within: wait, since: begun) } catch {
            try? host.write(record, phase: record.phase)
            throw error
        }
    }

    /// An interrupt cancels the body alone, and not the clean-up after it.
    private func withInterruption(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await host.interruption()
                throw Failure("interrupted", remedy: "the cluster is as it was before")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Ends the supervisor and with it everything in its namespaces, frozen or not; the directories stay.
    func endProcesses(of name: String) async throws {
        let cluster = host.layout.cluster(name)
        let group = try Cgroup(cluster.cgroup, layout: try CgroupLayout.ofProcess())
        // The kernel keeps even a SIGKILL from the frozen: the whole of a paused cluster, or what a fault froze.
        try await host.blocking.run { try group.thawAll() }
        if let supervisor = try? await host.runtime.attach(stateDirectory: cluster.state) {
            try await supervisor.destroy()
        }
        try await host.blocking.run {
            try group.remove()
            group.removeEmptyParents()
            // Devices that show volumes' files are the kernel's, and stay when all who used them are gone.
            try LoopDevice.detachAll(in: cluster.volumeDirectories())
        }
    }

    // MARK: Pausing

    public func pause(_ name: String) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        _ = try host.completeRecord(of: name)
        switch await host.index.entry(name)?.state {
        case .paused: return progress.note("cluster '\(name)' is paused already")
        case .running: break
        case let state:
            throw state?.obstacle(name)
                ?? Failure("cluster '\(name)' is \(state?.rawValue ?? "gone")", remedy: "see 'lab list'")
        }
        try await progress.step("Pausing cluster \"\(name)\"") {
            let cluster = host.layout.cluster(name)
            try await host.blocking.run { try Freezer.group(cluster).setFrozen(true) }
        }
    }

    public func resume(_ name: String) async throws {
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        _ = try host.completeRecord(of: name)
        let cluster = host.layout.cluster(name)
        guard Freezer.isFrozen(cluster) else { return progress.note("cluster '\(name)' is not paused") }
        try await progress.step("Resuming cluster \"\(name)\"") { try Freezer.group(cluster).setFrozen(false) }
    }
}

/// A cluster's processes, frozen all at once through its control group.
enum Freezer {
    static func group(_ cluster: ClusterLayout) throws -> Cgroup {
        try Cgroup(cluster.cgroup, layout: try CgroupLayout.ofProcess())
    }

    static func isFrozen(_ cluster: ClusterLayout) -> Bool { (try? group(cluster).isFrozen()) == true }
}

extension Host {
    /// Keeps other commands from changing the cluster for as long as it lives.
    func lock(_ name: String) async throws -> FileLock {
        try ClusterConfiguration.check(name: name)
        try expect(name)
        let lock = try await lockName(name)
        // Who was waited for may have deleted it.
        try expect(name)
        return lock
    }

    private func expect(_ name: String) throws {
        guard Files.exists(layout.cluster(name).directory) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
    }

    /// The same for a name that nobody has yet. Another command is waited for: few take longer than a second.
    public func lockName(_ name: String) async throws -> FileLock {
        try Files.makeDirectories(layout.locks)
        let end = world.clock.uptime + .seconds(30)
        while true {
            if let lock = try FileLock(path: layout.cluster(name).lock) { return lock }
            guard world.clock.uptime < end else {
                throw Failure(
                    "cluster '\(name)' is being changed by another process",
                    remedy: "wait for it, and see 'lab list'")
            }
            try await world.clock.sleep(for: .milliseconds(10))
        }
    }

    /// The record of a cluster that was made to its end.
    func completeRecord(of name: String) throws -> ClusterRecord {
        guard let record = index.record(of: name), record.phase != .creating else {
            throw Failure(
                "the creation of cluster '\(name)' was cut off", remedy: "remove what it left with 'lab delete \(name)'"
            )
        }
        return record
    }

    func write(_ record: ClusterRecord, phase: ClusterRecord.Phase) throws {
        var record = record
        record.phase = phase
        try Files.write(record.document.json, to: layout.cluster(record.name).record, durable: true)
    }

    /// The administrator's client of a running cluster.
    func client(of name: String) throws -> APIClient {
        try Connect.client(try Kubeconfig(yaml: try Files.read(layout.cluster(name).kubeconfig)), world: world)
    }
}
