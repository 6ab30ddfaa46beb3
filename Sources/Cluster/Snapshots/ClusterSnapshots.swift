import Basics
import Client
import Document
import Glibc
import Kubelet
import Linux

/// `lab snapshot`, `lab restore` and `lab fork`: copies of a whole cluster, at one moment of it.
///
/// A running cluster is frozen while it is copied, for the time of the copy, and goes on as if nothing had been.
/// A copy has its final name only when it is whole.
public struct ClusterSnapshots: Sendable {
    let host: Host
    let progress: any Progress

    public init(host: Host, progress: any Progress) {
        self.host = host
        self.progress = progress
    }

    private var lifecycle: ClusterLifecycle { ClusterLifecycle(host: host, progress: progress) }

    // MARK: Snapshots

    public func take(_ snapshot: String, of name: String) async throws -> SnapshotRecord {
        try Self.check(snapshot: snapshot)
        let lock = try await host.lock(name)
        defer { withExtendedLifetime(lock) {} }
        let record = try host.completeRecord(of: name)
        let place = SnapshotLayout(host.layout, cluster: name, snapshot: snapshot)
        guard !Files.exists(place.directory) else {
            throw Failure(
                "cluster '\(name)' has a snapshot '\(snapshot)' already",
                remedy: "choose another name, or remove it with 'lab snapshot --delete \(name) \(snapshot)'")
        }
        // What a snapshot that was cut off has left.
        try Files.removeTree(place.partial.directory)
        do {
            try Files.makeDirectories(place.partial.directory, mode: 0o700)
            return try await progress.step("Copying cluster \"\(name)\"") {
                let bytes = try await copy(record, to: place.partial.cluster)
                let taken = SnapshotRecord(
                    name: snapshot, cluster: name, takenAt: host.world.clock.now, bytes: bytes)
                try Files.write(taken.document.json, to: place.partial.record, durable: true)
                guard rename(place.partial.directory, place.directory) == 0 else {
                    throw SystemError("rename", place.directory, errno: errno)
                }
                return taken
            }
        } catch {
            try? Files.removeTree(place.partial.directory)
            throw error
        }
    }

    /// The snapshots of one cluster, or of all.
    public func list(of cluster: String? = nil) -> [SnapshotRecord] {
        let clusters = cluster.map { [$0] } ?? (try? Files.list(host.layout.snapshots)) ?? []
        return clusters.flatMap { cluster -> [SnapshotRecord] in
            let names = (try? Files.list("\(host.layout.snapshots)/\(cluster)")) ?? []
            return names.compactMap { name in
                let place = SnapshotLayout(host.layout, cluster: cluster, snapshot: name)
                // Others are not whole, or no snapshots.
                guard (try? Self.check(snapshot: name)) != nil else { return nil }
                return (try? Files.read(place.record)).flatMap { try? Document(json: $0) }.flatMap {
                    SnapshotRecord($0)
                }
            }
        }
    }

    public func delete(_ snapshot: String, of name: String) async throws {
        try Self.check(snapshot: snapshot)
        let lock = try await host.lockName(name)
        defer { withExtendedLifetime(lock) {} }
        let place = try find(snapshot, of: name)
        // First it stops being a snapshot, then it goes.
        guard rename(place.directory, place.partial.directory) == 0 else {
            throw SystemError("rename", place.directory, errno: errno)
        }
        try await progress.step("Removing snapshot \"\(snapshot)\" of \"\(name)\"") {
            try await host.blocking.run { try Files.removeTree(place.partial.directory) }
            rmdir("\(host.layout.snapshots)/\(name)")
        }
    }

    // MARK: Restoring

    /// Puts the cluster back to where it was, also when it has been deleted since. Until the copy is whole the cluster
    /// as it is goes on.
    public func restore(_ snapshot: String, of name: String, wait: Duration) async throws -> Kubeconfig {
        try Self.check(snapshot: snapshot)
        let lock = try await host.lockName(name)
        defer { withExtendedLifetime(lock) {} }
        let place = try find(snapshot, of: name)
        try readRecord(place).check()
        let swap = DirectorySwap(host.layout, name)
        try swap.recover()
        let kubeconfig = try await progress.step("Copying snapshot \"\(snapshot)\"") {
            try Files.makeDirectories(host.layout.clusters)
            var record = try Self.record(in: place.cluster)
            record.name = name
            try await duplicate(place.cluster, record, to: swap.fresh)
            return try Kubeconfig(yaml: try Files.read("\(swap.fresh)/kubeconfig"))
        }
        try await progress.step("Replacing cluster \"\(name)\"") {
            try await lifecycle.endProcesses(of: name)
            try swap.exchange()
        }
        guard let record = host.index.record(of: name) else {
            throw Failure(
                "the record of cluster '\(name)' is unreadable", remedy: "see \(host.layout.cluster(name).record)")
        }
        try await lifecycle.startLocked(record, wait: wait)
        try? await host.blocking.run { try swap.discard() }
        return kubeconfig
    }

