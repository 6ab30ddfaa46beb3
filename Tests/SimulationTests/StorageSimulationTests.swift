import Client
import Document
import Kinds
import Simulation
import Testing

extension SimulatedCluster {
    fileprivate func claim(_ name: String) async throws -> Document {
        try await client.get(.persistentVolumeClaims, namespace: "default", name: name)
    }

    fileprivate func volume(_ name: String) async throws -> Document? {
        do { return try await client.get(.persistentVolumes, name: name) } catch let status as APIStatus
            where status.isNotFound
        { return nil }
    }

    fileprivate func createClaim(_ name: String, className: String, size: String = "1Gi") async throws {
        _ = try await client.create(
            .persistentVolumeClaims,
            [
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": ["name": Document(name), "namespace": "default"],
                "spec": [
                    "accessModes": ["ReadWriteOnce"], "storageClassName": Document(className),
                    "resources": ["requests": ["storage": Document(size)]],
                ],
            ])
    }

    /// Without its namespace's account no pod is admitted.
    fileprivate func waitForServiceAccount() async throws {
        try await eventually("the service account is there") {
            try await !client.list(.serviceAccounts, namespace: "default").list("items").isEmpty
        }
    }

    fileprivate func pod(_ name: String, volume: Document) -> Document {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name), "namespace": "default"],
            "spec": [
                "containers": [["name": "main", "image": "web:1"]], "volumes": [volume], "nodeName": "node-1",
                "terminationGracePeriodSeconds": 1,
            ],
        ]
    }

    fileprivate func reasons(_ name: String) async throws -> [String] {
        try await client.list(.events, namespace: "default").list("items")
            .filter { $0.text("involvedObject", "name") == name }.compactMap { $0.text("reason") }
    }
}

