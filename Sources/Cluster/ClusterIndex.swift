import Basics
import Document
import Glibc
import Linux
import Runtime

/// The clusters of this machine, as their records and their supervisors tell.
public struct ClusterIndex: Sendable {
    public enum State: String, Sendable {
        case running
        /// Somebody holds the cluster's lock: a creation or a deletion is under way.
        case busy
        /// A creation was killed half-way; `create` starts over, `delete` removes the remains.
        case incomplete
        /// Stopped by the user, to be started again.
        case stopped
        /// All its processes are frozen.
        case paused
        /// The supervisor is gone: killed, or the machine was restarted; `start` brings it back.
        case dead
        /// Its supervisor may not be asked by this user.
        case unknown

        /// Why a cluster in this state answers nobody, and what helps; nil where it may.
        public func obstacle(_ name: String) -> Failure? {
            switch self {
            case .paused:
                Failure("cluster '\(name)' is paused", remedy: "let it go on with 'lab resume \(name)'")
            case .stopped, .dead:
                Failure(
                    "cluster '\(name)' is not running, but \(rawValue)", remedy: "start it with 'lab start \(name)'")
            case .incomplete:
                Failure(
                    "cluster '\(name)' was never finished",
                    remedy: "'lab create \(name)' starts over, 'lab delete \(name)' removes the remains")
            case .running, .busy, .unknown: nil
            }
        }
    }

    public struct Entry: Sendable {
        public var record: ClusterRecord
        public var state: State
        /// Nodes of a running cluster that do not run: stopped, or killed.
        public var down: [String] = []
    }

    let layout: Layout
    let runtime: any SandboxRuntime

    public init(layout: Layout, runtime: any SandboxRuntime) {
        self.layout = layout
        self.runtime = runtime
    }

    public var names: [String] {
        let found = (try? Files.list(layout.clusters)) ?? []
        return found.filter { name in
            guard (try? ClusterConfiguration.check(name: name)) != nil else { return false }
            var status = stat()
            return lstat(layout.cluster(name).directory, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }

    public func record(of name: String) -> ClusterRecord? {
        guard let bytes = try? Files.read(layout.cluster(name).record), let document = try? Document(json: bytes) else {
            return nil
        }
        return ClusterRecord(document)
    }

    public func entry(_ name: String) async -> Entry? {
        guard names.contains(name) else { return nil }
        let cluster = layout.cluster(name)
        let record =
            record(of: name)
            ?? ClusterRecord(
                name: name, phase: .creating, nodes: [], apiPort: 0, createdAt: Timestamp(seconds: 0))
        if record.phase == .stopped { return Entry(record: record, state: .stopped) }
        if record.phase == .running {
            var entry = Entry(record: record, state: await state(of: cluster))
            if entry.state == .running { entry.down = record.nodes.filter { !isUp($0, of: name) }.map(\.name) }
            return entry
        }
        // Looking must not get in the way of a creation that begins now: the lock is held for an instant only.
        let free = (try? FileLock(path: cluster.lock)) ?? nil
        return Entry(record: record, state: free == nil ? .busy : .incomplete)
    }

    private func state(of cluster: ClusterLayout) async -> State {
        // A frozen supervisor answers nobody.
        if Freezer.isFrozen(cluster) { return .paused }
        do {
            return try await runtime.attach(stateDirectory: cluster.state) == nil ? .dead : .running
        } catch let error as SystemError where error.errno == EACCES || error.errno == EPERM {
            return .unknown
        } catch {
            return .dead
        }
    }

    /// Whether the node's supervisor is there; one that is frozen is. Those that may not be asked pass for up.
    func isUp(_ node: ClusterNode, of name: String) -> Bool {
        if node.isStopped { return false }
        do {
            return try LinuxSupervisor.processID(stateDirectory: layout.cluster(name).node(node.name).state) != nil
        } catch { return true }
    }

    /// What to do where the API of a cluster that runs does not answer.
    func remedy(_ record: ClusterRecord) -> String {
        if let control = record.nodes.first(where: { $0.isControlPlane && !isUp($0, of: record.name) }) {
            return "its control plane does not run: lab node start --cluster \(record.name) \(control.name)"
        }
        return "a fault may hold it up ('lab fault list --cluster \(record.name)'), or "
            + "'lab export logs --name \(record.name)' tells what is wrong"
    }

    public func all() async -> [Entry] {
        var entries: [Entry] = []
        for name in names { if let entry = await entry(name) { entries.append(entry) } }
        return entries
    }
}
