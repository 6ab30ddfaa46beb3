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

    /// An OCI `linux.seccomp` object, for a pod's container: nobody listens to it.
    private static func custom(_ json: [UInt8]) throws -> [UInt8] {
        let document: Document
        do { document = try Document(json: json) } catch { throw invalid("\(error)") }
        do {
            let program = try container(Field(document, path: "profile").required().object())
            guard program.listenerPath.isEmpty, program.flags & newListener == 0 else { throw invalid("a listener") }
            return program.instructions
        } catch let error as ConfigurationError {
            throw invalid("\(error)")
        }
    }

    static let newListener: UInt64 = 8
    private static let flags: [String: UInt64] = [
        "SECCOMP_FILTER_FLAG_TSYNC": 0, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
    ]
    static let flagNames = flags.keys.sorted()

    /// An OCI `linux.seccomp` object.
    static func container(_ field: Field) throws -> SeccompProgram {
        let defaultField = try field["defaultAction"].required()
        let defaultErrno = try field["defaultErrnoRet"].integer(in: 0...4_095)
        let fallback = try Action.read(defaultField, errno: defaultErrno)
        guard fallback != Action.notify else { throw defaultField.error("SCMP_ACT_NOTIFY cannot be the default") }
        let builder = try Builder(defaultAction: fallback)
        for (index, name) in try field["architectures"].strings().enumerated() {
            guard name.hasPrefix("SCMP_ARCH_"), builder.add(architecture: name) else {
                throw ConfigurationError("\(field.path).architectures[\(index)]", "unknown architecture '\(name)'")
            }
        }
        if try !field["architectures"].exists { try builder.add(architectures: []) }
        var notifies = false
        for rule in try field["syscalls"].list() {
            let verdict = try Action.read(rule["action"].required(), errno: rule["errnoRet"].integer(in: 0...4_095))
            let names = try rule["names"].required().strings()
            guard !names.isEmpty else { throw try rule["names"].error("is empty") }
            if verdict == Action.notify {
                // The stage writes to its creator while the filter is in place already.
                guard !names.contains("write") else {
                    throw try rule["names"].error("SCMP_ACT_NOTIFY cannot be used for write")
                }
                notifies = true
            }
            // libseccomp refuses rules that say what the default says.
            if verdict == fallback { continue }
            let arguments = try rule["args"].list().map(Argument.init)
            for name in names { try builder.rule(name, verdict, arguments) }
        }
        return try finish(field, builder, notifies: notifies)
    }

    private static func finish(_ field: Field, _ builder: Builder, notifies: Bool) throws -> SeccompProgram {
        var flags: UInt64 = 0
        for flag in try field["flags"].list() { flags |= try flag.choice(Self.flags) ?? 0 }
        let path = try field["listenerPath"].absolutePath() ?? ""
        let metadata = try field["listenerMetadata"].string() ?? ""
        guard metadata.isEmpty || !path.isEmpty else {
            throw try field["listenerMetadata"].error("is there without listenerPath")
        }
        guard !notifies || !path.isEmpty else {
            throw try field["listenerPath"].error("is missing: SCMP_ACT_NOTIFY needs somebody to tell")
        }
        if notifies { flags |= newListener }
        return SeccompProgram(
            instructions: try builder.export(), flags: flags, listenerPath: notifies ? path : "",
            listenerMetadata: metadata)
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

enum Action {
    static let allow: UInt32 = 0x7FFF_0000
    static let notify: UInt32 = 0x7FC0_0000

    static func fail(_ errno: Int32) -> UInt32 { 0x0005_0000 | UInt32(errno) & 0xFFFF }

    static let names = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ]

    static func read(_ field: Field, errno: Int64?) throws -> UInt32 {
        switch try field.string() ?? "" {
        case "SCMP_ACT_ALLOW": return allow
        case "SCMP_ACT_ERRNO": return fail(Int32(errno ?? Int64(EPERM)))
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return 0
        case "SCMP_ACT_KILL_PROCESS": return 0x8000_0000
        case "SCMP_ACT_TRAP": return 0x0003_0000
        case "SCMP_ACT_TRACE": return 0x7FF0_0000 | UInt32(errno ?? Int64(EPERM)) & 0xFFFF
        case "SCMP_ACT_LOG": return 0x7FFC_0000
        case "SCMP_ACT_NOTIFY": return notify
        case let name: throw field.error("unknown action '\(name)'")
        }
    }
}

/// One condition on a system call's argument.
struct Argument {
    var comparison: scmp_arg_cmp

    init(_ index: UInt32, _ operation: scmp_compare, _ first: UInt64, _ second: UInt64) {
        comparison = scmp_arg_cmp(arg: index, op: operation, datum_a: first, datum_b: second)
    }

    static let operations: [String: scmp_compare] = [
        "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE,
        "SCMP_CMP_EQ": SCMP_CMP_EQ, "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT,
        "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
    ]

    init(_ field: Field) throws {
        let index = try field["index"].required().integer(in: 0...5) ?? 0
        guard let operation = try field["op"].required().choice(Self.operations) else {
            throw try field["op"].error("is empty")
        }
        self.init(
            UInt32(index), operation, try field["value"].required().unsigned() ?? 0,
            try field["valueTwo"].unsigned() ?? 0)
    }
}

/// A libseccomp context, released with this object.
final class Builder {
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
        for name in wanted where !add(architecture: name) { throw SeccompFilter.invalid("architecture \(name)") }
    }

    /// False where the library does not know it.
    func add(architecture name: String) -> Bool {
        let token = seccomp_arch_resolve_name(name.replacingArchitecturePrefix())
        guard token != 0 else { return false }
        let result = seccomp_arch_add(context, token)
        return result == 0 || result == -EEXIST
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
