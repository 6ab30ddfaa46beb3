import Glibc
import Linux
import Testing

/// Programs that use runc use this runtime in its place: podman and containerd, without a registry.
@Suite(.serialized, .enabled(if: RuntimeProcess.canRun, "\(RuntimeProcess.why)"))
struct ManagerTests {
    @Test(.enabled(if: Shell.has("podman"), "needs podman")) func podmanUsesIt() {
        let it = RuntimeProcess("podman")
        defer { it.tearDown() }
        func podman(_ words: String...) -> Ran {
            Shell.run(
                [
                    "podman", "--root", "\(it.directory)/storage", "--runroot", "\(it.directory)/run", "--tmpdir",
                    "\(it.directory)/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
                    "--events-backend",
                    "file", "--runtime", it.runtime,
                ] + words)
        }
        defer { _ = podman("rm", "--all", "--force", "--time", "0") }
        let limits = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--rootfs"]
        func start(_ flags: [String], _ command: [String]) -> Ran {
            Shell.run(
                [
                    "podman", "--root", "\(it.directory)/storage", "--runroot", "\(it.directory)/run", "--tmpdir",
                    "\(it.directory)/tmp", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
                    "--events-backend",
                    "file", "--runtime", it.runtime, "run",
                ] + flags + limits + [it.root] + command)
        }
        let ran = start(["--rm"], ["sh", "-c", "echo hello; exit 5"])
        #expect(ran.code == 5 && ran.out == "hello\n", "\(ran)")
        let missing = start(["--rm"], ["no-such-program"])
        #expect(missing.code == 127, "podman knows the message: \(missing)")
        let user = start(
            ["--rm", "--user", "1000:1000", "--read-only"], ["sh", "-c", "id -u; touch /x; echo >/dev/stdout"])
        #expect(user.code == 0 && user.out.hasPrefix("1000\n") && user.err.contains("Read-only"), "\(user)")
        let detached = start(["--detach", "--name", it.id], ["sleep", "1000"])
        #expect(detached.code == 0, "\(detached)")
        let exec = podman("exec", it.id, "echo", "inside")
        #expect(exec.code == 0 && exec.out == "inside\n", "\(exec)")
        let terminal = podman("exec", "--tty", it.id, "tty")
        #expect(terminal.code == 0 && terminal.out.hasPrefix("/dev/pts/"), "\(terminal)")
        #expect(podman("pause", it.id).code == 0)
        #expect(podman("inspect", "--format", "{{.State.Status}}", it.id).out == "paused\n")
        #expect(podman("unpause", it.id).code == 0)
        let updated = podman("update", "--memory", "64m", it.id)
        #expect(updated.code == 0, "\(updated)")
        #expect(podman("stop", "--time", "0", it.id).code == 0)
        #expect(podman("inspect", "--format", "{{.State.ExitCode}}", it.id).out == "137\n")
        #expect(podman("rm", it.id).code == 0)
    }

    @Test(.enabled(if: Shell.has("containerd") && Shell.has("ctr"), "needs containerd"))
    func containerdUsesIt() throws {
        let it = RuntimeProcess("containerd")
        defer { it.tearDown() }
        let socket = "\(it.directory)/socket", settings = "\(it.directory)/config.toml"
        let text = """
            version = 2
            root = "\(it.directory)/root"
            state = "\(it.directory)/run"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
            address = "\(socket)"
            """
        try Files.write(Array(text.utf8), to: settings)
        let server = Command(["containerd", "--config", settings, "--log-level", "error"])
        defer {
            kill(server.pid, SIGTERM)
            _ = server.wait()
        }
        func ctr(_ words: String...) -> Ran { Shell.run(["ctr", "--address", socket] + words) }
        #expect(RuntimeProcess.eventually { ctr("version").code == 0 })
        let ran = ctr(
            "run", "--rm", "--runc-binary", it.runtime, "--rootfs", it.root, it.id, "/bin/sh", "-c",
            "echo hello; exit 4")
        #expect(ran.code == 4 && ran.out == "hello\n", "\(ran)")
        let detached = ctr(
            "run", "--detach", "--runc-binary", it.runtime, "--rootfs", it.root, it.id, "/bin/sleep", "1000")
        #expect(detached.code == 0, "\(detached)")
        let exec = ctr("tasks", "exec", "--exec-id", "e", it.id, "/bin/sh", "-c", "echo inside; exit 6")
        #expect(exec.code == 6 && exec.out == "inside\n", "\(exec)")
        #expect(ctr("tasks", "pause", it.id).code == 0 && ctr("tasks", "list").out.contains("PAUSED"))
        #expect(ctr("tasks", "resume", it.id).code == 0 && ctr("tasks", "list").out.contains("RUNNING"))
        #expect(ctr("tasks", "kill", "--signal", "SIGKILL", it.id).code == 0)
        #expect(RuntimeProcess.eventually { ctr("tasks", "list").out.contains("STOPPED") })
        #expect(ctr("tasks", "delete", it.id).err.contains("exit code 137"))
        #expect(ctr("containers", "delete", it.id).code == 0)
        let refused = ctr("run", "--rm", "--runc-binary", it.runtime, "--rootfs", it.root, it.id, "/no/such")
        #expect(refused.code == 1 && refused.err.contains("No such file"), "containerd reads the log: \(refused)")
    }
}
