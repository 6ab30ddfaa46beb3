import Basics
import Document
import Glibc
import Linux
import Runtime
import Testing
import Wire

@testable import Kubelet

/// Tests of the whole agent make tmpfs mounts for pods' /dev/shm.
private let isRoot = geteuid() == 0

@Suite(.enabled(if: isRoot, "mounting tmpfs needs root"))
struct KubeletTests {
    @Test func aPodBecomesRunningAndGoesAway() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod(["volumes": [["name": "tmp", "emptyDir": ["medium": "Memory"]]]]))
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            let status = node.api[webPath]?["status"] ?? .null
            #expect(status.text("podIP") == "10.244.1.1")
            #expect(status.text("hostIP") == "10.89.0.3")
            #expect(status.condition("Ready")?.text("status") == "True")
            // What was said of the container while it was not ready is taken back.
            #expect(status.condition("Ready")?["reason"] == nil)
            #expect(status.condition("Ready")?["message"] == nil)
            #expect(status.container("main")?.text("imageID") == "docker.io/library/busybox@sha256:bb")
            let process = node.runtime.living.first?.specification("main.0")
            #expect(process?.arguments == ["sh"])
            #expect(process?.environment.contains("FROM_IMAGE=yes") == true)
            try await node.api.waitForEvent("Started")
            var deleted = node.api[webPath] ?? .null
            deleted.set("2027-01-15T08:00:00Z", at: "metadata", "deletionTimestamp")
            deleted.set(30, at: "metadata", "deletionGracePeriodSeconds")
            node.api.put(webPath, deleted)
            try await node.api.wait(webPath) { $0 == nil }
            #expect(node.runtime.living.isEmpty)
            #expect(node.network.state.withLock { $0.attached }.isEmpty)
            #expect(try Files.list("\(node.directory)/lib/pods") == [])
            #expect(try Files.list("\(node.directory)/lib/sandboxes") == [])
        }
    }

    @Test func theNodeRegistersAtOnceAndTurnsReadyWithTheNetwork() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.network.become(ready: false)
        try await node.withKubelet { _ in
            try await node.api.wait("/api/v1/nodes/n1") { $0 != nil }
            let first = node.api["/api/v1/nodes/n1"] ?? .null
            #expect(first["status"]?.condition("Ready")?.text("status") == "False")
            #expect(first.map("metadata", "labels")["kubernetes.io/hostname"] == "n1")
            #expect(first.text("status", "capacity", "cpu") == "2")
            #expect(first.text("status", "nodeInfo", "containerRuntimeVersion") == "lab://0.1.0")
            node.network.become(ready: true)
            try await node.api.wait("/api/v1/nodes/n1") {
                $0?["status"]?.condition("Ready")?.text("status") == "True"
            }
            try await node.api.wait("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1") {
                $0?.text("spec", "holderIdentity") == "n1"
            }
        }
    }

    @Test func podsOutliveTheAgent() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod())
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            try await node.api.waitForEvent("Started")
        }
        let before = node.api[webPath]
        #expect(node.runtime.living.count == 1)
        try await node.withKubelet { _ in
            try await node.api.wait("/api/v1/nodes/n1") {
                $0?["status"]?.condition("Ready")?.text("status") == "True"
            }
            // An end that happens now must be seen by the new agent.
            node.runtime.living.first?.end("main.0", code: 3)
            try await node.api.wait(webPath) {
                $0?["status"]?.container("main")?.number("restartCount") == 1
                    && $0?["status"]?.container("main")?.at("state", "running") != nil
            }
        }
        let after = node.api[webPath]
        #expect(after?.text("status", "podIP") == before?.text("status", "podIP"))
        #expect(after?.text("status", "startTime") == before?.text("status", "startTime"))
        #expect(after?["status"]?.container("main")?.number("lastState", "terminated", "exitCode") == 3)
        #expect(node.runtime.launched.withLock { $0.count } == 1)
        for sandbox in node.runtime.living { sandbox.die() }
    }

    @Test func aKilledSupervisorIsReplaced() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod())
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            node.runtime.living.first?.die()
            try await node.api.wait(webPath) {
                $0?["status"]?.container("main")?.number("restartCount") == 1
                    && $0?["status"]?.container("main")?.flag("ready") == true
            }
            #expect(node.runtime.launched.withLock { $0.count } == 2)
            #expect(node.network.state.withLock { $0.attached.count } == 1)
        }
    }

    @Test func orphansAreRemovedAtTheStart() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod())
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
        }
        node.api.remove(webPath)
        try await node.withKubelet { _ in
            try await node.api.wait("/api/v1/nodes/n1") { _ in node.runtime.living.isEmpty }
            node.api.put("/api/v1/namespaces/shop/pods/next", pod(metadata: ["name": "next", "uid": "u2"]))
            try await node.api.wait("/api/v1/namespaces/shop/pods/next") { $0?.text("status", "phase") == "Running" }
        }
        #expect(try Files.list("\(node.directory)/lib/pods") == ["u2"])
        #expect(node.network.state.withLock { $0.retained } == [])
    }

    @Test func apiVolumesAreMadeAndFollow() async throws {
        let node = try TestNode()
        defer { node.remove() }
        let map = "/api/v1/namespaces/shop/configmaps/settings"
        node.api.put(map, ["metadata": ["name": "settings", "namespace": "shop"], "data": ["color": "red"]])
        let sources: Document = [
            ["configMap": ["name": "settings"]], ["serviceAccountToken": ["path": "token", "expirationSeconds": 3600]],
            ["downwardAPI": ["items": [["path": "labels", "fieldRef": ["fieldPath": "metadata.name"]]]]],
        ]
        node.api.put(
            webPath,
            pod(["volumes": [["name": "all", "projected": ["sources": sources, "defaultMode": 0o640]]]]))
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            let uid = node.api[webPath]?.text("metadata", "uid") ?? ""
            let volume = "\(node.directory)/lib/pods/\(uid)/volumes/all"
            #expect(try Files.text("\(volume)/color") == "red")
            #expect(try Files.text("\(volume)/token") == "a-token")
            #expect(try Files.text("\(volume)/labels") == "web")
            node.api.put(map, ["metadata": ["name": "settings", "namespace": "shop"], "data": ["color": "blue"]])
            var text = "red"
            while text != "blue" {
                try await Task.sleep(for: .milliseconds(5))
                text = (try? Files.text("\(volume)/color")) ?? ""
            }
        }
    }

    @Test func aVolumeOfAnUnknownKindSaysSo() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod(["volumes": [["name": "v", "nfs": ["server": "x", "path": "/"]]]]))
        try await node.withKubelet { _ in
            try await node.api.waitForEvent("FailedMount")
            #expect(
                node.api.events("FailedMount").first?.text("message")?.contains("\"nfs\" are not supported") == true)
        }
    }

    @Test func execProbesRunBesideTheContainer() async throws {
        let node = try TestNode()
        defer { node.remove() }
        let probe: Document = ["exec": ["command": ["check", "7"]], "periodSeconds": 1]
        node.api.put(webPath, pod(["containers": [container("main", ["readinessProbe": probe])]]))
        try await node.withKubelet { _ in
            try await node.api.waitForEvent("Unhealthy")
            #expect(node.api.events("Unhealthy").first?.text("message") == "Readiness probe failed: unwell")
            let process = node.runtime.living.first?.specification("_exec.main.1")
            #expect(process?.namespaces[.mount] == .path("/proc/1001/ns/mnt"))
            #expect(process?.root == .inherit)
        }
    }

    @Test func logsNeedACertificateAndAnswerWhatIsAsked() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod())
        try await node.withKubelet { kubelet in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            let file = node.configuration.logFile(node.api[webPath] ?? .null, container: "main", attempt: 0)
            let lines = (1...9).map { "2027-01-15T08:00:0\($0).000000000Z stdout F line \($0)\n" }.joined()
            try Files.write(Array(lines.utf8), to: file)
            let refused = await kubelet.handler(Request("GET", "/containerLogs/shop/web/main"))
            #expect(refused.status == 401)
            let peer = PeerIdentity(certificate: [1])
            func ask(_ query: String) async throws -> String {
                let response = await kubelet.handler(
                    Request("GET", "/containerLogs/shop/web/main?\(query)", peer: peer))
                #expect(response.status == 200)
                let writer = Collector()
                if case .stream(let body) = response.body { try await body(writer) }
                return await writer.text
            }
            try await Self.untilSynced(kubelet, peer)
            #expect(try await ask("tailLines=2") == "line 8\nline 9\n")
            #expect(try await ask("limitBytes=10") == "line 1\nlin")
            #expect(
                try await ask("sinceTime=2027-01-15T08:00:08Z&timestamps=true")
                    == "2027-01-15T08:00:08.000000000Z line 8\n2027-01-15T08:00:09.000000000Z line 9\n")
            let previous = await kubelet.handler(
                Request("GET", "/containerLogs/shop/web/main?previous=true", peer: peer))
            #expect(previous.status == 400)
            let exec = await kubelet.handler(Request("POST", "/exec/shop/web/main", peer: peer))
            #expect(exec.status == 400)
        }
    }

    /// The handler's copy of the pod may be a moment behind the API.
    private static func untilSynced(_ kubelet: Kubelet, _ peer: PeerIdentity) async throws {
        while await kubelet.handler(Request("GET", "/containerLogs/shop/web/main", peer: peer)).status != 200 {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func aProgramThatIsMissingIsReported() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(
            webPath,
            pod(["restartPolicy": "Never", "containers": [container("main", ["command": ["/missing"]])]]))
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?.text("status", "phase") == "Failed" }
            let end = node.api[webPath]?["status"]?.container("main")?.at("state", "terminated")
            #expect(end?.text("reason") == "ContainerCannotRun")
            #expect(end?.text("message")?.contains("/missing") == true)
        }
    }
}

private actor Collector: BodyWriter {
    private var bytes: [UInt8] = []
    var text: String { String(decoding: bytes, as: UTF8.self) }
    func write(_ piece: [UInt8]) async throws { bytes += piece }
}
