import Client
import Document
import Kinds

/// What a lab cluster holds beyond the API server's own defaults: the rights of its components.
/// Written when the API server starts; what is there already stays as it is.
struct ClusterObjects: Sendable {
    let client: APIClient

    /// The user of the DNS servers, under the name that their role has wherever CoreDNS runs.
    static let dnsUser = "system:coredns"
    static let controllerManager = "system:kube-controller-manager"

    func ensure() async throws {
        let isFirstStart = try await !isSettled()
        let onlyOnce: Set<ResourceType> = [.storageClasses, .configMaps, .ingressClasses]
        for (resource, object) in Self.objects where isFirstStart || !onlyOnce.contains(resource) {
            do {
                _ = try await client.create(resource, object)
            } catch let status as APIStatus where status.isAlreadyExists {
                continue
            }
        }
    }

    /// Whether everything has been made before. A default class that is gone then was deleted by the user.
    private func isSettled() async throws -> Bool {
        do {
            _ = try await client.get(.clusterRoleBindings, name: Self.volumeKeeper)
            return true
        } catch let status as APIStatus where status.isNotFound {
            return false
        }
    }

    static var objects: [(ResourceType, Document)] {
        [(.clusterRoles, dnsRole), (.clusterRoleBindings, binding(dnsUser, role: dnsUser, to: dnsUser))]
            + NameObjects.objects + NameObjects.usersObjects + IngressObjects.objects + IngressObjects.usersObjects
            + [(.clusterRoles, usageReaderRole)]
            + [(.clusterRoles, policyRole), (.clusterRoleBindings, binding(policies, role: policies, to: proxyUser))]
            + controllerBindings.map { (.clusterRoleBindings, $0) }
            // The binding comes last: it says that all the others are there.
            + [
                (.storageClasses, standardClass), (.clusterRoles, volumeKeeperRole),
                (.clusterRoleBindings, volumeKeeperBinding),
            ]
    }

    private static let dnsRole: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": ["name": Document(dnsUser)],
        "rules": [
            [
                "apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"],
                "verbs": ["list", "watch"],
            ],
            ["apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]],
        ],
    ]

    /// Who may view a namespace may see what its pods use; under the name that the role has elsewhere.
    private static let usageReaderRole: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": [
            "name": "system:aggregated-metrics-reader",
            "labels": [
                "rbac.authorization.k8s.io/aggregate-to-admin": "true",
                "rbac.authorization.k8s.io/aggregate-to-edit": "true",
                "rbac.authorization.k8s.io/aggregate-to-view": "true",
            ],
        ],
        "rules": [
            ["apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]]
        ],
    ]

    private static let policies = "lab:network-policies"
    private static let proxyUser = "system:kube-proxy"

    /// What a node has to see of the cluster to hold its pods to the network policies.
    private static let policyRole: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": ["name": Document(policies)],
        "rules": [
            ["apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]],
            ["apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]],
        ],
    ]

    private static let volumeKeeper = "lab:node-volumes"

    /// A node's agent watches the volumes that lie on it, to remove their data. What it may write of them admission
    /// narrows to just that.
    private static let volumeKeeperRole: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": ["name": Document(volumeKeeper)],
        "rules": [
            ["apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["list", "watch", "patch"]]
        ],
    ]

    private static let volumeKeeperBinding: Document = [
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": ["name": Document(volumeKeeper)],
        "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": Document(volumeKeeper)],
        "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"]],
    ]

    /// Claims that name no class get a directory on the node of the pod that first uses them.
    static let standardClass: Document = [
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": [
            "name": "standard", "annotations": ["storageclass.kubernetes.io/is-default-class": "true"],
        ],
        "provisioner": Document(NodeDirectory.provisioner), "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
    ]

    /// All controllers run under one user, so that user gets the role of each of them.
    private static var controllerBindings: [Document] {
        Kinds.bootstrapRBAC().compactMap { object in
            guard object.text("kind") == "ClusterRole", let name = object.text("metadata", "name"),
                name.hasPrefix("system:controller:")
            else { return nil }
            return binding("lab:\(name.dropFirst("system:".count))", role: name, to: controllerManager)
        }
    }

    private static func binding(_ name: String, role: String, to user: String) -> Document {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": ["name": Document(name)],
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": Document(role)],
            "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": Document(user)]],
        ]
    }
}
