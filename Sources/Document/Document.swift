import Basics

/// A JSON value: the one form in which API objects travel through the house.
///
/// Value semantics; unknown members survive, absent and null stay different, members keep their order.
///
/// A parsed document is a place on a `Tape`: reading makes nothing but what is asked for. A change turns the objects
/// and arrays on the way to it, and only those, into lists of members and elements; all others stay on the tape and
/// are written by copying their text.
public struct Document: Sendable {
    public enum Kind: Sendable {
        case null, bool, int, double, string, array, object
    }

    enum Representation: Sendable {
        case null
        case bool(Bool)
        case int(Int64)
        case double(Double)
        /// Boxed, or its two words would make every document half as large again.
        indirect case string(String)
        case array([Document])
        case object([Member])
        /// A string, array or object of a parsed text.
        case tape(Tape, UInt32)
    }

    public struct Member: Sendable, Equatable {
        public var key: String
        public var value: Document

        public init(key: String, value: Document) {
            self.key = key
            self.value = value
        }
    }

    var representation: Representation

    init(_ representation: Representation) { self.representation = representation }

    // MARK: Making

    public static let null = Document(.null)
    public static let emptyObject = Document(.object([]))
    public static let emptyArray = Document(.array([]))

    public init(_ value: Bool) { representation = .bool(value) }
    public init(_ value: Int) { representation = .int(Int64(value)) }
    public init(_ value: Int64) { representation = .int(value) }
    public init(_ value: Double) { representation = .double(value) }
    public init(_ value: String) { representation = .string(value) }
    public init(_ value: Substring) { representation = .string(String(value)) }
    public init(_ value: some Sequence<Document>) { representation = .array(Array(value)) }
    public init(_ value: some Sequence<String>) { representation = .array(value.map { Document($0) }) }
    /// An object with these members in this order; a later member with the same key replaces the earlier.
    public init(members: some Sequence<(String, Document)>) {
        representation = .object([])
        for (key, value) in members { self[key] = value }
    }

    // MARK: Reading

    public var kind: Kind {
        switch representation {
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .double: .double
        case .string: .string
        case .array: .array
        case .object: .object
        case .tape(let tape, let index):
            switch tape.nodes[Int(index)].tag {
            case .string: .string
            case .array: .array
            default: .object
            }
        }
    }

    public var isNull: Bool { kind == .null }
    public var isObject: Bool { kind == .object }
    public var isArray: Bool { kind == .array }

