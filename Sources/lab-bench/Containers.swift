import Basics
import Cluster
import Glibc
import Linux
import Runtime

/// Start, end and removal of a trivial container: ours beside `crun` and `runc` where they are installed, in turn.
struct Containers: Sendable {
    let world: World
    let directory = "/var/tmp/lab-bench-containers-\(getpid())"

    /// The command line in runc's place, called by the link that makes it one.
    private static let ours = "lab-runc"

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
        guard let binary = getenv("LAB_BINARY").map({ String(cString: $0) }),
            symlink(binary, "\(directory)/\(Self.ours)") == 0
        else {
            say("    no LAB_BINARY: containers are not measured")
            return []
        }
        let others =
            [Self.ours] + ["crun", "runc"].filter { Command.run(["sh", "-c", "command -v \($0)"]).code == 0 }
        var own: [Double] = []
        var foreign: [String: [Double]] = [:]
        var steps: [String: [Double]] = [:]
        for run in 0..<runs {
            own.append(try await timed { try await runOwn(run) })
            for name in others {
                let took = try await timed { try runForeign(name, run) }
                foreign[name, default: []].append(took)
                steps[name, default: []].append(try await timed { try runSteps(name, run) })
            }
        }
        var rows = [Row("container: start, wait, remove (lab)", "ms", own)]
        for name in others { rows.append(Row("container: start, wait, remove (\(name))", "ms", foreign[name] ?? [])) }
        for name in others {
            rows.append(Row("container: create, start, wait, delete (\(name))", "ms", steps[name] ?? []))
        }
        let many = runs > 10 ? 100 : 20
        var crowds: [String: [Double]] = [:]
        for round in 0..<5 {
            for name in others {
                crowds[name, default: []].append(try await timed { try runManyForeign(name, many, round: round) })
            }
        }
        for name in others {
            rows.append(Row("container: \(many) at once, all gone (\(name))", "ms", crowds[name] ?? []))
        }
        return rows
    }

    /// All of them started before the first is waited for.
    private func runManyForeign(_ name: String, _ count: Int, round: Int) throws {
        let started = (0..<count).map { Command(words(name, "many-\(round)-\($0)")) }
        for ran in started.map({ $0.wait() }) where ran.code != 0 { throw Failure("\(ran)") }
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
            "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
            {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]}],
            "linux":{"namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}]}}
            """
        try Files.write(Array(configuration.utf8), to: "\(directory)/config.json")
    }

    private func words(_ name: String, _ run: String) -> [String] {
        let id = "bench-\(getpid())-\(name)-\(run)"
        return around("exec \(call(name)) run --bundle \(directory) \(id)")
    }

    private func call(_ name: String) -> String {
        "\(name == Self.ours ? "\(directory)/\(name)" : name) --root \(directory)/\(name)-state"
    }

    /// As managers do it, a command each. The shell waits for the program's end: it holds the output open.
    private func runSteps(_ name: String, _ run: Int) throws {
        let id = "bench-\(getpid())-\(name)-steps-\(run)"
        let call = call(name)
        let ran = Command.run(
            around(
                "x=$(\(call) create --bundle \(directory) \(id) && \(call) start \(id)) && \(call) delete --force \(id)"
            ))
        guard ran.code == 0 else { throw Failure("\(ran)") }
    }

    /// crun refuses hybrid cgroup hosts, so all of them run in a mount namespace without the second hierarchy.
    private func around(_ start: String) -> [String] {
        Files.exists("/sys/fs/cgroup/unified")
            ? ["unshare", "-m", "--propagation", "private", "sh", "-c", "umount /sys/fs/cgroup/unified; \(start)"]
            : ["sh", "-c", start]
    }

    private func runForeign(_ name: String, _ run: Int) throws {
        let ran = Command.run(words(name, "\(run)"))
        guard ran.code == 0 else { throw Failure("\(ran)") }
    }
}
