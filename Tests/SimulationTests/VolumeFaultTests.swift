import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing

extension FaultScenario {
    private static let binder = "persistentvolume-binder-controller"

    static let binding = FaultScenario(
        "a claim and a volume find each other", controllers: [binder],
        begin: { cluster in
            _ = try await cluster.client.create(.persistentVolumes, volume("disk", ["hostPath": ["path": "/tmp/disk"]]))
            _ = try await cluster.client.create(.persistentVolumeClaims, claim("data"))
        },
        end: { cluster in
            let claim = try await cluster.client.get(.persistentVolumeClaims, namespace: "default", name: "data")
            let volume = try await cluster.client.get(.persistentVolumes, name: "disk")
            return claim.text("status", "phase") == "Bound" && volume.text("status", "phase") == "Bound"
                && claim.text("spec", "volumeName") == "disk"
                && volume.text("spec", "claimRef", "uid") == claim.text("metadata", "uid")
        })

    static let provisioning = FaultScenario(
        "a claim gets one new directory", controllers: [binder, "node-directory-provisioner-controller"],
        begin: { cluster in
            try await create(
                "StorageClass", "manual", cluster,
                ["provisioner": "lab.local/node-directory", "volumeBindingMode": "WaitForFirstConsumer"])
            _ = try await cluster.client.create(.persistentVolumeClaims, claim("data"))
        },
        end: { cluster in
            let claim = try await cluster.client.get(.persistentVolumeClaims, namespace: "default", name: "data")
            let note = "volume.kubernetes.io/selected-node"
            if claim.map("metadata", "annotations")[note] == nil, claim.text("spec", "volumeName") == nil {
                // As the scheduler: a provisioner that does not see the node yet asks for another choice.
                _ = try await cluster.client.patch(
                    .persistentVolumeClaims, namespace: "default", name: "data",
                    ["metadata": ["annotations": [.init(note): "node-1"]]])
            }
            let volumes = try await cluster.client.list(.persistentVolumes).list("items")
            return claim.text("status", "phase") == "Bound" && volumes.count == 1
                && volumes[0].text("status", "phase") == "Bound"
        })

    /// It changes nothing: an event is all that it does, and events may get lost.
    static let expansion = FaultScenario(
        "a claim that asks for more of somebody else's volume is told at most once",
        controllers: [binder, "persistentvolume-expander-controller"],
        begin: { cluster in
            try await create(
                "StorageClass", "manual", cluster, ["provisioner": "example.com/disks", "allowVolumeExpansion": true])
            _ = try await cluster.client.create(.persistentVolumes, volume("disk", ["hostPath": ["path": "/tmp/disk"]]))
            _ = try await cluster.client.create(.persistentVolumeClaims, claim("data"))
            try await cluster.eventually("it is bound") {
                try await cluster.client.get(.persistentVolumeClaims, namespace: "default", name: "data")
                    .text("status", "phase") == "Bound"
            }
            _ = try await cluster.client.patch(
                .persistentVolumeClaims, namespace: "default", name: "data",
                ["spec": ["resources": ["requests": ["storage": "3Gi"]]]])
            try await cluster.world.clock.sleep(for: .seconds(40))
        },
        end: { cluster in
            let events = try await cluster.client.list(.events, namespace: "default").list("items")
                .filter { $0.text("reason") == "ExternalExpanding" }
            let claim = try await cluster.client.get(.persistentVolumeClaims, namespace: "default", name: "data")
            return events.count <= 1 && claim.text("status", "capacity", "storage") == "1Gi"
        })

    static let ephemeral = FaultScenario(
        "a pod's own claim is made", controllers: ["ephemeral-volume-controller"],
        begin: { cluster in
            var pod = pod("web", app: "web")
            pod.set(
                [
                    [
                        "name": "space",
                        "ephemeral": ["volumeClaimTemplate": ["spec": claim("x")["spec"] ?? .null]],
                    ]
                ], at: "spec", "volumes")
            _ = try await cluster.client.create(.pods, pod)
        },
        end: { cluster in
            let claims = try await cluster.client.list(.persistentVolumeClaims, namespace: "default").list("items")
            return claims.map { $0.text("metadata", "name") } == ["web-space"]
                && claims[0].list("metadata", "ownerReferences").first?.text("name") == "web"
        })