@Suite struct StorageSimulationTests {
    @Test func aStaticVolumeIsBoundReleasedAndKept() throws {
        try simulate(.real, seed: 3, nodes: 1) { cluster in
            let client = cluster.client
            try await cluster.createClaim("data", className: "manual")
            _ = try await client.create(
                .persistentVolumes,
                [
                    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "disk"],
                    "spec": [
                        "capacity": ["storage": "5Gi"], "accessModes": ["ReadWriteOnce"],
                        "storageClassName": "manual", "persistentVolumeReclaimPolicy": "Retain",
                        "hostPath": ["path": "/tmp/disk"],
                    ],
                ])
            try await cluster.eventually("the claim is bound") {
                try await cluster.claim("data").text("status", "phase") == "Bound"
            }
            let bound = try await cluster.claim("data")
            #expect(bound.text("spec", "volumeName") == "disk")
            #expect(bound.text("status", "capacity", "storage") == "5Gi")
            try await cluster.eventually("the volume is bound") {
                try await cluster.volume("disk")?.text("status", "phase") == "Bound"
            }
            // Deleted while it is bound, the volume stays.
            _ = try await client.delete(.persistentVolumes, name: "disk")
            #expect(try await cluster.volume("disk")?.text("metadata", "deletionTimestamp") != nil)
            _ = try await client.delete(.persistentVolumeClaims, namespace: "default", name: "data")
            try await cluster.eventually("the volume goes with its claim") {
                try await cluster.volume("disk") == nil
            }
        }
    }

    @Test func aDirectoryIsProvisionedEnlargedAndDeleted() throws {
        try simulate(.real, seed: 4, nodes: 2) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .storageClasses,
                [
                    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                    "metadata": [
                        "name": "standard", "annotations": ["storageclass.kubernetes.io/is-default-class": "true"],
                    ],
                    "provisioner": "lab.local/node-directory", "volumeBindingMode": "WaitForFirstConsumer",
                    "allowVolumeExpansion": true,
                ])
            try await cluster.createClaim("data", className: "standard")
            try await cluster.eventually("it says what it waits for") {
                try await cluster.reasons("data").contains("WaitForFirstConsumer")
            }
            _ = try await client.patch(
                .persistentVolumeClaims, namespace: "default", name: "data",
                ["metadata": ["annotations": ["volume.kubernetes.io/selected-node": "node-1"]]])
            try await cluster.eventually("the claim is bound") {
                try await cluster.claim("data").text("status", "phase") == "Bound"
            }
            let name = try await cluster.claim("data").text("spec", "volumeName") ?? ""
            #expect(name.hasPrefix("pvc-"))
            _ = try await client.patch(
                .persistentVolumeClaims, namespace: "default", name: "data",
                ["spec": ["resources": ["requests": ["storage": "3Gi"]]]])
            try await cluster.eventually("the claim has grown") {
                let claim = try await cluster.claim("data")
                return claim.text("status", "capacity", "storage") == "3Gi"
                    && claim.list("status", "conditions").isEmpty
            }
            #expect(try await cluster.volume(name)?.text("spec", "capacity", "storage") == "3Gi")
            _ = try await client.delete(.persistentVolumeClaims, namespace: "default", name: "data")
            try await cluster.eventually("the volume is being deleted") {
                try await cluster.volume(name)?.text("metadata", "deletionTimestamp") != nil
            }
            // The node's agent would remove the directory now. With the node gone nobody can, and nobody needs to.
            #expect(
                try await cluster.volume(name)?.list("metadata", "finalizers").contains(
                    "node-directory.lab.local/data") == true)
            cluster.nodes[0].setCutOff(true)
            _ = try await client.delete(.nodes, name: "node-1")
            try await cluster.eventually("the volume is gone") { try await cluster.volume(name) == nil }
            let reasons = try await cluster.reasons("data")
            for reason in ["ExternalProvisioning", "ProvisioningSucceeded", "Resizing", "VolumeResizeSuccessful"] {
                #expect(reasons.contains(reason))
            }
        }
    }

    @Test func aPodsOwnClaimGoesWithIt() throws {
        try simulate(.real, seed: 5, nodes: 1) { cluster in
            let client = cluster.client
            // The claim names no class, and gets the one that is made the default later.
            try await cluster.waitForServiceAccount()
            _ = try await client.create(
                .pods,
                cluster.pod(
                    "web",
                    volume: [
                        "name": "space",
                        "ephemeral": [
                            "volumeClaimTemplate": [
                                "spec": [
                                    "accessModes": ["ReadWriteOnce"],
                                    "resources": ["requests": ["storage": "1Gi"]],
                                ]
                            ]
                        ],
                    ]))
            try await cluster.eventually("the claim is made") {
                let claims = try await client.list(.persistentVolumeClaims, namespace: "default").list("items")
                return claims.first?.text("metadata", "name") == "web-space"
            }
            let claim = try await cluster.claim("web-space")
            #expect(claim.list("metadata", "ownerReferences").first?.text("kind") == "Pod")
            #expect(claim.at("spec", "storageClassName") == nil)
            _ = try await client.create(
                .storageClasses,
                [
                    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                    "metadata": [
                        "name": "late", "annotations": ["storageclass.kubernetes.io/is-default-class": "true"],
                    ], "provisioner": "example.com/disks",
                ])
            try await cluster.eventually("the claim gets the default class and a provisioner") {
                let claim = try await cluster.claim("web-space")
                return claim.text("spec", "storageClassName") == "late"
                    && claim.text("metadata", "annotations", "volume.kubernetes.io/storage-provisioner")
                        == "example.com/disks"
            }
            _ = try await client.delete(.pods, namespace: "default", name: "web")
            try await cluster.eventually("the claim goes with its pod") {
                try await client.list(.persistentVolumeClaims, namespace: "default").list("items").isEmpty
            }
        }
    }

    @Test func aDriversVolumeIsAttachedWhileItIsUsed() throws {
        try simulate(.real, seed: 6, nodes: 1) { cluster in
            let client = cluster.client
            try await cluster.createClaim("data", className: "disks")
            _ = try await client.create(
                .persistentVolumes,
                [
                    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "disk"],
                    "spec": [
                        "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "storageClassName": "disks",
                        "csi": ["driver": "csi.example.com", "volumeHandle": "h1"],
                    ],
                ])
            try await cluster.eventually("the claim is bound") {
                try await cluster.claim("data").text("status", "phase") == "Bound"
            }
            try await cluster.waitForServiceAccount()
            _ = try await client.create(
                .pods,
                cluster.pod("user", volume: ["name": "d", "persistentVolumeClaim": ["claimName": "data"]]))
            try await cluster.eventually("the driver is asked to attach") {
                try await !client.list(.volumeAttachments).list("items").isEmpty
            }
            let attachment = try await client.list(.volumeAttachments).list("items").first ?? .null
            #expect(attachment.text("spec", "attacher") == "csi.example.com")
            #expect(attachment.text("spec", "nodeName") == "node-1")
            _ = try await client.patch(
                .volumeAttachments, name: attachment.text("metadata", "name") ?? "",
                ["status": ["attached": true]], subresource: "status")
            try await cluster.eventually("the node is told") {
                try await client.get(.nodes, name: "node-1").list("status", "volumesAttached").first?.text("name")
                    == "kubernetes.io/csi/csi.example.com^h1"
            }
            try await cluster.eventually("the pod is told") {
                try await cluster.reasons("user").contains("SuccessfulAttachVolume")
            }
            _ = try await client.delete(.pods, namespace: "default", name: "user")
            try await cluster.eventually("the volume is taken away again") {
                let node = try await client.get(.nodes, name: "node-1")
                let isGone = try await client.list(.volumeAttachments).list("items").isEmpty
                return isGone && node.list("status", "volumesAttached").isEmpty
            }
        }
    }
}
