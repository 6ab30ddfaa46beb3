import Document
import Glibc

/// Reads `config.json`. Everything that is wrong is refused with the field that is wrong.
public struct ConfigurationReader {
    let machine: Machine
    private(set) var result = ContainerConfiguration()

    /// What this machine's kernel has, as far as a configuration can ask for it.
    public struct Machine: Sendable {
        public var hasAppArmor: Bool
        public var hasSELinux: Bool

        public init(hasAppArmor: Bool, hasSELinux: Bool) {
            self.hasAppArmor = hasAppArmor
            self.hasSELinux = hasSELinux
        }

        public static var here: Machine {
            Machine(
                hasAppArmor: access("/sys/kernel/security/apparmor", F_OK) == 0,
                hasSELinux: access("/sys/fs/selinux/enforce", F_OK) == 0)
        }
    }

    private init(machine: Machine) { self.machine = machine }

    /// `bundle` is what relative paths are relative to.
    public static func read(
        json: [UInt8], bundle: String, machine: Machine = .here
    ) throws -> ContainerConfiguration {
        let document: Document
        do { document = try Document(json: json) } catch { throw ConfigurationError("", "it is no JSON: \(error)") }
        guard document.isObject else { throw ConfigurationError("", "an object is expected") }
        var reader = ConfigurationReader(machine: machine)
        try reader.readAll(Field(document), bundle: bundle)
        try ConfigurationRules(reader.result).check()
        return reader.result
    }

    /// `process.json` of an exec.
    public static func process(json: [UInt8], machine: Machine = .here) throws -> ContainerProcess {
        let document: Document
        do { document = try Document(json: json) } catch { throw ConfigurationError("", "it is no JSON: \(error)") }
        var reader = ConfigurationReader(machine: machine)
        return try reader.process(Field(document, path: "process").object())
    }

    /// OCI's `linux.resources`, as `update` takes it.
    public static func resources(json: [UInt8]) throws -> ContainerConfiguration {
        let document: Document
        do { document = try Document(json: json) } catch { throw ConfigurationError("", "it is no JSON: \(error)") }
        var reader = ConfigurationReader(machine: Machine(hasAppArmor: false, hasSELinux: false))
        try reader.resources(Field(document).object())
        return reader.result
    }

    mutating func warn(_ text: String) { result.warnings.append(text) }

    mutating func update(_ change: (inout ContainerConfiguration) -> Void) { change(&result) }

    private mutating func readAll(_ top: Field, bundle: String) throws {
        let version = try top["ociVersion"].required()
        result.version = try version.string() ?? ""
        let parts = result.version.split(separator: ".", maxSplits: 2)
        guard parts.count == 3, parts[0] == "1", Int(parts[1]) != nil else {
            throw version.error("'\(result.version)' is not a version 1.x.y")
        }
        let root = try top["root"].required().object()
        let path = try root["path"].required()
        guard let name = try path.string(), !name.isEmpty else { throw path.error("is empty") }
        result.rootPath = name.hasPrefix("/") ? name : "\(bundle)/\(name)"
        result.isRootReadOnly = try root["readonly"].bool() ?? false
        if try top["process"].exists { result.process = try process(top["process"].object()) }
        result.hostname = try top["hostname"].string().flatMap { $0.isEmpty ? nil : $0 }
        result.domainName = try top["domainname"].string().flatMap { $0.isEmpty ? nil : $0 }
        for (key, value) in try top["annotations"].members() {
            result.annotations[key] = try value.required().string() ?? ""
        }
        for mount in try top["mounts"].list() { result.mounts.append(try Self.mount(mount, bundle: bundle)) }
        for kind in Hook.Kind.allCases {
            let hooks = try top["hooks"].object()[kind.rawValue].list()
            if !hooks.isEmpty { result.hooks[kind] = try hooks.map(Self.hook) }
        }
        for other in ["solaris", "windows", "vm", "zos"] where try top[other].exists {
            throw try top[other].error("this runtime is for Linux")
        }
        try linux(top["linux"].required().object())
    }

    // MARK: The process

