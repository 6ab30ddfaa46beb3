import Glibc

/// One control group: the same path below every hierarchy that the layout has.
public struct Cgroup: Sendable {
    public let layout: CgroupLayout
    /// Absolute below each hierarchy's root, such as `/kubepods/pod7`.
    public let path: String
    /// Put before every mount point: `/proc/PID/root` reaches the hierarchies as process PID sees them.
    private let prefix: String

    public init(_ path: String, layout: CgroupLayout, seenBy prefix: String = "") throws {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard !parts.isEmpty, !parts.contains(".."), !parts.contains(".") else {
            throw SystemError("cgroup", path, errno: EINVAL)
        }
        self.path = "/" + parts.joined(separator: "/")
        self.layout = layout
        self.prefix = prefix
    }

    /// Where the hierarchies begin for this process: with a cgroup namespace of its own, the group that it was born in.
    public static func root(_ layout: CgroupLayout) -> Cgroup { Cgroup(layout: layout) }

    /// In no hierarchy: for processes that stay in the groups that they are in.
    public static let none = Cgroup(layout: CgroupLayout(hierarchies: []))

    private init(layout: CgroupLayout) {
        self.layout = layout
        path = ""
        prefix = ""
    }

    /// The group's directory in a hierarchy.
    public func directory(in hierarchy: CgroupLayout.Hierarchy) -> String { prefix + hierarchy.mountPoint + path }

    public func child(_ name: String) throws -> Cgroup {
        try Cgroup(path + "/" + name, layout: layout, seenBy: prefix)
    }

    /// The files that take a process in, as a process that shares the layout's mounts names them.
    public var joinFiles: [String] { layout.hierarchies.map { $0.mountPoint + path + "/cgroup.procs" } }

    /// The file with the counter of processes killed for lack of memory, named like `joinFiles`.
    public var outOfMemoryFile: String? {
        if let memory = layout.v1("memory") { return memory.mountPoint + path + "/memory.oom_control" }
        return layout.isV2 ? layout.unified.map { $0.mountPoint + path + "/memory.events" } : nil
    }

    public var exists: Bool { layout.hierarchies.contains { Files.exists(directory(in: $0)) } }

    /// Tells this group from a later one of the same path.
    public var identity: UInt64? {
        guard let first = layout.v1("memory") ?? layout.hierarchies.first else { return nil }
        var status = stat()
        return lstat(directory(in: first), &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// Makes the group and its missing ancestors in every hierarchy. False if all of them were there already.
    /// On v2 the ancestors hand their controllers down, which those that have processes of their own cannot:
    /// a `plain` group leaves its ancestors as they are, and gets no limits.
    @discardableResult
    public func create(plain: Bool = false) throws -> Bool {
        var made = false
        for hierarchy in layout.hierarchies {
            var directory = prefix + hierarchy.mountPoint
            for part in path.split(separator: "/") {
                if hierarchy.isUnified, layout.isV2, !plain { Self.enableControllers(in: directory) }
                let parent = directory
                directory += "/\(part)"
                if mkdir(directory, 0o755) == 0 {
                    made = true
                } else if errno != EEXIST {
                    throw SystemError("mkdir", directory, errno: errno)
                }
                if hierarchy.controllers.contains("cpuset") { try Self.fillCpuset(directory, from: parent) }
            }
        }
        return made
    }

    /// A v1 cpuset is born without processors and memory nodes, and takes no process until it has some.
    private static func fillCpuset(_ directory: String, from parent: String) throws {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let now = try Files.read("\(directory)/\(file)")
            if now.contains(where: { $0 > 32 }) { continue }
            try write(Files.read("\(parent)/\(file)"), to: "\(directory)/\(file)")
        }
    }

    /// One by one, because a kernel may lack some, and a group with processes of its own takes none:
    /// a limit that needs the controller then says so.
    private static func enableControllers(in directory: String) {
        for controller in ["cpu", "cpuset", "io", "memory", "pids"] {
            try? write(Array("+\(controller)".utf8), to: "\(directory)/cgroup.subtree_control")
        }
    }

    static func write(_ bytes: [UInt8], to file: String) throws {
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open", file, errno: errno) }
        defer { close(descriptor) }
        // The kernel takes a setting in one write or not at all.
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SystemError("write", file, errno: errno)
        }
    }

    func write(_ value: String, to file: String, in hierarchy: CgroupLayout.Hierarchy) throws {
        try Self.write(Array(value.utf8), to: directory(in: hierarchy) + "/" + file)
    }

    /// Kills what is in the group and its descendants and removes them, innermost first.
    /// Gives up with EBUSY when a process does not die within about two seconds.
    public func remove() throws {
        for hierarchy in layout.hierarchies { try Self.removeTree(directory(in: hierarchy)) }
    }

    /// Removes the groups above this one that nothing uses any more; one in use stays.
    public func removeEmptyParents() {
        let parts = path.split(separator: "/")
        for count in stride(from: parts.count - 1, to: 0, by: -1) {
            let parent = "/" + parts.prefix(count).joined(separator: "/")
            for hierarchy in layout.hierarchies { rmdir(prefix + hierarchy.mountPoint + parent) }
        }
    }

    /// Most groups are empty leaves by then, which go at once: listing one costs a look at each of its files, and the
    /// kernel makes those as they are looked at.
    private static func removeTree(_ directory: String) throws {
        for attempt in 0..<200 {
            if rmdir(directory) == 0 || errno == ENOENT { return }
            guard errno == EBUSY else { throw SystemError("rmdir", directory, errno: errno) }
            let children = Files.subdirectories(of: directory)
            for child in children { try removeTree("\(directory)/\(child)") }
            if !children.isEmpty, rmdir(directory) == 0 || errno == ENOENT { return }
            // A dying process stays a member until it is reaped; a forking one may have slipped in.
            killMembers(of: directory)
            usleep(attempt < 20 ? 1_000 : 10_000)
        }
        throw SystemError("rmdir", directory, errno: EBUSY)
    }

    private static func killMembers(of directory: String) {
        guard let members = try? Files.text("\(directory)/cgroup.procs") else { return }
        for member in members.split(separator: "\n") {
            // 0 is a process that this pid namespace does not see, 1 its init: neither is ours to kill.
            if let pid = pid_t(member), pid > 1, pid != getpid() { kill(pid, SIGKILL) }
        }
    }
}
