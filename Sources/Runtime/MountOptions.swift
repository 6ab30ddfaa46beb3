import Glibc

/// An OCI mount's options, sorted by who understands them.
struct MountOptions: Equatable {
    /// MOUNT_ATTR_* of mount_setattr(2).
    var attributes: UInt64 = 0
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves it.
    var propagation: UInt64 = 0
    var recursivePropagation = false
    /// `rbind`: mounts below the source come along.
    var recursive = false
    /// `rro`, `rnosuid` …: attributes for mounts below, too.
    var recursiveAttributes = false
    var isBind = false
    /// What the file system itself has to understand: `mode=755`, `newinstance`.
    var rest: [Step.Option] = []

    static let slaveAll: UInt64 = slave | 0x4000
    static let slave: UInt64 = 1 << 19
    private static let shared: UInt64 = 1 << 20
    private static let privately: UInt64 = 1 << 18
    private static let unbindable: UInt64 = 1 << 17

    private static let attributeNames: [String: UInt64] = [
        "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 0x10, "strictatime": 0x20, "nodiratime": 0x80,
        "nosymfollow": 0x20_0000,
    ]
    private static let propagationNames: [String: UInt64] = [
        "shared": shared, "slave": slave, "private": privately, "unbindable": unbindable,
    ]
    /// What every new mount is anyway.
    private static let defaults: Set<String> = [
        "rw", "defaults", "suid", "dev", "exec", "relatime", "atime", "diratime", "async", "symfollow",
    ]

    init(_ options: [String]) {
        for option in options { take(option) }
    }

    private mutating func take(_ option: String) {
        let isRecursive = option.hasPrefix("r")
        let bare = isRecursive ? String(option.dropFirst()) : ""
        if option == "bind" || option == "rbind" {
            isBind = true
            recursive = option == "rbind"
        } else if let attribute = Self.attributeNames[option] {
            attributes |= attribute
        } else if let propagation = Self.propagationNames[option] {
            self.propagation = propagation
        } else if Self.defaults.contains(option) {
            return
        } else if let attribute = Self.attributeNames[bare] {
            attributes |= attribute
            recursiveAttributes = true
        } else if let propagation = Self.propagationNames[bare] {
            self.propagation = propagation
            recursivePropagation = true
        } else {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            rest.append(Step.Option(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : ""))
        }
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
