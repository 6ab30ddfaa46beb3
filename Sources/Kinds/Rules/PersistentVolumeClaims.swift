import Document
import Schema

extension KindRules {
    static let persistentVolumeClaim: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { claim, _ in
            claim["status"] = ["phase": "Pending"]
            PersistentVolumeClaimRules.alignSources(&claim, old: nil)
        }
        rules.prepareForUpdate = { claim, old, _ in PersistentVolumeClaimRules.alignSources(&claim, old: old) }
        rules.validateCreate = { PersistentVolumeClaimRules.spec($0["spec"] ?? .emptyObject, "spec") }
        rules.validateUpdate = { PersistentVolumeClaimRules.change($0, old: $1) }
        rules.validateStatusUpdate = { claim, _ in PersistentVolumeClaimRules.status(claim) }
        rules.warnings = { claim, _ in PersistentVolumeClaimRules.warnings(claim) }
        rules.cells = { VolumeColumns.claim($0, now: $1) }
        return rules
    }()
}

enum PersistentVolumeClaimRules {
    private static let classNote = "volume.beta.kubernetes.io/storage-class"

    // MARK: Data sources

    /// A claim names what it is filled from in two fields, an old one for volumes and snapshots only and a new one for
    /// anything: both say the same, whichever was given.
    static func alignSources(_ claim: inout Document, old: Document?) {
        guard var spec = claim["spec"], spec.isObject else { return }
        let before = old?["spec"]
        // Sources of other namespaces are not served.
        let crossed = { (reference: Document?) in !(reference?.text("namespace") ?? "").isEmpty }
        if crossed(spec["dataSourceRef"]), !crossed(before?["dataSourceRef"]) { spec["dataSourceRef"] = nil }
        if before?["dataSource"] == nil, before?["dataSourceRef"] == nil, let source = spec["dataSource"],
            !isVolumeOrSnapshot(source)
        {
            spec["dataSource"] = nil
        }
        if let source = spec["dataSource"], spec["dataSourceRef"] == nil {
            spec["dataSourceRef"] = source
        } else if let reference = spec["dataSourceRef"], spec["dataSource"] == nil, !crossed(reference) {
            spec["dataSource"] = reference
        }
        claim["spec"] = spec
    }

    private static func isVolumeOrSnapshot(_ source: Document) -> Bool {
        switch (source.text("apiGroup") ?? "", source.text("kind") ?? "") {
        case ("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"): true
        default: false
        }
    }

    private static func source(_ source: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for field in ["name", "kind"] where (source.text(field) ?? "").isEmpty {
            errors.append(.required("\(path).\(field)"))
        }
        let (group, kind) = (source.text("apiGroup") ?? "", source.text("kind") ?? "")
        if group.isEmpty, kind != "PersistentVolumeClaim" {
            errors.append(.invalid(path, Document(kind), ""))
        }
        if !group.isEmpty {
            errors += Formats.dnsSubdomain(group).map { .invalid(path + ".apiGroup", Document(group), $0) }
        }
        return errors
    }

    // MARK: Any claim

    static func spec(_ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let modes = spec.list("accessModes")
        if modes.isEmpty { errors.append(.required(path + ".accessModes", "at least 1 access mode is required")) }
        errors += MetadataRules.labelSelector(spec["selector"], path + ".selector")
        errors += PersistentVolumeRules.accessModes(modes, path + ".accessModes")
        let size = spec.at("resources", "requests", "storage")
        if let size {
            if let amount = ResourceValidation.quantity(size), amount <= .zero {
                errors.append(.invalid(path + ".resources[storage]", size, "must be greater than zero"))
            }
        } else {
            errors.append(.required(path + ".resources[storage]"))
        }
        if let name = spec.text("storageClassName"), !name.isEmpty {
            errors += Formats.dnsSubdomain(name).map { .invalid(path + ".storageClassName", Document(name), $0) }
        }
        let sources = ["dataSource", "dataSourceRef"].compactMap { field in
            spec[field].map { (field: field, value: $0) }
        }
        for source in sources { errors += self.source(source.value, "\(path).\(source.field)") }
        if sources.count == 2, !Equality.semantic(sources[0].value, sources[1].value) {
            let isCrossed = !(sources[1].value.text("namespace") ?? "").isEmpty
            let text =
                isCrossed
                ? "may not be specified when dataSourceRef.namespace is specified" : "must match dataSourceRef"
            errors.append(.invalid(path, .emptyObject, text))
        }
        if let name = spec.text("volumeAttributesClassName"), !name.isEmpty {
            errors += Formats.dnsSubdomain(name).map {
                .invalid(path + ".volumeAttributesClassName", Document(name), $0)
            }
        }
        return errors
    }

