import Glibc
import Testing

@testable import Linux

@Suite struct CgroupTests {
    @Test func readsHybridLayouts() {
        let layout = CgroupLayout(
            mountInfo: """
                27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
                32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
                35 31 0:32 / /mnt/a\\040b rw,relatime - cgroup cgroup rw,memory
                36 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
                40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
                41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
                """)
        #expect(
            layout.hierarchies == [
                .init(mountPoint: "/sys/fs/cgroup/cpu,cpuacct", controllers: ["cpu", "cpuacct"], isUnified: false),
                .init(mountPoint: "/sys/fs/cgroup/memory", controllers: ["memory"], isUnified: false),
                .init(mountPoint: "/sys/fs/cgroup/systemd", controllers: ["name=systemd"], isUnified: false),
                .init(mountPoint: "/sys/fs/cgroup/unified", controllers: [], isUnified: true),
            ])
        #expect(!layout.isV2)
        #expect(layout.v1("cpuacct")?.mountPoint == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(layout.v1("pids") == nil)
    }

    @Test func unescapesMountPoints() {
        let layout = CgroupLayout(mountInfo: "1 2 0:3 / /a\\040b\\134c rw - cgroup2 cgroup2 rw")
        #expect(layout.unified?.mountPoint == "/a b\\c")
        #expect(layout.isV2)
    }

    @Test(arguments: [(2, 1), (1024, 39), (262_144, 10_000), (0, 1), (1 << 40, 10_000)])
    func convertsSharesToWeights(shares: Int64, weight: Int64) {
        #expect(CgroupLimits.weight(ofShares: shares) == weight)
    }

    @Test func saysTheSameLimitsInBothVersions() {
        var limits = CgroupLimits()
        limits.memoryBytes = 1 << 20
        limits.cpuQuota = -1
        limits.cpuShares = 2
        limits.pids = 7
        #expect(
            limits.v1Settings.map { "\($0.file)=\($0.value)" } == [
                "memory.limit_in_bytes=1048576", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=-1", "cpu.shares=2",
                "pids.max=7",
            ])
        #expect(
            limits.v2Settings.map { "\($0.file)=\($0.value)" } == [
                "memory.max=1048576", "cpu.max=max 100000", "cpu.weight=1", "pids.max=7",
            ])
    }

    @Test(arguments: ["", "/", "a/../b", "/./x"])
    func refusesPathsThatAreNotGroups(path: String) {
        #expect(throws: SystemError.self) { try Cgroup(path, layout: CgroupLayout(hierarchies: [])) }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func makesLimitsReadsAndRemoves() throws {
        let layout = try CgroupLayout.ofProcess()
        try #require(!layout.hierarchies.isEmpty)
        let group = try Cgroup("/lab-test-\(getpid())-cgroup/inner", layout: layout)
        let outer = try Cgroup("/lab-test-\(getpid())-cgroup", layout: layout)
        defer { try? outer.remove() }
        #expect(try group.create())
        #expect(try !group.create())
        var limits = CgroupLimits()
        limits.memoryBytes = 64 << 20
        limits.pids = 50
        limits.cpuShares = 512
        limits.cpuQuota = 50_000
        try group.apply(limits)
        try group.restrictDevices()
        let usage = try group.usage()
        #expect(usage.pids == 0 && usage.outOfMemoryKills == 0)
        #expect(group.identity != nil)
        try outer.remove()
        #expect(!group.exists && !outer.exists)
        try outer.remove()
    }

    /// What is known of this process's own mounts says nothing about those of others.
    @Test(.enabled(if: getuid() == 0, "needs root")) func othersAreSeenByTheirOwnMounts() throws {
        let own = try CgroupLayout.ofProcess()
        try #require(!own.hierarchies.isEmpty)
        #expect(try CgroupLayout.ofProcess("\(getpid())") == own)
        let other = Command(["unshare", "-m", "sh", "-c", "umount -l /sys/fs/cgroup && exec sleep 60"])
        defer {
            kill(other.pid, SIGKILL)
            _ = other.wait()
        }
        var seen = own
        for _ in 0..<2_000 where !seen.hierarchies.isEmpty {
            usleep(5_000)
            seen = try CgroupLayout.ofProcess("\(other.pid)")
        }
        #expect(seen.hierarchies.isEmpty)
        #expect(try CgroupLayout.ofProcess() == own)
    }
}
