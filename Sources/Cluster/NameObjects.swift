import Client
import DNS
import Document

/// The DNS configuration that users edit, and the right of the DNS servers to read it.
enum NameObjects {
    static var objects: [(ResourceType, Document)] {
        [(.roles, configurationRole), (.roleBindings, configurationBinding)]
    }

    /// What users may change or remove: made once, never again.
    static var usersObjects: [(ResourceType, Document)] { [(.configMaps, configuration)] }

    private static var configuration: Document {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": Document(DNSServer.configurationName),
                "namespace": Document(DNSServer.configurationNamespace),
            ],
            "data": Document(members: [
                (
                    DNSServer.configurationKey,
                    Document(DNSConfiguration.standardText(domain: Addresses.clusterDomain))
                )
            ]),
        ]
    }

    private static var configurationRole: Document {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": [
                "name": "lab:dns-configuration", "namespace": Document(DNSServer.configurationNamespace),
            ],
            "rules": [
                [
                    "apiGroups": [""], "resources": ["configmaps"],
                    "resourceNames": [Document(DNSServer.configurationName)], "verbs": ["list", "watch"],
                ]
            ],
        ]
    }

    private static var configurationBinding: Document {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": [
                "name": "lab:dns-configuration", "namespace": Document(DNSServer.configurationNamespace),
            ],
            "roleRef": [
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lab:dns-configuration",
            ],
            "subjects": [
                [
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "User",
                    "name": Document(ClusterObjects.dnsUser),
                ]
            ],
        ]
    }
}
