import Schema

// The selectors of queries: `a=b,c!=d,e in (f,g),h,!i,j>1`.
//
//     selector    = [requirement {"," requirement}]
//     requirement = ["!"] key | key operator value | key ("in" | "notin") "(" [value] {"," [value]} ")"
//
// What is wrong is told in the words of Kubernetes, whose clients show them.

extension LabelSelector {
    public init(parsing text: String) throws {
        var parser = LabelSelectorParser(text)
        requirements = try parser.selector()
    }
}

private struct LabelSelectorParser {
    private enum Kind: Equatable { case end, word, symbol }

    private struct Token {
        var kind: Kind
        var text: String

        func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
    }

    private var tokens: [Token] = []
    private var index = 0

    init(_ text: String) {
        var rest = Substring(text).utf8[...]
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }
        func isSymbol(_ byte: UInt8) -> Bool { "=!(),<>".utf8.contains(byte) }
        while let first = rest.first {
            if isBlank(first) {
                rest = rest.dropFirst()
            } else if isSymbol(first) {
                // Of two symbols only `==` and `!=` are one.
                let isDouble =
                    (first == UInt8(ascii: "=") || first == UInt8(ascii: "!"))
                    && rest.dropFirst().first == UInt8(ascii: "=")
                let piece = rest.prefix(isDouble ? 2 : 1)
                tokens.append(Token(kind: .symbol, text: String(Substring(piece))))
                rest = rest.dropFirst(piece.count)
            } else {
                let piece = rest.prefix { !isBlank($0) && !isSymbol($0) }
                tokens.append(Token(kind: .word, text: String(Substring(piece))))
                rest = rest.dropFirst(piece.count)
            }
        }
    }

    private var next: Token { index < tokens.count ? tokens[index] : Token(kind: .end, text: "") }

    private mutating func take() -> Token {
        defer { index += 1 }
        return next
    }

    mutating func selector() throws -> [LabelSelector.Requirement] {
        var requirements: [LabelSelector.Requirement] = []
        while true {
            if next.kind == .end { return requirements }
            guard next.kind == .word || next.isSymbol("!") else {
                throw LabelSelector.ParseError("found '\(next.text)', expected: !, identifier, or 'end of string'")
            }
            do { requirements.append(try requirement()) } catch let error as LabelSelector.ParseError {
                throw LabelSelector.ParseError("unable to parse requirement: \(error)")
            }
            let separator = take()
            if separator.kind == .end { return requirements }
            guard separator.isSymbol(",") else {
                throw LabelSelector.ParseError("found '\(separator.text)', expected: ',' or 'end of string'")
            }
            guard next.kind == .word || next.isSymbol("!") else {
                throw LabelSelector.ParseError("found '\(next.text)', expected: identifier after ','")
            }
        }
    }

    private mutating func requirement() throws -> LabelSelector.Requirement {
        let isAbsence = next.isSymbol("!")
        if isAbsence { _ = take() }
        let key = take()
        guard key.kind == .word else {
            throw LabelSelector.ParseError("found '\(key.text)', expected: identifier")
        }
        let problems = Formats.qualifiedName(key.text)
        if !problems.isEmpty {
            throw LabelSelector.ParseError(
                "<nil>: Invalid value: \"\(key.text)\": \(problems.joined(separator: "; "))")
        }
        if isAbsence { return .init(key: key.text, action: .doesNotExist, values: []) }
        if next.kind == .end || next.isSymbol(",") { return .init(key: key.text, action: .exists, values: []) }
        let (action, isList) = try comparison()
        let values = isList ? try list() : [try value()]
        return try checked(.init(key: key.text, action: action, values: values))
    }

    private mutating func comparison() throws -> (LabelSelector.Operator, isList: Bool) {
        let token = take()
        switch token.text {
        case "=", "==": return (.isIn, false)
        case "!=": return (.notIn, false)
        case ">": return (.greater, false)
        case "<": return (.less, false)
        case "in": return (.isIn, true)
        case "notin": return (.notIn, true)
        default:
            throw LabelSelector.ParseError("found '\(token.text)', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func value() throws -> String {
        if next.kind == .end || next.isSymbol(",") { return "" }
        let token = take()
        guard token.kind == .word else {
            throw LabelSelector.ParseError("found '\(token.text)', expected: identifier")
        }
        return token.text
    }

    private mutating func list() throws -> [String] {
        let open = take()
        guard open.isSymbol("(") else { throw LabelSelector.ParseError("found '\(open.text)' expected: '('") }
        if next.isSymbol(")") {
            _ = take()
            return [""]
        }
        guard next.kind == .word || next.isSymbol(",") else {
            throw LabelSelector.ParseError("found '\(next.text)', expected: ',', ')' or identifier")
        }
        var values: Set<String> = []
        while true {
            let token = take()
            if token.kind == .word {
                values.insert(token.text)
                if next.isSymbol(",") { continue }
                guard next.isSymbol(")") else {
                    throw LabelSelector.ParseError("found '\(next.text)', expected: ',' or ')'")
                }
            } else if token.isSymbol(",") {
                // Nothing before or after a comma is the empty value.
                if values.isEmpty || next.isSymbol(")") || next.isSymbol(",") { values.insert("") }
                if next.isSymbol(",") { _ = take() }
                guard next.isSymbol(")") else { continue }
            } else {
                throw LabelSelector.ParseError("found '\(token.text)', expected: ',', or identifier")
            }
            _ = take()
            return values.sorted()
        }
    }

    private func checked(_ requirement: LabelSelector.Requirement) throws -> LabelSelector.Requirement {
        var errors: [String] = []
        if requirement.action == .greater || requirement.action == .less {
            for (index, value) in requirement.values.enumerated() where Int(value) == nil {
                errors.append(
                    "values[\(index)]: Invalid value: \"\(value)\": for 'Gt', 'Lt' operators, the value must be an integer"
                )
            }
        }
        for (index, value) in requirement.values.enumerated() {
            let problems = Formats.labelValue(value)
            guard !problems.isEmpty else { continue }
            errors.append(
                "values[\(index)][\(requirement.key)]: Invalid value: \"\(value)\": \(problems.joined(separator: "; "))"
            )
        }
        if errors.isEmpty { return requirement }
        throw LabelSelector.ParseError(errors.count == 1 ? errors[0] : "[\(errors.joined(separator: ", "))]")
    }
}
