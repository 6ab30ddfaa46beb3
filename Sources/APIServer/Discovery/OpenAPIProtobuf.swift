import Document

/// The OpenAPI v2 document as the protobuf message `openapi.v2.Document`, which kubectl reads to merge, to check and
/// to explain.
///
/// A grammar names, for each JSON object of the document, the message's fields: their numbers and what they hold.
/// Members that begin with `x-` go to the message's list of extensions, as pairs of a name and YAML. JSON is YAML, so
/// their text stays as it is. What a grammar does not know is left out: JSON is the complete form.
enum OpenAPIProtobuf {
    static let contentType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    /// Both spellings ask for it; the older one is no media type, so answers never bear it.
    static let accepted: Set = [contentType, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"]

    static func encode(_ document: Document) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(3 << 20)
        write(document, .document, to: &out)
        return out
    }

    private enum Form {
        case text, texts, flag, number, integer
        /// One value of any type, or a list of such.
        case any, anys
        case message(Grammar)
        case messages(Grammar)
        /// A map in a message of its own: pairs of a name (1) and a message (2), in the field of this number.
        case map(Grammar, pairs: UInt64)
        /// A map whose values are lists of strings.
        case requirements
        /// A string or a list of strings.
        case type
        /// A schema or a list of schemas.
        case items
        /// A schema or a flag.
        case schemaOrFlag
        /// A message wrapped in another one's field 1.
        case wrapped(Grammar)
        case parameters
    }

    private enum Grammar {
        case document, info, pathItem, operation, reference, response, schema, externalDocs, securityDefinition
        case bodyParameter, otherParameter, headerParameter, pathParameter, primitives, parameter, responseValue, tag
    }

    private struct Message {
        var fields: [String: (number: UInt64, form: Form)]
        var extensions: UInt64
    }

    private static let operations: [String: (number: UInt64, form: Form)] = [
        "get": (2, .message(.operation)), "put": (3, .message(.operation)), "post": (4, .message(.operation)),
        "delete": (5, .message(.operation)), "options": (6, .message(.operation)), "head": (7, .message(.operation)),
        "patch": (8, .message(.operation)),
    ]

    private static func merging(
        _ fields: [String: (number: UInt64, form: Form)], _ more: [String: (number: UInt64, form: Form)]
    ) -> [String: (number: UInt64, form: Form)] { fields.merging(more) { first, _ in first } }

    /// What says which values a parameter may have, from the number of its `type` on.
    private static func values(from first: UInt64) -> [String: (number: UInt64, form: Form)] {
        let forms: [(String, Form)] = [
            ("type", .text), ("format", .text), ("items", .message(.primitives)), ("collectionFormat", .text),
            ("default", .any), ("maximum", .number), ("exclusiveMaximum", .flag), ("minimum", .number),
            ("exclusiveMinimum", .flag), ("maxLength", .integer), ("minLength", .integer), ("pattern", .text),
            ("maxItems", .integer), ("minItems", .integer), ("uniqueItems", .flag), ("enum", .anys),
            ("multipleOf", .number),
        ]
        var fields: [String: (number: UInt64, form: Form)] = [:]
        for (offset, (name, form)) in forms.enumerated() { fields[name] = (first + UInt64(offset), form) }
        return fields
    }

