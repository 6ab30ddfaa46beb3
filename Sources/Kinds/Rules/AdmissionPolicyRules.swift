import Document
import Schema

/// Policies: what they are about, their expressions, and their bindings.
enum AdmissionPolicyRules {
    private static let mostMatchConditions = 64
    private static let mostAuditAnnotations = 20
    private static let longestAuditExpression = 5 * 1024
    private static let failurePolicies = ["Fail", "Ignore"]
    private static let mutatingOperations = ["*", "CONNECT", "CREATE", "UPDATE"]

    static func validating(_ policy: Document) -> [FieldError] {
        let spec = policy["spec"] ?? .emptyObject
        var expressions = AdmissionExpressions(spec: spec)
        var errors = common(spec, &expressions, mutating: false)
        let (validations, notes) = (spec.list("validations"), spec.list("auditAnnotations"))
        guard !validations.isEmpty || !notes.isEmpty else {
            let text = "validations or auditAnnotations must contain at least one item"
            return errors + [.required("spec.validations", text), .required("spec.auditAnnotations", text)]
        }
        for (index, validation) in validations.enumerated() {
            errors += self.validation(validation, "spec.validations[\(index)]", &expressions)
        }
        if notes.count > mostAuditAnnotations {
            errors.append(
                .invalid(
                    "spec.auditAnnotations", spec["auditAnnotations"],
                    "must not have more than \(mostAuditAnnotations) auditAnnotations"))
        }
        var keys: Set<String> = []
        for (index, note) in notes.enumerated() {
            let here = "spec.auditAnnotations[\(index)]"
            errors += auditAnnotation(note, policy.text("metadata", "name") ?? "", here, &expressions)
            if !keys.insert(note.text("key") ?? "").inserted {
                errors.append(.duplicate(here + ".key", note["key"] ?? ""))
            }
        }
        return errors
    }

    static func mutating(_ policy: Document) -> [FieldError] {
        let spec = policy["spec"] ?? .emptyObject
        var expressions = AdmissionExpressions(spec: spec)
        var errors = common(spec, &expressions, mutating: true)
        let mutations = spec.list("mutations")
        if mutations.isEmpty {
            errors.append(.required("spec.mutations", "mutations must contain at least one item"))
        }
        for (index, mutation) in mutations.enumerated() {
            errors += self.mutation(mutation, "spec.mutations[\(index)]", &expressions)
        }
        if (spec.text("reinvocationPolicy") ?? "").isEmpty {
            errors.append(.required("spec.reinvocationPolicy"))
        } else {
            errors += AdmissionRuleRules.choice(
                spec["reinvocationPolicy"], "spec.reinvocationPolicy", ["IfNeeded", "Never"])
        }
        return errors
    }

    private static func common(
        _ spec: Document, _ expressions: inout AdmissionExpressions, mutating: Bool
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if spec["failurePolicy"] == nil { errors.append(.required("spec.failurePolicy")) }
        errors += AdmissionRuleRules.choice(spec["failurePolicy"], "spec.failurePolicy", failurePolicies)
        if let kind = spec["paramKind"] { errors += paramKind(kind, "spec.paramKind") }
        if let match = spec["matchConstraints"], match.isObject {
            errors += AdmissionRuleRules.matchResources(match, "spec.matchConstraints")
            // Without a rule nothing would say what the expressions are about.
            if match.list("resourceRules").isEmpty { errors.append(.required("spec.matchConstraints.resourceRules")) }
            if mutating { errors += operations(match, "spec.matchConstraints") }
        } else {
            errors.append(.required("spec.matchConstraints"))
        }
        errors += matchConditions(
            spec["matchConditions"], "spec.matchConditions", params: spec["paramKind"] != nil)
        for (index, variable) in spec.list("variables").enumerated() {
            errors += self.variable(variable, "spec.variables[\(index)]", &expressions)
        }
        return errors
    }

    /// What is deleted cannot be changed on its way.
    private static func operations(_ match: Document, _ path: String) -> [FieldError] {
        match.list("resourceRules").flatMap { $0.list("operations") }.flatMap {
            AdmissionRuleRules.choice($0, path + ".resourceRules.operations", mutatingOperations)
        }
    }

    private static func paramKind(_ kind: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let text = kind.text("apiVersion") ?? ""
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let here = path + ".apiVersion"
        if text.isEmpty {
            errors.append(.required(here))
        } else if parts.count > 2 {
            errors.append(.invalid(here, Document(text), "unexpected GroupVersion string: " + text))
        } else {
            let group = parts.count == 2 ? parts[0] : ""
            let version = parts.last ?? ""
            let faults = group.isEmpty ? [] : Formats.dnsSubdomain(group)
            if !faults.isEmpty { errors.append(.invalid(here, Document(group), faults.joined(separator: ","))) }
            if version.isEmpty {
                errors.append(.invalid(here, Document(text), "version must be specified"))
            } else {
                let faults = Formats.rfc1035Label(version)
                if !faults.isEmpty { errors.append(.invalid(here, Document(version), faults.joined(separator: ","))) }
            }
        }
        let name = kind.text("kind") ?? ""
        if name.isEmpty {
            errors.append(.required(path + ".kind"))
        } else {
            let faults = Formats.rfc1035Label(name.lowercased())
            if !faults.isEmpty {
                errors.append(
                    .invalid(
                        path + ".kind", Document(name),
                        "may have mixed case, but should otherwise match: " + faults.joined(separator: ",")))
            }
        }
        return errors
    }

