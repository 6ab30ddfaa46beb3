import Document
import Schema

/// Checks the schema of one version of a definition.
enum DefinitionSchema {
    /// - old: the same version's schema before an update; what was wrong with it may stay so.
    static func errors(_ root: Document, hasStatus: Bool, old: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if hasStatus { errors += atRoot(root, path) }
        if root.flag("nullable") == true {
            errors.append(.forbidden(path + ".nullable", "nullable cannot be true at the root"))
        }
        let unsupported = StructuralRules.firstUnsupported(root, path)
        var isSound = false
        if unsupported == nil {
            let structure = StructuralRules.errors(root, path)
            if structure.isEmpty {
                let defaults = DefaultRules.errors(StructuralSchema(root), path, isRoot: true)
                errors += defaults
                isSound = defaults.isEmpty
            } else if old.map({ StructuralRules.errors($0, path).isEmpty }) ?? true {
                errors += structure
            }
        }
        var checker = SchemaTextRules()
        checker.check(root, path, isRoot: true)
        errors += checker.errors
        if errors.isEmpty, let unsupported { errors.append(unsupported) }
        guard isSound, checker.errors.isEmpty else { return errors }
        let isKnown = old.map { $0.means(root) } ?? false
        return errors + DefinitionExpressions.errors(root, isKnown: isKnown, path)
    }

    private static let allowedAtRoot = [
        "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum",
        "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items",
        "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
    ]

    /// With a status subresource the schema of the status must be whole by itself.
    private static func atRoot(_ root: Document, _ path: String) -> [FieldError] {
        for field in DefinitionForm.givenFields(root) {
            if field == "Type" {
                let type = root.text("type") ?? ""
                if type != "object" {
                    return [
                        .invalid(
                            path + ".type", Document(type),
                            "only \"object\" is allowed as the type at the root of the schema if the status subresource is "
                                + "enabled")
                    ]
                }
            } else if !allowedAtRoot.contains(field) {
                let names = allowedAtRoot.joined(separator: " ")
                return [
                    .invalid(
                        path, DefinitionForm.schema(root),
                        "only [\(names)] fields are allowed at the root of the schema if the status subresource is enabled"
                    )
                ]
            }
        }
        return []
    }
}

/// What OpenAPI itself and the extensions demand of every part of a schema.
struct SchemaTextRules {
    var errors: [FieldError] = []
    private static let types = ["array", "boolean", "integer", "number", "object", "string"]

    /// Where defaults are not allowed, the reason.
    private struct Place {
        var defaultsForbidden: String?
        var isInsideMetadata = false
    }

    mutating func check(_ schema: Document, _ path: String, isRoot: Bool) {
        check(schema, path, isRoot: isRoot, Place())
    }

