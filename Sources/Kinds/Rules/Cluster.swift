import Basics
import Document
import Schema

extension KindRules {
    static let namespace: KindRules = {
        var rules = KindRules()
        rules.nameSyntax = .dnsLabel
        rules.applyDefaults = { namespace in
            if let name = namespace.text("metadata", "name"), !name.isEmpty {
                namespace.set(Document(name), at: "metadata", "labels", "kubernetes.io/metadata.name")
            }
        }
        rules.prepareForCreate = { namespace, _ in
            namespace["status"] = ["phase": "Active"]
            let finalizers = namespace.list("spec", "finalizers")
            if !finalizers.contains("kubernetes") {
                namespace.set(Document(finalizers + ["kubernetes"]), at: "spec", "finalizers")
            }
        }
        rules.prepareForUpdate = { namespace, old, _ in
            // Finalizers of the spec leave through their own subresource.
            namespace["spec"] = old["spec"]
            namespace["status"] = old["status"]
        }
        rules.validateCreate = { namespace in
            var errors: [FieldError] = []
            for finalizer in namespace.list("spec", "finalizers") {
                let name = finalizer.string ?? ""
                if Formats.qualifiedName(name).isEmpty, !name.contains("/"), name != "kubernetes" {
                    errors.append(
                        .invalid(
                            "spec.finalizers", finalizer,
                            "name is neither a standard finalizer name nor is it fully qualified"))
                }
            }
            return errors
        }
        rules.selectableFields = { [("status.phase", $0.text("status", "phase") ?? "")] }
        rules.cells = { [$0.at("status", "phase") ?? "", Cells.age($0, now: $1)] }
        return rules
    }()

    static let node: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { node in
            if node.at("status", "allocatable") == nil, let capacity = node.at("status", "capacity") {
                node.set(capacity, at: "status", "allocatable")
            }
        }
        rules.prepareForUpdate = { node, old, _ in node["status"] = old["status"] }
        rules.validateCreate = { NodeRules.validate($0) }
        rules.validateUpdate = { NodeRules.validateUpdate($0, old: $1) }
        rules.validateStatusUpdate = { new, _ in NodeRules.addresses(new) }
        rules.selectableFields = { node in
            [("spec.unschedulable", node.flag("spec", "unschedulable") == true ? "true" : "false")]
        }
        rules.cells = { NodeColumns.cells($0, now: $1) }
        return rules
    }()

    static let priorityClass: KindRules = {
        var rules = KindRules()
        // It has a generation, but nothing that can change counts.
        rules.prepareForCreate = { priority, _ in priority.set(1, at: "metadata", "generation") }
        rules.validateNew = { PriorityClassRules.systemNames($0) }
        rules.validateUpdate = { PriorityClassRules.unchanged($0, old: $1) }
        rules.cells = { priority, now in
            [
                priority["value"] ?? 0, priority["globalDefault"] ?? false, Cells.age(priority, now: now),
                priority["preemptionPolicy"] ?? "",
            ]
        }
        return rules
    }()
}

enum NodeRules {
    static func addresses(_ node: Document) -> [FieldError] {
        var seen: Set<[String]> = []
        var errors: [FieldError] = []
        for (index, address) in node.list("status", "addresses").enumerated() {
            let (type, value) = (address.text("type") ?? "", address.text("address") ?? "")
            if seen.insert([type, value]).inserted { continue }
            errors.append(
                .duplicate("status.addresses[\(index)]", ["Type": Document(type), "Address": Document(value)]))
        }
        return errors
    }

    static func validate(_ node: Document) -> [FieldError] {
        var errors: [FieldError] = []
        var taints: Set<String> = []
        for (index, taint) in node.list("spec", "taints").enumerated() {
            let here = "metadata.taints[\(index)]"
            let (key, effect) = (taint.text("key") ?? "", taint.text("effect") ?? "")
            errors += Formats.qualifiedName(key).map { .invalid(here + ".key", Document(key), $0) }
            errors += Formats.labelValue(taint.text("value") ?? "").map {
                .invalid(here + ".value", taint["value"], $0)
            }
            errors += PodPlacement.taintEffect(effect, here + ".effect")
            if !taints.insert(key + ":" + effect).inserted {
                let shown: Document = [
                    "Key": Document(key), "Value": taint["value"] ?? "", "Effect": Document(effect),
                    "TimeAdded": taint["timeAdded"] ?? .null,
                ]
                var error = FieldError.duplicate(here, shown)
                error.detail = "taints must be unique by key and effect pair"
                errors.append(error)
            }
        }
        let ranges = node.list("spec", "podCIDRs").compactMap(\.string)
        for (index, range) in ranges.enumerated() where CIDR(range) == nil {
            errors.append(
                .invalid(
                    "spec.podCIDRs[\(index)]", Document(range),
                    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
        }
        if ranges.count > 1, Set(ranges.map { $0.contains(":") }).count < ranges.count {
            errors.append(
                .invalid(
                    "spec.podCIDRs", node.at("spec", "podCIDRs"),
                    "may specify no more than one CIDR for each IP family"))
        }
        return errors
    }

    static func validateUpdate(_ new: Document, old: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if let before = old.at("spec", "podCIDRs"), before.count > 0, new.at("spec", "podCIDRs") != before {
            errors.append(
                .forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid"))
        }
        if let before = old.text("spec", "providerID"), !before.isEmpty, new.text("spec", "providerID") != before {
            errors.append(
                .forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid"))
        }
        return errors
    }
}
