/// What a plain (unquoted) YAML scalar means, as sigs.k8s.io/yaml reads it: YAML 1.1's booleans and
/// number forms, octal with a leading 0 included; dates stay strings.
enum YAMLScalar {
    static func resolve(_ text: String) -> Document {
        let bytes = text.utf8
        guard let first = bytes.first else { return .null }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            return number(text) ?? Document(text)
        case UInt8(ascii: "~"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "y"), UInt8(ascii: "Y"),
            UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "o"),
            UInt8(ascii: "O"):
            return word(text) ?? Document(text)
        default: return Document(text)
        }
    }

    static func word(_ text: String) -> Document? {
        switch text {
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": true
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": false
        case "~", "null", "Null", "NULL": .null
        default: nil
        }
    }

    /// Also `.inf` and `.nan`, which JSON cannot say: the reader refuses those by their kind, a non-finite double.
    static func number(_ text: String) -> Document? {
        let plain = text.filter { $0 != "_" }
        if let value = whole(plain) { return Document(value) }
        if isDecimal(plain), let value = Double(plain), value.isFinite { return Document(value) }
        switch plain {
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return Document(Double.infinity)
        case "-.inf", "-.Inf", "-.INF": return Document(-Double.infinity)
        case ".nan", ".NaN", ".NAN": return Document(Double.nan)
        default: return nil
        }
    }

    /// Decimal, 0x, 0o, 0b, and octal with a leading 0; with a sign.
    private static func whole(_ text: String) -> Int64? {
        var digits = Substring(text)
        var sign = ""
        if digits.hasPrefix("-") || digits.hasPrefix("+") { sign = digits.removeFirst() == "-" ? "-" : "" }
        guard let first = digits.utf8.first, (48...57).contains(first) else { return nil }
        var radix = 10
        if first == 48, digits.utf8.count > 1 {
            switch digits.dropFirst().first {
            case "x", "X": radix = 16
            case "b", "B": radix = 2
            case "o", "O": radix = 8
            default: radix = 8
            }
            digits = digits.dropFirst(digits.dropFirst().first?.isLetter == true ? 2 : 1)
        }
        guard let next = digits.utf8.first, next != UInt8(ascii: "-"), next != UInt8(ascii: "+") else { return nil }
        return Int64(sign + digits, radix: radix)
    }

    /// `[-+]? (\.[0-9]+ | [0-9]+(\.[0-9]*)?) ([eE][-+]?[0-9]+)?`
    private static func isDecimal(_ text: String) -> Bool {
        var rest = Substring(text).utf8
        func digits() -> Int {
            let count = rest.prefix { (48...57).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let before = digits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            if digits() == 0, before == 0 { return false }
        } else if before == 0 {
            return false
        }
        if let mark = rest.first, mark | 32 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            if digits() == 0 { return false }
        }
        return rest.isEmpty
    }

    /// YAML 1.1's base-60 numbers such as `1:30`: we read them as strings, older readers do not, so they are quoted.
    static func looksLikeBase60(_ text: String) -> Bool {
        guard text.utf8.contains(UInt8(ascii: ":")), let first = text.utf8.first,
            (48...57).contains(first) || first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
        else { return false }
        return text.utf8.allSatisfy { (48...57).contains($0) || "+-:._".utf8.contains($0) }
    }
}
