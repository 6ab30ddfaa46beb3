import Document
import Schema

/// Where a pod may run: tolerations, affinity, spreading.
enum PodPlacement {
    static func toleration(_ toleration: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let key = toleration.text("key") ?? ""
        if !key.isEmpty { errors += Formats.qualifiedName(key).map { .invalid(path + ".key", Document(key), $0) } }
        let action = toleration.text("operator") ?? ""
        if key.isEmpty, action != "Exists" {
            errors.append(
                .invalid(
                    path + ".operator", Document(action),
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
        }
        let effect = toleration.text("effect") ?? ""
        if toleration["tolerationSeconds"] != nil, effect != "NoExecute" {
            errors.append(
                .invalid(
                    path + ".effect", Document(effect), "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        }
        let value = toleration.text("value") ?? ""
        switch action {
        case "", "Equal":
            errors += Formats.labelValue(value).map { .invalid(path + ".operator", Document(value), $0) }
        case "Exists":
            if !value.isEmpty {
                errors.append(
                    .invalid(path + ".operator", Document(value), "value must be empty when `operator` is 'Exists'"))
            }
        case "Lt", "Gt":
            // Known to the type, but not yet allowed.
            errors.append(.notSupported(path + ".operator", Document(action), ["Equal", "Exists", "Lt", "Gt"]))
        default: errors.append(.notSupported(path + ".operator", Document(action), ["Equal", "Exists"]))
        }
        if !effect.isEmpty { errors += taintEffect(effect, path + ".effect") }
        return errors
    }

    static func taintEffect(_ effect: String, _ path: String) -> [FieldError] {
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
        return known.contains(effect) ? [] : [.notSupported(path, Document(effect), known)]
    }

    private static let required = "requiredDuringSchedulingIgnoredDuringExecution"
    private static let preferred = "preferredDuringSchedulingIgnoredDuringExecution"

    static func affinity(_ affinity: Document?, _ path: String) -> [FieldError] {
        guard let affinity else { return [] }
        var errors = nodeAffinity(affinity["nodeAffinity"], path + ".nodeAffinity")
        for kind in ["podAffinity", "podAntiAffinity"] {
            guard let terms = affinity[kind] else { continue }
            for (index, term) in terms.list(required).enumerated() {
                errors += podTerm(term, "\(path).\(kind).\(required)[\(index)]")
            }
            for (index, weighted) in terms.list(preferred).enumerated() {
                let here = "\(path).\(kind).\(preferred)[\(index)]"
                errors += weight(weighted, here)
                errors += podTerm(weighted["podAffinityTerm"] ?? .emptyObject, here + ".podAffinityTerm")
            }
        }
        return errors
    }

    private static func weight(_ term: Document, _ path: String) -> [FieldError] {
        let weight = term.number("weight") ?? 0
        return (1...100).contains(weight)
            ? [] : [.invalid(path + ".weight", Document(weight), "must be in the range 1-100")]
    }

    private static func nodeAffinity(_ affinity: Document?, _ path: String) -> [FieldError] {
        guard let affinity else { return [] }
        var errors: [FieldError] = []
        if let selector = affinity[required] {
            let here = "\(path).\(required).nodeSelectorTerms"
            if selector.list("nodeSelectorTerms").isEmpty {
                errors.append(.required(here, "must have at least one node selector term"))
            }
            for (index, term) in selector.list("nodeSelectorTerms").enumerated() {
                errors += nodeTerm(term, "\(here)[\(index)]")
            }
        }
        for (index, weighted) in affinity.list(preferred).enumerated() {
            let here = "\(path).\(preferred)[\(index)]"
            errors += weight(weighted, here)
            errors += nodeTerm(weighted["preference"] ?? .emptyObject, here + ".preference")
        }
        return errors
    }

    static func nodeTerm(_ term: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, expression) in term.list("matchExpressions").enumerated() {
            errors += nodeRequirement(expression, "\(path).matchExpressions[\(index)]")
        }
        for (index, field) in term.list("matchFields").enumerated() where field.text("key") != "metadata.name" {
            errors.append(
                .invalid("\(path).matchFields[\(index)].key", field["key"], "not a valid field selector key"))
        }
        return errors
    }

    private static func nodeRequirement(_ expression: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let count = expression.list("values").count
        switch expression.text("operator") ?? "" {
        case "In", "NotIn":
            if count == 0 {
                errors.append(.required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
            }
        case "Exists", "DoesNotExist":
            if count > 0 {
                errors.append(
                    .forbidden(path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
            }
        case "Gt", "Lt":
            if count != 1 {
                errors.append(
                    .required(path + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
            }
        default: errors.append(.invalid(path + ".operator", expression["operator"], "not a valid selector operator"))
        }
        let key = expression.text("key") ?? ""
        return errors + Formats.qualifiedName(key).map { .invalid(path + ".key", Document(key), $0) }
    }

    private static func podTerm(_ term: Document, _ path: String) -> [FieldError] {
        var errors = MetadataRules.labelSelector(term["labelSelector"], path + ".labelSelector")
        errors += MetadataRules.labelSelector(term["namespaceSelector"], path + ".namespaceSelector")
        for namespace in term.list("namespaces") {
            errors += Formats.dnsLabel(namespace.string ?? "").map { .invalid(path + ".namespace", namespace, $0) }
        }
        for field in ["matchLabelKeys", "mismatchLabelKeys"]
        where !term.list(field).isEmpty && term["labelSelector"] == nil {
            errors.append(.forbidden("\(path).\(field)", "must not be specified when labelSelector is not set"))
        }
        return errors + topologyKey(term.text("topologyKey") ?? "", path + ".topologyKey")
    }

    private static func topologyKey(_ key: String, _ path: String) -> [FieldError] {
        var errors: [FieldError] = key.isEmpty ? [.required(path, "can not be empty")] : []
        errors += Formats.qualifiedName(key).map { .invalid(path, Document(key), $0) }
        return errors
    }

    static func spread(_ constraints: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, constraint) in constraints.enumerated() {
            let here = "\(path)[\(index)]"
            let skew = constraint.number("maxSkew") ?? 0
            if skew <= 0 { errors.append(.invalid(here + ".maxSkew", Document(skew), "must be greater than zero")) }
            if constraint.text("topologyKey")?.isEmpty ?? true {
                errors.append(.required(here + ".topologyKey", "can not be empty"))
            }
            let action = constraint.text("whenUnsatisfiable") ?? ""
            if !["DoNotSchedule", "ScheduleAnyway"].contains(action) {
                errors.append(
                    .notSupported(
                        here + ".whenUnsatisfiable", Document(action), ["DoNotSchedule", "ScheduleAnyway"]))
            }
            errors += MetadataRules.labelSelector(constraint["labelSelector"], here + ".labelSelector")
        }
        return errors
    }
}
