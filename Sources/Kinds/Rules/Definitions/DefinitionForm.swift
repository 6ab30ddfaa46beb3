import Document
import Schema

/// The names that the parts of a definition have inside a Kubernetes server, whose error messages show them.
enum DefinitionForm {
    static func versions(_ spec: DefinitionSpec) -> Document {
        Document(
            spec.versions.map { version -> Document in
                [
                    "Name": Document(version.name), "Served": Document(version.served),
                    "Storage": Document(version.storage), "Deprecated": Document(version.deprecated),
                    "DeprecationWarning": version.deprecationWarning.map { Document($0) } ?? .null,
                    "Schema": version.schema.map { wrapped($0) } ?? .null,
                    "Subresources": version.subresources.map(subresources) ?? .null,
                    "AdditionalPrinterColumns": list(version.columns, column),
                    "SelectableFields": list(version.selectableFields) {
                        ["JSONPath": Document($0.text("jsonPath") ?? "")]
                    },
                ]
            })
    }

    private static func wrapped(_ validation: Document) -> Document {
        ["OpenAPIV3Schema": validation["openAPIV3Schema"].map(schema) ?? .null]
    }

    private static func list(_ elements: [Document], _ form: (Document) -> Document) -> Document {
        elements.isEmpty ? .null : Document(elements.map(form))
    }

    private static func subresources(_ given: Document) -> Document {
        let scale = given["scale"].map { scale -> Document in
            [
                "SpecReplicasPath": scale["specReplicasPath"] ?? "",
                "StatusReplicasPath": scale["statusReplicasPath"] ?? "",
                "LabelSelectorPath": scale["labelSelectorPath"] ?? .null,
            ]
        }
        return ["Status": given["status"] == nil ? .null : .emptyObject, "Scale": scale ?? .null]
    }

    private static func column(_ column: Document) -> Document {
        [
            "Name": column["name"] ?? "", "Type": column["type"] ?? "", "Format": column["format"] ?? "",
            "Description": column["description"] ?? "", "Priority": column["priority"] ?? 0,
            "JSONPath": column["jsonPath"] ?? "",
        ]
    }

    static func rule(_ rule: Document) -> Document {
        [
            "Rule": rule["rule"] ?? "", "Message": rule["message"] ?? "",
            "MessageExpression": rule["messageExpression"] ?? "", "Reason": rule["reason"] ?? .null,
            "FieldPath": rule["fieldPath"] ?? "", "OptionalOldSelf": rule["optionalOldSelf"] ?? .null,
        ]
    }

    /// The fields of a schema in the order of the server's structure, with their zeros.
    private static let fields: [(name: String, member: String, zero: Document)] = [
        ("ID", "id", ""), ("Schema", "$schema", ""), ("Ref", "$ref", .null), ("Description", "description", ""),
        ("Type", "type", ""), ("Nullable", "nullable", false), ("Format", "format", ""), ("Title", "title", ""),
        ("Default", "default", .null), ("Maximum", "maximum", .null), ("ExclusiveMaximum", "exclusiveMaximum", false),
        ("Minimum", "minimum", .null), ("ExclusiveMinimum", "exclusiveMinimum", false),
        ("MaxLength", "maxLength", .null), ("MinLength", "minLength", .null), ("Pattern", "pattern", ""),
        ("MaxItems", "maxItems", .null), ("MinItems", "minItems", .null), ("UniqueItems", "uniqueItems", false),
        ("MultipleOf", "multipleOf", .null), ("Enum", "enum", .null), ("MaxProperties", "maxProperties", .null),
        ("MinProperties", "minProperties", .null), ("Required", "required", .null), ("Items", "items", .null),
        ("AllOf", "allOf", .null), ("OneOf", "oneOf", .null), ("AnyOf", "anyOf", .null), ("Not", "not", .null),
        ("Properties", "properties", .null), ("AdditionalProperties", "additionalProperties", .null),
        ("PatternProperties", "patternProperties", .null), ("Dependencies", "dependencies", .null),
        ("AdditionalItems", "additionalItems", .null), ("Definitions", "definitions", .null),
        ("ExternalDocs", "externalDocs", .null), ("Example", "example", .null),
        ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", .null),
        ("XEmbeddedResource", "x-kubernetes-embedded-resource", false),
        ("XIntOrString", "x-kubernetes-int-or-string", false),
        ("XListMapKeys", "x-kubernetes-list-map-keys", .null), ("XListType", "x-kubernetes-list-type", .null),
        ("XMapType", "x-kubernetes-map-type", .null), ("XValidations", "x-kubernetes-validations", .null),
    ]

    static func schema(_ given: Document) -> Document {
        Document(
            members: fields.map { field -> (String, Document) in
                guard let value = given[field.member] else { return (field.name, field.zero) }
                return (field.name, converted(value, field.member))
            })
    }

    private static func converted(_ value: Document, _ member: String) -> Document {
        switch member {
        case "allOf", "oneOf", "anyOf": return Document(value.elements.map(schema))
        case "not": return schema(value)
        case "properties", "patternProperties", "definitions":
            return Document(
                members: value.members.sorted { $0.key < $1.key }.map { ($0.key, schema($0.value)) })
        case "items":
            return value.isArray
                ? ["Schema": .null, "JSONSchemas": Document(value.elements.map(schema))]
                : ["Schema": schema(value), "JSONSchemas": .null]
        case "additionalProperties", "additionalItems":
            if let allows = value.bool { return ["Allows": Document(allows), "Schema": .null] }
            return ["Allows": true, "Schema": schema(value)]
        case "x-kubernetes-validations": return Document(value.elements.map(rule))
        default: return value
        }
    }

    /// The fields of the schema that are given, by their names in the server.
    static func givenFields(_ schema: Document) -> [String] {
        fields.filter { field in schema[field.member].map { $0 != field.zero } ?? false }.map(\.name)
    }
}
