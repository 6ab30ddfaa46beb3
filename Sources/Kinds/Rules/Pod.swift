import Document
import Schema

extension KindRules {
    static let pod: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { PodDefaults.complete(pod: &$0) }
        rules.warnings = { PodWarnings.pod($0, old: $1) }
        rules.prepareForCreate = { pod, context in
            AppArmorAnnotations.adopt(&pod, context.warn)
            pod["status"] = ["phase": "Pending", "qosClass": Document(QualityOfService.of(pod))]
            if !pod.list("spec", "schedulingGates").isEmpty {
                pod.set(
                    [
                        [
                            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                            "message": "Scheduling is blocked due to non-empty scheduling gates",
                            "lastProbeTime": nil, "lastTransitionTime": Document(context.now.description),
                        ]
                    ], at: "status", "conditions")
            }
        }
        rules.prepareForUpdate = { pod, old, _ in
            pod["status"] = old["status"]
            if pod.text("status", "qosClass") == nil {
                pod.set(Document(QualityOfService.of(pod)), at: "status", "qosClass")
            }
        }
        rules.prepareForStatusUpdate = { pod, old, _ in
            // The class was settled when the pod was created.
            if let quality = old.at("status", "qosClass") { pod.set(quality, at: "status", "qosClass") }
        }
        rules.validateNew = { pod in
            pod.list("spec", "ephemeralContainers").isEmpty
                ? [] : [.forbidden("spec.ephemeralContainers", "cannot be set on create")]
        }
        rules.validateCreate = { pod in
            AppArmorAnnotations.validate(pod)
                + PodValidation.spec(pod["spec"] ?? .emptyObject, path: "spec", isTemplate: false)
        }
        rules.validateUpdate = { PodUpdate.validate($0, old: $1) }
        rules.selectableFields = { pod in
            [
                ("spec.nodeName", pod.text("spec", "nodeName") ?? ""),
                ("spec.restartPolicy", pod.text("spec", "restartPolicy") ?? ""),
                ("spec.schedulerName", pod.text("spec", "schedulerName") ?? ""),
                ("spec.serviceAccountName", pod.text("spec", "serviceAccountName") ?? ""),
                ("spec.hostNetwork", pod.flag("spec", "hostNetwork") == true ? "true" : "false"),
                ("status.phase", pod.text("status", "phase") ?? ""),
                ("status.podIP", pod.text("status", "podIP") ?? ""),
                ("status.nominatedNodeName", pod.text("status", "nominatedNodeName") ?? ""),
            ]
        }
        rules.cells = { PodColumns.cells($0, now: $1) }
        return rules
    }()

    static let podTemplate: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { PodTemplates.complete(&$0, at: "template") }
        rules.validateCreate = { PodTemplates.validate($0["template"] ?? .emptyObject, path: "template") }
        rules.warnings = { template, _ in
            PodWarnings.template(template["template"] ?? .emptyObject, path: "template")
        }
        rules.cells = { template, _ in
            Cells.containers(template["template"]) + [Cells.labels(template.map("template", "metadata", "labels"))]
        }
        return rules
    }()
}

/// Templates of pods inside other kinds.
enum PodTemplates {
    static func complete(_ object: inout Document, at path: String...) {
        guard var spec = object.at(path: path + ["spec"]), spec.isObject else { return }
        PodDefaults.complete(spec: &spec)
        object.set(spec, path: (path + ["spec"])[...])
    }

    static func validate(_ template: Document, path: String) -> [FieldError] {
        MetadataRules.labels(template.at("metadata", "labels"), path + ".labels")
            + MetadataRules.annotations(template.at("metadata", "annotations"), path + ".annotations")
            + PodValidation.spec(template["spec"] ?? .emptyObject, path: path + ".spec", isTemplate: true)
    }
}

extension PodTemplates {
    /// What holds for pods that are to run until they are deleted.
    static func forever(_ template: Document, path: String, kind: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let policy = template.text("spec", "restartPolicy"), policy != "Always" {
            errors.append(.notSupported(path + ".spec.restartPolicy", Document(policy), ["Always"]))
        }
        if template.at("spec", "activeDeadlineSeconds") != nil {
            errors.append(
                .forbidden(path + ".spec.activeDeadlineSeconds", "activeDeadlineSeconds in \(kind) is not Supported"))
        }
        return errors
    }
}

/// What may change in a pod.
enum PodUpdate {
    private static let message =
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        + "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        + "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

