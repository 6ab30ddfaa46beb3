import Document

/// Why a configuration is refused, and where in it.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Such as `linux.namespaces[2].type`.
    public var field: String
    public var reason: String

    public init(_ field: String, _ reason: String) {
        self.field = field
        self.reason = reason
    }

    public var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
}

/// A place in a configuration: what is there, if anything, and how it is named. JSON's null counts as absent.
struct Field {
    let path: String
    private let document: Document?

    init(_ document: Document?, path: String = "") {
        self.document = document.flatMap { $0.isNull ? nil : $0 }
        self.path = path
    }

    var exists: Bool { document != nil }
    var value: Document? { document }

    func error(_ reason: String) -> ConfigurationError { ConfigurationError(path, reason) }

    private func wrong(_ wanted: String) -> ConfigurationError { error("\(wanted) is expected") }

    subscript(key: String) -> Field {
        get throws(ConfigurationError) {
            guard let document else { return Field(nil, path: path.isEmpty ? key : "\(path).\(key)") }
            guard document.isObject else { throw wrong("an object") }
            return Field(document[key], path: path.isEmpty ? key : "\(path).\(key)")
        }
    }

    func required() throws(ConfigurationError) -> Field {
        guard exists else { throw error("is missing") }
        return self
    }

    func object() throws(ConfigurationError) -> Field {
        if let document, !document.isObject { throw wrong("an object") }
        return self
    }

    func list() throws(ConfigurationError) -> [Field] {
        guard let document else { return [] }
        guard document.isArray else { throw wrong("a list") }
        return document.elements.enumerated().map { Field($1, path: "\(path)[\($0)]") }
    }

    func members() throws(ConfigurationError) -> [(String, Field)] {
        guard let document else { return [] }
        guard document.isObject else { throw wrong("an object") }
        return document.members.map { ($0.key, Field($0.value, path: "\(path).\($0.key)")) }
    }

    /// Texts end up in paths, arguments and kernel files, all of which end at a NUL.
    func string() throws(ConfigurationError) -> String? {
        guard let document else { return nil }
        guard let text = document.string else { throw wrong("a string") }
        guard !text.utf8.contains(0) else { throw error("has a NUL character in it") }
        return text
    }

    func strings() throws(ConfigurationError) -> [String] {
        var all: [String] = []
        for item in try list() { all.append(try item.required().string() ?? "") }
        return all
    }

    func bool() throws(ConfigurationError) -> Bool? {
        guard let document else { return nil }
        guard let value = document.bool else { throw wrong("true or false") }
        return value
    }

    func integer(in range: ClosedRange<Int64> = Int64.min...Int64.max) throws(ConfigurationError) -> Int64? {
        guard let document else { return nil }
        guard let value = document.int.map(Int64.init) else { throw wrong("an integer") }
        guard range.contains(value) else {
            throw error("\(value) is not within \(range.lowerBound)…\(range.upperBound)")
        }
        return value
    }

    func unsigned() throws(ConfigurationError) -> UInt64? {
        guard let document else { return nil }
        if let value = document.int, value >= 0 { return UInt64(value) }
        // Above the largest signed number only "no limit" is in use, as the largest unsigned one.
        if document.kind == .double, let value = document.double, value >= 0x1p63, value <= 0x1p64 {
            return value >= 0x1p64 ? UInt64.max : UInt64(value)
        }
        throw wrong("a number from 0 to \(UInt64.max)")
    }

    func id() throws(ConfigurationError) -> UInt32? {
        try integer(in: 0...Int64(UInt32.max) - 1).map { UInt32($0) }
    }

    func absolutePath() throws(ConfigurationError) -> String? {
        guard let text = try string(), !text.isEmpty else { return nil }
        guard text.hasPrefix("/") else { throw error("'\(text)' is not an absolute path") }
        return text
    }

    /// One of the named ones.
    func choice<Value>(_ values: [String: Value]) throws(ConfigurationError) -> Value? {
        guard let text = try string(), !text.isEmpty else { return nil }
        guard let value = values[text] else {
            throw error("'\(text)' is none of \(values.keys.sorted().joined(separator: ", "))")
        }
        return value
    }
}
