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
    private let nodes: NodeGraphFeed

    init(nodes: NodeGraphFeed) { self.nodes = nodes }

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
            clusterRoleBindings: try await resources.objects("clusterrolebindings", group: group))
        state.withLock { state in
            if state.generation == generation { state.rbac = rbac }
        }
        return rbac
    }

    /// The nodes' authorizer first, then the roles. Who is allowed by neither hears the reasons of both.
    func decide(_ attributes: AccessAttributes, _ resources: Resources) async throws -> RBAC.Decision {
        if attributes.user.groups.contains("system:masters") { return .init(allowed: true, reason: "") }
        var reason = ""
        if let node = NodeAuthorizer.node(attributes.user) {
            let opinion = try await nodes.opinion(attributes, node: node, rules: NodeAuthorizer.standardRules)
            if opinion.allowed { return .init(allowed: true, reason: "") }
            reason = opinion.reason
        }
        var decision = try await snapshot(resources).decide(attributes)
        if !decision.allowed, !reason.isEmpty {
            decision.reason = decision.reason.isEmpty ? reason : "\(reason)\n\(decision.reason)"
        }
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
