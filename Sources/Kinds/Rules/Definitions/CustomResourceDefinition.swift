import Document
import Schema

extension KindRules {
    static let customResourceDefinition: KindRules = {
        var rules = KindRules()
        rules.plainFinalizers = true
        rules.applyDefaults = { DefinitionRules.applyDefaults(&$0) }
        rules.prepareForCreate = { definition, _ in
            definition["status"] = nil
            DefinitionRules.noteStorageVersion(&definition)
        }
        rules.prepareForUpdate = { definition, _, _ in DefinitionRules.noteStorageVersion(&definition) }
        rules.prepareForStatusUpdate = { new, old, _ in CustomResourceRules.keepMetadata(&new, of: old) }
        rules.validateNew = { DefinitionRules.validate($0, old: nil) }
        rules.validateUpdate = { new, old in DefinitionRules.validate(new, old: old) }
        rules.validateStatusUpdate = { new, _ in
            DefinitionNames.errors(new.at("status", "acceptedNames") ?? .emptyObject, "status.acceptedNames")
        }
        rules.cells = { definition, _ in [definition.at("metadata", "creationTimestamp") ?? .null] }
        return rules
    }()
}

/// What holds for CustomResourceDefinitions.
public enum DefinitionRules {
    static func applyDefaults(_ definition: inout Document) {
        let kind = definition.text("spec", "names", "kind") ?? ""
        func fill(_ field: String, _ value: String) {
            if (definition.text("spec", "names", field) ?? "").isEmpty, !value.isEmpty {
                definition.set(Document(value), at: "spec", "names", field)
            }
        }
        fill("singular", kind.lowercased())
        if !kind.isEmpty { fill("listKind", kind + "List") }
        if definition.at("spec", "conversion")?.isObject != true {
            definition.set(["strategy": "None"], at: "spec", "conversion")
        }
    }

    /// The version that objects are stored in from now on has to be remembered until none is left in it.
    static func noteStorageVersion(_ definition: inout Document) {
        var stored = definition.list("status", "storedVersions").compactMap(\.string)
        let storage = definition.list("spec", "versions").first { $0.flag("storage") == true }
        if let name = storage?.text("name"), !stored.contains(name) { stored.append(name) }
        if !stored.isEmpty { definition.set(Document(stored), at: "status", "storedVersions") }
    }

    public static func isTrue(_ condition: String, _ definition: Document) -> Bool {
        definition.list("status", "conditions").contains {
            $0.text("type") == condition && $0.text("status") == "True"
        }
    }

    static func validate(_ definition: Document, old: Document?) -> [FieldError] {
        let spec = DefinitionSpec(definition)
        var errors: [FieldError] = []
        let name = definition.text("metadata", "name") ?? ""
        if old == nil, name != spec.names.text("plural").map({ "\($0).\(spec.group)" }) {
            errors.append(
                .invalid("metadata.name", Document(name), "must be spec.names.plural+\".\"+spec.group"))
        }
        errors += DefinitionSpecRules(spec: spec, old: old.map(DefinitionSpec.init)).errors
        if let old { errors += immutable(definition, old) }
        errors += DefinitionNames.errors(
            definition.at("status", "acceptedNames") ?? .emptyObject, "status.acceptedNames")
        errors += storedVersions(definition, spec)
        errors += DefinitionApproval.errors(definition, old: old)
        if definition.flag("spec", "preserveUnknownFields") == true {
            errors.append(
                .invalid(
                    "spec.preserveUnknownFields", true,
                    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
                ))
        }
        return errors
    }

    private static func immutable(_ new: Document, _ old: Document) -> [FieldError] {
        var paths = [["spec", "group"], ["spec", "names", "plural"]]
        if isTrue("Established", old) { paths = [["spec", "scope"], ["spec", "names", "kind"]] + paths }
        return paths.compactMap { path in
            let (now, before) = (new.at(path: path), old.at(path: path))
            guard (now ?? .null) != (before ?? .null) else { return nil }
            return .invalid(path.joined(separator: "."), now, "field is immutable")
        }
    }

