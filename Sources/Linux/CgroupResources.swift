/// Everything that an OCI configuration can ask of a control group; nil and empty leave what is there.
public struct CgroupResources: Sendable, Equatable {
    /// Bytes; -1 lifts the limit. The same goes for all memory fields.
    public var memoryLimit: Int64?
    public var memoryReservation: Int64?
    /// Memory and swap together.
    public var memorySwap: Int64?
    public var kernelTCP: Int64?
    public var swappiness: Int64?
    public var disablesOutOfMemoryKiller: Bool?
    /// cgroup v1's scale, 2…262144.
    public var cpuShares: Int64?
    public var cpuQuota: Int64?
    public var cpuPeriod: Int64?
    public var cpuBurst: Int64?
    public var realtimeRuntime: Int64?
    public var realtimePeriod: Int64?
    public var cpus: String?
    public var memoryNodes: String?
    public var cpuIdle: Int64?
    /// -1: no limit.
    public var pids: Int64?
    /// 10…1000.
    public var ioWeight: Int64?
    public var ioLeafWeight: Int64?
    public var ioDeviceWeights: [DeviceWeight] = []
    public var ioThrottles: [Throttle] = []
    /// By page size as the kernel names it, `2MB`.
    public var hugePages: [String: UInt64] = [:]
    public var networkClass: UInt32?
    public var networkPriorities: [String: UInt32] = [:]
    public var rdma: [String: RDMALimit] = [:]
    /// v2's own files.
    public var unified: [String: String] = [:]

    public init() {}

    public struct DeviceWeight: Sendable, Equatable {
        /// `8:0`
        public var device: String
        public var weight: Int64?
        public var leafWeight: Int64?

        public init(device: String) { self.device = device }
    }

    public struct Throttle: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable {
            case readBytes = "throttleReadBpsDevice"
            case writeBytes = "throttleWriteBpsDevice"
            case reads = "throttleReadIOPSDevice"
            case writes = "throttleWriteIOPSDevice"

            var v1File: String {
                switch self {
                case .readBytes: "blkio.throttle.read_bps_device"
                case .writeBytes: "blkio.throttle.write_bps_device"
                case .reads: "blkio.throttle.read_iops_device"
                case .writes: "blkio.throttle.write_iops_device"
                }
            }

            var v2Key: String {
                switch self {
                case .readBytes: "rbps"
                case .writeBytes: "wbps"
                case .reads: "riops"
                case .writes: "wiops"
                }
            }
        }

        public var kind: Kind
        public var device: String
        public var rate: UInt64

