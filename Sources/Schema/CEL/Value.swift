import Document

extension CEL {
    /// A value at run time. Documents become values one level at a time, when somebody looks.
    public enum Value: Sendable {
        case null
        case bool(Bool)
        case int(Int64)
        case uint(UInt64)
        case double(Double)
        case string(String)
        case bytes([UInt8])
        case timestamp(Instant)
        /// Nanoseconds.
        case duration(Int64)
        case list(List)
        case map(Map)
        case type(ValueType)
        /// Nil is `optional.none()`.
        indirect case optional(Value?)
        /// A structure made by an expression.
        case structure(Structure)
        /// What functions alone know the inside of.
        case opaque(any OpaqueValue)
        /// An object whose fields are worked out when asked for.
        case object(any ObjectValue)
    }

    public protocol OpaqueValue: Sendable {
        var typeName: String { get }
        /// What costs are counted by, where it has a size.
        var size: Int? { get }
        func isEqual(to other: any OpaqueValue) -> Bool
    }

    public protocol ObjectValue: AnyObject, Sendable {
        var typeName: String { get }
        /// The field's value and what it cost to find; nil where there is none.
        func field(_ name: String, limit: UInt64) -> (result: Result<Value, Failure>, cost: UInt64)?
    }

    public struct Structure: Sendable {
        public let typeName: String
        public let fields: [(name: String, value: Value)]
    }

    /// A list: values, or an array of a document.
    public enum List: Sendable {
        case values([Value])
        case document(Document, DeclaredType?)

        public var count: Int {
            switch self {
            case .values(let values): values.count
            case .document(let document, _): document.count
            }
        }

        public var values: [Value] {
            switch self {
            case .values(let values): values
            case .document(let document, let type): document.elements.map { Value($0, as: type?.element) }
            }
        }

        subscript(index: Int) -> Value {
            switch self {
            case .values(let values): values[index]
            case .document(let document, let type): Value(document[index], as: type?.element)
            }
        }

        var semantics: DeclaredType.ListSemantics {
            if case .document(_, let type) = self { type?.listSemantics ?? .sequence } else { .sequence }
        }
    }

    /// A map: entries in the order they were made, or an object of a document.
    public enum Map: Sendable {
        case entries(Entries)
        case document(Document, DeclaredType?)

        public struct Entries: Sendable {
            public private(set) var list: [(key: Value, value: Value)] = []
            private var index: [Key: Int] = [:]

            public init() {}

            func find(_ key: Key) -> Value? { index[key].map { list[$0].value } }

            /// False where the key is there already.
            mutating func insert(_ key: Value, _ hashed: Key, _ value: Value) -> Bool {
                guard index[hashed] == nil else { return false }
                index[hashed] = list.count
                list.append((key, value))
                return true
            }
        }

        public var count: Int {
            switch self {
            case .entries(let entries): entries.list.count
            case .document(let document, _): document.count
            }
        }

        public func find(_ key: Value) -> Value? {
            switch self {
            case .entries(let entries): return Key(key).flatMap { entries.find($0) }
            case .document:
                guard case .string(let name) = key else { return nil }
                return find(name)
            }
        }

        public func find(_ name: String) -> Value? {
            switch self {
            case .entries(let entries): return entries.find(.string(Bytes(text: name)))
            case .document(let document, let type):
                guard let type else { return document[name].map { Value($0) } }
                if let element = type.element { return document[name].map { Value($0, as: element) } }
                if let field = type.field(name) { return document[field.member].map { Value($0, as: field.type) } }
                return document[name].map { Value($0) }
            }
        }

        public var entries: [(key: Value, value: Value)] {
            switch self {
            case .entries(let entries): entries.list
            case .document(let document, let type):
                document.members.map { member in
                    (.string(member.key), Value(member.value, as: type?.element ?? type?.field(member.key)?.type))
                }
            }
        }

        var keys: [Value] {
            switch self {
            case .entries(let entries): entries.list.map(\.key)
            case .document(let document, _): document.members.map { .string($0.key) }
            }
        }
    }

