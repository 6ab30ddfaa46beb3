extension CEL {
    struct Token: Equatable {
        enum Kind: Equatable {
            case identifier, escapedIdentifier, int, uint, float, string, bytes, symbol, end
        }

        var kind: Kind
        /// As written; of the end `<EOF>`, which is how messages call it.
        var text: String
        /// In Unicode scalars from the beginning.
        var position: Int

        func `is`(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
    }

    /// Cuts an expression into tokens. What is no token is reported and skipped, as parsing goes on after it.
    struct Lexer {
        private let source: [Unicode.Scalar]
        private var place = 0
        private(set) var tokens: [Token] = []
        private(set) var errors: [Issue] = []

        init(_ source: [Unicode.Scalar]) { self.source = source }

        static let words: Set = ["true", "false", "null", "in"]
        private static let pairs: Set = ["==", "!=", "<=", ">=", "&&", "||"]
        private static let singles: Set<Unicode.Scalar> = [
            "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}",
        ]

        mutating func run() {
            while true {
                skipBlanks()
                guard let scalar = at(0) else { break }
                let start = place
                if readNumber() || readText() || readWord() || readSymbol() { continue }
                if scalar == "`", readEscaped() { continue }
                place = start
                reportUnknown()
            }
            tokens.append(Token(kind: .end, text: "<EOF>", position: source.count))
        }

        private func at(_ offset: Int) -> Unicode.Scalar? {
            place + offset < source.count ? source[place + offset] : nil
        }

        private func text(_ start: Int) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: source[start..<place])
            return String(view)
        }

        private mutating func add(_ kind: Token.Kind, _ start: Int) {
            tokens.append(Token(kind: kind, text: text(start), position: start))
        }

        private mutating func skipBlanks() {
            while let scalar = at(0) {
                if scalar == "/", at(1) == "/" {
                    while let next = at(0), next != "\n" { _ = (next, place += 1) }
                } else if [" ", "\t", "\r", "\n", "\u{c}"].contains(scalar) {
                    place += 1
                } else {
                    return
                }
            }
        }

        private static func isDigit(_ scalar: Unicode.Scalar?) -> Bool {
            scalar.map { (48...57).contains($0.value) } ?? false
        }
        private static func isHex(_ scalar: Unicode.Scalar?) -> Bool { scalar?.properties.isASCIIHexDigit ?? false }
        static func startsIdentifier(_ scalar: Unicode.Scalar?) -> Bool {
            scalar.map { (65...90).contains($0.value) || (97...122).contains($0.value) || $0 == "_" } ?? false
        }

        private mutating func readNumber() -> Bool {
            let start = place
            guard Self.isDigit(at(0)) || (at(0) == "." && Self.isDigit(at(1))) else { return false }
            var kind = Token.Kind.int
            if at(0) == "0", at(1) == "x", Self.isHex(at(2)) {
                place += 2
                while Self.isHex(at(0)) { place += 1 }
            } else {
                while Self.isDigit(at(0)) { place += 1 }
                if at(0) == ".", Self.isDigit(at(1)) {
                    kind = .float
                    place += 1
                    while Self.isDigit(at(0)) { place += 1 }
                }
                let signed = at(1) == "+" || at(1) == "-"
                if at(0) == "e" || at(0) == "E", Self.isDigit(at(signed ? 2 : 1)) {
                    kind = .float
                    place += signed ? 2 : 1
                    while Self.isDigit(at(0)) { place += 1 }
                }
            }
            if kind == .int, at(0) == "u" || at(0) == "U" {
                kind = .uint
                place += 1
            }
            add(kind, start)
            return true
        }

        /// A string or bytes literal with its prefix and quotes; false where the closing quote is missing.
        private mutating func readText() -> Bool {
            let start = place
            var kind = Token.Kind.string
            var raw = false
            var seen = 0
            while seen < 2, let scalar = at(seen) {
                if !raw, scalar == "r" || scalar == "R" {
                    raw = true
                } else if seen == 0, scalar == "b" || scalar == "B" {
                    kind = .bytes
                } else {
                    break
                }
                seen += 1
            }
            guard let quote = at(seen), quote == "'" || quote == "\"" else { return false }
            let long = at(seen + 1) == quote && at(seen + 2) == quote
            place += seen + (long ? 3 : 1)
            while let scalar = at(0) {
                if scalar == "\\", !raw {
                    place += 2
                } else if scalar == quote, !long || (at(1) == quote && at(2) == quote) {
                    place += long ? 3 : 1
                    add(kind, start)
                    return true
                } else if !long, scalar == "\n" || scalar == "\r" {
                    break
                } else {
                    place += 1
                }
            }
            place = start
            return false
        }

        private mutating func readWord() -> Bool {
            guard Self.startsIdentifier(at(0)) else { return false }
            let start = place
            while Self.startsIdentifier(at(0)) || Self.isDigit(at(0)) { place += 1 }
            add(Self.words.contains(text(start)) ? .symbol : .identifier, start)
            return true
        }

        private mutating func readEscaped() -> Bool {
            let start = place
            place += 1
            while let scalar = at(0), scalar != "`" {
                guard Self.startsIdentifier(scalar) || Self.isDigit(scalar) || [".", "-", "/", " "].contains(scalar)
                else { return false }
                place += 1
            }
            guard at(0) != nil, place > start + 1 else { return false }
            place += 1
            add(.escapedIdentifier, start)
            return true
        }

        private mutating func readSymbol() -> Bool {
            guard let first = at(0) else { return false }
            let start = place
            if let second = at(1), Self.pairs.contains(String(first) + String(second)) {
                place += 2
            } else if Self.singles.contains(first) {
                place += 1
            } else {
                return false
            }
            add(.symbol, start)
            return true
        }

        /// The text that cannot begin a token: one scalar, with the next where two would have made an operator, or
        /// everything to the end of the line where a quote is not closed.
        private mutating func reportUnknown() {
            let start = place
            let first = source[place]
            place += 1
            if first == "'" || first == "\"" {
                while let next = at(0), next != "\n" { _ = (next, place += 1) }
            } else if ["=", "&", "|"].contains(first), at(0) != nil {
                place += 1
            }
            errors.append(Issue(start, "Syntax error: token recognition error at: '\(text(start))'"))
        }
    }
}
