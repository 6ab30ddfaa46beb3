extension CEL {
    /// Reads tokens into an expression by recursive descent.
    ///
    ///     expression = or [ "?" or ":" expression ]
    ///     or         = and { "||" and }            and = relation { "&&" relation }
    ///     relation   = sum { ("<" | "<=" | ">" | ">=" | "==" | "!=" | "in") sum }
    ///     sum        = product { ("+" | "-") product }
    ///     product    = unary { ("*" | "/" | "%") unary }
    ///     unary      = { "!" } member | { "-" } member
    ///     member     = primary { "." name [ "(" arguments ")" ] | "[" expression "]" }
    ///
    /// Messages are those of the grammar's reference parser, which clients see verbatim.
    struct Parser {
        let options: Library
        private let tokens: [Token]
        private var place = 0
        private var depth = 0
        private(set) var errors: [Issue]
        private(set) var nodes = 0

        /// Unwinds after an error that has been noted.
        struct Stop: Error {}

        init(_ source: [Unicode.Scalar], options: Library) {
            self.options = options
            var lexer = Lexer(source)
            lexer.run()
            tokens = lexer.tokens
            errors = lexer.errors
        }

        static let starters =
            "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

        mutating func parse() -> Expression? {
            do {
                let result = try expression()
                if current.kind != .end {
                    let verb = next.kind == .end ? "extraneous" : "mismatched"
                    fail(current, "Syntax error: \(verb) input '\(current.text)' expecting <EOF>")
                }
                return errors.isEmpty ? result : nil
            } catch {
                return nil
            }
        }

        // MARK: Tokens

        var current: Token { tokens[place] }
        private var next: Token { tokens[min(place + 1, tokens.count - 1)] }

        mutating func fail(_ token: Token, _ message: String) { errors.append(Issue(token.position, message)) }

        private mutating func advance() { if place < tokens.count - 1 { place += 1 } }

        private mutating func accept(_ symbol: String) -> Token? {
            guard current.is(symbol) else { return nil }
            defer { advance() }
            return current
        }

        private mutating func expect(_ symbol: String, or others: String? = nil) throws -> Token {
            if let token = accept(symbol) { return token }
            if let others {
                fail(current, "Syntax error: mismatched input '\(current.text)' expecting \(others)")
            } else if next.is(symbol) {
                fail(current, "Syntax error: extraneous input '\(current.text)' expecting '\(symbol)'")
            } else if current.kind == .end, symbol == ")" || symbol == "]" {
                fail(current, "Syntax error: missing '\(symbol)' at '<EOF>'")
            } else {
                fail(current, "Syntax error: mismatched input '\(current.text)' expecting '\(symbol)'")
            }
            throw Stop()
        }

        mutating func make(_ position: Int, _ kind: Expression.Kind) -> Expression {
            nodes += 1
            return Expression(id: nodes - 1, position: position, kind: kind)
        }

        mutating func call(_ position: Int, _ function: String, _ arguments: [Expression]) -> Expression {
            make(position, .call(function: function, target: nil, arguments: arguments))
        }

        private mutating func nested<T>(_ body: (inout Self) throws -> T) throws -> T {
            depth += 1
            defer { depth -= 1 }
            guard depth <= Limit.depth else {
                errors = [Issue(0, "expression recursion limit exceeded: \(Limit.depth)")]
                throw Stop()
            }
            return try body(&self)
        }

        // MARK: Operators

        private mutating func expression() throws -> Expression {
            try nested { parser in
                let condition = try parser.or()
                guard let mark = parser.accept("?") else { return condition }
                let yes = try parser.or()
                _ = try parser.expect(":")
                let no = try parser.expression()
                return parser.call(mark.position, "_?_:_", [condition, yes, no])
            }
        }

        private mutating func or() throws -> Expression {
            try logical("||", "_||_") { try $0.and() }
        }

        private mutating func and() throws -> Expression {
            try logical("&&", "_&&_") { try $0.relation(0) }
        }

        /// Chains of one logical operator become a balanced tree, so that long ones are no deeper than they must be.
        private mutating func logical(
            _ symbol: String, _ function: String, _ operand: (inout Self) throws -> Expression
        ) throws -> Expression {
            var terms = [try operand(&self)]
            var operators: [Int] = []
            while let token = accept(symbol) {
                operators.append(token.position)
                terms.append(try operand(&self))
            }
            return balanced(function, terms[...], operators[...])
        }

        private mutating func balanced(
            _ function: String, _ terms: ArraySlice<Expression>, _ operators: ArraySlice<Int>
        ) -> Expression {
            if terms.count == 1 { return terms[terms.startIndex] }
            let middle = (operators.count + 1) / 2 - (operators.count.isMultiple(of: 2) ? 0 : 1)
            let at = operators.startIndex + min(middle, operators.count - 1)
            let left = balanced(function, terms[...at], operators[..<at])
            let right = balanced(function, terms[(at + 1)...], operators[(at + 1)...])
            return call(operators[at], function, [left, right])
        }

        /// Binary operators by how tightly they bind, the loosest first.
        private static let binary: [[String: String]] = [
            [
                "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "@in",
            ],
            ["+": "_+_", "-": "_-_"],
            ["*": "_*_", "/": "_/_", "%": "_%_"],
        ]

        private mutating func relation(_ level: Int) throws -> Expression {
            guard level < Self.binary.count else { return try unary() }
            var left = try relation(level + 1)
            var length = 0
            while current.kind == .symbol, let function = Self.binary[level][current.text] {
                let position = current.position
                advance()
                length += 1
                guard length < Limit.depth else {
                    errors = [Issue(0, "expression recursion limit exceeded: \(Limit.depth)")]
                    throw Stop()
                }
                left = call(position, function, [left, try relation(level + 1)])
            }
            return left
        }

        private mutating func unary() throws -> Expression {
            for (symbol, function) in [("!", "!_"), ("-", "-_")] where current.is(symbol) {
                if symbol == "-", next.kind == .int || next.kind == .float { break }
                let position = current.position
                var count = 0
                while accept(symbol) != nil { count += 1 }
                if current.kind == .end, symbol == "-" {
                    fail(current, "Syntax error: no viable alternative at input '-'")
                }
                let operand = try member()
                // Two of them cancel each other.
                return count.isMultiple(of: 2) ? operand : call(position, function, [operand])
            }
            return try member()
        }

        // MARK: Members and primaries

        private mutating func member() throws -> Expression {
            var value = try primary()
            var length = 0
            while true {
                length += 1
                guard length <= Limit.depth else {
                    errors = [Issue(0, "expression recursion limit exceeded: \(Limit.depth)")]
                    throw Stop()
                }
                if let dot = accept(".") {
                    value = try selection(of: value, dot)
                } else if let bracket = accept("[") {
                    let isOptional = try optionalMark()
                    let index = try expression()
                    _ = try expect("]")
                    value = call(bracket.position, isOptional ? "_[?_]" : "_[_]", [value, index])
                } else {
                    return value
                }
            }
        }

        private mutating func optionalMark() throws -> Bool {
            guard let mark = accept("?") else { return false }
            if !options.contains(.optionals) {
                fail(mark, "unsupported syntax '?'")
                throw Stop()
            }
            return true
        }

        private mutating func selection(of value: Expression, _ dot: Token) throws -> Expression {
            let isOptional = try optionalMark()
            let name = current
            guard name.kind == .identifier || name.kind == .escapedIdentifier else {
                let found = name.kind == .end ? "" : name.text
                fail(name, "Syntax error: no viable alternative at input '\(isOptional ? ".?" : ".")\(found)'")
                throw Stop()
            }
            advance()
            let field = try fieldName(name)
            if isOptional {
                let constant = make(name.position, .literal(.string(field)))
                return call(dot.position, "_?._", [value, constant])
            }
            if current.is("("), name.kind == .identifier {
                let open = current.position
                advance()
                let arguments = try self.arguments()
                return try expandedCall(open, field, target: value, arguments)
            }
            return make(dot.position, .select(value, field: field, isTest: false))
        }

        private mutating func fieldName(_ token: Token) throws -> String {
            guard token.kind == .escapedIdentifier else { return token.text }
            guard options.contains(.escapedIdentifiers) else {
                fail(token, "unsupported syntax: '`'")
                throw Stop()
            }
            return String(token.text.dropFirst().dropLast())
        }

        private mutating func arguments() throws -> [Expression] {
            var arguments: [Expression] = []
            if accept(")") != nil { return arguments }
            repeat { arguments.append(try expression()) } while accept(",") != nil
            _ = try expect(")")
            return arguments
        }

        private static let reserved: Set = [
            "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
            "package", "namespace", "null", "return", "true", "var", "void", "while",
        ]

        private mutating func primary() throws -> Expression {
            let token = current
            switch token.kind {
            case .int, .uint, .float, .string, .bytes: return try literal(negative: nil)
            case .identifier: return try name()
            case .symbol:
                switch token.text {
                case "-" where next.kind == .int || next.kind == .float:
                    advance()
                    return try literal(negative: token)
                case ".": return try name()
                case "(":
                    advance()
                    let value = try expression()
                    _ = try expect(")")
                    return value
                case "[": return try list()
                case "{":
                    advance()
                    return try map(token)
                case "true", "false", "null":
                    advance()
                    return make(token.position, .literal(token.text == "null" ? .null : .bool(token.text == "true")))
                default: break
                }
            case .escapedIdentifier, .end: break
            }
            return try recover()
        }

        /// Nothing that can begin an operand: one stray token is dropped, as the reference parser does.
        private mutating func recover() throws -> Expression {
            let bad = current
            let startsAfter = Self.canStart(next)
            let verb = startsAfter && bad.kind != .end ? "extraneous" : "mismatched"
            fail(bad, "Syntax error: \(verb) input '\(bad.text)' expecting \(Self.starters)")
            guard bad.kind != .end else { throw Stop() }
            advance()
            if startsAfter { return try primary() }
            if current.kind == .end { return try recover() }
            throw Stop()
        }

        private static func canStart(_ token: Token) -> Bool {
            switch token.kind {
            case .identifier, .int, .uint, .float, .string, .bytes: true
            case .symbol: ["[", "{", "(", ".", "-", "!", "true", "false", "null"].contains(token.text)
            case .escapedIdentifier, .end: false
            }
        }

        /// An identifier, a call of a function, or the name of a structure to make.
        private mutating func name() throws -> Expression {
            let start = current
            let isAbsolute = accept(".") != nil
            let token = current
            guard token.kind == .identifier else {
                fail(token, "Syntax error: mismatched input '\(token.text)' expecting IDENTIFIER")
                throw Stop()
            }
            if let structure = try structureName(isAbsolute ? "." : "") { return try self.structure(structure) }
            advance()
            if Self.reserved.contains(token.text) {
                fail(token, "reserved identifier: \(token.text)")
                throw Stop()
            }
            let text = (isAbsolute ? "." : "") + token.text
            if current.is("(") {
                let open = current.position
                advance()
                let arguments = try self.arguments()
                return try expandedCall(open, text, target: nil, arguments)
            }
            return make(start.position, .identifier(text))
        }

        /// `a.b.c{`, where that stands here; moves to the brace.
        private mutating func structureName(_ prefix: String) throws -> String? {
            var look = place
            var text = prefix + tokens[look].text
            while look + 2 < tokens.count, tokens[look + 1].is("."), tokens[look + 2].kind == .identifier {
                text += "." + tokens[look + 2].text
                look += 2
            }
            guard look + 1 < tokens.count, tokens[look + 1].is("{") else { return nil }
            place = look + 1
            return text
        }

        // MARK: Aggregates

        private mutating func list() throws -> Expression {
            let open = current
            advance()
            var elements: [Expression] = []
            var optionals: Set<Int> = []
            while !current.is("]") {
                if try optionalMark() { optionals.insert(elements.count) }
                elements.append(try expression())
                if accept(",") == nil { break }
            }
            _ = try expect("]")
            return make(open.position, .list(elements, optionals: optionals))
        }

        private mutating func map(_ open: Token) throws -> Expression {
            var entries: [Expression.Entry] = []
            if current.kind == .end {
                let expected =
                    "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
                    + "STRING, BYTES, IDENTIFIER}"
                fail(current, "Syntax error: mismatched input '<EOF>' expecting \(expected)")
                throw Stop()
            }
            while !current.is("}") {
                let isOptional = try optionalMark()
                let key = try expression()
                let colon = try expect(":")
                let value = try expression()
                entries.append(.init(position: colon.position, key: key, value: value, isOptional: isOptional))
                if accept(",") == nil { break }
            }
            _ = try expect("}", or: "{'}', ','}")
            return make(open.position, .map(entries))
        }

        private mutating func structure(_ name: String) throws -> Expression {
            let open = current
            advance()
            var fields: [Expression.Field] = []
            while !current.is("}") {
                let isOptional = try optionalMark()
                let token = current
                guard token.kind == .identifier || token.kind == .escapedIdentifier else {
                    let verb = next.kind == .identifier ? "extraneous" : "mismatched"
                    let expected =
                        fields.isEmpty
                        ? "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}" : "{'}', '?', IDENTIFIER, ESC_IDENTIFIER}"
                    fail(token, "Syntax error: \(verb) input '\(token.text)' expecting \(expected)")
                    throw Stop()
                }
                advance()
                let field = try fieldName(token)
                let colon = try expect(":")
                let value = try expression()
                fields.append(.init(position: colon.position, name: field, value: value, isOptional: isOptional))
                if accept(",") == nil { break }
            }
            _ = try expect("}", or: "{'}', ','}")
            return make(open.position, .structure(name: name, fields: fields))
        }

        // MARK: Literals

        private mutating func literal(negative: Token?) throws -> Expression {
            let token = current
            advance()
            let position = (negative ?? token).position
            if let value = Self.value(of: token, isNegative: negative != nil) {
                return make(position, .literal(value))
            }
            let kind =
                switch token.kind {
                case .uint: "uint"
                case .float: "double"
                case .string: "string"
                case .bytes: "bytes"
                default: "int"
                }
            fail(negative ?? token, "invalid \(kind) literal")
            throw Stop()
        }

        static func value(of token: Token, isNegative: Bool) -> Value? {
            var text = Substring(token.text)
            switch token.kind {
            case .int, .uint:
                if token.kind == .uint { text = text.dropLast() }
                let isHex = text.hasPrefix("0x")
                if isHex { text = text.dropFirst(2) }
                let radix = isHex ? 16 : 10
                if token.kind == .uint { return UInt64(text, radix: radix).map { .uint($0) } }
                return Int64((isNegative ? "-" : "") + text, radix: radix).map { .int($0) }
            case .float:
                guard let number = Double(text), number.isFinite else { return nil }
                return .double(isNegative ? -number : number)
            case .string: return Unquoting.string(token.text).map { .string($0) }
            case .bytes: return Unquoting.bytes(token.text).map { .bytes($0) }
            default: return nil
            }
        }
    }
}
