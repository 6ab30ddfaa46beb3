import Document

/// Says what is wrong with a JSON text in the words of Go's parser, which clients of Kubernetes know.
enum GoJSON {
    static func message(for error: any Error, in bytes: [UInt8]) -> String {
        guard let error = error as? DocumentError else { return "\(error)" }
        if bytes.isEmpty || error.message.hasPrefix("unexpected end") { return "unexpected end of JSON input" }
        guard let index = offset(of: error, in: bytes), index < bytes.count else {
            return error.message.hasPrefix("expected") ? "unexpected end of JSON input" : error.message
        }
        let place: String
        switch error.message {
        case "text after the value": place = "after top-level value"
        case "expected a member name": place = "looking for beginning of object key string"
        case "expected ':' after a member name": place = "after object key"
        case "expected ',' or '}'": place = "after object key:value pair"
        case "expected ',' or ']'": place = "after array element"
        case "unexpected character", "invalid literal": place = "looking for beginning of value"
        case "control character in a string": place = "in string literal"
        default: return error.message
        }
        return "invalid character \(quoted(bytes[index])) \(place)"
    }

    /// What is wrong with a YAML text; the reader says it in Go's words already.
    static func yamlMessage(for error: any Error) -> String {
        "yaml: " + ((error as? DocumentError)?.message ?? "\(error)")
    }

    /// What Go calls a JSON value.
    static func name(of value: Document) -> String {
        switch value.kind {
        case .null: "null"
        case .bool: "bool"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private static func offset(of error: DocumentError, in bytes: [UInt8]) -> Int? {
        var line = 1
        var start = 0
        while line < error.line {
            guard let end = bytes[start...].firstIndex(of: 10) else { return nil }
            start = end + 1
            line += 1
        }
        return start + error.column - 1
    }

    private static func quoted(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "'"): "'\\''"
        case 10: "'\\n'"
        case 9: "'\\t'"
        default: "'\(Unicode.Scalar(byte))'"
        }
    }
}
