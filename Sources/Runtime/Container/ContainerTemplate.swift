import Document

/// The configuration that `spec` writes: a shell with few rights in a root that is read-only.
public enum ContainerTemplate {
    /// `rootless` is the user and group that become the container's root.
    public static func document(rootless: (uid: UInt32, gid: UInt32)?) -> Document {
        let capabilities: Document = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        return [
            "ociVersion": "1.2.0",
            "process": [
                "terminal": true, "user": ["uid": 0, "gid": 0], "args": ["sh"],
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"], "cwd": "/",
                "capabilities": ["bounding": capabilities, "effective": capabilities, "permitted": capabilities],
                "rlimits": [["type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024]], "noNewPrivileges": true,
            ],
            "root": ["path": "rootfs", "readonly": true], "hostname": "lab-runc",
            "mounts": Document(mounts(isRootless: rootless != nil)), "linux": linux(rootless: rootless),
        ]
    }

    private static func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> Document
    {
        var mount: Document = [
            "destination": Document(destination), "type": Document(type), "source": Document(source),
        ]
        if !options.isEmpty { mount["options"] = Document(options) }
        return mount
    }

    private static func mounts(isRootless: Bool) -> [Document] {
        let kernel = ["nosuid", "noexec", "nodev"]
        // The group of terminals is not among the ids that a user without privileges can map.
        let terminals =
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] + (isRootless ? [] : ["gid=5"])
        return [
            mount("/proc", "proc", "proc", []),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", terminals),
            mount("/dev/shm", "tmpfs", "shm", kernel + ["mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", kernel),
            isRootless
                ? mount("/sys", "none", "/sys", ["rbind"] + kernel + ["ro"])
                : mount("/sys", "sysfs", "sysfs", kernel + ["ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", kernel + ["relatime", "ro"]),
        ]
    }

    private static func linux(rootless: (uid: UInt32, gid: UInt32)?) -> Document {
        let kinds = [
            "pid", rootless == nil ? "network" : nil, "ipc", "uts", "mount", "cgroup", rootless == nil ? nil : "user",
        ]
        var linux: Document = [
            "namespaces": Document(kinds.compactMap { $0 }.map { kind -> Document in ["type": Document(kind)] }),
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": Document(Privileges.defaultReadOnlyPaths),
        ]
        if let rootless {
            func map(_ id: UInt32) -> Document { [["containerID": 0, "hostID": Document(Int(id)), "size": 1]] }
            linux["uidMappings"] = map(rootless.uid)
            linux["gidMappings"] = map(rootless.gid)
        } else {
            linux["resources"] = ["devices": [["allow": false, "access": "rwm"]]]
        }
        return linux
    }
}
