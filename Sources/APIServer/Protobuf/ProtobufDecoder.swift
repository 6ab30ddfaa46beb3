import Basics
import Document
import Schema

/// Reads an object from Kubernetes' protobuf form: many clients write in it, also those that read JSON.
///
///     "k8s\0"  Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }, 2: the object's message }
///
/// A message says only numbers and wire types; names and forms come from the schema.
enum ProtobufDecoder {
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The kind and version that the envelope names, and the message in it.
    static func envelope(_ bytes: [UInt8]) throws -> (apiVersion: String, kind: String, message: ArraySlice<UInt8>) {
        guard bytes.starts(with: ProtobufWire.magic) else {
            throw Failure("provided data does not appear to be a protobuf message")
        }
        var result = (apiVersion: "", kind: "", message: ArraySlice<UInt8>())
        try fields(bytes.dropFirst(ProtobufWire.magic.count)) { number, value in
            switch (number, value) {
            case (1, .bytes(let meta)):
                try fields(meta) { number, value in
                    if number == 1 { result.apiVersion = try value.text() }
                    if number == 2 { result.kind = try value.text() }
                }
            case (2, .bytes(let message)): result.message = message
            default: break
            }
        }
        return result
    }

    static func object(_ message: ArraySlice<UInt8>, type: TypeInfo) throws -> Document {
        var members = Members()
        try read(message, plan(type), depth: 0, into: &members)
        return members.document
    }

    // MARK: Wire format

    enum Value {
        case integer(UInt64)
        case bytes(ArraySlice<UInt8>)

        func text() throws -> String {
            guard case .bytes(let bytes) = self, let text = String(validating: bytes, as: UTF8.self) else {
                throw Failure("a field that should hold text does not")
            }
            return text
        }

        func message() throws -> ArraySlice<UInt8> {
            guard case .bytes(let bytes) = self else { throw Failure("a field that should hold a message does not") }
            return bytes
        }

        func number() throws -> Int64 {
            guard case .integer(let value) = self else { throw Failure("a field that should hold a number does not") }
            return Int64(bitPattern: value)
        }
    }

