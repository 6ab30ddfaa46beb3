/// kubectl's dialect of JSONPath: text with expressions in braces, such as
/// `{range .items[*]}{.metadata.name}{"\n"}{end}` or `{.items[?(@.kind=="Pod")].metadata.name}`.
/// A field that is absent yields nothing.
public struct JSONPath: Sendable {
    indirect enum Node: Sendable {
        case text(String)
        /// One pair of braces: steps that are applied one after the other.
        case expression([Step])
        /// `{range …}` body `{end}`.
        case range([Step], [Node])
    }

    enum Step: Sendable {
        /// `$`: back to the whole document.
        case root
        case field(String)
        /// `.*` and `[*]`.
        case wildcard
        /// `..name`; nil is `..*`.
        case recursive(String?)
        /// `[1]`, `[-1]`, `[1:3]`, `[::2]`.
        case slice(from: Int?, to: Int?, step: Int)
        /// `[0,2]`, `['a','b']`.
        case union([[Step]])
        case filter(Filter)
        case literal(Document)
    }

    struct Filter: Sendable {
        var left: [Step]
        /// Nil asks only whether the left side exists.
        var comparison: Comparison?
        var right: [Step]
    }

    enum Comparison: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case less = "<"
        case greater = ">"
    }

    let nodes: [Node]

    /// Also takes an expression without braces, as kubectl does: `.metadata.name` or `metadata.name`.
    public init(_ text: String) throws {
        var template = text
        if !text.utf8.contains(UInt8(ascii: "{")) {
            let first = text.first
            template = first == "." || first == "[" || first == "$" || first == "@" ? "{\(text)}" : "{.\(text)}"
        }
        var parser = JSONPathParser(template)
        nodes = try parser.parse()
    }

    /// The values that the expressions yield, in order; texts between them are left out.
    public func evaluate(on document: Document) -> [Document] {
        var results: [Document] = []
        visit(nodes, root: document, current: document) {
            results += $0
        } text: { _ in
        }
        return results
    }

    /// What `kubectl -o jsonpath` prints.
    public func render(on document: Document) -> String {
        var out = ""
        visit(nodes, root: document, current: document) { values in
            out += values.map(Self.text).joined(separator: " ")
        } text: {
            out += $0
        }
        return out
    }

    private static func text(of value: Document) -> String { value.string ?? (value.isNull ? "" : value.jsonText) }

    private func visit(
        _ nodes: [Node], root: Document, current: Document, values: ([Document]) -> Void, text: (String) -> Void
    ) {
        for node in nodes {
            switch node {
            case .text(let piece): text(piece)
            case .expression(let steps): values(Self.follow(steps, root: root, current: current))
            case .range(let steps, let body):
                for element in Self.follow(steps, root: root, current: current) {
                    visit(body, root: root, current: element, values: values, text: text)
                }
            }
        }
    }

    private static func follow(_ steps: [Step], root: Document, current: Document) -> [Document] {
        var values = [current]
        for step in steps { values = values.flatMap { apply(step, to: $0, root: root) } }
        return values
    }

    private static func apply(_ step: Step, to value: Document, root: Document) -> [Document] {
        switch step {
        case .root: [root]
        case .field(let name): value[name].map { [$0] } ?? []
        case .wildcard: children(of: value)
        case .recursive(let name): descendants(of: value, named: name)
        case .slice(let from, let to, let stride): slice(value.elements, from: from, to: to, step: stride)
        case .union(let alternatives): alternatives.flatMap { follow($0, root: root, current: value) }
        case .filter(let filter): children(of: value).filter { holds(filter, for: $0, root: root) }
        case .literal(let literal): [literal]
        }
    }

    private static func children(of value: Document) -> [Document] {
        value.isObject ? value.members.map(\.value) : value.elements
    }

    private static func descendants(of value: Document, named name: String?) -> [Document] {
        var found: [Document] = []
        if let name {
            if let match = value[name] { found.append(match) }
        } else {
            found += children(of: value)
        }
        for child in children(of: value) { found += descendants(of: child, named: name) }
        return found
    }

    private static func slice(_ elements: [Document], from: Int?, to: Int?, step: Int) -> [Document] {
        func place(_ index: Int) -> Int { index < 0 ? index + elements.count : index }
        let start = max(0, place(from ?? 0))
        let end = min(elements.count, place(to ?? elements.count))
        guard start < end else { return [] }
        return stride(from: start, to: end, by: step).map { elements[$0] }
    }

    private static func holds(_ filter: Filter, for value: Document, root: Document) -> Bool {
        let left = follow(filter.left, root: root, current: value)
        guard let comparison = filter.comparison else { return !left.isEmpty }
        let right = follow(filter.right, root: root, current: value)
        guard left.count == 1, right.count == 1 else { return false }
        return compare(left[0], comparison, right[0])
    }

    private static func compare(_ a: Document, _ comparison: Comparison, _ b: Document) -> Bool {
        switch comparison {
        case .equal: return a.means(b)
        case .notEqual: return !a.means(b)
        default: break
        }
        let isLess: Bool
        if let a = a.double, let b = b.double {
            isLess = a < b
        } else if let a = a.string, let b = b.string {
            isLess = Array(a.utf8).lexicographicallyPrecedes(Array(b.utf8))
        } else {
            return false
        }
        switch comparison {
        case .less: return isLess
        case .lessOrEqual: return isLess || a.means(b)
        case .greater: return !isLess && !a.means(b)
        default: return !isLess
        }
    }
}
