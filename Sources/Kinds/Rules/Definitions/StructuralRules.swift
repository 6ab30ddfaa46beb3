import Document
import Schema

/// What makes a schema structural: every value has a type, said outside of `allOf`, `anyOf`, `oneOf` and `not`, and
/// what those speak of is said outside too. Pruning, defaulting and publishing rest on that.
public enum StructuralRules {
    private enum Level { case root, item, field }

    public static func errors(_ root: Document, _ path: String) -> [FieldError] {
        var checker = Checker()
        checker.invariants(root, .root, path)
        checker.completeness(root, path)
        return checker.errors.sorted { $0.text < $1.text }
    }

    /// The first keyword that has no place in a structural schema at all.
    static func firstUnsupported(_ schema: Document, _ path: String) -> FieldError? {
        for name in ["id", "$schema", "$ref", "additionalItems", "patternProperties", "definitions", "dependencies"] {
            guard let value = schema[name], !value.isNull, value.string?.isEmpty != true,
                !(value.isObject && value.count == 0)
            else { continue }
            return .invalid(path, "", "\(name) is not supported")
        }
        if let items = schema["items"], items.isArray { return .invalid(path, "", "items must be a single schema") }
        for (name, child) in children(schema) {
            if let found = firstUnsupported(child, "\(path).\(name)") { return found }
        }
        return nil
    }

    private static func children(_ schema: Document) -> [(String, Document)] {
        var found: [(String, Document)] = []
        for property in (schema["properties"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
            found.append(("properties[\(property.key)]", property.value))
        }
        for name in ["items", "additionalProperties", "not"] {
            if let inner = schema[name], inner.isObject { found.append((name, inner)) }
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, inner) in schema.list(name).enumerated() { found.append(("\(name)[\(index)]", inner)) }
        }
        return found
    }

    private struct Checker {
        var errors: [FieldError] = []

        private func isSet(_ schema: Document, _ name: String) -> Bool { schema.flag("x-kubernetes-" + name) == true }