    private static func storedVersions(_ definition: Document, _ spec: DefinitionSpec) -> [FieldError] {
        let path = "status.storedVersions"
        let stored = definition.list("status", "storedVersions").compactMap(\.string)
        if stored.isEmpty { return [.invalid(path, .null, "must have at least one stored version")] }
        var errors: [FieldError] = []
        for version in spec.versions where version.storage && !stored.contains(version.name) {
            errors.append(.invalid(path, Document(stored), "must have the storage version \(version.name)"))
        }
        for (index, name) in stored.enumerated() where !spec.versions.contains(where: { $0.name == name }) {
            errors.append(
                .invalid(
                    "\(path)[\(index)]", Document(name),
                    "missing from spec.versions; \(name) was previously a storage version, and must remain in "
                        + "spec.versions until a storage migration ensures no data remains persisted in \(name) and "
                        + "removes \(name) from status.storedVersions"))
        }
        return errors
    }
}

/// Groups of the Kubernetes project need its approval, which an annotation names.
public enum DefinitionApproval {
    public enum State: Sendable, Equatable { case missing, invalid, bypassed, approved }

    static let annotation = "api-approved.kubernetes.io"

    public static func isProtected(_ group: String) -> Bool {
        ["k8s.io", "kubernetes.io"].contains { group == $0 || group.hasSuffix("." + $0) }
    }

    public static func state(_ definition: Document) -> (state: State, reason: String) {
        let see = "see https://github.com/kubernetes/enhancements/pull/1111"
        guard let value = definition.text("metadata", "annotations", annotation), !value.isEmpty else {
            return (.missing, "protected groups must have approval annotation \"\(annotation)\", \(see)")
        }
        if value.hasPrefix("unapproved") { return (.bypassed, "not approved: \(Document(value).jsonText)") }
        if let mark = value.firstRange(of: "://"), mark.lowerBound != value.startIndex,
            mark.upperBound != value.endIndex
        {
            return (.approved, "approved in \(value)")
        }
        return (
            .invalid,
            "protected groups must have approval annotation \"\(annotation)\" with either a URL or a reason starting with "
                + "\"unapproved\", \(see)"
        )
    }

    static func errors(_ definition: Document, old: Document?) -> [FieldError] {
        guard isProtected(definition.text("spec", "group") ?? "") else { return [] }
        let (state, reason) = state(definition)
        // A definition that was let in stays, as long as nobody makes it worse.
        if let old, self.state(old).state == state { return [] }
        let path = "metadata.annotations[\(annotation)]"
        switch state {
        case .missing: return [.required(path, reason)]
        case .invalid:
            return [.invalid(path, definition.at("metadata", "annotations", annotation), reason)]
        case .bypassed, .approved: return []
        }
    }
}

/// Names of resources and kinds.
enum DefinitionNames {
    static func errors(_ names: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        func label(_ text: String, _ field: String, mixed: Bool = false) {
            guard !text.isEmpty else { return }
            let faults = Formats.rfc1035Label(mixed ? text.lowercased() : text)
            guard !faults.isEmpty else { return }
            let lead = mixed ? "may have mixed case, but should otherwise match: " : ""
            errors.append(.invalid("\(path).\(field)", Document(text), lead + faults.joined(separator: ",")))
        }
        label(names.text("plural") ?? "", "plural")
        label(names.text("singular") ?? "", "singular")
        label(names.text("kind") ?? "", "kind", mixed: true)
        label(names.text("listKind") ?? "", "listKind", mixed: true)
        func labels(_ field: String) {
            for (index, name) in names.list(field).enumerated() {
                let faults = Formats.rfc1035Label(name.string ?? "")
                if !faults.isEmpty {
                    errors.append(.invalid("\(path).\(field)[\(index)]", name, faults.joined(separator: ",")))
                }
            }
        }
        labels("shortNames")
        if let kind = names.text("kind"), !kind.isEmpty, kind == names.text("listKind") {
            errors.append(
                .invalid("\(path).listKind", Document(kind), "kind and listKind may not be the same"))
        }
        labels("categories")
        return errors
    }
}
