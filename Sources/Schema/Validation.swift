import Document

extension Registry {
    /// What the declared types forbid in `object`: kinds of values, requiredness, enumerations, ranges, syntaxes and
    /// elements of keyed lists that occur twice. All errors, in the order of the types' fields.
    public func validate(_ object: Document, type: TypeID) -> [FieldError] {
        if let custom = type.info.custom { return custom.validate(object) }
        var validator = Validator()
        validator.object(object, type.info, path: "")
        return validator.errors
    }

    /// `validate` for one field of the object only.
    public func validate(field name: String, of object: Document, type: TypeID) -> [FieldError] {
        guard let field = type.info.field(name), let value = object[name], !value.isNull else { return [] }
        var validator = Validator()
        validator.member(value, field, path: name)
        return validator.errors
    }

    /// `validate`, then `validateImmutable`.
    public func validateUpdate(_ new: Document, old: Document, type: TypeID) -> [FieldError] {
        if let custom = type.info.custom { return custom.validate(new, old: old) }
        return validate(new, type: type) + validateImmutable(new, old: old, type: type)
    }

    /// Fields that may not change and have changed.
    public func validateImmutable(_ new: Document, old: Document, type: TypeID) -> [FieldError] {
        var validator = Validator()
        validator.unchanged(new, old, type.info, path: "")
        return validator.errors
    }
}

struct Validator {
    var errors: [FieldError] = []

    mutating func object(_ object: Document, _ type: TypeInfo, path: String) {
        guard object.isObject else { return wrongType(object, "object", path) }
        for field in type.fields {
            let value = object[field.name]
            guard let value, !value.isNull else {
                if field.isNonempty { errors.append(.required(join(path, field.name))) }
                continue
            }
            let here = join(path, field.name)
            if field.isNonempty, Self.isEmpty(value) {
                errors.append(.required(here))
                continue
            }
            member(value, field, path: here)
        }
    }

    mutating func member(_ value: Document, _ field: FieldInfo, path: String) {
        self.value(value, field.shape, path: path)
        check(value, field, path: path)
    }

    private func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : path + "." + name }

    static func isEmpty(_ value: Document) -> Bool {
        switch value.kind {
        case .null: true
        case .string: value.string?.isEmpty == true
        case .array, .object: value.count == 0
        default: false
        }
    }

    private mutating func wrongType(_ value: Document, _ wanted: String, _ path: String) {
        errors.append(FieldError(.typeInvalid, path, "must be of type " + wanted, badValue: value))
    }

    private mutating func value(_ value: Document, _ shape: Shape, path: String) {
        switch shape {
        case .object(let type): object(value, type, path: path)
        case .list(let element):
            guard value.isArray else { return wrongType(value, "array", path) }
            for (index, item) in value.elements.enumerated() where !item.isNull {
                self.value(item, element, path: path + "[\(index)]")
            }
        case .map(let element):
            guard value.isObject else { return wrongType(value, "object", path) }
            for member in value.members where !member.value.isNull {
                self.value(member.value, element, path: path + "[\(member.key)]")
            }
        default:
            if let wanted = Scalar.mismatch(value, shape) { wrongType(value, wanted, path) }
        }
    }

    private mutating func check(_ value: Document, _ field: FieldInfo, path: String) {
        if !field.enumeration.isEmpty, let text = value.string, !field.enumeration.contains(text) {
            errors.append(.notSupported(path, value, field.enumeration))
        }
        if let number = value.int { range(number, field, path) }
        if !field.format.isEmpty, let text = value.string {
            for message in Formats.check(text, as: field.format) { errors.append(.invalid(path, value, message)) }
        }
        guard field.isUnique else { return }
        if case .map(let keys) = field.listKind { distinctKeys(value, keys, path) } else { distinct(value, path) }
    }

    private mutating func range(_ number: Int, _ field: FieldInfo, _ path: String) {
        if let low = field.minimum, let high = field.maximum {
            if number < low || number > high {
                errors.append(.invalid(path, Document(number), "must be between \(low) and \(high), inclusive"))
            }
        } else if let low = field.minimum, number < low {
            let text = low == 1 ? "must be greater than 0" : "must be greater than or equal to \(low)"
            errors.append(.invalid(path, Document(number), text))
        } else if let high = field.maximum, number > high {
            errors.append(.invalid(path, Document(number), "must be less than or equal to \(high)"))
        }
    }

    /// Being merged by a key does not make a list unique: an environment variable, for one, may be given twice.
    private mutating func distinctKeys(_ list: Document, _ keys: [String], _ path: String) {
        guard keys.count == 1, let key = keys.first else { return }
        var seen: Set<String> = []
        for (index, element) in list.elements.enumerated() {
            guard let value = element[key], let text = value.string, !text.isEmpty else { continue }
            if !seen.insert(text).inserted {
                errors.append(.duplicate("\(path)[\(index)].\(key)", value))
            }
        }
    }

    private mutating func distinct(_ list: Document, _ path: String) {
        var seen: [Document] = []
        for (index, element) in list.elements.enumerated() {
            if seen.contains(element) {
                errors.append(.duplicate("\(path)[\(index)]", element))
            } else {
                seen.append(element)
            }
        }
    }

    // MARK: Change

    /// With the members of maps in the order of their keys, as messages show them.
    private static func ordered(_ value: Document, _ shape: Shape) -> Document {
        switch shape {
        case .map where value.isObject:
            return Document(members: value.members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        case .object(let type) where value.isObject:
            return Document(
                members: value.members.map { member in
                    (member.key, type.field(member.key).map { ordered(member.value, $0.shape) } ?? member.value)
                })
        default: return value
        }
    }

    mutating func unchanged(_ new: Document, _ old: Document, _ type: TypeInfo, path: String) {
        for field in type.fields {
            let (newValue, oldValue) = (new[field.name], old[field.name])
            if field.isImmutable {
                if (newValue ?? .null) != (oldValue ?? .null) {
                    errors.append(
                        .invalid(
                            join(path, field.name), newValue.map { Self.ordered($0, field.shape) },
                            "field is immutable"))
                }
            } else if case .object(let inner) = field.shape, let newValue, let oldValue {
                unchanged(newValue, oldValue, inner, path: join(path, field.name))
            }
        }
    }
}

/// Which JSON values a scalar takes.
enum Scalar {
    /// The wanted type's name when `value` is none of it.
    static func mismatch(_ value: Document, _ shape: Shape) -> String? {
        switch shape {
        case .string: return value.string == nil ? "string" : nil
        case .bool: return value.bool == nil ? "boolean" : nil
        case .int64: return value.int == nil ? "integer" : nil
        case .int32:
            guard let number = value.int, Int32(exactly: number) != nil else { return "integer" }
            return nil
        case .double: return value.double == nil ? "number" : nil
        case .bytes:
            guard let text = value.string, Base64Check.isValid(text) else { return "base64 string" }
            return nil
        case .quantity:
            if value.int != nil || value.double != nil { return nil }
            guard value.string != nil, Quantity(QuantityForm.trimmed(value)) != nil else { return "quantity" }
            return nil
        case .intOrString: return value.int == nil && value.string == nil ? "integer or string" : nil
        case .time, .microTime:
            guard let text = value.string, Formats.isTime(text) else { return "RFC 3339 time" }
            return nil
        case .raw, .fieldSet: return value.isObject ? nil : "object"
        case .any, .patch, .object, .list, .map: return nil
        }
    }
}
