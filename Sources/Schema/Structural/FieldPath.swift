/// A path of fields as validation rules and selectable fields write it: `.spec.ports`, `.map['key'].name`.
public enum FieldPath {
    public struct ParseError: Error, Sendable, CustomStringConvertible { public let description: String }

    /// The names on the way and the schema at the end, nil where the way leads into what the schema leaves open.
    public static func resolve(
        _ text: String, in root: StructuralSchema, allowsIndices: Bool
    ) throws(ParseError) -> (names: [String], schema: StructuralSchema?) {
        var names: [String] = []
        var here: StructuralSchema? = root
        for step in try steps(text) {
            switch step {
            case .name(let name):
                guard let schema = here else { throw ParseError(description: "does not refer to a valid field") }
                if names.isEmpty, name == "metadata" {
                    names.append(name)
                    here = schema.property(name)
                    continue
                }
                guard let inner = schema.property(name) ?? schema.additional.schema else {
                    throw ParseError(description: "does not refer to a valid field")
                }
                names.append(name)
                here = inner
            case .index(let index):
                guard allowsIndices, let items = here?.items else {
                    throw ParseError(description: "array notation is not supported here")
                }
                names.append("[\(index)]")
                here = items
            }
        }
        return (names, here)
    }

    private enum Step {
        case name(String)
        case index(Int)
    }

    private static func steps(_ text: String) throws(ParseError) -> [Step] {
        var rest = Substring(text)
        var steps: [Step] = []
        func malformed(_ what: String) -> ParseError { ParseError(description: what) }
        guard !rest.isEmpty else { throw malformed("path must not be empty") }
        while let first = rest.first {
            rest = rest.dropFirst()
            if first == "." {
                let name = rest.prefix { $0 != "." && $0 != "[" }
                guard !name.isEmpty else { throw malformed("unexpected end of path") }
                steps.append(.name(String(name)))
                rest = rest.dropFirst(name.count)
                continue
            }
            guard first == "[" else { throw malformed("expected [ or . but got: \(first)") }
            if rest.first == "'" {
                rest = rest.dropFirst()
                var name = ""
                while let character = rest.first, character != "'" {
                    rest = rest.dropFirst()
                    if character == "\\", let escaped = rest.first {
                        rest = rest.dropFirst()
                        name.append(escaped)
                    } else {
                        name.append(character)
                    }
                }
                guard rest.hasPrefix("']") else { throw malformed("unterminated string in path") }
                rest = rest.dropFirst(2)
                steps.append(.name(name))
            } else {
                let digits = rest.prefix { $0 != "]" }
                guard let index = Int(digits), index >= 0, digits.count < rest.count else {
                    throw malformed("expected a quoted name or an index in brackets")
                }
                rest = rest.dropFirst(digits.count + 1)
                steps.append(.index(index))
            }
        }
        return steps
    }
}
