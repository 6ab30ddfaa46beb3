import CLinux
import CSeccomp
import Document
import Glibc
import Linux

/// Compiles profiles to BPF with libseccomp, here, so that the stage only has to install bytes.
enum SeccompFilter {
    /// Nil for `unconfined`. The result is an array of the kernel's `struct sock_filter`.
    static func compile(_ profile: SeccompProfile, capabilities: [String]?) throws -> [UInt8]? {
        switch profile {
        case .unconfined: return nil
        case .runtimeDefault: return try runtimeDefault(capabilities: capabilities)
        case .custom(let json): return try custom(json)
        }
    }

    private static func runtimeDefault(capabilities: [String]?) throws -> [UInt8] {
        let builder = try Builder(defaultAction: Action.fail(EPERM))
        try builder.add(architectures: [])
        for name in SeccompTable.words(SeccompTable.always) { try builder.rule(name, Action.allow, []) }
        let held = Set((capabilities ?? Capability.names).map { $0.replacingCapabilityPrefix() })
        for (capability, calls) in SeccompTable.withCapability where held.contains(capability) {
            for name in SeccompTable.words(calls) { try builder.rule(name, Action.allow, []) }
        }
        if !held.contains("SYS_ADMIN") {
            try builder.rule("clone3", Action.fail(ENOSYS), [])
            try builder.rule("clone", Action.allow, [.init(0, SCMP_CMP_MASKED_EQ, SeccompTable.namespaceFlags, 0)])
        }
        for value in SeccompTable.personalities {
            try builder.rule("personality", Action.allow, [.init(0, SCMP_CMP_EQ, value, 0)])
        }
        try builder.rule("socket", Action.allow, [.init(0, SCMP_CMP_NE, SeccompTable.vsock, 0)])
        return try builder.export()
    }

    /// An OCI `linux.seccomp` object.
    private static func custom(_ json: [UInt8]) throws -> [UInt8] {
        let profile: Document
        do { profile = try Document(json: json) } catch { throw invalid("\(error)") }
        guard let name = profile.text("defaultAction") else { throw invalid("defaultAction is missing") }
        let action = try Action.named(name, errno: profile.number("defaultErrnoRet"))
        let builder = try Builder(defaultAction: action)
        if let flag = profile.list("flags").first?.string { throw invalid("flag \(flag)") }
        if profile.text("listenerPath") != nil { throw invalid("listenerPath") }
        try builder.add(architectures: profile.list("architectures").compactMap(\.string))
        for rule in profile.list("syscalls") {
            guard let name = rule.text("action") else { throw invalid("a rule without an action") }
            let verdict = try Action.named(name, errno: rule.number("errnoRet"))
            // libseccomp refuses rules that say what the default says.
            if verdict == action { continue }
            let arguments = try rule.list("args").map(Argument.init)
            for name in rule.list("names").compactMap(\.string) { try builder.rule(name, verdict, arguments) }
        }
        return try builder.export()
    }

    fileprivate static func invalid(_ why: String) -> StageError {
        StageError(step: "seccomp", object: "profile", errno: EINVAL, detail: why)
    }
}

extension String {
    fileprivate func replacingCapabilityPrefix() -> String {
        let upper = uppercased()
        return upper.hasPrefix("CAP_") ? String(upper.dropFirst(4)) : upper
    }
}

private enum Action {
    static let allow: UInt32 = 0x7FFF_0000

    static func fail(_ errno: Int32) -> UInt32 { 0x0005_0000 | UInt32(errno) & 0xFFFF }

    static func named(_ name: String, errno: Int?) throws -> UInt32 {
        switch name {
        case "SCMP_ACT_ALLOW": return allow
        case "SCMP_ACT_ERRNO": return fail(Int32(truncatingIfNeeded: errno ?? Int(EPERM)))
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return 0
        case "SCMP_ACT_KILL_PROCESS": return 0x8000_0000
        case "SCMP_ACT_TRAP": return 0x0003_0000
        case "SCMP_ACT_TRACE": return 0x7FF0_0000 | UInt32(truncatingIfNeeded: errno ?? Int(EPERM)) & 0xFFFF
        case "SCMP_ACT_LOG": return 0x7FFC_0000
        default: throw SeccompFilter.invalid("action \(name)")
        }
    }
}

/// One condition on a system call's argument.
private struct Argument {
    var comparison: scmp_arg_cmp

    init(_ index: UInt32, _ operation: scmp_compare, _ first: UInt64, _ second: UInt64) {
        comparison = scmp_arg_cmp(arg: index, op: operation, datum_a: first, datum_b: second)
    }

    init(_ document: Document) throws {
        let operations: [String: scmp_compare] = [
            "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE,
            "SCMP_CMP_EQ": SCMP_CMP_EQ, "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT,
            "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
        ]
        guard let index = document.number("index"), (0..<6).contains(index),
            let value = document.number("value"), let operation = operations[document.text("op") ?? ""]
        else { throw SeccompFilter.invalid("argument \(document.jsonText)") }
        self.init(
            UInt32(index), operation, UInt64(bitPattern: Int64(value)),
            UInt64(bitPattern: Int64(document.number("valueTwo") ?? 0)))
    }
}

/// A libseccomp context, released with this object.
private final class Builder {
    private let context: scmp_filter_ctx

    init(defaultAction: UInt32) throws {
        guard let context = seccomp_init(defaultAction) else { throw SeccompFilter.invalid("the default action") }
        self.context = context
        // The stage decides about no_new_privs; and a tree of comparisons beats a list of three hundred.
        _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)
        _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
    }

    deinit { seccomp_release(context) }

    /// `names` as OCI writes them (`SCMP_ARCH_X86`). The kernel's 32-bit companions of x86-64 come along without names.
    func add(architectures names: [String]) throws {
        let wanted = names.isEmpty && seccomp_arch_native() == 0xC000_003E ? ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] : names
        for name in wanted {
            let token = seccomp_arch_resolve_name(name.replacingArchitecturePrefix())
            guard token != 0 else { throw SeccompFilter.invalid("architecture \(name)") }
            let result = seccomp_arch_add(context, token)
            guard result == 0 || result == -EEXIST else { throw SeccompFilter.invalid("architecture \(name)") }
        }
    }

    /// A name that the library does not know is a call that this kernel's programs cannot name either: skipped.
    func rule(_ name: String, _ action: UInt32, _ arguments: [Argument]) throws {
        let number = seccomp_syscall_resolve_name(name)
        guard number != -1 else { return }
        let comparisons = arguments.map(\.comparison)
        let result = seccomp_rule_add_array(context, action, number, UInt32(comparisons.count), comparisons)
        // A call may not exist in one of the architectures.
        guard result == 0 || result == -EEXIST || result == -EDOM else {
            throw StageError(step: "seccomp", object: name, errno: -result, detail: "rule")
        }
    }

    func export() throws -> [UInt8] {
        let file = lab_memfd("seccomp")
        guard file >= 0 else { throw StageError(step: "seccomp", object: "memfd", errno: errno, detail: "") }
        defer { close(file) }
        let result = seccomp_export_bpf(context, file)
        guard result == 0 else { throw StageError(step: "seccomp", object: "export", errno: -result, detail: "") }
        return try Files.read("/proc/self/fd/\(file)")
    }
}

extension String {
    fileprivate func replacingArchitecturePrefix() -> String {
        (hasPrefix("SCMP_ARCH_") ? String(dropFirst(10)) : self).lowercased()
    }
}
