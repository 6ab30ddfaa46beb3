import Document

/// Compares a document with what is expected of it: members that are not mentioned do not matter, the elements of an
/// expected list must each be found, in any order, and null means absent.
///
/// An object with one member that begins with `$` asks for more than equality:
/// `$exists`, `$not`, `$pattern`, `$atLeast`, `$atMost`, `$count`, `$exactly`.
enum Matcher {
    /// What is wrong, a line each, as `path: expected X, found Y`; empty where it matches.
    static func differences(_ actual: Document?, expected: Document, path: String = "") -> [String] {
        if let (name, argument) = operation(expected) { return apply(name, argument, actual, path) }
        switch expected.kind {
        case .null:
            return actual == nil || actual?.isNull == true ? [] : [line(path, "nothing", actual)]
        case .object:
            guard let actual, actual.isObject else { return [line(path, shown(expected), actual)] }
            return expected.members.flatMap { member in
                differences(
                    actual[member.key], expected: member.value,
                    path: path.isEmpty ? member.key : "\(path).\(member.key)")
            }
        case .array:
            return list(actual, expected, path)
        default:
            return actual?.means(expected) == true ? [] : [line(path, shown(expected), actual)]
        }
    }

    private static func list(_ actual: Document?, _ expected: Document, _ path: String) -> [String] {
        if expected.count == 0 { return (actual?.count ?? 0) == 0 ? [] : [line(path, "an empty list", actual)] }
        guard let actual, actual.isArray else { return [line(path, shown(expected), actual)] }
        var left = actual.elements
        var problems: [String] = []
        for (index, wanted) in expected.elements.enumerated() {
            if let place = left.firstIndex(where: { differences($0, expected: wanted).isEmpty }) {
                left.remove(at: place)
                continue
            }
            // The nearest candidate tells most: the one of the same name, else the one with the fewest differences.
            if let name = name(of: wanted), let namesake = left.first(where: { Self.name(of: $0) == name }) {
                problems += differences(namesake, expected: wanted, path: "\(path)[\(name)]")
                continue
            }
            let nearest = left.map { differences($0, expected: wanted, path: "\(path)[\(index)]") }
                .min { $0.count < $1.count }
            problems += nearest ?? ["\(path): no element like \(shown(wanted)), the list is too short"]
        }
        return problems
    }

    /// What the API itself tells elements of most lists apart by.
    static func name(of element: Document) -> String? { element.text("type") ?? element.text("name") }

    static let operations = ["$exists", "$not", "$pattern", "$atLeast", "$atMost", "$count", "$exactly"]

    private static func operation(_ expected: Document) -> (String, Document)? {
        guard expected.isObject, expected.count == 1, let member = expected.members.first,
            operations.contains(member.key)
        else { return nil }
        return (member.key, member.value)
    }

    private static func apply(_ name: String, _ argument: Document, _ actual: Document?, _ path: String) -> [String] {
        let holds: Bool
        switch name {
        case "$exists": holds = (actual != nil && actual?.isNull == false) == (argument.bool ?? true)
        case "$not": holds = !differences(actual, expected: argument).isEmpty
        case "$pattern":
            holds = actual?.string.flatMap { TextPattern(argument.string ?? "")?.match($0) } != nil
        case "$atLeast": holds = (actual?.double).map { $0 >= argument.double ?? .infinity } ?? false
        case "$atMost": holds = (actual?.double).map { $0 <= argument.double ?? -.infinity } ?? false
        case "$count": holds = (actual?.count ?? 0) == argument.int
        default: holds = actual?.means(argument) ?? argument.isNull
        }
        return holds ? [] : [line(path, "\(name) \(shown(argument))", actual)]
    }

    private static func line(_ path: String, _ expected: String, _ actual: Document?) -> String {
        "\(path.isEmpty ? "the object" : path): expected \(expected), found \(actual.map(shown) ?? "nothing")"
    }

    private static func shown(_ document: Document) -> String {
        let text = document.jsonText
        return text.utf8.count <= 300 ? text : "\(text.prefix(300))…"
    }
}