        public init(kind: Kind, device: String, rate: UInt64) {
            self.kind = kind
            self.device = device
            self.rate = rate
        }
    }

    public struct RDMALimit: Sendable, Equatable {
        public var handles: UInt32?
        public var objects: UInt32?

        public init(handles: UInt32?, objects: UInt32?) {
            self.handles = handles
            self.objects = objects
        }

        var text: String {
            [handles.map { "hca_handle=\($0)" }, objects.map { "hca_object=\($0)" }].compactMap { $0 }
                .joined(separator: " ")
        }
    }

    typealias Setting = CgroupLimits.Setting

    // MARK: v1

    /// `currentSwapLimit` is what `memory.memsw.limit_in_bytes` says now: the limit with swap may never be the smaller of
    /// the two, so it goes first where it grows.
    func v1Settings(currentSwapLimit: UInt64?) -> [Setting] {
        var all: [Setting] = []
        let memory = memoryLimit.map { Setting(controller: "memory", file: "memory.limit_in_bytes", value: "\($0)") }
        let swap = memorySwap.map {
            Setting(controller: "memory", file: "memory.memsw.limit_in_bytes", value: "\($0)")
        }
        let grows = memorySwap.map { $0 < 0 || UInt64($0) > currentSwapLimit ?? UInt64.max } ?? false
        all += (grows ? [swap, memory] : [memory, swap]).compactMap { $0 }
        func add(_ controller: String, _ file: String, _ value: (some CustomStringConvertible)?) {
            if let value { all.append(Setting(controller: controller, file: file, value: value.description)) }
        }
        add("memory", "memory.soft_limit_in_bytes", memoryReservation)
        add("memory", "memory.kmem.tcp.limit_in_bytes", kernelTCP)
        add("memory", "memory.swappiness", swappiness)
        add("memory", "memory.oom_control", disablesOutOfMemoryKiller.map { $0 ? 1 : 0 })
        add("cpu", "cpu.shares", cpuShares)
        // A quota is checked against the period that is set, a burst against the quota.
        add("cpu", "cpu.cfs_period_us", cpuPeriod)
        add("cpu", "cpu.cfs_quota_us", cpuQuota.map { max(-1, $0) })
        add("cpu", "cpu.cfs_burst_us", cpuBurst)
        add("cpu", "cpu.rt_period_us", realtimePeriod)
        add("cpu", "cpu.rt_runtime_us", realtimeRuntime)
        add("cpu", "cpu.idle", cpuIdle)
        add("cpuset", "cpuset.cpus", cpus)
        add("cpuset", "cpuset.mems", memoryNodes)
        add("pids", "pids.max", pids.map(Self.pidsText))
        add("blkio", "blkio.weight", ioWeight)
        add("blkio", "blkio.leaf_weight", ioLeafWeight)
        for device in ioDeviceWeights {
            add("blkio", "blkio.weight_device", device.weight.map { "\(device.device) \($0)" })
            add("blkio", "blkio.leaf_weight_device", device.leafWeight.map { "\(device.device) \($0)" })
        }
        for throttle in ioThrottles { add("blkio", throttle.kind.v1File, "\(throttle.device) \(throttle.rate)") }
        add("net_cls", "net_cls.classid", networkClass)
        for (name, priority) in networkPriorities.sorted(by: { $0.key < $1.key }) {
            add("net_prio", "net_prio.ifpriomap", "\(name) \(priority)")
        }
        return all + hugePageSettings(file: "limit_in_bytes") + rdmaSettings
    }

    private static func pidsText(_ limit: Int64) -> String { limit <= 0 ? "max" : "\(limit)" }

    private func hugePageSettings(file: String) -> [Setting] {
        hugePages.sorted { $0.key < $1.key }.map { size, limit in
            Setting(controller: "hugetlb", file: "hugetlb.\(size).\(file)", value: "\(limit)")
        }
    }

    private var rdmaSettings: [Setting] {
        rdma.sorted { $0.key < $1.key }.map { device, limit in
            Setting(controller: "rdma", file: "rdma.max", value: "\(device) \(limit.text)")
        }
    }

    // MARK: v2

    var v2Settings: [Setting] {
        var all: [Setting] = []
        func add(_ controller: String, _ file: String, _ value: String?) {
            if let value { all.append(Setting(controller: controller, file: file, value: value)) }
        }
        func limit(_ value: Int64?) -> String? { value.map { $0 < 0 ? "max" : "\($0)" } }
        // Lowering memory first would have the kernel reclaim into swap that is about to be taken away.
        add("memory", "memory.swap.max", swapAlone)
        add("memory", "memory.max", limit(memoryLimit))
        add("memory", "memory.low", limit(memoryReservation))
        add("cpu", "cpu.idle", cpuIdle.map { "\($0)" })
        add("cpu", "cpu.weight", cpuShares.map { "\(CgroupLimits.weight(ofShares: $0))" })
        if cpuQuota != nil || cpuPeriod != nil {
            let quota = cpuQuota.map { $0 < 0 ? "max" : "\($0)" } ?? "max"
            add("cpu", "cpu.max", cpuPeriod.map { "\(quota) \($0)" } ?? quota)
        }
        add("cpu", "cpu.max.burst", cpuBurst.map { "\($0)" })
        add("cpuset", "cpuset.cpus", cpus)
        add("cpuset", "cpuset.mems", memoryNodes)
        add("pids", "pids.max", pids.map(Self.pidsText))
        add("io", "io.weight", ioWeight.map { "\(Self.ioWeight($0))" })
        for device in ioDeviceWeights {
            add("io", "io.weight", device.weight.map { "\(device.device) \(Self.ioWeight($0))" })
        }
        for throttle in ioThrottles {
            let rate = throttle.rate == 0 ? "max" : "\(throttle.rate)"
            add("io", "io.max", "\(throttle.device) \(throttle.kind.v2Key)=\(rate)")
        }
        return all + hugePageSettings(file: "max") + rdmaSettings + unifiedSettings
    }

    var unifiedSettings: [Setting] {
        unified.sorted { $0.key < $1.key }.map { file, value in
            Setting(controller: String(file.prefix { $0 != "." }), file: file, value: value)
        }
    }

    /// v2 counts swap by itself.
    private var swapAlone: String? {
        guard let memorySwap, memorySwap != 0 else { return memoryLimit == -1 ? "max" : nil }
        guard memorySwap > 0 else { return "max" }
        guard let memoryLimit, memoryLimit >= 0 else { return nil }
        return "\(max(0, memorySwap - memoryLimit))"
    }

    /// From v1's 10…1000 to v2's 1…10000, as container runtimes agreed to.
    static func ioWeight(_ weight: Int64) -> Int64 { 1 + (min(max(weight, 10), 1_000) - 10) * 9_999 / 990 }
}

