import Document
import Schema

extension KindRules {
    static let job: KindRules = {
        var rules = workload
        rules.applyDefaults = { Jobs.complete(&$0) }
        rules.prepareForCreate = { job, _ in
            job["status"] = .emptyObject
            if job.flag("spec", "manualSelector") != true { Jobs.generateSelector(&job) }
        }
        rules.validateNew = { Jobs.hostName($0) }
        rules.validateCreate = { Jobs.generatedSelector($0) + Jobs.spec($0["spec"] ?? .emptyObject) }
        rules.validateUpdate = { Jobs.validateUpdate($0, old: $1) }
        rules.validateStatusUpdate = { JobStatus(new: $0, old: $1).errors }
        rules.warnings = { new, old in old == nil ? Workloads.nameWarnings(new) : [] }
        rules.selectableFields = { job in [("status.successful", String(job.number("status", "succeeded") ?? 0))] }
        rules.unknownField = { "field label \(Document($0).jsonText) not supported for Job" }
        rules.cells = { WorkloadColumns.job($0, now: $1) }
        return rules
    }()
}

enum Jobs {
    static let identityLabels = ["batch.kubernetes.io/controller-uid", "controller-uid"]
    static let nameLabels = ["batch.kubernetes.io/job-name", "job-name"]

    /// A job's defaults. A cron job's template gets none of them: its jobs will.
    static func complete(_ job: inout Document) {
        PodTemplates.complete(&job, at: "spec", "template")
        var spec = job["spec"] ?? .emptyObject
        if spec["completions"] == nil, spec["parallelism"] == nil { spec["completions"] = 1 }
        let policy = spec["podFailurePolicy"]
        let defaults: [(String, Document)] = [
            ("parallelism", 1), ("completionMode", "NonIndexed"), ("suspend", false), ("manualSelector", false),
            ("backoffLimit", spec["backoffLimitPerIndex"] == nil ? 6 : Document(Int(Int32.max))),
            ("podReplacementPolicy", policy == nil ? "TerminatingOrFailed" : "Failed"),
        ]
        for (field, value) in defaults where spec[field] == nil { spec[field] = value }
        if let policy { spec["podFailurePolicy"] = completed(policy) }
        job["spec"] = spec
        // Labels come from the template, once the template has those that are made for the job.
        if job.text("metadata", "uid") != nil, job.at("metadata", "labels")?.count ?? 0 == 0,
            let labels = spec.at("template", "metadata", "labels"), labels.count > 0
        {
            job.set(labels, at: "metadata", "labels")
        }
    }

    private static func completed(_ policy: Document) -> Document {
        let rules = policy.list("rules").map { rule -> Document in
            guard rule["onPodConditions"]?.isArray == true else { return rule }
            var rule = rule
            rule["onPodConditions"] = Document(
                rule.list("onPodConditions").map { pattern in
                    var pattern = pattern
                    if (pattern.text("status") ?? "").isEmpty { pattern["status"] = "True" }
                    return pattern
                })
            return rule
        }
        var policy = policy
        if !rules.isEmpty { policy["rules"] = Document(rules) }
        return policy
    }

    /// Marks the pods by the job's identity, and selects by that.
    static func generateSelector(_ job: inout Document) {
        let uid = job.at("metadata", "uid") ?? ""
        let path = ["spec", "template", "metadata", "labels"]
        for (keys, value) in [(identityLabels, uid), (nameLabels, job.at("metadata", "name") ?? "")] {
            // What the author wrote stays, and is judged by validation.
            if job.at(path: path + [keys[1]]) != nil { continue }
            for key in keys { job.set(value, path: (path + [key])[...]) }
        }
        let selected = ["spec", "selector", "matchLabels", identityLabels[0]]
        if job.at(path: selected) == nil { job.set(uid, path: selected[...]) }
    }

    static func generatedSelector(_ job: Document) -> [FieldError] {
        guard job.flag("spec", "manualSelector") != true, let selector = job.at("spec", "selector"), selector.isObject
        else { return [] }
        let uid = job.text("metadata", "uid") ?? ""
        let name = job.text("metadata", "name") ?? ""
        var errors: [FieldError] = []
        if uid.isEmpty { errors.append(.required("metadata.uid")) }
        let labels = job.map("spec", "template", "metadata", "labels")
        let path = "spec.template.metadata.labels"
        for (key, wanted) in [
            (identityLabels[1], uid), (nameLabels[1], name), (identityLabels[0], uid), (nameLabels[0], name),
        ] {
            guard let value = labels[key] else {
                errors.append(.required("\(path)[\(key)]", "must be '\(wanted)'"))
                continue
            }
            if value != wanted {
                errors.append(
                    .invalid(
                        "\(path)[\(key)]", Shown.map(job.at("spec", "template", "metadata", "labels")),
                        "must be '\(wanted)'"))
            }
        }
        let expected = Dictionary(
            uniqueKeysWithValues: identityLabels.map { ($0, uid) } + nameLabels.map { ($0, name) })
        if let parsed = LabelSelector(selector), !parsed.matches(expected) {
            errors.append(.invalid("spec.selector", Shown.selector(selector), "`selector` not auto-generated"))
        }
        return errors
    }

