import Document

extension CEL.DeclaredType {
    /// The largest request that a server takes, which bounds everything that no schema bounds.
    private static let largestRequest = 3 * 1024 * 1024

    /// The type that expressions see for an OpenAPI schema; nil for what they cannot see.
    ///
    /// `isResourceRoot` for whole objects, whose type and name are always there.
    public static func schema(_ schema: Document, isResourceRoot: Bool = false) -> CEL.DeclaredType? {
        if schema.flag("x-kubernetes-int-or-string") == true {
            let most = schema.number("maxLength").map { max(0, $0) * 4 } ?? largestRequest - 2
            return CEL.DeclaredType(.dyn, maxElements: most, minSerializedSize: 1)
        }
        switch isResourceRoot ? "object" : schema.text("type") {
        case "array": return list(schema)
        case "object":
            if !isResourceRoot, let values = schema["additionalProperties"], values.isObject {
                return map(schema, values)
            }
            return object(schema, isResourceRoot: isResourceRoot)
        case "string": return string(schema)
        case "boolean": return CEL.DeclaredType(.bool, minSerializedSize: 4)
        case "number": return CEL.DeclaredType(.double, minSerializedSize: 1)
        case "integer": return CEL.DeclaredType(.int, minSerializedSize: 1)
        default: return nil
        }
    }

    private static func embedded(_ schema: Document) -> CEL.DeclaredType? {
        self.schema(schema, isResourceRoot: schema.flag("x-kubernetes-embedded-resource") == true)
    }

    private static func list(_ schema: Document) -> CEL.DeclaredType? {
        guard let items = schema["items"], let element = embedded(items) else { return nil }
        let most =
            schema.number("maxItems").map { max(0, $0) } ?? (largestRequest - 2) / (element.minSerializedSize + 1)
        let semantics: ListSemantics =
            switch schema.text("x-kubernetes-list-type") {
            case "set": .set
            case "map": .map(keys: schema.list("x-kubernetes-list-map-keys").compactMap(\.string))
            default: .sequence
            }
        return CEL.DeclaredType(listOf: element, maxElements: most, semantics: semantics)
    }

    private static func map(_ schema: Document, _ values: Document) -> CEL.DeclaredType? {
        guard let element = embedded(values) else { return nil }
        // A key, its quotes, a colon and a comma go with every value.
        let most =
            schema.number("maxProperties").map { max(0, $0) } ?? (largestRequest - 2) / (element.minSerializedSize + 6)
        return CEL.DeclaredType(mapOf: element, maxElements: most)
    }

    private static func object(_ schema: Document, isResourceRoot: Bool) -> CEL.DeclaredType {
        var fields: [String: Field] = [:]
        let required = Set(schema.list("required").compactMap(\.string))
        var smallest = 2
        func add(_ name: String, _ type: CEL.DeclaredType) {
            if let escaped = CEL.escapedName(name) { fields[escaped] = Field(member: name, type: type) }
        }
        for property in schema["properties"]?.members ?? [] {
            guard let type = embedded(property.value) else { continue }
            add(property.key, type)
            if required.contains(property.key), property.value["default"] == nil {
                smallest += property.key.utf8.count + type.minSerializedSize + 4
            }
        }
        if isResourceRoot {
            let text = CEL.DeclaredType(.string, maxElements: largestRequest - 2, minSerializedSize: 2)
            for name in ["apiVersion", "kind"] { add(name, text) }
            let names = ["name", "generateName"]
            add(
                "metadata",
                CEL.DeclaredType(
                    object: "object",
                    fields: Dictionary(uniqueKeysWithValues: names.map { ($0, Field(member: $0, type: text)) })))
        }
        return CEL.DeclaredType(object: "object", fields: fields, minSerializedSize: smallest)
    }

    private static func string(_ schema: Document) -> CEL.DeclaredType {
        let given = schema.number("maxLength").map { max(0, $0) }
        switch schema.text("format") {
        case "byte": return CEL.DeclaredType(.bytes, maxElements: given ?? largestRequest - 2, minSerializedSize: 2)
        case "duration": return CEL.DeclaredType(.duration, maxElements: 32, minSerializedSize: 3)
        case "date": return CEL.DeclaredType(.timestamp, maxElements: 12, minSerializedSize: 12)
        case "date-time": return CEL.DeclaredType(.timestamp, maxElements: 32, minSerializedSize: 21)
        default: break
        }
        // A character may take four bytes.
        var most = given.map { CEL.scaled($0) }
        let choices = schema.list("enum")
        if most == nil, !choices.isEmpty { most = choices.compactMap { $0.string?.utf8.count }.max() ?? 0 }
        return CEL.DeclaredType(.string, maxElements: most ?? largestRequest - 2, minSerializedSize: 2)
    }
}

extension CEL {
    fileprivate static func scaled(_ length: Int) -> Int {
        let (value, overflow) = length.multipliedReportingOverflow(by: 4)
        return overflow ? .max : value
    }

    private static let keywords: Set = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ]

    /// The name by which expressions select a property; nil for one that no expression can name.
    public static func escapedName(_ name: String) -> String? {
        guard let first = name.utf8.first, Formats.isAlphanumeric(first) || "_./-".utf8.contains(first),
            !(48...57).contains(first)
        else { return nil }
        if keywords.contains(name) { return "__\(name)__" }
        var result = ""
        var rest = Substring(name)
        while let character = rest.first {
            if rest.hasPrefix("__") {
                result += "__underscores__"
                rest = rest.dropFirst(2)
                continue
            }
            switch character {
            case ".": result += "__dot__"
            case "-": result += "__dash__"
            case "/": result += "__slash__"
            default:
                guard let byte = character.asciiValue, Formats.isAlphanumeric(byte) || character == "_" else {
                    return nil
                }
                result.append(character)
            }
            rest = rest.dropFirst()
        }
        return result
    }
}