    static func validate(_ new: Document, old: Document) -> [FieldError] {
        let (spec, before) = (new["spec"] ?? .emptyObject, old["spec"] ?? .emptyObject)
        var errors: [FieldError] = []
        for field in ["containers", "initContainers"] where spec.list(field).count != before.list(field).count {
            return [.forbidden("spec." + field, "pod updates may not add or remove containers")]
        }
        for (index, container) in spec.list("containers").enumerated() where (container.text("image") ?? "").isEmpty {
            errors.append(.required("spec.containers[\(index)].image"))
        }
        if !errors.isEmpty { return errors }
        errors += deadline(spec["activeDeadlineSeconds"], before["activeDeadlineSeconds"])
        errors += tolerations(spec.list("tolerations"), before.list("tolerations"))
        let gates = gates(spec.list("schedulingGates"), before.list("schedulingGates"))
        errors += gates
        // Everything else must be as it was: take over what may change, and compare.
        var comparable = spec
        for field in ["containers", "initContainers"] where spec[field] != nil {
            comparable[field] = Document(
                zip(spec.list(field), before.list(field)).map { new, old in
                    var new = new
                    new["image"] = old["image"]
                    return new
                })
        }
        for field in ["activeDeadlineSeconds", "tolerations"] { comparable[field] = before[field] }
        if gates.isEmpty { comparable["schedulingGates"] = before["schedulingGates"] }
        if let grace = before.number("terminationGracePeriodSeconds"), grace < 0,
            spec.number("terminationGracePeriodSeconds") == 1
        {
            comparable["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
        }
        if !before.list("schedulingGates").isEmpty {
            // A gated pod's placement may still be narrowed.
            errors += selector(spec["nodeSelector"], before["nodeSelector"])
            comparable["nodeSelector"] = before["nodeSelector"]
            comparable["affinity"] = before["affinity"]
        }
        if !Equality.semantic(comparable, before), errors.isEmpty {
            let difference = InternalForm.podDifference(before, comparable)
            errors.append(.forbidden("spec", message + "\n" + difference))
        }
        return errors
    }

    private static func deadline(_ new: Document?, _ old: Document?) -> [FieldError] {
        guard let old = old?.int else { return [] }
        guard let value = new?.int else {
            return [
                .invalid("spec.activeDeadlineSeconds", nil, "must not update from a positive integer to nil value")
            ]
        }
        return value > old
            ? [.invalid("spec.activeDeadlineSeconds", new, "must be less than or equal to previous value")] : []
    }

    private static func tolerations(_ new: [Document], _ old: [Document]) -> [FieldError] {
        for toleration in old {
            var bare = toleration
            bare["tolerationSeconds"] = nil
            let kept = new.contains { candidate in
                var candidate = candidate
                if candidate.text("effect") == "NoExecute" || toleration.text("effect") == "NoExecute" {
                    candidate["tolerationSeconds"] = nil
                    return Equality.semantic(candidate, bare)
                }
                return Equality.semantic(candidate, toleration)
            }
            if !kept {
                return [
                    .forbidden(
                        "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
                ]
            }
        }
        return []
    }

    private static func gates(_ new: [Document], _ old: [Document]) -> [FieldError] {
        let known = Set(old.compactMap { $0.text("name") })
        return new.enumerated().compactMap { index, gate in
            guard let name = gate.text("name"), !known.contains(name) else { return nil }
            return .forbidden(
                "spec.schedulingGates[\(index)].name",
                "only deletion is allowed, but found new scheduling gate '\(name)'")
        }
    }

    private static func selector(_ new: Document?, _ old: Document?) -> [FieldError] {
        for member in old?.members ?? [] where new?[member.key] != member.value {
            return [
                .invalid(
                    "spec.nodeSelector", new,
                    "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
            ]
        }
        return []
    }
}

/// Comparing documents as Kubernetes does: the order of members is nothing, and absent is the same as empty.
enum Equality {
    static func semantic(_ a: Document, _ b: Document) -> Bool {
        if a.isObject || b.isObject {
            guard a.isObject || a.isNull, b.isObject || b.isNull else { return false }
            for member in a.members where !semantic(member.value, b[member.key] ?? .null) { return false }
            for member in b.members where a[member.key] == nil && !semantic(.null, member.value) { return false }
            return true
        }
        if a.isArray || b.isArray {
            guard a.isArray || a.isNull, b.isArray || b.isNull, a.count == b.count else { return false }
            return zip(a.elements, b.elements).allSatisfy(semantic)
        }
        return a == b
    }
}
