import Basics
import Document
import Schema

extension KindRules {
    static let storageClass: KindRules = {
        var rules = KindRules()
        rules.validateNew = { StorageClassRules.validate($0) }
        rules.validateUpdate = { new, old in
            let fields = ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"]
            return fields.filter { !Equality.semantic(new[$0] ?? .null, old[$0] ?? .null) }.map {
                .invalid($0, new[$0] ?? .null, "field is immutable")
            }
        }
        rules.nameCell = { StorageClassRules.name($0, defaultNotes: StorageClassRules.defaultNotes) }
        rules.cells = { object, now in
            [
                object["provisioner"] ?? "", object["reclaimPolicy"] ?? "Delete",
                object["volumeBindingMode"] ?? "Immediate", object["allowVolumeExpansion"] ?? false,
                Cells.age(object, now: now),
            ]
        }
        return rules
    }()

    static let volumeAttributesClass: KindRules = {
        var rules = KindRules()
        rules.validateUpdate = { new, old in
            ["driverName", "parameters"].filter { !Equality.semantic(new[$0] ?? .null, old[$0] ?? .null) }.map {
                .forbidden($0, "updates to \($0) are forbidden.")
            }
        }
        rules.validateCreate = { object in
            let parameters = object["parameters"]
            var errors = StorageClassRules.provisioner(object.text("driverName") ?? "", "driverName")
            errors += StorageClassRules.parameters(parameters)
            if (parameters?.count ?? 0) == 0 {
                errors.append(.required("parameters", "must contain at least one key/value pair"))
            }
            return errors
        }
        rules.nameCell = {
            StorageClassRules.name($0, defaultNotes: ["volumeattributesclass.alpha.kubernetes.io/is-default-class"])
        }
        rules.cells = { [$0["driverName"] ?? "", Cells.age($0, now: $1)] }
        return rules
    }()

    static let csiStorageCapacity: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { capacity in
            var errors = MetadataRules.labelSelector(capacity["nodeTopology"], "nodeTopology")
            let name = capacity.text("storageClassName") ?? ""
            errors += Formats.dnsSubdomain(name).map { .invalid("storageClassName", Document(name), $0) }
            if let amount = capacity["capacity"], let value = ResourceValidation.quantity(amount), value < .zero {
                errors.append(.invalid("capacity", amount, "must be greater than or equal to 0"))
            }
            return errors
        }
        rules.validateUpdate = { new, old in
            ["nodeTopology", "storageClassName"].filter {
                !Equality.semantic(new[$0] ?? .null, old[$0] ?? .null)
            }.map { .invalid($0, new[$0] ?? .null, "field is immutable") }
        }
        return rules
    }()

    static let runtimeClass: KindRules = {
        var rules = KindRules()
        rules.validateNew = { StorageClassRules.runtime($0) }
        rules.validateUpdate = { new, old in
            new["handler"] == old["handler"] ? [] : [.invalid("handler", new["handler"], "field is immutable")]
        }
        rules.cells = { [$0["handler"] ?? "", Cells.age($0, now: $1)] }
        return rules
    }()
}

/// Classes: names for a way to do something, most of which cannot change.
enum StorageClassRules {
    static let defaultNotes = [
        "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class",
    ]
    private static let mostParameters = 512
    private static let parameterSize = 256 * 1024

    static func name(_ object: Document, defaultNotes: [String]) -> Document {
        let name = object.text("metadata", "name") ?? ""
        let isDefault = defaultNotes.contains { object.at("metadata", "annotations", $0)?.string == "true" }
        return Document(isDefault ? name + " (default)" : name)
    }

    static func provisioner(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        let lower = name.lowercased()
        return Formats.qualifiedName(lower).map { .invalid(path, Document(lower), $0) }
    }

    static func parameters(_ parameters: Document?) -> [FieldError] {
        let members = parameters?.members ?? []
        if members.count > mostParameters { return [.tooLong("parameters", limit: mostParameters)] }
        var errors: [FieldError] = members.filter { $0.key.isEmpty }.map { _ in
            .invalid("parameters", "", "field can not be empty.")
        }
        let size = members.reduce(0) { $0 + $1.key.utf8.count + ($1.value.string?.utf8.count ?? 0) }
        if size > parameterSize { errors.append(.tooLong("parameters", limit: parameterSize)) }
        return errors
    }

    static func validate(_ object: Document) -> [FieldError] {
        var errors = provisioner(object.text("provisioner") ?? "", "provisioner") + parameters(object["parameters"])
        for (field, values) in [
            ("reclaimPolicy", ["Delete", "Retain"]), ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            if let value = object[field], let text = value.string,
                !values.contains(text), !(field == "reclaimPolicy" && text.isEmpty)
            {
                errors.append(.notSupported(field, value, values))
            }
        }
        var seen: [[String: Set<String>]] = []
        for (index, term) in object.list("allowedTopologies").enumerated() {
            let path = "allowedTopologies[\(index)].matchLabelExpressions"
            let choice = topology(term, path, &errors)
            if seen.contains(choice) { errors.append(.duplicate(path, "")) }
            seen.append(choice)
        }
        return errors
    }

    /// Checks a choice of nodes by labels, and gives it in a form that can be compared.
    private static func topology(_ term: Document, _ path: String, _ errors: inout [FieldError]) -> [String: Set<
        String
    >] {
        var choice: [String: Set<String>] = [:]
        for (index, requirement) in term.list("matchLabelExpressions").enumerated() {
            let here = "\(path)[\(index)]"
            let key = requirement.text("key") ?? ""
            var values: Set<String> = []
            if requirement.list("values").isEmpty { errors.append(.required(here + ".values")) }
            for (place, value) in requirement.list("values").enumerated()
            where !values.insert(value.string ?? "").inserted {
                errors.append(.duplicate("\(here).values[\(place)]", value))
            }
            errors += Formats.qualifiedName(key).map { .invalid(here + ".key", Document(key), $0) }
            if choice[key] != nil { errors.append(.duplicate(here + ".key", Document(key))) }
            choice[key] = values
        }
        return choice
    }

    static func runtime(_ object: Document) -> [FieldError] {
        let handler = object.text("handler") ?? ""
        var errors: [FieldError] =
            handler.isEmpty
            ? [.required("handler")] : Formats.dnsLabel(handler).map { .invalid("handler", Document(handler), $0) }
        if let overhead = object.at("overhead", "podFixed") {
            errors += ResourceValidation.check(["limits": overhead], "overhead.podFixed")
        }
        guard let scheduling = object["scheduling"] else { return errors }
        errors += MetadataRules.labels(scheduling["nodeSelector"], "scheduling.nodeSelector")
        let tolerations = scheduling.list("tolerations")
        for (index, toleration) in tolerations.enumerated() {
            errors += PodPlacement.toleration(toleration, "scheduling.tolerations[\(index)]")
        }
        for (index, toleration) in tolerations.enumerated()
        where tolerations[..<index].contains(where: toleration.means) {
            errors.append(.duplicate("scheduling.tolerations[\(index)]", toleration))
        }
        return errors
    }
}
