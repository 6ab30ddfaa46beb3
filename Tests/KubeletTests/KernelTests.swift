import Basics
import Document
import Glibc
import Images
import Linux
import Runtime
import Testing
import Wire

@testable import Kubelet

private let busyboxBinary = ["/usr/bin/busybox", "/bin/busybox"].first { Files.exists($0) }

/// An image of nothing but busybox, and a user.
private struct BusyboxImages: ImageSource {
    let layer: String

    init(_ layer: String) throws {
        self.layer = layer
        for part in ["bin", "etc", "tmp"] { try Files.makeDirectories("\(layer)/\(part)") }
        try Files.copy(try #require(busyboxBinary), to: "\(layer)/bin/busybox", mode: 0o755)
        for applet in ["sh", "sleep", "cat", "echo", "id", "test", "env", "hostname", "grep", "ls", "df"] {
            try #require(symlink("busybox", "\(layer)/bin/\(applet)") == 0)
        }
        try Files.write(
            Array("root:x:0:0::/:/bin/sh\nworker:x:1234:1235::/home/worker:/bin/sh\n".utf8), to: "\(layer)/etc/passwd")
        try Files.write(Array("root:x:0:\nextra:x:77:worker\n".utf8), to: "\(layer)/etc/group")
    }

    func resolve(_ reference: String) async throws -> Image? {
        Image(
            id: "sha256:aa", digest: "sha256:bb", names: ["docker.io/library/busybox:1.36"], size: 1000,
            layerDirectories: [layer], config: ["Cmd": ["sh"], "Env": ["PATH=/bin"], "User": "worker"])
    }
    func list() async throws -> [Image] { [] }
    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image {
        throw SystemError("connect", "registry", errno: ECONNREFUSED)
    }
}

/// The agent with the real runtime: processes, namespaces, mounts and control groups of the kernel's.
@Suite(
    .enabled(if: geteuid() == 0 && busyboxBinary != nil, "needs root and a static busybox (Debian's busybox-static)"),
    .serialized)
struct KernelTests {
    private func with(_ body: @escaping @Sendable (TestNode<LinuxSupervisor>, Kubelet) async throws -> Void)
        async throws
    {
        let node = try TestNode(base: "/var/tmp", runtime: LinuxSupervisor(), cgroup: "lab-kubelet-\(getpid())")
        let images = try BusyboxImages("\(node.directory)/layer")
        do { try await node.withKubelet(images: images) { kubelet in try await body(node, kubelet) } } catch {
            await cleanUp(node)
            throw error
        }
        await cleanUp(node)
        #expect(!Files.exists(node.directory))
        #expect((try? Files.text("/proc/self/mountinfo").contains(node.directory)) == false)
    }

    private func cleanUp(_ node: TestNode<LinuxSupervisor>) async {
        do {
            let root = "\(node.directory)/lib/sandboxes"
            for uid in (try? Files.list(root)) ?? [] {
                for number in try Files.list("\(root)/\(uid)") {
                    try await node.runtime.attach(stateDirectory: "\(root)/\(uid)/\(number)")?.destroy()
                    try await node.runtime.cleanUp(stateDirectory: "\(root)/\(uid)/\(number)")
                }
            }
            try Cgroup(node.cgroup, layout: .ofProcess()).remove()
            node.remove()
        } catch { Issue.record("cleaning up: \(error)") }
    }

    private func log(_ node: TestNode<LinuxSupervisor>, _ container: String) throws -> String {
        let pod = try #require(node.api[webPath])
        let bytes = try Files.read(node.configuration.logFile(pod, container: container, attempt: 0))
        return bytes.split(separator: 10).compactMap { LogLine($0) }
            .map { String(decoding: $0.text, as: UTF8.self) }.joined()
    }

    private func delete(_ node: TestNode<LinuxSupervisor>) async throws {
        var deleted = try #require(node.api[webPath])
        deleted.set("2027-01-15T08:00:00Z", at: "metadata", "deletionTimestamp")
        deleted.set(0, at: "metadata", "deletionGracePeriodSeconds")
        node.api.put(webPath, deleted)
        try await node.api.wait(webPath) { $0 == nil }
    }

