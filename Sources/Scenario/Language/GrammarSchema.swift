import Document

/// The grammar as a JSON schema, which editors check and complete scenario files with.
extension Grammar {
    public static var schema: Document {
        var definitions: [(String, Document)] = shapes.map { ($0.name, schema(of: $0)) }
        definitions.append(
            (
                "bound",
                [
                    "oneOf": [
                        ["type": "integer", "minimum": 0], between(["type": "integer", "minimum": 0]),
                    ]
                ]
            ))
        definitions.append(("measure", ["oneOf": [["type": "number"], between(["type": "number"])]]))
        definitions.append(
            (
                "duration",
                ["type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?)(ms|s|m|h)$", "examples": ["500ms", "5s"]]
            ))
        definitions.append(
            (
                "kubernetesObject",
                [
                    "type": "object", "required": ["apiVersion", "kind", "metadata"],
                    "properties": [
                        "apiVersion": ["type": "string"], "kind": ["type": "string"], "metadata": ["type": "object"],
                    ],
                ]
            ))
        return [
            "$schema": "http://json-schema.org/draft-07/schema#", "title": "Scenario of lab",
            "$ref": "#/definitions/scenario", "definitions": Document(members: definitions),
        ]
    }

    private static func between(_ number: Document) -> Document {
        ["type": "object", "properties": ["atLeast": number, "atMost": number], "additionalProperties": false]
    }

    private static func schema(of shape: Shape) -> Document {
        let properties = shape.fields.map { field -> (String, Document) in
            var schema = schema(of: field.kind)
            if !field.about.isEmpty { schema["description"] = Document(field.about) }
            return (field.name, schema)
        }
        var document: Document = ["type": "object", "description": Document(shape.about)]
        if !properties.isEmpty { document["properties"] = Document(members: properties) }
        document["additionalProperties"] = shape.others.map { schema(of: $0) } ?? false
        let required = shape.fields.filter(\.isRequired).map(\.name)
        if !required.isEmpty { document["required"] = Document(required) }
        if !shape.oneOf.isEmpty {
            document["oneOf"] = Document(shape.oneOf.map { ["required": [Document($0)]] as Document })
        }
        return document
    }

    private static func reference(_ name: String) -> Document { ["$ref": Document("#/definitions/\(name)")] }

    private static func schema(of kind: Kind) -> Document {
        switch kind {
        // Ports and versions may look like numbers.
        case .text: return ["type": ["string", "number"]]
        case .word(let words): return ["enum": Document(words)]
        case .wordOrVariable(let words):
            return ["anyOf": [["enum": Document(words)], ["type": "string", "pattern": "\\$\\{"]]]
        case .texts:
            return ["oneOf": [["type": "string"], ["type": "array", "items": ["type": "string"]]]]
        case .flag: return ["type": "boolean"]
        case .number: return ["type": "integer"]
        case .duration: return reference("duration")
        case .bound: return reference("bound")
        case .measure: return reference("measure")
        case .objects:
            return [
                "oneOf": [
                    reference("kubernetesObject"), ["type": "array", "items": reference("kubernetesObject")],
                ]
            ]
        case .match, .anything: return .emptyObject
        case .shape(let name): return reference(name)
        case .list(let name): return ["type": "array", "items": reference(name)]
        case .choice(let names): return ["oneOf": Document(names.map { reference($0) })]
        }
    }
}

/// The grammar as a page for people.
extension Grammar {
    private static let titles = ["eventually", "always", "never"]

    public static var reference: String {
        var out = """
            # The scenario language: reference

            Every object that may stand in a scenario file, and its fields; those in bold must be there. `TUTORIAL.md` begins
            at the beginning, `README.md` says how objects match. This page is printed by `lab conformance --reference`, and
            the schema for editors by `lab conformance --schema`, from the reader's own tables.

            """
        for shape in shapes {
            out += "\n## \(shape.name)\n\n\(shape.about)"
            if shape.name != "step", !shape.oneOf.isEmpty {
                out += " Exactly one of \(shape.oneOf.joined(separator: ", "))."
            }
            if let others = shape.others { out += " Names are yours; each has \(words(others))." }
            out += "\n"
            guard !shape.fields.isEmpty else { continue }
            out += "\n| field | value | |\n|---|---|---|\n"
            for field in shape.fields {
                let name = field.isRequired ? "**`\(field.name)`**" : "`\(field.name)`"
                out += "| \(name) | \(words(field.kind)) | \(escaped(field.about)) |\n"
            }
        }
        return out
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }

    private static func words(_ kind: Kind) -> String {
        func link(_ name: String) -> String { "[\(name)](#\(name.lowercased()))" }
        switch kind {
        case .text: return "a text"
        case .word(let words), .wordOrVariable(let words): return words.map { "`\($0)`" }.joined(separator: ", ")
        case .texts: return "a text, or a list of them"
        case .flag: return "true or false"
        case .number: return "a whole number"
        case .duration: return "a duration: `500ms`, `5s`, `2m`"
        case .bound, .measure: return "a number, or `{atLeast, atMost}`"
        case .objects: return "an object, or a list of them"
        case .match: return "what it must be like"
        case .anything: return "anything"
        case .shape(let name): return link(name)
        case .list(let name): return "a list of \(link(name))"
        case .choice(let names): return names.map(link).joined(separator: ", ")
        }
    }
}

/// What is printed for people and their editors.
public enum ScenarioLanguage {
    public static var schema: String { Grammar.schema.indentedText }
    public static var reference: String { Grammar.reference }
}

extension Document {
    /// JSON as people read it.
    var indentedText: String { indented("") }

    private func indented(_ margin: String) -> String {
        let inner = margin + "  "
        if isObject, count > 0 {
            let lines = members.map { "\(inner)\(Document($0.key).jsonText): \($0.value.indented(inner))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(margin)}"
        }
        if isArray, count > 0, elements.contains(where: { $0.isObject || $0.isArray }) {
            return "[\n\(elements.map { inner + $0.indented(inner) }.joined(separator: ",\n"))\n\(margin)]"
        }
        return jsonText
    }
}
