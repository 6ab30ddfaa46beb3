import Basics
import Document

// What a server says about a body before it looks at the meaning: values that do not fit the declared types, and
// fields that are unknown or given twice. The texts are those of Kubernetes, whose clients show them.

extension Registry {
    /// Why `object` cannot be read as `type`, in the words of Go's decoder; nil when it can.
    public func decodingError(in object: Document, type: TypeID) -> String? {
        if let custom = type.info.custom { return custom.decodingError(in: object) }
        return DecodingCheck.error(object, .object(type.info), owner: type.info.name, path: "")
    }

    /// The paths of the members that `type` does not declare, such as `spec.containers[0].imagee`: fields of nested
    /// structures before the members that follow them, as they stand in the object.
    public func unknownFields(in object: Document, type: TypeID) -> [String] {
        if let custom = type.info.custom { return custom.unknownFields(in: object) }
        var found: [String] = []
        Strictness.unknown(object, .object(type.info), path: "", into: &found)
        return found
    }

    /// Drops the members that `type` does not declare.
    public func prune(_ object: inout Document, type: TypeID) {
        object = type.info.custom.map { $0.pruned(object) } ?? Strictness.pruned(object, .object(type.info))
    }
}

enum Strictness {
    static func unknown(_ value: Document, _ shape: Shape, path: String, into found: inout [String]) {
        switch shape {
        case .object(let type):
            for member in value.members {
                let here = path.isEmpty ? member.key : path + "." + member.key
                if let index = type.index[member.key] {
                    let inner = type.fields[index].shape
                    if isNested(inner) { unknown(member.value, inner, path: here, into: &found) }
                } else {
                    found.append(here)
                }
            }
        case .list(let element):
            guard isNested(element) else { return }
            for (index, item) in value.elements.enumerated() {
                unknown(item, element, path: path + "[\(index)]", into: &found)
            }
        case .map(let element):
            guard isNested(element) else { return }
            for member in value.members { unknown(member.value, element, path: path + "." + member.key, into: &found) }
        default: break
        }
    }

    private static func isNested(_ shape: Shape) -> Bool {
        switch shape {
        case .object: true
        case .list(let element), .map(let element): isNested(element)
        default: false
        }
    }

    static func pruned(_ value: Document, _ shape: Shape) -> Document {
        guard isNested(shape) else { return value }
        switch shape {
        case .object(let type):
            guard value.isObject else { return value }
            return Document(
                members: value.members.compactMap { member in
                    type.index[member.key].map { (member.key, pruned(member.value, type.fields[$0].shape)) }
                })
        case .list(let element):
            return value.isArray ? Document(value.elements.map { pruned($0, element) }) : value
        case .map(let element):
            guard value.isObject else { return value }
            return Document(members: value.members.map { ($0.key, pruned($0.value, element)) })
        default: return value
        }
    }
}

enum DecodingCheck {
    /// Depth first in the order of the object; `owner` is the structure and `path` the fields on the way, without
    /// the indices, as Go names the place.
    static func error(_ value: Document, _ shape: Shape, owner: String, path: String) -> String? {
        if value.isNull { return nil }
        switch shape {
        case .object(let type):
            guard value.isObject else { return mismatch(value, shape, owner, path) }
            for member in value.members {
                guard let index = type.index[member.key] else { continue }
                let here = path.isEmpty ? member.key : path + "." + member.key
                if let text = error(member.value, type.fields[index].shape, owner: type.name, path: here) {
                    return text
                }
            }
        case .list(let element):
            guard value.isArray else { return mismatch(value, shape, owner, path) }
            for item in value.elements {
                if let text = error(item, element, owner: owner, path: path) { return text }
            }
        case .map(let element):
            guard value.isObject else { return mismatch(value, shape, owner, path) }
            for member in value.members {
                if let text = error(member.value, element, owner: owner, path: path) { return text }
            }
        default: return scalar(value, shape, owner, path)
        }
        return nil
    }

    private static func scalar(_ value: Document, _ shape: Shape, _ owner: String, _ path: String) -> String? {
        if case .microTime = shape, let text = value.string { return TimeText.failure(text, micro: true) }
        guard Scalar.mismatch(value, shape) != nil else { return nil }
        switch shape {
        case .quantity:
            guard value.string != nil else { return mismatch(value, shape, owner, path) }
            if QuantityForm.isWrongInSuffixOnly(value) { return "unable to parse quantity's suffix" }
            return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        case .time, .microTime:
            guard let text = value.string else { return mismatch(value, shape, owner, path) }
            return TimeText.failure(text, micro: false)
        case .bytes:
            guard let text = value.string else { return mismatch(value, shape, owner, path) }
            return "illegal base64 data at input byte \(Base64Check.firstIllegal(text))"
        default: return mismatch(value, shape, owner, path)
        }
    }

    private static func mismatch(_ value: Document, _ shape: Shape, _ owner: String, _ path: String) -> String {
        let place = path.isEmpty ? "value" : "struct field \(owner).\(path)"
        return "json: cannot unmarshal \(name(of: value, for: shape)) into Go \(place) of type \(goName(shape))"
    }

    /// A number is quoted where its size or form is what does not fit.
    private static func name(of value: Document, for shape: Shape) -> String {
        switch value.kind {
        case .null: return "null"
        case .bool: return "bool"
        case .string: return "string"
        case .array: return "array"
        case .object: return "object"
        case .int, .double:
            switch shape {
            case .int32, .int64: return "number " + value.jsonText
            default: return "number"
            }
        }
    }

    private static func goName(_ shape: Shape) -> String {
        switch shape {
        case .string: "string"
        case .bool: "bool"
        case .int32: "int32"
        case .int64: "int64"
        case .double: "float64"
        case .bytes: "[]uint8"
        case .quantity: "resource.Quantity"
        case .intOrString: "intstr.IntOrString"
        case .time: "string"
        case .microTime: "string"
        case .raw: "runtime.RawExtension"
        case .any: "v1.JSON"
        case .fieldSet: "v1.FieldsV1"
        case .patch: "v1.Patch"
        case .object(let type): type.version + "." + type.name
        case .list(let element): "[]" + goName(element)
        case .map(let element): "map[string]" + goName(element)
        }
    }
}

enum Base64Check {
    static func isValid(_ text: String) -> Bool { Base64.decode(text) != nil }

    /// The byte at which Go's decoder gives up: the first foreign one, or the end of what is too short.
    static func firstIllegal(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case 65...90, 97...122, 48...57, UInt8(ascii: "+"), UInt8(ascii: "/"), 10, 13: continue
            case UInt8(ascii: "=") where index % 4 >= 2: continue
            default: return index
            }
        }
        return bytes.count / 4 * 4
    }
}
