import Document
import Glibc
import Linux
import Testing

/// The runtime for a user without privileges, who maps only itself and may make no control groups.
@Suite(
    .serialized,
    .enabled(
        if: RuntimeProcess.canRun && Shell.has("setpriv") && hasUserNamespaces,
        "\(RuntimeProcess.why), setpriv, and user namespaces for everybody"))
struct RootlessTests {
    private static let user = 65_534

    private func run(_ it: RuntimeProcess, _ words: String...) -> Ran {
        Shell.run(
            [
                "setpriv", "--reuid", "\(Self.user)", "--regid", "\(Self.user)", "--clear-groups", it.runtime, "--root",
                "\(it.directory)/own",
            ] + words)
    }

    private func configure(_ it: RuntimeProcess, _ patch: Document) throws {
        unlink("\(it.bundle)/config.json")
        let made = run(it, "spec", "--rootless", "--bundle", it.bundle)
        try #require(made.code == 0, "\(made)")
        let usual: Document = [
            "process": [
                "args": ["sh", "-c", "id -u; echo inside >/tmp/x && cat /tmp/x"], "terminal": false,
            ], "root": ["readonly": false],
        ]
        let base = try Document(json: Files.read("\(it.bundle)/config.json"))
        let whole = base.applyingMergePatch(usual).applyingMergePatch(patch)
        try Files.write(whole.json, to: "\(it.bundle)/config.json")
    }

    @Test func mapsItselfAndDoesWithoutGroups() throws {
        let it = RuntimeProcess("rootless")
        defer { it.tearDown() }
        #expect(Shell.run(["chown", "-R", "\(Self.user)", it.directory]).code == 0)
        try configure(it, .emptyObject)
        let ran = run(it, "run", "--bundle", it.bundle, it.id)
        #expect(ran.code == 0 && ran.out == "0\ninside\n", "\(ran)")
        #expect(run(it, "list", "--quiet").out.isEmpty)

        // What takes privileges is refused with its reason.
        try configure(it, ["linux": ["resources": ["pids": ["limit": 5]]]])
        let limited = run(it, "run", "--bundle", it.bundle, it.id)
        #expect(limited.code == 1 && limited.err.contains("Permission denied"), "\(limited)")
        let own: Document = ["containerID": 0, "hostID": Document(Self.user), "size": 1]
        try configure(it, ["linux": ["uidMappings": [own, ["containerID": 1, "hostID": 100_000, "size": 65_536]]]])
        let mapped = run(it, "run", "--bundle", it.bundle, it.id)
        #expect(mapped.code == 1 && mapped.err.contains("linux.uidMappings"), "\(mapped)")
        #expect(mapped.err.contains("newuidmap and newgidmap are not used"), "\(mapped)")
        #expect(run(it, "list", "--quiet").out.isEmpty)
    }

    @Test func whatIsNotThereSaysSo() {
        let it = RuntimeProcess("absent")
        defer { it.tearDown() }
        for (words, message) in [
            (["checkpoint", "x"], "takes no checkpoints"), (["restore", "x"], "takes no checkpoints"),
            (["--systemd-cgroup", "list"], "does not ask systemd"),
            (["update", "--l3-cache-schema", "x", "y"], "is not supported"),
        ] {
            let ran = Shell.run([it.runtime, "--root", "\(it.directory)/state"] + words)
            #expect(ran.code == 1 && ran.err.contains(message), "\(ran)")
        }
    }
}

private let hasUserNamespaces: Bool = {
    let words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-Ur", "true"]
    return Shell.run(words).code == 0
}()
