import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Kubelet

@Suite struct StaticPodTests {
    private let manifest = """
        apiVersion: v1
        kind: Pod
        metadata: {name: Web, labels: {app: web}}
        spec:
          containers: [{name: main, image: busybox:1.36}]
        """.replacing("Web", with: "web")

    private func read(_ text: String, node: String = "n1") throws -> [Document] {
        try StaticPod.read(Array(text.utf8), source: "file", origin: "/etc/web.yaml", nodeName: node, now: start)
    }

    @Test func aManifestBecomesAPodOfTheNode() throws {
        let pod = try #require(try read(manifest).first)
        #expect(pod.text("metadata", "name") == "web-n1")
        #expect(pod.text("metadata", "namespace") == "default")
        #expect(pod.text("spec", "nodeName") == "n1")
        #expect(pod.text("spec", "restartPolicy") == "Always")
        #expect(pod.text("metadata", "annotations", "kubernetes.io/config.source") == "file")
        let uid = pod.text("metadata", "uid") ?? ""
        #expect(uid.count == 32 && pod.text("metadata", "annotations", "kubernetes.io/config.hash") == uid)
        #expect(pod.list("spec", "tolerations") == [["operator": "Exists", "effect": "NoExecute"]])
        #expect(try read(manifest).first?.text("metadata", "uid") == uid)
        #expect(try read(manifest, node: "n2").first?.text("metadata", "uid") != uid)
        #expect(try read(manifest.replacing("1.36", with: "1.37")).first?.text("metadata", "uid") != uid)
        let mirror = StaticPod.mirror(of: pod, nodeUID: "node-uid")
        #expect(mirror["metadata"]?["uid"] == nil)
        #expect(PodIdentity.isMirror(mirror) && PodIdentity.uid(mirror) == uid)
        #expect(mirror.list("metadata", "ownerReferences").first?.flag("controller") == true)
    }

    @Test(arguments: [
        "", "::", "kind: Service", "apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {}",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}], volumes: [{name: s, secret: {secretName: s}}]}",
    ])
    func badManifestsAreRefused(_ text: String) { #expect(throws: (any Error).self) { try read(text) } }

    @Test func severalInOneStream() throws {
        let both = manifest + "\n---\n" + manifest.replacing("name: web", with: "name: other")
        #expect(try read(both).map { $0.text("metadata", "name") } == ["web-n1", "other-n1"])
    }

    private func plan(
        _ wanted: [Document], running: [String: String] = [:], mirrors: [Document] = [], isComplete: Bool = true
    ) -> StaticPlan {
        StaticPlan.make(wanted: wanted, running: running, mirrors: mirrors, isComplete: isComplete)
    }

    @Test func whatIsWantedRunsAndIsShown() throws {
        let pod = try #require(try read(manifest).first)
        let newer = try #require(try read(manifest.replacing("1.36", with: "1.37")).first)
        let uid = pod.text("metadata", "uid") ?? ""
        let name = "default/web-n1"
        var mirror = StaticPod.mirror(of: pod, nodeUID: "n")
        mirror.set("m1", at: "metadata", "uid")
        #expect(plan([pod]) == StaticPlan(start: [pod], createMirrors: [pod]))
        #expect(plan([pod], running: [name: uid], mirrors: [mirror]) == StaticPlan())
        // A changed manifest: the old one ends first, and only then the new one starts.
        #expect(plan([newer], running: [name: uid], mirrors: [mirror]) == StaticPlan(stop: [uid]))
        #expect(plan([newer], mirrors: [mirror]) == StaticPlan(start: [newer], deleteMirrors: [mirror]))
        #expect(plan([], running: [name: uid], mirrors: [mirror]) == StaticPlan(stop: [uid]))
        #expect(plan([], mirrors: [mirror]) == StaticPlan(deleteMirrors: [mirror]))
        // Before the directory was read nothing is known to be gone.
        #expect(plan([], mirrors: [mirror], isComplete: false) == StaticPlan())
        // A mirror that somebody deletes goes, and comes back.
        var dying = mirror
        dying.set(Document(at(1).description), at: "metadata", "deletionTimestamp")
        #expect(plan([pod], running: [name: uid], mirrors: [dying]) == StaticPlan(deleteMirrors: [dying]))
        #expect(plan([pod], running: [name: uid]) == StaticPlan(createMirrors: [pod]))
    }

    @Test(.enabled(if: geteuid() == 0, "mounting tmpfs needs root"))
    func aStaticPodComesAndGoesWithItsFile() async throws {
        let node = try TestNode()
        defer { node.remove() }
        let directory = "\(node.directory)/manifests"
        try Files.makeDirectories(directory)
        let path = "/api/v1/namespaces/default/pods/web-n1"
        let file = "\(directory)/web.yaml"
        let text = manifest
        try await node.withKubelet(configure: { $0.staticPodPath = directory }) { _ in
            try Files.write(Array("garbage: [".utf8), to: "\(directory)/broken.yaml")
            try Files.write(Array(text.utf8), to: file)
            try await node.api.wait(path) { $0?.text("status", "phase") == "Running" }
            #expect(node.api[path]?.at("metadata", "annotations", "kubernetes.io/config.mirror") != nil)
            // Without its mirror it goes on, and gets a new one.
            node.api.remove(path)
            try await node.api.wait(path) { $0?.text("status", "phase") == "Running" }
            #expect(node.runtime.launched.withLock { $0.count } == 1)
            #expect(unlink(file) == 0)
            try await node.api.wait(path) { $0 == nil }
            #expect(node.runtime.living.isEmpty)
        }
    }

    @Test(arguments: [
        ("http://10.0.0.1/pods.yaml", "10.0.0.1", 80, "/pods.yaml"), ("https://10.0.0.1:8443", "10.0.0.1", 8443, "/"),
        ("http://[fd00::1]:81/x?y", "fd00::1", 81, "/x?y"),
    ])
    func placesOfManifests(text: String, address: String, port: UInt16, target: String) {
        let url = ManifestURL(text)
        #expect(url?.address == IPAddress(address) && url?.port == port && url?.target == target)
    }

    @Test(arguments: ["", "ftp://10.0.0.1", "http://example.com/", "http://10.0.0.1:x/"])
    func placesThatAreNone(_ text: String) { #expect(ManifestURL(text) == nil) }
}
