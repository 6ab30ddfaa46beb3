import Glibc

/// An OCI mount's options, sorted by who understands them.
struct MountOptions: Equatable {
    /// MOUNT_ATTR_* of mount_setattr(2), of the mount and (`rro`, `rnosuid` …) of it with all below.
    var change = AttributeChange()
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves it.
    var propagation: UInt64 = 0
    var recursivePropagation = false
    /// `rbind`: mounts below the source come along.
    var recursive = false
    var isBind = false
    /// `tmpcopyup`: a tmpfs starts with what it covers.
    var copiesUp = false
    /// `remount`: changes of the mount that is there.
    var isRemount = false
    /// `idmap` or `ridmap`: owners are translated, for the latter in mounts below, too.
    var idMap: IDMapping?
    /// What the file system itself has to understand: `mode=755`, `newinstance`.
    var rest: [Step.Option] = []

    enum IDMapping: Equatable { case one, recursive }

    var attributes: UInt64 { change.set | change.setBelow }
    var recursiveAttributes: Bool { change.setBelow | change.clearedBelow != 0 }

    static let recursiveFlag: UInt64 = 0x4000
    static let slaveAll: UInt64 = slave | 0x4000
    static let slave: UInt64 = 1 << 19
    private static let shared: UInt64 = 1 << 20
    private static let privately: UInt64 = 1 << 18
    private static let unbindable: UInt64 = 1 << 17

    private static let attributeNames: [String: UInt64] = [
        "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 0x10, "strictatime": 0x20, "nodiratime": 0x80,
        "nosymfollow": 0x20_0000,
    ]
    private static let clearedNames: [String: UInt64] = [
        "rw": 1, "suid": 2, "dev": 4, "exec": 8, "atime": 0x10, "nostrictatime": 0x20, "diratime": 0x80,
        "symfollow": 0x20_0000,
    ]
    private static let propagationNames: [String: UInt64] = [
        "shared": shared, "slave": slave, "private": privately, "unbindable": unbindable,
    ]
    /// The way to keep access times that a mount has anyway.
    private static let relatime: UInt64 = 0x70
    /// What every new mount is anyway, and what no kernel of today knows.
    private static let defaults: Set<String> = [
        "defaults", "async", "norelatime", "nomand", "mand", "nolazytime", "noiversion", "loud", "silent",
        "nouser", "user", "auto", "noauto",
    ]

    static var names: [String] {
        let bare = Array(attributeNames.keys) + Array(clearedNames.keys) + ["relatime"]
        let others = ["bind", "rbind", "defaults", "async", "remount", "tmpcopyup", "idmap", "ridmap", "sync"]
        let propagation = propagationNames.keys.flatMap { [$0, "r" + $0] }
        return (bare + bare.map { "r" + $0 } + propagation + others + ["dirsync", "lazytime", "iversion"]).sorted()
    }

    init(_ options: [String]) {
        for option in options { take(option) }
    }

    private mutating func take(_ option: String) {
        switch option {
        case "bind", "rbind":
            isBind = true
            recursive = option == "rbind"
        case "tmpcopyup": copiesUp = true
        case "remount": isRemount = true
        case "idmap": idMap = .one
        case "ridmap": idMap = .recursive
        case let name where takeAttribute(name) || Self.defaults.contains(name): return
        default:
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            rest.append(Step.Option(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : ""))
        }
    }

    /// A later option takes back an earlier one, for mounts below as for this one.
    private mutating func takeAttribute(_ option: String) -> Bool {
        let bare = option.hasPrefix("r") ? String(option.dropFirst()) : ""
        if let bits = Self.attributeNames[option] {
            change.set |= bits
            change.cleared &= ~bits
        } else if let bits = option == "relatime" ? Self.relatime : Self.clearedNames[option] {
            change.cleared |= bits
            change.set &= ~bits
        } else if let bits = Self.attributeNames[bare] {
            change.setBelow |= bits
            change.clearedBelow &= ~bits
        } else if let bits = bare == "relatime" ? Self.relatime : Self.clearedNames[bare] {
            change.clearedBelow |= bits
            change.setBelow &= ~bits
        } else if let propagation = Self.propagationNames[option] ?? Self.propagationNames[bare] {
            self.propagation = propagation
            recursivePropagation = Self.propagationNames[option] == nil
        } else {
            return false
        }
        return true
    }

    /// A mount that shall stay in its source's peer group, or make one.
    var isShared: Bool { propagation == Self.shared }
}

extension Mount {
    /// What a container needs besides its image: proc, dev, sysfs and so on. For a privileged one the kernel's
    /// file systems are writable.
    public static func standard(privileged: Bool = false, sharedMemoryBytes: Int64 = 64 << 20) -> [Mount] {
        let kernel = ["nosuid", "noexec", "nodev"]
        return [
            Mount(source: "proc", target: "/proc", type: "proc", options: kernel),
            Mount(source: "tmpfs", target: "/dev", type: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"]),
            Mount(
                source: "devpts", target: "/dev/pts", type: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(
                source: "shm", target: "/dev/shm", type: "tmpfs",
                options: kernel + ["mode=1777", "size=\(sharedMemoryBytes)"]),
            Mount(source: "mqueue", target: "/dev/mqueue", type: "mqueue", options: kernel),
            Mount(source: "sysfs", target: "/sys", type: "sysfs", options: kernel + (privileged ? [] : ["ro"])),
            Mount(
                source: "cgroup", target: "/sys/fs/cgroup", type: "cgroup", options: kernel + (privileged ? [] : ["ro"])
            ),
        ]
    }
}

extension Privileges {
    /// What Docker and containerd hide from containers that are not privileged.
    public static let defaultMaskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    public static let defaultReadOnlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]
}
