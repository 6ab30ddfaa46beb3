import Document

/// Which field values are wanted: `metadata.name=a,status.phase!=Running`.
public struct FieldSelector: Sendable, Equatable {
    public struct Term: Sendable, Equatable {
        public var field: String
        public var value: String
        public var isNegated: Bool
    }

    public struct ParseError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    public private(set) var terms: [Term] = []

    public init() {}

    /// Backslashes protect commas and equal signs inside values. Read by scalars: a combining mark behind a comma must
    /// not hide it.
    public init(parsing text: String) throws {
        for part in Self.split(text) where !part.isEmpty {
            guard let equal = part.firstIndex(of: "=") else {
                throw ParseError(
                    description: "invalid selector: '\(text)'; can't understand '\(String(part))'")
            }
            var field = part[..<equal]
            var value = part[part.index(after: equal)...]
            let isNegated = field.last == "!"
            if isNegated { field = field.dropLast() }
            if !isNegated, value.first == "=" { value = value.dropFirst() }
            terms.append(Term(field: String(field), value: Self.unescaped(value), isNegated: isNegated))
        }
    }

    private static func split(_ text: String) -> [Substring.UnicodeScalarView] {
        var parts: [Substring.UnicodeScalarView] = []
        var escaped = false
        let scalars = text[...].unicodeScalars
        var start = scalars.startIndex
        for index in scalars.indices {
            if scalars[index] == ",", !escaped {
                parts.append(scalars[start..<index])
                start = scalars.index(after: index)
            }
            escaped = scalars[index] == "\\" && !escaped
        }
        return parts + [scalars[start...]]
    }

    private static func unescaped(_ text: Substring.UnicodeScalarView) -> String {
        var result = ""
        var escaped = false
        for scalar in text {
            if scalar == "\\", !escaped {
                escaped = true
            } else {
                result.unicodeScalars.append(scalar)
                escaped = false
            }
        }
        return result
    }

    /// A value as it can stand in a selector.
    public static func escaped(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            if scalar == "\\" || scalar == "," || scalar == "=" { result.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    public var isEmpty: Bool { terms.isEmpty }

    public func matches(_ fields: [String: String]) -> Bool {
        terms.allSatisfy { ((fields[$0.field] ?? "") == $0.value) != $0.isNegated }
    }
}

extension Kinds {
    /// The fields of an object that field selectors may name.
    public static func selectableFields(of object: Document, resource: ResourceInfo) -> [String: String] {
        var fields = ["metadata.name": object.text("metadata", "name") ?? ""]
        if resource.namespaced { fields["metadata.namespace"] = object.text("metadata", "namespace") ?? "" }
        for (name, value) in rules(for: resource).selectableFields(object) { fields[name] = value }
        return fields
    }
}
