import Client
import Document

/// Every namespace has a ServiceAccount "default".
struct ServiceAccountController: Controller {
    let name = "serviceaccount-controller"
    private let namespaces: Informer
    private let accounts: Informer

    init(_ informers: Informers) {
        namespaces = informers(.namespaces)
        accounts = informers(.serviceAccounts)
    }

    var sources: [Source] {
        [
            Source(namespaces),
            Source(accounts) { $0.new == nil ? [ObjectKey.split($0.key).namespace ?? ""] : [] },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let namespace = namespaces.get(key: key), !namespace.isTerminating,
            accounts.get(namespace: key, name: "default") == nil
        else { return .nothing }
        let account: Document = [
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": ["name": "default", "namespace": Document(key)],
        ]
        return Plan(steps: [.inOrder([.create(.serviceAccounts, account)])])
    }
}

/// Every namespace has a ConfigMap with the certificate by which pods know the API server.
struct RootCAPublisher: Controller {
    static let mapName = "kube-root-ca.crt"

    let name = "root-ca-certificate-publisher-controller"
    private let certificate: String
    private let namespaces: Informer
    private let maps: Informer

    init(_ informers: Informers, certificate: String) {
        self.certificate = certificate
        namespaces = informers(.namespaces)
        maps = informers(.configMaps)
    }

    var sources: [Source] {
        [
            Source(namespaces),
            Source(maps) { change in
                let (namespace, name) = ObjectKey.split(change.key)
                return name == Self.mapName ? [namespace ?? ""] : []
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let namespace = namespaces.get(key: key), !namespace.isTerminating else { return .nothing }
        let data: Document = ["ca.crt": Document(certificate)]
        guard var map = maps.get(namespace: key, name: Self.mapName) else {
            let map: Document = [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": [
                    "name": Document(Self.mapName), "namespace": Document(key),
                    "annotations": [
                        "kubernetes.io/description":
                            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
                    ],
                ],
                "data": data,
            ]
            return Plan(steps: [.inOrder([.create(.configMaps, map)])])
        }
        if map["data"] == data { return .nothing }
        map["data"] = data
        return Plan(steps: [.inOrder([.update(.configMaps, map)])])
    }
}