    public var bool: Bool? { if case .bool(let value) = representation { value } else { nil } }
    /// Only for whole numbers written without fraction or exponent.
    public var int: Int? { if case .int(let value) = representation { Int(value) } else { nil } }
    /// Any number.
    public var double: Double? {
        switch representation {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
    public var string: String? {
        switch representation {
        case .string(let value): return value
        case .tape(let tape, let index):
            let node = tape.nodes[Int(index)]
            return node.tag == .string ? tape.string(node) : nil
        default: return nil
        }
    }

    /// Elements of an array or members of an object; 0 for everything else.
    public var count: Int {
        switch representation {
        case .array(let elements): elements.count
        case .object(let members): members.count
        case .tape(let tape, let index): tape.count(index)
        default: 0
        }
    }

    /// The elements of an array, in order; empty for everything else.
    public var elements: [Document] {
        switch representation {
        case .array(let elements): return elements
        case .tape(let tape, let index) where tape.nodes[Int(index)].tag == .array: return tape.elements(index)
        default: return []
        }
    }

    /// The members of an object, in order; empty for everything else.
    public var members: [Member] {
        switch representation {
        case .object(let members): return members
        case .tape(let tape, let index) where tape.nodes[Int(index)].tag == .object: return tape.members(index)
        default: return []
        }
    }

    /// Goes through the members of an object, in order, without making strings of the keys: for those who go through
    /// many objects and look the keys up in tables of their own.
    public func eachMember<E: Error>(_ body: (UnsafeBufferPointer<UInt8>, Document) throws(E) -> Void) throws(E) {
        if case .tape(let tape, let index) = representation, tape.nodes[Int(index)].tag == .object,
            try tape.eachMember(index, body)
        {
            return
        }
        for member in members {
            let key = Array(member.key.utf8)
            // The closure given to the buffer could not throw `E` alone.
            let result = key.withUnsafeBufferPointer { key in
                Result { () throws(E) in try body(key, member.value) }
            }
            try result.get()
        }
    }

    /// The bytes of a string, for those who copy them elsewhere. Nil for everything else.
    public func withText<Value>(_ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value? {
        if case .tape(let tape, let index) = representation {
            let node = tape.nodes[Int(index)]
            guard node.tag == .string else { return nil }
            if !node.isEscaped { return body(tape.text(node)) }
        }
        guard var string else { return nil }
        return string.withUTF8(body)
    }

    /// The member `key` of an object. Nil when absent, and for everything that is no object.
    /// Setting creates the object where there was null; setting nil removes the member.
    public subscript(key: String) -> Document? {
        get {
            switch representation {
            case .object(let members): return members.first { $0.key == key }?.value
            case .tape(let tape, let index) where tape.nodes[Int(index)].tag == .object:
                return tape.find(key, in: index).map { tape.document($0) }
            default: return nil
            }
        }
        set {
            var members = self.members
            representation = .null  // gives up our reference, so that the array is changed in place
            if let index = members.firstIndex(where: { $0.key == key }) {
                if let newValue { members[index].value = newValue } else { members.remove(at: index) }
            } else if let newValue {
                members.append(Member(key: key, value: newValue))
            }
            representation = .object(members)
        }
    }

    /// The element at `index` of an array; a programming error past its end.
    public subscript(index: Int) -> Document {
        get {
            if case .tape(let tape, let place) = representation, tape.nodes[Int(place)].tag == .array {
                guard let element = tape.element(place, at: index) else { preconditionFailure("past the end") }
                return element
            }
            return elements[index]
        }
        set {
            guard isArray else { preconditionFailure("no array") }
            var elements = self.elements
            representation = .null
            elements[index] = newValue
            representation = .array(elements)
        }
    }

    public mutating func append(_ element: Document) {
        var elements = self.elements
        representation = .null
        elements.append(element)
        representation = .array(elements)
    }

    /// Follows member names; nil as soon as one is absent.
    public func at(_ path: String...) -> Document? { at(path: path) }

    public func at(path: some Sequence<String>) -> Document? {
        if case .tape(let tape, var index) = representation {
            for key in path {
                guard tape.nodes[Int(index)].tag == .object, let next = tape.find(key, in: index) else { return nil }
                index = next
            }
            return tape.document(index)
        }
        var here = self
        for key in path {
            guard let next = here[key] else { return nil }
            here = next
        }
        return here
    }

    /// The string, number or truth at a path of member names, nil where absent or of another kind.
    public func text(_ path: String...) -> String? { at(path: path)?.string }
    public func number(_ path: String...) -> Int? { at(path: path)?.int }
    public func flag(_ path: String...) -> Bool? { at(path: path)?.bool }
    /// The elements at a path, empty where absent.
    public func list(_ path: String...) -> [Document] { at(path: path)?.elements ?? [] }
    /// The string members at a path, such as labels; empty where absent.
    public func map(_ path: String...) -> [String: String] {
        var result: [String: String] = [:]
        for member in at(path: path)?.members ?? [] { result[member.key] = member.value.string }
        return result
    }

    /// The same value without the rest of the text it was parsed in, for whoever keeps a small part of something large.
    public var detached: Document {
        if case .tape(let tape, let index) = representation { tape.detached(index) } else { self }
    }

    /// Sets the value at a path of member names, making objects on the way; nil removes it.
    public mutating func set(_ value: Document?, at path: String...) { set(value, path: path[...]) }

    public mutating func set(_ value: Document?, path: ArraySlice<String>) {
        guard let first = path.first else {
            self = value ?? .null
            return
        }
        if path.count == 1 {
            self[first] = value
            return
        }
        guard value != nil || self[first] != nil else { return }
        var child = self[first] ?? .emptyObject
        self[first] = .null
        child.set(value, path: path.dropFirst())
        self[first] = child
    }
}

extension Document: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self.init(value) }
    public init(integerLiteral value: Int) { self.init(value) }
    public init(booleanLiteral value: Bool) { self.init(value) }
    public init(floatLiteral value: Double) { self.init(value) }
    public init(arrayLiteral elements: Document...) { self.init(elements) }
    public init(dictionaryLiteral members: (String, Document)...) { self.init(members: members) }
    public init(nilLiteral: ()) { self = .null }
}
