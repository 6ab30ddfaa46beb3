import Document

/// Holds every `${name}` of a file against the variables that there are where it stands, before anything is run: in the
/// order of the steps, since a step may use what those before it have saved. The document is walked as it was written,
/// so that an error knows its line; what is no text for a step to use (names, descriptions) is left out.
struct VariableCheck {
    private let document: Document
    private let errors: (_ message: String, _ path: String) -> ScenarioError
    /// Those that have a value at the place that the walk has reached.
    private var known = Set(Variables.given)

    /// Fields of a step that only people read, or that have a turn of their own.
    private static let others: Set = ["name", "each", "steps", "save"]

    private init(_ document: Document, _ errors: @escaping (String, String) -> ScenarioError) {
        self.document = document
        self.errors = errors
    }

    /// `error` makes the error of a message and the path of a value.
    static func run(_ document: Document, error: @escaping (String, String) -> ScenarioError) throws {
        guard let cases = document["cases"] else {
            var check = VariableCheck(document, error)
            return try check.scenario()
        }
        for (index, row) in cases.elements.enumerated() {
            let suffix = " in the case \"\(row.text("name") ?? "")\""
            var check = VariableCheck(document) { error($0 + suffix, $1) }
            try check.row(row, at: "cases[\(index)]", besides: ["name"])
            try check.scenario(given: Set(row.members.map(\.key)))
        }
    }

    /// `given`: the case's own variables, which stand in place of the scenario's.
    private mutating func scenario(given: Set<String> = []) throws {
        if let variables = document["variables"] { try row(variables, at: "variables", besides: given) }
        try steps(document["steps"], at: "steps")
        try steps(document["cleanup"], at: "cleanup")
    }

    /// Names and their values, each of which may use those before it.
    private mutating func row(_ row: Document, at path: String, besides: Set<String> = []) throws {
        for variable in row.members where !besides.contains(variable.key) {
            try texts(variable.value, at: "\(path).\(variable.key)")
            known.insert(variable.key)
        }
    }

    private mutating func steps(_ steps: Document?, at path: String) throws {
        for (index, step) in (steps?.elements ?? []).enumerated() { try self.step(step, at: "\(path)[\(index)]") }
    }

    private mutating func step(_ step: Document, at path: String) throws {
        if let each = step["each"], each.isArray {
            for (index, row) in each.elements.enumerated() { try self.row(row, at: "\(path).each[\(index)]") }
        } else if let each = step["each"] {
            try row(each, at: "\(path).each")
        }
        for field in step.members where !Self.others.contains(field.key) {
            try texts(field.value, at: "\(path).\(field.key)")
        }
        try steps(step["steps"], at: "\(path).steps")
        for saved in step["save"]?.members ?? [] { known.insert(saved.key) }
    }

    private func texts(_ value: Document, at path: String) throws {
        switch value.kind {
        case .string: try text(value.string ?? "", at: path)
        case .array:
            for (index, element) in value.elements.enumerated() { try texts(element, at: "\(path)[\(index)]") }
        case .object:
            for member in value.members {
                try text(member.key, at: "\(path).\(member.key)")
                try texts(member.value, at: "\(path).\(member.key)")
            }
        default: break
        }
    }

    private func text(_ text: String, at path: String) throws {
        do {
            for name in try Variables.names(in: text) where !known.contains(name) {
                throw Variables.Unknown(name: name)
            }
        } catch let unknown as Variables.Unknown {
            throw errors("\(unknown)", path)
        }
    }
}
