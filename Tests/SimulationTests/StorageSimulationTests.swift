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
}
