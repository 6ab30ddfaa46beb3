import Basics
import CLinux
import Glibc
import Testing

@testable import Linux

@Suite struct NamespaceTests {
    /// A process in a network namespace of its own, which ends when its input does.
    private static func inhabitant(_ body: (pid_t) async throws -> Void) async throws {
        var input: [Int32] = [0, 0]
        var output: [Int32] = [0, 0]
        // What other tests start at this moment must not keep the input open.
        #expect(lab_pipe(&input) == 0 && lab_pipe(&output) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, input[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        for fd in input + output where fd > 2 { posix_spawn_file_actions_addclose(&actions, fd) }
        defer { posix_spawn_file_actions_destroy(&actions) }
        var pid: pid_t = 0
        let arguments = ["unshare", "-n", "sh", "-c", "echo ready; read end"]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let code = posix_spawn(&pid, "/usr/bin/unshare", &actions, nil, &pointers, environ)
        close(input[0])
        close(output[1])
        try #require(code == 0)
        var ready: UInt8 = 0
        #expect(read(output[0], &ready, 1) == 1)
        let result: Result<Void, any Error>
        do { result = .success(try await body(pid)) } catch { result = .failure(error) }
        close(input[1])
        close(output[0])
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        try result.get()
    }

    @Test(.enabled(if: geteuid() == 0 && access("/usr/bin/unshare", X_OK) == 0, "needs root and unshare"))
    func socketsAreBornInAnotherNamespace() async throws {
        try await Self.inhabitant { pid in
            let namespace = open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC)
            try #require(namespace >= 0)
            defer { close(namespace) }
            try await EventLoop.runOnThread { loop in
                let here = LiveNetwork(loop: loop)
                let there = LiveNetwork(loop: loop, namespace: namespace)
                let listener = try await here.listen(on: .ip(.any, port: 0))
                await #expect(throws: SystemError("listen", "\(listener.local)", errno: EADDRINUSE)) {
                    _ = try await here.listen(on: listener.local)
                }
                // The port is taken here and free there; and the thread has come back each time.
                let other = try await there.listen(on: listener.local)
                let client = try await here.connect(to: .ip(.loopback, port: #require(listener.local.port)))
                await #expect(throws: SystemError.self) {
                    _ = try await there.connect(to: .ip(.loopback, port: #require(listener.local.port)))
                }
                _ = try await listener.accept()
                client.close()
                other.close()
                listener.close()
            }
        }
    }
}

extension Endpoint {
    fileprivate var port: UInt16? { if case .ip(_, let port) = self { port } else { nil } }
}
