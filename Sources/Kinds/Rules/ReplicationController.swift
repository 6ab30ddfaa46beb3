import Document
import Schema

extension KindRules {
    static let replicationController: KindRules = {
        var rules = workload
        rules.nameSyntax = .dnsSubdomainWhole
        rules.applyDefaults = { controller in
            PodTemplates.complete(&controller, at: "spec", "template")
            guard let labels = controller.at("spec", "template", "metadata", "labels"), labels.count > 0 else { return }
            for path in [["spec", "selector"], ["metadata", "labels"]]
            where controller.at(path: path)?.count ?? 0 == 0 { controller.set(labels, path: path[...]) }
        }
        rules.validateCreate = { ReplicationControllers.validate($0) }
        rules.checksUpdatesTwice = true
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
        rules.warnings = { new, old in old == nil ? Workloads.nameWarnings(new) : [] }
        rules.selectableFields = { controller in
            [("status.replicas", String(controller.number("status", "replicas") ?? 0))]
        }
        rules.cells = { WorkloadColumns.replicationController($0, now: $1) }
        return rules
    }()
}

enum ReplicationControllers {
    static func validate(_ controller: Document) -> [FieldError] {
        // That there is a template at all, the schema demands.
        guard let template = controller.at("spec", "template"), template.isObject else { return [] }
        var errors: [FieldError] = []
        let selector = LabelSelector(labels: controller.map("spec", "selector"))
        if !selector.isEmpty, !selector.matches(template.map("metadata", "labels")) {
            errors.append(
                .invalid(
                    "spec.template.metadata.labels", Shown.map(template.at("metadata", "labels")),
                    "`selector` does not match template `labels`"))
        }
        errors += PodTemplates.validate(template, path: "spec.template")
        return errors + PodTemplates.forever(template, path: "spec.template", kind: "ReplicationController")
    }
}
