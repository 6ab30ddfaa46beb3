import Document

/// Cuts a group's text into lines without copying it.
public struct LineLexer {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var number = 0

    /// A static string's bytes live as long as the program, so lines may point into them.
    public init(_ text: StaticString) {
        bytes = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The next line that says something.
    public mutating func nextLine() -> Line? {
        while position < bytes.count {
            var end = position
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            var start = position
            position = end + 1
            number += 1
            while start < end, bytes[start] == UInt8(ascii: " ") { start += 1 }
            if start == end || bytes[start] == UInt8(ascii: "#") { continue }
            return Line(bytes: bytes, position: start, end: end, number: number, isIndented: isIndented(start))
        }
        return nil
    }

    private func isIndented(_ start: Int) -> Bool { start > 0 && bytes[start - 1] == UInt8(ascii: " ") }
}

/// One line, read from left to right.
public struct Line {
    let bytes: UnsafeBufferPointer<UInt8>
    var position: Int
    let end: Int
    let number: Int
    public let isIndented: Bool

    private mutating func skipBlanks() {
        while position < end, bytes[position] == UInt8(ascii: " ") { position += 1 }
    }

    /// The next word; nil at the end of the line and at a quoted text.
    public mutating func word() -> String? {
        skipBlanks()
        guard position < end, bytes[position] != UInt8(ascii: "\"") else { return nil }
        let start = position
        while position < end, bytes[position] != UInt8(ascii: " ") { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// The quoted text that comes next, without its quotes; there are no escapes in it.
    public mutating func text() -> String? {
        skipBlanks()
        guard position < end, bytes[position] == UInt8(ascii: "\"") else { return nil }
        let start = position + 1
        position = start
        while position < end, bytes[position] != UInt8(ascii: "\"") { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if position < end { position += 1 }
        return text
    }

    public mutating func wordOrText() -> String? { word() ?? text() }

    /// A default: JSON, or a bare word for a string.
    public mutating func value() -> Document? {
        if let word = word() { return Self.document(word) }
        return text().map { Document($0) }
    }

    static func document(_ text: String) -> Document {
        if text == "\"\"" { return "" }
        return (try? Document(json: text)) ?? Document(text)
    }
}

extension String {
    /// The parts between commas.
    public var commaList: [String] { split(separator: ",").map(String.init) }

    /// What follows `prefix`, nil when it does not stand there.
    public func value(of prefix: String) -> String? {
        utf8.starts(with: prefix.utf8) ? String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
    }

    /// What stands between the parentheses of `name(…)`.
    func arguments(of name: String) -> String? {
        guard utf8.last == UInt8(ascii: ")"), let rest = value(of: name + "(") else { return nil }
        return String(rest.dropLast())
    }
}
