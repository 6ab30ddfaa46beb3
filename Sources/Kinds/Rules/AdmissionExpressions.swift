import Document
import Schema

/// The expressions of a policy, checked in the order in which they may refer to each other.
struct AdmissionExpressions {
    /// What an expression is for; that decides what it sees and what it must come to.
    enum Purpose { case validation, message, auditValue, applyConfiguration, jsonPatch }

    private let hasParams: Bool

    init(spec: Document) { hasParams = spec["paramKind"] != nil }

    /// Makes a variable known to the expressions after it.
    mutating func declare(_ name: String, _ expression: String, _ path: String) -> [FieldError] { [] }

    func check(_ expression: String, _ path: String, _ purpose: Purpose) -> [FieldError] { [] }

    /// A match condition, which sees no variables.
    static func condition(_ expression: String, _ path: String, params: Bool) -> [FieldError] { [] }

    // MARK: Words

    private static let reserved: Set = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ]

    static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, first == UInt8(ascii: "_") || isLetter(first) else { return false }
        let rest = name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || isLetter($0) || (48...57).contains($0) }
        return rest && !reserved.contains(name)
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (65...90).contains(byte) }

    static func trimmed(_ text: String?) -> String {
        guard let text else { return "" }
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
