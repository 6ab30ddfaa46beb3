import Glibc
import Synchronization

/// Which control group hierarchies a mount namespace shows, and where.
///
/// A host is v1 (one mount per controller), v2 (one mount, `cgroup2`) or hybrid: v1 with an additional `cgroup2`
/// that has no controller of interest. What matters here is only "which mount has the controller".
public struct CgroupLayout: Sendable, Equatable {
    public struct Hierarchy: Sendable, Equatable {
        public var mountPoint: String
        /// v1: the controllers, or `name=systemd`; empty for v2.
        public var controllers: [String]
        public var isUnified: Bool

        public init(mountPoint: String, controllers: [String], isUnified: Bool) {
            self.mountPoint = mountPoint
            self.controllers = controllers
            self.isUnified = isUnified
        }
    }

    public var hierarchies: [Hierarchy]

    public init(hierarchies: [Hierarchy]) { self.hierarchies = hierarchies }

    /// No v1 hierarchy has a controller: all of them are on the unified one.
    public var isV2: Bool { unified != nil && !hierarchies.contains { !$0.isUnified } }

    public var unified: Hierarchy? { hierarchies.first { $0.isUnified } }

    /// The v1 hierarchy of `controller`, nil where it is on v2 or absent.
    public func v1(_ controller: String) -> Hierarchy? {
        hierarchies.first { !$0.isUnified && $0.controllers.contains(controller) }
    }

    /// Parses `/proc/PID/mountinfo`. Of several mounts of one hierarchy the first below `/sys/fs/cgroup` counts.
    public init(mountInfo: String) {
        hierarchies = []
        // A node's table has a line for each volume of each pod: only those that matter are taken apart.
        for line in mountInfo.utf8.split(separator: UInt8(ascii: "\n")) where Self.speaksOfCgroups(line) {
            guard let hierarchy = Self.hierarchy(of: Substring(line)) else { continue }
            let known = hierarchies.firstIndex {
                $0.isUnified == hierarchy.isUnified && $0.controllers == hierarchy.controllers
            }
            guard let known else {
                hierarchies.append(hierarchy)
                continue
            }
            let usual = "/sys/fs/cgroup"
            if !hierarchies[known].mountPoint.hasPrefix(usual), hierarchy.mountPoint.hasPrefix(usual) {
                hierarchies[known] = hierarchy
            }
        }
    }

    /// The hierarchies that process `pid` sees. Those of this process's own mount namespace are looked up once: nobody
    /// mounts hierarchies while it runs, and the table of a node grows with its pods.
    public static func ofProcess(_ pid: String = "self") throws -> CgroupLayout {
        let namespace = Self.mountNamespace(of: pid)
        let isOwn = namespace != nil && namespace == (pid == "self" ? namespace : mountNamespace(of: "self"))
        if isOwn, let (known, layout) = own.withLock({ $0 }), known == namespace { return layout }
        let layout = CgroupLayout(mountInfo: try Files.text("/proc/\(pid)/mountinfo"))
        if isOwn, let namespace { own.withLock { $0 = (namespace, layout) } }
        return layout
    }

    private static let own = Mutex<(namespace: UInt64, layout: CgroupLayout)?>(nil)

    private static func mountNamespace(of pid: String) -> UInt64? {
        var found = stat()
        return stat("/proc/\(pid)/ns/mnt", &found) == 0 ? UInt64(found.st_ino) : nil
    }

    private static let mark = Array("- cgroup".utf8)

    private static func speaksOfCgroups(_ line: Substring.UTF8View) -> Bool {
        line.withContiguousStorageIfAvailable { bytes in
            bytes.indices.contains { bytes[$0] == mark[0] && bytes[$0...].starts(with: mark) }
        } ?? true
    }

    // `36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices`
    private static func hierarchy(of line: Substring) -> Hierarchy? {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
        let mountPoint = unescape(fields[4])
        switch fields[dash + 1] {
        case "cgroup2": return Hierarchy(mountPoint: mountPoint, controllers: [], isUnified: true)
        case "cgroup":
            let notControllers: Set<Substring> = [
                "rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods", "none",
            ]
            let controllers = fields[dash + 3].split(separator: ",").filter {
                !notControllers.contains($0) && !$0.hasPrefix("release_agent=")
            }
            return Hierarchy(mountPoint: mountPoint, controllers: controllers.map(String.init), isUnified: false)
        default: return nil
        }
    }

    /// mountinfo writes blanks and backslashes as three octal digits.
    private static func unescape(_ text: Substring) -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            let digits = bytes.prefix(3)
            guard byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (48...55).contains($0) }) else {
                out.append(byte)
                continue
            }
            out.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 48) })
            bytes = bytes.dropFirst(3)
        }
        return String(decoding: out, as: UTF8.self)
    }
}
