/// Which controllers run, in the words of kube-controller-manager's `--controllers`.
///
/// The first word that names a controller decides: `NAME` runs it, `-NAME` does not. Where none does, `*` runs it,
/// unless it is one of the few that must be asked for.
public struct ControllerSelection: Sendable, Equatable {
    private let words: [String]

    public struct UnknownController: Error, Sendable, Equatable, CustomStringConvertible {
        public let name: String
        public var description: String { "\"\(name)\" is not in the list of known controllers" }
    }

    public init(_ words: [String]) throws {
        self.words = try words.map { word in
            if word == "*" { return word }
            let isOff = word.hasPrefix("-")
            let name = isOff ? String(word.dropFirst()) : word
            let full = Self.aliases[name] ?? name
            guard Self.names.contains(full) else { throw UnknownController(name: word) }
            return isOff ? "-" + full : full
        }
    }

    public func contains(_ name: String) -> Bool {
        for word in words {
            if word == name { return true }
            if word == "-" + name { return false }
        }
        return words.contains("*") && !Self.offByDefault.contains(name)
    }

    /// Those that need a word of their own, since not every cluster wants what they do.
    private static let offByDefault: Set = [
        "bootstrap-signer-controller", "token-cleaner-controller", "selinux-warning-controller",
    ]

    /// Every controller of Kubernetes, whether this manager has it or not, for a list that was written for
    /// kube-controller-manager is good here too; and the first one, which is ours alone.
    private static let names = Set(aliases.values).union([
        "node-directory-provisioner-controller",
        "device-taint-eviction-controller", "podcertificaterequest-cleaner-controller",
        "podgroup-protection-controller", "resourceclaim-controller", "resourcepoolstatusrequest-controller",
        "selinux-warning-controller", "service-cidr-controller", "storage-version-migrator-controller",
        "storageversion-garbage-collector-controller", "taint-eviction-controller",
        "validatingadmissionpolicy-status-controller", "volumeattributesclass-protection-controller",
        "kube-apiserver-serving-clustertrustbundle-publisher-controller", "endpointslice-controller",
    ])

    /// The short names of former versions.
    private static let aliases = [
        "endpoint": "endpoints-controller", "endpointslice": "endpointslice-controller",
        "endpointslicemirroring": "endpointslice-mirroring-controller",
        "replicationcontroller": "replicationcontroller-controller", "podgc": "pod-garbage-collector-controller",
        "resourcequota": "resourcequota-controller", "namespace": "namespace-controller",
        "serviceaccount": "serviceaccount-controller", "garbagecollector": "garbage-collector-controller",
        "daemonset": "daemonset-controller", "job": "job-controller", "deployment": "deployment-controller",
        "replicaset": "replicaset-controller",
        "horizontalpodautoscaling": "horizontal-pod-autoscaler-controller", "disruption": "disruption-controller",
        "statefulset": "statefulset-controller", "cronjob": "cronjob-controller",
        "csrsigning": "certificatesigningrequest-signing-controller",
        "csrapproving": "certificatesigningrequest-approving-controller",
        "csrcleaner": "certificatesigningrequest-cleaner-controller", "ttl": "ttl-controller",
        "bootstrapsigner": "bootstrap-signer-controller", "tokencleaner": "token-cleaner-controller",
        "nodeipam": "node-ipam-controller", "nodelifecycle": "node-lifecycle-controller",
        "service": "service-lb-controller", "route": "node-route-controller",
        "cloud-node-lifecycle": "cloud-node-lifecycle-controller",
        "persistentvolume-binder": "persistentvolume-binder-controller",
        "attachdetach": "persistentvolume-attach-detach-controller",
        "persistentvolume-expander": "persistentvolume-expander-controller",
        "clusterrole-aggregation": "clusterrole-aggregation-controller",
        "pvc-protection": "persistentvolumeclaim-protection-controller",
        "pv-protection": "persistentvolume-protection-controller",
        "ttl-after-finished": "ttl-after-finished-controller",
        "root-ca-cert-publisher": "root-ca-certificate-publisher-controller",
        "ephemeral-volume": "ephemeral-volume-controller",
        "serviceaccount-token": "serviceaccount-token-controller",
        "legacy-serviceaccount-token-cleaner": "legacy-serviceaccount-token-cleaner-controller",
        "storage-version-gc": "storageversion-garbage-collector-controller",
    ]
}
