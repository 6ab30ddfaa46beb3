/// Names that the system makes up, drawn from the injected randomness.
public enum Identifier {
    /// A random UUID (version 4), as every object's `metadata.uid`.
    public static func uuid(from random: any Randomness) -> String {
        var bytes = random.bytes(16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex = Hex.encode(bytes)
        let cuts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
        return cuts.map { range in
            String(hex.utf8.dropFirst(range.lowerBound).prefix(range.count)) ?? ""
        }.joined(separator: "-")
    }

    /// The letters Kubernetes appends to `generateName`: no vowels, so no words, and nothing easily misread.
    private static let suffixLetters = Array("bcdfghjklmnpqrstvwxz2456789".utf8)

    public static func suffix(_ count: Int = 5, from random: any Randomness) -> String {
        String(decoding: (0..<count).map { _ in suffixLetters[random.below(suffixLetters.count)] }, as: UTF8.self)
    }
}

public enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

public enum Base64 {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlSafe = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    public static func encode(_ bytes: [UInt8], url: Bool = false) -> String {
        let alphabet = url ? urlSafe : standard
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let rest = bytes.count - index
            let word =
                UInt32(bytes[index]) << 16 | (rest > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                | (rest > 2 ? UInt32(bytes[index + 2]) : 0)
            out.append(alphabet[Int(word >> 18 & 63)])
            out.append(alphabet[Int(word >> 12 & 63)])
            if rest > 1 { out.append(alphabet[Int(word >> 6 & 63)]) } else if !url { out.append(61) }
            if rest > 2 { out.append(alphabet[Int(word & 63)]) } else if !url { out.append(61) }
            index += 3
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Decodes either alphabet; padding may be absent in the URL form, must be right in the standard one.
    public static func decode(_ text: some StringProtocol, url: Bool = false) -> [UInt8]? {
        var out: [UInt8] = []
        var word: UInt32 = 0
        var bits = 0
        var padding = 0
        var count = 0
        for byte in text.utf8 {
            if !url, byte == 10 || byte == 13 { continue }
            count += 1
            if byte == 61 {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(of: byte, url: url) else { return nil }
            word = word << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        if !url || padding > 0 { guard count % 4 == 0, padding <= 2 else { return nil } }
        guard (count - padding) % 4 != 1, word & ((1 << UInt32(bits)) - 1) == 0 else { return nil }
        return out
    }

    private static func value(of byte: UInt8, url: Bool) -> UInt32? {
        switch byte {
        case 65...90: UInt32(byte - 65)
        case 97...122: UInt32(byte - 97 + 26)
        case 48...57: UInt32(byte - 48 + 52)
        case UInt8(ascii: url ? "-" : "+"): 62
        case UInt8(ascii: url ? "_" : "/"): 63
        default: nil
        }
    }
}
