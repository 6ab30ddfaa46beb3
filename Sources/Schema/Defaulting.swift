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
            if case .quantity = element {
                return Document(members: value.members.map { ($0.key, inThousandths($0.value)) })
            }
            return Document(members: value.members.map { ($0.key, completed($0.value, shape: element)) })
        case .quantity, .time, .microTime: return canonical(value, shape)
        default: return value
        }
    }

    /// Amounts of named resources are kept to the thousandth, rounded up.
    private static func inThousandths(_ value: Document) -> Document {
        guard let amount = Quantity(QuantityForm.trimmed(value)), !amount.isWholeInThousandths else {
            return canonical(value, .quantity)
        }
        return Document(Quantity(milli: amount.milliValue, format: amount.format).description)
    }

    /// Quantities and times are written in one way only; what cannot be read stays for validation to refuse.
    private static func canonical(_ value: Document, _ shape: Shape) -> Document {
        if case .quantity = shape {
            let given = QuantityForm.trimmed(value)
            guard let amount = Quantity(given) else { return value }
            let text = QuantityForm.isKept(given) ? given : amount.description
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

/// How an amount that was given is written again.
enum QuantityForm {
    static func trimmed(_ value: Document) -> String {
        guard let text = value.string else { return value.jsonText }
        guard text.utf8.first == UInt8(ascii: " ") || text.utf8.last == UInt8(ascii: " ") else { return text }
        return String(String(text.drop { $0 == " " }.reversed().drop { $0 == " " }).reversed())
    }

    /// Whether an amount that cannot be read has the general form, so that its suffix is what is wrong.
    static func isWrongInSuffixOnly(_ value: Document) -> Bool {
        let text = trimmed(value)
        if text.isEmpty { return false }
        func isSign(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") }
        func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
        var bytes = Array(text.utf8)[...]
        if let first = bytes.first, isSign(first) { bytes = bytes.dropFirst() }
        bytes = bytes.drop(while: isDigit)
        if bytes.first == UInt8(ascii: ".") { bytes = bytes.dropFirst().drop(while: isDigit) }
        bytes = bytes.drop { "eEinumkKMGTP".utf8.contains($0) }
        if let first = bytes.first, isSign(first) { bytes = bytes.dropFirst() }
        return bytes.allSatisfy(isDigit)
    }

    /// Whole numbers, with an exponent or without any suffix, stay as their author wrote them: `010`, `+5`, `1E3`.
    static func isKept(_ text: String) -> Bool {
        var bytes = Array(text.utf8)[...]
        func isSign(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") }
        func takeDigits() -> Bool {
            let count = bytes.prefix { (48...57).contains($0) }.count
            bytes = bytes.dropFirst(count)
            return count > 0
        }
        if isSign(bytes.first) { bytes = bytes.dropFirst() }
        guard takeDigits() else { return false }
        if bytes.first == UInt8(ascii: ".") { bytes = bytes.dropFirst() }
        if bytes.isEmpty { return true }
        guard bytes.first == UInt8(ascii: "e") || bytes.first == UInt8(ascii: "E") else { return false }
        bytes = bytes.dropFirst()
        if isSign(bytes.first) { bytes = bytes.dropFirst() }
        return takeDigits() && bytes.isEmpty
    }
}
