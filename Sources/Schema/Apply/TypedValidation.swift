import Document

// Whether a configuration can be applied at all: it must fit the declared types, and the elements of its lists must
// be told apart by their keys. The texts are those that clients of server-side apply know.

enum TypedValidation {
    struct Mistake {
        var path: String
        var text: String
    }

    /// What is wrong with a configuration, as one text; nil when nothing is.
    static func error(in object: Document, _ type: TypeInfo) -> String? {
        var found: [Mistake] = []
        structure(object, type, "", into: &found)
        let texts = found.map { $0.path.isEmpty ? $0.text : "\($0.path): \($0.text)" }
        guard texts.count > 1 else { return texts.first }
        return (["errors:"] + texts.map { "  " + $0 }).joined(separator: "\n")
    }

    private static func check(
        _ value: Document, _ shape: Shape, _ form: FieldForm, _ path: String, into found: inout [Mistake]
    ) {
        if value.isNull { return }
        switch shape {
        case .object(let type): structure(value, type, path, into: &found)
        case .map(let element):
            guard value.isObject else { return mistake("expected map, got &{\(GoText.value(value))}", path, &found) }
            let form = FieldForm(element)
            for member in value.members {
                check(member.value, element, form, "\(path).\(member.key)", into: &found)
            }
        case .list(let element):
            guard value.isArray else { return mistake("expected list, got &{\(GoText.value(value))}", path, &found) }
            list(value, element, form, path, into: &found)
        case .string, .bytes, .time, .microTime:
            if value.string == nil { mistake("expected string, got \(GoText.pointer(value))", path, &found) }
        case .int32, .int64, .double:
            if value.double == nil {
                mistake("expected numeric (int or float), got \(GoText.type(value))", path, &found)
            }
        case .bool:
            if value.bool == nil { mistake("expected boolean, got &{\(GoText.value(value))}", path, &found) }
        case .quantity, .intOrString:
            if value.isObject || value.isArray {
                mistake("expected any scalar, got &{\(GoText.value(value))}", path, &found)
            }
        case .raw, .any, .fieldSet, .patch: return
        }
    }

    private static func mistake(_ text: String, _ path: String, _ found: inout [Mistake]) {
        found.append(Mistake(path: path, text: text))
    }

    private static func structure(_ value: Document, _ type: TypeInfo, _ path: String, into found: inout [Mistake]) {
        guard value.isObject else { return mistake("expected map, got &{\(GoText.value(value))}", path, &found) }
        for member in value.members {
            guard let field = type.field(member.key) else {
                if type.preservesUnknownFields { continue }
                mistake("field not declared in schema", "\(path).\(member.key)", &found)
                continue
            }
            check(member.value, field.shape, FieldForm(field), "\(path).\(member.key)", into: &found)
        }
    }

    private static func list(
        _ value: Document, _ shape: Shape, _ form: FieldForm, _ path: String, into found: inout [Mistake]
    ) {
        var seen: Set<String> = []
        let inner = FieldForm(shape)
        for (index, element) in value.elements.enumerated() {
            var place = "[\(index)]"
            switch form {
            case .set, .keyed:
                guard let key = ListElement.key(element, form) else {
                    mistake("element \(index): \(noKey(element, form))", path, &found)
                    return
                }
                place = FieldElement.text(key)
                if !seen.insert(key).inserted { mistake("duplicate entries for key \(place)", path, &found) }
            default: break
            }
            check(element, shape, inner, path + place, into: &found)
        }
    }

    private static func noKey(_ element: Document, _ form: FieldForm) -> String {
        guard case .keyed(let keys, _) = form else {
            if element.isNull { return "associative list without keys has an element that's a null type" }
            return "associative list without keys has an element that's a \(element.isObject ? "map" : "list") type"
        }
        if element.isNull { return "associative list with keys may not have a null element" }
        guard element.isObject else { return "associative list with keys may not have non-map elements" }
        let names = keys.map { Document($0).jsonText }.joined(separator: " ")
        return "associative list with keys has an element that omits all key fields [\(names)] "
            + "(and doesn't have default values for any key fields)"
    }
}

/// Values as Go prints them, which messages of its libraries carry.
public enum GoText {
    /// As `%v` prints it: `map[a:1 b:[x y]]`, with the keys of maps in order.
    public static func value(_ value: Document) -> String {
        switch value.kind {
        case .null: return "<nil>"
        case .string: return value.string ?? ""
        case .array: return "[" + value.elements.map(Self.value).joined(separator: " ") + "]"
        case .object:
            let members = value.members.sorted { $0.key < $1.key }
            return "map[" + members.map { "\($0.key):\(Self.value($0.value))" }.joined(separator: " ") + "]"
        case .bool, .int, .double: return value.jsonText
        }
    }

    /// As `%q` prints it: control characters as `\\x01`, not as JSON has them.
    public static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            case 7: result += "\\a"
            case 8: result += "\\b"
            case 9: result += "\\t"
            case 10: result += "\\n"
            case 11: result += "\\v"
            case 12: result += "\\f"
            case 13: result += "\\r"
            case ..<32, 127:
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    static func type(_ value: Document) -> String {
        switch value.kind {
        case .null: "<nil>"
        case .bool: "bool"
        case .int: "int64"
        case .double: "float64"
        case .string: "string"
        case .array: "[]interface {}"
        case .object: "map[string]interface {}"
        }
    }

    /// As `%#v` prints an untyped value.
    static func pointer(_ value: Document) -> String { "&value.valueUnstructured{Value:\(syntax(value))}" }

    /// As `%#v` prints it.
    static func syntax(_ value: Document) -> String {
        switch value.kind {
        case .null: return "interface {}(nil)"
        case .string: return value.jsonText
        case .array:
            return "[]interface {}{" + value.elements.map(syntax).joined(separator: ", ") + "}"
        case .object:
            let members = value.members.sorted { $0.key < $1.key }
            return "map[string]interface {}{"
                + members.map { "\(Document($0.key).jsonText):\(syntax($0.value))" }.joined(separator: ", ") + "}"
        case .bool, .int, .double: return value.jsonText
        }
    }
}
