import Document
import Glibc
import Linux

/// The binary as `lab-runc`, with a bundle and a store of its own.
struct RuntimeProcess {
    static let busybox = ["/usr/bin/busybox", "/bin/busybox"].first { Files.exists($0) }
    static var canRun: Bool { Machine.canCreate && busybox != nil }
    static let why = "\(Machine.why), and a static busybox (Debian's busybox-static)"

    let directory: String
    let id: String
    var runtime: String { "\(directory)/lab-runc" }
    var bundle: String { "\(directory)/bundle" }
    var root: String { "\(bundle)/rootfs" }
    var cgroup: String { "/lab-test-\(id)" }

    init(_ purpose: String) {
        id = "t\(getpid() % 100_000)-\(purpose)"
        directory = "/var/tmp/lab-test-\(id)"
        _ = Shell.run(["sh", "-c", "mkdir -p \(directory)/bundle/rootfs/bin \(directory)/bundle/rootfs/tmp"])
        symlink(Machine.binary ?? "", runtime)
        _ = Shell.run(["cp", Self.busybox ?? "", "\(root)/bin/busybox"])
        for name in ["sh", "sleep", "cat", "echo", "id", "ls", "true", "tty", "touch", "mount", "grep"] {
            symlink("busybox", "\(root)/bin/\(name)")
        }
    }

    /// Writes the configuration that `spec` gives, changed by a merge patch.
    func configure(_ script: String, _ patch: Document = .emptyObject) throws {
        unlink("\(bundle)/config.json")
        let ran = run("spec", "--bundle", bundle)
        guard ran.code == 0 else { throw SystemError("lab-runc spec", ran.err, errno: EIO) }
        let usual: Document = [
            "process": ["args": ["sh", "-c", Document(script)], "terminal": false], "root": ["readonly": false],
            "linux": ["cgroupsPath": Document(cgroup)],
        ]
        let base = try Document(json: Files.read("\(bundle)/config.json"))
        let document = base.applyingMergePatch(usual).applyingMergePatch(patch)
        try Files.write(Array(document.jsonText.utf8), to: "\(bundle)/config.json")
    }

    @discardableResult
    func run(_ words: String...) -> Ran { Shell.run([runtime, "--root", "\(directory)/state"] + words) }

    func status() -> String {
        (try? Document(json: Array(run("state", id).out.utf8)).text("status")) ?? "none"
    }

    /// Repeats until `condition` holds, for half a minute at most.
    static func eventually(_ condition: () -> Bool) -> Bool {
        let start = time(nil)
        while time(nil) - start <= 30 {
            if condition() { return true }
            usleep(10_000)
        }
        return false
    }

    /// What is left of the container: groups, state, mounts.
    var leftovers: String {
        Shell.run([
            "sh", "-c",
            """
            find /sys/fs/cgroup -maxdepth 3 -type d -name 'lab-test-\(id)*'; ls \(directory)/state 2>/dev/null
            grep -F '\(directory)' /proc/self/mountinfo
            """,
        ]).out
    }

    func tearDown() {
        run("delete", "--force", id)
        _ = Shell.run(["rm", "-rf", directory])
    }
}
