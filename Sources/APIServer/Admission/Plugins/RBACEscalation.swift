import Document
import Kinds

/// Nobody gives away rights that they do not hold: a role's rules, and a binding's role, must be covered by what the
/// writer may do, unless the writer may `escalate` or `bind`.
struct RBACEscalation: AdmissionPlugin {
    private static let group = "rbac.authorization.k8s.io"

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.group == Self.group, context.operation != .delete,
            !context.user.groups.contains("system:masters")
        else { return }
        switch context.resource.plural {
        case "roles", "clusterroles": try await checkRole(object, context, resources)
        case "rolebindings", "clusterrolebindings": try await checkBinding(object, context, resources)
        default: break
        }
    }

    private func may(
        _ verb: String, _ resource: String, _ name: String, _ context: AdmissionContext, _ resources: Resources
    )
        async throws -> Bool
    {
        var attributes = AccessAttributes(user: context.user, verb: verb)
        attributes.group = Self.group
        attributes.resource = resource
        attributes.namespace = context.namespace
        attributes.name = name
        return try await resources.access.decide(attributes, resources).allowed
    }

    private func checkRole(_ role: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if let old = context.old, (role["rules"] ?? .null) == (old["rules"] ?? .null),
            (role["aggregationRule"] ?? .null) == (old["aggregationRule"] ?? .null)
        {
            return
        }
        if try await may("escalate", context.resource.plural, context.name, context, resources) { return }
        let wanted = role.list("rules").map(PolicyRule.init)
        if role["aggregationRule"] != nil {
            var everything = PolicyRule()
            everything.verbs = ["*"]
            everything.groups = ["*"]
            everything.resources = ["*"]
            try await require(
                [everything], "must have cluster-admin privileges to use an aggregationRule", context, resources)
        }
        try await require(wanted, nil, context, resources)
    }

    private func checkBinding(_ binding: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if let old = context.old, (binding["subjects"] ?? .null) == (old["subjects"] ?? .null) { return }
        let kind = binding.text("roleRef", "kind") ?? ""
        let name = binding.text("roleRef", "name") ?? ""
        let plural = kind == "Role" ? "roles" : "clusterroles"
        if try await may("bind", plural, name, context, resources) { return }
        let role = try await resources.object(
            plural, group: Self.group, namespace: kind == "Role" ? context.namespace : "", name: name)
        guard let role else {
            var status = APIStatus.failure(404, "NotFound", "\(context.resource.qualifiedName) \"\(name)\" not found")
            status.name = name
            status.group = Self.group
            status.kind = context.resource.plural
            throw status
        }
        try await require(role.list("rules").map(PolicyRule.init), nil, context, resources)
    }

    private func require(
        _ wanted: [PolicyRule], _ reason: String?, _ context: AdmissionContext, _ resources: Resources
    ) async throws {
        let held = try await resources.access.snapshot(resources).rules(of: context.user, namespace: context.namespace)
        let missing = PolicyRule.uncovered(wanted, by: held)
        guard !missing.isEmpty else { return }
        if let reason { throw context.refuse(reason) }
        let groups = context.user.groups.map { "\"\($0)\"" }.joined(separator: " ")
        let list = PolicyRule.compacted(missing).map(\.compact).sorted().joined(separator: "\n")
        throw context.refuse(
            "user \"\(context.user.name)\" (groups=[\(groups)]) is attempting to grant RBAC permissions not currently "
                + "held:\n\(list)")
    }
}
