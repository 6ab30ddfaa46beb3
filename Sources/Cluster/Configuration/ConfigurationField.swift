import Document

/// A configuration file: its name, its lines, and where each of its values stands.
struct ConfigurationSource: Sendable {
    let name: String
    let lines: [Substring]
    let positions: YAMLPositions
    /// Where the text begins in the file that it is embedded in.
    var lineOffset = 0
    var columnOffset = 0

    static func read(_ bytes: [UInt8], name: String) throws(UsageError) -> ConfigurationField {
        do {
            let (document, positions) = try Document.yamlWithPositions(bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            return ConfigurationField(
                value: document, path: "",
                source: ConfigurationSource(name: name, lines: lines, positions: positions))
        } catch {
            throw UsageError("\(name): \(error)", remedy: "the file must be one YAML document")
        }
    }

    func describe(_ position: YAMLPositions.Position?) -> String {
        guard let position else { return name }
        return "\(name): line \(position.line + lineOffset), column \(position.column + columnOffset)"
    }
}

/// A value of a configuration file. Whatever is wrong with it is reported with its line and column.
struct ConfigurationField: Sendable {
    let value: Document
    let path: String
    let source: ConfigurationSource

    private var name: String { path.split(separator: ".").last.map(String.init) ?? path }
    var isNull: Bool { value.isNull }

    /// An error about this value: what is wrong, and what is allowed there.
    func refuse(_ message: String, allowed: String) -> UsageError {
        let place = source.positions.key(path) ?? source.positions[path] ?? source.positions.nearest(path)
        return UsageError("\(source.describe(place)): \(message)", remedy: allowed)
    }

    // MARK: Structure

    /// The members of a mapping; one that is not known is refused.
    func members(_ known: [String]) throws(UsageError) -> [(key: String, field: ConfigurationField)] {
        let all = try members()
        for (key, field) in all where !known.contains(key) {
            throw field.refuse("unknown field '\(key)'", allowed: "known here are \(known.joined(separator: ", "))")
        }
        return all
    }

    func members() throws(UsageError) -> [(key: String, field: ConfigurationField)] {
        guard value.isObject else {
            throw refuse(
                path.isEmpty ? "a mapping is expected" : "\(name) must be a mapping",
                allowed: "write it as 'key: value' lines")
        }
        return value.members.map { member in
            let path = PathStep.text(of: [.key(member.key)])
            return (
                member.key,
                ConfigurationField(
                    value: member.value, path: self.path.isEmpty ? path : "\(self.path).\(path)", source: source)
            )
        }
    }

    func elements() throws(UsageError) -> [ConfigurationField] {
        guard value.isArray else {
            throw refuse("\(name) must be a list", allowed: "write it as '- …' lines, or as '[a, b]'")
        }
        return value.elements.enumerated().map { index, element in
            ConfigurationField(value: element, path: "\(path)[\(index)]", source: source)
        }
    }

    // MARK: Scalars

    func string() throws(UsageError) -> String {
        guard let text = value.string else { throw refuse("\(name) must be a string", allowed: "quote it") }
        return text
    }

    /// Also numbers and booleans, in their own spelling.
    func word() throws(UsageError) -> String {
        switch value.kind {
        case .string: return value.string ?? ""
        case .int, .double, .bool: return value.jsonText
        default: throw refuse("\(name) must be a string", allowed: "quote it")
        }
    }

    func bool() throws(UsageError) -> Bool {
        guard let isOn = value.bool else {
            throw refuse("\(name) must be true or false", allowed: "leave out the quotes")
        }
        return isOn
    }

    func number(_ range: ClosedRange<Int>) throws(UsageError) -> Int {
        guard let number = value.int else {
            throw refuse("\(name) must be a number", allowed: "write it like '\(name): \(range.lowerBound)'")
        }
        guard range.contains(number) else {
            throw refuse(
                "\(name): \(number) is out of range", allowed: "use \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func port() throws(UsageError) -> UInt16 {
        guard let port = value.int.flatMap({ UInt16(exactly: $0) }), port > 0 else {
            throw refuse("\(name) must be a port", allowed: "use a number from 1 to 65535")
        }
        return port
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_: Choice.Type) throws(UsageError) -> Choice {
        let text = try string()
        guard let choice = Choice(rawValue: text) else {
            let all = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw refuse("unknown \(name) '\(text)'", allowed: "use one of \(all)")
        }
        return choice
    }

    func strings(_ what: String = "strings") throws(UsageError) -> [String] {
        let texts = value.elements.compactMap(\.string)
        guard value.isArray, texts.count == value.count else {
            throw refuse("\(name) must be a list of \(what)", allowed: "write it like '[a, b]'")
        }
        return texts
    }

    /// A YAML text inside a string, with positions that count from the beginning of the outer file.
    func embedded() throws(UsageError) -> ConfigurationField {
        let text = try string()
        var inner: ConfigurationField
        let begin = source.positions[path]
        // A literal block: its lines are the file's, indented by the same number of blanks.
        let first = begin.map(\.line) ?? 0
        let isBlock = first > 0 && first <= source.lines.count && Self.beginsBlock(source.lines[first - 1], begin)
        let name = isBlock ? source.name : begin.map { source.describe($0) } ?? source.name
        inner = try ConfigurationSource.read(Array(text.utf8), name: name, lineOffset: isBlock ? first : 0) {
            let line = source.lines[first...].first { !$0.allSatisfy(\.isWhitespace) }
            return isBlock ? line.map { $0.prefix { $0 == " " }.count } ?? 0 : 0
        }
        return inner
    }

    /// A value that was computed from this one: an error in it is an error here.
    func replaced(by value: Document) -> ConfigurationField {
        let place = source.describe(source.positions[path])
        let source = ConfigurationSource(name: place, lines: [], positions: YAMLPositions())
        return ConfigurationField(value: value, path: "", source: source)
    }

    private static func beginsBlock(_ line: Substring, _ position: YAMLPositions.Position?) -> Bool {
        guard let position else { return false }
        return line.dropFirst(position.column - 1).first == "|"
    }
}

extension ConfigurationSource {
    /// The text of an embedded document; an error in its syntax is placed in the outer file, too.
    fileprivate static func read(
        _ bytes: [UInt8], name: String, lineOffset: Int, columns: () -> Int
    ) throws(UsageError) -> ConfigurationField {
        let field: ConfigurationField
        do { field = try read(bytes, name: name) } catch {
            throw UsageError(
                lineOffset > 0 ? "\(error.message) (counted from line \(lineOffset))" : error.message,
                remedy: "it must be one YAML document")
        }
        var source = field.source
        source.lineOffset = lineOffset
        source.columnOffset = columns()
        return ConfigurationField(value: field.value, path: "", source: source)
    }
}