    private static let messages: [Grammar: Message] = [
        .document: Message(
            fields: [
                "swagger": (1, .text), "info": (2, .message(.info)), "host": (3, .text), "basePath": (4, .text),
                "schemes": (5, .texts), "consumes": (6, .texts), "produces": (7, .texts),
                "paths": (8, .map(.pathItem, pairs: 2)), "definitions": (9, .map(.schema, pairs: 1)),
                "parameters": (10, .map(.parameter, pairs: 1)), "responses": (11, .map(.response, pairs: 1)),
                "security": (12, .requirements), "securityDefinitions": (13, .map(.securityDefinition, pairs: 1)),
                "tags": (14, .messages(.tag)), "externalDocs": (15, .message(.externalDocs)),
            ], extensions: 16),
        .info: Message(
            fields: [
                "title": (1, .text), "version": (2, .text), "description": (3, .text), "termsOfService": (4, .text),
            ],
            extensions: 7),
        .tag: Message(
            fields: ["name": (1, .text), "description": (2, .text), "externalDocs": (3, .message(.externalDocs))],
            extensions: 4),
        .externalDocs: Message(fields: ["description": (1, .text), "url": (2, .text)], extensions: 3),
        .reference: Message(fields: ["$ref": (1, .text), "description": (2, .text)], extensions: 0),
        .pathItem: Message(
            fields: merging(["$ref": (1, .text), "parameters": (9, .parameters)], operations), extensions: 10),
        .operation: Message(
            fields: [
                "tags": (1, .texts), "summary": (2, .text), "description": (3, .text),
                "externalDocs": (4, .message(.externalDocs)), "operationId": (5, .text), "produces": (6, .texts),
                "consumes": (7, .texts), "parameters": (8, .parameters),
                "responses": (9, .map(.responseValue, pairs: 1)), "schemes": (10, .texts), "deprecated": (11, .flag),
                "security": (12, .requirements),
            ], extensions: 13),
        .response: Message(fields: ["description": (1, .text), "schema": (2, .wrapped(.schema))], extensions: 5),
        .securityDefinition: Message(
            fields: ["type": (1, .text), "name": (2, .text), "in": (3, .text), "description": (4, .text)],
            extensions: 5),
        .bodyParameter: Message(
            fields: [
                "description": (1, .text), "name": (2, .text), "in": (3, .text), "required": (4, .flag),
                "schema": (5, .message(.schema)),
            ], extensions: 6),
        // Parameters in a form's fields are written like those in the query.
        .otherParameter: Message(
            fields: merging(
                [
                    "required": (1, .flag), "in": (2, .text), "description": (3, .text), "name": (4, .text),
                    "allowEmptyValue": (5, .flag),
                ], values(from: 6)), extensions: 23),
        .headerParameter: Message(
            fields: merging(
                ["required": (1, .flag), "in": (2, .text), "description": (3, .text), "name": (4, .text)],
                values(from: 5)), extensions: 22),
        .pathParameter: Message(
            fields: merging(
                ["required": (1, .flag), "in": (2, .text), "description": (3, .text), "name": (4, .text)],
                values(from: 5)), extensions: 22),
        .primitives: Message(fields: values(from: 1), extensions: 18),
        .schema: Message(
            fields: [
                "$ref": (1, .text), "format": (2, .text), "title": (3, .text), "description": (4, .text),
                "default": (5, .any), "multipleOf": (6, .number), "maximum": (7, .number),
                "exclusiveMaximum": (8, .flag), "minimum": (9, .number), "exclusiveMinimum": (10, .flag),
                "maxLength": (11, .integer), "minLength": (12, .integer), "pattern": (13, .text),
                "maxItems": (14, .integer), "minItems": (15, .integer), "uniqueItems": (16, .flag),
                "maxProperties": (17, .integer), "minProperties": (18, .integer), "required": (19, .texts),
                "enum": (20, .anys), "additionalProperties": (21, .schemaOrFlag), "type": (22, .type),
                "items": (23, .items), "allOf": (24, .messages(.schema)), "properties": (25, .map(.schema, pairs: 1)),
                "discriminator": (26, .text), "readOnly": (27, .flag), "externalDocs": (29, .message(.externalDocs)),
                "example": (30, .any),
            ], extensions: 31),
    ]

    // MARK: Writing

    private static func write(_ object: Document, _ grammar: Grammar, to out: inout [UInt8]) {
        switch grammar {
        case .parameter: return writeParameter(object, to: &out)
        case .responseValue:
            let isReference = object["$ref"] != nil
            return ProtobufWire.message(isReference ? 2 : 1, to: &out) { out in
                write(object, isReference ? .reference : .response, to: &out)
            }
        case .securityDefinition:
            // The kind of credential chooses the field; ours are bearer tokens, which OpenAPI v2 calls API keys.
            guard object.text("type") == "apiKey" else { return }
            return ProtobufWire.message(2, to: &out) { writeMembers(object, grammar, to: &$0) }
        default: writeMembers(object, grammar, to: &out)
        }
    }