        mutating func invariants(_ schema: Document, _ level: Level, _ path: String) {
            if let items = schema["items"], items.isObject {
                invariants(items, .item, path + ".items")
            } else if schema.text("type") == "array" {
                errors.append(.required(path + ".items", "must be specified"))
            }
            for property in (schema["properties"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
                invariants(property.value, .field, "\(path).properties[\(property.key)]")
            }
            if let other = schema["additionalProperties"], !other.isNull {
                if level == .root {
                    errors.append(.forbidden(path + ".additionalProperties", "must not be used at the root"))
                }
                if other.isObject { invariants(other, .field, path + ".additionalProperties") }
            }
            extensions(schema, path)
            junctions(schema, skipsFirst: IntOrStringPattern.of(schema), path)
            type(schema, level, path)
            metadata(schema, level, path)
            let isEmbedded = isSet(schema, "embedded-resource")
            if isEmbedded, !isSet(schema, "preserve-unknown-fields"), (schema["properties"]?.count ?? 0) == 0 {
                errors.append(
                    .required(
                        path + ".properties",
                        "must not be empty if x-kubernetes-embedded-resource is true without "
                            + "x-kubernetes-preserve-unknown-fields"))
            }
        }

        private mutating func extensions(_ schema: Document, _ path: String) {
            guard isSet(schema, "int-or-string") else { return }
            for name in ["preserve-unknown-fields", "embedded-resource"] where isSet(schema, name) {
                errors.append(
                    .invalid(
                        "\(path).x-kubernetes-\(name)", true, "must be false if x-kubernetes-int-or-string is true"))
            }
        }

        private mutating func type(_ schema: Document, _ level: Level, _ path: String) {
            let type = schema.text("type") ?? ""
            let here = path + ".type"
            if isSet(schema, "embedded-resource"), type != "object" {
                let why = "must be object if x-kubernetes-embedded-resource is true"
                errors.append(type.isEmpty ? .required(here, why) : .invalid(here, Document(type), why))
            } else if type.isEmpty, !isSet(schema, "int-or-string"), !isSet(schema, "preserve-unknown-fields") {
                switch level {
                case .root: errors.append(.required(here, "must not be empty at the root"))
                case .item: errors.append(.required(here, "must not be empty for specified array items"))
                case .field: errors.append(.required(here, "must not be empty for specified object fields"))
                }
            }
            if isSet(schema, "embedded-resource"), let other = schema["additionalProperties"], !other.isNull {
                errors.append(
                    .forbidden(
                        path + ".additionalProperties", "must not be used if x-kubernetes-embedded-resource is set"))
            }
            if level == .root, !type.isEmpty, type != "object" {
                errors.append(.invalid(here, Document(type), "must be object at the root"))
            }
        }

        private mutating func metadata(_ schema: Document, _ level: Level, _ path: String) {
            guard level == .root || isSet(schema, "embedded-resource") else { return }
            for name in ["kind", "apiVersion"] {
                guard let field = schema.at("properties", name) else { continue }
                let type = field.text("type") ?? ""
                if type != "string" {
                    errors.append(
                        .invalid("\(path).properties[\(name)].type", Document(type), "must be string"))
                }
            }
            guard let field = schema.at("properties", "metadata") else { return }
            let here = path + ".properties[metadata]"
            let type = field.text("type") ?? ""
            if type != "object" { errors.append(.invalid(here + ".type", Document(type), "must be object")) }
            guard level == .root, !Self.speaksOfNamesOnly(field) else { return }
            errors.append(
                .forbidden(
                    here,
                    "must not specify anything other than name and generateName, but metadata is implicitly specified"))
        }

        private static func speaksOfNamesOnly(_ metadata: Document) -> Bool {
            // Of defaults that are not allowed here the server speaks elsewhere, and examples check nothing.
            let harmless = ["Type", "Default", "Properties", "Example"]
            return DefinitionForm.givenFields(metadata).allSatisfy(harmless.contains)
                && (metadata["properties"]?.members ?? []).allSatisfy { ["name", "generateName"].contains($0.key) }
        }

        // MARK: Junctions

        private mutating func junctions(_ schema: Document, skipsFirst: IntOrStringPattern?, _ path: String) {
            if skipsFirst != .anyOf {
                for (index, inner) in schema.list("anyOf").enumerated() {
                    nested(inner, skips: nil, "\(path).anyOf[\(index)]")
                }
            }
            for (index, inner) in schema.list("allOf").enumerated() {
                nested(inner, skips: index == 0 && skipsFirst == .allOf ? .anyOf : nil, "\(path).allOf[\(index)]")
            }
            for (index, inner) in schema.list("oneOf").enumerated() {
                nested(inner, skips: nil, "\(path).oneOf[\(index)]")
            }
            if let inner = schema["not"], inner.isObject { nested(inner, skips: nil, path + ".not") }
            if let pattern = schema.text("pattern"), !pattern.isEmpty, let fault = Self.fault(inPattern: pattern) {
                errors.append(
                    .invalid(
                        path + ".pattern", Document(pattern),
                        "must be a valid regular expression, but isn't: error parsing regexp: \(fault)"))
            }
        }

        private static func fault(inPattern pattern: String) -> String? {
            do throws(CEL.Regex.SyntaxError) {
                _ = try CEL.Regex(pattern)
                return nil
            } catch { return error.message }
        }

        private mutating func nested(_ schema: Document, skips: IntOrStringPattern?, _ path: String) {
            junctions(schema, skipsFirst: skips, path)
            if let items = schema["items"], items.isObject { nested(items, skips: nil, path + ".items") }
            for property in (schema["properties"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
                nested(property.value, skips: nil, "\(path).properties[\(property.key)]")
            }
            func forbid(_ name: String, _ why: String) { errors.append(.forbidden("\(path).\(name)", why)) }
            func has(_ name: String) -> Bool { schema[name].map { !$0.isNull } ?? false }
            func hasText(_ name: String) -> Bool { !(schema.text(name) ?? "").isEmpty }
            if hasText("type") { forbid("type", "must be empty to be structural") }
            for name in ["additionalProperties", "default"] where has(name) {
                forbid(name, "must be undefined to be structural")
            }
            for name in ["title", "description"] where hasText(name) { forbid(name, "must be empty to be structural") }
            if schema.flag("nullable") == true { forbid("nullable", "must be false to be structural") }
            for name in ["preserve-unknown-fields", "embedded-resource", "int-or-string"] where isSet(schema, name) {
                forbid("x-kubernetes-" + name, "must be false to be structural")
            }
            for name in ["x-kubernetes-list-map-keys", "x-kubernetes-validations"] where !schema.list(name).isEmpty {
                forbid(name, "must be empty to be structural")
            }
            for name in ["x-kubernetes-list-type", "x-kubernetes-map-type"] where has(name) {
                forbid(name, "must be undefined to be structural")
            }
            if schema.at("properties", "metadata") != nil {
                errors.append(
                    .forbidden(path + ".properties[metadata]", "must not be specified in a nested context"))
            }
        }

        // MARK: Completeness

        mutating func completeness(_ schema: Document, _ path: String) {
            for name in ["allOf", "anyOf", "oneOf"] {
                for (index, inner) in schema.list(name).enumerated() {
                    said(inner, schema, path, "\(path).\(name)[\(index)]")
                }
            }
            if let inner = schema["not"], inner.isObject { said(inner, schema, path, path + ".not") }
            if let items = schema["items"], items.isObject { completeness(items, path + ".items") }
            for property in (schema["properties"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
                completeness(property.value, "\(path).properties[\(property.key)]")
            }
            if let other = schema["additionalProperties"], other.isObject {
                completeness(other, path + ".additionalProperties")
            }
        }

        /// What a nested schema speaks of must be said in the structure.
        private mutating func said(_ inner: Document, _ outer: Document?, _ path: String, _ innerPath: String) {
            guard let outer, outer.isObject else {
                errors.append(.required(path, "because it is defined in \(innerPath)"))
                return
            }
            for name in ["allOf", "anyOf", "oneOf"] {
                for (index, deeper) in inner.list(name).enumerated() {
                    said(deeper, outer, path, "\(innerPath).\(name)[\(index)]")
                }
            }
            if let deeper = inner["not"], deeper.isObject { said(deeper, outer, path, innerPath + ".not") }
            if let items = inner["items"], items.isObject {
                said(items, outer["items"], path + ".items", innerPath + ".items")
            }
            for property in (inner["properties"]?.members ?? []).sorted(by: { $0.key < $1.key }) {
                let name = "properties[\(property.key)]"
                said(property.value, outer.at("properties", property.key), "\(path).\(name)", "\(innerPath).\(name)")
            }
        }
    }

    /// The one form in which alternatives may name types: a number or a text.
    private enum IntOrStringPattern {
        case anyOf, allOf

        static func of(_ schema: Document) -> IntOrStringPattern? {
            guard schema.flag("x-kubernetes-int-or-string") == true else { return nil }
            let both: Document = [["type": "integer"], ["type": "string"]]
            if schema["anyOf"].map({ $0.means(both) }) == true { return .anyOf }
            if schema.list("allOf").first?["anyOf"].map({ $0.means(both) }) == true { return .allOf }
            return nil
        }
    }
}

/// Defaults must be values that the schema allows.
enum DefaultRules {
    static func errors(_ schema: StructuralSchema, _ path: String, isRoot: Bool = false) -> [FieldError] {
        guard schema.hasDefaults else { return [] }
        var errors: [FieldError] = []
        if let value = schema.defaultValue {
            let here = path + ".default"
            if !schema.pruned(value, isResource: schema.isEmbeddedResource).means(value) {
                errors.append(.invalid(here, value, "must not have unknown fields"))
            } else {
                errors += schema.errors(inDefault: value, here)
            }
        }
        if let items = schema.items { errors += self.errors(items, path + ".items") }
        for property in schema.properties {
            errors += self.errors(property.schema, "\(path).properties[\(property.name)]")
        }
        if let other = schema.additional.schema { errors += self.errors(other, path + ".additionalProperties") }
        return errors
    }
}
