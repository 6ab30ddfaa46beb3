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

    private func checkNode(_ object: Document, _ node: String, _ context: AdmissionContext) throws {
        guard context.name == node else {
            throw context.refuse("node \"\(node)\" is not allowed to modify node \"\(context.name)\"")
        }
        let labels = object.map("metadata", "labels")
        let before = context.old?.map("metadata", "labels") ?? [:]
        let changed = Set(labels.keys).union(before.keys).filter { labels[$0] != before[$0] }
        let restricted = changed.filter { $0.hasPrefix("node-restriction.kubernetes.io/") }.sorted()
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
