import Document
import Glibc
import Kinds
import Linux
import Testing

@testable import Kubelet

@Suite struct PersistentVolumeTests {
    private func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/kubelet-volume-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        try body(directory)
    }

    private func own(_ root: String, policy: String = "Delete", phase: String = "Released") -> Document {
        [
            "metadata": [
                "name": "pvc-1", "deletionTimestamp": "2026-01-01T00:00:00Z",
                "annotations": ["pv.kubernetes.io/provisioned-by": Document(NodeDirectory.provisioner)],
                "finalizers": ["kubernetes.io/pv-protection", Document(NodeDirectory.finalizer)],
            ],
            "spec": [
                "local": ["path": Document("\(root)/pvc-1")], "persistentVolumeReclaimPolicy": Document(policy),
            ], "status": ["phase": Document(phase)],
        ]
    }

    @Test func onlyReleasedVolumesOfItsOwnAreRemoved() {
        #expect(DirectoryKeeper.step(own("/v"), root: "/v") == .remove(path: "/v/pvc-1"))
        #expect(DirectoryKeeper.step(own("/v", phase: "Bound"), root: "/v") == .nothing)
        #expect(DirectoryKeeper.step(own("/v", policy: "Retain"), root: "/v") == .letGo)
        // A volume that names another place is not followed there.
        #expect(DirectoryKeeper.step(own("/etc"), root: "/v") == .letGo)
        var living = own("/v")
        living.set(nil, at: "metadata", "deletionTimestamp")
        #expect(DirectoryKeeper.step(living, root: "/v") == .nothing)
    }

    @Test func nodeSelectorsAreMatched() {
        func matches(_ terms: Document) -> Bool {
            NodeTerms.match(["nodeSelectorTerms": terms], name: "n1", labels: ["zone": "a", "size": "5"])
        }
        #expect(matches([["matchExpressions": [["key": "zone", "operator": "In", "values": ["a", "b"]]]]]))
        #expect(!matches([["matchExpressions": [["key": "zone", "operator": "NotIn", "values": ["a"]]]]]))
        #expect(matches([["matchExpressions": [["key": "size", "operator": "Gt", "values": ["4"]]]]]))
        #expect(matches([["matchFields": [["key": "metadata.name", "operator": "In", "values": ["n1"]]]]]))
        #expect(!matches([[:]]))
        #expect(!matches([]))
        // Any term, but all of it.
        #expect(
            matches([
                ["matchExpressions": [["key": "gone", "operator": "Exists"]]],
                [
                    "matchExpressions": [
                        ["key": "gone", "operator": "DoesNotExist"], ["key": "zone", "operator": "Exists"],
                    ]
                ],
            ]))
    }

    @Test func theGroupGetsEverythingBelow() throws {
        try with { (directory: String) throws in
            try Files.makeDirectories("\(directory)/v/deep")
            try PlainFile.write([1], to: "\(directory)/v/deep/file", mode: 0o600)
            try PlainFile.write([2], to: "\(directory)/outside", mode: 0o600)
            #expect(symlink("\(directory)/outside", "\(directory)/v/link") == 0)
            let group = getegid()
            try Ownership.give("\(directory)/v", to: group, onlyOnMismatch: false)
            var status = stat()
            #expect(stat("\(directory)/v/deep", &status) == 0)
            #expect(status.st_mode & 0o2770 == 0o2770)
            #expect(stat("\(directory)/v/deep/file", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o660)
            // What a link points at is not the volume's.
            #expect(stat("\(directory)/outside", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o600)
            try PlainFile.write([3], to: "\(directory)/v/later", mode: 0o600)
            try Ownership.give("\(directory)/v", to: group, onlyOnMismatch: true)
            #expect(stat("\(directory)/v/later", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o600)
        }
    }
}

@Suite struct ClaimedVolumeTests {
    private let claimPath = "/api/v1/namespaces/shop/persistentvolumeclaims/data"
    private let volumePath = "/api/v1/persistentvolumes/pvc-1"
    private let podPath = "/api/v1/namespaces/shop/pods/web"

    private func claim(_ phase: String) -> Document {
        [
            "metadata": ["name": "data", "namespace": "shop", "uid": "uid-data"],
            "spec": ["volumeName": phase == "Bound" ? "pvc-1" : "", "volumeMode": "Filesystem"],
            "status": ["phase": Document(phase)],
        ]
    }