    /// A string as its bytes: Swift's own equality would take different spellings of é for one.
    struct Bytes: Hashable, Sendable {
        let text: String
        static func == (a: Bytes, b: Bytes) -> Bool { sameText(a.text, b.text) }
        func hash(into hasher: inout Hasher) {
            var copy = text
            copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// A key by what it means: 1, 1u and 1.0 are one key.
    enum Key: Hashable, Sendable {
        case bool(Bool)
        case integer(Int128)
        case string(Bytes)

        init?(_ value: Value) {
            switch value {
            case .bool(let flag): self = .bool(flag)
            case .int(let number): self = .integer(Int128(number))
            case .uint(let number): self = .integer(Int128(number))
            case .double(let number):
                guard number.rounded() == number, abs(number) < 1e19 else { return nil }
                self = .integer(Int128(number))
            case .string(let text): self = .string(Bytes(text: text))
            default: return nil
            }
        }
    }

    static func sameText(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }
}

extension CEL.Value {
    /// A document's value as its declared type reads it: dates and durations are text on the wire.
    public init(_ document: Document, as type: CEL.DeclaredType? = nil) {
        switch document.kind {
        case .null: self = .null
        case .bool: self = .bool(document.bool ?? false)
        case .int:
            let number = Int64(document.int ?? 0)
            self = type?.type == .double ? .double(Double(number)) : .int(number)
        case .double:
            let number = document.double ?? 0
            self =
                type?.type == .int && number.rounded() == number && abs(number) < 9e18
                ? .int(Int64(number)) : .double(number)
        case .string:
            let text = document.string ?? ""
            self = type.flatMap { Self.typed(text, $0) } ?? .string(text)
        case .array: self = .list(.document(document, type))
        case .object: self = .map(.document(document, type))
        }
    }

    private static func typed(_ text: String, _ type: CEL.DeclaredType) -> CEL.Value? {
        switch type.type {
        case .timestamp: CEL.Instant(dateOrTime: text).map { .timestamp($0) }
        case .duration: CEL.parseDuration(text).map { .duration($0) }
        case .bytes: CEL.decodeBase64(text).map { .bytes($0) }
        default: nil
        }
    }

    /// The value as JSON; nil for what has no such form.
    public var document: Document? {
        switch self {
        case .null: return .some(.null)
        case .bool(let value): return Document(value)
        case .int(let value): return Document(value)
        case .uint(let value): return value <= UInt64(Int64.max) ? Document(Int64(value)) : Document(Double(value))
        case .double(let value): return Document(value)
        case .string(let value): return Document(value)
        case .bytes(let value): return Document(CEL.encodeBase64(value))
        case .timestamp(let value): return Document(value.description)
        case .duration(let value): return Document(CEL.text(ofDuration: value))
        case .list(.document(let document, _)), .map(.document(let document, _)): return document
        case .list(.values(let values)):
            var elements: [Document] = []
            for value in values {
                guard let element = value.document else { return Document?.none }
                elements.append(element)
            }
            return Document(elements)
        case .map(.entries(let entries)): return Self.object(entries.list.map { ($0.key.document?.string, $0.value) })
        case .structure(let structure): return Self.object(structure.fields.map { ($0.name, $0.value) })
        case .optional(let value): return value?.document
        case .type(let type): return Document(type.runtimeName)
        case .opaque(let value): return (value as? any CustomStringConvertible).map { Document($0.description) }
        case .object: return Document?.none
        }
    }

    private static func object(_ fields: [(String?, CEL.Value)]) -> Document? {
        var members: [(String, Document)] = []
        for (name, value) in fields {
            guard let name, let member = value.document else { return Document?.none }
            members.append((name, member))
        }
        return Document(members: members)
    }

    public var type: CEL.ValueType {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        case .timestamp: .timestamp
        case .duration: .duration
        case .list: .list(.dyn)
        case .map(.document(_, let type)): type.map { $0.isObject ? .object($0) : .map(.dyn, .dyn) } ?? .map(.dyn, .dyn)
        case .map: .map(.dyn, .dyn)
        case .type: .type(nil)
        case .optional: .optional(.dyn)
        case .structure(let structure): .opaque(structure.typeName)
        case .opaque(let value): .opaque(value.typeName)
        case .object(let object): .opaque(object.typeName)
        }
    }

