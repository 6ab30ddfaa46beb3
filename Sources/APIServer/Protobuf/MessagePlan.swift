import Schema
import Synchronization

/// How one declared type is written as a protobuf message: its fields in the order of their numbers, found by number
/// and by name. Made when the type is first met, and kept.
final class MessagePlan: Sendable {
    struct Field: Sendable {
        let number: UInt64
        let name: String
        let shape: Shape
        /// Where values of this field, or its elements, are messages of their own.
        fileprivate let message: Later?

        /// Nil for types that have no protobuf form.
        var plan: MessagePlan? { message?.plan }
    }

    /// A plan that is looked up when it is first needed: types hold themselves, some of them.
    fileprivate final class Later: Sendable {
        private let type: TypeInfo
        private let found = Mutex<MessagePlan??>(nil)

        init(_ type: TypeInfo) { self.type = type }

        var plan: MessagePlan? {
            if let known = found.withLock({ $0 }) { return known }
            let plan = MessagePlan.of(type)
            found.withLock { $0 = .some(plan) }
            return plan
        }
    }

    /// A part of the object that is a message of its own, although JSON shows its members beside the others.
    struct Inline: Sendable {
        let number: UInt64
        let plan: MessagePlan
    }

    let fields: [Field]
    let inlines: [Inline]
    private let byNumber: [UInt64: Int]
    private let byName: NameTable

    private init(_ message: FieldNumbers.Message, type: TypeInfo, inlines: [Inline]) {
        let fields = message.compactMap { number, field -> Field? in
            guard field.inline == nil, let shape = type.field(field.name)?.shape else { return nil }
            return Field(number: number, name: field.name, shape: shape, message: shape.message.map(Later.init))
        }.sorted { $0.number < $1.number }
        self.fields = fields
        self.inlines = inlines.sorted { $0.number < $1.number }
        byNumber = Dictionary(uniqueKeysWithValues: fields.indices.map { (fields[$0].number, $0) })
        byName = NameTable(fields.map(\.name))
    }

    func field(_ number: UInt64) -> Field? { byNumber[number].map { fields[$0] } }
    func inline(_ number: UInt64) -> MessagePlan? { inlines.first { $0.number == number }?.plan }
    /// Where the field of this name stands in `fields`.
    func index(of name: UnsafeBufferPointer<UInt8>) -> Int? { byName.index(of: name) }

    // MARK: Making plans

    private static let made = Mutex<[TypeID: MessagePlan?]>([:])

    /// Nil for types that have no protobuf form, such as those of custom resources.
    static func of(_ type: TypeInfo) -> MessagePlan? {
        if let known = made.withLock({ $0[TypeID(type)] }) { return known }
        let plan = plan(named: messageName(type), type)
        made.withLock { $0[TypeID(type)] = .some(plan) }
        return plan
    }

    private static func plan(named name: String, _ type: TypeInfo) -> MessagePlan? {
        guard let message = FieldNumbers.message(name) else { return nil }
        let inlines = message.compactMap { number, field -> Inline? in
            guard let inner = field.inline, let plan = plan(named: inner, type) else { return nil }
            return Inline(number: number, plan: plan)
        }
        return MessagePlan(message, type: type, inlines: inlines)
    }

    /// The message's name differs from the type's in how the package is written: `io.k8s.api.core.v1` is
    /// `k8s.io.api.core.v1`, and a hyphen is an underscore.
    private static func messageName(_ type: TypeInfo) -> String {
        "k8s.io." + type.fullName.dropFirst("io.k8s.".count).map { $0 == "-" ? "_" : String($0) }.joined()
    }
}

extension Shape {
    /// The type of the object that values of this shape are, or hold as elements.
    fileprivate var message: TypeInfo? {
        switch self {
        case .object(let type): type
        case .list(let element), .map(let element): element.message
        default: nil
        }
    }
}

/// Names by their bytes. A dictionary's hash is made to withstand chosen keys and costs more than all the rest of
/// writing a field; these names are our own, and looking one up compares it with one or two.
private struct NameTable: Sendable {
    private let names: [[UInt8]]
    /// Indices into `names`, -1 where a place is free. At least half are.
    private var places: [Int]

    init(_ names: [String]) {
        self.names = names.map { Array($0.utf8) }
        var size = 4
        while size < names.count * 2 { size *= 2 }
        places = Array(repeating: -1, count: size)
        for (index, name) in self.names.enumerated() {
            var place = name.withUnsafeBufferPointer { Self.hash($0) } & (size - 1)
            while places[place] >= 0 { place = (place + 1) & (size - 1) }
            places[place] = index
        }
    }

    private static func hash(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in name { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return Int(hash ^ hash >> 15)
    }

    func index(of name: UnsafeBufferPointer<UInt8>) -> Int? {
        var place = Self.hash(name) & (places.count - 1)
        while places[place] >= 0 {
            let index = places[place]
            if names[index].count == name.count, names[index].elementsEqual(name) { return index }
            place = (place + 1) & (places.count - 1)
        }
        return nil
    }
}
