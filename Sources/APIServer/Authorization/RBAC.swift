import Document

/// Role-based access control over a snapshot of roles and bindings: pure, attributes in, decision out.
///
/// The server rebuilds it when one of the four kinds changes; a request then costs a walk over
/// the bindings of its own user and groups, not over all bindings.
public struct RBAC: Sendable {
    public struct Decision: Sendable, Equatable {
        public var allowed: Bool
        /// Which binding allowed it, as `kubectl auth can-i` and audit show it.
        public var reason: String
    }

    private struct Grant: Sendable {
        var rules: [PolicyRule]
        var reason: String
    }

    private enum Subject: Hashable {
        case user(String)
        case group(String)
    }

    /// Grants by subject: those that hold everywhere, and those that hold in one namespace.
    private var everywhere: [Subject: [Grant]] = [:]
    private var within: [String: [Subject: [Grant]]] = [:]

    public init(
        roles: [Document] = [], clusterRoles: [Document] = [], roleBindings: [Document] = [],
        clusterRoleBindings: [Document] = []
    ) {
        func rules(_ role: Document) -> [PolicyRule] { role.list("rules").map(PolicyRule.init) }
        func name(_ object: Document) -> String { object.text("metadata", "name") ?? "" }
        var clusterRules: [String: [PolicyRule]] = [:]
        for role in clusterRoles { clusterRules[name(role)] = rules(role) }
        var namespacedRules: [String: [PolicyRule]] = [:]
        for role in roles { namespacedRules["\(role.text("metadata", "namespace") ?? "")/\(name(role))"] = rules(role) }

        for binding in clusterRoleBindings {
            guard binding.text("roleRef", "kind") == "ClusterRole",
                let role = binding.text("roleRef", "name"), let granted = clusterRules[role]
            else { continue }
            let start = "RBAC: allowed by ClusterRoleBinding \"\(name(binding))\" of ClusterRole \"\(role)\""
            for (subject, text) in Self.subjects(of: binding, in: nil) {
                everywhere[subject, default: []].append(Grant(rules: granted, reason: "\(start) to \(text)"))
            }
        }
        for binding in roleBindings {
            let namespace = binding.text("metadata", "namespace") ?? ""
            guard let kind = binding.text("roleRef", "kind"), let role = binding.text("roleRef", "name"),
                let granted = kind == "ClusterRole" ? clusterRules[role] : namespacedRules["\(namespace)/\(role)"]
            else { continue }
            let start = "RBAC: allowed by RoleBinding \"\(name(binding))/\(namespace)\" of \(kind) \"\(role)\""
            for (subject, text) in Self.subjects(of: binding, in: namespace) {
                within[namespace, default: [:]][subject, default: []].append(
                    Grant(rules: granted, reason: "\(start) to \(text)"))
            }
        }
    }

    private static func subjects(of binding: Document, in namespace: String?) -> [(Subject, String)] {
        binding.list("subjects").compactMap { subject in
            guard let kind = subject.text("kind"), let name = subject.text("name") else { return nil }
            switch kind {
            case "User": return (.user(name), "User \"\(name)\"")
            case "Group": return (.group(name), "Group \"\(name)\"")
            case "ServiceAccount":
                guard let home = subject.text("namespace") ?? namespace, !home.isEmpty else { return nil }
                return (.user("system:serviceaccount:\(home):\(name)"), "ServiceAccount \"\(name)/\(home)\"")
            default: return nil
            }
        }
    }

    private func grants(of user: UserInfo, namespace: String) -> [Grant] {
        let subjects = [Subject.user(user.name)] + user.groups.map(Subject.group)
        let local = namespace.isEmpty ? nil : within[namespace]
        return subjects.flatMap { everywhere[$0] ?? [] } + subjects.flatMap { local?[$0] ?? [] }
    }

    public func decide(_ attributes: AccessAttributes) -> Decision {
        // The group that can never lose its rights: without it a broken binding would lock everybody out.
        if attributes.user.groups.contains("system:masters") { return Decision(allowed: true, reason: "") }
        let namespace = attributes.path == nil ? attributes.namespace : ""
        for grant in grants(of: attributes.user, namespace: namespace)
        where grant.rules.contains(where: { $0.allows(attributes) }) {
            return Decision(allowed: true, reason: grant.reason)
        }
        return Decision(allowed: false, reason: "")
    }

    /// Every rule that the user holds in `namespace`, for rules reviews and escalation checks.
    public func rules(of user: UserInfo, namespace: String) -> [PolicyRule] {
        grants(of: user, namespace: namespace).flatMap(\.rules)
    }
}
