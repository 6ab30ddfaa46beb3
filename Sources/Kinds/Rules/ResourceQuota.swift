import Document
import Schema

extension KindRules {
    static let resourceQuota: KindRules = {
        var rules = workload
        rules.validateCreate = { ResourceQuotas.validate($0["spec"] ?? .emptyObject) }
        rules.validateUpdate = { new, old in
            let (scopes, before) = (new.list("spec", "scopes"), old.list("spec", "scopes"))
            if Set(scopes.compactMap(\.string)) == Set(before.compactMap(\.string)) { return [] }
            return [.invalid("spec.scopes", new.at("spec", "scopes"), "field is immutable")]
        }
        rules.validateStatusUpdate = { new, _ in
            ["hard", "used"].flatMap { field in
                ResourceQuotas.amounts(new.at("status", field), "status." + field)
            }
        }
        rules.cells = { PolicyColumns.quota($0, now: $1) }
        return rules
    }()
}

extension KindRules {
    static let componentStatus: KindRules = {
        var rules = KindRules()
        rules.cells = { component, _ in PolicyColumns.component(component) }
        return rules
    }()
}

enum ResourceQuotas {
    static func validate(_ spec: Document) -> [FieldError] {
        amounts(spec["hard"], "spec.hard") + scopes(spec) + selector(spec)
    }

    static func amounts(_ amounts: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for member in (amounts?.members ?? []).sorted(by: { $0.key < $1.key }) {
            let here = "\(path)[\(member.key)]"
            errors += BoundedNames.quota(member.key, here)
            guard let amount = Quantity(member.value.string ?? member.value.jsonText) else { continue }
            if amount < .zero {
                errors.append(
                    .invalid(here, Document(amount.description), "must be greater than or equal to 0"))
            }
            if BoundedNames.isWhole(member.key), amount.milliValue % 1000 != 0 {
                errors.append(.invalid(here, Document(amount.description), "must be an integer"))
            }
        }
        return errors
    }

    // MARK: Scopes

    private static let podScopes: Set = [
        "Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
    ]
    private static let known = podScopes.union(["BestEffort", "VolumeAttributesClass"])
    private static let podAmounts: Set = [
        "pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory",
    ]

    /// Whether what is bounded can be counted within a scope.
    private static func isValid(_ scope: String, for name: String) -> Bool {
        switch scope {
        case "BestEffort": name == "pods"
        case "VolumeAttributesClass": name == "persistentvolumeclaims" || name == "requests.storage"
        default: !podScopes.contains(scope) || podAmounts.contains(name)
        }
    }

    private static func standardAmounts(_ spec: Document) -> [String] {
        (spec["hard"]?.members ?? []).map(\.key).filter(BoundedNames.isStandardQuota).sorted()
    }

    private static func conflicts(_ scopes: Set<String>) -> Int {
        [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]]
            .filter { scopes.isSuperset(of: $0) }.count
    }

    private static func scopes(_ spec: Document) -> [FieldError] {
        let scopes = spec.list("scopes").map { $0.string ?? "" }
        let path = "spec.scopes"
        var errors: [FieldError] = []
        for scope in scopes {
            if !known.contains(scope) { errors.append(.invalid(path, spec["scopes"], "unsupported scope")) }
            for name in standardAmounts(spec) where !isValid(scope, for: name) {
                errors.append(.invalid(path, spec["scopes"], "unsupported scope applied to resource"))
            }
        }
        for _ in 0..<conflicts(Set(scopes)) {
            errors.append(.invalid(path, spec["scopes"], "conflicting scopes"))
        }
        return errors
    }

    private static func selector(_ spec: Document) -> [FieldError] {
        let path = "spec.scopeSelector.matchExpressions"
        let expressions = spec.list("scopeSelector", "matchExpressions")
        var errors: [FieldError] = []
        for expression in expressions {
            let scope = expression.text("scopeName") ?? ""
            if !known.contains(scope) {
                errors.append(.invalid(path + ".scopeName", Document(scope), "unsupported scope"))
            }
            for name in standardAmounts(spec) where !isValid(scope, for: name) {
                errors.append(.invalid(path, shown(expressions), "unsupported scope applied to resource"))
            }
            errors += condition(expression, scope, path)
        }
        for _ in 0..<conflicts(Set(expressions.compactMap { $0.text("scopeName") })) {
            errors.append(.invalid(path, spec["scopes"] ?? .null, "conflicting scopes"))
        }
        return errors
    }

    /// The selector under the names that its fields have within an API server.
    private static func shown(_ expressions: [Document]) -> Document {
        [
            "MatchExpressions": Document(
                expressions.map { expression -> Document in
                    [
                        "ScopeName": expression["scopeName"] ?? "", "Operator": expression["operator"] ?? "",
                        "Values": expression["values"] ?? .null,
                    ]
                })
        ]
    }

    private static func condition(_ expression: Document, _ scope: String, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let action = expression.text("operator") ?? ""
        let values = expression.list("values")
        let plain = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"]
        if plain.contains(scope), action != "Exists" {
            errors.append(
                .invalid(
                    path + ".operator", Document(action),
                    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                        + "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                        + "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
        }
        switch action {
        case "In", "NotIn":
            if values.isEmpty {
                errors.append(
                    .required(
                        path + ".values",
                        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
            }
        case "Exists", "DoesNotExist":
            if !values.isEmpty {
                errors.append(
                    .invalid(
                        path + ".values", expression["values"],
                        "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
            }
        default:
            errors.append(.invalid(path + ".operator", Document(action), "not a valid selector operator"))
        }
        return errors
    }
}
