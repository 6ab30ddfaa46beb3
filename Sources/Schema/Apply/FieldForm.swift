import Document

/// How apply looks at a value: what is owned as a whole, and what in parts.
enum FieldForm {
    /// A scalar, or a structure, map or list that is owned as a whole.
    case leaf
    case structure(TypeInfo)
    case map(Shape)
    case set
    case keyed([String], TypeInfo)
    /// Nothing is declared: objects are owned in parts, everything else as a whole.
    case deduced

    init(_ field: FieldInfo) {
        switch field.shape {
        case .object(let type):
            self = field.isAtomicStructure || (type.isAtomic && !field.isGranularMap) ? .leaf : .structure(type)
        case .map(let element): self = field.isAtomicStructure ? .leaf : .map(element)
        case .list(let element):
            switch field.listKind {
            case .set: self = .set
            case .map(let keys):
                if case .object(let type) = element { self = .keyed(keys, type) } else { self = .leaf }
            case .atomic, .unspecified: self = .leaf
            }
        default: self.init(field.shape)
        }
    }

    /// Of the members of a map and the elements of a list.
    init(_ shape: Shape) {
        switch shape {
        case .object(let type): self = type.isAtomic ? .leaf : .structure(type)
        case .map(let element): self = .map(element)
        case .any: self = .deduced
        default: self = .leaf
        }
    }

    /// The form that a value shows where none is declared.
    static func deduced(_ value: Document) -> FieldForm { value.isObject ? .map(.any) : .leaf }
}

/// The identity of a list's element among its siblings.
enum ListElement {
    /// `k:{"name":"x"}`; nil where the element has none of the keys or is no object.
    static func key(_ element: Document, _ keys: [String], _ type: TypeInfo) -> String? {
        guard element.isObject else { return nil }
        var text: [UInt8] = Array("k:{".utf8)
        var isFirst = true
        // The wire has the keys in their order; most lists have one or two.
        let isSorted = keys.count < 2 || (keys.count == 2 && keys[0] < keys[1])
        for key in isSorted ? keys : keys.sorted() {
            guard let value = element[key] ?? fallback(key, type) else { continue }
            if !isFirst { text.append(UInt8(ascii: ",")) }
            isFirst = false
            JSONText.write(key, to: &text)
            text.append(UInt8(ascii: ":"))
            value.write(to: &text)
        }
        if isFirst { return nil }
        text.append(UInt8(ascii: "}"))
        return String(decoding: text, as: UTF8.self)
    }

    /// A key that is not given has its published default; one that is always written has its zero.
    private static func fallback(_ key: String, _ type: TypeInfo) -> Document? {
        guard let field = type.field(key) else { return nil }
        if field.publishesDefault { return field.defaultValue }
        guard field.isRequired, !field.isOptional else { return nil }
        return Zero.scalar(field.shape)
    }

    static func key(_ element: Document, _ form: FieldForm) -> String? {
        switch form {
        case .set: element.isObject || element.isArray || element.isNull ? nil : FieldElement.value(element)
        case .keyed(let keys, let type): key(element, keys, type)
        default: nil
        }
    }

    /// The form of a list's elements.
    static func form(_ list: FieldForm) -> FieldForm {
        if case .keyed(_, let type) = list { return type.isAtomic ? .leaf : .structure(type) }
        return .leaf
    }
}

/// An object in which nothing was set: what a server starts from when it makes one.
enum Zero {
    static func document(_ type: TypeInfo) -> Document {
        var members: [(String, Document)] = []
        for field in type.fields where !field.isOptional {
            switch field.shape {
            case .object(let inner): members.append((field.name, document(inner)))
            case .time, .microTime: members.append((field.name, .null))
            default:
                guard field.isRequired || field.isAlwaysWritten else { continue }
                members.append((field.name, scalar(field.shape) ?? .null))
            }
        }
        return Document(members: members)
    }

    /// Nil for what has no zero of its own and is null instead.
    static func scalar(_ shape: Shape) -> Document? {
        switch shape {
        case .string: return Document("")
        case .int32, .int64, .double, .intOrString: return Document(0)
        case .bool: return Document(false)
        case .quantity: return Document("0")
        default: return nil
        }
    }
}