    mutating func process(_ field: Field) throws -> ContainerProcess {
        var process = ContainerProcess()
        process.hasTerminal = try field["terminal"].bool() ?? false
        let size = try field["consoleSize"].object()
        process.terminalSize = TerminalSize(
            columns: UInt16(try size["width"].integer(in: 0...65_535) ?? 0),
            rows: UInt16(try size["height"].integer(in: 0...65_535) ?? 0))
        let user = try field["user"].object()
        process.user = User(
            uid: try user["uid"].id() ?? 0, gid: try user["gid"].id() ?? 0,
            additionalGroups: try user["additionalGids"].list().map { try $0.required().id() ?? 0 })
        guard process.user.additionalGroups.count <= 1_024 else {
            throw try user["additionalGids"].error("more than 1024 groups")
        }
        process.umask = try user["umask"].integer(in: 0...0o777).map { UInt32($0) }
        process.arguments = try field["args"].strings()
        guard let program = process.arguments.first, !program.isEmpty else {
            throw try field["args"].error("names no program")
        }
        process.environment = try field["env"].strings()
        for (index, entry) in process.environment.enumerated() where entry.isEmpty || entry.hasPrefix("=") {
            throw ConfigurationError("\(field.path).env[\(index)]", "'\(entry)' has no name")
        }
        guard process.arguments.count + process.environment.count < 8_000 else {
            throw try field["args"].error("more than 8000 arguments and variables")
        }
        guard let directory = try field["cwd"].required().absolutePath() else {
            throw try field["cwd"].error("is empty")
        }
        process.workingDirectory = directory
        process.capabilities = try capabilities(field["capabilities"].object())
        process.limits = try Self.limits(field["rlimits"])
        process.noNewPrivileges = try field["noNewPrivileges"].bool() ?? false
        process.outOfMemoryScore = try field["oomScoreAdj"].integer(in: -1_000...1_000).map { Int($0) }
        process.scheduler = try Self.scheduler(field["scheduler"].object())
        process.ioPriority = try Self.ioPriority(field["ioPriority"].object())
        process.appArmorProfile = try label(field["apparmorProfile"], "AppArmor", has: machine.hasAppArmor)
        process.selinuxLabel = try label(field["selinuxLabel"], "SELinux", has: machine.hasSELinux)
        return process
    }

    /// A label that nobody would enforce is refused rather than forgotten.
    func label(_ field: Field, _ module: String, has: Bool) throws -> String {
        guard let label = try field.string(), !label.isEmpty else { return "" }
        guard has || (module == "AppArmor" && label == "unconfined") else {
            throw field.error("'\(label)' is asked for, but this kernel has no \(module)")
        }
        return has ? label : ""
    }

    /// A name that this kernel's list does not have is left out with a warning: it may be a later kernel's.
    private mutating func capabilities(_ field: Field) throws -> CapabilityMasks {
        var masks = CapabilityMasks()
        for (key, set) in [
            ("bounding", \CapabilityMasks.bounding), ("effective", \.effective), ("permitted", \.permitted),
            ("inheritable", \.inheritable), ("ambient", \.ambient),
        ] {
            for name in try field[key].strings() {
                if let mask = try? Capability.mask([name], subject: ""), name.hasPrefix("CAP_") {
                    masks[keyPath: set] |= mask
                } else {
                    warn("\(field.path).\(key): unknown capability \(name) is ignored")
                }
            }
        }
        return masks
    }

    private static func limits(_ field: Field) throws -> [ResourceLimit] {
        var limits: [ResourceLimit] = []
        for item in try field.list() {
            let type = try item["type"].required()
            let name = try type.string() ?? ""
            guard ResourceLimit.numbers[name] != nil else { throw type.error("unknown limit '\(name)'") }
            guard !limits.contains(where: { $0.name == name }) else { throw type.error("'\(name)' is there twice") }
            let soft = try item["soft"].required().unsigned() ?? 0, hard = try item["hard"].required().unsigned() ?? 0
            guard soft <= hard else { throw try item["soft"].error("\(soft) is above the hard limit \(hard)") }
            limits.append(ResourceLimit(name: name, soft: soft, hard: hard))
        }
        return limits
    }

