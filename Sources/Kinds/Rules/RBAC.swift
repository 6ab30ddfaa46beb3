import Document
import Schema

extension KindRules {
    static let role: KindRules = roles(namespaced: true)
    static let clusterRole: KindRules = roles(namespaced: false)
    static let roleBinding: KindRules = bindings(roleKinds: ["Role", "ClusterRole"])
    static let clusterRoleBinding: KindRules = bindings(roleKinds: ["ClusterRole"])

    private static func roles(namespaced: Bool) -> KindRules {
        var rules = KindRules()
        rules.nameSyntax = .pathSegment
        rules.validateCreate = { role in
            var errors: [FieldError] = []
            for (index, rule) in role.list("rules").enumerated() {
                errors += RBACRules.rule(rule, "rules[\(index)]", namespaced: namespaced)
            }
            let selectors = role.list("aggregationRule", "clusterRoleSelectors")
            if role["aggregationRule"]?.isObject == true, selectors.isEmpty {
                errors.append(
                    .required(
                        "aggregationRule.clusterRoleSelectors",
                        "at least one clusterRoleSelector required if aggregationRule is non-nil"))
            }
            for (index, selector) in selectors.enumerated() {
                let here = "aggregationRule.clusterRoleSelectors[\(index)]"
                let problems = MetadataRules.labelSelector(selector, here)
                errors += problems
                if !problems.isEmpty { errors.append(.invalid(here, .null, "invalid label selector.")) }
            }
            return errors
        }
        rules.cells = { role, _ in [role.at("metadata", "creationTimestamp") ?? .null] }
        return rules
    }

    private static func bindings(roleKinds: [String]) -> KindRules {
        var rules = KindRules()
        rules.nameSyntax = .pathSegment
        rules.applyDefaults = { RBACRules.completeSubjects(&$0) }
        rules.validateCreate = { RBACRules.binding($0, roleKinds: roleKinds) }
        rules.validateUpdate = { new, old in
            if new["roleRef"] == old["roleRef"] { return [] }
            let reference = new["roleRef"] ?? .emptyObject
            let shown: Document = [
                "APIGroup": reference["apiGroup"] ?? "", "Kind": reference["kind"] ?? "",
                "Name": reference["name"] ?? "",
            ]
            return [.invalid("roleRef", shown, "cannot change roleRef")]
        }
        rules.cells = { RBACColumns.binding($0, now: $1) }
        return rules
    }
}

enum RBACRules {
    static let group = "rbac.authorization.k8s.io"

    static func completeSubjects(_ binding: inout Document) {
        guard let subjects = binding["subjects"], subjects.isArray else { return }
        binding["subjects"] = Document(
            subjects.elements.map { subject in
                var subject = subject
                if subject["apiGroup"] == nil, ["User", "Group"].contains(subject.text("kind") ?? "") {
                    subject["apiGroup"] = Document(group)
                }
                return subject
            })
    }

    static func rule(_ rule: Document, _ path: String, namespaced: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if rule.list("verbs").isEmpty {
            errors.append(.required(path + ".verbs", "verbs must contain at least one value"))
        }
        let urls = rule.list("nonResourceURLs")
        if !urls.isEmpty {
            if namespaced {
                errors.append(
                    .invalid(
                        path + ".nonResourceURLs", rule["nonResourceURLs"],
                        "namespaced rules cannot apply to non-resource URLs"))
            }
            if !rule.list("apiGroups").isEmpty || !rule.list("resources").isEmpty || !rule.list("resourceNames").isEmpty
            {
                errors.append(
                    .invalid(
                        path + ".nonResourceURLs", rule["nonResourceURLs"],
                        "rules cannot apply to both regular resources and non-resource URLs"))
            }
            return errors
        }
        if rule.list("apiGroups").isEmpty {
            errors.append(.required(path + ".apiGroups", "resource rules must supply at least one api group"))
        }
        if rule.list("resources").isEmpty {
            errors.append(.required(path + ".resources", "resource rules must supply at least one resource"))
        }
        return errors
    }

    static func binding(_ binding: Document, roleKinds: [String]) -> [FieldError] {
        var errors: [FieldError] = []
        let role = binding["roleRef"] ?? .emptyObject
        if role.text("apiGroup") != group {
            errors.append(.notSupported("roleRef.apiGroup", role["apiGroup"], [group]))
        }
        if !roleKinds.contains(role.text("kind") ?? "") {
            errors.append(.notSupported("roleRef.kind", role["kind"] ?? "", roleKinds))
        }
        let name = role.text("name") ?? ""
        if name.isEmpty {
            errors.append(.required("roleRef.name"))
        } else {
            errors += Formats.pathSegment(name).map { .invalid("roleRef.name", Document(name), $0) }
        }
        for (index, subject) in binding.list("subjects").enumerated() {
            let here = "subjects[\(index)]"
            switch subject.text("kind") ?? "" {
            case "ServiceAccount":
                let name = subject.text("name") ?? ""
                if !name.isEmpty {
                    errors += Formats.dnsSubdomain(name).map { .invalid(here + ".name", Document(name), $0) }
                }
                if !(subject.text("apiGroup") ?? "").isEmpty {
                    errors.append(.notSupported(here + ".apiGroup", subject["apiGroup"], [""]))
                }
                // Within a namespace the accounts may be those of the binding's own.
                if !roleKinds.contains("Role"), (subject.text("namespace") ?? "").isEmpty {
                    errors.append(.required(here + ".namespace"))
                }
            case "User", "Group":
                if subject.text("apiGroup") != group {
                    errors.append(.notSupported(here + ".apiGroup", subject["apiGroup"] ?? "", [group]))
                }
            default:
                errors.append(
                    .notSupported(here + ".kind", subject["kind"] ?? "", ["ServiceAccount", "User", "Group"]))
            }
        }
        return errors
    }
}
