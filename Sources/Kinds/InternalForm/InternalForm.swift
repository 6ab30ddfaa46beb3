import Document
import Schema

/// How a Kubernetes server shows a structure in a message: not in the form of the API but in that of its own memory,
/// with every field, in its own order and under its own name.
///
/// The types are declared as text, in `types`. A line is a type, then its fields as `Name=member` with an ending that
/// says what the field is when it is absent:
///
/// | ending | absent is | present is |
/// |---|---|---|
/// | none | `""` | as it is |
/// | `#` | `0` | as it is |
/// | `!` | `false` | as it is |
/// | `?` | `null` | as it is, with maps in the order of their keys |
/// | `~` | left out | as it is, with maps in the order of their keys |
/// | `?T` | `null` | a structure of type `T` |
/// | `:T` | the empty `T` | a structure of type `T` |
/// | `*T` | `null` | a list of `T` |
/// | `~*T` | left out | a list of `T` |
///
/// `>T` stands for the fields of `T`, `member>T` for those of a member of type `T`.
enum InternalForm {
    private struct Field: Sendable {
        enum Kind: Sendable {
            case plain(Document), omitted, structure(String), embedded(String), list(String), spliced(String)
        }
        var name: String
        var member: String
        var kind: Kind
        var omitsAbsent = false
    }

    private static let declared: [String: [Field]] = {
        var result: [String: [Field]] = [:]
        for text in [types, coreTypes, podTypes, containerTypes, volumeTypes] {
            for line in text.description.split(separator: "\n") {
                var words = line.split(separator: " ")[...]
                guard let name = words.popFirst() else { continue }
                result[String(name), default: []] += words.compactMap { field(String($0)) }
            }
        }
        return result
    }()

    private static func field(_ word: String) -> Field? {
        if let mark = word.firstIndex(of: ">") {
            let (member, type) = (String(word[..<mark]), String(word[word.index(after: mark)...]))
            return Field(name: "", member: member, kind: .spliced(type))
        }
        let sides = word.split(separator: "=", maxSplits: 1).map(String.init)
        guard sides.count == 2 else { return nil }
        let end = sides[1].firstIndex { "#!?~:*".contains($0) } ?? sides[1].endIndex
        let member = String(sides[1][..<end])
        let rest = String(sides[1][end...])
        func type(_ count: Int) -> String { String(rest.dropFirst(count)) }
        switch rest.prefix(2) {
        case "": return Field(name: sides[0], member: member, kind: .plain(""))
        case "#": return Field(name: sides[0], member: member, kind: .plain(0))
        case "!": return Field(name: sides[0], member: member, kind: .plain(false))
        case "?": return Field(name: sides[0], member: member, kind: .plain(.null))
        case "~": return Field(name: sides[0], member: member, kind: .omitted)
        case "~*": return Field(name: sides[0], member: member, kind: .list(type(2)), omitsAbsent: true)
        default:
            switch rest.first {
            case "?": return Field(name: sides[0], member: member, kind: .structure(type(1)))
            case ":": return Field(name: sides[0], member: member, kind: .embedded(type(1)))
            default: return Field(name: sides[0], member: member, kind: .list(type(1)))
            }
        }
    }

    /// The declared structures, and the members that each shows.
    static var names: [String] { declared.keys.sorted() }
    static func members(of type: String) -> [String] {
        (declared[type] ?? []).flatMap { field in
            if case .spliced(let inner) = field.kind, field.member.isEmpty {
                members(of: inner)
            } else {
                [field.member]
            }
        }
    }

    /// The internal form of an API value; null where there is none.
    static func value(_ value: Document?, as type: String) -> Document {
        guard let value, !value.isNull else { return .null }
        return Document(members: members(value, type))
    }

    private static func members(_ value: Document, _ type: String) -> [(String, Document)] {
        var result: [(String, Document)] = []
        for field in declared[type] ?? [] {
            let given = field.member.isEmpty ? value : value[field.member].flatMap { $0.isNull ? .none : .some($0) }
            switch field.kind {
            case .spliced(let inner): result += members(given ?? .emptyObject, inner)
            case .plain(let zero): result.append((field.name, given.map(sorted) ?? zero))
            case .omitted: if let given { result.append((field.name, sorted(given))) }
            case .structure(let inner): result.append((field.name, self.value(given, as: inner)))
            case .embedded(let inner):
                result.append((field.name, Document(members: members(given ?? .emptyObject, inner))))
            case .list(let inner):
                guard let given, given.count > 0 else {
                    if !field.omitsAbsent { result.append((field.name, .null)) }
                    continue
                }
                result.append((field.name, Document(given.elements.map { self.value($0, as: inner) })))
            }
        }
        return result
    }

    private static func sorted(_ value: Document) -> Document {
        if value.isArray { return Document(value.elements.map(sorted)) }
        guard value.isObject else { return value }
        return Document(members: value.members.sorted { $0.key < $1.key }.map { ($0.key, sorted($0.value)) })
    }

    /// What differs between the internal forms of two values, as `diff -u` shows it without its header.
    static func difference(_ old: Document?, _ new: Document?, as type: String) -> String {
        UnifiedDiff.text(lines(value(old, as: type)), lines(value(new, as: type)))
    }

    // MARK: Lines

    /// JSON with one value a line, indented by a blank a level.
    static func lines(_ value: Document) -> [String] {
        var result: [String] = []
        append(value, prefix: "", suffix: "", indentation: "", &result)
        return result
    }

    private static func append(
        _ value: Document, prefix: String, suffix: String, indentation: String, _ lines: inout [String]
    ) {
        let start = indentation + prefix
        switch value.kind {
        case .object where value.count > 0:
            lines.append(start + "{")
            for (index, member) in value.members.enumerated() {
                append(
                    member.value, prefix: text(Document(member.key)) + ": ",
                    suffix: index + 1 < value.count ? "," : "", indentation: indentation + " ", &lines)
            }
            lines.append(indentation + "}" + suffix)
        case .array where value.count > 0:
            lines.append(start + "[")
            for (index, element) in value.elements.enumerated() {
                append(
                    element, prefix: "", suffix: index + 1 < value.count ? "," : "", indentation: indentation + " ",
                    &lines)
            }
            lines.append(indentation + "]" + suffix)
        default: lines.append(start + text(value) + suffix)
        }
    }

    /// A scalar, with what HTML would read as markup escaped.
    private static func text(_ value: Document) -> String {
        guard value.string != nil else { return value.jsonText }
        var result = ""
        for character in value.jsonText {
            switch character {
            case "<": result += "\\u003c"
            case ">": result += "\\u003e"
            case "&": result += "\\u0026"
            default: result.append(character)
            }
        }
        return result
    }
}