    // MARK: Expressions

    /// Conditions of a webhook or a policy. They see no variables.
    static func matchConditions(_ conditions: Document?, _ path: String, params: Bool) -> [FieldError] {
        guard let conditions, conditions.count > 0 else { return [] }
        var errors: [FieldError] = []
        if conditions.count > mostMatchConditions {
            errors.append(
                FieldError(
                    .tooMany, path, "must have at most \(mostMatchConditions) items",
                    badValue: Document(conditions.count)))
        }
        var names: Set<String> = []
        for (index, condition) in conditions.elements.enumerated() {
            let here = "\(path)[\(index)]"
            let expression = AdmissionExpressions.trimmed(condition.text("expression"))
            if expression.isEmpty {
                errors.append(.required(here + ".expression"))
            } else {
                errors += AdmissionExpressions.condition(expression, here + ".expression", params: params)
            }
            let name = condition.text("name") ?? ""
            if name.isEmpty {
                errors.append(.required(here + ".name"))
                continue
            }
            errors += Formats.qualifiedName(name).map { .invalid(here + ".name", Document(name), $0) }
            if !names.insert(name).inserted { errors.append(.duplicate(here + ".name", Document(name))) }
        }
        return errors
    }

    private static func variable(
        _ variable: Document, _ path: String, _ expressions: inout AdmissionExpressions
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let name = variable.text("name") ?? ""
        if AdmissionExpressions.trimmed(name).isEmpty {
            errors.append(.required(path + ".name", "name is not specified"))
        } else if !AdmissionExpressions.isIdentifier(name) {
            errors.append(.invalid(path + ".name", Document(name), "must be a valid CEL identifier"))
        }
        let expression = variable.text("expression") ?? ""
        if AdmissionExpressions.trimmed(expression).isEmpty {
            errors.append(.required(path + ".expression", "expression is not specified"))
        } else if AdmissionExpressions.isIdentifier(name) {
            errors += expressions.declare(name, expression, path + ".expression")
        }
        return errors
    }

    private static func validation(
        _ validation: Document, _ path: String, _ expressions: inout AdmissionExpressions
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let expression = validation.text("expression") ?? ""
        if AdmissionExpressions.trimmed(expression).isEmpty {
            errors.append(.required(path + ".expression", "expression is not specified"))
        } else {
            errors += expressions.check(expression, path + ".expression", .validation)
        }
        let dynamic = validation.text("messageExpression") ?? ""
        if !dynamic.isEmpty {
            if AdmissionExpressions.trimmed(dynamic).isEmpty {
                errors.append(
                    .invalid(path + ".messageExpression", Document(dynamic), "must be non-empty if specified"))
            } else {
                errors += expressions.check(dynamic, path + ".messageExpression", .message)
            }
        }
        let message = validation.text("message") ?? ""
        let trimmed = AdmissionExpressions.trimmed(message)
        if !message.isEmpty, trimmed.isEmpty {
            errors.append(.invalid(path + ".message", Document(message), "must be non-empty if specified"))
        } else if trimmed.utf8.contains(where: { $0 == 10 || $0 == 13 }) {
            errors.append(.invalid(path + ".message", Document(message), "must not contain line breaks"))
        }
        return errors
            + AdmissionRuleRules.choice(
                validation["reason"], path + ".reason",
                ["Forbidden", "Invalid", "RequestEntityTooLarge"])
    }

    private static func auditAnnotation(
        _ note: Document, _ policy: String, _ path: String, _ expressions: inout AdmissionExpressions
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let key = note.text("key") ?? ""
        if policy.isEmpty {
            errors.append(.invalid(path + ".key", Document(key), "requires metadata.name be non-empty"))
        } else {
            let full = policy + "/" + key
            errors += Formats.qualifiedName(full).map { .invalid(path + ".key", Document(full), $0) }
        }
        let expression = AdmissionExpressions.trimmed(note.text("valueExpression"))
        let here = path + ".valueExpression"
        if expression.isEmpty {
            errors.append(.required(here, "valueExpression is not specified"))
        } else if expression.utf8.count > longestAuditExpression {
            errors.append(.required(here, "must not exceed \(longestAuditExpression) bytes in length"))
        } else {
            errors += expressions.check(expression, here, .auditValue)
        }
        return errors
    }

