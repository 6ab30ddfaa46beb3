import Basics
import Document
import Schema

extension KindRules {
    /// The rules of a resource that a definition declares: what holds for all of them, and what the definition says.
    static func custom(_ resource: ResourceInfo, _ custom: CustomVersion) -> KindRules {
        var rules = KindRules()
        rules.plainFinalizers = true
        let hasStatus = resource.hasStatus
        if hasStatus { rules.prepareForCreate = { object, _ in object["status"] = nil } }
        rules.prepareForStatusUpdate = { new, old, _ in CustomResourceRules.keepMetadata(&new, of: old) }
        let type = resource.type
        rules.validateCreate = { object in
            CustomResourceRules.embeddedErrors(object, type) + CustomResourceRules.scaleErrors(object, custom)
        }
        rules.validateStatusUpdate = { new, old in
            MetadataRules.validateUpdate(new, old: old, nameSyntax: .dnsSubdomain)
                + Kinds.registry.validateUpdate(new, old: old, type: type)
                + CustomResourceRules.scaleErrors(new, custom)
        }
        rules.selectableFields = { object in
            custom.selectableFields.map { path in
                let value = object.at(path: path.split(separator: ".").map(String.init))
                return (path, value.map { $0.string ?? ($0.isNull ? "" : $0.jsonText) } ?? "")
            }
        }
        rules.cells = { object, now in custom.columns.map { CustomResourceRules.cell($0, object, now: now) } }
        return rules
    }
}

enum CustomResourceRules {
    /// A write of the status leaves the metadata as it is.
    static func keepMetadata(_ new: inout Document, of old: Document) {
        var metadata = old["metadata"] ?? .emptyObject
        metadata["managedFields"] = new.at("metadata", "managedFields")
        metadata["resourceVersion"] = new.at("metadata", "resourceVersion")
        new["metadata"] = metadata
    }

    static func embeddedErrors(_ object: Document, _ type: TypeID) -> [FieldError] {
        (type.info.custom?.embeddedMetadata(in: object) ?? []).flatMap {
            MetadataRules.embedded($0.metadata, $0.path)
        }
    }

    /// The counts that a scale subresource shows have to be counts.
    static func scaleErrors(_ object: Document, _ custom: CustomVersion) -> [FieldError] {
        guard let scale = custom.scale else { return [] }
        var errors: [FieldError] = []
        for path in [scale.specReplicas, scale.statusReplicas] {
            guard let value = object.at(path: path), let count = value.int else { continue }
            let here = path.joined(separator: ".")
            if count < 0 {
                errors.append(.invalid(here, value, "should be a non-negative integer"))
            } else if count > Int32.max {
                errors.append(.invalid(here, value, "should be less than or equal to 2147483647"))
            }
        }
        return errors
    }

    /// What a column shows of an object: the first value at its path, as its type shows it.
    static func cell(_ column: CustomVersion.Column, _ object: Document, now: Timestamp) -> Document {
        guard let value = column.path?.evaluate(on: object).first, !value.isNull else { return .null }
        var shown = Document.null
        switch column.column.type {
        case "string": shown = Document(value.string ?? value.jsonText)
        case "integer":
            if let number = value.int {
                shown = Document(number)
            } else if let number = value.double, let whole = Int(exactly: number.rounded(.towardZero)) {
                shown = Document(whole)
            }
        case "number": if value.double != nil { shown = value }
        case "boolean": if value.bool != nil { shown = value }
        case "date":
            if let text = value.string {
                shown = Document(Timestamp(rfc3339: text) == nil ? "<invalid>" : Cells.since(text, now: now))
            }
        default: break
        }
        return shown
    }
}