    private static func writeMembers(_ object: Document, _ grammar: Grammar, to out: inout [UInt8]) {
        guard let message = messages[grammar] else { return }
        for member in object.members {
            if let (number, form) = message.fields[member.key] {
                write(member.value, number, form, to: &out)
            } else if member.key.hasPrefix("x-"), message.extensions > 0 {
                ProtobufWire.message(message.extensions, to: &out) { out in
                    ProtobufWire.text(1, member.key, to: &out)
                    write(member.value, 2, .any, to: &out)
                }
            }
        }
    }

    private static func write(_ value: Document, _ number: UInt64, _ form: Form, to out: inout [UInt8]) {
        switch form {
        case .text: ProtobufWire.text(number, value.string ?? "", to: &out)
        case .texts: for each in value.elements { ProtobufWire.text(number, each.string ?? "", to: &out) }
        case .flag: ProtobufWire.integer(number, value.bool == true ? 1 : 0, to: &out)
        case .integer: ProtobufWire.integer(number, Int64(value.int ?? 0), to: &out)
        case .number:
            ProtobufWire.varint(number << 3 | 1, to: &out)
            var bits = (value.double ?? 0).bitPattern
            for _ in 0..<8 {
                out.append(UInt8(truncatingIfNeeded: bits))
                bits >>= 8
            }
        case .any: ProtobufWire.message(number, to: &out) { ProtobufWire.text(2, value.jsonText, to: &$0) }
        case .anys: for each in value.elements { write(each, number, .any, to: &out) }
        case .message(let grammar): ProtobufWire.message(number, to: &out) { write(value, grammar, to: &$0) }
        case .messages(let grammar):
            for each in value.elements { write(each, number, .message(grammar), to: &out) }
        case .wrapped(let grammar):
            ProtobufWire.message(number, to: &out) { write(value, 1, .message(grammar), to: &$0) }
        case .map(let grammar, let pairs):
            ProtobufWire.message(number, to: &out) { out in
                for member in value.members {
                    ProtobufWire.message(pairs, to: &out) { out in
                        ProtobufWire.text(1, member.key, to: &out)
                        write(member.value, 2, .message(grammar), to: &out)
                    }
                }
            }
        case .requirements: writeRequirements(value, number, to: &out)
        case .type:
            ProtobufWire.message(number, to: &out) { out in
                for each in value.isArray ? value.elements : [value] {
                    ProtobufWire.text(1, each.string ?? "", to: &out)
                }
            }
        case .items:
            ProtobufWire.message(number, to: &out) { out in
                for each in value.isArray ? value.elements : [value] { write(each, 1, .message(.schema), to: &out) }
            }
        case .schemaOrFlag:
            ProtobufWire.message(number, to: &out) { out in
                value.isObject ? write(value, 1, .message(.schema), to: &out) : write(value, 2, .flag, to: &out)
            }
        case .parameters:
            for each in value.elements {
                let isReference = each["$ref"] != nil
                ProtobufWire.message(number, to: &out) { out in
                    write(each, isReference ? 2 : 1, .message(isReference ? .reference : .parameter), to: &out)
                }
            }
        }
    }

    private static func writeRequirements(_ value: Document, _ number: UInt64, to out: inout [UInt8]) {
        for each in value.elements {
            ProtobufWire.message(number, to: &out) { out in
                for member in each.members {
                    ProtobufWire.message(1, to: &out) { out in
                        ProtobufWire.text(1, member.key, to: &out)
                        ProtobufWire.message(2, to: &out) { write(member.value, 1, .texts, to: &$0) }
                    }
                }
            }
        }
    }

    /// A body's schema (1), or another parameter (2), whose place chooses the field once more.
    private static func writeParameter(_ value: Document, to out: inout [UInt8]) {
        let place: (UInt64, Grammar)
        switch value.text("in") {
        case "body": return write(value, 1, .message(.bodyParameter), to: &out)
        case "header": place = (1, .headerParameter)
        case "formData": place = (2, .otherParameter)
        case "path": place = (4, .pathParameter)
        default: place = (3, .otherParameter)
        }
        ProtobufWire.message(2, to: &out) { write(value, place.0, .message(place.1), to: &$0) }
    }
}
