import Basics
import Cluster
import Glibc
import Linux
import Scenario

/// Clusters for scenarios that stand no others beside them: each a fork of the cluster as it was when the run began.
actor ConformanceForks {
    private static let snapshot = "conformance"
    private static let wait: Duration = .seconds(60)

    private let cluster: String
    private let environment: Environment
    private var isTaken = false
    private var taking: [CheckedContinuation<Void, Never>] = []
    private var isTaking = false

    init(cluster: String, environment: Environment) {
        self.cluster = cluster
        self.environment = environment
    }

    nonisolated var forker: Forker { { number in try await self.fork(number) } }

    private var snapshots: ClusterSnapshots {
        ClusterSnapshots(host: environment.hostOnTheSide, progress: SilentProgress())
    }

    private func fork(_ number: Int) async throws -> Ground {
        try await takeSnapshot()
        let name = "\(prefix)\(environment.processID)-\(number)"
        _ = try await snapshots.fork(cluster, into: name, snapshot: snapshotName, apiPort: nil, wait: Self.wait)
        let host = environment.hostOnTheSide
        let remove: @Sendable () async -> String? = {
            do {
                try await ClusterRemover(host: host).remove(name: name)
                return nil
            } catch { return "the cluster \(name) stays: \(error)" }
        }
        do {
            var ground = try await ConformanceTarget(cluster: name, environment).ground()
            ground.discard = remove
            return ground
        } catch {
            _ = await remove()
            throw error
        }
    }

    /// Two runs at once must not take each other's: the process's own number tells them apart.
    private var snapshotName: String { "\(Self.snapshot)-\(environment.processID)" }
    private var prefix: String { "\(cluster.prefix(20))-serial-" }

    /// Takes away what a run left that was killed.
    private func sweep() async {
        func isLeft(_ name: String, _ prefix: String) -> Bool {
            guard name.hasPrefix(prefix), let word = name.dropFirst(prefix.count).split(separator: "-").first,
                let process = Int32(word)
            else { return false }
            return kill(process, 0) != 0 && errno == ESRCH
        }
        for name in environment.host.index.names where isLeft(name, prefix) {
            try? await ClusterRemover(host: environment.host).remove(name: name)
        }
        for record in snapshots.list(of: cluster) where isLeft(record.name, "\(Self.snapshot)-") {
            try? await snapshots.delete(record.name, of: cluster)
        }
    }

    /// Once: the first one takes it, the others wait for it.
    private func takeSnapshot() async throws {
        while isTaking { await withCheckedContinuation { taking.append($0) } }
        guard !isTaken else { return }
        isTaking = true
        defer {
            isTaking = false
            for waiter in taking { waiter.resume() }
            taking = []
        }
        await sweep()
        _ = try await snapshots.take(snapshotName, of: cluster)
        isTaken = true
    }

    /// Answers what stayed.
    func end() async -> String? {
        guard isTaken else { return nil }
        do {
            try await snapshots.delete(snapshotName, of: cluster)
            return nil
        } catch { return "the snapshot \(snapshotName) stays: \(error)" }
    }
}

/// What this machine can do for a cluster that it runs.
struct LabMachinery: Machinery {
    let cluster: String
    let host: Host

    private static let wait: Duration = .seconds(60)

    func add(_ fault: FaultDeed) async throws -> String {
        let request = FaultRequest(
            kind: fault.what, at: fault.at, to: fault.to, name: fault.name, lasts: fault.lasts, percent: fault.percent,
            kilobits: try fault.rate.map { try Fault.kilobits($0) }, delay: fault.delay, isOneWay: fault.isOneWay)
        return try await Faults(cluster: cluster, host: host).add(request)
    }

    func remove(fault name: String) async throws {
        // One that was over by itself is gone, which is what is wanted.
        _ = try await Faults(cluster: cluster, host: host).remove(name)
    }

    private var snapshots: ClusterSnapshots { ClusterSnapshots(host: host, progress: SilentProgress()) }

    func takeSnapshot(_ name: String) async throws { _ = try await snapshots.take(name, of: cluster) }
    func dropSnapshot(_ name: String) async throws { try await snapshots.delete(name, of: cluster) }
    func restore(_ name: String) async throws {
        _ = try await snapshots.restore(name, of: cluster, wait: Self.wait)
    }

    func change(_ deed: NodeDeed) async throws -> [String] {
        let editor = NodeEditor(host: host, progress: SilentProgress())
        switch deed.verb {
        case .add:
            guard let count = Int(deed.what), count > 0 else {
                throw UsageError("'\(deed.what)' is no number of nodes", remedy: "such as add: 1")
            }
            return try await editor.add(count, like: NodeConfiguration(role: .worker), to: cluster, wait: Self.wait)
        case .stop:
            let name = try node(deed.what)
            try await editor.stop([name], of: cluster)
            return [name]
        case .start:
            let name = try node(deed.what)
            try await editor.start([name], of: cluster, wait: Self.wait)
            return [name]
        case .remove:
            let name = try node(deed.what)
            try await editor.remove([name], from: cluster)
            return [name]
        }
    }

    /// `worker2` is the node whose name ends so: nodes are called after the cluster that they were made in.
    private func node(_ name: String) throws -> String {
        let names = host.index.record(of: cluster)?.nodeNames ?? []
        if names.contains(name) { return name }
        guard let found = names.first(where: { $0.hasSuffix("-\(name)") }) else {
            throw Failure("there is no node '\(name)'", remedy: "nodes are \(names.joined(separator: ", "))")
        }
        return found
    }
}
