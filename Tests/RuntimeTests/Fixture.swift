import Glibc
import Linux
import Synchronization
import Testing

@testable import Runtime

/// A place for one test's sandboxes: a scratch directory on a real file system, control groups of its own,
/// and a root file system of nothing but a static busybox. `close` leaves nothing behind, whatever the test did.
final class Fixture: Sendable {
    static let busybox = ["/usr/bin/busybox", "/bin/busybox"].first { Files.exists($0) }
    static let canRun = getuid() == 0 && busybox != nil
    static let reason: Comment = "needs root and a static busybox (Debian's busybox-static)"
    private static let counter = Mutex(0)

    let runtime: LinuxSupervisor
    let directory: String
    let cgroup: String
    let state: String

    init() throws {
        let number = Self.counter.withLock { value in
            value += 1
            return value
        }
        // Overlay wants its upper directory on a file system that is no overlay itself.
        let base = getenv("LAB_TEST_DIRECTORY").map { String(cString: $0) } ?? "/var/tmp"
        directory = "\(base)/lab-runtime-\(getpid())-\(number)"
        cgroup = "/lab-test-\(getpid())-\(number)"
        state = "\(directory)/state"
        // The test runner links the stage; another binary that does can be named instead.
        runtime = LinuxSupervisor(selfPath: getenv("LAB_BINARY").map { String(cString: $0) } ?? "/proc/self/exe")
        try Files.makeDirectories(directory)
    }

    /// Runs `body` in a fresh fixture and removes everything afterwards.
    static func with(_ body: (Fixture) async throws -> Void) async throws {
        let fixture = try Fixture()
        do {
            try await body(fixture)
        } catch {
            await fixture.close()
            throw error
        }
        await fixture.close()
    }

    private func close() async {
        do {
            try await runtime.attach(stateDirectory: state)?.destroy()
            try await runtime.cleanUp(stateDirectory: state)
            try Cgroup(cgroup, layout: .ofProcess()).remove()
            try Files.removeTree(directory)
        } catch {
            Issue.record("cleaning up: \(error)")
        }
    }

    func specification(_ namespaces: [NamespaceKind] = [.mount, .network, .ipc, .uts, .pid]) -> SandboxSpecification {
        var sandbox = SandboxSpecification(id: "sandbox", stateDirectory: state)
        for kind in namespaces { sandbox.namespaces[kind] = .new }
        return sandbox
    }

    func launch() async throws -> any Sandbox { try await runtime.launch(specification()) }

    /// A directory tree with busybox under its usual names.
    func makeRoot(_ name: String = "root") throws -> String {
        let root = "\(directory)/\(name)"
        for part in ["bin", "tmp", "etc"] { try Files.makeDirectories("\(root)/\(part)") }
        try Files.copy(try #require(Self.busybox), to: "\(root)/bin/busybox", mode: 0o755)
        for applet in ["sh", "sleep", "cat", "echo", "id", "ls", "true", "mount", "hostname", "unshare", "grep"] {
            try #require(symlink("busybox", "\(root)/bin/\(applet)") == 0)
        }
        return root
    }

    /// A container as the kubelet would start it: an overlay over `lower`, namespaces, the usual mounts.
    func container(_ id: String, lower: String, _ script: String) throws -> ProcessSpecification {
        for part in ["upper", "work"] { try Files.makeDirectories("\(directory)/\(id)/\(part)") }
        var process = ProcessSpecification(id: id, arguments: ["/bin/sh", "-c", script])
        process.root = .overlay(
            lower: [lower], upper: "\(directory)/\(id)/upper", work: "\(directory)/\(id)/work", readOnly: false)
        process.mounts = Mount.standard()
        process.namespaces = [.mount: .new, .pid: .new, .cgroup: .new]
        process.environment = ["PATH=/bin"]
        process.output = .criLog(path: log(id), maximumBytes: 1 << 20, keep: 2)
        return process
    }

    func shell(_ id: String, _ script: String) -> ProcessSpecification {
        var process = ProcessSpecification(id: id, arguments: ["/bin/sh", "-c", script])
        process.environment = ["PATH=/usr/bin:/bin"]
        process.output = .criLog(path: log(id), maximumBytes: 1 << 20, keep: 2)
        return process
    }

    func log(_ id: String) -> String { "\(directory)/\(id).log" }

    /// The texts of a log's lines with their stream and tag, without the times.
    func lines(_ id: String) throws -> [String] {
        try Files.text(log(id)).split(separator: "\n").map { line in
            line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).last.map(String.init) ?? ""
        }
    }

    /// What a container's script printed, by line.
    func output(_ id: String) throws -> [String] {
        try lines(id).map { line in
            line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).last.map(String.init) ?? ""
        }
    }

    /// Starts the process and waits for its end; its exit code and what it printed.
    func run(_ process: ProcessSpecification, in sandbox: any Sandbox) async throws -> (Int32, [String]) {
        _ = try await sandbox.start(process)
        let status = try await sandbox.wait(for: process.id) { $0.hasExited }
        guard case .exited(let code, _, _, _) = status.state else { return (-1, []) }
        return (code, try output(process.id))
    }
}

extension ProcessStatus {
    var hasExited: Bool { if case .exited = state { true } else { false } }
}

extension Sandbox {
    /// Follows until process `id` is as `wanted`.
    func wait(for id: String, _ wanted: @escaping @Sendable (ProcessStatus) -> Bool) async throws -> ProcessStatus {
        let (found, continuation) = AsyncStream.makeStream(of: ProcessStatus.self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await self.follow { statuses in
                    for status in statuses where status.id == id && wanted(status) { continuation.yield(status) }
                }
                continuation.finish()
            }
            defer { group.cancelAll() }
            for await status in found { return status }
            throw SystemError("wait for \(id)", "the supervisor is gone", errno: ECONNREFUSED)
        }
    }
}