    private static func fields(_ bytes: ArraySlice<UInt8>, _ body: (UInt64, Value) throws -> Void) throws {
        var rest = bytes
        while !rest.isEmpty {
            let tag = try varint(&rest)
            switch tag & 7 {
            case 0: try body(tag >> 3, .integer(varint(&rest)))
            case 1: try body(tag >> 3, .integer(fixed(&rest, 8)))
            case 5: try body(tag >> 3, .integer(fixed(&rest, 4)))
            case 2:
                let length = try varint(&rest)
                guard length <= UInt64(rest.count) else { throw Failure("unexpected EOF") }
                try body(tag >> 3, .bytes(rest.prefix(Int(length))))
                rest = rest.dropFirst(Int(length))
            default: throw Failure("illegal wireType \(tag & 7)")
            }
        }
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = bytes.popFirst() else { throw Failure("unexpected EOF") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Failure("integer overflow")
    }

    private static func fixed(_ bytes: inout ArraySlice<UInt8>, _ count: Int) throws -> UInt64 {
        guard bytes.count >= count else { throw Failure("unexpected EOF") }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    // MARK: Messages

    /// Members in the making: lists grow as their elements come.
    private struct Members {
        var names: [String] = []
        var values: [String: Document] = [:]

        mutating func set(_ name: String, _ value: Document) {
            if values.updateValue(value, forKey: name) == nil { names.append(name) }
        }

        mutating func append(_ name: String, _ value: Document) {
            var list = values[name] ?? .emptyArray
            values[name] = .null
            list.append(value)
            if !names.contains(name) { names.append(name) }
            values[name] = list
        }

        mutating func put(_ name: String, _ key: String, _ value: Document) {
            var map = values[name] ?? .emptyObject
            map[key] = value
            set(name, map)
        }

        var document: Document { Document(members: names.map { ($0, values[$0] ?? .null) }) }
    }

    private static func plan(_ type: TypeInfo) throws -> MessagePlan {
        guard let plan = MessagePlan.of(type) else { throw Failure("\(type.name) has no protobuf form") }
        return plan
    }

    private static func read(
        _ bytes: ArraySlice<UInt8>, _ plan: MessagePlan, depth: Int, into members: inout Members
    ) throws {
        guard depth < 100 else { throw Failure("nested too deeply") }
        try fields(bytes) { number, value in
            if let inline = plan.inline(number) {
                return try read(value.message(), inline, depth: depth + 1, into: &members)
            }
            guard let field = plan.field(number) else { return }
            let shape = field.shape
            switch shape {
            case .list(let element): members.append(field.name, try single(value, element, depth))
            case .map(let element):
                var key = ""
                var item: Value?
                try fields(value.message()) { number, value in
                    if number == 1 { key = try value.text() }
                    if number == 2 { item = value }
                }
                members.put(field.name, key, try item.map { try single($0, element, depth) } ?? empty(element))
            default: members.set(field.name, try single(value, shape, depth))
            }
        }
    }

    /// A map's value that is its type's zero is not written.
    private static func empty(_ shape: Shape) -> Document {
        switch shape {
        case .string, .bytes: ""
        case .bool: false
        case .int32, .int64: 0
        case .quantity: "0"
        case .list: .emptyArray
        default: .emptyObject
        }
    }

    private static func single(_ value: Value, _ shape: Shape, _ depth: Int) throws -> Document {
        switch shape {
        case .string: return Document(try value.text())
        case .bytes: return Document(Base64.encode(Array(try value.message())))
        case .bool: return Document(try value.number() != 0)
        case .int32: return Document(Int64(Int32(truncatingIfNeeded: try value.number())))
        case .int64: return Document(try value.number())
        case .double: return Document(Double(bitPattern: UInt64(bitPattern: try value.number())))
        case .quantity: return try quantity(value)
        case .intOrString: return try intOrString(value)
        case .time, .microTime: return try time(value, micro: isMicro(shape))
        case .raw, .any, .fieldSet, .patch: return try embedded(value)
        case .object(let type):
            var members = Members()
            try read(value.message(), plan(type), depth: depth + 1, into: &members)
            return members.document
        case .list(let element):
            // A list as a map's value is a message of its own with the elements in field 1.
            var items: [Document] = []
            try fields(value.message()) { number, value in
                if number == 1 { items.append(try single(value, element, depth + 1)) }
            }
            return Document(items)
        case .map: throw Failure("maps of maps have no protobuf form")
        }
    }

    private static func isMicro(_ shape: Shape) -> Bool { if case .microTime = shape { true } else { false } }

    private static func quantity(_ value: Value) throws -> Document {
        var text = "0"
        try fields(value.message()) { number, value in if number == 1 { text = try value.text() } }
        return Document(text.isEmpty ? "0" : text)
    }

    private static func intOrString(_ value: Value) throws -> Document {
        var isText = false
        var number: Int64 = 0
        var text = ""
        try fields(value.message()) { field, value in
            switch field {
            case 1: isText = try value.number() == 1
            case 2: number = try value.number()
            case 3: text = try value.text()
            default: break
            }
        }
        return isText ? Document(text) : Document(number)
    }

    private static func time(_ value: Value, micro: Bool) throws -> Document {
        var seconds: Int64?
        var nanoseconds: Int64 = 0
        try fields(value.message()) { number, value in
            if number == 1 { seconds = try value.number() }
            if number == 2 { nanoseconds = try value.number() }
        }
        // The zero time of Go is the year 1, and counts as no time; years have four digits.
        guard let seconds, seconds > -62_135_596_800, seconds < 253_402_300_800 else { return .null }
        guard (0..<1_000_000_000).contains(nanoseconds) else { throw Failure("a time's nanoseconds are out of range") }
        return Document(
            Timestamp.rfc3339(seconds: seconds, nanoseconds: nanoseconds, fractionDigits: micro ? 6 : 0))
    }

    /// JSON inside a message.
    private static func embedded(_ value: Value) throws -> Document {
        var json = ArraySlice<UInt8>()
        try fields(value.message()) { number, value in if number == 1 { json = try value.message() } }
        return json.isEmpty ? .null : try Document(json: Array(json), deepest: Document.deepestInput / 2)
    }
}
