import Linux
import Testing

@testable import Runtime

@Suite struct PlanTests {
    private let hybrid = CgroupLayout(
        mountInfo: """
            33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
            """)
    private let v2 = CgroupLayout(mountInfo: "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw")

    @Test func encodesByteForByte() {
        let plan = Plan([
            .unshare([.mount, .uts]), .hostname("ab"),
            .exec(arguments: ["x", ""], environment: []),
        ])
        let expected: [UInt8] =
            Array("LABPLAN1".utf8)
            + [4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 0]
            + [5, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 97, 98, 0]
            + [26, 0, 0, 0, 27, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
            + [1, 0, 0, 0, 120, 0, 0, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 0]
        #expect(plan.encode() == expected)
    }

    @Test func readsBackWhatItWrites() {
        var payload = Payload()
        payload.code(7)
        payload.number(Int64(-2))
        payload.text("a b")
        var reader = PayloadReader(payload.bytes)
        #expect(reader.code() == 7)
        #expect(reader.number() == -2)
        #expect(reader.text() == "a b")
        #expect(reader.isAtEnd)
        #expect(reader.number() == nil)
    }

    @Test func refusesTruncatedTexts() {
        var short = PayloadReader([9, 0, 0, 0, 97])
        #expect(short.text() == nil)
        var unterminated = PayloadReader([1, 0, 0, 0, 97, 98])
        #expect(unterminated.text() == nil)
    }

    @Test func ordersTheStepsOfAContainer() throws {
        var process = ProcessSpecification(id: "c", arguments: ["/bin/sh"])
        process.namespaces = [.mount: .new, .pid: .new, .network: .path("/proc/9/ns/net")]
        process.root = .overlay(
            lower: ["/layers/b", "/layers/a"], upper: "/data/c/upper", work: "/data/c/work", readOnly: true)
        process.mounts = [Mount(source: "/srv", target: "/mnt", type: "bind", options: ["rbind", "ro"])]
        process.privileges.noNewPrivileges = true
        process.privileges.maskedPaths = ["/proc/kcore"]
        process.oomScoreAdjust = 100
        let steps = try PlanCompiler.process(process, layout: hybrid).steps
        #expect(
            steps.map(\.name) == [
                "oom-score", "setns", "unshare", "bind-source", "mount-propagation", "overlay", "bind", "symlink",
                "symlink", "symlink", "symlink", "symlink", "device", "device", "device", "device", "device", "device",
                "mask", "pivot_root", "chdir", "identity", "no-new-privileges", "exec",
            ])
        #expect(steps.contains(.unshare([.mount])))
        #expect(
            steps.contains(
                .rootOverlay(
                    directory: "/",
                    options: "lowerdir=layers/b:layers/a,upperdir=data/c/upper,workdir=data/c/work",
                    target: "/data/c/upper")))
        #expect(
            steps.contains(
                .bind(tree: 0, target: "/mnt", change: AttributeChange(set: 1), propagation: 1 << 18)))
        #expect(steps.contains(.pivot(readOnly: true)))
    }

    @Test func namesLayersRelativeToTheirCommonDirectory() throws {
        let overlay = try OverlayOptions(
            lower: ["/var/lib/x/l:1", "/var/lib/x/l,2"], upper: "/var/lib/x/u", work: "/var/lib/x/w")
        #expect(overlay.directory == "/var/lib/x")
        #expect(overlay.options == "lowerdir=l\\:1:l\\,2,upperdir=u,workdir=w")
        #expect(throws: StageError.self) { try OverlayOptions(lower: [], upper: "/u", work: "/w") }
        #expect(throws: StageError.self) { try OverlayOptions(lower: ["x"], upper: "/u", work: "/w") }
    }

    @Test func mountsWhatTheHostHasForCgroups() throws {
        var process = ProcessSpecification(id: "c", arguments: ["x"])
        process.namespaces[.mount] = .new
        process.mounts = [Mount(source: "cgroup", target: "/sys/fs/cgroup", type: "cgroup", options: ["ro"])]
        let steps = try PlanCompiler.process(process, layout: hybrid).steps
        #expect(
            steps.map { "\($0.name) \($0.object)" }.filter { $0.contains("cgroup") } == [
                "mount tmpfs on /sys/fs/cgroup", "mount cgroup on /sys/fs/cgroup/cpu,cpuacct",
                "symlink /sys/fs/cgroup/cpu", "symlink /sys/fs/cgroup/cpuacct",
                "mount cgroup on /sys/fs/cgroup/systemd", "mount cgroup2 on /sys/fs/cgroup/unified",
                "read-only /sys/fs/cgroup",
            ])
        let unified = try PlanCompiler.process(process, layout: v2).steps
        #expect(
            unified.contains(
                .mount(
                    type: "cgroup2", source: "cgroup2", target: "/sys/fs/cgroup", attributes: 1, propagation: 0,
                    options: [])))
    }

    @Test func supervisorLeavesItsGroupOnV2() throws {
        var sandbox = SandboxSpecification(id: "s", stateDirectory: "/s")
        sandbox.cgroup = "/a/b"
        sandbox.namespaces[.cgroup] = .new
        let steps = try PlanCompiler.sandbox(sandbox, layout: v2).steps
        #expect(
            steps.prefix(3).map(\.object) == [
                "/sys/fs/cgroup/a/b/cgroup.procs", "cgroup", "/sys/fs/cgroup/a/b/supervisor/cgroup.procs",
            ])
    }

    @Test(
        arguments: [
            { (process: inout ProcessSpecification) in process.arguments = [] },
            { $0.namespaces[.user] = .new },
            { $0.root = .directory("/x", readOnly: false) },
            { $0.mounts = [Mount(source: "a", target: "/b", type: "bind")] },
            {
                $0.namespaces[.mount] = .new
                $0.mounts = [Mount(source: "a", target: "/b", type: "ext4")]
            },
            {
                $0.namespaces[.mount] = .new
                $0.mounts = [Mount(source: "a", target: "/b", type: "bind", options: ["odd"])]
            },
            { $0.privileges.capabilities = ["CAP_FLY"] },
            { $0.rlimits = [ResourceLimit(name: "RLIMIT_MOOD", soft: 1, hard: 1)] },
            { $0.sysctls = ["net...x": "1"] },
            { $0.environment = ["A=b\0c"] },
            { $0.privileges.seccomp = .custom(json: Array("{}".utf8)) },
            { $0.cgroup = "/a/../b" },
        ] as [@Sendable (inout ProcessSpecification) -> Void])
    func refusesWhatCannotBe(change: @Sendable (inout ProcessSpecification) -> Void) {
        var process = ProcessSpecification(id: "c", arguments: ["x"])
        change(&process)
        #expect(throws: (any Error).self) { try PlanCompiler.process(process, layout: hybrid) }
    }

    @Test func sortsMountOptions() {
        let options = MountOptions(["ro", "nosuid", "rbind", "rslave", "mode=755", "newinstance", "rw"])
        // A later option takes an earlier one back.
        #expect(options.change == AttributeChange(set: 2, cleared: 1))
        #expect(options.isBind && options.recursive && options.recursivePropagation)
        #expect(options.propagation == 1 << 19)
        #expect(options.rest == [.init(key: "mode", value: "755"), .init(key: "newinstance", value: "")])
        #expect(MountOptions(["rro"]).recursiveAttributes)
        #expect(!MountOptions(["relatime"]).recursiveAttributes)
    }

    @Test func capabilitiesAreBits() throws {
        #expect(
            try Capability.mask(["CAP_CHOWN", "net_raw", "CAP_CHECKPOINT_RESTORE"], subject: "") == 1 | 1 << 13 | 1
                << 40)
        #expect(try Capability.mask(nil, subject: "") == nil)
        #expect(Capability.names.count == 41)
    }

    @Test func compilesSeccompProfiles() throws {
        let usual = try #require(
            try SeccompFilter.compile(.runtimeDefault, capabilities: Privileges.defaultCapabilities))
        #expect(usual.count % 8 == 0 && usual.count > 800)
        let custom = try SeccompFilter.compile(
            .custom(
                json: Array(
                    """
                    {"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","no_such_call"],
                    "action":"SCMP_ACT_ERRNO","errnoRet":95}]}
                    """.utf8)), capabilities: nil)
        #expect((custom?.count ?? 0) > 0)
    }
}
