import Document

/// One condition on a node's labels or fields.
struct NodeRequirement: Sendable {
    var key: String
    var action: String
    var values: [String]
    private let bound: Int64?

    init(_ document: Document) {
        key = document.text("key") ?? ""
        action = document.text("operator") ?? ""
        values = document.list("values").compactMap(\.string)
        bound = values.count == 1 ? Int64(values[0]) : nil
    }

    func holds(_ value: String?) -> Bool {
        switch action {
        case "In": return value.map { values.contains($0) } ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let number = value.flatMap({ Int64($0) }), let bound else { return false }
            return action == "Gt" ? number > bound : number < bound
        default: return false
        }
    }
}

/// Conditions that must hold together.
struct NodeTerm: Sendable {
    var labels: [NodeRequirement]
    var fields: [NodeRequirement]

    init(_ document: Document) {
        labels = document.list("matchExpressions").map { NodeRequirement($0) }
        fields = document.list("matchFields").map { NodeRequirement($0) }
    }

    /// A term without any condition selects no node.
    func matches(_ labels: [String: String], name: String) -> Bool {
        if self.labels.isEmpty, fields.isEmpty { return false }
        return self.labels.allSatisfy { $0.holds(labels[$0.key]) }
            && fields.allSatisfy { $0.holds($0.key == "metadata.name" ? name : nil) }
    }

    /// The nodes that the term names one by one, where it does.
    var names: Set<String>? {
        var names: Set<String>?
        for field in fields where field.key == "metadata.name" && field.action == "In" {
            names = names?.intersection(field.values) ?? Set(field.values)
        }
        return names
    }
}

/// Which nodes are wanted: any of the terms.
struct NodeSelection: Sendable {
    var terms: [NodeTerm]

    /// A `NodeSelector` object.
    init(_ document: Document) { terms = document.list("nodeSelectorTerms").map { NodeTerm($0) } }

    func matches(_ labels: [String: String], name: String) -> Bool {
        terms.contains { $0.matches(labels, name: name) }
    }

    /// The nodes that can match at all, where every term names its nodes.
    var names: Set<String>? {
        var names: Set<String> = []
        for term in terms {
            guard let some = term.names else { return nil }
            names.formUnion(some)
        }
        return names
    }
}
