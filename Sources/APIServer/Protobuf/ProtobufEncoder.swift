import Basics
import Document
import Kinds
import Schema

/// Writes an object in Kubernetes' protobuf form; the reverse of `ProtobufDecoder`.
///
/// Absent members are not written: a reader takes them for their zeros, which is what absence means in JSON.
enum ProtobufEncoder {
    /// A value does not have the form that its type demands; such an object cannot be in the store.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// A whole body.
    static func body(_ object: Document, apiVersion: String, kind: String, type: TypeInfo) throws -> [UInt8] {
        ProtobufWire.envelope(apiVersion: apiVersion, kind: kind, message: try message(object, type: type))
    }

    static func message(_ object: Document, type: TypeInfo) throws -> [UInt8] {
        guard let plan = MessagePlan.of(type) else { throw Failure("\(type.name) has no protobuf form") }
        var out: [UInt8] = []
        try write(object, plan, to: &out)
        return out
    }

    private static func write(_ object: Document, _ plan: MessagePlan, to out: inout [UInt8]) throws {
        var members: [(field: Int, value: Document)] = []
        members.reserveCapacity(object.count)
        object.eachMember { key, value in
            if let field = plan.index(of: key) { members.append((field, value)) }
        }
        members.sort { $0.field < $1.field }
        var inlines = plan.inlines[...]
        func writeInlines(before number: UInt64, to out: inout [UInt8]) throws {
            while let inline = inlines.first, inline.number < number {
                inlines.removeFirst()
                try ProtobufWire.message(inline.number, to: &out) { out in try write(object, inline.plan, to: &out) }
            }
        }
        for member in members {
            let field = plan.fields[member.field]
            try writeInlines(before: field.number, to: &out)
            try write(member.value, field, to: &out)
        }
        try writeInlines(before: .max, to: &out)
    }

    private static func write(_ value: Document, _ field: MessagePlan.Field, to out: inout [UInt8]) throws {
        if value.isNull { return }
        let number = field.number
        switch field.shape {
        case .list(let element):
            for item in value.elements { try writeSingle(item, number, element, field.plan, to: &out) }
        case .map(let element):
            for member in value.members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                try ProtobufWire.message(number, to: &out) { out in
                    ProtobufWire.text(1, member.key, to: &out)
                    // A null, such as an absent time, is an entry with an empty value.
                    if member.value.isNull {
                        ProtobufWire.bytes(2, [], to: &out)
                    } else {
                        try writeSingle(member.value, 2, element, field.plan, to: &out)
                    }
                }
            }
        default: try writeSingle(value, number, field.shape, field.plan, to: &out)
        }
    }

    /// `plan`: of the message that the value is, or that its elements are.
    private static func writeSingle(
        _ value: Document, _ number: UInt64, _ shape: Shape, _ plan: MessagePlan?, to out: inout [UInt8]
    ) throws {
        switch shape {
        case .string:
            guard value.withText({ ProtobufWire.bytes(number, $0, to: &out) }) != nil else {
                throw Failure("a value is no text")
            }
        case .bytes:
            guard let bytes = Base64.decode(try text(value)) else { throw Failure("a value is not base64") }
            ProtobufWire.bytes(number, bytes, to: &out)
        case .bool: ProtobufWire.integer(number, value.bool == true ? 1 : 0, to: &out)
        case .int32, .int64: ProtobufWire.integer(number, try integer(value), to: &out)
        case .double:
            ProtobufWire.varint(number << 3 | 1, to: &out)
            withUnsafeBytes(of: (value.double ?? 0).bitPattern.littleEndian) { out += $0 }
        case .quantity:
            let text = value.string ?? value.jsonText
            ProtobufWire.message(number, to: &out) { ProtobufWire.text(1, text, to: &$0) }
        case .intOrString:
            try ProtobufWire.message(number, to: &out) { out in
                ProtobufWire.integer(1, value.string == nil ? 0 : 1, to: &out)
                ProtobufWire.integer(2, value.string == nil ? try integer(value) : 0, to: &out)
                ProtobufWire.text(3, value.string ?? "", to: &out)
            }
        case .time, .microTime:
            guard let time = Timestamp.parts(rfc3339: try text(value)) else { throw Failure("a value is no time") }
            ProtobufWire.message(number, to: &out) { out in
                ProtobufWire.integer(1, time.seconds, to: &out)
                ProtobufWire.integer(2, time.nanoseconds, to: &out)
            }
        case .raw, .any, .fieldSet, .patch:
            ProtobufWire.message(number, to: &out) { ProtobufWire.bytes(1, value.json, to: &$0) }
        case .object(let type):
            guard let plan else { throw Failure("\(type.name) has no protobuf form") }
            try ProtobufWire.message(number, to: &out) { out in try write(value, plan, to: &out) }
        case .list(let element):
            // A list as a map's value is a message of its own with the elements in field 1.
            try ProtobufWire.message(number, to: &out) { out in
                for item in value.elements { try writeSingle(item, 1, element, plan, to: &out) }
            }
        case .map: throw Failure("maps of maps have no protobuf form")
        }
    }

    private static func text(_ value: Document) throws -> String {
        guard let text = value.string else { throw Failure("a value is no text") }
        return text
    }

    private static func integer(_ value: Document) throws -> Int64 {
        guard let number = value.int else { throw Failure("a value is no integer") }
        return Int64(number)
    }
}

extension ProtobufEncoder {
    /// A document that says itself what it is, as a whole body.
    static func body(_ document: Document) throws(APIStatus) -> [UInt8] {
        let apiVersion = document.text("apiVersion") ?? ""
        let kind = document.text("kind") ?? ""
        guard let type = type(apiVersion: apiVersion, kind: kind) else {
            throw .failure(406, "NotAcceptable", "\(kind) in version \"\(apiVersion)\" has no protobuf form")
        }
        do {
            return try body(document, apiVersion: apiVersion, kind: kind, type: type)
        } catch {
            throw .internalError("\(kind) cannot be written as protobuf: \(error)")
        }
    }

    private static func type(apiVersion: String, kind: String) -> TypeInfo? {
        let parts = apiVersion.split(separator: "/", maxSplits: 1).map(String.init)
        let version = parts.last ?? ""
        let group = parts.count == 2 ? parts[0] : ""
        // Status and its like appear in the unnamed group, whatever they are about.
        let isShared = group == "meta.k8s.io" || group.isEmpty
        let found =
            Kinds.registry.type(group: group, version: version, name: kind)
            ?? (isShared ? Kinds.registry.type(group: "meta", version: version, name: kind) : nil)
        return found?.info
    }
}
