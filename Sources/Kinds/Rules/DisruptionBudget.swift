import Document
import Schema

extension KindRules {
    static let podDisruptionBudget: KindRules = {
        var rules = workload
        rules.nameSyntax = .pathSegment
        rules.plainFinalizers = true
        rules.validateCreate = { DisruptionBudgets.validate($0["spec"] ?? .emptyObject) }
        rules.cells = { PolicyColumns.budget($0, now: $1) }
        return rules
    }()
}

enum DisruptionBudgets {
    static func validate(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if spec["minAvailable"] != nil, spec["maxUnavailable"] != nil {
            let shown: Document = [
                "MinAvailable": spec["minAvailable"] ?? .null, "Selector": spec["selector"] ?? .null,
                "MaxUnavailable": spec["maxUnavailable"] ?? .null,
                "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"] ?? .null,
            ]
            errors.append(.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
        }
        for field in ["minAvailable", "maxUnavailable"] {
            guard let value = spec[field] else { continue }
            errors += IntOrString.check(value, path: "spec." + field)
            errors += Workloads.exceedsAll(value, "spec." + field)
        }
        errors += MetadataRules.labelSelector(spec["selector"], "spec.selector")
        let policies = ["AlwaysAllow", "IfHealthyBudget"]
        if let policy = spec.text("unhealthyPodEvictionPolicy"), !policies.contains(policy) {
            errors.append(.notSupported("spec.unhealthyPodEvictionPolicy", Document(policy), policies))
        }
        return errors
    }
}