    private static func scheduler(_ field: Field) throws -> SchedulerSetting? {
        guard field.exists else { return nil }
        var setting = SchedulerSetting()
        let policies: [String: UInt32] = [
            "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
            "SCHED_DEADLINE": 6,
        ]
        guard let policy = try field["policy"].required().choice(policies) else {
            throw try field["policy"].error("is empty")
        }
        setting.policy = policy
        setting.nice = Int32(try field["nice"].integer(in: -20...19) ?? 0)
        setting.priority = UInt32(try field["priority"].integer(in: 0...99) ?? 0)
        guard setting.priority == 0 || policy == 1 || policy == 2 else {
            throw try field["priority"].error("is for SCHED_FIFO and SCHED_RR")
        }
        for flag in try field["flags"].list() {
            let flags: [String: UInt64] = [
                "SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4,
                "SCHED_FLAG_KEEP_POLICY": 8, "SCHED_FLAG_KEEP_PARAMS": 16, "SCHED_FLAG_UTIL_CLAMP_MIN": 32,
                "SCHED_FLAG_UTIL_CLAMP_MAX": 64,
            ]
            setting.flags |= try flag.choice(flags) ?? 0
        }
        setting.runtime = try field["runtime"].unsigned() ?? 0
        setting.deadline = try field["deadline"].unsigned() ?? 0
        setting.period = try field["period"].unsigned() ?? 0
        guard policy == 6 || (setting.runtime | setting.deadline | setting.period) == 0 else {
            throw try field["runtime"].error("runtime, deadline and period are for SCHED_DEADLINE")
        }
        return setting
    }

    private static func ioPriority(_ field: Field) throws -> UInt64? {
        guard field.exists else { return nil }
        let classes: [String: UInt64] = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]
        guard let kind = try field["class"].required().choice(classes) else {
            throw try field["class"].error("is empty")
        }
        return kind << 13 | UInt64(try field["priority"].integer(in: 0...7) ?? 0)
    }

    // MARK: Mounts and hooks

    private static func mount(_ field: Field, bundle: String) throws -> ContainerMount {
        let destination = try field["destination"].required()
        guard let path = try destination.string(), !path.isEmpty else { throw destination.error("is empty") }
        var mount = ContainerMount(destination: clean("/" + path))
        guard mount.destination != "/" else { throw destination.error("the root itself cannot be mounted over") }
        mount.type = try field["type"].string() ?? ""
        mount.source = try field["source"].string() ?? ""
        mount.options = try field["options"].strings()
        let options = MountOptions(mount.options)
        if mount.isBind {
            guard !mount.source.isEmpty else { throw try field["source"].error("a bind mount needs one") }
            if !mount.source.hasPrefix("/") { mount.source = "\(bundle)/\(mount.source)" }
            if let unknown = options.rest.first(where: { !bindIgnores.contains($0.key) }) {
                throw try field["options"].error("'\(unknown.key)' means nothing to a bind mount")
            }
        } else if mount.type.isEmpty || mount.type == "none", !options.isRemount {
            throw try field["type"].error("is missing")
        }
        if options.copiesUp, mount.type != "tmpfs" { throw try field["options"].error("tmpcopyup is for tmpfs") }
        let maps = IDMaps(uids: try ranges(field["uidMappings"]), gids: try ranges(field["gidMappings"]))
        if maps != IDMaps() || options.idMap != nil {
            guard mount.isBind else { throw try field["uidMappings"].error("only bind mounts translate owners") }
            guard maps.uids.isEmpty == maps.gids.isEmpty else {
                throw try field[maps.uids.isEmpty ? "uidMappings" : "gidMappings"].error("is missing beside the other")
            }
            mount.idMaps = maps
        }
        return mount
    }

    /// Options of the source's file system, which a bind mount shares with it.
    private static let bindIgnores: Set<String> = [
        "sync", "dirsync", "lazytime", "iversion", "acl", "noacl", "x-mount.mkdir",
    ]

    /// Without empty and dot components; `..` goes up, at most to the root.
    static func clean(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    static func ranges(_ field: Field) throws -> [IDMaps.Range] {
        let items = try field.list()
        guard items.count <= 340 else { throw field.error("more than 340 ranges") }
        return try items.map { item in
            guard let inside = try item["containerID"].required().id(),
                let outside = try item["hostID"].required().id(),
                let count = try item["size"].required().integer(in: 1...Int64(UInt32.max))
            else { throw item.error("is incomplete") }
            guard Int64(inside) + count <= 1 << 32, Int64(outside) + count <= 1 << 32 else {
                throw try item["size"].error("\(count) goes beyond the largest id")
            }
            return IDMaps.Range(inside: inside, outside: outside, count: UInt32(count))
        }
    }

    private static func hook(_ field: Field) throws -> Hook {
        guard let path = try field["path"].required().absolutePath() else { throw try field["path"].error("is empty") }
        let arguments = try field["args"].strings()
        return Hook(
            path: path, arguments: arguments.isEmpty ? [path] : arguments, environment: try field["env"].strings(),
            timeoutSeconds: UInt64(try field["timeout"].integer(in: 1...Int64(Int32.max)) ?? 0))
    }
}
