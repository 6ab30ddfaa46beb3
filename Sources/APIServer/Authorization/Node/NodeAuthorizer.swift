import Document
import Kinds

/// What a node may do: write itself, and read what its own pods need. Pure, over the index of who refers to what.
///
/// It allows or has no opinion; then the roles decide, and a refusal shows the reason given here.
struct NodeAuthorizer: Sendable {
    struct Opinion: Sendable, Equatable {
        var allowed: Bool
        var reason = ""

        static let allow = Opinion(allowed: true)
        static func none(_ reason: String = "") -> Opinion { Opinion(allowed: false, reason: reason) }
    }

    let graph: NodeGraph
    /// What every node may do alike: the rules of the role `system:node` as the cluster began with them.
    let rules: [PolicyRule]

    /// The node that a user is: empty for one that belongs to the nodes but has no node's name; nil for everybody else.
    static func node(_ user: UserInfo) -> String? {
        let prefix = "system:node:"
        guard user.name.hasPrefix(prefix), user.groups.contains("system:nodes") else { return nil }
        return String(user.name.dropFirst(prefix.count))
    }

    static let standardRules: [PolicyRule] =
        Kinds.bootstrapRBAC().first {
            $0.text("kind") == "ClusterRole" && $0.text("metadata", "name") == "system:node"
        }?.list("rules").map(PolicyRule.init) ?? []

    /// Whether the index is needed to decide; everything else costs no look at it.
    static func needsGraph(_ attributes: AccessAttributes) -> Bool {
        guard attributes.path == nil else { return false }
        switch (attributes.group, attributes.resource) {
        case ("", "secrets"), ("", "configmaps"), ("", "persistentvolumeclaims"), ("", "persistentvolumes"),
            ("", "serviceaccounts"), ("", "pods"), ("resource.k8s.io", "resourceclaims"),
            ("resource.k8s.io", "resourceslices"), ("storage.k8s.io", "volumeattachments"):
            return !attributes.name.isEmpty
        default: return false
        }
    }

    func decide(_ attributes: AccessAttributes, node: String) -> Opinion {
        guard !node.isEmpty else { return .none("unknown node for user \(Document(attributes.user.name).jsonText)") }
        if attributes.path == nil, let opinion = decideResource(attributes, node) { return opinion }
        return rules.contains { $0.allows(attributes) } ? .allow : .none()
    }

    private func decideResource(_ attributes: AccessAttributes, _ node: String) -> Opinion? {
        switch (attributes.group, attributes.resource) {
        case ("", "secrets"): return readNamespaced(.secret, attributes, node)
        case ("", "configmaps"): return readNamespaced(.configMap, attributes, node)
        case ("", "persistentvolumeclaims"):
            return attributes.subresource == "status"
                ? updateStatus(.claim, attributes, node) : get(.claim, attributes, node)
        case ("", "persistentvolumes"): return get(.volume, attributes, node)
        case ("resource.k8s.io", "resourceclaims"): return get(.resourceClaim, attributes, node)
        case ("storage.k8s.io", "volumeattachments"): return get(.attachment, attributes, node)
        case ("", "serviceaccounts"): return serviceAccount(attributes, node)
        case ("coordination.k8s.io", "leases"): return lease(attributes, node)
        case ("storage.k8s.io", "csinodes"): return csiNode(attributes, node)
        case ("resource.k8s.io", "resourceslices"): return slice(attributes, node)
        case ("", "nodes"): return nodeItself(attributes, node)
        case ("", "pods"): return pod(attributes, node)
        default: return nil
        }
    }

    // MARK: Objects related to the node

    private func related(_ kind: NodeGraph.Kind, _ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard !attributes.name.isEmpty else { return .none("No Object name found") }
        let key = NodeGraph.Key(kind: kind, namespace: attributes.namespace, name: attributes.name)
        return graph.leads(from: key, to: node) ? .allow : Self.unrelated(node)
    }

    private static func unrelated(_ node: String) -> Opinion {
        .none("no relationship found between node '\(node)' and this object")
    }

