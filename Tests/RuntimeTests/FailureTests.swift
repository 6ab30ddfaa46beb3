import Glibc
import Linux
import Testing

@testable import Runtime

/// Every way in which a start can fail names its step and the errno, and leaves nothing behind.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct FailureTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var step: String
        var errno: Int32
        var change: @Sendable (inout ProcessSpecification) -> Void
        var testDescription: String { step }
    }

    static let cases: [Case] = [
        Case(step: "exec", errno: ENOENT) { $0.arguments = ["/no/such/program"] },
        Case(step: "exec", errno: ENOENT) { $0.arguments = ["no-such-program"] },
        Case(step: "exec", errno: EACCES) { $0.arguments = ["/etc"] },
        Case(step: "chdir", errno: ENOTDIR) { $0.workingDirectory = "/bin/busybox" },
        Case(step: "setns", errno: ENOENT) { $0.namespaces[.network] = .path("/proc/no/ns/net") },
        Case(step: "setns", errno: EINVAL) { $0.namespaces[.network] = .path("/proc/self/ns/uts") },
        Case(step: "sysctl", errno: ENOENT) { $0.sysctls = ["net.no.such": "1"] },
        Case(step: "bind-source", errno: ENOENT) {
            $0.mounts.append(Mount(source: "/no/such", target: "/x", type: "bind"))
        },
        Case(step: "bind", errno: ENOTDIR) {
            $0.mounts.append(Mount(source: "/etc", target: "/bin/busybox/x", type: "bind"))
        },
        Case(step: "mount", errno: EINVAL) {
            $0.mounts.append(Mount(source: "t", target: "/x", type: "tmpfs", options: ["size=much"]))
        },
        Case(step: "mount", errno: EINVAL) {
            $0.mounts.append(Mount(source: "t", target: "/x", type: "proc", options: ["nonsense=1"]))
        },
        Case(step: "root", errno: ENOENT) { $0.root = .directory("/no/such/root", readOnly: false) },
        Case(step: "overlay", errno: ENOENT) {
            $0.root = .overlay(lower: ["/no/such"], upper: "/no/upper", work: "/no/work", readOnly: false)
        },
        Case(step: "inherit-descriptors", errno: ENOENT) { $0.heldDescriptors = [5: "nothing"] },
        Case(step: "open the log", errno: ENOENT) {
            $0.output = .criLog(path: "/no/such/log", maximumBytes: 0, keep: 0)
        },
        Case(step: "clone", errno: ENOENT) { $0.namespaces[.pid] = .path("/proc/no/ns/pid") },
        Case(step: "rlimit", errno: EINVAL) { $0.rlimits = [ResourceLimit(name: "RLIMIT_NOFILE", soft: 9, hard: 3)] },
    ]

    /// The supervisor's descriptors, and the fixture's mounts in the host's and the sandbox's mount namespace.
    private func state(of sandbox: any Sandbox, _ fixture: Fixture) throws -> [Int] {
        func mounts(_ pid: String) throws -> Int {
            try Files.text("/proc/\(pid)/mountinfo").split(separator: "\n").filter { $0.contains(fixture.directory) }
                .count
        }
        return [try Files.list("/proc/\(sandbox.pid)/fd").count, try mounts("self"), try mounts("\(sandbox.pid)")]
    }

    @Test func namesTheStepAndLeavesNothing() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let root = try fixture.makeRoot()
            // Once without a fault, so that what a first start needs is there.
            _ = try await fixture.run(try fixture.container("good", lower: root, "true"), in: sandbox)
            try await sandbox.remove("good")
            let before = try state(of: sandbox, fixture)
            let layout = try CgroupLayout.ofProcess()
            for (index, test) in Self.cases.enumerated() {
                var process = try fixture.container("c\(index)", lower: root, "true")
                process.cgroup = "\(fixture.cgroup)/c\(index)"
                test.change(&process)
                let error = await #expect(throws: StageError.self) { _ = try await sandbox.start(process) }
                #expect(
                    error?.step == test.step && error?.errno == test.errno, "\(test.step): \(error.debugDescription)")
                #expect(try !Cgroup("\(fixture.cgroup)/c\(index)", layout: layout).exists)
                #expect(!Files.exists("\(fixture.state)/c\(index).cgroup"))
            }
            #expect(try await sandbox.processes().isEmpty)
            // The supervisor answers a request before it closes the request's connection.
            var after = try state(of: sandbox, fixture)
            for _ in 0..<2_000 where after != before {
                usleep(1_000)
                after = try state(of: sandbox, fixture)
            }
            #expect(after == before)
        }
    }

    @Test func launchFailsCleanly() async throws {
        try await Fixture.with { fixture in
            let files = try OpenFiles()
            var wrong = fixture.specification()
            wrong.cgroup = "\(fixture.cgroup)/s"
            wrong.sysctls = ["net.no.such": "1"]
            for _ in 0..<30 {
                let error = await #expect(throws: StageError.self) { _ = try await fixture.runtime.launch(wrong) }
                #expect(error?.step == "sysctl" && error?.errno == ENOENT && error?.object == "/proc/sys/net/no/such")
            }
            #expect(!Files.exists(fixture.state))
            #expect(try !Cgroup("\(fixture.cgroup)/s", layout: .ofProcess()).exists)
            let missing = LinuxSupervisor(selfPath: "/no/such/binary")
            let exec = await #expect(throws: StageError.self) { _ = try await missing.launch(fixture.specification()) }
            #expect(exec?.errno == ENOENT)
            #expect(!Files.exists(fixture.state))
            let left = try await files.left(fewerThan: 30)
            #expect(left.count < 30, "\(left.sorted())")
        }
    }
}
