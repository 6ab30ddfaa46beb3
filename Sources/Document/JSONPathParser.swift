/// Reads kubectl's JSONPath templates; errors name the column.
struct JSONPathParser {
    private let characters: [Character]
    private var index = 0
    /// Ranges and filters around the place in hand: bounded, because each takes a piece of the stack.
    private var depth = 0
    private static let deepest = 100

    init(_ text: String) { characters = Array(text) }

    private func error(_ message: String) -> DocumentError {
        DocumentError(message: message, line: 1, column: index + 1)
    }

    private var next: Character? { index < characters.count ? characters[index] : nil }

    private mutating func take(_ text: String) -> Bool {
        guard characters[index...].starts(with: text) else { return false }
        index += text.count
        return true
    }

    private mutating func skipSpace() { while next == " " { index += 1 } }

    private mutating func nested<Value>(_ body: (inout Self) throws -> Value) throws -> Value {
        guard depth < Self.deepest else { throw error("nested too deeply") }
        depth += 1
        defer { depth -= 1 }
        return try body(&self)
    }

    // MARK: Template

    mutating func parse() throws -> [JSONPath.Node] {
        let nodes = try nodes(inRange: false)
        return nodes
    }

    private mutating func nodes(inRange: Bool) throws -> [JSONPath.Node] {
        var nodes: [JSONPath.Node] = []
        while let character = next {
            guard character == "{" else {
                let start = index
                while let character = next, character != "{" {
                    _ = character
                    index += 1
                }
                nodes.append(.text(String(characters[start..<index])))
                continue
            }
            index += 1
            skipSpace()
            if word("end") {
                try close()
                guard inRange else { throw error("not in range, nothing to end") }
                return nodes
            }
            if word("range") {
                skipSpace()
                let steps = try steps(until: "}")
                try close()
                nodes.append(.range(steps, try nested { try $0.nodes(inRange: true) }))
                continue
            }
            if next == "\"" || next == "'" {
                nodes.append(.text(try quoted()))
            } else {
                nodes.append(.expression(try steps(until: "}")))
            }
            try close()
        }
        if inRange { throw error("unclosed range") }
        return nodes
    }

    /// The keyword, where it stands alone.
    private mutating func word(_ word: String) -> Bool {
        let start = index
        guard take(word), next == " " || next == "}" else {
            index = start
            return false
        }
        return true
    }

    private mutating func close() throws {
        skipSpace()
        guard take("}") else { throw error("unclosed action") }
    }

    // MARK: Steps

    /// Steps up to a character that ends the expression, or to a comparison inside a filter.
    private mutating func steps(until end: String) throws -> [JSONPath.Step] {
        var steps: [JSONPath.Step] = []
        if take("$") { steps.append(.root) } else { _ = take("@") }
        while let character = next {
            if end.contains(character) || character == " " { return steps }
            if take("..") {
                if take("*") { steps.append(.recursive(nil)) } else { steps.append(.recursive(try name())) }
            } else if take(".") {
                if take("*") {
                    steps.append(.wildcard)
                } else if let character = next, !end.contains(character), character != " ", character != "[" {
                    steps.append(.field(try name()))
                }
            } else if take("[") {
                steps.append(try bracket())
            } else if steps.isEmpty, character.isNumber || character == "-" || character.isLetter {
                return [try bareLiteral()]
            } else if steps.isEmpty, character == "\"" || character == "'" {
                return [.literal(Document(try quoted()))]
            } else {
                throw error("unexpected character '\(character)' in an expression")
            }
        }
        throw error("unclosed action")
    }

    /// A field's name; a backslash takes the next character as it is, as in `metadata.labels.app\.kubernetes\.io/name`.
    private mutating func name() throws -> String {
        var name = ""
        while let character = next, !" .[]{}()=!<>,:|&".contains(character) {
            index += 1
            if character == "\\" {
                guard let escaped = next else { throw error("unexpected end after a backslash") }
                name.append(escaped)
                index += 1
            } else {
                name.append(character)
            }
        }
        guard !name.isEmpty else { throw error("expected a field's name") }
        return name
    }

    private mutating func quoted() throws -> String {
        let quote = next
        index += 1
        var text = ""
        while let character = next, character != quote {
            index += 1
            guard character == "\\" else {
                text.append(character)
                continue
            }
            guard let escaped = next else { break }
            index += 1
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            default: text.append(escaped)
            }
        }
        guard next != nil else { throw error("unterminated quoted string") }
        index += 1
        return text
    }

    private mutating func bareLiteral() throws -> JSONPath.Step {
        let start = index
        while let character = next, character.isNumber || character.isLetter || "-+.".contains(character) { index += 1 }
        let text = String(characters[start..<index])
        guard let value = try? Document(json: text) else {
            index = start
            throw error("unrecognized identifier \(text)")
        }
        return .literal(value)
    }

    // MARK: Brackets

    private mutating func bracket() throws -> JSONPath.Step {
        skipSpace()
        if take("?(") { return .filter(try nested { try $0.filter() }) }
        var alternatives = [try selector()]
        skipSpace()
        while take(",") {
            alternatives.append(try selector())
            skipSpace()
        }
        guard take("]") else { throw error("unterminated array") }
        return alternatives.count == 1 ? alternatives[0] : .union(alternatives.map { [$0] })
    }

    private mutating func selector() throws -> JSONPath.Step {
        skipSpace()
        if take("*") { return .wildcard }
        if next == "'" || next == "\"" { return .field(try quoted()) }
        let first = try number()
        guard take(":") else {
            guard let first else {
                throw error("invalid array index")
            }
            return .slice(from: first, to: first == -1 ? nil : first + 1, step: 1)
        }
        let second = try number()
        let stride = take(":") ? try number() ?? 1 : 1
        guard stride > 0 else { throw error("step must be > 0") }
        return .slice(from: first, to: second, step: stride)
    }

    private mutating func number() throws -> Int? {
        let start = index
        _ = take("-")
        while let character = next, character.isASCII, character.isNumber { index += 1 }
        guard index > start else { return nil }
        guard let value = Int(String(characters[start..<index])), value.magnitude < 1 << 31 else {
            throw error("invalid array index")
        }
        return value
    }

    private mutating func filter() throws -> JSONPath.Filter {
        skipSpace()
        let left = try steps(until: ")=!<>")
        skipSpace()
        for comparison in JSONPath.Comparison.allCases where take(comparison.rawValue) {
            skipSpace()
            let right = try steps(until: ")")
            try closeFilter()
            return JSONPath.Filter(left: left, comparison: comparison, right: right)
        }
        try closeFilter()
        return JSONPath.Filter(left: left, comparison: nil, right: [])
    }

    private mutating func closeFilter() throws {
        skipSpace()
        guard take(")]") else { throw error("unterminated filter") }
    }
}