    /// What costs are counted by: characters, bytes, elements, entries; 1 for everything without a size.
    var costSize: Int {
        switch self {
        case .string(let text): text.unicodeScalars.count
        case .bytes(let bytes): bytes.count
        case .list(let list): list.count
        case .map(let map): map.count
        case .opaque(let value): value.size ?? 1
        default: 1
        }
    }

    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
}

// MARK: Equality and order

extension CEL.Value {
    /// Equality as expressions mean it: numbers by value, maps in any order, never an error.
    public func equals(_ other: CEL.Value) -> Bool {
        switch (self, other) {
        case (.null, .null): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.int(let a), .int(let b)): return a == b
        case (.uint(let a), .uint(let b)): return a == b
        case (.double(let a), .double(let b)): return a == b
        case (.int, .uint), (.uint, .int), (.int, .double), (.double, .int), (.uint, .double), (.double, .uint):
            return (try? compare(other)) == 0
        case (.string(let a), .string(let b)): return CEL.sameText(a, b)
        case (.bytes(let a), .bytes(let b)): return a == b
        case (.timestamp(let a), .timestamp(let b)): return a == b
        case (.duration(let a), .duration(let b)): return a == b
        case (.list(let a), .list(let b)): return Self.equal(a, b)
        case (.map(let a), .map(let b)): return Self.equal(a, b)
        case (.type(let a), .type(let b)): return a.runtimeName == b.runtimeName
        case (.optional(let a), .optional(let b)):
            if let a, let b { return a.equals(b) }
            return a == nil && b == nil
        case (.structure(let a), .structure(let b)):
            return a.typeName == b.typeName && a.fields.count == b.fields.count
                && a.fields.allSatisfy { field in
                    b.fields.first { $0.name == field.name }.map { $0.value.equals(field.value) } ?? false
                }
        case (.opaque(let a), .opaque(let b)): return a.isEqual(to: b)
        case (.object(let a), .object(let b)): return a === b
        default: return false
        }
    }

    private static func equal(_ a: CEL.List, _ b: CEL.List) -> Bool {
        guard a.count == b.count else { return false }
        let (left, right) = (a.values, b.values)
        switch a.semantics {
        case .sequence: return zip(left, right).allSatisfy { $0.equals($1) }
        case .set, .map:
            let places = CEL.ListPlaces(right, a.semantics)
            return left.allSatisfy { value in places.find(value).map { right[$0].equals(value) } ?? false }
        }
    }

    private static func equal(_ a: CEL.Map, _ b: CEL.Map) -> Bool {
        guard a.count == b.count else { return false }
        return a.entries.allSatisfy { entry in b.find(entry.key).map { $0.equals(entry.value) } ?? false }
    }

    /// Below, at or above zero; nil where one side is no number. Throws for what has no order.
    func compare(_ other: CEL.Value) throws(CEL.Failure) -> Int? {
        switch (self, other) {
        case (.bool(let a), .bool(let b)): return (a ? 1 : 0) - (b ? 1 : 0)
        case (.int(let a), .int(let b)): return Self.order(a, b)
        case (.uint(let a), .uint(let b)): return Self.order(a, b)
        case (.int(let a), .uint(let b)): return Self.order(Int128(a), Int128(b))
        case (.uint(let a), .int(let b)): return Self.order(Int128(a), Int128(b))
        case (.double(let a), .double(let b)): return Self.order(a, b)
        case (.double(let a), .int(let b)): return Self.order(a, Int128(b))
        case (.double(let a), .uint(let b)): return Self.order(a, Int128(b))
        case (.int(let a), .double(let b)): return Self.order(b, Int128(a)).map { -$0 }
        case (.uint(let a), .double(let b)): return Self.order(b, Int128(a)).map { -$0 }
        case (.string(let a), .string(let b)):
            if a.utf8.elementsEqual(b.utf8) { return 0 }
            return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        case (.bytes(let a), .bytes(let b)):
            return a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
        case (.timestamp(let a), .timestamp(let b)): return a == b ? 0 : a < b ? -1 : 1
        case (.duration(let a), .duration(let b)): return Self.order(a, b)
        default: throw .noSuchOverload
        }
    }

    private static func order<T: Comparable>(_ a: T, _ b: T) -> Int? {
        if a < b { return -1 }
        if a > b { return 1 }
        return a == b ? 0 : nil  // one of them is no number
    }

    /// As doubles compare, so that what a double cannot tell apart is equal.
    private static func order(_ a: Double, _ b: Int128) -> Int? { order(a, Double(b)) }
}