    private static func mutation(
        _ mutation: Document, _ path: String, _ expressions: inout AdmissionExpressions
    ) -> [FieldError] {
        let type = mutation.text("patchType") ?? ""
        if type.isEmpty { return [.required(path + ".patchType")] }
        let own: String
        let other: String
        switch type {
        case "ApplyConfiguration": (own, other) = ("applyConfiguration", "jsonPatch")
        case "JSONPatch": (own, other) = ("jsonPatch", "applyConfiguration")
        default: return [.notSupported(path + ".patchType", Document(type), ["ApplyConfiguration", "JSONPatch"])]
        }
        var errors: [FieldError] = []
        if let patch = mutation[own] {
            let expression = AdmissionExpressions.trimmed(patch.text("expression"))
            let here = "\(path).\(own).expression"
            if expression.isEmpty {
                errors.append(.required(here))
            } else {
                errors += expressions.check(expression, here, own == "jsonPatch" ? .jsonPatch : .applyConfiguration)
            }
        } else {
            errors.append(.required("\(path).\(own)", "must be specified when patchType is \(type)"))
        }
        if mutation[other] != nil {
            errors.append(
                .invalid(
                    "\(path).\(other)", Document("{\(other)}"), "must not be specified when patchType is \(type)"))
        }
        return errors
    }

    // MARK: Bindings

    static func binding(_ binding: Document, mutating: Bool) -> [FieldError] {
        let spec = binding["spec"] ?? .emptyObject
        let policy = spec.text("policyName") ?? ""
        var errors: [FieldError] =
            policy.isEmpty
            ? [.required("spec.policyName")]
            : Formats.dnsSubdomain(policy).map { .invalid("spec.policyName", Document(policy), $0) }
        if let reference = spec["paramRef"] { errors += paramRef(reference, "spec.paramRef") }
        if let match = spec["matchResources"] {
            errors += AdmissionRuleRules.matchResources(match, "spec.matchResources")
            if mutating { errors += operations(match, "spec.matchResources") }
        }
        return mutating ? errors : errors + actions(spec["validationActions"], "spec.validationActions")
    }

    private static func actions(_ value: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, action) in (value?.elements ?? []).enumerated() {
            errors += AdmissionRuleRules.choice(action, "\(path)[\(index)]", ["Audit", "Deny", "Warn"])
            if !seen.insert(action.string ?? "").inserted { errors.append(.duplicate("\(path)[\(index)]", action)) }
        }
        if seen.isSuperset(of: ["Deny", "Warn"]) {
            errors.append(
                .invalid(
                    path, value,
                    "must not contain both Deny and Warn (repeating the same validation failure information in the "
                        + "API response and headers serves no purpose)"))
        }
        if seen.isEmpty { errors.append(.required(path, "at least one validation action is required")) }
        return errors
    }

    private static func paramRef(_ reference: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let name = reference.text("name") ?? ""
        let exclusive = "name and selector are mutually exclusive"
        if !name.isEmpty {
            errors += Formats.pathSegment(name).map { .invalid(path + ".name", Document(name), $0) }
            if reference["selector"] != nil { errors.append(.forbidden(path + ".name", exclusive)) }
        }
        if let selector = reference["selector"] {
            errors += MetadataRules.labelSelector(selector, path + ".selector")
            if !name.isEmpty { errors.append(.forbidden(path + ".selector", exclusive)) }
        } else if name.isEmpty {
            errors.append(.required(path, "one of name or selector must be specified"))
        }
        let action = reference["parameterNotFoundAction"]
        if (action?.string ?? "").isEmpty {
            errors.append(.required(path + ".parameterNotFoundAction"))
        } else {
            errors += AdmissionRuleRules.choice(action, path + ".parameterNotFoundAction", ["Deny", "Allow"])
        }
        return errors
    }

    // MARK: Status and cells

    static func status(_ status: Document) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, warning) in status.list("typeChecking", "expressionWarnings").enumerated() {
            let here = "status.typeChecking.expressionWarnings[\(index)]"
            if (warning.text("warning") ?? "").isEmpty { errors.append(.required(here + ".warning")) }
            let reference = AdmissionExpressions.trimmed(warning.text("fieldRef"))
            if reference.isEmpty {
                errors.append(.required(here + ".fieldRef"))
            } else {
                // It may begin with a member's name, as `spec.validations[0]` does.
                let dot = reference.first?.isLetter == true ? "." : ""
                do { _ = try JSONPath("{\(dot)\(reference)}") } catch {
                    errors.append(
                        .invalid(here + ".fieldRef", Document(reference), "invalid JSONPath: \(error)"))
                }
            }
        }
        return errors
    }

    static func kindCell(_ policy: Document) -> Document {
        guard let kind = policy.at("spec", "paramKind") else { return "<unset>" }
        return Document("\(kind.text("apiVersion") ?? "")/\(kind.text("kind") ?? "")")
    }

    static func referenceCell(_ binding: Document) -> Document {
        guard let reference = binding.at("spec", "paramRef") else { return "<unset>" }
        if let name = reference.text("name"), !name.isEmpty {
            guard let namespace = reference.text("namespace"), !namespace.isEmpty else { return Document(name) }
            return Document("\(namespace)/\(name)")
        }
        return Cells.selector(reference["selector"])
    }
}
