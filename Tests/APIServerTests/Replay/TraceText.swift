import Basics
import Document

/// Finds and replaces what differs from run to run within texts. All patterns are ASCII.
enum TraceText {
    /// Replaces whatever `match` finds, from left to right; it gets the bytes and a place, and gives the end of what
    /// begins there and what stands for it.
    static func replacing(
        _ text: String, _ match: (ArraySlice<UInt8>) -> (length: Int, with: String)?
    ) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        // What has been looked at and not copied yet begins at `kept`.
        var (kept, index) = (0, 0)
        while index < bytes.count {
            guard let (length, with) = match(bytes[index...]), length > 0 else {
                index += 1
                continue
            }
            out += bytes[kept..<index]
            out += Array(with.utf8)
            index += length
            kept = index
        }
        return kept == 0 ? text : String(decoding: out + bytes[kept...], as: UTF8.self)
    }

    static func replacing(_ text: String, _ literal: String, _ with: String) -> String {
        guard !literal.isEmpty, text.contains(literal) else { return text }
        return text.split(separator: literal, omittingEmptySubsequences: false).joined(separator: with)
    }

    static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
    static func isWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || (97...122).contains(byte | 32) && byte < 128 || byte == 95
    }

    /// The length of a UUID that stands here; those of fixed objects begin with zeros and stay.
    static func uuid(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 36 else { return nil }
        let start = bytes.startIndex
        for offset in 0..<36 {
            let byte = bytes[start + offset]
            if [8, 13, 18, 23].contains(offset) {
                guard byte == 45 else { return nil }
            } else {
                guard isDigit(byte) || (97...102).contains(byte) else { return nil }
            }
        }
        return bytes.prefix(9).elementsEqual(Array("00000000-".utf8)) ? nil : 36
    }

    /// The length of a time that stands here, and where its zone begins.
    static func time(_ bytes: ArraySlice<UInt8>) -> (length: Int, hasFraction: Bool)? {
        let shape = Array("dddd-dd-ddTdd:dd:dd".utf8)
        guard bytes.count > shape.count else { return nil }
        for (byte, wanted) in zip(bytes, shape) {
            guard wanted == UInt8(ascii: "d") ? isDigit(byte) : byte == wanted else { return nil }
        }
        var rest = bytes.dropFirst(shape.count)
        var hasFraction = false
        if rest.first == 46 {
            let digits = rest.dropFirst().prefix { isDigit($0) }
            guard !digits.isEmpty else { return nil }
            rest = rest.dropFirst(1 + digits.count)
            hasFraction = true
        }
        if rest.first == UInt8(ascii: "Z") { return (bytes.count - rest.count + 1, hasFraction) }
        let zone = Array(rest.prefix(6))
        guard zone.count == 6, zone[0] == 43 || zone[0] == 45, isDigit(zone[1]), isDigit(zone[2]), zone[3] == 58,
            isDigit(zone[4]), isDigit(zone[5])
        else { return nil }
        return (bytes.count - rest.count + 6, hasFraction)
    }

    /// The length of a signed token that stands here.
    static func token(_ bytes: ArraySlice<UInt8>) -> Int? {
        let head = Array("eyJ".utf8)
        var rest = bytes
        for part in 0..<3 {
            if part < 2 { guard rest.starts(with: head) else { return nil } }
            let text = rest.prefix { isWord($0) || $0 == 45 }
            guard !text.isEmpty, part == 2 || text.count > 3 else { return nil }
            rest = rest.dropFirst(text.count)
            if part < 2 {
                guard rest.first == 46 else { return nil }
                rest = rest.dropFirst()
            }
        }
        return bytes.count - rest.count
    }

    /// `resourceVersion … 123 (124)`: the numbers of revisions in messages.
    static func revision(_ bytes: ArraySlice<UInt8>) -> (length: Int, with: String)? {
        let heads = ["resourceversion", "resource version", "too old", "current"]
        let lowered = bytes.prefix(16).map { (65...90).contains($0) ? $0 | 32 : $0 }
        guard let head = heads.first(where: { lowered.starts(with: Array($0.utf8)) }) else { return nil }
        var rest = bytes.dropFirst(head.utf8.count)
        let between = rest.prefix(51).prefix { !isDigit($0) && $0 != 10 }
        guard between.count <= 50 else { return nil }
        rest = rest.dropFirst(between.count)
        let digits = rest.prefix { isDigit($0) }
        guard !digits.isEmpty else { return nil }
        rest = rest.dropFirst(digits.count)
        var text = String(decoding: bytes.prefix(head.utf8.count + between.count), as: UTF8.self) + "<rv>"
        if rest.starts(with: Array(" (".utf8)) {
            let second = rest.dropFirst(2).prefix { isDigit($0) }
            if !second.isEmpty, rest.dropFirst(2 + second.count).first == 41 {
                rest = rest.dropFirst(3 + second.count)
                text += "(<rv>)"
            }
        }
        return (bytes.count - rest.count, text)
    }

    static func tokenVolume(_ bytes: ArraySlice<UInt8>) -> Int? {
        let head = Array("kube-api-access-".utf8)
        guard bytes.starts(with: head) else { return nil }
        let suffix = bytes.dropFirst(head.count).prefix { isDigit($0) || (97...122).contains($0) }
        let end = bytes.dropFirst(head.count + suffix.count).first
        return suffix.count == 5 && !(end.map(isWord) ?? false) ? head.count + 5 : nil
    }

    /// Of the certificate of whoever asks, which nobody has twice.
    static func fingerprint(_ bytes: ArraySlice<UInt8>) -> (length: Int, with: String)? {
        let head = Array("X509SHA256=".utf8)
        guard bytes.starts(with: head) else { return nil }
        let digits = bytes.dropFirst(head.count).prefix { isDigit($0) || (97...102).contains($0) }
        return digits.count == 64 ? (head.count + 64, "X509SHA256=<hash>") : nil
    }

    /// `:30123/TCP`
    static func nodePort(_ bytes: ArraySlice<UInt8>) -> (length: Int, with: String)? {
        let text = Array(bytes.prefix(7))
        guard text.count == 7, text[0] == 58, text[1] == 51, (48...50).contains(text[2]),
            text[3...5].allSatisfy(isDigit),
            text[6] == 47
        else { return nil }
        let rest = bytes.dropFirst(7)
        guard let name = ["TCP", "UDP", "SCTP"].first(where: { rest.starts(with: Array($0.utf8)) }) else { return nil }
        return (7 + name.utf8.count, ":<nodePort>/" + name)
    }

    /// A name that the server made of a prefix.
    static func generated(_ prefix: String, _ bytes: ArraySlice<UInt8>) -> Int? {
        let head = Array(prefix.utf8)
        guard bytes.starts(with: head) else { return nil }
        let letters = Set("bcdfghjklmnpqrstvwxz2456789".utf8)
        let suffix = bytes.dropFirst(head.count).prefix(5)
        guard suffix.count == 5, suffix.allSatisfy(letters.contains) else { return nil }
        let end = bytes.dropFirst(head.count + 5).first
        return end.map(isWord) ?? false ? nil : head.count + 5
    }

    /// `3m5s`
    static func isAge(_ text: String) -> Bool {
        if text == "<invalid>" { return true }
        var rest = Array(text.utf8)[...]
        guard !rest.isEmpty else { return false }
        while !rest.isEmpty {
            let digits = rest.prefix { isDigit($0) }
            rest = rest.dropFirst(digits.count)
            guard !digits.isEmpty, let unit = rest.popFirst(), "smhdy".utf8.contains(unit) else { return false }
        }
        return true
    }
}

