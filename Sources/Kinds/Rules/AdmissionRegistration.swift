import Document
import Schema

extension KindRules {
    static let mutatingWebhookConfiguration: KindRules = webhooks(mutating: true)
    static let validatingWebhookConfiguration: KindRules = webhooks(mutating: false)

    private static func webhooks(mutating: Bool) -> KindRules {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.validateCreate = { configuration in
            var errors: [FieldError] = []
            var names: Set<String> = []
            for (index, hook) in configuration.list("webhooks").enumerated() {
                let here = "webhooks[\(index)]"
                errors += WebhookRules.webhook(hook, here, mutating: mutating)
                errors += WebhookRules.reviewVersions(hook["admissionReviewVersions"], here)
                let name = hook.text("name") ?? ""
                if !name.isEmpty, !names.insert(name).inserted {
                    errors.append(.duplicate(here + ".name", Document(name)))
                }
            }
            return errors
        }
        rules.cells = { configuration, now in
            [Document(configuration.list("webhooks").count), Cells.age(configuration, now: now)]
        }
        return rules
    }

    static let validatingAdmissionPolicy: KindRules = {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.prepareForCreate = { policy, _ in policy["status"] = nil }
        rules.prepareForUpdate = { policy, old, _ in policy["status"] = old["status"] }
        rules.validateCreate = { AdmissionPolicyRules.validating($0) }
        rules.validateStatusUpdate = { policy, _ in AdmissionPolicyRules.status(policy["status"] ?? .emptyObject) }
        rules.cells = { policy, now in
            [
                Document(policy.list("spec", "validations").count), AdmissionPolicyRules.kindCell(policy),
                Cells.age(policy, now: now),
            ]
        }
        return rules
    }()

    static let mutatingAdmissionPolicy: KindRules = {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.validateCreate = { AdmissionPolicyRules.mutating($0) }
        rules.cells = { policy, now in
            [
                Document(policy.list("spec", "mutations").count), AdmissionPolicyRules.kindCell(policy),
                Cells.age(policy, now: now),
            ]
        }
        return rules
    }()

    static let validatingAdmissionPolicyBinding: KindRules = bindings(mutating: false)
    static let mutatingAdmissionPolicyBinding: KindRules = bindings(mutating: true)

    private static func bindings(mutating: Bool) -> KindRules {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.validateCreate = { AdmissionPolicyRules.binding($0, mutating: mutating) }
        rules.cells = { binding, now in
            [
                binding.at("spec", "policyName") ?? "", AdmissionPolicyRules.referenceCell(binding),
                Cells.age(binding, now: now),
            ]
        }
        return rules
    }
}

/// Which requests a webhook or a policy is about.
enum AdmissionRuleRules {
    static let operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]

    static func choice(_ value: Document?, _ path: String, _ allowed: [String]) -> [FieldError] {
        guard let value, !value.isNull, !allowed.contains(value.string ?? "") else { return [] }
        return [.notSupported(path, value, allowed)]
    }

    static func ruleWithOperations(_ rule: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let given = rule.list("operations")
        if given.isEmpty { errors.append(.required(path + ".operations")) }
        if given.count > 1, given.contains("*") {
            errors.append(
                .invalid(path + ".operations", rule["operations"], starText("operations")))
        }
        for (index, operation) in given.enumerated() {
            errors += choice(operation, "\(path).operations[\(index)]", operations)
        }
        return errors + self.rule(rule, path)
    }

    private static func starText(_ what: String) -> String { "if '*' is present, must not specify other \(what)" }

    private static func rule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (field, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
            let values = rule.list(field)
            if values.isEmpty { errors.append(.required("\(path).\(field)")) }
            if values.count > 1, values.contains("*") {
                errors.append(.invalid("\(path).\(field)", rule[field], starText(what)))
            }
        }
        for (index, version) in rule.list("apiVersions").enumerated() where version.string?.isEmpty == true {
            errors.append(.required("\(path).apiVersions[\(index)]"))
        }
        errors += resources(rule["resources"], path + ".resources")
        return errors + choice(rule["scope"], path + ".scope", ["*", "Cluster", "Namespaced"])
    }

    private static func resources(_ value: Document?, _ path: String) -> [FieldError] {
        let given = (value?.elements ?? []).compactMap(\.string)
        var errors: [FieldError] = []
        if given.isEmpty { errors.append(.required(path)) }
        // The names in front of `/*`, and those behind `*/`, that were seen so far.
        var allSubresources: Set<Substring> = []
        var allResources: Set<Substring> = []
        var lastIsPlain = false
        for (index, text) in given.enumerated() {
            let here = "\(path)[\(index)]"
            if text.isEmpty {
                errors.append(.required(here))
                continue
            }
            guard let slash = text.firstIndex(of: "/") else {
                // Upstream lets the last entry without a subresource decide.
                lastIsPlain = text != "*"
                continue
            }
            let (resource, subresource) = (text[..<slash], text[text.index(after: slash)...])
            if allSubresources.contains(resource) {
                errors.append(
                    .invalid(here, Document(text), "if '\(resource)/*' is present, must not specify \(text)"))
            }
            if allResources.contains(subresource) {
                errors.append(
                    .invalid(here, Document(text), "if '*/\(subresource)' is present, must not specify \(text)"))
            }
            if subresource == "*" { allSubresources.insert(resource) }
            if resource == "*" { allResources.insert(subresource) }
        }
        if given.count > 1, given.contains("*/*") {
            errors.append(.invalid(path, value, "if '*/*' is present, must not specify other resources"))
        }
        if given.contains("*"), lastIsPlain {
            errors.append(
                .invalid(path, value, "if '*' is present, must not specify other resources without subresources"))
        }
        return errors
    }

    static func matchResources(_ match: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if match["matchPolicy"] == nil { errors.append(.required(path + ".matchPolicy")) }
        errors += choice(match["matchPolicy"], path + ".matchPolicy", ["Equivalent", "Exact"])
        for field in ["namespaceSelector", "objectSelector"] {
            if match[field] == nil { errors.append(.required("\(path).\(field)")) }
            errors += MetadataRules.labelSelector(match[field], "\(path).\(field)")
        }
        for field in ["resourceRules", "excludeResourceRules"] {
            for (index, rule) in match.list(field).enumerated() {
                errors += namedRule(rule, "\(path).\(field)[\(index)]")
            }
        }
        return errors
    }

    private static func namedRule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, name) in rule.list("resourceNames").enumerated() {
            let here = "\(path).resourceNames[\(index)]"
            errors += Formats.pathSegment(name.string ?? "").map { .invalid(here, name, $0) }
            if !names.insert(name.string ?? "").inserted { errors.append(.duplicate(here, name)) }
        }
        return errors + ruleWithOperations(rule, path)
    }
}
