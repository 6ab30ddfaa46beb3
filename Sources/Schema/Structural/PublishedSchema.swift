import Document

/// A custom resource's schema as OpenAPI 2 can say it.
///
/// That version has no alternatives, no negation and no null beside another type. What it cannot say is left out, so
/// that clients check less and never refuse what the server takes.
enum PublishedSchema {
    private static let unsaid: Set = [
        "oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations", "default", "title",
    ]

    static func version2(_ schema: Document) -> Document {
        var result = schema
        for name in unsaid { result[name] = nil }
        // A value that may be null, or of two types, has no one type; what is inside it cannot be told either.
        let isOpen = schema.flag("nullable") == true || schema.flag("x-kubernetes-int-or-string") == true
        let keepsUnknown = schema.flag("x-kubernetes-preserve-unknown-fields") == true
        if isOpen {
            for name in ["type", "items", "properties", "additionalProperties"] { result[name] = nil }
            return result
        }
        if keepsUnknown { for name in ["items", "properties"] where name == "items" { result[name] = nil } }
        if let members = result["properties"], members.isObject {
            result["properties"] = Document(members: members.members.map { ($0.key, version2($0.value)) })
        }
        for name in ["items", "additionalProperties"] {
            if let inner = result[name], inner.isObject { result[name] = version2(inner) }
        }
        return result
    }
}
