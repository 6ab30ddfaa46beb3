import Basics
import Document
import Glibc
import Linux
import Runtime

/// Breaks something and mends it again: the part of a fault that has to be done by somebody who lives as long as it.
///
/// For a fault with an end it is a process below the cluster's supervisor (for a disk: below the node's), so that the
/// fault ends in time whatever became of the tool that began it, and with the cluster in any case. It says how it went
/// in the file that describes the fault: `state` is `active`, or `problem` tells what went wrong.
public struct FaultKeeper: Sendable {
    let file: String
    let host: Host
    /// Nil inside of a node.
    let cluster: String?

    public init(file: String, cluster: String?, host: Host) {
        self.file = file
        self.cluster = cluster
        self.host = host
    }

    private func read() throws -> ProcessFault {
        guard let fault = ProcessFault(try Document(json: try Files.read(file))) else {
            throw Failure("\(file) describes no fault")
        }
        return fault
    }

    private func tell(_ fault: ProcessFault, _ key: String, _ value: String) throws {
        var document = fault.document
        document[key] = Document(value)
        try Files.write(document.json, to: file)
    }

    /// Answers when the fault is to end by itself; nil is never.
    public func begin() async throws -> Duration? {
        let fault = try read()
        do { try await apply(fault) } catch {
            try tell(fault, "problem", "\(error)")
            throw error
        }
        try tell(fault, "state", "active")
        return fault.until.map { max(.zero, $0 - host.world.clock.now) }
    }

    public func end() async throws {
        try await undo(try read())
        unlink(file)
    }

    // MARK: What is broken

    private func apply(_ fault: ProcessFault) async throws {
        switch (fault.verb, fault.victim) {
        case (.disk, _): try FullDisk(name: fault.name).begin()
        case (.kill, .component(let name, let node)): try await sandbox(node).signal(name, SIGKILL)
        case (.stop, .component(let name, let node)): try await sandbox(node).remove(name)
        case (.freeze, .component(let name, let node)): try await sandbox(node).signal(name, SIGSTOP)
        case (.stop, .node(let node)): try await editor.stop([node], of: try name())
        case (.kill, .node(let node)):
            try await editor.stop([node], of: try name())
            try await editor.start([node], of: try name(), wait: .zero)
        case (.freeze, .node(let node)):
            try Self.group(host.layout.cluster(try name()).node(node).cgroup).setFrozen(true)
        case (.kill, .pod(_, _, _, let cgroup)):
            for pid in try Self.group(cgroup).processes() { Glibc.kill(pid, SIGKILL) }
        case (.freeze, .pod(_, _, _, let cgroup)): try Self.group(cgroup).setFrozen(true)
        case (.stop, .pod): throw Failure("a pod cannot be stopped: its node starts it again")
        }
    }

    private func undo(_ fault: ProcessFault) async throws {
        switch (fault.verb, fault.victim) {
        case (.disk, _): try FullDisk(name: fault.name).end()
        case (.kill, _): break
        case (.stop, .component(let name, let node)): try await restart(name, on: node)
        case (.freeze, .component(let name, let node)):
            // With its node the process went, and came again unfrozen.
            try? await sandbox(node).signal(name, SIGCONT)
        case (.stop, .node(let node)): try await editor.start([node], of: try name(), wait: .zero)
        case (.freeze, .node(let node)):
            try Self.thaw(host.layout.cluster(try name()).node(node).cgroup)
        case (.freeze, .pod(_, _, _, let cgroup)): try Self.thaw(cgroup)
        case (.stop, .pod): break
        }
    }

    private func restart(_ component: String, on node: String) async throws {
        guard let record = host.index.record(of: try name()),
            let found = record.nodes.first(where: { $0.name == node }),
            let sandbox = try await host.runtime.attach(
                stateDirectory: host.layout.cluster(try name()).node(node).state)
        else { return }
        if try await sandbox.processes().contains(where: { $0.id == component }) { return }
        let starter = ClusterStarter(record: record, host: host, progress: SilentProgress())
        guard let service = starter.blueprint(found).services.first(where: { $0.id == component }) else { return }
        _ = try await sandbox.start(service)
    }

    private static func group(_ path: String) throws -> Cgroup {
        try Cgroup(path, layout: try CgroupLayout.ofProcess())
    }

    private static func thaw(_ path: String) throws {
        let group = try group(path)
        // What is gone needs no thawing.
        if group.exists { try group.setFrozen(false) }
    }

    private func name() throws -> String {
        guard let cluster else { throw Failure("this fault is not of a node's inside") }
        return cluster
    }

    private var editor: NodeEditor { NodeEditor(host: host, progress: SilentProgress()) }

    private func sandbox(_ node: String) async throws -> any Sandbox {
        guard
            let found = try await host.runtime.attach(stateDirectory: host.layout.cluster(try name()).node(node).state)
        else { throw Failure("the node \(node) does not run", remedy: "'lab list' tells how the cluster is") }
        return found
    }
}

/// A disk without any room, as a node's own programs see it: what is written from now on goes to a small file system
/// that is full, and what is there already is still read. Nothing of the real disk is touched.
struct FullDisk {
    private let place: String

    init(name: String) { place = "/run/lab-fault-\(name)" }

    func begin() throws {
        do {
            for (index, path) in ProcessFault.covered.enumerated() where Files.exists(path) {
                let small = "\(place)/\(index)"
                try Files.makeDirectories(small)
                try mounted("tmpfs", on: small, "tmpfs", "size=64k,nr_inodes=16")
                try Files.makeDirectories("\(small)/upper")
                try Files.makeDirectories("\(small)/work")
                try mounted(
                    "overlay", on: path, "overlay", "lowerdir=\(path),upperdir=\(small)/upper,workdir=\(small)/work")
                Self.fill("\(small)/ballast")
            }
        } catch {
            try? end()
            throw error
        }
    }

    func end() throws {
        for (index, path) in ProcessFault.covered.enumerated() {
            let small = "\(place)/\(index)"
            guard Files.exists(small) else { continue }
            // The overlay exists exactly where its work directory does.
            if Files.exists("\(small)/work"), umount2(path, Int32(MNT_DETACH)) != 0, errno != EINVAL {
                throw SystemError("umount", path, errno: errno)
            }
            if umount2(small, Int32(MNT_DETACH)) != 0, errno != EINVAL {
                throw SystemError("umount", small, errno: errno)
            }
            rmdir(small)
        }
        rmdir(place)
    }

    private func mounted(_ source: String, on target: String, _ type: String, _ options: String) throws {
        guard mount(source, target, type, UInt(MS_NOSUID | MS_NODEV), options) == 0 else {
            throw SystemError("mount \(type) on", target, errno: errno)
        }
    }

    /// Of bytes, and of names: what could be made here would be lost when the fault ends.
    private static func fill(_ path: String) {
        let page = [UInt8](repeating: 0, count: 4096)
        for number in 0..<64 {
            let file = open("\(path)-\(number)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            guard file >= 0 else { return }
            defer { close(file) }
            while write(file, page, page.count) > 0 {}
        }
    }
}
