import Document
import Linux

/// `linux.resources`.
extension ConfigurationReader {
    mutating func resources(_ field: Field) throws {
        var resources = CgroupResources()
        try Self.memory(field["memory"].object(), &resources)
        try Self.cpu(field["cpu"].object(), &resources)
        resources.pids = try field["pids"].object()["limit"].integer()
        try Self.blockIO(field["blockIO"].object(), &resources)
        for limit in try field["hugepageLimits"].list() {
            guard let size = try limit["pageSize"].required().string(), !size.isEmpty, !size.contains("/") else {
                throw try limit["pageSize"].error("such as 2MB is expected")
            }
            resources.hugePages[size] = try limit["limit"].required().unsigned() ?? 0
        }
        let network = try field["network"].object()
        resources.networkClass = try network["classID"].id()
        for priority in try network["priorities"].list() {
            guard let name = try priority["name"].required().string(), !name.isEmpty, !name.contains(" ") else {
                throw try priority["name"].error("an interface's name is expected")
            }
            resources.networkPriorities[name] = try priority["priority"].required().id() ?? 0
        }
        for (device, limits) in try field["rdma"].members() {
            resources.rdma[device] = .init(
                handles: try limits["hcaHandles"].id(), objects: try limits["hcaObjects"].id())
        }
        for (file, value) in try field["unified"].members() {
            guard file.contains("."), !file.contains("/"), !file.hasPrefix("cgroup.") else {
                throw value.error("'\(file)' is no setting of a controller")
            }
            resources.unified[file] = try value.required().string() ?? ""
        }
        let rules = try field["devices"].list().map(Self.rule)
        update {
            $0.resources = resources
            $0.deviceRules = rules
        }
    }

    private static func memory(_ field: Field, _ out: inout CgroupResources) throws {
        out.memoryLimit = try field["limit"].integer(in: -1...Int64.max)
        out.memoryReservation = try field["reservation"].integer(in: -1...Int64.max)
        out.memorySwap = try field["swap"].integer(in: -1...Int64.max)
        out.kernelTCP = try field["kernelTCP"].integer(in: -1...Int64.max)
        out.swappiness = try field["swappiness"].integer(in: 0...100)
        out.disablesOutOfMemoryKiller = try field["disableOOMKiller"].bool()
        if let swap = out.memorySwap, swap > 0 {
            guard let limit = out.memoryLimit, limit > 0 else { return }
            guard swap >= limit else {
                throw try field["swap"].error("\(swap) with swap is less than \(limit) without")
            }
        }
    }

    private static func cpu(_ field: Field, _ out: inout CgroupResources) throws {
        out.cpuShares = try field["shares"].integer(in: 0...Int64.max).flatMap { $0 == 0 ? nil : $0 }
        out.cpuQuota = try field["quota"].integer().flatMap { $0 == 0 ? nil : $0 }
        out.cpuPeriod = try field["period"].integer(in: 0...Int64.max).flatMap { $0 == 0 ? nil : $0 }
        out.cpuBurst = try field["burst"].integer(in: 0...Int64.max)
        out.realtimeRuntime = try field["realtimeRuntime"].integer(in: -1...Int64.max).flatMap { $0 == 0 ? nil : $0 }
        out.realtimePeriod = try field["realtimePeriod"].integer(in: 0...Int64.max).flatMap { $0 == 0 ? nil : $0 }
        out.cpus = try set(field["cpus"])
        out.memoryNodes = try set(field["mems"])
        out.cpuIdle = try field["idle"].integer(in: 0...1)
    }

    /// `0-3,7`
    private static func set(_ field: Field) throws -> String? {
        guard let text = try field.string(), !text.isEmpty else { return nil }
        let allowed = text.utf8.allSatisfy { (48...57).contains($0) || $0 == 44 || $0 == 45 || $0 == 10 }
        guard allowed else { throw field.error("'\(text)' is no list such as 0-3,7") }
        return text
    }

    private static func blockIO(_ field: Field, _ out: inout CgroupResources) throws {
        let weights: ClosedRange<Int64> = 10...1_000
        out.ioWeight = try weight(field["weight"], weights)
        out.ioLeafWeight = try weight(field["leafWeight"], weights)
        for item in try field["weightDevice"].list() {
            var device = CgroupResources.DeviceWeight(device: try number(item))
            device.weight = try weight(item["weight"], weights)
            device.leafWeight = try weight(item["leafWeight"], weights)
            out.ioDeviceWeights.append(device)
        }
        for kind in CgroupResources.Throttle.Kind.allCases {
            for item in try field[kind.rawValue].list() {
                let rate = try item["rate"].required().unsigned() ?? 0
                out.ioThrottles.append(.init(kind: kind, device: try number(item), rate: rate))
            }
        }
    }

    private static func weight(_ field: Field, _ range: ClosedRange<Int64>) throws -> Int64? {
        if try field.integer() == 0 { return nil }
        return try field.integer(in: range)
    }

    private static func number(_ field: Field) throws -> String {
        let major = try field["major"].required().integer(in: 0...0xFFF) ?? 0
        let minor = try field["minor"].required().integer(in: 0...0xFFFFF) ?? 0
        return "\(major):\(minor)"
    }

    private static func rule(_ field: Field) throws -> DeviceRule {
        var rule = DeviceRule(allows: try field["allow"].required().bool() ?? false)
        let kinds: [String: DeviceRule.Kind] = ["a": .all, "c": .character, "u": .character, "b": .block]
        rule.kind = try field["type"].choice(kinds) ?? .all
        // -1 is how some write "any".
        rule.major = try field["major"].integer(in: -1...0xFFF).flatMap { $0 < 0 ? nil : UInt32($0) }
        rule.minor = try field["minor"].integer(in: -1...0xFFFFF).flatMap { $0 < 0 ? nil : UInt32($0) }
        let access = try field["access"].string() ?? ""
        guard access.allSatisfy({ "rwm".contains($0) }) else {
            throw try field["access"].error("'\(access)' is not made of r, w and m")
        }
        rule.access = access.isEmpty ? .all : DeviceRule.Access(access)
        return rule
    }
}