    /// The spec of a job, with its selector.
    static func spec(_ spec: Document) -> [FieldError] {
        var errors = JobSpec(spec, path: "spec").errors
        if let selector = spec["selector"], selector.isObject {
            errors += MetadataRules.labelSelector(selector, "spec.selector")
        } else {
            errors.append(.required("spec.selector"))
        }
        let labels = spec.map("template", "metadata", "labels")
        let parsed = spec["selector"].flatMap { $0.isObject ? LabelSelector($0) : .none }
        let isWrong = spec["selector"]?.isObject == true && parsed == nil
        if !isWrong, parsed?.matches(labels) != true {
            errors.append(
                .invalid(
                    "spec.template.metadata.labels", Shown.map(spec.at("template", "metadata", "labels")),
                    "`selector` does not match template `labels`"))
        }
        return errors
    }

    /// The pods of an indexed job have the index in their host names.
    static func hostName(_ job: Document) -> [FieldError] {
        guard job.text("spec", "completionMode") == "Indexed", let count = job.number("spec", "completions"), count > 0
        else { return [] }
        let name = job.text("metadata", "name") ?? ""
        let longest = "\(name)-\(count - 1)"
        if Formats.dnsLabel(longest).isEmpty { return [] }
        return [
            .invalid(
                "metadata.name", Document(name), "will not able to create pod with invalid DNS label: \(longest)")
        ]
    }

    // MARK: Change

    static func validateUpdate(_ new: Document, old: Document) -> [FieldError] {
        let (spec, before) = (new["spec"] ?? .emptyObject, old["spec"] ?? .emptyObject)
        // Upstream looks at a changed spec twice, and says twice what is wrong with it.
        var errors = Jobs.spec(spec) + completions(spec, before)
        errors += immutable("selector", spec, before)
        errors += template(new, old: old)
        for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
            errors += immutable(field, spec, before)
        }
        return errors
    }

    private static func immutable(_ field: String, _ spec: Document, _ before: Document) -> [FieldError] {
        let (new, old) = (spec[field] ?? .null, before[field] ?? .null)
        if Equality.semantic(new, old) { return [] }
        let shown = field == "selector" ? Shown.selector(new) : new
        return [.invalid("spec." + field, shown, "field is immutable")]
    }

    /// Indexed jobs grow and shrink with their parallelism.
    private static func completions(_ spec: Document, _ before: Document) -> [FieldError] {
        guard spec.text("completionMode") == "Indexed" else { return immutable("completions", spec, before) }
        guard let count = spec.number("completions"), count != before.number("completions"),
            count != spec.number("parallelism")
        else { return [] }
        return [.invalid("spec.completions", Document(count), "can only be modified in tandem with spec.parallelism")]
    }

    /// The template is fixed once the job runs. While it is suspended, where its pods go and what they use may change.
    private static func template(_ new: Document, old: Document) -> [FieldError] {
        var (template, before) = (
            new.at("spec", "template") ?? .emptyObject, old.at("spec", "template") ?? .emptyObject
        )
        if old.flag("spec", "suspend") == true, old.number("status", "active") ?? 0 == 0 {
            for part in [["metadata", "labels"], ["metadata", "annotations"], ["spec", "affinity", "nodeAffinity"]]
                + ["nodeSelector", "tolerations", "schedulingGates"].map({ ["spec", $0] })
            {
                if template.at(path: part) != nil { template.set(nil, path: part[...]) }
                if before.at(path: part) != nil { before.set(nil, path: part[...]) }
            }
            for field in ["containers", "initContainers"] {
                template = withoutResources(template, field)
                before = withoutResources(before, field)
            }
        }
        let (pod, podBefore) = (template["spec"] ?? .null, before["spec"] ?? .null)
        if !Equality.semantic(template["metadata"] ?? .null, before["metadata"] ?? .null) {
            return [.invalid("spec.template", new.at("spec", "template"), "field is immutable")]
        }
        if Equality.semantic(pod, podBefore) { return [] }
        return [
            .invalid(
                "spec.template.spec", InternalForm.podSpec(new.at("spec", "template", "spec")), "field is immutable")
        ]
    }

    private static func withoutResources(_ template: Document, _ field: String) -> Document {
        guard template.at("spec", field)?.isArray == true else { return template }
        let bare = template.list("spec", field).map { container in
            var container = container
            container["resources"] = .none
            return container
        }
        var template = template
        template.set(Document(bare), at: "spec", field)
        return template
    }
}