    static let protection = FaultScenario(
        "what is in use stays, what is not goes",
        controllers: [
            "persistentvolumeclaim-protection-controller", "persistentvolume-protection-controller",
            "volumeattributesclass-protection-controller",
        ],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(.persistentVolumes, volume("disk", ["hostPath": ["path": "/tmp/disk"]]))
            try await create(
                "VolumeAttributesClass", "fast", cluster,
                ["driverName": "example.com/disks", "parameters": ["speed": "high"]])
            for name in ["used", "free"] { _ = try await client.create(.persistentVolumeClaims, claim(name)) }
            var pod = pod("user", app: "user")
            pod.set([["name": "d", "persistentVolumeClaim": ["claimName": "used"]]], at: "spec", "volumes")
            pod.set("node-1", at: "spec", "nodeName")
            _ = try await client.create(.pods, pod)
            try await cluster.eventually("all are protected", within: .seconds(300)) {
                let things =
                    try await client.list(.persistentVolumeClaims).list("items")
                    + client.list(.persistentVolumes).list("items")
                    + client.list(.volumeAttributesClasses).list("items")
                return things.count == 4 && things.allSatisfy { !$0.list("metadata", "finalizers").isEmpty }
            }
            for name in ["used", "free"] {
                _ = try await client.delete(.persistentVolumeClaims, namespace: "default", name: name)
            }
            _ = try await client.delete(.persistentVolumes, name: "disk")
            _ = try await client.delete(.volumeAttributesClasses, name: "fast")
        },
        end: { cluster in
            let claims = try await cluster.client.list(.persistentVolumeClaims).list("items")
            let volumes = try await cluster.client.list(.persistentVolumes).list("items")
            let classes = try await cluster.client.list(.volumeAttributesClasses).list("items")
            return claims.map { $0.text("metadata", "name") } == ["used"] && volumes.isEmpty && classes.isEmpty
        })

    static let attachment = FaultScenario(
        "a driver is asked once to attach", controllers: [binder, "persistentvolume-attach-detach-controller"],
        begin: { cluster in
            let csi: Document = ["csi": ["driver": "csi.example.com", "volumeHandle": "h1"]]
            _ = try await cluster.client.create(.persistentVolumes, volume("disk", csi))
            _ = try await cluster.client.create(.persistentVolumeClaims, claim("data"))
            var pod = pod("user", app: "user")
            pod.set([["name": "d", "persistentVolumeClaim": ["claimName": "data"]]], at: "spec", "volumes")
            pod.set("node-1", at: "spec", "nodeName")
            _ = try await cluster.client.create(.pods, pod)
        },
        end: { cluster in
            let attachments = try await cluster.client.list(.volumeAttachments).list("items")
            return attachments.count == 1 && attachments[0].text("spec", "nodeName") == "node-1"
                && attachments[0].text("spec", "source", "persistentVolumeName") == "disk"
        },
        result: { cluster in
            try await cluster.client.list(.volumeAttachments).list("items").compactMap { $0.text("metadata", "name") }
        })

    static let volumes: [FaultScenario] = [binding, provisioning, expansion, ephemeral, protection, attachment]

    // MARK: Objects

    private static func create(
        _ kind: String, _ name: String, _ cluster: SimulatedCluster, _ more: Document
    ) async throws {
        let base: Document = [
            "apiVersion": "storage.k8s.io/v1", "kind": Document(kind), "metadata": ["name": Document(name)],
        ]
        _ = try await cluster.client.create(
            kind == "StorageClass" ? .storageClasses : .volumeAttributesClasses, base.applyingMergePatch(more))
    }

    private static func claim(_ name: String) -> Document {
        [
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": ["name": Document(name), "namespace": "default"],
            "spec": [
                "accessModes": ["ReadWriteOnce"], "storageClassName": "manual",
                "resources": ["requests": ["storage": "1Gi"]],
            ],
        ]
    }

    private static func volume(_ name: String, _ source: Document) -> Document {
        let base: Document = [
            "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "storageClassName": "manual",
        ]
        return [
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": Document(name)],
            "spec": base.applyingMergePatch(source),
        ]
    }
}

@Suite struct VolumeFaultTests {
    @Test(arguments: FaultScenario.volumes) func everyCallMayFail(_ scenario: FaultScenario) throws {
        try expectEveryCallMayFail(scenario, most: 6)
    }
}