    private mutating func check(_ schema: Document, _ path: String, isRoot: Bool, _ place: Place) {
        guard schema.isObject else { return }
        keywords(schema, path, place)
        if schema.flag("uniqueItems") == true {
            errors.append(
                .forbidden(
                    path + ".uniqueItems",
                    "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
        }
        children(schema, path, isRoot: isRoot, place)
        if schema.flag("x-kubernetes-preserve-unknown-fields") == false {
            errors.append(
                .invalid(path + ".x-kubernetes-preserve-unknown-fields", false, "must be true or undefined"))
        }
        mapType(schema, path)
        listType(schema, path)
        rules(schema, path)
    }

    private mutating func keywords(_ schema: Document, _ path: String, _ place: Place) {
        let type = schema.text("type") ?? ""
        if !type.isEmpty, !Self.types.contains(type) {
            errors.append(.notSupported(path + ".type", Document(type), Self.types))
        }
        if let value = schema["default"], !value.isNull, let reason = place.defaultsForbidden {
            errors.append(.forbidden(path + ".default", "must not be set " + reason))
        }
        for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
            guard let value = schema[name], !value.isNull else { continue }
            let isEmpty =
                value.string?.isEmpty == true || (value.isObject && value.count == 0 && name != "dependencies")
            if !isEmpty || name == "$ref" || name == "additionalItems" {
                errors.append(.forbidden("\(path).\(name)", "\(name) is not supported"))
            }
        }
        if type == "null" {
            errors.append(
                .forbidden(path + ".type", "type cannot be set to null, use nullable as an alternative"))
        }
        if let items = schema["items"], items.isArray, items.count > 0 {
            errors.append(.forbidden(path + ".items", "items must be a schema object and not an array"))
        }
        if place.isInsideMetadata, schema.flag("x-kubernetes-embedded-resource") == true {
            errors.append(
                .forbidden(path + ".x-kubernetes-embedded-resource", "must not be used inside of resource meta"))
        }
    }

    private mutating func children(_ schema: Document, _ path: String, isRoot: Bool, _ place: Place) {
        let properties = (schema["properties"]?.members ?? []).sorted { $0.key < $1.key }
        if let other = schema["additionalProperties"], !other.isNull {
            if !properties.isEmpty, other.bool != true {
                errors.append(
                    .forbidden(
                        path + ".additionalProperties", "additionalProperties and properties are mutual exclusive"))
            }
            var inner = place
            if place.isInsideMetadata {
                inner.defaultsForbidden = "inside additionalProperties applying to object metadata"
            }
            check(other, path + ".additionalProperties", isRoot: false, inner)
        }
        let isResource = isRoot || schema.flag("x-kubernetes-embedded-resource") == true
        for property in properties {
            var inner = place
            if isResource, ["metadata", "kind", "apiVersion"].contains(property.key) {
                inner.isInsideMetadata = true
                if isRoot { inner.defaultsForbidden = "in top-level \(property.key)" }
            }
            check(property.value, "\(path).properties[\(property.key)]", isRoot: false, inner)
        }
        if let inner = schema["not"] { check(inner, path + ".not", isRoot: false, place) }
        for name in ["allOf", "oneOf", "anyOf"] {
            for (index, inner) in schema.list(name).enumerated() {
                check(inner, "\(path).\(name)[\(index)]", isRoot: false, place)
            }
        }
        if let items = schema["items"] {
            if items.isObject { check(items, path + ".items", isRoot: false, place) }
            for (index, inner) in items.elements.enumerated() {
                check(inner, "\(path).items[\(index)]", isRoot: false, place)
            }
        }
    }

    private mutating func needsType(_ wanted: String, _ extension_: String, _ schema: Document, _ path: String) -> Bool
    {
        let type = schema.text("type") ?? ""
        guard type != wanted else { return false }
        let why = "must be \(wanted) if \(extension_) is specified"
        errors.append(type.isEmpty ? .required(path + ".type", why) : .invalid(path + ".type", Document(type), why))
        return true
    }

    private mutating func mapType(_ schema: Document, _ path: String) {
        guard let kind = schema.text("x-kubernetes-map-type") else { return }
        _ = needsType("object", "x-kubernetes-map-type", schema, path)
        if kind != "atomic", kind != "granular" {
            errors.append(
                .notSupported(path + ".x-kubernetes-map-type", Document(kind), ["atomic", "granular"]))
        }
    }

    private mutating func listType(_ schema: Document, _ path: String) {
        let kind = schema.text("x-kubernetes-list-type")
        let kindPath = path + ".x-kubernetes-list-type"
        let keysPath = path + ".x-kubernetes-list-map-keys"
        let keys = schema.list("x-kubernetes-list-map-keys").compactMap(\.string)
        let items = schema["items"].flatMap { $0.isObject ? $0 : nil }
        if let kind {
            if !needsType("array", "x-kubernetes-list-type", schema, path), kind == "set", let items {
                setElements(items, path)
            }
            if !["atomic", "set", "map"].contains(kind) {
                errors.append(.notSupported(kindPath, Document(kind), ["atomic", "set", "map"]))
            }
        }
        if !keys.isEmpty, kind != "map" {
            let why = "must be map if x-kubernetes-list-map-keys is non-empty"
            errors.append(kind.map { .invalid(kindPath, Document($0), why) } ?? .required(kindPath, why))
        }
        if kind == "map" {
            if keys.isEmpty {
                errors.append(.required(keysPath, "must not be empty if x-kubernetes-list-type is map"))
            }
            mapElements(schema["items"], keys, path, keysPath)
        }
        if let items, let kind, kind == "set" || kind == "map" { keyedElements(items, keys, kind, path) }
    }

    private mutating func setElements(_ items: Document, _ path: String) {
        let why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        switch items.text("type") {
        case "array":
            if let inner = items.text("x-kubernetes-list-type"), inner != "atomic" {
                errors.append(.invalid(path + ".items.x-kubernetes-list-type", Document(inner), why))
            }
        case "object" where items.text("x-kubernetes-map-type") != "atomic":
            errors.append(
                .invalid(path + ".items.x-kubernetes-map-type", items["x-kubernetes-list-type"] ?? .null, why))
        default: break
        }
    }

    private mutating func mapElements(_ items: Document?, _ keys: [String], _ path: String, _ keysPath: String) {
        guard let items else {
            errors.append(.required(path + ".items", "must have a schema if x-kubernetes-list-type is map"))
            return
        }
        guard items.isObject else {
            errors.append(
                .invalid(
                    path + ".items", DefinitionForm.schema(["items": items])["Items"],
                    "must only have a single schema if x-kubernetes-list-type is map"))
            return
        }
        let type = items.text("type") ?? ""
        guard type == "object" else {
            errors.append(
                .invalid(
                    path + ".items.type", Document(type),
                    "must be object if parent array's x-kubernetes-list-type is map"))
            return
        }
        var seen: Set<String> = []
        for key in keys {
            if let property = items.at("properties", key) {
                if ["array", "object"].contains(property.text("type") ?? "") {
                    errors.append(
                        .invalid(
                            "\(path).items.properties[\(key)].type", Document(type),
                            "must be a scalar type if parent array's x-kubernetes-list-type is map"))
                }
            } else {
                errors.append(.invalid(keysPath, Document(keys), "entries must all be names of item properties"))
            }
            if !seen.insert(key).inserted {
                errors.append(.invalid(keysPath, Document(keys), "must not contain duplicate entries"))
            }
        }
    }

    private mutating func keyedElements(_ items: Document, _ keys: [String], _ kind: String, _ path: String) {
        if items.flag("nullable") == true {
            errors.append(
                .forbidden(path + ".items.nullable", "cannot be nullable when x-kubernetes-list-type is \(kind)"))
        }
        guard kind == "map" else { return }
        let required = items.list("required").compactMap(\.string)
        for key in keys {
            guard let property = items.at("properties", key) else { continue }
            let here = "\(path).items.properties[\(key)]"
            if !required.contains(key), property["default"] == nil {
                errors.append(
                    .required(
                        here + ".default",
                        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
                    ))
            }
            if property.flag("nullable") == true {
                errors.append(
                    .forbidden(
                        here + ".nullable",
                        "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
            }
        }
    }

    // MARK: Rules

    private static let reasons = [
        "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired",
    ]

    private func isBlank(_ text: String) -> Bool { !text.contains { !$0.isWhitespace } }
    private func hasLineBreaks(_ text: String) -> Bool { text.unicodeScalars.contains { $0 == "\n" || $0 == "\r" } }

    private func trimmed(_ text: String) -> Substring {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    private mutating func rules(_ schema: Document, _ path: String) {
        for (index, given) in schema.list("x-kubernetes-validations").enumerated() {
            let here = "\(path).x-kubernetes-validations[\(index)]"
            let rule = ValidationRule(given)
            if isBlank(rule.rule) {
                errors.append(.required(here + ".rule", "rule is not specified"))
            } else if !rule.message.isEmpty, isBlank(rule.message) {
                errors.append(.invalid(here + ".message", Document(rule.message), "must be non-empty if specified"))
            } else if hasLineBreaks(String(trimmed(rule.message))) {
                errors.append(.invalid(here + ".message", Document(rule.message), "must not contain line breaks"))
            } else if hasLineBreaks(String(trimmed(rule.rule))), isBlank(rule.message) {
                errors.append(.required(here + ".message", "must be specified if rule contains line breaks"))
            }
            if !rule.messageExpression.isEmpty, isBlank(rule.messageExpression) {
                errors.append(.required(here + ".messageExpression", "must be non-empty if specified"))
            }
            if let reason = rule.reason, !Self.reasons.contains(reason) {
                errors.append(.notSupported(here + ".reason", Document(reason), Self.reasons))
            }
            let fieldPath = here + ".fieldPath"
            if !rule.fieldPath.isEmpty, isBlank(rule.fieldPath) {
                errors.append(.invalid(fieldPath, Document(rule.fieldPath), "must be non-empty if specified"))
            }
            if hasLineBreaks(rule.fieldPath) {
                errors.append(.invalid(fieldPath, Document(rule.fieldPath), "must not contain line breaks"))
            }
            if !rule.fieldPath.isEmpty, StructuralRules.firstUnsupported(schema, path) == nil,
                (try? FieldPath.resolve(rule.fieldPath, in: StructuralSchema(schema), allowsIndices: true)) == nil
            {
                errors.append(.invalid(fieldPath, Document(rule.fieldPath), "must be a valid path"))
            }
        }
    }
}