    @Test func aPodRunsAndLeavesNothing() async throws {
        try await with { node, _ in
            let map: Document = ["metadata": ["name": "m", "namespace": "shop"], "data": ["color": "red"]]
            node.api.put("/api/v1/namespaces/shop/configmaps/m", map)
            let script = """
                id; env; hostname; cat /config/color; echo; cat /etc/resolv.conf; grep web /etc/hosts; df /dev/shm
                echo last words > /dev/termination-log; echo $$$$; cat /data/greeting; exec sleep 1000
                """
            let mounts: Document = [
                ["name": "data", "mountPath": "/data"], ["name": "conf", "mountPath": "/config", "readOnly": true],
            ]
            let probe: Document = ["exec": ["command": ["test", "-e", "/data/greeting"]], "periodSeconds": 1]
            node.api.put(
                webPath,
                pod([
                    "volumes": [["name": "data", "emptyDir": [:]], ["name": "conf", "configMap": ["name": "m"]]],
                    "initContainers": [
                        container(
                            "first", ["command": ["sh", "-c", "echo hello > /data/greeting"], "volumeMounts": mounts])
                    ],
                    "containers": [
                        container(
                            "main",
                            [
                                "command": ["sh", "-c", Document(script)], "volumeMounts": mounts,
                                "env": [
                                    ["name": "NODE", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]],
                                    ["name": "BOTH", "value": "$(NODE)-$$(NODE)-$(NONE)"],
                                    [
                                        "name": "COLOR",
                                        "valueFrom": ["configMapKeyRef": ["name": "m", "key": "color"]],
                                    ],
                                ], "readinessProbe": probe,
                                "resources": ["limits": ["memory": "64Mi", "cpu": "500m"]],
                            ])
                    ],
                ]))
            try await node.api.wait(webPath) {
                $0?["status"]?.condition("Ready")?.text("status") == "True"
                    || $0?.text("status", "phase") == "Failed"
            }
            while try !log(node, "main").contains("hello\n") { try await Task.sleep(for: .milliseconds(5)) }
            let text = try log(node, "main")
            for expected in [
                "uid=1234(worker) gid=1235", "groups=77(extra)", "NODE=n1\n", "BOTH=n1-$(NODE)-$(NONE)\n",
                "COLOR=red\n",
                "web\n", "red\n", "search shop.svc.cluster.local svc.cluster.local cluster.local\n",
                "nameserver 10.96.0.10\n", "options ndots:5\n", "10.244.1.1\tweb\n", "/dev/shm", "\n1\nhello\n",
                "HOME=/home/worker\n",
            ] {
                #expect(text.contains(expected), "\(expected) in \(text)")
            }
            try await delete(node)
        }
    }

    @Test func anEndIsReportedAndTheSupervisorsDeathSurvived() async throws {
        try await with { node, _ in
            node.api.put(
                webPath,
                pod([
                    "containers": [
                        container(
                            "main", ["command": ["sh", "-c", "echo bye > /dev/termination-log; exec sleep 1000"]])
                    ]
                ]))
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            let uid = try #require(node.api[webPath]?.text("metadata", "uid"))
            let directory = "\(node.directory)/lib/sandboxes/\(uid)/1"
            let sandbox = try #require(try await node.runtime.attach(stateDirectory: directory))
            #expect(kill(sandbox.pid, SIGKILL) == 0)
            try await node.api.wait(webPath) {
                $0?["status"]?.container("main")?.number("restartCount") == 1
                    && $0?["status"]?.container("main")?.at("state", "running") != nil
            }
            #expect(!Files.exists(directory))
            let second = try #require(
                try await node.runtime.attach(stateDirectory: "\(node.directory)/lib/sandboxes/\(uid)/2"))
            try await second.signal("main.1", SIGKILL)
            // The second end comes so soon that the third start has to wait.
            try await node.api.wait(webPath) {
                $0?["status"]?.container("main")?.text("state", "waiting", "reason") == "CrashLoopBackOff"
            }
            let last = node.api[webPath]?["status"]?.container("main")?.at("lastState", "terminated")
            #expect(last?.number("signal") == 9)
            #expect(last?.text("message") == "bye\n")
            try await delete(node)
        }
    }

    @Test func outOfMemoryIsNamed() async throws {
        try await with { node, _ in
            node.api.put(
                webPath,
                pod([
                    "restartPolicy": "Never",
                    "containers": [
                        container(
                            "main",
                            [
                                "command": ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
                                "resources": ["limits": ["memory": "16Mi"]],
                            ])
                    ],
                ]))
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Failed" }
            let end = node.api[webPath]?["status"]?.container("main")?.at("state", "terminated")
            #expect(end?.text("reason") == "OOMKilled")
            #expect(end?.number("exitCode") == 137)
        }
    }
}
