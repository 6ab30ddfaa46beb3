import Document
import Schema

extension KindRules {
    static let daemonSet: KindRules = {
        var rules = workload
        rules.applyDefaults = { set in
            PodTemplates.complete(&set, at: "spec", "template")
            guard set.text("spec", "updateStrategy", "type") == "RollingUpdate" else { return }
            for (field, value) in [("maxUnavailable", 1), ("maxSurge", 0)]
            where set.at("spec", "updateStrategy", "rollingUpdate", field) == nil {
                set.set(Document(value), at: "spec", "updateStrategy", "rollingUpdate", field)
            }
        }
        rules.prepareForCreate = { set, _ in
            set["status"] = .emptyObject
            DaemonSetGeneration.set(&set, max(DaemonSetGeneration.of(set), 1))
        }
        rules.prepareForUpdate = { set, old, _ in
            set["status"] = old["status"]
            let changed = !Equality.semantic(
                set.at("spec", "template") ?? .null, old.at("spec", "template") ?? .null)
            DaemonSetGeneration.set(&set, DaemonSetGeneration.of(old) + (changed ? 1 : 0))
        }
        rules.prepareForStatusUpdate = { set, old, _ in DaemonSetGeneration.set(&set, DaemonSetGeneration.of(old)) }
        rules.validateCreate = { DaemonSets.validate($0) }
        rules.checksUpdatesTwice = true
        rules.validateStatusUpdate = { Workloads.collisions($0, $1) }
        rules.cells = { WorkloadColumns.daemonSet($0, now: $1) }
        return rules
    }()

    static let controllerRevision: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { revision in
            (revision["data"] ?? .null).isNull ? [.required("data", "data is mandatory")] : []
        }
        rules.cells = { revision, now in
            [
                WorkloadColumns.controller(of: revision), revision["revision"] ?? 0, Cells.age(revision, now: now),
            ]
        }
        return rules
    }()
}

/// Counts the changes of a daemon set's template: a field of the spec within an API server, and an annotation for
/// everybody else.
public enum DaemonSetGeneration {
    private static let key = "deprecated.daemonset.template.generation"

    static func of(_ set: Document) -> Int {
        set.text("metadata", "annotations", key).flatMap { Int($0) } ?? 0
    }

    static func set(_ set: inout Document, _ generation: Int) {
        set.set(Document(String(generation)), at: "metadata", "annotations", key)
    }

    /// With the annotation, as a set that has none of its own starts with it.
    public static func counted(_ set: Document) -> Document {
        guard set.at("metadata", "annotations", key) == nil else { return set }
        var result = set
        Self.set(&result, 0)
        return result
    }

    public static func removed(from set: Document) -> Document {
        guard let annotations = set.at("metadata", "annotations"), annotations[key] != nil else { return set }
        var result = set
        if annotations.count == 1 {
            result.set(nil, at: "metadata", "annotations")
        } else {
            result.set(nil, at: "metadata", "annotations", key)
        }
        return result
    }
}

enum DaemonSets {
    static func validate(_ set: Document) -> [FieldError] {
        let spec = set["spec"] ?? .emptyObject
        let template = spec["template"] ?? .emptyObject
        let selector = spec["selector"]
        var errors = MetadataRules.labelSelector(selector, "spec.selector")
        if errors.isEmpty, !matches(selector, template) {
            errors.append(
                .invalid(
                    "spec.template.metadata.labels", Shown.map(template.at("metadata", "labels")),
                    "`selector` does not match template `labels`"))
        }
        if let selector, selector.isObject, selector.list("matchExpressions").isEmpty,
            selector["matchLabels"]?.count ?? 0 == 0
        {
            errors.append(
                .invalid("spec.selector", Shown.selector(selector), "empty selector is invalid for daemonset"))
        }
        errors += PodTemplates.validate(template, path: "spec.template")
        errors += PodTemplates.forever(template, path: "spec.template", kind: "DaemonSet")
        return errors + strategy(spec["updateStrategy"] ?? .emptyObject)
    }

    /// No selector selects nothing, an empty one everything.
    private static func matches(_ selector: Document?, _ template: Document) -> Bool {
        guard let selector, selector.isObject, let parsed = LabelSelector(selector) else { return false }
        return parsed.matches(template.map("metadata", "labels"))
    }

    private static func strategy(_ strategy: Document) -> [FieldError] {
        let path = "spec.updateStrategy"
        switch strategy.text("type") ?? "" {
        case "OnDelete": return []
        case "RollingUpdate": return rollingUpdate(strategy["rollingUpdate"] ?? .emptyObject, path + ".rollingUpdate")
        default:
            let update = strategy["rollingUpdate"].map { update -> Document in
                ["MaxUnavailable": update["maxUnavailable"] ?? 0, "MaxSurge": update["maxSurge"] ?? 0]
            }
            let shown: Document = ["Type": strategy["type"] ?? "", "RollingUpdate": update ?? .null]
            return [.notSupported(path, shown, ["RollingUpdate", "OnDelete"])]
        }
    }

    private static func rollingUpdate(_ update: Document, _ path: String) -> [FieldError] {
        let (unavailable, surge) = (update["maxUnavailable"] ?? 0, update["maxSurge"] ?? 0)
        var errors = IntOrString.check(unavailable, path: path + ".maxUnavailable")
        errors += IntOrString.check(surge, path: path + ".maxSurge")
        errors += Workloads.exceedsAll(unavailable, path + ".maxUnavailable")
        errors += Workloads.exceedsAll(surge, path + ".maxSurge")
        switch (isNone(unavailable), isNone(surge)) {
        case (false, false):
            errors.append(.invalid(path + ".maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
        case (true, true): errors.append(.required(path + ".maxUnavailable", "cannot be 0 when maxSurge is 0"))
        default: break
        }
        return errors
    }

    /// What is neither a number nor a share counts as none, besides being wrong.
    private static func isNone(_ value: Document) -> Bool {
        if let number = value.int { return number == 0 }
        guard let text = value.string else { return true }
        return (Int(text.hasSuffix("%") ? text.dropLast() : text[...]) ?? 0) == 0
    }
}