    static func status(_ claim: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if claim.list("spec", "accessModes").isEmpty { errors.append(.required("Spec.accessModes")) }
        for member in claim.at("status", "capacity")?.members ?? [] {
            guard let amount = ResourceValidation.quantity(member.value), amount < .zero else { continue }
            let here = "status.capacity[\(member.key)]"
            errors.append(.invalid(here, member.value, "must be a valid resource quantity"))
        }
        return errors
    }

    // MARK: Changes

    static func change(_ new: Document, old: Document) -> [FieldError] {
        let (spec, before) = (new["spec"] ?? .emptyObject, old["spec"] ?? .emptyObject)
        var (comparable, known) = (spec, before)
        var errors: [FieldError] = []
        if (before.text("volumeName") ?? "").isEmpty { known["volumeName"] = comparable["volumeName"] }
        let (note, oldNote) = (self.note(new), self.note(old))
        if let oldNote, before["storageClassName"] == nil, spec.text("storageClassName") == oldNote,
            note == nil || note == oldNote
        {
            // The class moves from the annotation into the field.
            comparable["storageClassName"] = nil
        } else if before["storageClassName"] == nil, oldNote == nil, note == nil {
            // A claim that was made before there was a default class may get it.
            known["storageClassName"] = comparable["storageClassName"]
        } else if note != oldNote {
            let text = "field is immutable"
            errors.append(
                .invalid("metadata.annotations[\(classNote)]", note.map { Document($0) } ?? "", text))
        }
        if new.text("status", "phase") == "Bound" {
            if comparable.at("resources", "requests") != nil {
                comparable.set(before.at("resources", "requests", "storage"), at: "resources", "requests", "storage")
            }
            comparable["volumeAttributesClassName"] = before["volumeAttributesClassName"]
        }
        if !Equality.semantic(comparable, known) {
            errors.append(
                .forbidden(
                    "spec",
                    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                        + "claims\n" + InternalForm.difference(known, comparable, as: "PersistentVolumeClaimSpec")))
        }
        errors += shrinking(spec, before, old)
        if spec["volumeMode"] != before["volumeMode"] {
            errors.append(.invalid("volumeMode", spec["volumeMode"] ?? .null, "field is immutable"))
        }
        return errors + attributes(spec.text("volumeAttributesClassName"), before.text("volumeAttributesClassName"))
    }

    private static func note(_ claim: Document) -> String? {
        claim.at("metadata", "annotations", classNote)?.string
    }

    /// A request may go back as long as the volume has not grown to it.
    private static func shrinking(_ spec: Document, _ before: Document, _ old: Document) -> [FieldError] {
        func size(_ value: Document?) -> Quantity { value.flatMap(ResourceValidation.quantity) ?? .zero }
        let wanted = size(spec.at("resources", "requests", "storage"))
        guard wanted < size(before.at("resources", "requests", "storage")),
            wanted <= size(old.at("status", "capacity", "storage"))
        else { return [] }
        return [.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")]
    }

    private static func attributes(_ name: String?, _ before: String?) -> [FieldError] {
        guard let before, !before.isEmpty, name != before else { return [] }
        let path = "spec.volumeAttributesClassName"
        if name == nil { return [.forbidden(path, "update from non-nil value to nil is forbidden")] }
        if name == "" { return [.forbidden(path, "update from non-empty value to empty is forbidden")] }
        return []
    }

    static func warnings(_ claim: Document) -> [String] {
        var warnings: [String] = []
        if note(claim) != nil {
            warnings.append(
                "metadata.annotations[\(classNote)]: deprecated since v1.8; use \"storageClassName\" attribute instead")
        }
        for (path, side) in [("spec.resources.requests", "requests"), ("spec.resources.limits", "limits")] {
            guard let size = claim.at("spec", "resources", side, "storage"),
                let amount = ResourceValidation.quantity(size), amount.nano % 1_000_000_000 != 0
            else { continue }
            warnings.append(
                "\(path)[storage]: fractional byte value \"\(size.string ?? size.jsonText)\" is invalid, must be an integer"
            )
        }
        return warnings
    }
}
