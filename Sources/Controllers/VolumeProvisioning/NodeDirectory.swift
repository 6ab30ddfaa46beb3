import Document
import Kinds

/// What becomes of a claim that wants a volume of the built-in class.
extension NodeDirectory {
    static let supportedModes: Set = ["ReadWriteOnce", "ReadWriteOncePod"]

    /// Why no volume can be made for the claim; nil when one can.
    static func problem(_ claim: Document, _ storageClass: Document) -> String? {
        if let mode = claim.accessModes.first(where: { !supportedModes.contains($0) }) {
            return "access mode \(mode) is not supported: a directory on one node supports ReadWriteOnce and "
                + "ReadWriteOncePod"
        }
        if claim.at("spec", "selector") != nil { return "claim Selector is not supported" }
        if claim.at("spec", "dataSource") != nil || claim.at("spec", "dataSourceRef") != nil {
            return "data sources are not supported"
        }
        if !claim.attributesClass.isEmpty { return "volume attributes classes are not supported" }
        if !storageClass.list("mountOptions").isEmpty { return "mount options are not supported" }
        if let parameter = storageClass.map("parameters").keys.min() { return "unknown parameter \"\(parameter)\"" }
        return nil
    }

    static func volumeName(_ claim: Document) -> String { "pvc-\(claim.uid)" }

    /// The volume for a claim whose consumer goes to `node`.
    static func volume(for claim: Document, _ storageClass: Document, on node: Document) -> Document {
        let name = volumeName(claim)
        let host = node.labels["kubernetes.io/hostname"] ?? node.name
        return [
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": [
                "name": Document(name), "labels": [nodeLabel: Document(node.name)],
                "annotations": [VolumeNote.provisionedBy: Document(provisioner)],
                "finalizers": [Document(finalizer)],
            ],
            "spec": [
                "capacity": ["storage": claim.at("spec", "resources", "requests", "storage") ?? "0"],
                "accessModes": claim.at("spec", "accessModes") ?? .emptyArray,
                "claimRef": [
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": Document(claim.namespace ?? ""),
                    "name": Document(claim.name), "uid": Document(claim.uid),
                    "resourceVersion": claim.at("metadata", "resourceVersion") ?? .null,
                ],
                "persistentVolumeReclaimPolicy": storageClass["reclaimPolicy"] ?? "Delete",
                "storageClassName": Document(claim.storageClass), "volumeMode": Document(claim.volumeMode),
                "local": ["path": Document("\(root)/\(name)")],
                "nodeAffinity": [
                    "required": [
                        "nodeSelectorTerms": [
                            [
                                "matchExpressions": [
                                    [
                                        "key": "kubernetes.io/hostname", "operator": "In",
                                        "values": [Document(host)],
                                    ]
                                ]
                            ]
                        ]
                    ]
                ],
            ],
        ]
    }
}
