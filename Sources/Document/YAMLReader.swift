import Basics
import CYAML

/// Composes documents from libyaml's events.
///
/// Aliases are bounded twice: an anchor is known only after its node has ended, so nothing can contain itself,
/// and the values that aliases add are counted as if written out, so that a small text cannot stand for a huge one.
struct YAMLReader: ~Copyable {
    /// The most values that aliases and merges may add to one stream.
    static let mostAliasedValues = 100_000

    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let count: Int
    private var event = yaml_event_t()
    private var anchors: [String: Anchored] = [:]
    private var aliasedValues = 0
    private var path: [PathStep] = []
    /// Whether a key that is given again replaces the value before, and is noted, instead of being an error.
    var toleratesRepeats = false
    var deepest = Document.deepestNesting
    private(set) var repeated: [String] = []
    /// Filled where wanted: the place of every value, by its path.
    var positions: YAMLPositions?

    private struct Anchored {
        var value: Document
        /// Values in it, itself included.
        var size: Int
    }

    init(_ bytes: some Sequence<UInt8>) throws {
        let bytes = Array(bytes)
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            throw DocumentError(message: "no memory for the YAML parser", line: 0, column: 0)
        }
        self.parser = parser
        input = .allocate(capacity: max(bytes.count, 1))
        input.initialize(repeating: 0)
        _ = input.update(fromContentsOf: bytes)
        count = bytes.count
        yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    }

    deinit {
        var last = event
        yaml_event_delete(&last)
        yaml_parser_delete(parser)
        parser.deallocate()
        input.deallocate()
    }

    /// The next document of the stream; nil at its end. A document without content is null.
    mutating func next() throws -> Document? {
        repeat { try advance() } while event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_END_EVENT
        guard event.type == YAML_DOCUMENT_START_EVENT else { return nil }
        anchors = [:]
        try advance()
        return try node(depth: 0).value
    }

    /// Where another document of the stream starts; nil at its end. For callers who refuse a second one.
    mutating func nextStart() throws -> YAMLPositions.Position? {
        repeat { try advance() } while event.type == YAML_DOCUMENT_END_EVENT
        guard event.type == YAML_DOCUMENT_START_EVENT else { return nil }
        return YAMLPositions.Position(line: event.start_mark.line + 1, column: event.start_mark.column + 1)
    }

    // MARK: Events

    private mutating func advance() throws {
        yaml_event_delete(&event)
        guard yaml_parser_parse(parser, &event) == 1 else { throw parserError() }
    }

    private func parserError() -> DocumentError {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "invalid YAML"
        let context = parser.pointee.context.map { " " + String(cString: $0) } ?? ""
        if parser.pointee.error == YAML_READER_ERROR {
            // The reader knows an offset only; the line follows from the text before it.
            let before = input.prefix(min(parser.pointee.problem_offset, count))
            let line = before.reduce(1) { $1 == 10 ? $0 + 1 : $0 }
            let column = before.count - (before.lastIndex(of: 10).map { $0 + 1 } ?? 0) + 1
            return DocumentError(message: problem, line: line, column: column)
        }
        let mark = parser.pointee.problem_mark
        return DocumentError(message: problem + context, line: mark.line + 1, column: mark.column + 1)
    }

    /// The failure in the words of Go's reader, which clients of Kubernetes know: it counts lines from nought, and
    /// names none where that is the first.
    var failureText: String {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "unknown problem parsing YAML content"
        var line = parser.pointee.context_mark.line
        if line == 0 { line = parser.pointee.problem_mark.line }
        if line != 0, parser.pointee.error == YAML_SCANNER_ERROR { line += 1 }
        return line == 0 ? problem : "line \(line): \(problem)"
    }

    /// Whether libyaml itself refused the text.
    var hasFailed: Bool { parser.pointee.error != YAML_NO_ERROR }

    private func error(_ message: String, at mark: yaml_mark_t? = nil) -> DocumentError {
        let mark = mark ?? event.start_mark
        return DocumentError(message: message, line: mark.line + 1, column: mark.column + 1)
    }

    private static func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    // MARK: Nodes

    /// The node whose first event is the current one; ends on its last event.
    private mutating func node(depth: Int) throws -> Anchored {
        guard depth < deepest else { throw error("nested too deeply") }
        positions?.record(path, line: event.start_mark.line + 1, column: event.start_mark.column + 1)
        let anchor: String?
        let made: Anchored
        switch event.type {
        case YAML_ALIAS_EVENT: return try alias()
        case YAML_SCALAR_EVENT:
            anchor = Self.text(event.data.scalar.anchor)
            made = Anchored(value: try scalar(), size: 1)
        case YAML_SEQUENCE_START_EVENT:
            anchor = Self.text(event.data.sequence_start.anchor)
            made = try sequence(depth: depth)
        case YAML_MAPPING_START_EVENT:
            anchor = Self.text(event.data.mapping_start.anchor)
            made = try mapping(depth: depth)
        default: throw error("unexpected structure")
        }
        if let anchor { anchors[anchor] = made }
        return made
    }

    private mutating func alias() throws -> Anchored {
        let name = Self.text(event.data.alias.anchor) ?? ""
        guard let found = anchors[name] else { throw error("unknown anchor '\(name)' (or inside itself)") }
        aliasedValues += found.size
        guard aliasedValues <= Self.mostAliasedValues else { throw error("excessive aliasing") }
        return found
    }

    private mutating func sequence(depth: Int) throws -> Anchored {
        var elements: [Document] = []
        var size = 1
        while true {
            try advance()
            if event.type == YAML_SEQUENCE_END_EVENT { break }
            path.append(.index(elements.count))
            let element = try node(depth: depth + 1)
            path.removeLast()
            elements.append(element.value)
            size += element.size
        }
        return Anchored(value: Document(.array(elements)), size: size)
    }

    private mutating func mapping(depth: Int) throws -> Anchored {
        var members = MemberList()
        var merged: [Document] = []
        var size = 1
        while true {
            try advance()
            if event.type == YAML_MAPPING_END_EVENT { break }
            let mark = event.start_mark
            if isMergeKey {
                try advance()
                let value = try node(depth: depth + 1)
                size += value.size
                merged += try mergeSources(value.value, at: mark)
                continue
            }
            let key = try key()
            try advance()
            path.append(.key(key))
            positions?.recordKey(path, line: mark.line + 1, column: mark.column + 1)
            let value = try node(depth: depth + 1)
            path.removeLast()
            size += value.size
            guard members.add(key, value.value) else {
                let problem = "key \"\(key)\" already set in map"
                guard toleratesRepeats else { throw error(problem, at: mark) }
                repeated.append("line \(mark.line + 1): \(problem)")
                members.replace(key, value.value)
                continue
            }
        }
        // Keys of the mapping itself win over merged ones, earlier sources over later ones.
        for source in merged {
            for member in source.members { _ = members.add(member.key, member.value) }
        }
        return Anchored(value: Document(.object(members.members)), size: size)
    }

    private var isMergeKey: Bool {
        guard event.type == YAML_SCALAR_EVENT, event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE else { return false }
        return event.data.scalar.length == 2 && Self.text(event.data.scalar.value) == "<<"
    }

    private func mergeSources(_ value: Document, at mark: yaml_mark_t) throws -> [Document] {
        if value.isObject { return [value] }
        guard value.isArray, value.elements.allSatisfy(\.isObject) else {
            throw error("map merge requires map or sequence of maps as the value", at: mark)
        }
        return value.elements
    }

    /// A JSON member name: numbers and booleans become their text, everything else that is no string is refused.
    private mutating func key() throws -> String {
        let value: Document
        switch event.type {
        case YAML_SCALAR_EVENT:
            value = try scalar()
            if let anchor = Self.text(event.data.scalar.anchor) { anchors[anchor] = Anchored(value: value, size: 1) }
        case YAML_ALIAS_EVENT: value = try alias().value
        default: throw error("a key must be a scalar")
        }
        switch value.kind {
        case .string: return value.string ?? ""
        case .int, .double, .bool: return value.jsonText
        default: throw error("a key must be a string, a number or a boolean")
        }
    }

    // MARK: Scalars

    private func scalar() throws -> Document {
        let data = event.data.scalar
        guard let start = data.value else { throw error("a scalar without value") }
        let text = String(decoding: UnsafeBufferPointer(start: start, count: data.length), as: UTF8.self)
        let plain = data.style == YAML_PLAIN_SCALAR_STYLE
        guard let tag = Self.text(data.tag) else {
            guard plain else { return Document(text) }
            return try finite(YAMLScalar.resolve(text), text)
        }
        return try tagged(text, tag: tag)
    }

    private func finite(_ value: Document, _ text: String) throws -> Document {
        if let number = value.double, !number.isFinite { throw error("JSON cannot say the number \(text)") }
        return value
    }

    private func tagged(_ text: String, tag: String) throws -> Document {
        let refusal = error("cannot decode \"\(text)\" as \(tag)")
        switch tag {
        case "tag:yaml.org,2002:null":
            guard YAMLScalar.resolve(text).isNull else { throw refusal }
            return .null
        case "tag:yaml.org,2002:bool":
            guard let value = YAMLScalar.word(text), value.kind == .bool else { throw refusal }
            return value
        case "tag:yaml.org,2002:int":
            guard let value = YAMLScalar.number(text), value.kind == .int else { throw refusal }
            return value
        case "tag:yaml.org,2002:float":
            guard let value = YAMLScalar.number(text) else { throw refusal }
            return try finite(value, text)
        case "tag:yaml.org,2002:binary":
            guard let bytes = Base64.decode(text.filter { !$0.isWhitespace }),
                let decoded = String(validating: bytes, as: UTF8.self)
            else { throw refusal }
            return Document(decoded)
        default: return Document(text)
        }
    }
}

/// Members in order, each key once, with an index as soon as searching in a row would cost too much.
struct MemberList {
    private(set) var members: [Document.Member] = []
    private var keys: Set<String> = []

    mutating func replace(_ key: String, _ value: Document) {
        if let index = members.firstIndex(where: { $0.key == key }) { members[index].value = value }
    }

    /// False where the key is there already; the first value stays.
    mutating func add(_ key: String, _ value: Document) -> Bool {
        if members.count < 16 {
            if members.contains(where: { $0.key == key }) { return false }
        } else {
            if keys.isEmpty { keys = Set(members.map(\.key)) }
            if !keys.insert(key).inserted { return false }
        }
        members.append(Document.Member(key: key, value: value))
        return true
    }
}
