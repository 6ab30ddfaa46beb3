import Document
import Linux

/// The `linux` object of a configuration, except for its resources.
extension ConfigurationReader {
    mutating func linux(_ field: Field) throws {
        let namespaces = try Self.namespaces(field["namespaces"])
        let maps = IDMaps(
            uids: try Self.ranges(field["uidMappings"]), gids: try Self.ranges(field["gidMappings"]))
        let offsets = try Self.timeOffsets(field["timeOffsets"])
        let devices = try field["devices"].list().map(Self.device)
        let path = try field["cgroupsPath"].string() ?? ""
        guard !path.split(separator: "/").contains("..") else {
            throw try field["cgroupsPath"].error("'\(path)' has '..' in it")
        }
        guard path.split(separator: ":", omittingEmptySubsequences: false).count != 3 else {
            throw try field["cgroupsPath"].error("'\(path)' is for systemd, which this runtime does not ask for groups")
        }
        var sysctls: [String: String] = [:]
        for (key, value) in try field["sysctl"].members() { sysctls[key] = try value.required().string() ?? "" }
        let seccomp = try field["seccomp"]
        let program = seccomp.exists ? try SeccompFilter.container(seccomp.object()) : nil
        let propagation = try field["rootfsPropagation"].choice(Self.propagations)
        let masked = try Self.paths(field["maskedPaths"]), readOnly = try Self.paths(field["readonlyPaths"])
        let mountLabel = try label(field["mountLabel"], "SELinux", has: machine.hasSELinux)
        let personality = try Self.personality(field["personality"].object())
        if try field["intelRdt"].object().exists {
            throw try field["intelRdt"].error("cache and memory bandwidth allocation is not supported")
        }
        update {
            $0.namespaces = namespaces
            $0.idMaps = maps
            $0.timeOffsets = offsets
            $0.devices = devices
            $0.cgroupsPath = path
            $0.sysctls = sysctls
            $0.seccomp = program
            $0.rootPropagation = propagation
            $0.maskedPaths = masked
            $0.readOnlyPaths = readOnly
            $0.mountLabel = mountLabel.isEmpty ? nil : mountLabel
            $0.personality = personality
        }
        try resources(field["resources"].object())
    }

    private static let propagations: [String: UInt64] = {
        var all: [String: UInt64] = [:]
        for (name, bit) in [("unbindable", 17), ("private", 18), ("slave", 19), ("shared", 20)] {
            all[name] = 1 << UInt64(bit)
            all["r" + name] = 1 << UInt64(bit) | MountOptions.recursiveFlag
        }
        return all
    }()

    private static func namespaces(_ field: Field) throws -> [NamespaceKind: NamespaceMode] {
        var namespaces: [NamespaceKind: NamespaceMode] = [:]
        let kinds = Dictionary(uniqueKeysWithValues: NamespaceKind.allCases.map { ($0.rawValue, $0) })
        for item in try field.list() {
            let type = try item["type"].required()
            guard let kind = try type.choice(kinds) else { throw type.error("is empty") }
            guard namespaces[kind] == nil else { throw type.error("'\(kind.rawValue)' is there twice") }
            let path = try item["path"].absolutePath()
            namespaces[kind] = path.map { .path($0) } ?? .new
        }
        return namespaces
    }

    private static func timeOffsets(_ field: Field) throws -> [ContainerConfiguration.TimeOffset] {
        try field.members().sorted { $0.0 < $1.0 }.map { clock, value in
            guard clock == "monotonic" || clock == "boottime" else {
                throw value.error("the clocks with an offset are monotonic and boottime")
            }
            return .init(
                clock: clock, seconds: try value["secs"].integer() ?? 0,
                nanoseconds: try value["nanosecs"].integer(in: 0...999_999_999) ?? 0)
        }
    }

    private static func device(_ field: Field) throws -> DeviceNode {
        guard let path = try field["path"].required().absolutePath() else { throw try field["path"].error("is empty") }
        let types: [String: UInt32] = ["c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000]
        guard let type = try field["type"].required().choice(types) else { throw try field["type"].error("is empty") }
        let needsNumbers = type != 0o010000
        let major = needsNumbers ? try field["major"].required() : try field["major"]
        let minor = needsNumbers ? try field["minor"].required() : try field["minor"]
        let mode = UInt32(try field["fileMode"].integer(in: 0...0o177777) ?? 0o666) & 0o7777
        var node = DeviceNode(
            path: clean(path), mode: type | mode, major: UInt32(try major.integer(in: 0...0xFFF) ?? 0),
            minor: UInt32(try minor.integer(in: 0...0xFFFFF) ?? 0))
        node.uid = try field["uid"].id() ?? 0
        node.gid = try field["gid"].id() ?? 0
        node.isExact = true
        return node
    }

    private static func paths(_ field: Field) throws -> [String] {
        try field.list().map { item in
            guard let path = try item.required().absolutePath() else { throw item.error("is empty") }
            return path
        }
    }

    private static func personality(_ field: Field) throws -> UInt64? {
        guard field.exists else { return nil }
        guard try field["flags"].list().isEmpty else { throw try field["flags"].error("no flags are supported") }
        let domains: [String: UInt64] = ["LINUX": 0, "LINUX32": 8]
        guard let domain = try field["domain"].required().choice(domains) else {
            throw try field["domain"].error("is empty")
        }
        return domain
    }
}