    private func get(_ kind: NodeGraph.Kind, _ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard attributes.verb == "get" else { return .none("can only get individual resources of this type") }
        guard attributes.subresource.isEmpty else { return .none("cannot get subresource") }
        return related(kind, attributes, node)
    }

    private func readNamespaced(_ kind: NodeGraph.Kind, _ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard ["get", "list", "watch"].contains(attributes.verb) else {
            return .none("can only read resources of this type")
        }
        guard attributes.subresource.isEmpty else { return .none("cannot read subresource") }
        guard !attributes.namespace.isEmpty else { return .none("can only read namespaced object of this type") }
        return related(kind, attributes, node)
    }

    private func updateStatus(_ kind: NodeGraph.Kind, _ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard ["update", "patch"].contains(attributes.verb) else {
            return .none("can only get/update/patch this type")
        }
        return related(kind, attributes, node)
    }

    /// A node asks for tokens of its pods' accounts, and reads those to fetch images in their name.
    private func serviceAccount(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        if attributes.verb == "get", attributes.subresource.isEmpty {
            return readNamespaced(.serviceAccount, attributes, node)
        }
        guard attributes.verb == "create", !attributes.name.isEmpty else {
            return .none("can only create tokens for individual service accounts")
        }
        guard attributes.subresource == "token" else {
            return .none("can only create token subresource of serviceaccount")
        }
        return related(.serviceAccount, attributes, node)
    }

    // MARK: Objects that bear the node's name

    private static let ownVerbs: Set = ["get", "create", "update", "patch", "delete"]

    private func lease(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard Self.ownVerbs.contains(attributes.verb) else {
            return .none("can only get, create, update, patch, or delete a node lease")
        }
        guard attributes.namespace == "kube-node-lease" else {
            return .none("can only access leases in the \"kube-node-lease\" system namespace")
        }
        // The name of what is created is not known here; admission checks it.
        guard attributes.verb == "create" || attributes.name == node else {
            return .none("can only access node lease with the same name as the requesting node")
        }
        return .allow
    }

    private func csiNode(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard Self.ownVerbs.contains(attributes.verb) else {
            return .none("can only get, create, update, patch, or delete a CSINode")
        }
        guard attributes.subresource.isEmpty else { return .none("cannot authorize CSINode subresources") }
        guard attributes.verb == "create" || attributes.name == node else {
            return .none("can only access CSINode with the same name as the requesting node")
        }
        return .allow
    }

    private func slice(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        guard attributes.subresource.isEmpty else { return .none("cannot authorize ResourceSlice subresources") }
        switch attributes.verb {
        case "create": return .allow
        case "get", "update", "patch", "delete": return related(.slice, attributes, node)
        case "watch", "list", "deletecollection":
            return attributes.pins("nodeName", to: node)
                ? .allow : .none("can only list/watch/deletecollection resourceslices with nodeName field selector")
        default:
            return .none(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, "
                    + "delete, deletecollection")
        }
    }

    private func nodeItself(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        switch (attributes.subresource, attributes.verb) {
        case ("", "create"), ("", "update"), ("", "patch"), ("status", "update"), ("status", "patch"): return .allow
        case ("", "get"), ("", "list"), ("", "watch"):
            if attributes.name == node { return .allow }
            return .none(
                attributes.name.isEmpty
                    ? "node '\(node)' cannot read all nodes, only its own Node object"
                    : "node '\(node)' cannot read '\(attributes.name)', only its own Node object")
        default: return .none()
        }
    }

    private func pod(_ attributes: AccessAttributes, _ node: String) -> Opinion {
        switch (attributes.subresource, attributes.verb) {
        case ("", "get"): return get(.pod, attributes, node)
        case ("", "list"), ("", "watch"):
            if attributes.pins("spec.nodeName", to: node) { return .allow }
            if !attributes.name.isEmpty { return related(.pod, attributes, node) }
            return .none("can only list/watch pods with spec.nodeName field selector")
        case ("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"), ("eviction", "create"):
            return .allow
        default: return .none()
        }
    }
}
