import Basics
import Cluster
import Glibc
import Linux
import Runtime

/// Start, end and removal of a trivial container: ours beside `crun` and `runc` where they are installed, in turn.
struct Containers: Sendable {
    let world: World
    let directory = "/var/tmp/lab-bench-containers-\(getpid())"

    private var root: String { "\(directory)/rootfs" }

    func measure(runs: Int) async throws -> [Row] {
        defer { try? Files.removeTree(directory) }
        guard let busybox = ["/bin/busybox", "/usr/bin/busybox"].first(where: Files.exists) else {
            say("    no busybox: containers are not measured (apt-get install busybox-static)")
            return []
        }
        for path in ["bin", "proc", "dev", "sys"] { try Files.makeDirectories("\(root)/\(path)") }
        try Files.copy(busybox, to: "\(root)/bin/true", mode: 0o755)
        try writeBundle()
        let others = ["crun", "runc"].filter { Command.run(["sh", "-c", "command -v \($0)"]).code == 0 }
        var own: [Double] = []
        var foreign: [String: [Double]] = [:]
        for run in 0..<runs {
            own.append(try await timed { try await runOwn(run) })
            for name in others {
                let took = try await timed { try runForeign(name, run) }
                foreign[name, default: []].append(took)
            }
        }
        var rows = [Row("container: start, wait, remove (lab)", "ms", own)]
        for name in others { rows.append(Row("container: start, wait, remove (\(name))", "ms", foreign[name] ?? [])) }
        return rows
    }

    private func timed(_ body: () async throws -> Void) async throws -> Double {
        let start = world.clock.uptime
        try await body()
        return (world.clock.uptime - start).inSeconds * 1000
    }

    /// A whole sandbox each time, as the others make one: supervisor, namespaces, cgroup, container, and all gone again.
    private func runOwn(_ run: Int) async throws {
        guard let binary = getenv("LAB_BINARY").map({ String(cString: $0) }) else { return }
        let id = "bench-\(getpid())-\(run)"
        var sandbox = SandboxSpecification(id: id, stateDirectory: "\(directory)/\(id)")
        sandbox.namespaces = [.network: .new, .ipc: .new, .uts: .new, .pid: .new]
        sandbox.cgroup = id
        let started = try await LinuxSupervisor(selfPath: binary).launch(sandbox)
        do {
            var process = ProcessSpecification(id: "true", arguments: ["/bin/true"])
            process.root = .directory(root, readOnly: false)
            process.namespaces = [.mount: .new, .pid: .new]
            process.mounts = [Mount(source: "proc", target: "/proc", type: "proc")]
            process.cgroup = "\(id)/true"
            _ = try await started.start(process)
            await waitForExit(started)
        } catch {
            try? await started.destroy()
            throw error
        }
        try await started.destroy()
    }

    private func waitForExit(_ sandbox: any Sandbox) async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup { group in
            group.addTask {
                // Ends with the cancellation below, or with the sandbox.
                defer { continuation.finish() }
                try? await sandbox.follow { statuses in
                    if case .exited = statuses.first?.state { continuation.finish() }
                }
            }
            for await _ in stream {}
            group.cancelAll()
        }
    }

    private func writeBundle() throws {
        let configuration = """
            {"ociVersion":"1.0.2","process":{"terminal":false,"user":{"uid":0,"gid":0},"args":["/bin/true"],
            "env":["PATH=/bin"],"cwd":"/"},"root":{"path":"rootfs","readonly":false},"hostname":"bench",
            "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
            "linux":{"namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}]}}
            """
        try Files.write(Array(configuration.utf8), to: "\(directory)/config.json")
    }

    /// crun refuses hybrid cgroup hosts, so it gets a mount namespace without the second hierarchy.
    private func runForeign(_ name: String, _ run: Int) throws {
        let id = "bench-\(getpid())-\(name)-\(run)"
        let start = "exec \(name) --root \(directory)/\(name) run --bundle \(directory) \(id)"
        let hybrid = Files.exists("/sys/fs/cgroup/unified")
        let words =
            name == "crun" && hybrid
            ? ["unshare", "-m", "--propagation", "private", "sh", "-c", "umount /sys/fs/cgroup/unified; \(start)"]
            : ["sh", "-c", start]
        let ran = Command.run(words)
        guard ran.code == 0 else { throw Failure("\(ran)") }
    }
}