    private func volume(_ root: String, host: String = "n1") -> Document {
        [
            "metadata": [
                "name": "pvc-1", "uid": "uid-volume", "labels": [NodeDirectory.nodeLabel: "n1"],
                "annotations": ["pv.kubernetes.io/provisioned-by": Document(NodeDirectory.provisioner)],
                "finalizers": [Document(NodeDirectory.finalizer)],
            ],
            "spec": [
                "claimRef": ["namespace": "shop", "name": "data", "uid": "uid-data"],
                "local": ["path": Document("\(root)/volumes/pvc-1")], "persistentVolumeReclaimPolicy": "Delete",
                "nodeAffinity": [
                    "required": [
                        "nodeSelectorTerms": [
                            [
                                "matchExpressions": [
                                    ["key": "kubernetes.io/hostname", "operator": "In", "values": [Document(host)]]
                                ]
                            ]
                        ]
                    ]
                ],
            ], "status": ["phase": "Bound"],
        ]
    }

    private func user() -> Document {
        pod([
            "securityContext": ["fsGroup": Document(Int(getegid()))],
            "volumes": [["name": "d", "persistentVolumeClaim": ["claimName": "data"]]],
            "containers": [container("main", ["volumeMounts": [["name": "d", "mountPath": "/data"]]])],
        ])
    }

    @Test func thePodWaitsForItsClaimAndTheDataGoesWithTheVolume() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(claimPath, claim("Pending"))
        node.api.put(podPath, user())
        try await node.withKubelet { _ in
            try await node.api.waitForEvent("FailedMount")
            #expect(
                node.api.events("FailedMount").first?.text("message")
                    == "Unable to attach or mount volumes: unmounted volumes=[d], unattached volumes=[], failed to "
                    + "process volumes=[d]: error processing PVC shop/data: PVC is not bound")
            node.api.put(volumePath, volume(node.directory))
            node.api.put(claimPath, claim("Bound"))
            try await node.api.wait(podPath) { $0?.text("status", "phase") == "Running" }
            let path = "\(node.directory)/volumes/pvc-1"
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o2777)
            let mounts = node.runtime.living.first?.specification("main.0")?.mounts ?? []
            #expect(mounts.contains { $0.target == "/data" && $0.source == path })
            try Files.write([1], to: "\(path)/kept")
            var leaving = node.api[podPath] ?? .null
            leaving.set("2026-01-01T00:00:00Z", at: "metadata", "deletionTimestamp")
            leaving.set(1, at: "metadata", "deletionGracePeriodSeconds")
            node.api.put(podPath, leaving)
            try await node.api.wait(podPath) { $0 == nil }
            #expect(Files.exists("\(path)/kept"))
            var released = volume(node.directory)
            released.set("Released", at: "status", "phase")
            released.set("2026-01-01T00:00:00Z", at: "metadata", "deletionTimestamp")
            node.api.put(volumePath, released)
            try await node.api.wait(volumePath) { _ in
                node.api.requests.contains("PATCH /api/v1/persistentvolumes/pvc-1")
            }
            #expect(!Files.exists(path))
        }
    }

    @Test func aVolumeOfAnotherNodeIsRefused() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(claimPath, claim("Bound"))
        node.api.put(volumePath, volume(node.directory, host: "n2"))
        node.api.put(podPath, user())
        try await node.withKubelet { _ in
            try await node.api.waitForEvent("FailedMount")
            #expect(
                node.api.events("FailedMount").first?.text("message")
                    == "MountVolume.NodeAffinity check failed for volume \"pvc-1\" : no matching NodeSelectorTerms")
        }
        #expect(!Files.exists("\(node.directory)/volumes/pvc-1"))
    }

    @Test func secretsStayInMemory() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(
            "/api/v1/namespaces/shop/secrets/key",
            ["metadata": ["name": "key", "namespace": "shop"], "data": ["k": "aA=="]])
        node.api.put(podPath, pod(["volumes": [["name": "s", "secret": ["secretName": "key"]]]]))
        try await node.withKubelet { _ in
            try await node.api.wait(podPath) { $0?.text("status", "phase") == "Running" }
            let uid = node.api[podPath]?.text("metadata", "uid") ?? ""
            let volume = "\(node.directory)/lib/pods/\(uid)/volumes/s"
            #expect(try Files.text("\(volume)/k") == "h")
            let mounts = try Files.text("/proc/self/mountinfo").split(separator: "\n")
            #expect(mounts.contains { $0.contains(" \(volume) ") && $0.contains(" - tmpfs ") })
        }
    }
}
