import Basics
import Document
import Kinds
import Testing

@testable import Controllers

@Suite struct BlockProvisioningTests {
    private let storageClass: Document = [
        "metadata": ["name": "standard"], "provisioner": Document(NodeDirectory.provisioner),
        "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    ]

    private func claim(_ mode: String) -> Document {
        [
            "metadata": [
                "name": "raw", "namespace": "default", "uid": "u1",
                "annotations": [
                    "volume.kubernetes.io/storage-provisioner": Document(NodeDirectory.provisioner),
                    "volume.kubernetes.io/selected-node": "n1",
                ],
            ],
            "spec": [
                "accessModes": ["ReadWriteOnce"], "volumeMode": Document(mode), "storageClassName": "standard",
                "resources": ["requests": ["storage": "3Mi"]],
            ],
            "status": ["phase": "Pending"],
        ]
    }

    @Test(arguments: ["Block", "Filesystem"])
    func theVolumeHasTheModeOfItsClaim(mode: String) throws {
        let node: Document = ["metadata": ["name": "n1", "labels": ["kubernetes.io/hostname": "n1"]]]
        let plan = NodeDirectoryProvisioner.plan(
            claim: claim(mode), storageClass: storageClass, volume: nil, node: node, now: Timestamp(seconds: 1))
        let created = plan.actions.compactMap { action -> Document? in
            if case .create(_, let object, owner: _) = action { return object }
            return nil
        }
        let volume = try #require(created.first)
        #expect(volume.text("spec", "volumeMode") == mode)
        #expect(volume.text("spec", "capacity", "storage") == "3Mi")
        #expect(volume.text("spec", "local", "path") == "\(NodeDirectory.root)/pvc-u1")
    }
}
