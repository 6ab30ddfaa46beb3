import Glibc
import Testing

@testable import Linux

@Suite struct CgroupResourcesTests {
    private func texts(_ settings: [CgroupLimits.Setting]) -> [String] { settings.map { "\($0.file)=\($0.value)" } }

    private var everything: CgroupResources {
        var r = CgroupResources()
        r.memoryLimit = 100
        r.memoryReservation = 50
        r.memorySwap = 150
        r.swappiness = 10
        r.cpuShares = 1_024
        r.cpuQuota = 50_000
        r.cpuPeriod = 100_000
        r.cpus = "0-1"
        r.memoryNodes = "0"
        r.pids = 5
        r.ioWeight = 500
        r.ioThrottles = [.init(kind: .readBytes, device: "8:0", rate: 1_000)]
        r.hugePages = ["2MB": 4_096]
        return r
    }

    @Test func saysItToV1() {
        #expect(
            texts(everything.v1Settings(currentSwapLimit: 200)) == [
                "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=150", "memory.soft_limit_in_bytes=50",
                "memory.swappiness=10", "cpu.shares=1024", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000",
                "cpuset.cpus=0-1", "cpuset.mems=0", "pids.max=5", "blkio.weight=500",
                "blkio.throttle.read_bps_device=8:0 1000", "hugetlb.2MB.limit_in_bytes=4096",
            ])
    }

    /// The limit with swap may at no moment be below the one without.
    @Test(arguments: [(UInt64(200), false), (120, true)])
    func ordersTheTwoMemoryLimits(current: UInt64, swapFirst: Bool) {
        let first = everything.v1Settings(currentSwapLimit: current)[0].file
        #expect(first == (swapFirst ? "memory.memsw.limit_in_bytes" : "memory.limit_in_bytes"))
    }

    @Test func saysItToV2() {
        #expect(
            texts(everything.v2Settings) == [
                "memory.swap.max=50", "memory.max=100", "memory.low=50", "cpu.weight=39", "cpu.max=50000 100000",
                "cpuset.cpus=0-1", "cpuset.mems=0", "pids.max=5", "io.weight=4950", "io.max=8:0 rbps=1000",
                "hugetlb.2MB.max=4096",
            ])
        var unlimited = CgroupResources()
        unlimited.memoryLimit = -1
        unlimited.pids = -1
        unlimited.cpuQuota = -1
        unlimited.unified = ["memory.high": "7"]
        #expect(
            texts(unlimited.v2Settings) == [
                "memory.swap.max=max", "memory.max=max", "cpu.max=max", "pids.max=max", "memory.high=7",
            ])
    }

    @Test func deviceRulesReadAndWriteTheKernelsLines() {
        #expect(DeviceRule(allowing: "b 7:* rw")?.text == "b 7:* rw")
        #expect(DeviceRule(allowing: "a *:* rwm")?.text == "a")
        for wrong in ["", "c 1:3", "x 1:3 r", "c 1 r", "c a:b r"] { #expect(DeviceRule(allowing: wrong) == nil) }
        #expect(DeviceRule(allows: true, major: 5, access: .read).v1Rules.map(\.text) == ["c 5:* r", "b 5:* r"])
    }

    /// What the kernel would decide, by running the program here.
    private func verdict(_ rules: [DeviceRule], type: UInt32, access: UInt32, major: UInt32, minor: UInt32) -> Bool? {
        let code = DeviceProgram(rules).instructions
        var registers = [UInt64](repeating: 0, count: 11)
        let context: [Int16: UInt64] = [0: UInt64(access << 16 | type), 4: UInt64(major), 8: UInt64(minor)]
        var at = 0
        while code.indices.contains(at) {
            let it = code[at]
            let destination = Int(it.destination), source = Int(it.source)
            let immediate = UInt64(bitPattern: Int64(it.immediate))
            let left = UInt32(truncatingIfNeeded: registers[destination])
            var jumps = false
            switch it.code {
            case 0x61: registers[destination] = context[it.offset] ?? 0
            case 0xBF: registers[destination] = registers[source]
            case 0xB7: registers[destination] = immediate
            case 0x57: registers[destination] &= immediate
            case 0x77: registers[destination] >>= immediate
            case 0x56: jumps = left != UInt32(truncatingIfNeeded: immediate)
            case 0x5E: jumps = left != UInt32(truncatingIfNeeded: registers[source])
            case 0x16: jumps = left == UInt32(truncatingIfNeeded: immediate)
            case 0x95: return registers[0] == 1
            default: return nil
            }
            at += 1 + (jumps ? Int(it.offset) : 0)
        }
        return nil
    }

    @Test func theProgramDecidesLikeTheRules() {
        let rules = [
            DeviceRule(allows: true), DeviceRule(allows: false),
            DeviceRule(allows: true, kind: .character, major: 1, minor: 3),
            DeviceRule(allows: true, kind: .block, access: .make),
            DeviceRule(allows: false, kind: .character, major: 1, minor: 3, access: .write),
        ]
        let block: UInt32 = 1, character: UInt32 = 2, make: UInt32 = 1, read: UInt32 = 2, write: UInt32 = 4
        #expect(verdict(rules, type: character, access: read, major: 1, minor: 3) == true)
        #expect(verdict(rules, type: character, access: write, major: 1, minor: 3) == false)
        #expect(verdict(rules, type: character, access: read | write, major: 1, minor: 3) == false)
        #expect(verdict(rules, type: character, access: read, major: 1, minor: 5) == false)
        #expect(verdict(rules, type: block, access: make, major: 8, minor: 0) == true)
        #expect(verdict(rules, type: block, access: make | read, major: 8, minor: 0) == false)
        #expect(verdict([], type: block, access: read, major: 8, minor: 0) == false)
        #expect(verdict([DeviceRule(allows: true)], type: block, access: read, major: 8, minor: 0) == true)
        // The verifier refuses instructions that nothing reaches.
        #expect(DeviceProgram([DeviceRule(allows: true)]).instructions.count == 8)
    }
}
