import Document
import Glibc
import Linux

@testable import Runtime

/// A bundle, a store and a control group for one test of the command line's runtime.
struct ContainerFixture {
    let fixture: Fixture
    let bundle: String
    let store: ContainerStore

    init(_ fixture: Fixture) throws {
        self.fixture = fixture
        bundle = fixture.directory
        store = ContainerStore(root: "\(fixture.directory)/store")
        _ = try fixture.makeRoot("rootfs")
    }

    /// A configuration as managers write it, changed by a merge patch.
    func write(_ script: String, _ patch: Document = .emptyObject) throws {
        let usual: Document = [
            "ociVersion": "1.2.0", "root": ["path": "rootfs"], "hostname": "box",
            "process": [
                "args": ["/bin/sh", "-c", Document(script)], "cwd": "/", "env": ["PATH=/bin"],
                "capabilities": ["bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]],
            ],
            "mounts": [
                ["destination": "/proc", "type": "proc", "source": "proc"],
                ["destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]],
                [
                    "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
                ],
            ],
            "linux": [
                "cgroupsPath": Document("\(fixture.cgroup)/c"),
                "namespaces": Document(
                    ["mount", "pid", "uts", "ipc", "network"].map { kind -> Document in ["type": Document(kind)] }),
            ],
        ]
        try Files.write(Array(usual.applyingMergePatch(patch).jsonText.utf8), to: "\(bundle)/config.json")
    }

    /// The usual mounts and one more.
    func mounts(and mount: Document) throws -> Document {
        let document = try Document(json: Files.read("\(bundle)/config.json"))
        return Document(document.list("mounts") + [mount])
    }

    func creator(_ id: String, _ options: ContainerCreator.Options = .init()) -> ContainerCreator {
        ContainerCreator(store: store, id: id, bundle: bundle, options: options, now: "2026-01-01T00:00:00Z")
    }

    /// Creates, starts and waits; the exit code, and what the script wrote to /out.
    func run(_ id: String = "c") throws -> (code: Int32, out: String) {
        let (container, _) = try creator(id).create()
        let pid = container.record.process.pid
        do { _ = try container.start() } catch {
            ContainerSpawn.reap(pid)
            _ = try container.delete(force: true)
            throw error
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        _ = try container.delete(force: true)
        let out = (try? Files.text("\(bundle)/rootfs/out")) ?? ""
        return (status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F), out)
    }

    static func with(_ body: (ContainerFixture) async throws -> Void) async throws {
        try await Fixture.with { try await body(ContainerFixture($0)) }
    }

    /// What a start that failed could have left: descriptors that are no sockets, mounts, groups, children, state.
    func leftovers() throws -> [String] {
        var found = ((try? Files.list(store.root)) ?? []).map { "state \($0)" }
        if try Cgroup("\(fixture.cgroup)/c", layout: .ofProcess()).exists { found.append("cgroup") }
        found += try Files.text("/proc/self/mountinfo").split(separator: "\n").filter { $0.contains(bundle) }
            .map(String.init)
        return found
    }
}
