import Schema
import Synchronization

/// How one declared type is written as a protobuf message: its fields in the order of their numbers, found by number
/// and by name. Made when the type is first met, and kept.
final class MessagePlan: Sendable {
    struct Field: Sendable {
        let number: UInt64
        let name: String
        let shape: Shape
    }

    /// A part of the object that is a message of its own, although JSON shows its members beside the others.
    struct Inline: Sendable {
        let number: UInt64
        let plan: MessagePlan
    }

    let fields: [Field]
    let inlines: [Inline]
    private let byNumber: [UInt64: Int]
    private let byName: [String: Int]

    private init(_ message: FieldNumbers.Message, type: TypeInfo, inlines: [Inline]) {
        let fields = message.compactMap { number, field -> Field? in
            guard field.inline == nil, let shape = type.field(field.name)?.shape else { return nil }
            return Field(number: number, name: field.name, shape: shape)
        }.sorted { $0.number < $1.number }
        self.fields = fields
        self.inlines = inlines.sorted { $0.number < $1.number }
        byNumber = Dictionary(uniqueKeysWithValues: fields.indices.map { (fields[$0].number, $0) })
        byName = Dictionary(uniqueKeysWithValues: fields.indices.map { (fields[$0].name, $0) })
    }

    func field(_ number: UInt64) -> Field? { byNumber[number].map { fields[$0] } }
    func inline(_ number: UInt64) -> MessagePlan? { inlines.first { $0.number == number }?.plan }
    /// Where `name` stands in `fields`.
    func index(of name: String) -> Int? { byName[name] }

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
