/// RFC 8259, strictly: what is no JSON there is refused here. Two liberties that the RFC leaves open:
/// a member that comes twice keeps the last value, and a lone surrogate escape reads as U+FFFD.
struct JSONReader {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var index = 0
    private let wantsDuplicates: Bool
    /// Where the reader is, kept only while duplicates are wanted.
    private var path: [PathStep] = []
    private(set) var duplicates: [String] = []

    init(bytes: UnsafeBufferPointer<UInt8>, wantsDuplicates: Bool) {
        self.bytes = bytes
        self.wantsDuplicates = wantsDuplicates
    }

    mutating func parse() throws -> Document {
        let value = try value(depth: 0)
        skipSpace()
        if index < bytes.count { throw error("text after the value") }
        return value
    }

    private func error(_ message: String) -> DocumentError {
        var line = 1
        var column = 1
        for byte in bytes[..<min(index, bytes.count)] {
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
        while index < bytes.count {
            switch bytes[index] {
            case 32, 9, 10, 13: index += 1
            default: return
            }
        }
    }

    /// Takes `byte` where it is next, after white space.
    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
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

    private mutating func literal(_ word: StaticString, _ value: Document) throws -> Document {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count else { throw error("unexpected end") }
        for offset in 0..<word.utf8CodeUnitCount where bytes[index + offset] != word.utf8Start[offset] {
            throw error("invalid literal")
        }
        index = end
        return value
    }

    // MARK: Containers

    private mutating func object(depth: Int) throws -> Document {
        index += 1
        if take(UInt8(ascii: "}")) { return .emptyObject }
        var members: [Document.Member] = []
        var places: [String: Int]?
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw error("expected a member name") }
            let key = try string()
            guard take(UInt8(ascii: ":")) else { throw error("expected ':' after a member name") }
            if wantsDuplicates { path.append(.key(key)) }
            let value = try value(depth: depth + 1)
            let existing = Self.place(of: key, in: members, index: &places)
            if let existing {
                if wantsDuplicates { duplicates.append(PathStep.text(of: path)) }
                members[existing].value = value
            } else {
                places?[key] = members.count
                members.append(Document.Member(key: key, value: value))
            }
            if wantsDuplicates { path.removeLast() }
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "}")) { return Document(.object(members)) }
            throw error(index < bytes.count ? "expected ',' or '}'" : "unexpected end of an object")
        }
    }

    /// Small objects are searched in a row; large ones get an index, or a hostile one would cost squared time.
    private static func place(
        of key: String, in members: [Document.Member], index: inout [String: Int]?
    ) -> Int? {
        if let index { return index[key] }
        if members.count < 16 { return members.firstIndex { $0.key == key } }
        var made: [String: Int] = [:]
        for (place, member) in members.enumerated() { made[member.key] = place }
        index = made
        return made[key]
    }

    private mutating func array(depth: Int) throws -> Document {
        index += 1
        if take(UInt8(ascii: "]")) { return .emptyArray }
        var elements: [Document] = []
        while true {
            if wantsDuplicates { path.append(.index(elements.count)) }
            elements.append(try value(depth: depth + 1))
            if wantsDuplicates { path.removeLast() }
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "]")) { return Document(.array(elements)) }
            throw error(index < bytes.count ? "expected ',' or ']'" : "unexpected end of an array")
        }
    }

    // MARK: Strings

    private mutating func string() throws -> String {
        index += 1
        let start = index
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                let text = try text(bytes[start..<index])
                index += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 32 { throw error("control character in a string") }
            index += 1
        }
        throw error("unexpected end of a string")
    }

    private func text(_ slice: some Collection<UInt8>) throws -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw error("invalid UTF-8 in a string") }
        return text
    }

    private mutating func escapedString(from start: Int) throws -> String {
        var out = Array(bytes[start..<index])
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                let text = try text(out)
                index += 1
                return text
            case UInt8(ascii: "\\"):
                index += 1
                try escape(into: &out)
            case 0..<32: throw error("control character in a string")
            default:
                out.append(byte)
                index += 1
            }
        }
        throw error("unexpected end of a string")
    }

    private mutating func escape(into out: inout [UInt8]) throws {
        guard index < bytes.count else { throw error("unexpected end of a string") }
        let byte = bytes[index]
        switch byte {
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "u"):
            index += 1
            let scalar = try scalar()
            out += UTF8.encode(scalar).map(Array.init) ?? []
            return
        default: throw error("invalid escape in a string")
        }
        index += 1
    }

    /// After `\u`: one code unit, or two that are a surrogate pair.
    private mutating func scalar() throws -> Unicode.Scalar {
        let code = try hexQuad()
        guard (0xD800..<0xDC00).contains(code), index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
            bytes[index + 1] == UInt8(ascii: "u")
        else { return Unicode.Scalar(code) ?? "\u{FFFD}" }
        let saved = index
        index += 2
        let low = try hexQuad()
        if (0xDC00..<0xE000).contains(low) {
            return Unicode.Scalar(0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)) ?? "\u{FFFD}"
        }
        index = saved
        return "\u{FFFD}"
    }

    private mutating func hexQuad() throws -> UInt32 {
        guard index + 4 <= bytes.count else { throw error("invalid \\u escape") }
        var code: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            guard let digit = Self.hexDigit(byte) else { throw error("invalid \\u escape") }
            code = code << 4 | digit
        }
        index += 4
        return code
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 48...57: UInt32(byte - 48)
        case 65...70: UInt32(byte - 55)
        case 97...102: UInt32(byte - 87)
        default: nil
        }
    }

    // MARK: Numbers

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private mutating func number() throws -> Document {
        let start = index
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        let whole = index
        let digits = skipDigits()
        guard digits > 0 else {
            index = start
            throw error("unexpected character")
        }
        guard digits == 1 || bytes[whole] != UInt8(ascii: "0") else {
            index = whole
            throw error("a number starts with 0")
        }
        var isWhole = true
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            isWhole = false
            index += 1
            guard skipDigits() > 0 else { throw error("a number has no digits after its point") }
        }
        if index < bytes.count, bytes[index] | 32 == UInt8(ascii: "e") {
            isWhole = false
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index += 1
            }
            guard skipDigits() > 0 else { throw error("a number has no digits in its exponent") }
        }
        if isWhole, let value = wholeNumber(start..<index) { return Document(value) }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard let value = Double(text), value.isFinite else { throw error("the number \(text) is out of range") }
        return Document(value)
    }

    private mutating func skipDigits() -> Int {
        let start = index
        while index < bytes.count, bytes[index] >= 48, bytes[index] <= 57 { index += 1 }
        return index - start
    }

    private func wholeNumber(_ range: Range<Int>) -> Int64? {
        let negative = bytes[range.lowerBound] == UInt8(ascii: "-")
        var value: Int64 = 0
        for byte in bytes[range.lowerBound + (negative ? 1 : 0)..<range.upperBound] {
            let (scaled, over) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - 48)
            let (next, overAgain) = scaled.addingReportingOverflow(negative ? -digit : digit)
            if over || overAgain { return nil }
            value = next
        }
        return value
    }
}
