/// Limits of a group; nil leaves what is there.
public struct CgroupLimits: Sendable, Equatable {
    public var memoryBytes: Int64?
    /// Quota in microseconds per `cpuPeriod`; negative: none.
    public var cpuQuota: Int64?
    public var cpuPeriod: Int64 = 100_000
    /// cgroup v1's scale, 2…262144.
    public var cpuShares: Int64?
    public var cpusetCpus: String?
    public var pids: Int64?

    public init() {}

    /// One setting: controller, file, content.
    struct Setting: Equatable {
        var controller: String
        var file: String
        var value: String
    }

    /// The period goes first: a quota is checked against the period that is set.
    var v1Settings: [Setting] {
        var settings: [Setting] = []
        if let memoryBytes {
            settings.append(
                .init(controller: "memory", file: "memory.limit_in_bytes", value: "\(max(-1, memoryBytes))"))
        }
        if let cpuQuota {
            settings.append(.init(controller: "cpu", file: "cpu.cfs_period_us", value: "\(cpuPeriod)"))
            settings.append(
                .init(controller: "cpu", file: "cpu.cfs_quota_us", value: "\(cpuQuota < 0 ? -1 : cpuQuota)"))
        }
        if let cpuShares { settings.append(.init(controller: "cpu", file: "cpu.shares", value: "\(cpuShares)")) }
        if let cpusetCpus { settings.append(.init(controller: "cpuset", file: "cpuset.cpus", value: cpusetCpus)) }
        if let pids {
            settings.append(.init(controller: "pids", file: "pids.max", value: pids < 0 ? "max" : "\(pids)"))
        }
        return settings
    }

    var v2Settings: [Setting] {
        var settings: [Setting] = []
        if let memoryBytes {
            settings.append(
                .init(controller: "memory", file: "memory.max", value: memoryBytes < 0 ? "max" : "\(memoryBytes)"))
        }
        if let cpuQuota {
            let quota = cpuQuota < 0 ? "max" : "\(cpuQuota)"
            settings.append(.init(controller: "cpu", file: "cpu.max", value: "\(quota) \(cpuPeriod)"))
        }
        if let cpuShares {
            settings.append(.init(controller: "cpu", file: "cpu.weight", value: "\(Self.weight(ofShares: cpuShares))"))
        }
        if let cpusetCpus { settings.append(.init(controller: "cpuset", file: "cpuset.cpus", value: cpusetCpus)) }
        if let pids {
            settings.append(.init(controller: "pids", file: "pids.max", value: pids < 0 ? "max" : "\(pids)"))
        }
        return settings
    }

    /// From v1's 2…262144 to v2's 1…10000, as container runtimes agreed to.
    public static func weight(ofShares shares: Int64) -> Int64 {
        1 + (min(max(shares, 2), 262_144) - 2) * 9_999 / 262_142
    }
}

extension Cgroup {
    public func apply(_ limits: CgroupLimits) throws {
        for setting in layout.isV2 ? limits.v2Settings : limits.v1Settings {
            guard let hierarchy = layout.isV2 ? layout.unified : layout.v1(setting.controller) else {
                throw SystemError("no cgroup controller \(setting.controller) for \(setting.file) of", path, errno: 95)
            }
            try write(setting.value, to: setting.file, in: hierarchy)
        }
    }

    /// Restricts devices to null, zero, full, random, urandom, tty, console, ptmx, terminals and `further` ones.
    public func restrictDevices(allowing further: [String] = []) throws {
        try restrictDevices(
            DeviceRule.standard
                + further.map { text in
                    guard let rule = DeviceRule(allowing: text) else {
                        throw SystemError("device rule", text, errno: 22)
                    }
                    return rule
                })
    }
}

/// What a group has used.
public struct CgroupUsage: Sendable, Equatable {
    public var memoryBytes: Int64 = 0
    /// Memory that cannot be taken back at once: usage without inactive file pages.
    public var workingSetBytes: Int64 = 0
    public var cpuNanoseconds: Int64 = 0
    public var outOfMemoryKills: Int64 = 0
    public var pids: Int64 = 0
}

extension Cgroup {
    public func usage() throws -> CgroupUsage {
        var usage = CgroupUsage()
        if layout.isV2, let unified = layout.unified {
            usage.memoryBytes = try number("memory.current", unified)
            usage.workingSetBytes = max(
                0, usage.memoryBytes - (try table("memory.stat", unified)["inactive_file"] ?? 0))
            usage.cpuNanoseconds = (try table("cpu.stat", unified)["usage_usec"] ?? 0) * 1_000
            usage.outOfMemoryKills = try table("memory.events", unified)["oom_kill"] ?? 0
            usage.pids = try number("pids.current", unified)
            return usage
        }
        if let memory = layout.v1("memory") {
            usage.memoryBytes = try number("memory.usage_in_bytes", memory)
            let inactive = try table("memory.stat", memory)["total_inactive_file"] ?? 0
            usage.workingSetBytes = max(0, usage.memoryBytes - inactive)
            usage.outOfMemoryKills = try table("memory.oom_control", memory)["oom_kill"] ?? 0
        }
        if let accounting = layout.v1("cpuacct") { usage.cpuNanoseconds = try number("cpuacct.usage", accounting) }
        if let pids = layout.v1("pids") { usage.pids = try number("pids.current", pids) }
        return usage
    }

    private func number(_ file: String, _ hierarchy: CgroupLayout.Hierarchy) throws -> Int64 {
        let name = directory(in: hierarchy) + "/" + file
        let text = try Files.text(name)
        guard let line = text.split(separator: "\n").first, let value = Int64(line) else {
            throw SystemError("read", name, errno: 74)
        }
        return value
    }

    private func table(_ file: String, _ hierarchy: CgroupLayout.Hierarchy) throws -> [Substring: Int64] {
        let text = try Files.text(directory(in: hierarchy) + "/" + file)
        var table: [Substring: Int64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = Int64(words[1]) { table[words[0]] = value }
        }
        return table
    }
}
