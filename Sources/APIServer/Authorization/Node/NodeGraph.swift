import Document

/// Which objects lead to which node: a node may read what its own pods refer to, and nothing else.
///
///     node <- pod <- secret, configmap, claim, resource claim, service account
///     claim <- volume <- secret
///     node <- volume attachment, resource slice
///
/// An index and no graph to walk: each object knows how many ways lead to each node, except volumes, which are looked
/// up through the claim that they are bound to.
struct NodeGraph: Sendable {
    enum Kind: Sendable, Hashable {
        case pod, secret, configMap, claim, volume, resourceClaim, serviceAccount, attachment, slice
    }

    struct Key: Sendable, Hashable {
        var kind: Kind
        var namespace = ""
        var name: String
    }

    private struct Pod {
        var node: String
        var references: Set<Key>
    }

    private struct Volume {
        var claim: Key
        var secrets: Set<Key>
    }

    private var ways: [Key: [String: Int]] = [:]
    private var pods: [Key: Pod] = [:]
    private var volumes: [Key: Volume] = [:]
    /// From a secret to the volumes that need it.
    private var volumesOfSecret: [Key: Set<Key>] = [:]
    private var attachments: [Key: String] = [:]

    func leads(from key: Key, to node: String) -> Bool {
        if ways[key]?[node] != nil { return true }
        switch key.kind {
        case .volume: return volumes[key].map { ways[$0.claim]?[node] != nil } ?? false
        case .secret: return (volumesOfSecret[key] ?? []).contains { leads(from: $0, to: node) }
        default: return false
        }
    }

    private mutating func count(_ key: Key, _ node: String, by step: Int) {
        let left = (ways[key]?[node] ?? 0) + step
        ways[key, default: [:]][node] = left > 0 ? left : nil
        if ways[key]?.isEmpty == true { ways[key] = nil }
    }

    // MARK: Objects that come and go

    mutating func set(pod document: Document) {
        let key = Self.key(.pod, document)
        remove(pod: key)
        guard let node = document.text("spec", "nodeName"), !node.isEmpty else { return }
        let pod = Pod(node: node, references: PodReferences.of(document))
        pods[key] = pod
        count(key, node, by: 1)
        for reference in pod.references { count(reference, node, by: 1) }
    }

    mutating func remove(pod key: Key) {
        guard let pod = pods.removeValue(forKey: key) else { return }
        count(key, pod.node, by: -1)
        for reference in pod.references { count(reference, pod.node, by: -1) }
    }

    mutating func set(volume document: Document) {
        let key = Key(kind: .volume, name: document.text("metadata", "name") ?? "")
        remove(volume: key)
        guard let claim = document.at("spec", "claimRef"), claim.isObject else { return }
        let claimKey = Key(
            kind: .claim, namespace: claim.text("namespace") ?? "", name: claim.text("name") ?? "")
        let secrets = PodReferences.secrets(ofVolume: document, claimNamespace: claimKey.namespace)
        volumes[key] = Volume(claim: claimKey, secrets: secrets)
        for secret in secrets { volumesOfSecret[secret, default: []].insert(key) }
    }

    mutating func remove(volume key: Key) {
        for secret in volumes.removeValue(forKey: key)?.secrets ?? [] {
            volumesOfSecret[secret]?.remove(key)
            if volumesOfSecret[secret]?.isEmpty == true { volumesOfSecret[secret] = nil }
        }
    }

    /// Volume attachments and resource slices name their node themselves.
    mutating func set(_ kind: Kind, name: String, node: String) {
        let key = Key(kind: kind, name: name)
        remove(key)
        guard !node.isEmpty else { return }
        attachments[key] = node
        count(key, node, by: 1)
    }

    mutating func remove(_ key: Key) {
        if let node = attachments.removeValue(forKey: key) { count(key, node, by: -1) }
    }

    static func key(_ kind: Kind, _ document: Document) -> Key {
        Key(
            kind: kind, namespace: document.text("metadata", "namespace") ?? "",
            name: document.text("metadata", "name") ?? "")
    }
}

