import Document
import Glibc
import Linux
import Testing

/// `lab runtime` as managers of containers call it: runc's commands, messages and exit codes.
@Suite(.serialized, .enabled(if: RuntimeProcess.canRun, "\(RuntimeProcess.why)"))
struct RuntimeCommandTests {
    @Test func livesItsLife() throws {
        let it = RuntimeProcess("life")
        defer { it.tearDown() }
        try it.configure("echo $$ >/started; exec sleep 1000", ["annotations": ["a": "b"]])
        let pidFile = "\(it.directory)/pid"
        let created = it.run("create", "--bundle", it.bundle, "--pid-file", pidFile, it.id)
        #expect(created.code == 0, "\(created)")
        let state = try Document(json: Array(it.run("state", it.id).out.utf8))
        #expect(state.text("status") == "created" && state.text("bundle") == it.bundle && state.text("owner") == "root")
        #expect(
            state.members.map(\.key) == [
                "ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner",
            ])
        #expect("\(state.number("pid") ?? 0)" == (try Files.text(pidFile)))
        #expect(access("\(it.root)/started", F_OK) != 0, "the program waits for start")
        #expect(it.run("create", "--bundle", it.bundle, it.id).err.contains("container with given ID already exists"))
        #expect(it.run("start", it.id).code == 0)
        #expect(it.status() == "running")
        #expect(it.run("start", it.id).err.contains("cannot start an already running container"))
        let exec = it.run(
            "exec", "--env", "X=1", "--cwd", "/tmp", "--user", "7:8", it.id, "sh", "-c", "id; pwd; echo $X; exit 3")
        #expect(exec.code == 3 && exec.out == "uid=7 gid=8\n/tmp\n1\n", "\(exec)")
        let missing = it.run("exec", it.id, "no-such-program")
        #expect(missing.code == 255 && missing.err.contains("executable file not found in $PATH"), "\(missing)")
        let pids = try Document(json: Array(it.run("ps", "--format", "json", it.id).out.utf8))
        #expect(pids.elements.compactMap(\.int) == [state.number("pid")])
        #expect(it.run("list").out.contains("running"))
        #expect(it.run("delete", it.id).err.contains("that is not stopped: running"))
        #expect(it.run("kill", it.id, "KILL").code == 0)
        #expect(RuntimeProcess.eventually { it.status() == "stopped" })
        let late = it.run("kill", it.id)
        #expect(late.code == 1 && late.err.contains("container not running"), "\(late)")
        #expect(it.run("delete", it.id).code == 0)
        let gone = it.run("state", it.id)
        #expect(gone.code == 1 && gone.err.contains("container does not exist"), "\(gone)")
        #expect(it.run("delete", "--force", it.id).code == 0)
        #expect(it.leftovers.isEmpty, "\(it.leftovers)")
    }

    @Test func stopsAndGoesOn() throws {
        let it = RuntimeProcess("pause")
        defer { it.tearDown() }
        try it.configure("while true; do :; done")
        #expect(it.run("run", "--detach", "--bundle", it.bundle, it.id).code == 0)
        #expect(it.run("pause", it.id).code == 0 && it.status() == "paused")
        #expect(it.run("exec", it.id, "true").err.contains("cannot exec in a paused container"))
        #expect(it.run("resume", it.id).code == 0 && it.status() == "running")
        #expect(it.run("resume", it.id).err.contains("container not paused"))
        let updated = it.run("update", "--memory", "32m", "--pids-limit", "7", it.id)
        #expect(updated.code == 0, "\(updated)")
        let stats = try Document(json: Array(it.run("events", "--stats", it.id).out.utf8))
        #expect(stats.text("type") == "stats" && stats.number("data", "memory", "usage", "limit") == 32 << 20)
        #expect(stats.number("data", "pids", "limit") == 7 && (stats.number("data", "cpu", "usage", "total") ?? 0) > 0)
        // A frozen one dies too.
        #expect(it.run("pause", it.id).code == 0 && it.run("delete", "--force", it.id).code == 0)
        #expect(it.leftovers.isEmpty, "\(it.leftovers)")
    }

    @Test func runsInTheForeground() throws {
        let it = RuntimeProcess("run")
        defer { it.tearDown() }
        try it.configure("tty; exit 5", ["process": ["terminal": true]])
        let ran = it.run("run", "--bundle", it.bundle, it.id)
        #expect(ran.code == 5 && ran.out == "/dev/pts/0\r\n", "\(ran)")
        try it.configure("exec sleep 1000")
        let waiting = Command([it.runtime, "--root", "\(it.directory)/state", "run", "--bundle", it.bundle, it.id])
        #expect(RuntimeProcess.eventually { it.status() == "running" })
        // A container's first process ignores what it does not handle: what ends it comes from here.
        it.run("kill", it.id, "KILL")
        #expect(waiting.wait().code == 137)
        #expect(it.leftovers.isEmpty, "\(it.leftovers)")
    }

    @Test func saysWhatIsWrongToTheLog() throws {
        let it = RuntimeProcess("log")
        defer { it.tearDown() }
        try it.configure("true", ["linux": ["namespaces": [["type": "gravity"]]]])
        let log = "\(it.directory)/log.json"
        let ran = Shell.run([
            it.runtime, "--root", "\(it.directory)/state", "--log", log, "--log-format", "json", "create", "--bundle",
            it.bundle, it.id,
        ])
        #expect(ran.code == 1 && ran.err.contains("linux.namespaces[0].type"), "\(ran)")
        let entry = try Document(json: Files.read(log))
        #expect(entry.text("level") == "error" && entry.text("msg")?.contains("'gravity' is none of") == true)
        #expect(entry.text("time") != nil)
        let systemd = Shell.run([it.runtime, "--systemd-cgroup", "list"])
        #expect(systemd.code == 1 && systemd.err.contains("cgroupfs"), "\(systemd)")
        #expect(it.leftovers.isEmpty, "\(it.leftovers)")
    }

    /// The same members everywhere, where runc is there to compare with.
    @Test(.enabled(if: Shell.has("runc"), "needs runc to compare with")) func hasTheShapesOfRunc() throws {
        let it = RuntimeProcess("shape")
        defer { it.tearDown() }
        func members(_ document: Document, _ path: String = "") -> Set<String> {
            if document.isArray { return document.elements.first.map { members($0, path + "[]") } ?? [] }
            return document.members.reduce(into: document.isObject && document.count > 0 ? [] : [path]) {
                $0.formUnion(members($1.value, "\(path).\($1.key)"))
            }
        }
        let ours = members(try Document(json: Array(it.run("features").out.utf8)))
        let theirs = members(try Document(json: Array(Shell.run(["runc", "features"]).out.utf8)))
        let missing = theirs.subtracting(ours).filter { !$0.hasPrefix(".annotations.org.opencontainers.runc") }
        #expect(missing.isEmpty, "\(missing.sorted())")
        #expect(it.run("spec", "--bundle", it.bundle).code == 0)
        #expect(it.run("spec", "--bundle", it.bundle).err.contains("exists"))
        let other = "\(it.directory)/other"
        _ = Shell.run(["sh", "-c", "mkdir \(other); runc spec --bundle \(other)"])
        let spec = members(try Document(json: Files.read("\(it.bundle)/config.json")))
        let specOfRunc = members(try Document(json: Files.read("\(other)/config.json")))
        let absent = specOfRunc.subtracting(spec).filter { !$0.contains("ambient") }
        #expect(absent.isEmpty, "\(absent.sorted())")
    }

    @Test func passesDescriptorsOn() throws {
        let it = RuntimeProcess("fds")
        defer { it.tearDown() }
        try it.configure("cat <&3; cat <&4; ls /proc/self/fd | grep -c .")
        let ran = Shell.run([
            "sh", "-c",
            """
            echo three >\(it.directory)/3; echo four >\(it.directory)/4
            exec \(it.runtime) --root \(it.directory)/state run --preserve-fds 2 --bundle \(it.bundle) \(it.id) \
                3<\(it.directory)/3 4<\(it.directory)/4 5<\(it.directory)/3
            """,
        ])
        // The three standard ones, the two, and what ls reads the directory with.
        #expect(ran.code == 0 && ran.out == "three\nfour\n6\n", "\(ran)")
    }
}
