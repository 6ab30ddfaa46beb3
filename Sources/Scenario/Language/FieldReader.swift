import Document

/// An error in a scenario file, with its place.
public struct ScenarioError: Error, Sendable, Equatable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int
    public var message: String

    public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// Reads one object of a scenario file field by field. Fields that nobody asked for are errors: a misspelt
/// expectation that is never looked at would be a test that cannot fail.
final class FieldReader {
    let document: Document
    private let file: String
    private let path: String
    private let positions: YAMLPositions
    /// What may be asked for; nil where the fields are a number's.
    private let shape: Grammar.Shape?
    private var asked: Set<String> = []

    init(
        _ document: Document, file: String, path: String, positions: YAMLPositions, shape: Grammar.Shape?
    ) throws {
        self.shape = shape
        self.document = document
        self.file = file
        self.path = path
        self.positions = positions
        guard document.isObject else { throw error("expected an object with fields") }
    }

    private func place(_ field: String?) -> String {
        guard let field else { return path }
        return path.isEmpty ? field : "\(path).\(field)"
    }

    func error(_ message: String, at field: String? = nil) -> ScenarioError {
        let position = positions.nearest(place(field))
        let what = place(field).isEmpty ? "" : "\(place(field)): "
        return ScenarioError(
            file: file, line: position?.line ?? 1, column: position?.column ?? 1, message: what + message)
    }

    var line: Int { positions.nearest(path)?.line ?? 1 }
    var keys: [String] { document.members.map(\.key) }

    /// To be called when every known field has been asked for.
    func finish() throws {
        for key in keys where !asked.contains(key) {
            throw error("unknown field; known are \(asked.sorted().joined(separator: ", "))", at: key)
        }
    }

    func has(_ key: String) -> Bool { value(key) != nil }

    func value(_ key: String) -> Document? {
        precondition(
            shape.map { $0.others != nil || field(key) != nil } ?? true, "the grammar has no \(place(key))")
        asked.insert(key)
        return document[key]
    }

    private func field(_ key: String) -> Grammar.Field? { shape?.fields.first { $0.name == key } }

    func required(_ key: String) throws -> Document {
        guard let value = value(key) else { throw error("the field \(key) is missing") }
        return value
    }

    func text(_ key: String) throws -> String? {
        guard let value = value(key) else { return nil }
        switch value.kind {
        case .string: return value.string
        // A port or a version may look like a number.
        case .int, .double: return value.jsonText
        default: throw error("expected a text", at: key)
        }
    }

    func requiredText(_ key: String) throws -> String {
        guard let text = try text(key), !text.isEmpty else { throw error("the field \(key) is missing") }
        return text
    }

    /// One text, or a list of them.
    func texts(_ key: String) throws -> [String] {
        guard let value = value(key) else { return [] }
        if let text = value.string { return [text] }
        let texts = value.elements.compactMap(\.string)
        guard value.isArray, texts.count == value.count else {
            throw error("expected a text or a list of texts", at: key)
        }
        return texts
    }

    func flag(_ key: String) throws -> Bool {
        guard let value = value(key) else { return false }
        guard let flag = value.bool else { throw error("expected true or false", at: key) }
        return flag
    }

    func number(_ key: String) throws -> Int? {
        guard let value = value(key) else { return nil }
        guard let number = value.int else { throw error("expected a whole number", at: key) }
        return number
    }

    func duration(_ key: String) throws -> Duration? {
        guard let text = try text(key) else { return nil }
        guard let duration = Duration(scenario: text) else {
            throw error("\"\(text)\" is no duration like 500ms, 5s, 2m", at: key)
        }
        guard duration <= Scenario.longestTimeout else { throw error("longer than an hour", at: key) }
        return duration
    }

    /// `3`, or `{atLeast: 2, atMost: 5}`.
    func bound(_ key: String) throws -> Bound? {
        guard let value = value(key) else { return nil }
        if let number = value.int, number >= 0 { return .exactly(number) }
        guard value.isObject else { throw error("expected a number or atLeast, atMost", at: key) }
        let reader = try child(key)
        let bound = Bound(least: try reader.number("atLeast") ?? 0, most: try reader.number("atMost") ?? Int.max)
        try reader.finish()
        guard bound.least <= bound.most else { throw error("atLeast is more than atMost", at: key) }
        return bound
    }

    /// `3.5`, or `{atLeast: 2, atMost: 5}`.
    func measure(_ key: String) throws -> Measure? {
        guard let value = value(key) else { return nil }
        if let number = value.double { return Measure(least: number, most: number) }
        guard value.isObject else { throw error("expected a number or atLeast, atMost", at: key) }
        let reader = try child(key)
        let measure = Measure(
            least: reader.value("atLeast")?.double ?? -.infinity, most: reader.value("atMost")?.double ?? .infinity)
        try reader.finish()
        guard measure.least <= measure.most else { throw error("atLeast is more than atMost", at: key) }
        return measure
    }

    /// Names of the author's own, and their texts.
    func pairs(_ key: String) throws -> [(name: String, value: String)] {
        guard has(key) else { return [] }
        let reader = try child(key)
        return try reader.keys.map { name in
            guard Variables.isName(name), !Variables.given.contains(name) else {
                throw reader.error("no name for a variable", at: name)
            }
            guard let text = try reader.text(name) else { throw reader.error("expected a text", at: name) }
            return (name, text)
        }
    }

    /// The field's object. Where the grammar allows several shapes, `shape` says which one it is.
    func child(_ key: String, as shape: String? = nil) throws -> FieldReader {
        var name = shape
        if name == nil, case .shape(let own)? = field(key)?.kind { name = own }
        return try FieldReader(
            try required(key), file: file, path: place(key), positions: positions,
            shape: name.flatMap { Grammar.shape($0) })
    }

    func children(_ key: String) throws -> [FieldReader] {
        let value = try required(key)
        guard value.isArray else { throw error("expected a list", at: key) }
        var shape: Grammar.Shape?
        if case .list(let name)? = field(key)?.kind { shape = Grammar.shape(name) }
        return try value.elements.enumerated().map { index, element in
            try FieldReader(
                element, file: file, path: "\(place(key))[\(index)]", positions: positions, shape: shape)
        }
    }
}

extension Duration {
    /// `500ms`, `5s`, `1.5m`, `1h`.
    init?(scenario text: String) {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        guard let unit = units.first(where: { text.hasSuffix($0.0) }),
            let number = Double(text.dropLast(unit.0.count)), number >= 0, number.isFinite, number < 1e6
        else { return nil }
        self = .milliseconds(Int64((number * unit.1 * 1000).rounded()))
    }
}
