/// Where the values of a YAML text stand, so that an error about a value can name its line.
public struct YAMLPositions: Sendable {
    public struct Position: Sendable, Equatable, CustomStringConvertible {
        public var line: Int
        public var column: Int

        public var description: String { "line \(line), column \(column)" }
    }

    private var places: [String: Position] = [:]
    private var keys: [String: Position] = [:]

    /// Of a value that no text says.
    public init() {}

    mutating func record(_ path: [PathStep], line: Int, column: Int) {
        places[PathStep.text(of: path)] = Position(line: line, column: column)
    }

    mutating func recordKey(_ path: [PathStep], line: Int, column: Int) {
        keys[PathStep.text(of: path)] = Position(line: line, column: column)
    }

    /// The place of a member's name, for errors about the member itself, such as that nobody knows it.
    public func key(_ path: String) -> Position? { keys[path] }

    /// The place of the value at `path`, such as `spec.containers[0].image`; the whole document's at the empty path.
    public subscript(path: String) -> Position? { places[path] }

    /// The place of the value at `path`, or of the nearest value around it where that one is absent.
    public func nearest(_ path: String) -> Position? {
        var path = Substring(path)
        while true {
            if let place = places[String(path)] { return place }
            guard let cut = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return places[""] }
            path = path[..<cut]
        }
    }
}

extension Document {
    /// The first document of a YAML (or JSON) text, which must be the only one. An empty text is null.
    public init(yaml bytes: some Sequence<UInt8>) throws {
        self = try Self.yamlWithPositions(bytes).document
    }

    public init(yaml text: String) throws { try self.init(yaml: text.utf8) }

    public static func yamlWithPositions(
        _ bytes: some Sequence<UInt8>
    ) throws -> (document: Document, positions: YAMLPositions) {
        let bytes = Array(bytes)
        do {
            var reader = try YAMLReader(bytes)
            reader.positions = YAMLPositions()
            let document = try reader.next() ?? .null
            let positions = reader.positions ?? YAMLPositions()
            if let next = try reader.nextStart() {
                throw DocumentError(message: "expected a single document", line: next.line, column: next.column)
            }
            return (document, positions)
        } catch {
            guard let document = Self.jsonInstead(bytes) else { throw error }
            return (document, YAMLPositions())
        }
    }

    /// The first document of a stream, in which the last value of a repeated key counts, and what is to be said about
    /// such keys: `line 4: key "a" already set in map`.
    ///
    /// An error's message is the whole text in the words of Go's reader.
    public static func yamlTolerant(
        _ bytes: some Sequence<UInt8>, deepest: Int = deepestNesting
    ) throws -> (document: Document, repeated: [String]) {
        let bytes = Array(bytes)
        var reader = try YAMLReader(bytes)
        reader.toleratesRepeats = true
        reader.deepest = deepest
        do {
            return (try reader.next() ?? .null, reader.repeated)
        } catch var error as DocumentError {
            if let document = Self.jsonInstead(bytes, deepest: deepest) { return (document, []) }
            error.message = reader.hasFailed ? reader.failureText : "line \(error.line): \(error.message)"
            throw error
        }
    }

    /// All documents of a YAML stream, in order; empty ones (between two `---`) are left out.
    public static func yamlDocuments(_ bytes: some Sequence<UInt8>) throws -> [Document] {
        let bytes = Array(bytes)
        do {
            var reader = try YAMLReader(bytes)
            var documents: [Document] = []
            while let document = try reader.next() {
                if !document.isNull { documents.append(document) }
            }
            return documents
        } catch {
            guard let document = Self.jsonInstead(bytes) else { throw error }
            return [document]
        }
    }

    /// libyaml refuses some JSON, such as surrogate pairs written as escapes; our own parser takes all of it.
    private static func jsonInstead(_ bytes: [UInt8], deepest: Int = deepestNesting) -> Document? {
        var duplicates: [String] = []
        guard let document = try? Document(json: bytes, duplicates: &duplicates), duplicates.isEmpty,
            deepest == deepestNesting || (try? Document(json: bytes, deepest: deepest)) != nil
        else { return nil }
        return document
    }
}
