import CLinux
import Document
import Glibc
import Linux
import Testing

@testable import Runtime

/// Each step of a container's start fails in turn: the step and the errno are told, and nothing is left.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct ContainerFailureTests {
    struct Case: Sendable, CustomStringConvertible {
        var step: String
        var errno: Int32
        var patch: String
        var description: String { "\(step) \(patch)" }

        init(_ step: String, _ errno: Int32, _ patch: String) {
            self.step = step
            self.errno = errno
            self.patch = patch
        }
    }

    static let cases: [Case] = [
        Case("setns", ENOENT, #"{"linux":{"namespaces":[{"type":"mount"},{"type":"uts","path":"/proc/no/ns/uts"}]}}"#),
        Case(
            "setns", EINVAL, #"{"linux":{"namespaces":[{"type":"mount"},{"type":"uts","path":"/proc/self/ns/net"}]}}"#),
        Case(
            "user-namespace", EINVAL,
            """
            {"linux":{"namespaces":[{"type":"mount"},{"type":"uts"},{"type":"user"}],
            "uidMappings":[{"containerID":0,"hostID":1,"size":10},{"containerID":5,"hostID":50,"size":10}],
            "gidMappings":[{"containerID":0,"hostID":1,"size":10}]}}
            """),
        Case("sysctl", EINVAL, #"{"linux":{"sysctl":{"net.ipv4.ip_forward":"many"}}}"#),
        Case("sysctl", ENOENT, #"{"linux":{"sysctl":{"net.no.such":"1"}}}"#),
        Case("bind-source", ENOENT, #"{"mounts":[{"destination":"/x","type":"bind","source":"/no/such"}]}"#),
        Case("bind", ENOTDIR, #"{"mounts":[{"destination":"/bin/busybox/x","type":"bind","source":"/etc"}]}"#),
        Case("mount", ENODEV, #"{"mounts":[{"destination":"/x","type":"nosuchfs","source":"x"}]}"#),
        Case(
            "mount", EINVAL, #"{"mounts":[{"destination":"/x","type":"tmpfs","source":"x","options":["size=much"]}]}"#),
        Case("device", EEXIST, #"{"linux":{"devices":[{"path":"/bin/busybox","type":"c","major":1,"minor":3}]}}"#),
        Case("remount", ENOENT, #"{"mounts":[{"destination":"/none","options":["remount","ro"]}]}"#),
        Case(
            "createContainer hook", 0,
            #"{"hooks":{"createContainer":[{"path":"/bin/false"}]}}"#),
        Case("createRuntime hook", 0, #"{"hooks":{"createRuntime":[{"path":"/bin/true"},{"path":"/bin/false"}]}}"#),
        Case("prestart hook", ENOENT, #"{"hooks":{"prestart":[{"path":"/no/such/hook"}]}}"#),
        Case(
            "prestart hook", ETIMEDOUT,
            #"{"hooks":{"prestart":[{"path":"/bin/sleep","args":["sleep","1000"],"timeout":1}]}}"#),
        Case("chdir", ENOTDIR, #"{"process":{"cwd":"/bin/busybox"}}"#),
        Case("scheduler", EINVAL, #"{"process":{"scheduler":{"policy":"SCHED_ISO"}}}"#),
        Case("exec", ENOENT, #"{"process":{"args":["/no/such/program"]}}"#),
        Case("exec", ENOENT, #"{"process":{"args":["no-such-program"]}}"#),
        Case("exec", EACCES, #"{"process":{"args":["/etc"]}}"#),
        Case("exec", EACCES, #"{"process":{"user":{"uid":7},"args":["/secret"]}}"#),
    ]

    @Test func namesTheStepAndLeavesNothing() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("true")
            let base = try Document(json: Files.read("\(fixture.bundle)/config.json"))
            try Files.write(Array("x".utf8), to: "\(fixture.bundle)/rootfs/secret", mode: 0o600)
            let files = try OpenFiles()
            for test in Self.cases {
                let patched = base.applyingMergePatch(try Document(json: Array(test.patch.utf8)))
                try Files.write(Array(patched.jsonText.utf8), to: "\(fixture.bundle)/config.json")
                let error = #expect(throws: StageError.self) { try fixture.creator("c").create() }
                let isTold = error?.step == test.step && error?.errno == test.errno
                #expect(isTold, "\(test): \(error.debugDescription)")
                #expect(try fixture.leftovers().isEmpty, "\(test)")
            }
            let left = try await files.left(fewerThan: Self.cases.count)
            #expect(left.count < Self.cases.count, "\(left.sorted())")
        }
    }

    @Test func aFailureAfterStartIsToldByStart() async throws {
        try await ContainerFixture.with { fixture in
            // The interpreter of a script is looked for by exec alone.
            try Files.write(Array("#!/no/interpreter\n".utf8), to: "\(fixture.bundle)/rootfs/script", mode: 0o755)
            try fixture.write("true", ["process": ["args": ["/script"]]])
            let error = #expect(throws: StageError.self) { try fixture.run() }
            #expect(error?.step == "exec" && error?.errno == ENOENT)
            try fixture.write(
                "true", ["hooks": ["startContainer": [["path": "/bin/sh", "args": ["sh", "-c", "exit 9"]]]]])
            let hook = #expect(throws: StageError.self) { try fixture.run() }
            #expect(hook?.step == "startContainer hook" && hook?.description.contains("exit status 9") == true)
            #expect(try fixture.leftovers().isEmpty)
        }
    }

    @Test func aDeadProcessCannotBeStarted() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("true")
            let (container, _) = try fixture.creator("c").create()
            #expect(container.status() == .created)
            #expect(throws: ContainerError.self) { try fixture.creator("c").create() }
            kill(container.record.process.pid, SIGKILL)
            ContainerSpawn.reap(container.record.process.pid)
            #expect(container.status() == .stopped)
            #expect(throws: ContainerError.self) { try container.start() }
            #expect(throws: ContainerError.self) { try container.kill(SIGTERM, all: false) }
            _ = try container.delete(force: false)
            #expect(try fixture.leftovers().isEmpty)
        }
    }

    @Test func anotherProcessOfTheSamePidIsNotTheContainers() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("exec sleep 1000")
            let (container, _) = try fixture.creator("c").create()
            defer { ContainerSpawn.reap(container.record.process.pid) }
            var record = container.record
            record.process.startTime += 1
            let other = Container(store: fixture.store, record: record)
            #expect(other.status() == .stopped)
            #expect(throws: ContainerError.self) { try other.kill(SIGKILL, all: false) }
            var process = try #require(try container.configuration().process)
            process.arguments = ["/bin/true"]
            // Also where the number was reused between the check and the joining.
            let plan = Plan([
                .join(pid: record.process.pid, startTime: record.process.startTime, kinds: [.mount]), .fork,
                .exec(arguments: ["/bin/true"], environment: []),
            ])
            let error = #expect(throws: StageError.self) { try ContainerSpawn(plan: plan, end: .executed).run() }
            #expect(error?.step == "setns" && error?.errno == ESRCH)
            _ = try container.delete(force: true)
        }
    }
}
