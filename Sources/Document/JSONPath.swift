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

    /// How many values one evaluation may look at. `{..*..*..*}` looks at more than it finds, and whoever writes an
    /// expression into an object must not keep the server busy with it. What lies beyond is not found.
    static let mostVisits = 1_000_000

    /// The values that the expressions yield, in order; texts between them are left out.
    public func evaluate(on document: Document) -> [Document] {
        var results: [Document] = []
        var walk = Walk(root: document)
        visit(nodes, current: document, &walk) {
            results += $0
        } text: { _ in
        }
        return results
    }

    /// What `kubectl -o jsonpath` prints.
    public func render(on document: Document) -> String {
        var out = ""
        var walk = Walk(root: document)
        visit(nodes, current: document, &walk) { values in
            out += values.map(Self.text).joined(separator: " ")
        } text: {
            out += $0
        }
        return out
    }

    private static func text(of value: Document) -> String { value.string ?? (value.isNull ? "" : value.jsonText) }

    private func visit(
        _ nodes: [Node], current: Document, _ walk: inout Walk, values: ([Document]) -> Void, text: (String) -> Void
    ) {
        for node in nodes {
            switch node {
            case .text(let piece): text(piece)
            case .expression(let steps): values(walk.follow(steps, from: current))
            case .range(let steps, let body):
                for element in walk.follow(steps, from: current) {
                    visit(body, current: element, &walk, values: values, text: text)
                }
            }
        }
    }
}

/// One evaluation over a document.
private struct Walk {
    let root: Document
    private var left = JSONPath.mostVisits

    init(root: Document) { self.root = root }

    mutating func follow(_ steps: [JSONPath.Step], from current: Document) -> [Document] {
        var values = [current]
        for step in steps {
            var found: [Document] = []
            for value in values {
                guard left > 0 else { break }
                left -= 1
                found += apply(step, to: value)
            }
            values = found
        }
        return values
    }

    private mutating func apply(_ step: JSONPath.Step, to value: Document) -> [Document] {
        switch step {
        case .root: return [root]
        case .field(let name): return value[name].map { [$0] } ?? []
        case .wildcard: return children(of: value)
        case .recursive(let name):
            var found: [Document] = []
            descend(value, name, &found)
            return found
        case .slice(let from, let to, let stride): return slice(value.elements, from: from, to: to, step: stride)
        case .union(let alternatives):
            var found: [Document] = []
            for steps in alternatives { found += follow(steps, from: value) }
            return found
        case .filter(let filter):
            var found: [Document] = []
            for child in children(of: value) where holds(filter, for: child) { found.append(child) }
            return found
        case .literal(let literal): return [literal]
        }
    }

    private mutating func children(of value: Document) -> [Document] {
        let children = value.isObject ? value.members.map(\.value) : value.elements
        left -= children.count
        return children
    }

    private mutating func descend(_ value: Document, _ name: String?, _ found: inout [Document]) {
        guard left > 0 else { return }
        let children = children(of: value)
        if let name {
            if let match = value[name] { found.append(match) }
        } else {
            found += children
        }
        for child in children { descend(child, name, &found) }
    }

    private func slice(_ elements: [Document], from: Int?, to: Int?, step: Int) -> [Document] {
        func place(_ index: Int) -> Int { index < 0 ? index + elements.count : index }
        let start = max(0, place(from ?? 0))
        let end = min(elements.count, place(to ?? elements.count))
        guard start < end else { return [] }
        return stride(from: start, to: end, by: step).map { elements[$0] }
    }

    private mutating func holds(_ filter: JSONPath.Filter, for value: Document) -> Bool {
        let left = follow(filter.left, from: value)
        guard let comparison = filter.comparison else { return !left.isEmpty }
        let right = follow(filter.right, from: value)
        guard left.count == 1, right.count == 1 else { return false }
        return Self.compare(left[0], comparison, right[0])
    }

    private static func compare(_ a: Document, _ comparison: JSONPath.Comparison, _ b: Document) -> Bool {
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
