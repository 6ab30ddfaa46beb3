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
    /// What a server takes from its clients: less, because it puts what it takes into lists, events, reviews and
    /// accounts of fields, which must be readable in their turn.
    public static let deepestInput = 900

    public init(json bytes: [UInt8], deepest: Int = deepestNesting) throws {
        let tape = try bytes.withUnsafeBufferPointer { try TapeParser.parse($0, deepest: deepest) }
        self = tape.document(0)
    }

    public init(json bytes: some Sequence<UInt8>) throws {
        let tape = try Self.parse(bytes)
        self = tape.document(0)
    }

    public init(json text: String) throws { try self.init(json: text.utf8) }

    /// Also tells the paths of members that came more than once in their object, such as
    /// `spec.containers[0].image`; the last one is the one that counts.
    public init(json bytes: some Sequence<UInt8>, duplicates: inout [String]) throws {
        let tape = try Self.parse(bytes)
        duplicates = tape.duplicatePaths()
        self = tape.document(0)
    }

    private static func parse(_ bytes: some Sequence<UInt8>) throws -> Tape {
        if let tape = try bytes.withContiguousStorageIfAvailable({ try TapeParser.parse($0) }) { return tape }
        return try Array(bytes).withUnsafeBufferPointer { try TapeParser.parse($0) }
    }

    /// Compact JSON.
    public var json: [UInt8] {
        var out: [UInt8] = []
        if case .tape(let tape, let index) = representation {
            out.reserveCapacity(tape.source(tape.nodes[Int(index)]).count)
        }
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
        case .tape(let tape, let index): tape.write(index, to: &out)
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

    /// JSON for people: one value a line, each level two blanks further in.
    public var indentedJSON: [UInt8] {
        var out: [UInt8] = []
        writeIndented(to: &out, level: 0)
        return out
    }

    private func writeIndented(to out: inout [UInt8], level: Int) {
        func line(_ level: Int) {
            out.append(10)
            out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: level * 2))
        }
        guard count > 0 else { return write(to: &out) }
        out.append(UInt8(ascii: isArray ? "[" : "{"))
        if isArray {
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                line(level + 1)
                element.writeIndented(to: &out, level: level + 1)
            }
        } else {
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                line(level + 1)
                Self.write(member.key, to: &out)
                out += ": ".utf8
                member.value.writeIndented(to: &out, level: level + 1)
            }
        }
        line(level)
        out.append(UInt8(ascii: isArray ? "]" : "}"))
    }

    /// The shortest text that reads back as the same number. JSON has no infinity and no NaN: they become null.
    static func text(of value: Double) -> String {
        guard value.isFinite else { return "null" }
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    static func write(_ text: String, to out: inout [UInt8]) {
        var text = text
        out.append(UInt8(ascii: "\""))
        text.withUTF8 { bytes in
            var start = 0
            for index in 0..<bytes.count {
                let byte = bytes[index]
                if byte >= 32, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
                out += bytes[start..<index]
                start = index + 1
                switch byte {
                case UInt8(ascii: "\""): out += "\\\"".utf8
                case UInt8(ascii: "\\"): out += "\\\\".utf8
                case 10: out += "\\n".utf8
                case 13: out += "\\r".utf8
                case 9: out += "\\t".utf8
                default:
                    out += "\\u00".utf8
                    out.append(hexDigits[Int(byte >> 4)])
                    out.append(hexDigits[Int(byte & 15)])
                }
            }
            out += bytes[start...]
        }
        out.append(UInt8(ascii: "\""))
    }
}