    // MARK: Forking

    /// Makes `new`, a second cluster that is as the first is now (or was, in a snapshot): the same objects, node names,
    /// certificates and addresses, in a network of its own. Its pods start anew from the same data.
    public func fork(
        _ name: String, into new: String, snapshot: String?, apiPort: UInt16?, wait: Duration
    ) async throws -> Kubeconfig {
        try ClusterConfiguration.check(name: name)
        try ClusterConfiguration.check(name: new)
        guard name != new else { throw Failure("a fork needs a name of its own", remedy: "lab fork \(name) NEW") }
        let target = host.layout.cluster(new)
        let newLock = try await host.lockName(new)
        defer { withExtendedLifetime(newLock) {} }
        guard !Files.exists(target.directory) else {
            throw Failure("cluster '\(new)' exists already", remedy: "choose another name, or 'lab delete \(new)'")
        }
        let lock = try await snapshot == nil ? host.lock(name) : host.lockName(name)
        defer { withExtendedLifetime(lock) {} }
        let swap = DirectorySwap(host.layout, new)
        try Files.removeTree(swap.fresh)
        do {
            let record = try await progress.step("Copying cluster \"\(name)\"") {
                try await copyForFork(name, new, snapshot: snapshot, apiPort: apiPort, to: swap.fresh)
            }
            try swap.exchange()
            try await lifecycle.startLocked(record, wait: wait)
        } catch {
            try? Files.removeTree(swap.fresh)
            try? await ClusterRemover(host: host).remove(name: new)
            throw error
        }
        return try Kubeconfig(yaml: try Files.read(target.kubeconfig))
    }

    private func copyForFork(
        _ name: String, _ new: String, snapshot: String?, apiPort: UInt16?, to fresh: String
    ) async throws -> ClusterRecord {
        var record: ClusterRecord
        if let snapshot {
            let place = try find(snapshot, of: name)
            try readRecord(place).check()
            record = try Self.record(in: place.cluster)
            record = try await forked(record, new, apiPort)
            try await duplicate(place.cluster, record, to: fresh)
        } else {
            let original = try host.completeRecord(of: name)
            record = try await forked(original, new, apiPort)
            _ = try await copy(original, to: fresh)
            try rewrite(fresh, record)
        }
        try part(record, in: fresh)
        return record
    }

    /// The fork has its own ports of the host, and uses images in its own name.
    private func part(_ record: ClusterRecord, in directory: String) throws {
        let copied = ClusterLayout(
            directory: directory, lock: "", name: record.name, images: host.layout.images, home: host.layout.home)
        do {
            try Ports.release(copied.ports)
            for node in record.nodes {
                let own = record.nodeRecord(node).document.json
                try Files.write(own, to: "\(copied.node(node.name).configuration)/node.json")
            }
        } catch {
            try? Files.removeTree(directory)
            throw error
        }
    }

    private func forked(_ record: ClusterRecord, _ new: String, _ port: UInt16?) async throws -> ClusterRecord {
        var record = record
        record.name = new
        record.phase = .stopped
        record.createdAt = host.world.clock.now
        let address = record.networking.apiServerAddress
        record.apiPort = try await ClusterStarter.choosePort(port, on: address, host: host)
        return record
    }

    // MARK: Copies

    /// Copies a cluster while nothing in it moves.
    private func copy(_ record: ClusterRecord, to target: String) async throws -> Int64 {
        let cluster = host.layout.cluster(record.name)
        let job = ClusterCopy(
            source: cluster.directory, target: target, controlPlane: Self.controlPlane(record))
        let group = try Freezer.group(cluster)
        let runs = try group.exists && !group.isFrozen()
        return try await host.blocking.run {
            if runs { try group.setFrozen(true) }
            defer { if runs { try? group.setFrozen(false) } }
            // What was written to block devices is not in their files yet.
            try LoopDevice.writeOut(in: cluster.volumeDirectories())
            return try job.run()
        }
    }

