import Document

/// Which labels are wanted. Empty wants everything.
public struct LabelSelector: Sendable, Equatable, CustomStringConvertible {
    public enum Operator: Sendable, Equatable { case isIn, notIn, exists, doesNotExist, greater, less }

    public struct Requirement: Sendable, Equatable {
        public var key: String
        public var action: Operator
        public var values: [String]
    }

    public private(set) var requirements: [Requirement] = []

    public struct ParseError: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// Everything.
    public init() {}

    /// Exactly these labels, as the plain selectors of services.
    public init(labels: [String: String]) {
        requirements = labels.sorted { $0.key < $1.key }.map {
            Requirement(key: $0.key, action: .isIn, values: [$0.value])
        }
    }

    /// A `LabelSelector` object; nil where it has an operator that does not exist.
    public init?(_ document: Document) {
        self.init(labels: document.map("matchLabels"))
        for expression in document.list("matchExpressions") {
            let action: Operator
            switch expression.text("operator") {
            case "In": action = .isIn
            case "NotIn": action = .notIn
            case "Exists": action = .exists
            case "DoesNotExist": action = .doesNotExist
            default: return nil
            }
            requirements.append(
                Requirement(
                    key: expression.text("key") ?? "", action: action,
                    values: expression.list("values").compactMap(\.string)))
        }
    }

    public var isEmpty: Bool { requirements.isEmpty }

    public func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            let value = labels[requirement.key]
            switch requirement.action {
            case .isIn: return value.map { requirement.values.contains($0) } ?? false
            case .notIn: return value.map { !requirement.values.contains($0) } ?? true
            case .exists: return value != nil
            case .doesNotExist: return value == nil
            case .greater, .less:
                guard let number = value.flatMap({ Int($0) }), let bound = requirement.values.first.flatMap({ Int($0) })
                else { return false }
                return requirement.action == .greater ? number > bound : number < bound
            }
        }
    }

    /// The form of query parameters.
    public var description: String {
        requirements.map { requirement in
            let values = requirement.values.joined(separator: ",")
            switch requirement.action {
            case .isIn where requirement.values.count == 1: return "\(requirement.key)=\(values)"
            case .isIn: return "\(requirement.key) in (\(values))"
            case .notIn where requirement.values.count == 1: return "\(requirement.key)!=\(values)"
            case .notIn: return "\(requirement.key) notin (\(values))"
            case .exists: return requirement.key
            case .doesNotExist: return "!" + requirement.key
            case .greater: return "\(requirement.key)>\(values)"
            case .less: return "\(requirement.key)<\(values)"
            }
        }.joined(separator: ",")
    }
}

extension LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h,!i,j>1`.
    public init(parsing text: String) throws {
        var reader = Reader(text: Array(text.utf8))
        reader.blanks()
        while !reader.atEnd {
            requirements.append(try reader.requirement())
            reader.blanks()
            if reader.atEnd { break }
            guard reader.take(",") else { throw reader.error("',' or end of string") }
            reader.blanks()
            if reader.atEnd { throw reader.error("identifier after ','") }
        }
    }

    private struct Reader {
        let text: [UInt8]
        var index = 0

        init(text: [UInt8]) { self.text = text }

        var atEnd: Bool { index >= text.count }

        mutating func blanks() { while index < text.count, text[index] == 32 || text[index] == 9 { index += 1 } }

        mutating func take(_ symbol: String) -> Bool {
            guard text[index...].starts(with: symbol.utf8) else { return false }
            index += symbol.utf8.count
            return true
        }

        mutating func word() -> String {
            let start = index
            while index < text.count, !"=!(),<> \t".utf8.contains(text[index]) { index += 1 }
            return String(decoding: text[start..<index], as: UTF8.self)
        }

        func error(_ expected: String) -> ParseError {
            let rest = String(decoding: text[min(index, text.count)...], as: UTF8.self)
            return ParseError(description: "unable to parse requirement: found '\(rest)', expected: \(expected)")
        }

        mutating func requirement() throws -> Requirement {
            if take("!") {
                blanks()
                let key = word()
                if key.isEmpty { throw error("identifier") }
                return Requirement(key: key, action: .doesNotExist, values: [])
            }
            let key = word()
            if key.isEmpty { throw error("!, identifier, or 'end of string'") }
            blanks()
            if atEnd || text[index] == UInt8(ascii: ",") { return Requirement(key: key, action: .exists, values: []) }
            for (symbol, action) in [
                ("!=", Operator.notIn), ("==", .isIn), ("=", .isIn), (">", .greater), ("<", .less),
            ] where take(symbol) {
                blanks()
                let value = word()
                if action == .greater || action == .less, Int(value) == nil { throw error("integer") }
                return Requirement(key: key, action: action, values: [value])
            }
            let name = word()
            guard name == "in" || name == "notin" else { throw error("in, notin, =, ==, !=, gt, lt") }
            return Requirement(key: key, action: name == "in" ? .isIn : .notIn, values: try list())
        }

        private mutating func list() throws -> [String] {
            blanks()
            guard !atEnd, take("(") else { throw error("'('") }
            var values: [String] = []
            while true {
                blanks()
                values.append(word())
                blanks()
                if atEnd { throw error("',' or ')'") }
                if take(")") { return values }
                guard take(",") else { throw error("',' or ')'") }
            }
        }
    }
}
