import Document
import Testing

@testable import APIServer

/// What a node's agent may do with the volumes that lie on it.
@Suite struct NodeVolumeTests {
    private static let role: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": ["name": "node-volumes"],
        "rules": [["apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["list", "watch", "patch"]]],
    ]
    private static let binding: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": ["name": "node-volumes"],
        "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "node-volumes"],
        "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"]],
    ]

    @Test func aNodeLetsGoOfItsOwnVolumesAndDoesNothingElse() async throws {
        let harness = try await Harness()
        let rbac = "/apis/rbac.authorization.k8s.io/v1"
        #expect(try await harness.send("POST", "\(rbac)/clusterroles", Self.role).status == 201)
        #expect(try await harness.send("POST", "\(rbac)/clusterrolebindings", Self.binding).status == 201)
        let volume: Document = [
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": [
                "name": "pvc-1", "labels": ["node-directory.lab.local/node": "n1"],
                "finalizers": ["node-directory.lab.local/data", "example.com/other"],
            ],
            "spec": [
                "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "hostPath": ["path": "/data"],
            ],
        ]
        #expect(try await harness.send("POST", "/api/v1/persistentvolumes", volume).status == 201)
        func patch(_ node: String, _ metadata: Document, spec: Document = [:]) async throws -> Int {
            try await harness.send(
                "PATCH", "/api/v1/persistentvolumes/pvc-1", ["metadata": metadata, "spec": spec],
                type: "application/merge-patch+json", as: "system:node:\(node)", groups: ["system:nodes"]
            ).status
        }
        let kept: Document = ["finalizers": ["example.com/other", "kubernetes.io/pv-protection"]]
        #expect(try await patch("n2", kept) == 403)
        #expect(try await patch("n1", kept, spec: ["persistentVolumeReclaimPolicy": "Delete"]) == 403)
        #expect(try await patch("n1", ["finalizers": ["kubernetes.io/pv-protection"]]) == 403)
        #expect(try await patch("n1", ["labels": ["node-directory.lab.local/node": "n2"]]) == 403)
        #expect(try await patch("n1", kept) == 200)
    }
}
