import Document
import Linux
import Testing

@testable import Runtime

/// Configurations that are wrong are refused, and the field that is wrong is named.
@Suite struct ConfigurationTests {
    static let base = """
        {"ociVersion":"1.2.0","process":{"args":["sh"],"cwd":"/","user":{"uid":0,"gid":0}},"root":{"path":"rootfs"},
         "linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"uts"},{"type":"ipc"},{"type":"network"}]}}
        """

    static let machine = ConfigurationReader.Machine(hasAppArmor: false, hasSELinux: false)

    static func read(_ patch: String) throws -> ContainerConfiguration {
        let document = try Document(json: Array(base.utf8)).applyingMergePatch(Document(json: Array(patch.utf8)))
        return try ConfigurationReader.read(json: Array(document.jsonText.utf8), bundle: "/bundle", machine: machine)
    }

    /// The field that is named, and what is merged into a good configuration.
    static let hostile: [(field: String, patch: String)] = [
        ("ociVersion", #"{"ociVersion":null}"#),
        ("ociVersion", #"{"ociVersion":"2.0.0"}"#),
        ("ociVersion", #"{"ociVersion":"one"}"#),
        ("ociVersion", #"{"ociVersion":1}"#),
        ("root", #"{"root":null}"#),
        ("root.path", #"{"root":{"path":""}}"#),
        ("root.path", #"{"root":{"path":"a\u0000b"}}"#),
        ("root.readonly", #"{"root":{"readonly":"yes"}}"#),
        ("process.args", #"{"process":{"args":[]}}"#),
        ("process.args[0]", #"{"process":{"args":[7]}}"#),
        ("process.args[1]", #"{"process":{"args":["a","b\u0000c"]}}"#),
        ("process.cwd", #"{"process":{"cwd":"relative"}}"#),
        ("process.cwd", #"{"process":{"cwd":null}}"#),
        ("process.env[0]", #"{"process":{"env":["=x"]}}"#),
        ("process.user.uid", #"{"process":{"user":{"uid":-1}}}"#),
        ("process.user.uid", #"{"process":{"user":{"uid":4294967295}}}"#),
        ("process.user.gid", #"{"process":{"user":{"gid":"root"}}}"#),
        ("process.user.additionalGids[0]", #"{"process":{"user":{"additionalGids":[4294967296]}}}"#),
        ("process.user.umask", #"{"process":{"user":{"umask":512}}}"#),
        ("process.rlimits[0].type", #"{"process":{"rlimits":[{"type":"RLIMIT_MOOD","soft":1,"hard":1}]}}"#),
        (
            "process.rlimits[1].type",
            #"{"process":{"rlimits":[{"type":"RLIMIT_CPU","soft":1,"hard":1},{"type":"RLIMIT_CPU","soft":1,"hard":1}]}}"#
        ),
        ("process.rlimits[0].soft", #"{"process":{"rlimits":[{"type":"RLIMIT_CPU","soft":2,"hard":1}]}}"#),
        ("process.rlimits[0].hard", #"{"process":{"rlimits":[{"type":"RLIMIT_CPU","soft":2,"hard":-1}]}}"#),
        ("process.capabilities.bounding[0]", #"{"process":{"capabilities":{"bounding":[1]}}}"#),
        ("process.oomScoreAdj", #"{"process":{"oomScoreAdj":1001}}"#),
        ("process.apparmorProfile", #"{"process":{"apparmorProfile":"docker-default"}}"#),
        ("process.selinuxLabel", #"{"process":{"selinuxLabel":"a:b:c"}}"#),
        ("process.scheduler.policy", #"{"process":{"scheduler":{"policy":"SCHED_LUCKY"}}}"#),
        ("process.scheduler.priority", #"{"process":{"scheduler":{"policy":"SCHED_OTHER","priority":5}}}"#),
        ("process.scheduler.nice", #"{"process":{"scheduler":{"policy":"SCHED_OTHER","nice":20}}}"#),
        ("process.ioPriority.class", #"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_NONE","priority":1}}}"#),
        ("process.ioPriority.priority", #"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}}}"#),
        ("process.consoleSize.width", #"{"process":{"consoleSize":{"width":65536,"height":1}}}"#),
        ("mounts", #"{"mounts":{}}"#),
        ("mounts[0].destination", #"{"mounts":[{"type":"tmpfs"}]}"#),
        ("mounts[0].destination", #"{"mounts":[{"type":"tmpfs","destination":"/a/../.."}]}"#),
        ("mounts[0].type", #"{"mounts":[{"destination":"/x","source":"x"}]}"#),
        ("mounts[0].source", #"{"mounts":[{"destination":"/x","type":"bind"}]}"#),
        ("mounts[0].options", #"{"mounts":[{"destination":"/x","type":"bind","source":"/","options":["size=1"]}]}"#),
        ("mounts[0].options", #"{"mounts":[{"destination":"/x","type":"proc","source":"p","options":["tmpcopyup"]}]}"#),
        ("mounts[0].options", #"{"mounts":[{"destination":"/x","type":"bind","source":"/","options":["idmap"]}]}"#),
        (
            "mounts[0].gidMappings",
            """
            {"mounts":[{"destination":"/x","type":"bind","source":"/",
            "uidMappings":[{"containerID":0,"hostID":1,"size":1}]}]}
            """
        ),
        (
            "mounts[0].uidMappings[0].size",
            #"{"mounts":[{"destination":"/x","type":"bind","source":"/","uidMappings":[{"containerID":0,"hostID":1,"size":0}]}]}"#
        ),
        ("mounts", #"{"mounts":[{"destination":"/x","type":"tmpfs"}],"linux":{"namespaces":[]}}"#),
        ("hooks.prestart[0].path", #"{"hooks":{"prestart":[{"path":"relative"}]}}"#),
        ("hooks.poststop[0].path", #"{"hooks":{"poststop":[{}]}}"#),
        ("hooks.createRuntime[0].timeout", #"{"hooks":{"createRuntime":[{"path":"/x","timeout":0}]}}"#),
        ("annotations.a", #"{"annotations":{"a":1}}"#),
        ("windows", #"{"windows":{}}"#),
        ("linux", #"{"linux":null}"#),
        ("linux.namespaces[0].type", #"{"linux":{"namespaces":[{"type":"gravity"}]}}"#),
        ("linux.namespaces[1].type", #"{"linux":{"namespaces":[{"type":"pid"},{"type":"pid"}]}}"#),
        ("linux.namespaces[0].path", #"{"linux":{"namespaces":[{"type":"pid","path":"proc/1/ns/pid"}]}}"#),
        ("hostname", #"{"hostname":"h","linux":{"namespaces":[{"type":"mount"}]}}"#),
        ("domainname", #"{"domainname":"h","linux":{"namespaces":[{"type":"mount"}]}}"#),
        ("linux.uidMappings", #"{"linux":{"namespaces":[{"type":"mount"},{"type":"user"}]}}"#),
        ("linux.uidMappings", #"{"linux":{"uidMappings":[{"containerID":0,"hostID":0,"size":1}]}}"#),
        (
            "linux.uidMappings[0].size",
            #"{"linux":{"uidMappings":[{"containerID":2,"hostID":0,"size":4294967295}]}}"#
        ),
        ("linux.timeOffsets", #"{"linux":{"timeOffsets":{"monotonic":{"secs":1}}}}"#),
        ("linux.timeOffsets.realtime", #"{"linux":{"timeOffsets":{"realtime":{"secs":1}}}}"#),
        ("linux.sysctl.vm.swappiness", #"{"linux":{"sysctl":{"vm.swappiness":"1"}}}"#),
        ("linux.sysctl.kernel.pid_max", #"{"linux":{"sysctl":{"kernel.pid_max":"1"}}}"#),
        ("linux.sysctl.net/../kernel/x", #"{"linux":{"sysctl":{"net/../kernel/x":"1"}}}"#),
        (
            "linux.sysctl.net.ipv4.ip_forward",
            #"{"linux":{"sysctl":{"net.ipv4.ip_forward":"1"},"namespaces":[{"type":"mount"}]}}"#
        ),
        ("linux.devices[0].path", #"{"linux":{"devices":[{"path":"dev/x","type":"c","major":1,"minor":1}]}}"#),
        ("linux.devices[0].type", #"{"linux":{"devices":[{"path":"/dev/x","type":"z","major":1,"minor":1}]}}"#),
        ("linux.devices[0].minor", #"{"linux":{"devices":[{"path":"/dev/x","type":"c","major":1}]}}"#),
        ("linux.maskedPaths[0]", #"{"linux":{"maskedPaths":["proc"]}}"#),
        ("linux.readonlyPaths", #"{"linux":{"readonlyPaths":["/proc"],"namespaces":[]}}"#),
        ("linux.rootfsPropagation", #"{"linux":{"rootfsPropagation":"everywhere"}}"#),
        ("linux.cgroupsPath", #"{"linux":{"cgroupsPath":"/a/../../b"}}"#),
        ("linux.cgroupsPath", #"{"linux":{"cgroupsPath":"system.slice:lab:x"}}"#),
        ("linux.personality.domain", #"{"linux":{"personality":{"domain":"LINUX64"}}}"#),
        ("linux.intelRdt", #"{"linux":{"intelRdt":{"closID":"x"}}}"#),
        ("linux.mountLabel", #"{"linux":{"mountLabel":"a:b"}}"#),
        ("linux.seccomp.defaultAction", #"{"linux":{"seccomp":{}}}"#),
        ("linux.seccomp.defaultAction", #"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_SHRUG"}}}"#),
        ("linux.seccomp.defaultAction", #"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_NOTIFY"}}}"#),
        (
            "linux.seccomp.architectures[0]",
            #"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_Z80"]}}}"#
        ),
        (
            "linux.seccomp.syscalls[0].names",
            #"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[],"action":"SCMP_ACT_KILL"}]}}}"#
        ),
        (
            "linux.seccomp.syscalls[0].args[0].index",
            """
            {"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL",
            "args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}}}
            """
        ),
        (
            "linux.seccomp.syscalls[0].args[0].op",
            """
            {"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL",
            "args":[{"index":0,"value":1,"op":"SCMP_CMP_LIKE"}]}]}}}
            """
        ),
        (
            "linux.seccomp.listenerPath",
            """
            {"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],
            "action":"SCMP_ACT_NOTIFY"}]}}}
            """
        ),
        ("linux.seccomp.flags[0]", #"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","flags":["FAST"]}}}"#),
        ("linux.resources.memory.limit", #"{"linux":{"resources":{"memory":{"limit":-2}}}}"#),
        ("linux.resources.memory.limit", #"{"linux":{"resources":{"memory":{"limit":1e30}}}}"#),
        ("linux.resources.memory.swap", #"{"linux":{"resources":{"memory":{"limit":100,"swap":50}}}}"#),
        ("linux.resources.cpu.cpus", #"{"linux":{"resources":{"cpu":{"cpus":"0-1\nmore"}}}}"#),
        ("linux.resources.cpu.idle", #"{"linux":{"resources":{"cpu":{"idle":2}}}}"#),
        ("linux.resources.blockIO.weight", #"{"linux":{"resources":{"blockIO":{"weight":1001}}}}"#),
        (
            "linux.resources.hugepageLimits[0].pageSize",
            #"{"linux":{"resources":{"hugepageLimits":[{"pageSize":"../x","limit":1}]}}}"#
        ),
        ("linux.resources.unified.../x", #"{"linux":{"resources":{"unified":{"../x":"1"}}}}"#),
        ("linux.resources.unified.cgroup.procs", #"{"linux":{"resources":{"unified":{"cgroup.procs":"1"}}}}"#),
        ("linux.resources.devices[0].allow", #"{"linux":{"resources":{"devices":[{"type":"c"}]}}}"#),
        ("linux.resources.devices[0].access", #"{"linux":{"resources":{"devices":[{"allow":true,"access":"rwx"}]}}}"#),
    ]

    @Test(arguments: hostile)
    func refusesAndNamesTheField(field: String, patch: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.read(patch) }
        #expect(error?.field == field, "\(error.debugDescription)")
        #expect(error?.reason.isEmpty == false)
    }

    @Test(arguments: ["", "{", "[]", "null", "\"x\"", "{\"ociVersion\":}", String(repeating: "[", count: 100_000)])
    func refusesWhatIsNoObject(text: String) {
        #expect(throws: ConfigurationError.self) {
            try ConfigurationReader.read(json: Array(text.utf8), bundle: "/b", machine: Self.machine)
        }
    }

    @Test func readsWhatIsSound() throws {
        let configuration = try Self.read(
            """
            {"process":{"rlimits":[{"type":"RLIMIT_NOFILE","soft":18446744073709551615,"hard":18446744073709551615}],
            "capabilities":{"bounding":["CAP_CHOWN","CAP_FROM_THE_FUTURE"],"ambient":["CAP_CHOWN"]},
            "user":{"uid":1000,"umask":18}},
            "mounts":[{"destination":"proc","type":"proc","source":"proc"},
            {"destination":"/a//./b","source":"src","options":["rbind","ro"]}],
            "linux":{"resources":{"devices":[{"allow":false,"access":"rwm"},
            {"allow":true,"type":"c","major":10,"minor":-1,"access":"rw"}]}}}
            """)
        let process = try #require(configuration.process)
        #expect(process.limits == [ResourceLimit(name: "RLIMIT_NOFILE", soft: .max, hard: .max)])
        #expect(process.capabilities.bounding == 1 && process.capabilities.ambient == 1)
        #expect(configuration.warnings.count == 1 && configuration.warnings[0].contains("CAP_FROM_THE_FUTURE"))
        #expect(process.umask == 0o022 && process.user.uid == 1000)
        #expect(configuration.rootPath == "/bundle/rootfs")
        #expect(configuration.mounts.map(\.destination) == ["/proc", "/a/b"])
        #expect(configuration.mounts[1].source == "/bundle/src" && configuration.mounts[1].isBind)
        #expect(
            configuration.deviceRules == [
                DeviceRule(allows: false),
                DeviceRule(allows: true, kind: .character, major: 10, access: [.read, .write]),
            ])
    }

    @Test func theLargestArgumentOfAFilterIsExact() throws {
        let configuration = try Self.read(
            """
            {"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
            "flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["personality"],"action":"SCMP_ACT_ERRNO",
            "errnoRet":95,"args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}}}
            """)
        let program = try #require(configuration.seccomp)
        #expect(program.flags == 2 && program.instructions.count.isMultiple(of: 8))
        // BPF_JMP | BPF_JEQ with all bits set, at least once for each half of the argument.
        let all: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
        let jumps = stride(from: 0, to: program.instructions.count, by: 8).filter {
            program.instructions[$0] == 0x15 && Array(program.instructions[($0 + 4)..<($0 + 8)]) == all
        }
        #expect(jumps.count >= 2)
    }
}
