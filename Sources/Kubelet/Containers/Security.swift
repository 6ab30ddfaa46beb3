import Document
import Images
import Linux
import Runtime

/// A container's privileges, from its security context and its pod's.
enum Security {
    static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
    ]
    static let readOnlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    static func isPrivileged(_ container: Document) -> Bool { container.flag("securityContext", "privileged") == true }

    static func privileges(
        container: Document, pod: Document, user: User, profileDirectory: String
    ) throws -> Privileges {
        var result = Privileges()
        result.user = user
        if isPrivileged(container) {
            result.capabilities = nil
            result.allDevices = true
            return result
        }
        result.capabilities = capabilities(container.at("securityContext", "capabilities"))
        result.noNewPrivileges = container.flag("securityContext", "allowPrivilegeEscalation") == false
        if container.text("securityContext", "procMount") != "Unmasked" {
            result.maskedPaths = maskedPaths
            result.readOnlyPaths = readOnlyPaths
        }
        let profile =
            container.at("securityContext", "seccompProfile") ?? pod.at("spec", "securityContext", "seccompProfile")
        result.seccomp = try seccomp(profile, profileDirectory)
        return result
    }

    private static func capabilities(_ changes: Document?) -> [String]? {
        func names(_ member: String) -> [String] {
            (changes?.list(member) ?? []).compactMap(\.string).map { name in
                let upper = name.uppercased()
                return upper == "ALL" || upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
            }
        }
        let added = names("add")
        let dropped = names("drop")
        if added.contains("ALL"), dropped.isEmpty { return nil }
        var result = dropped.contains("ALL") ? [] : Privileges.defaultCapabilities.filter { !dropped.contains($0) }
        if added.contains("ALL") { result = all.filter { !dropped.contains($0) } }
        for name in added where name != "ALL" && !result.contains(name) { result.append(name) }
        return result
    }

    private static let all = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ].map { "CAP_\($0)" }

    private static func seccomp(_ profile: Document?, _ directory: String) throws -> SeccompProfile {
        switch profile?.text("type") {
        case "RuntimeDefault": return .runtimeDefault
        case "Localhost":
            let name = profile?.text("localhostProfile") ?? ""
            guard !name.isEmpty, !name.hasPrefix("/"), !name.split(separator: "/").contains("..") else {
                throw StartProblem(
                    reason: "CreateContainerConfigError",
                    message: "localhostProfile \"\(name)\" is no path below \(directory)")
            }
            do { return .custom(json: try Files.read("\(directory)/\(name)", limit: 1 << 20)) } catch {
                throw StartProblem(reason: "CreateContainerConfigError", message: "seccomp profile: \(error)")
            }
        default: return .unconfined
        }
    }
}
