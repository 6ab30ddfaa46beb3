import Client
import Document
import Ingress

/// The class of the built-in ingress, and the rights of the agents that serve it.
enum IngressObjects {
    /// Under this user the agents serve ingresses.
    static let user = "lab:ingress"

    static var objects: [(ResourceType, Document)] {
        [(.clusterRoles, ingressRole), (.clusterRoleBindings, ingressBinding)]
    }

    /// What users may change or remove: made once, never again.
    static var usersObjects: [(ResourceType, Document)] { [(.ingressClasses, ingressClass)] }

    private static var ingressClass: Document {
        [
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": [
                "name": "lab", "annotations": ["ingressclass.kubernetes.io/is-default-class": "true"],
            ],
            "spec": ["controller": Document(IngressServer.controllerName)],
        ]
    }

    private static var ingressRole: Document {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": ["name": Document(user)],
            "rules": [
                [
                    "apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"],
                    "verbs": ["list", "watch"],
                ],
                ["apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["patch"]],
                ["apiGroups": [""], "resources": ["services", "secrets", "nodes"], "verbs": ["list", "watch"]],
                ["apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]],
            ],
        ]
    }

    private static var ingressBinding: Document {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": ["name": Document(user)],
            "roleRef": [
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": Document(user),
            ],
            "subjects": [
                ["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": Document(user)]
            ],
        ]
    }
}
