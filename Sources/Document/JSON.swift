/// Why a text is no document, with the place.
public struct DocumentError: Error, Sendable, CustomStringConvertible, Equatable {
    public var message: String
    public var line: Int
    public var column: Int

    public init(message: String, line: Int, column: Int) {
        self.message = message
        self.line = line
        self.column = column
    }

    public var description: String { "line \(line), column \(column): \(message)" }
}

extension Document {
    /// Limits of one parse: nesting is bounded so that garbage cannot exhaust the stack.
    public static let deepestNesting = 1_000

    public init(json bytes: some Sequence<UInt8>) throws {
        var parser = JSONParser(bytes: Array(bytes))
        self = try parser.parse()
    }

    public init(json text: String) throws { try self.init(json: text.utf8) }

    /// Compact JSON.
    public var json: [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    public var jsonText: String { String(decoding: json, as: UTF8.self) }

    /// Appends compact JSON.
    public func write(to out: inout [UInt8]) {
        switch representation {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .int(let value): out += String(value).utf8
        case .double(let value): out += Self.text(of: value).utf8
        case .string(let value): Self.write(value, to: &out)
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                element.write(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Self.write(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                member.value.write(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    private static func text(of value: Double) -> String {
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    static func write(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): out += "\\\"".utf8
            case UInt8(ascii: "\\"): out += "\\\\".utf8
            case 10: out += "\\n".utf8
            case 13: out += "\\r".utf8
            case 9: out += "\\t".utf8
            case 0..<32:
                out += "\\u00".utf8
                out.append(byte < 16 ? 48 : 49)
                out.append("0123456789abcdef".utf8.dropFirst(Int(byte & 15)).first ?? 48)
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}

struct JSONParser {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func parse() throws -> Document {
        let value = try value(depth: 0)
        skipSpace()
        if index < bytes.count { throw error("text after the value") }
        return value
    }

    private func error(_ message: String) -> DocumentError {
        var line = 1
        var column = 1
        for byte in bytes.prefix(index) {
            if byte == 10 {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return DocumentError(message: message, line: line, column: column)
    }

    private mutating func skipSpace() {
        while index < bytes.count, [32, 9, 10, 13].contains(bytes[index]) { index += 1 }
    }

    private mutating func value(depth: Int) throws -> Document {
        guard depth < Document.deepestNesting else { throw error("nested too deeply") }
        skipSpace()
        guard index < bytes.count else { throw error("unexpected end") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return Document(try string())
        case UInt8(ascii: "t"): return try literal("true", true)
        case UInt8(ascii: "f"): return try literal("false", false)
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    private mutating func literal(_ word: String, _ value: Document) throws -> Document {
        guard bytes[index...].starts(with: word.utf8) else { throw error("invalid literal") }
        index += word.utf8.count
        return value
    }

    private mutating func object(depth: Int) throws -> Document {
        index += 1
        var members: [(String, Document)] = []
        skipSpace()
        if index < bytes.count, bytes[index] == UInt8(ascii: "}") {
            index += 1
            return .emptyObject
        }
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw error("expected a member name") }
            let key = try string()
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: ":") else { throw error("expected ':'") }
            index += 1
            members.append((key, try value(depth: depth + 1)))
            skipSpace()
            guard index < bytes.count else { throw error("unexpected end of an object") }
            index += 1
            if bytes[index - 1] == UInt8(ascii: "}") { return Document(members: members) }
            if bytes[index - 1] != UInt8(ascii: ",") { throw error("expected ',' or '}'") }
        }
    }

    private mutating func array(depth: Int) throws -> Document {
        index += 1
        var elements: [Document] = []
        skipSpace()
        if index < bytes.count, bytes[index] == UInt8(ascii: "]") {
            index += 1
            return .emptyArray
        }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            guard index < bytes.count else { throw error("unexpected end of an array") }
            index += 1
            if bytes[index - 1] == UInt8(ascii: "]") { return Document(elements) }
            if bytes[index - 1] != UInt8(ascii: ",") { throw error("expected ',' or ']'") }
        }
    }

    private mutating func string() throws -> String {
        index += 1
        var out: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: out, as: UTF8.self) else { throw error("invalid UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                try escape(into: &out)
            case 0..<32: throw error("control character in a string")
            default: out.append(byte)
            }
        }
        throw error("unexpected end of a string")
    }

    private mutating func escape(into out: inout [UInt8]) throws {
        guard index < bytes.count else { throw error("unexpected end of a string") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "u"):
            var code = try hexQuad()
            if (0xD800..<0xDC00).contains(code), bytes[index...].starts(with: "\\u".utf8) {
                let saved = index
                index += 2
                let low = try hexQuad()
                if (0xDC00..<0xE000).contains(low) {
                    code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                } else {
                    index = saved
                }
            }
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            out += String(Character(scalar)).utf8
        default: throw error("invalid escape")
        }
    }

    private mutating func hexQuad() throws -> UInt32 {
        guard index + 4 <= bytes.count,
            let code = UInt32(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
        else { throw error("invalid \\u escape") }
        index += 4
        return code
    }

    private mutating func number() throws -> Document {
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if !text.utf8.contains(where: { ".eE".utf8.contains($0) }), let value = Int64(text) { return Document(value) }
        guard let value = Double(text) else {
            index = start
            throw error("unexpected character")
        }
        return Document(value)
    }
}
