import Basics
import Document

// Completing an object: what the declared types say about absent, empty and zero values.
//
// A Kubernetes server decodes into structures and encodes those again, and clients see the difference: an empty list
// disappears, an absent structure that is no pointer becomes `{}`. So completing both fills in defaults and drops
// what such a round trip would drop. Fields that the type does not know stay as they are.

extension Registry {
    /// Brings `object` into its complete form. Doing it again changes nothing.
    public func applyDefaults(to object: inout Document, type: TypeID) {
        object = type.info.custom.map { $0.completed(object) } ?? Completion.completed(object, as: type.info)
    }
}

enum Completion {
    static func completed(_ object: Document, as type: TypeInfo) -> Document {
        guard object.isObject else { return object }
        var seen: UInt64 = 0
        var result: [(String, Document)] = []
        result.reserveCapacity(object.count + type.filled.count)
        for member in object.members {
            guard let index = type.index[member.key] else {
                result.append((member.key, member.value))
                continue
            }
            guard let value = completed(member.value, of: type.fields[index]) else { continue }
            result.append((member.key, value))
            if index < 64 { seen |= 1 << UInt64(index) }
        }
        for index in type.filled {
            let field = type.fields[index]
            let present = index < 64 ? seen >> UInt64(index) & 1 == 1 : result.contains { $0.0 == field.name }
            if !present, let value = filling(field) { result.append((field.name, value)) }
        }
        return Document(members: result)
    }

    /// The value that stays, nil where the field counts as absent.
    ///
    /// A document can be written as `nil` too and is then null, so nothing here chooses between nil and a value.
    private static func completed(_ value: Document, of field: FieldInfo) -> Document? {
        switch value.kind {
        case .null: return nil
        case .object:
            if case .map = field.shape, value.count == 0, !field.keepsZero || field.fillsNull { return nil }
            return completed(value, shape: field.shape)
        case .array:
            if value.count == 0, !field.keepsZero || field.fillsNull { return nil }
            return completed(value, shape: field.shape)
        case .bool:
            if value.bool == false, dropsZero(field) { return nil }
        case .int:
            if value.int == 0, dropsZero(field) { return nil }
            return completed(value, shape: field.shape)
        case .string:
            if value.string?.isEmpty == true, dropsZero(field) { return nil }
            return completed(value, shape: field.shape)
        case .double: return completed(value, shape: field.shape)
        }
        return value
    }

    private static func dropsZero(_ field: FieldInfo) -> Bool {
        if field.isOptional { return false }
        switch field.shape {
        case .any, .raw, .object, .intOrString: return false
        default: break
        }
        return !(field.isRequired || field.isAlwaysWritten) || field.defaultValue != nil
    }

    static func completed(_ value: Document, shape: Shape) -> Document {
        switch shape {
        case .object(let type): return completed(value, as: type)
        case .list(let element):
            guard needsCompletion(element), value.isArray else { return value }
            return Document(value.elements.map { completed($0, shape: element) })
        case .map(.string):
            // In a map of texts, null is the empty one.
            guard value.isObject, value.members.contains(where: { $0.value.isNull }) else { return value }
            return Document(members: value.members.map { ($0.key, $0.value.isNull ? "" : $0.value) })
        case .map(let element):
            guard needsCompletion(element), value.isObject else { return value }
            return Document(members: value.members.map { ($0.key, completed($0.value, shape: element)) })
        case .quantity, .time, .microTime: return canonical(value, shape)
        default: return value
        }
    }

    /// Quantities and times are written in one way only; what cannot be read stays for validation to refuse.
    private static func canonical(_ value: Document, _ shape: Shape) -> Document {
        if case .quantity = shape {
            guard let amount = Quantity(value.string ?? value.jsonText) else { return value }
            let text = amount.description
            return text == value.string ? value : Document(text)
        }
        guard let text = value.string else { return value }
        var digits = 0
        if case .microTime = shape { digits = 6 }
        if text.utf8.count == (digits == 0 ? 20 : 27), text.utf8.last == UInt8(ascii: "Z") { return value }
        guard let time = Timestamp(rfc3339: text) else { return value }
        return Document(time.rfc3339(fractionDigits: digits))
    }

    private static func needsCompletion(_ shape: Shape) -> Bool {
        switch shape {
        case .object, .quantity, .time, .microTime: true
        case .list(let element), .map(let element): needsCompletion(element)
        default: false
        }
    }

    private static func filling(_ field: FieldInfo) -> Document? {
        switch field.fill {
        case .nothing: nil
        case .value(let value): completed(value, shape: field.shape)
        case .structure(let type): completed(.emptyObject, as: type)
        }
    }
}
