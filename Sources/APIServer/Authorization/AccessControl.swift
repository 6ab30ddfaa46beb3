import Document
import Kinds
import Schema
import Synchronization

/// The authorization snapshot: built when it is first needed, and again after a role or binding has changed.
///
/// Every write passes this server, so a changed role counts from the very next request on.
final class AccessControl: Sendable {
    private struct State {
        var rbac: RBAC?
        /// Counts invalidations, so that a snapshot that was being read while a role changed is not kept.
        var generation = 0
    }

    private let state = Mutex(State())

    func invalidate() {
        state.withLock { state in
            state.rbac = nil
            state.generation += 1
        }
    }

    func snapshot(_ resources: Resources) async throws -> RBAC {
        let (known, generation) = state.withLock { ($0.rbac, $0.generation) }
        if let known { return known }
        let group = "rbac.authorization.k8s.io"
        let rbac = RBAC(
            roles: try await resources.objects("roles", group: group),
            clusterRoles: try await resources.objects("clusterroles", group: group),
            roleBindings: try await resources.objects("rolebindings", group: group),
            clusterRoleBindings: try await resources.objects("clusterrolebindings", group: group) + [Self.nodes])
        state.withLock { state in
            if state.generation == generation { state.rbac = rbac }
        }
        return rbac
    }

    /// What a node may do comes from the role system:node. Upstream narrows that down to the objects that the node's
    /// own pods refer to; this server does not yet.
    private static let nodes: Document = [
        "metadata": ["name": "system:node"],
        "roleRef": ["kind": "ClusterRole", "name": "system:node"],
        "subjects": [["kind": "Group", "name": "system:nodes"]],
    ]

    func decide(_ attributes: AccessAttributes, _ resources: Resources) async throws -> RBAC.Decision {
        if attributes.user.groups.contains("system:masters") { return .init(allowed: true, reason: "") }
        var decision = try await snapshot(resources).decide(attributes)
        // No binding of the cluster's own stands behind a node's rights, so none is named.
        if decision.reason.contains("of ClusterRole \"system:node\" to Group \"system:nodes\"") { decision.reason = "" }
        return decision
    }

    /// The refusal as upstream words it.
    static func refusal(_ attributes: AccessAttributes, reason: String) -> APIStatus {
        let user = Document(attributes.user.name).jsonText
        let tail = reason.isEmpty ? "" : ": \(reason)"
        if let path = attributes.path {
            var status = APIStatus.failure(
                403, "Forbidden", "forbidden: User \(user) cannot \(attributes.verb) path \"\(path)\"\(tail)")
            status.kind = ""
            return status
        }
        let qualified = attributes.group.isEmpty ? attributes.resource : "\(attributes.resource).\(attributes.group)"
        let subject = attributes.name.isEmpty ? qualified : "\(qualified) \"\(attributes.name)\""
        let place =
            attributes.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(attributes.namespace)\""
        var status = APIStatus.failure(
            403, "Forbidden",
            "\(subject) is forbidden: User \(user) cannot \(attributes.verb) resource "
                + "\"\(attributes.qualifiedResource)\" in API group \"\(attributes.group)\" \(place)\(tail)")
        status.name = attributes.name
        status.group = attributes.group
        status.kind = attributes.resource
        return status
    }
}