    /// Copies what no process works on, as the cluster that `record` says.
    private func duplicate(_ source: String, _ record: ClusterRecord, to target: String) async throws {
        try await host.blocking.run {
            _ = try ClusterCopy(source: source, target: target, controlPlane: Self.controlPlane(record)).run()
        }
        try rewrite(target, record)
    }

    /// The copy's own name and address.
    private func rewrite(_ directory: String, _ record: ClusterRecord) throws {
        do {
            var record = record
            record.phase = .stopped
            try Files.write(record.document.json, to: "\(directory)/cluster.json", durable: true)
            let path = "\(directory)/kubeconfig"
            let access = try Kubeconfig(yaml: try Files.read(path)).access()
            guard case .bytes(let authority)? = access.authority, case .bytes(let certificate)? = access.certificate,
                case .bytes(let key)? = access.key
            else { throw Failure("the cluster's kubeconfig holds no certificates") }
            let server = Endpoint.ip(record.networking.apiServerAddress, port: record.apiPort)
            let kubeconfig = Kubeconfig(
                name: "lab-\(record.name)", server: "https://\(server)", authority: authority,
                certificate: certificate, key: key)
            try Files.write(kubeconfig.yaml, to: path, mode: 0o600, durable: true)
        } catch {
            try? Files.removeTree(directory)
            throw error
        }
    }

    private static func controlPlane(_ record: ClusterRecord) -> String {
        let node = record.nodes.first { $0.isControlPlane }?.name ?? ""
        let layout = ClusterLayout(directory: "", lock: "", name: "", images: "", home: "")
        return String(layout.node(node).directory.dropFirst())
    }

    // MARK: Finding

    private func find(_ snapshot: String, of name: String) throws -> SnapshotLayout {
        try ClusterConfiguration.check(name: name)
        let place = SnapshotLayout(host.layout, cluster: name, snapshot: snapshot)
        guard Files.exists(place.record) else {
            let known = list(of: name).map(\.name).joined(separator: ", ")
            throw Failure(
                "cluster '\(name)' has no snapshot '\(snapshot)'",
                remedy: known.isEmpty ? "take one with 'lab snapshot \(name) \(snapshot)'" : "it has \(known)")
        }
        return place
    }

    private func readRecord(_ place: SnapshotLayout) throws -> SnapshotRecord {
        guard let record = SnapshotRecord(try Document(json: try Files.read(place.record))) else {
            throw Failure("\(place.record) describes no snapshot", remedy: "remove \(place.directory)")
        }
        return record
    }

    private static func record(in directory: String) throws -> ClusterRecord {
        let path = "\(directory)/cluster.json"
        guard let record = ClusterRecord(try Document(json: try Files.read(path))) else {
            throw Failure("\(path) describes no cluster", remedy: "take the snapshot again")
        }
        return record
    }

    static func check(snapshot: String) throws(UsageError) {
        do { try ClusterConfiguration.check(name: snapshot) } catch {
            throw UsageError("'\(snapshot)' is not a name for a snapshot", remedy: error.remedy)
        }
    }
}

/// Puts a new directory in a cluster's place. Names with a dot are no clusters, so whatever dies in between leaves the
/// old one, the new one, or (for an instant, mended by `recover`) the old one under another name.
struct DirectorySwap: Sendable {
    let current: String
    let fresh: String
    let old: String

    init(_ layout: Layout, _ name: String) {
        current = layout.cluster(name).directory
        fresh = "\(layout.clusters)/.\(name).new"
        old = "\(layout.clusters)/.\(name).old"
    }

    func recover() throws {
        if !Files.exists(current), Files.exists(old) { try Self.move(old, current) }
        try discard()
        try Files.removeTree(fresh)
    }

    func exchange() throws {
        if Files.exists(current) { try Self.move(current, old) }
        do { try Self.move(fresh, current) } catch {
            if Files.exists(old) { try? Self.move(old, current) }
            throw error
        }
    }

    func discard() throws { try Files.removeTree(old) }

    private static func move(_ from: String, _ to: String) throws {
        guard rename(from, to) == 0 else { throw SystemError("rename \(from) to", to, errno: errno) }
    }
}