/// A path such as `a.b[0].c`, `x[name=y].z`, `m["k.with.dots"]` or `l[*].name`.
struct TracePath {
    enum Token { case key(String), index(Int), every, one(String, String) }

    static let absent = Document("<absent>")

    let tokens: ArraySlice<Token>

    init(_ text: String) {
        var tokens: [Token] = []
        var rest = Substring(text)
        while let first = rest.first {
            if first == "[" {
                let end = rest.hasPrefix("[\"") ? rest.firstRange(of: "\"]")?.upperBound : nil
                let close = end ?? rest.firstIndex(of: "]").map { rest.index(after: $0) } ?? rest.endIndex
                let inner = rest[rest.index(after: rest.startIndex)..<rest.index(before: close)]
                rest = rest[close...]
                if end != nil {
                    tokens.append(.key(String(inner.dropFirst().dropLast())))
                } else if inner == "*" {
                    tokens.append(.every)
                } else if let number = Int(inner) {
                    tokens.append(.index(number))
                } else {
                    let parts = inner.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    tokens.append(.one(String(parts[0]), parts.count > 1 ? String(parts[1]) : ""))
                }
            } else {
                if first == "." { rest = rest.dropFirst() }
                let key = rest.prefix { $0 != "." && $0 != "[" }
                guard !key.isEmpty else { break }
                tokens.append(.key(String(key)))
                rest = rest.dropFirst(key.count)
            }
        }
        self.tokens = tokens[...]
    }

    func value(in document: Document?) -> Document { Self.value(document ?? Self.absent, tokens) }

    private static func value(_ value: Document, _ tokens: ArraySlice<Token>) -> Document {
        guard let token = tokens.first else { return value }
        let rest = tokens.dropFirst()
        switch token {
        case .every: return value.isArray ? Document(value.elements.map { Self.value($0, rest) }) : absent
        case .index(let index):
            guard value.isArray, index < value.count else { return absent }
            return Self.value(value.elements[index], rest)
        case .key(let key):
            guard value.isObject, let next = value[key] else { return absent }
            return Self.value(next, rest)
        case .one(let key, let wanted):
            let path = TracePath(key)
            guard value.isArray,
                let found = value.elements.first(where: {
                    let value = path.value(in: $0)
                    return (value.string ?? value.jsonText) == wanted
                })
            else { return absent }
            return Self.value(found, rest)
        }
    }

    func removed(from document: Document) -> Document { Self.removed(document, tokens) }

    private static func removed(_ value: Document, _ tokens: ArraySlice<Token>) -> Document {
        guard let token = tokens.first else { return value }
        let rest = tokens.dropFirst()
        switch token {
        case .every where value.isArray: return Document(value.elements.map { removed($0, rest) })
        case .index(let index) where value.isArray && index < value.count:
            var elements = value.elements
            if rest.isEmpty { elements.remove(at: index) } else { elements[index] = removed(elements[index], rest) }
            return Document(elements)
        case .key(let key) where value.isObject && value[key] != nil:
            return Document(
                members: value.members.compactMap { member in
                    guard member.key == key else { return (member.key, member.value) }
                    return rest.isEmpty ? nil : (key, removed(member.value, rest))
                })
        default: return value
        }
    }
}
