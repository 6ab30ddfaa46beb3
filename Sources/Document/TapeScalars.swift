/// Numbers whose form the parser has checked already.
enum TapeNumber {
    /// Nil where it does not fit, or is no whole number.
    static func whole(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        var rest = text[...]
        let negative = rest.first == UInt8(ascii: "-")
        if negative { rest = rest.dropFirst() }
        var value: Int64 = 0
        for byte in rest {
            guard byte >= 48, byte <= 57 else { return nil }
            let (scaled, over) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - 48)
            let (next, overAgain) = scaled.addingReportingOverflow(negative ? -digit : digit)
            if over || overAgain { return nil }
            value = next
        }
        return value
    }

    static func double(_ text: UnsafeBufferPointer<UInt8>) -> Double {
        Double(String(decoding: text, as: UTF8.self)) ?? .nan
    }
}

/// Strings whose form the parser has checked already.
enum TapeString {
    /// A lone surrogate reads as U+FFFD, as Go reads it.
    static func unescape(_ text: UnsafeBufferPointer<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let byte = text[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < text.count else {
                out.append(byte)
                continue
            }
            let kind = text[index]
            index += 1
            switch kind {
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "r"): out.append(13)
            case UInt8(ascii: "b"): out.append(8)
            case UInt8(ascii: "f"): out.append(12)
            case UInt8(ascii: "u"): scalar(text, &index, into: &out)
            default: out.append(kind)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// After `\u`: one code unit, or two that are a surrogate pair.
    private static func scalar(_ text: UnsafeBufferPointer<UInt8>, _ index: inout Int, into out: inout [UInt8]) {
        var code = quad(text, index)
        index += 4
        if (0xD800..<0xDC00).contains(code), index + 6 <= text.count, text[index] == UInt8(ascii: "\\"),
            text[index + 1] == UInt8(ascii: "u")
        {
            let low = quad(text, index + 2)
            if (0xDC00..<0xE000).contains(low) {
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                index += 6
            }
        }
        let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
        out += UTF8.encode(scalar).map(Array.init) ?? []
    }

    private static func quad(_ text: UnsafeBufferPointer<UInt8>, _ start: Int) -> UInt32 {
        guard start + 4 <= text.count else { return 0xFFFD }
        return text[start..<start + 4].reduce(0) { $0 << 4 | UInt32(hexDigit($1) ?? 0) }
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
    static func isUTF8(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        func follows(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index + offset < text.count && range.contains(text[index + offset])
        }
        while index < text.count {
            switch text[index] {
            case ..<0x80: index += 1
            case 0xC2...0xDF:
                guard follows(1) else { return false }
                index += 2
            case let first where (0xE0...0xEF).contains(first):
                let second: ClosedRange<UInt8> = first == 0xE0 ? 0xA0...0xBF : first == 0xED ? 0x80...0x9F : 0x80...0xBF
                guard follows(1, second), follows(2) else { return false }
                index += 3
            case let first where (0xF0...0xF4).contains(first):
                let second: ClosedRange<UInt8> = first == 0xF0 ? 0x90...0xBF : first == 0xF4 ? 0x80...0x8F : 0x80...0xBF
                guard follows(1, second), follows(2), follows(3) else { return false }
                index += 4
            default: return false
            }
        }
        return true
    }
}
