import Document
import Schema

extension KindRules {
    static let statefulSet: KindRules = {
        var rules = workload
        rules.applyDefaults = { StatefulSets.complete(&$0) }
        rules.validateNew = { set in
            let service = set.text("spec", "serviceName") ?? ""
            if service.isEmpty { return [] }
            return Formats.dnsLabel(service).map { .invalid("spec.serviceName", Document(service), $0) }
        }
        rules.validateCreate = { StatefulSets.validate($0) }
        rules.validateUpdate = { StatefulSets.validateUpdate($0, old: $1) }
        rules.validateStatusUpdate = { new, old in
            Workloads.counts(
                new,
                [
                    ("readyReplicas", "replicas", "status.replicas"),
                    ("currentReplicas", "replicas", "status.replicas"),
                    ("updatedReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "replicas", "status.replicas"),
                    ("availableReplicas", "readyReplicas", "status.readyReplicas"),
                ]) + Workloads.collisions(new, old)
        }
        rules.warnings = { set, _ in
            guard let limit = set.number("spec", "revisionHistoryLimit"), limit < 0 else { return [] }
            return [
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is "
                    + "recommended"
            ]
        }
        rules.cells = { WorkloadColumns.statefulSet($0, now: $1) }
        return rules
    }()
}

enum StatefulSets {
    static func complete(_ set: inout Document) {
        PodTemplates.complete(&set, at: "spec", "template")
        var strategy = set.at("spec", "updateStrategy") ?? .emptyObject
        if (strategy.text("type") ?? "").isEmpty {
            strategy["type"] = "RollingUpdate"
            if strategy["rollingUpdate"] == nil { strategy["rollingUpdate"] = .emptyObject }
        }
        // Who names the strategy without its bounds gets none.
        if strategy.text("type") == "RollingUpdate", strategy["rollingUpdate"] != nil,
            strategy.at("rollingUpdate", "partition") == nil
        {
            strategy.set(0, at: "rollingUpdate", "partition")
        }
        set.set(strategy, at: "spec", "updateStrategy")
        let claims = set.list("spec", "volumeClaimTemplates")
        guard claims.contains(where: { $0.text("kind") != "PersistentVolumeClaim" || $0.text("apiVersion") != "v1" })
        else { return }
        let named = claims.map { claim in
            var claim = claim
            claim["apiVersion"] = "v1"
            claim["kind"] = "PersistentVolumeClaim"
            return claim
        }
        set.set(Document(named), at: "spec", "volumeClaimTemplates")
    }

    static func validate(_ set: Document) -> [FieldError] {
        let spec = set["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        switch spec.text("podManagementPolicy") ?? "" {
        case "OrderedReady", "Parallel": break
        default:
            errors.append(
                .invalid(
                    "spec.podManagementPolicy", spec["podManagementPolicy"], "must be 'OrderedReady' or 'Parallel'"))
        }
        errors += strategy(spec["updateStrategy"] ?? .emptyObject)
        for field in ["whenDeleted", "whenScaled"] {
            let policy = spec.at("persistentVolumeClaimRetentionPolicy", field)
            guard let text = policy?.string, !["Retain", "Delete"].contains(text) else { continue }
            errors.append(
                .notSupported("spec.persistentVolumeClaimRetentionPolicy.\(field)", policy, ["Retain", "Delete"]))
        }
        for path in [["replicas"], ["minReadySeconds"], ["ordinals", "start"]] {
            guard let number = spec.at(path: path)?.int, number < 0 else { continue }
            errors.append(
                .invalid(
                    "spec." + path.joined(separator: "."), Document(number), "must be greater than or equal to 0"))
        }
        return errors + template(spec)
    }

    private static func strategy(_ strategy: Document) -> [FieldError] {
        let path = "spec.updateStrategy"
        let update = strategy["rollingUpdate"]
        let shown = update.map { update -> Document in
            ["Partition": update["partition"] ?? 0, "MaxUnavailable": update["maxUnavailable"] ?? .null]
        }
        switch strategy.text("type") ?? "" {
        case "OnDelete":
            guard let shown else { return [] }
            return [.invalid(path + ".rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")]
        case "RollingUpdate":
            guard let update else { return [] }
            var errors: [FieldError] = []
            if let partition = update.number("partition"), partition < 0 {
                errors.append(
                    .invalid(
                        path + ".rollingUpdate.partition", Document(partition), "must be greater than or equal to 0"))
            }
            guard let unavailable = update["maxUnavailable"] else { return errors }
            let here = path + ".rollingUpdate.maxUnavailable"
            errors += IntOrString.check(unavailable, path: here)
            if Workloads.isZero(unavailable) { errors.append(.invalid(here, unavailable, "cannot be 0")) }
            return errors + Workloads.exceedsAll(unavailable, here)
        default:
            let whole: Document = ["Type": strategy["type"] ?? "", "RollingUpdate": shown ?? .null]
            return [.invalid(path, whole, "must be 'RollingUpdate' or 'OnDelete'")]
        }
    }

    private static func template(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let selector = spec["selector"]
        if let selector, selector.isObject {
            errors += MetadataRules.labelSelector(selector, "spec.selector")
            if selector.list("matchExpressions").isEmpty, selector["matchLabels"]?.count ?? 0 == 0 {
                errors.append(
                    .invalid("spec.selector", Shown.selector(selector), "empty selector is invalid for statefulset"))
            }
        } else {
            errors.append(.required("spec.selector"))
        }
        let template = spec["template"] ?? .emptyObject
        if let selector, selector.isObject, !errors.isEmpty, LabelSelector(selector) == nil {
            return errors + [.invalid("spec.selector", Shown.selector(selector), "")]
        }
        if Workloads.wrongMatch(selector, template), (selector.flatMap { LabelSelector($0) })?.isEmpty != true {
            errors.append(
                .invalid(
                    "spec.template.metadata.labels", Shown.map(template.at("metadata", "labels")),
                    "`selector` does not match template `labels`"))
        }
        errors += PodTemplates.validate(withClaims(template, spec), path: "spec.template")
        return errors + PodTemplates.forever(template, path: "spec.template", kind: "StatefulSet")
    }

    /// Every claim made from a template becomes a volume of the pod, under the template's name.
    private static func withClaims(_ template: Document, _ spec: Document) -> Document {
        let claims = spec.list("volumeClaimTemplates").compactMap { $0.text("metadata", "name") }
        guard !claims.isEmpty else { return template }
        let own = template.list("spec", "volumes").filter { !claims.contains($0.text("name") ?? "") }
        let made = claims.map { name -> Document in
            ["name": Document(name), "persistentVolumeClaim": ["claimName": Document(name)]]
        }
        var template = template
        template.set(Document(own + made), at: "spec", "volumes")
        return template
    }

    private static let mutable = [
        "replicas", "template", "updateStrategy", "minReadySeconds", "ordinals", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ]

    static func validateUpdate(_ new: Document, old: Document) -> [FieldError] {
        var (spec, before) = (new["spec"] ?? .emptyObject, old["spec"] ?? .emptyObject)
        for field in mutable {
            spec[field] = .none
            before[field] = .none
        }
        if Equality.semantic(spec, before) { return [] }
        return [
            .forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                    + "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                    + "'minReadySeconds' are forbidden")
        ]
    }
}
