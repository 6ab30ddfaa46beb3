/// Capabilities by name, in the kernel's order: the position is the bit.
enum Capability {
    static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ]

    /// Nil keeps all. Names are taken with or without `CAP_`, in any case, as Kubernetes manifests write them.
    static func mask(_ capabilities: [String]?, subject: String) throws -> UInt64? {
        guard let capabilities else { return nil }
        var mask: UInt64 = 0
        for capability in capabilities {
            let upper = capability.uppercased()
            let bare = upper.hasPrefix("CAP_") ? String(upper.dropFirst(4)) : upper
            guard let bit = names.firstIndex(of: bare) else {
                throw PlanCompiler.invalid(subject, "capability \(capability)")
            }
            mask |= 1 << UInt64(bit)
        }
        return mask
    }
}
