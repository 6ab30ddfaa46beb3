import CLinux
import Document
import Glibc
import Linux
import Testing

@testable import Runtime

/// A whole start with a fault at each place in turn, and what a container's state file has to hold for its end.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct ContainerFaultTests {
    /// A configuration that takes as many kinds of steps as there are.
    private static let rich: Document = [
        "domainname": "example.com",
        "process": [
            "rlimits": [["type": "RLIMIT_NOFILE", "soft": 64, "hard": 64]], "noNewPrivileges": true, "oomScoreAdj": 10,
            "user": ["uid": 0, "gid": 0, "umask": 18], "scheduler": ["policy": "SCHED_OTHER", "nice": 1],
            "ioPriority": ["class": "IOPRIO_CLASS_BE", "priority": 4],
        ],
        "linux": [
            "sysctl": ["net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"],
            "maskedPaths": ["/proc/keys"], "readonlyPaths": ["/proc/sys"], "rootfsPropagation": "private",
            "personality": ["domain": "LINUX"],
            "devices": [["path": "/dev/own", "type": "c", "major": 1, "minor": 3]],
            "seccomp": [
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [["names": ["reboot"], "action": "SCMP_ACT_ERRNO"]],
            ],
        ],
        "hooks": ["createContainer": [["path": "/bin/true"]]],
    ]

    @Test func aFaultAtEveryStepLeavesNothing() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("true", Self.rich)
            let mounts = try fixture.mounts(
                and: ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]])
            let bound: Document = [
                "destination": "/bound", "type": "bind", "source": "/etc", "options": ["rbind", "ro"],
            ]
            var rich = Self.rich
            rich["mounts"] = Document(mounts.elements + [bound])
            try fixture.write("true", rich)
            let configuration = try ConfigurationReader.read(
                json: Files.read("\(fixture.bundle)/config.json"), bundle: fixture.bundle)
            let layout = try CgroupLayout.ofProcess()
            let group = try Cgroup("\(fixture.fixture.cgroup)/c", layout: layout)
            try group.create()
            let state = "\(fixture.bundle)/state"
            try Files.makeDirectories(state)
            for name in [ContainerStore.gate, ContainerStore.gateStatus] { mkfifo("\(state)/\(name)", 0o600) }
            let plan = try ContainerCompiler.create(
                configuration,
                ContainerCompiler.Surroundings(
                    id: "c", bundle: fixture.bundle, stateDirectory: state, layout: layout, cgroup: group))
            let gate = try #require(plan.steps.firstIndex { $0.name == Step.gate.name })
            #expect(Set(plan.steps.map(\.name)).count > 25, "\(Set(plan.steps.map(\.name)).sorted())")
            let files = try OpenFiles()
            for place in 0...gate {
                // Nothing lies there, neither before nor after the root has changed.
                let fault = Step.write(.sysctl, path: "/no/such/\(place)", content: "x", tolerating: [])
                let broken = Plan(Array(plan.steps[..<place]) + [fault] + Array(plan.steps[place...]))
                let error = #expect(throws: StageError.self) { try ContainerSpawn(plan: broken, end: .ready).run() }
                let isTold = error?.object == "/no/such/\(place)" && error?.errno == ENOENT
                #expect(isTold, "before \(plan.steps[place].name): \(error.debugDescription)")
                #expect(try group.processes().isEmpty, "before \(plan.steps[place].name)")
                let mounted = try Files.text("/proc/self/mountinfo").split(separator: "\n").filter {
                    $0.contains(fixture.bundle)
                }
                #expect(mounted.isEmpty, "before \(plan.steps[place].name)")
            }
            let left = try await files.left(fewerThan: gate)
            #expect(left.count < gate, "\(left.sorted())")
            try group.remove()
            #expect(!group.exists)
        }
    }

    /// Starting and deleting take no look at the configuration, which may be large, or have been harmed since.
    @Test func theStateAloneServesTheEnd() async throws {
        try await ContainerFixture.with { fixture in
            func hook(_ name: String) -> Document {
                [["path": "/bin/sh", "args": ["sh", "-c", Document("cat >\(fixture.bundle)/\(name)")], "timeout": 9]]
            }
            try fixture.write("true", ["hooks": ["poststart": hook("started"), "poststop": hook("stopped")]])
            let (container, _) = try fixture.creator("c").create()
            try Files.write([], to: "\(fixture.store.directory("c"))/\(ContainerStore.configurationFile)")
            let loaded = try fixture.store.load("c")
            #expect(loaded.record == container.record)
            #expect(loaded.record.laterHooks?[.poststart]?.first?.timeoutSeconds == 9)
            #expect(try loaded.start() == [])
            ContainerSpawn.reap(container.record.process.pid)
            #expect(try loaded.delete(force: false) == [])
            for (name, status) in [("started", "running"), ("stopped", "stopped")] {
                let seen = try Document(json: Files.read("\(fixture.bundle)/\(name)"))
                #expect(seen.text("status") == status && seen.text("id") == "c")
            }
            #expect(try fixture.leftovers().isEmpty)
        }
    }

    @Test func statesOfEarlierVersionsAreReadAnew() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write(
                "true",
                [
                    "hooks": [
                        "poststop": [["path": "/bin/sh", "args": ["sh", "-c", Document("echo >\(fixture.bundle)/x")]]]
                    ]
                ])
            let (container, _) = try fixture.creator("c").create()
            var record = container.record
            record.laterHooks = nil
            try fixture.store.save(record)
            let loaded = try fixture.store.load("c")
            #expect(loaded.record.laterHooks == nil)
            _ = try loaded.delete(force: true)
            ContainerSpawn.reap(container.record.process.pid)
            #expect(Files.exists("\(fixture.bundle)/x"))
        }
    }
}
