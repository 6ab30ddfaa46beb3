import Document
import Schema

extension KindRules {
    static let deployment: KindRules = {
        var rules = workload
        rules.applyDefaults = { deployment in
            PodTemplates.complete(&deployment, at: "spec", "template")
            guard deployment.text("spec", "strategy", "type") == "RollingUpdate" else { return }
            for field in ["maxUnavailable", "maxSurge"]
            where deployment.at("spec", "strategy", "rollingUpdate", field) == nil {
                deployment.set("25%", at: "spec", "strategy", "rollingUpdate", field)
            }
        }
        rules.validateCreate = { Workloads.validate($0) + Workloads.validateDeployment($0) }
        rules.validateStatusUpdate = { new, old in
            let errors = Workloads.counts(
                new,
                [
                    ("updatedReplicas", "replicas", "status.replicas"),
                    ("readyReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "readyReplicas", "readyReplicas"),
                ])
            return errors + Workloads.collisions(new, old)
        }
        rules.warnings = { new, old in old == nil ? Workloads.nameWarnings(new) : [] }
        rules.cells = { WorkloadColumns.deployment($0, now: $1) }
        return rules
    }()

    static let replicaSet: KindRules = {
        var rules = workload
        rules.applyDefaults = { PodTemplates.complete(&$0, at: "spec", "template") }
        rules.validateCreate = { Workloads.validate($0) }
        rules.validateStatusUpdate = { new, _ in
            Workloads.counts(
                new,
                [
                    ("fullyLabeledReplicas", "replicas", "status.replicas"),
                    ("readyReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "readyReplicas", "readyReplicas"),
                ])
        }
        rules.checksUpdatesTwice = true
        rules.warnings = { new, old in old == nil ? Workloads.nameWarnings(new) : [] }
        rules.cells = { WorkloadColumns.replicaSet($0, now: $1) }
        return rules
    }()

    static let workload: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { object, _ in object["status"] = .emptyObject }
        rules.prepareForUpdate = { object, old, _ in object["status"] = old["status"] }
        return rules
    }()
}

enum Workloads {
    static func validate(_ object: Document) -> [FieldError] {
        let spec = object["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        let selector = spec["selector"]
        if let selector, selector.isObject {
            let wrong = MetadataRules.labelSelector(selector, "spec.selector")
            errors += wrong
            if !wrong.isEmpty {
                errors.append(.invalid("spec.selector", Shown.selector(selector), "invalid label selector"))
            } else if selector.list("matchExpressions").isEmpty, selector["matchLabels"]?.count ?? 0 == 0 {
                errors.append(
                    .invalid("spec.selector", Shown.selector(selector), "empty selector is invalid for deployment"))
            }
        }
        let template = spec["template"] ?? .emptyObject
        if wrongMatch(selector, template) {
            errors.append(
                .invalid(
                    "spec.template.metadata.labels", Shown.map(template.at("metadata", "labels")),
                    "`selector` does not match template `labels`"))
        }
        errors += PodTemplates.validate(template, path: "spec.template")
        return errors + PodTemplates.forever(template, path: "spec.template", kind: "ReplicaSet")
    }

    static func wrongMatch(_ selector: Document?, _ template: Document) -> Bool {
        guard let selector, selector.isObject else { return true }
        // What is wrong with the selector itself has been said.
        guard MetadataRules.labelSelector(selector, "").isEmpty, let parsed = LabelSelector(selector) else {
            return false
        }
        return parsed.isEmpty || !parsed.matches(template.map("metadata", "labels"))
    }

    static func validateDeployment(_ object: Document) -> [FieldError] {
        let spec = object["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        let strategy = spec["strategy"] ?? .emptyObject
        switch strategy.text("type") ?? "" {
        case "Recreate":
            if strategy["rollingUpdate"] != nil {
                errors.append(
                    .forbidden(
                        "spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"))
            }
        case "RollingUpdate": errors += rollingUpdate(strategy["rollingUpdate"] ?? .emptyObject)
        default:
            let shown: Document = [
                "Type": strategy["type"] ?? "", "RollingUpdate": strategy["rollingUpdate"] ?? .null,
            ]
            errors.append(.notSupported("spec.strategy", shown, ["Recreate", "RollingUpdate"]))
        }
        if let deadline = spec.number("progressDeadlineSeconds"), deadline <= spec.number("minReadySeconds") ?? 0 {
            errors.append(
                .invalid("spec.progressDeadlineSeconds", Document(deadline), "must be greater than minReadySeconds"))
        }
        return errors
    }

    private static func rollingUpdate(_ update: Document) -> [FieldError] {
        let path = "spec.strategy.rollingUpdate"
        var errors: [FieldError] = []
        for field in ["maxUnavailable", "maxSurge"] {
            guard let value = update[field] else { continue }
            errors += IntOrString.check(value, path: "\(path).\(field)")
        }
        if errors.isEmpty, isZero(update["maxUnavailable"]), isZero(update["maxSurge"]) {
            errors.append(
                .invalid(path + ".maxUnavailable", update["maxUnavailable"], "may not be 0 when `maxSurge` is 0"))
        }
        return errors + exceedsAll(update["maxUnavailable"], path + ".maxUnavailable")
    }

    static func isZero(_ value: Document?) -> Bool { value?.int == 0 || value?.string == "0%" }

    /// A share of more than everything.
    static func exceedsAll(_ value: Document?, _ path: String) -> [FieldError] {
        guard let share = value?.string, share.hasSuffix("%"), let percent = Int(share.dropLast()), percent > 100
        else { return [] }
        return [.invalid(path, value, "must not be greater than 100%")]
    }

    /// Counts in the status that cannot exceed another.
    static func counts(_ object: Document, _ pairs: [(String, String, String)]) -> [FieldError] {
        pairs.compactMap { field, limit, name in
            let value = object.number("status", field) ?? 0
            guard value > object.number("status", limit) ?? 0 else { return nil }
            return .invalid("status." + field, Document(value), "cannot be greater than \(name)")
        }
    }

    /// The count of collisions is part of the names of what was made: it never goes down, nor away.
    static func collisions(_ new: Document, _ old: Document) -> [FieldError] {
        guard let before = old.number("status", "collisionCount") else { return [] }
        let count = new.number("status", "collisionCount")
        if let count, count >= before { return [] }
        return [.invalid("status.collisionCount", Document(count ?? 0), "cannot be decremented")]
    }

    /// Names that become part of host names had better be labels of the DNS.
    static func nameWarnings(_ object: Document) -> [String] {
        let wrong = Formats.dnsLabel(object.text("metadata", "name") ?? "")
        if wrong.isEmpty { return [] }
        return [
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS "
                + "label is recommended: [\(wrong.joined(separator: " "))]"
        ]
    }
}
