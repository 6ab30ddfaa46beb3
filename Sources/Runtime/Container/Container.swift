import CLinux
import Document
import Glibc
import Linux

/// A container of the command line, as it stands in its store.
public struct Container {
    public let store: ContainerStore
    public let record: ContainerRecord

    public var id: String { record.id }
    private var directory: String { store.directory(record.id) }

    public func status() -> ContainerStatus {
        guard record.process.pid > 0 else { return .creating }
        guard record.process.isAlive else { return .stopped }
        if Files.exists("\(directory)/\(ContainerStore.gate)") { return .created }
        return (try? group().isFrozen()) == true ? .paused : .running
    }

    public func group() throws -> Cgroup {
        record.cgroup.isEmpty ? .none : try Cgroup(record.cgroup, layout: .ofProcess())
    }

    public func configuration() throws -> ContainerConfiguration {
        try ConfigurationReader.read(
            json: Files.read("\(directory)/\(ContainerStore.configurationFile)"), bundle: record.bundle)
    }

    private func laterHooks(_ kind: Hook.Kind) throws -> [Hook] {
        try (record.laterHooks ?? configuration().hooks)[kind] ?? []
    }

    /// As `state` prints it.
    public func stateDocument() -> Document {
        let status = status()
        var document: Document = ["ociVersion": Document(record.version), "id": Document(id)]
        document["pid"] = Document(status == .stopped ? 0 : Int(record.process.pid))
        document["status"] = Document(status.rawValue)
        document["bundle"] = Document(record.bundle)
        document["rootfs"] = Document(record.rootPath)
        document["created"] = Document(record.created)
        if !record.annotations.isEmpty {
            document["annotations"] = Document(
                members: record.annotations.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
        }
        document["owner"] = Document(owner)
        return document
    }

    public var owner: String {
        var info = stat()
        guard stat(directory, &info) == 0, let entry = getpwuid(info.st_uid) else { return "" }
        return String(cString: entry.pointee.pw_name)
    }

    // MARK: Starting

    /// Lets the process go and returns once its program runs. What `poststart` hooks say is only to be warned about.
    public func start() throws -> [String] {
        let lock = try store.lock(id)
        defer { withExtendedLifetime(lock) {} }
        switch status() {
        case .created: break
        case .stopped: throw ContainerError("cannot start a container that has stopped")
        case .creating: throw ContainerError("cannot start a container that is still being created")
        case .running, .paused: throw ContainerError("cannot start an already running container")
        }
        try openGate()
        let hooks = try laterHooks(.poststart)
        do { try HookRunner(state: record.stateDocument(.running)).run(hooks, kind: .poststart) } catch {
            return ["\(error)"]
        }
        return []
    }

    private func openGate() throws {
        let gatePath = "\(directory)/\(ContainerStore.gate)", statusPath = "\(directory)/\(ContainerStore.gateStatus)"
        let status = Descriptor(open(statusPath, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW))
        guard status.number >= 0 else { throw SystemError("open", statusPath, errno: errno) }
        let gate = Descriptor(open(gatePath, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW))
        guard gate.number >= 0 else {
            // Nobody waits there any more.
            throw errno == ENXIO
                ? ContainerError("cannot start: the container's process has ended")
                : SystemError("open", gatePath, errno: errno)
        }
        unlink(gatePath)
        unlink(statusPath)
        try Files.writeAll([1], to: gate.number, name: gatePath)
        var request = pollfd(fd: status.number, events: Int16(POLLIN), revents: 0)
        while poll(&request, 1, -1) < 0, errno == EINTR {}
        var failure = lab_failure()
        let size = MemoryLayout<lab_failure>.size
        let count = withUnsafeMutableBytes(of: &failure) { read(status.number, $0.baseAddress, size) }
        guard count == size else { return }
        let detail = withUnsafeBytes(of: &failure.detail) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        throw try plan().error(step: failure.step, errno: failure.error, detail: detail)
    }

    /// The plan that the process carries out, again: it names the step that failed.
    private func plan() throws -> Plan {
        let group = try group()
        let state = record.stateAroundPID(.created)
        return try ContainerCompiler.create(
            configuration(),
            ContainerCompiler.Surroundings(
                id: id, bundle: record.bundle, stateDirectory: directory, layout: .ofProcess(), cgroup: group,
                creating: state, created: state))
    }

    // MARK: Signals

    public func kill(_ signal: Int32, all: Bool) throws {
        let status = status()
        if all {
            // Also when the first process is gone: others may live on in a shared pid namespace.
            for pid in try group().processes() { Glibc.kill(pid, signal) }
            return
        }
        guard status != .stopped, status != .creating else { throw ContainerError("container not running") }
        let process = Descriptor(lab_pidfd_open(record.process.pid))
        guard process.number >= 0, record.process.isAlive, lab_pidfd_signal(process.number, signal) == 0 else {
            if process.number < 0 || errno == ESRCH || !record.process.isAlive {
                throw ContainerError("container not running")
            }
            throw SystemError("kill", "\(record.process.pid)", errno: errno)
        }
        // A frozen process of v1 does not even die until it is thawed.
        if signal == SIGKILL, status == .paused { try group().setFrozen(false) }
    }

    public func setPaused(_ paused: Bool) throws {
        let now = status()
        guard paused ? now == .running || now == .created : now == .paused else {
            throw ContainerError(paused ? "container not running" : "container not paused")
        }
        try group().setFrozen(paused)
    }

    // MARK: The end

    private static let patienceMilliseconds: Int32 = 10_000

    /// Removes a stopped container; with `force` whatever state it is in.
    public func delete(force: Bool) throws -> [String] {
        let lock = try store.lock(id)
        defer { withExtendedLifetime(lock) {} }
        switch status() {
        case .stopped: break
        case .created:
            // Nothing of the user's runs yet.
            try end()
        case let state:
            guard force else {
                throw ContainerError("cannot delete container \(id) that is not stopped: \(state.rawValue)")
            }
            try end()
        }
        return try remove()
    }

    private func end() throws {
        guard record.process.isAlive else { return }
        let process = Descriptor(lab_pidfd_open(record.process.pid))
        guard process.number >= 0, record.process.isAlive else { return }
        lab_pidfd_signal(process.number, SIGKILL)
        if try group().isFrozen() { try group().setFrozen(false) }
        var ended = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
        guard poll(&ended, 1, Self.patienceMilliseconds) > 0 else {
            throw ContainerError("container init still running")
        }
    }

    /// The group with all that is left in it, the state, and then the hooks; theirs are only warnings.
    func remove() throws -> [String] {
        let hooks = (try? laterHooks(.poststop)) ?? []
        if try group().isFrozen() { try group().setFrozen(false) }
        try group().remove()
        try Files.removeTree(directory)
        do { try HookRunner(state: record.stateDocument(.stopped)).run(hooks, kind: .poststop) } catch {
            return ["\(error)"]
        }
        return []
    }
}
