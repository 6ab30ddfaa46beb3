import Glibc
import Linux
import Testing

@testable import Runtime

/// A node: a supervisor that another supervisor started inside a root of its own, and a pod's supervisor inside that.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct NodeTests {
    /// The test runner needs its libraries; a static binary would need nothing but itself.
    private func node(_ fixture: Fixture, in cluster: any Sandbox) throws -> ProcessSpecification {
        let shared = "\(fixture.directory)/node-state"
        try Files.makeDirectories(shared)
        for part in ["upper", "work", "data"] { try Files.makeDirectories("\(fixture.directory)/node/\(part)") }
        var node = SandboxSpecification(id: "node", stateDirectory: "/run/lab/node")
        for kind in [NamespaceKind.mount, .network, .ipc, .uts, .pid, .cgroup] { node.namespaces[kind] = .new }
        node.hostname = "node-1"
        node.cgroup = "\(fixture.cgroup)/node"
        let root = "\(fixture.directory)/node-root"
        try Files.makeDirectories(root)
        for link in ["bin", "sbin", "lib", "lib64"] { try #require(symlink("usr/\(link)", "\(root)/\(link)") == 0) }
        node.root = .overlay(
            lower: [root], upper: "\(fixture.directory)/node/upper", work: "\(fixture.directory)/node/work",
            readOnly: false)
        node.privileges.allDevices = true
        node.mounts =
            Mount.standard(privileged: true) + [
                Mount(source: "\(fixture.directory)/node/data", target: "/data", type: "bind", options: ["rbind"]),
                Mount(source: shared, target: "/run/lab/node", type: "bind"),
                Mount(source: fixture.binary, target: "/lab", type: "bind", options: ["ro"]),
            ]
        for directory in ["/usr", "/etc", "/opt"] {
            node.mounts.append(Mount(source: directory, target: directory, type: "bind", options: ["rbind", "ro"]))
        }
        return try LinuxSupervisor.supervisorProcess(for: node, binary: "/lab", held: ["host-net"])
    }

    @Test func runsAPodInANodeInACluster() async throws {
        try await Fixture.with { fixture in
            var outer = fixture.specification([.mount, .network, .ipc, .uts, .pid])
            outer.heldNamespaces["host-net"] = "/proc/self/ns/net"
            outer.cgroup = fixture.cgroup
            let cluster = try await fixture.runtime.launch(outer)
            let pid = try await cluster.start(node(fixture, in: cluster))
            let inner = try #require(
                try await fixture.runtime.attach(
                    stateDirectory: "\(fixture.directory)/node-state", within: .seconds(20)))
            #expect(inner.pid == pid)

            // A process of the node, seen and started from the host.
            var process = fixture.shell(
                "inside",
                """
                hostname; echo $$ | grep -c .; ls /proc | grep -c '^[0-9]'; ls /sys/class/net; ls /dev/pts /dev/mqueue
                ls /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null; readlink /proc/self/fd/9 | grep -c net
                """)
            process.output = .criLog(path: "/data/inside.log", maximumBytes: 0, keep: 0)
            process.heldDescriptors[9] = "host-net"
            process.cgroup = "/workload"
            _ = try await inner.start(process)
            let status = try await inner.wait(for: "inside") { $0.hasExited }
            guard case .exited(let code, _, _, _) = status.state else { return }
            let text = try Files.text("\(fixture.directory)/node/data/inside.log")
            let output = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 3).last ?? "" }
            #expect(code == 0 && output.first == "node-1" && output.last == "1", "\(text)")
            #expect(output.contains("lo") && output.contains("ptmx"))
            let layout = try CgroupLayout.ofProcess()
            #expect(try Cgroup("\(fixture.cgroup)/node/workload", layout: layout).exists)
            try await inner.remove("inside")
            #expect(try !Cgroup("\(fixture.cgroup)/node/workload", layout: layout).exists)

            // The node's supervisor is pid 1 there: its death ends everything in it, and only that.
            let sleeper = try await inner.start(fixture.sleeper())
            kill(pid, SIGKILL)
            _ = try await cluster.wait(for: "node") { $0.hasExited }
            #expect(!Files.exists("/proc/\(sleeper)"))
            #expect(try await cluster.processes().count == 1)
        }
    }
}

extension Fixture {
    /// Where the binary that links the stage lies.
    var binary: String {
        if let named = getenv("LAB_BINARY") { return String(cString: named) }
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        return String(decoding: path.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    func sleeper() -> ProcessSpecification {
        var process = ProcessSpecification(id: "sleeper", arguments: ["/bin/sleep", "1000"])
        process.namespaces[.pid] = .new
        return process
    }
}