/// What a pod, or a volume, refers to by name.
enum PodReferences {
    static func of(_ pod: Document) -> Set<NodeGraph.Key> {
        // A node makes mirror pods by itself; those must not open anything to it.
        if pod.at("metadata", "annotations", "kubernetes.io/config.mirror") != nil { return [] }
        let namespace = pod.text("metadata", "namespace") ?? ""
        var found: Set<NodeGraph.Key> = []
        func add(_ kind: NodeGraph.Kind, _ name: String?) {
            if let name, !name.isEmpty { found.insert(.init(kind: kind, namespace: namespace, name: name)) }
        }
        add(.serviceAccount, pod.text("spec", "serviceAccountName"))
        for secret in pod.list("spec", "imagePullSecrets") { add(.secret, secret.text("name")) }
        for field in ["initContainers", "containers", "ephemeralContainers"] {
            for container in pod.list("spec", field) { addEnvironment(of: container, add) }
        }
        for volume in pod.list("spec", "volumes") {
            addSources(of: volume, add)
            if volume["ephemeral"]?.isObject == true {
                // The claim of an ephemeral volume is named after pod and volume.
                add(.claim, "\(pod.text("metadata", "name") ?? "")-\(volume.text("name") ?? "")")
            }
        }
        addResourceClaims(of: pod, add)
        return found
    }

    private static func addEnvironment(of container: Document, _ add: (NodeGraph.Kind, String?) -> Void) {
        for variable in container.list("env") {
            add(.secret, variable.text("valueFrom", "secretKeyRef", "name"))
            add(.configMap, variable.text("valueFrom", "configMapKeyRef", "name"))
        }
        for source in container.list("envFrom") {
            add(.secret, source.text("secretRef", "name"))
            add(.configMap, source.text("configMapRef", "name"))
        }
    }

    /// Sources that name their secret by a reference.
    private static let withSecretRef = [
        "cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos",
    ]

    private static func addSources(of volume: Document, _ add: (NodeGraph.Kind, String?) -> Void) {
        add(.secret, volume.text("secret", "secretName"))
        add(.secret, volume.text("azureFile", "secretName"))
        add(.secret, volume.text("csi", "nodePublishSecretRef", "name"))
        for source in withSecretRef { add(.secret, volume.text(source, "secretRef", "name")) }
        add(.configMap, volume.text("configMap", "name"))
        for source in volume.list("projected", "sources") {
            add(.secret, source.text("secret", "name"))
            add(.configMap, source.text("configMap", "name"))
        }
        add(.claim, volume.text("persistentVolumeClaim", "claimName"))
    }

    private static func addResourceClaims(of pod: Document, _ add: (NodeGraph.Kind, String?) -> Void) {
        let made = pod.list("status", "resourceClaimStatuses")
        for claim in pod.list("spec", "resourceClaims") {
            if let name = claim.text("resourceClaimName") {
                add(.resourceClaim, name)
            } else {
                // Made from a template: the pod's status tells the name, once there is one.
                let entry = made.first { $0.text("name") == claim.text("name") }
                add(.resourceClaim, entry?.text("resourceClaimName"))
            }
        }
        add(.resourceClaim, pod.text("status", "extendedResourceClaimStatus", "resourceClaimName"))
    }

    /// The secrets that a node needs to mount a volume; those of the controllers are none of its business.
    static func secrets(ofVolume volume: Document, claimNamespace: String) -> Set<NodeGraph.Key> {
        var found: Set<NodeGraph.Key> = []
        func add(_ namespace: String?, _ name: String?) {
            guard let name, !name.isEmpty else { return }
            let home = namespace ?? ""
            found.insert(.init(kind: .secret, namespace: home.isEmpty ? claimNamespace : home, name: name))
        }
        add(volume.text("spec", "azureFile", "secretNamespace"), volume.text("spec", "azureFile", "secretName"))
        for source in withSecretRef {
            let reference = volume.at("spec", source, "secretRef")
            add(reference?.text("namespace"), reference?.text("name"))
        }
        for field in ["nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"] {
            let reference = volume.at("spec", "csi", field)
            add(reference?.text("namespace"), reference?.text("name"))
        }
        return found
    }
}