extension Cgroup {
    /// Sets everything that is asked for. What the kernel does not have is an error that names the file.
    public func apply(_ resources: CgroupResources) throws {
        guard !layout.isV2 else {
            for setting in resources.v2Settings { try set(setting) }
            return
        }
        let swapFile = "memory.memsw.limit_in_bytes"
        let memory = layout.v1("memory")
        let current = memory.flatMap { try? Files.text(directory(in: $0) + "/" + swapFile) }
            .flatMap { $0.split(separator: "\n").first }.flatMap { UInt64($0) }
        for setting in resources.v1Settings(currentSwapLimit: current) {
            // Without accounting of swap there is no swap to limit beyond the memory.
            if setting.file == swapFile, current == nil { continue }
            if layout.unified == nil || layout.v1(setting.controller) != nil { try set(setting) }
        }
        // What a hybrid host has on its second hierarchy speaks that one's language.
        for setting in resources.v2Settings where layout.unified != nil && layout.v1(setting.controller) == nil {
            try set(setting)
        }
    }

    private func set(_ setting: CgroupLimits.Setting) throws {
        if !layout.isV2, let hierarchy = layout.v1(setting.controller) {
            return try write(setting.value, to: setting.file, in: hierarchy)
        }
        guard let unified = layout.unified else {
            throw SystemError("no cgroup controller \(setting.controller) for \(setting.file) of", path, errno: 95)
        }
        // A hybrid host's second hierarchy is not prepared for limits until one is wanted.
        if !layout.isV2 { try enable(setting.controller) }
        var file = setting.file
        if file == "io.weight", !Files.exists(directory(in: unified) + "/" + file) { file = "io.bfq.weight" }
        try write(setting.value, to: file, in: unified)
    }

    /// Has every group above this one hand the controller down.
    private func enable(_ controller: String) throws {
        guard let unified = layout.unified else { return }
        var above = ""
        for part in path.split(separator: "/") {
            let directory = directory(in: unified).dropLast(path.utf8.count) + above
            let names = try Files.text("\(directory)/cgroup.subtree_control")
            if !names.split(whereSeparator: { $0 == " " || $0 == "\n" }).contains(Substring(controller)) {
                try Self.write(Array("+\(controller)".utf8), to: "\(directory)/cgroup.subtree_control")
            }
            above += "/\(part)"
        }
    }
}
