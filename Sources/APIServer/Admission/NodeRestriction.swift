import Document
import Kinds

/// A node may write itself and the pods that run on it, and nothing of other nodes.
struct NodeRestriction: AdmissionPlugin {
    /// The node that the caller is; nil for everybody else.
    private static func node(_ user: UserInfo) -> String? {
        let prefix = "system:node:"
        guard user.groups.contains("system:nodes"), user.name.hasPrefix(prefix) else { return nil }
        return String(user.name.dropFirst(prefix.count))
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if context.operation != .delete { try check(object, context) }
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if context.operation == .delete { try check(object, context) }
    }

    private func check(_ object: Document, _ context: AdmissionContext) throws {
        guard let node = Self.node(context.user) else { return }
        switch context.resource.qualifiedName {
        case "nodes": try checkNode(object, node, context)
        case "pods": try checkPod(object, node, context)
        default: break
        }
    }

    private static func isReserved(_ label: String) -> Bool {
        let domain = label.split(separator: "/", maxSplits: 1).first ?? ""
        return domain == "node-restriction.kubernetes.io" || domain.hasSuffix(".node-restriction.kubernetes.io")
    }

    private static let ownLabels: Set = [
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    ]

    /// Whether a node may change the label of itself: of the project's domains only those that it reports.
    private static func isNodesOwn(_ label: String) -> Bool {
        let domain = label.contains("/") ? String(label.split(separator: "/", maxSplits: 1).first ?? "") : ""
        let isProjects = ["kubernetes.io", "k8s.io"].contains { domain == $0 || domain.hasSuffix(".\($0)") }
        guard isProjects, !ownLabels.contains(label) else { return true }
        return ["node.kubernetes.io", "kubelet.kubernetes.io"].contains { domain == $0 || domain.hasSuffix(".\($0)") }
    }

    private func checkNode(_ object: Document, _ node: String, _ context: AdmissionContext) throws {
        guard context.name == node else {
            throw context.refuse("node \"\(node)\" is not allowed to modify node \"\(context.name)\"")
        }
        let labels = object.map("metadata", "labels")
        let before = context.old?.map("metadata", "labels") ?? [:]
        let changed = Set(labels.keys).union(before.keys).filter { labels[$0] != before[$0] }
        let restricted = changed.filter { label in
            Self.isReserved(label) || (context.operation == .update && !Self.isNodesOwn(label))
        }.sorted()
        if !restricted.isEmpty {
            throw context.refuse(
                context.operation == .create
                    ? "node \"\(node)\" is not allowed to set the following labels: "
                        + restricted.joined(separator: ", ")
                    : "is not allowed to modify labels: \(restricted.joined(separator: ", "))")
        }
        if context.operation == .update, context.subresource.isEmpty, let old = context.old,
            !(object.at("spec", "taints") ?? .emptyArray).means(old.at("spec", "taints") ?? .emptyArray)
        {
            throw context.refuse("node \"\(node)\" is not allowed to modify taints")
        }
    }

    private func checkPod(_ object: Document, _ node: String, _ context: AdmissionContext) throws {
        let home = object.text("spec", "nodeName") ?? ""
        switch context.operation {
        case .create where context.subresource.isEmpty:
            guard object.at("metadata", "annotations", "kubernetes.io/config.mirror") != nil else {
                throw context.refuse(
                    "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"\(node)\" can only create "
                        + "mirror pods")
            }
            guard home == node else {
                throw context.refuse("node \"\(node)\" can only create pods with spec.nodeName set to itself")
            }
        case .update where context.subresource == "status":
            guard home == node else {
                throw context.refuse(
                    "node \"\(node)\" can only update pod status for pods with spec.nodeName set to itself")
            }
        case .delete:
            guard home == node else {
                throw context.refuse("node \"\(node)\" can only delete pods with spec.nodeName set to itself")
            }
        default: break
        }
    }
}
