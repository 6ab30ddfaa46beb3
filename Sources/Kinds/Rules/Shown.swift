import Document

/// Values as Kubernetes shows them in its messages: the members of maps in the order of their keys.
enum Shown {
    static func map(_ map: Document?) -> Document? {
        guard let map, map.isObject, map.count > 1 else { return map }
        return Document(members: map.members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    static func selector(_ selector: Document?) -> Document? {
        guard let selector, selector.isObject else { return selector }
        var members: [(String, Document)] = []
        if let labels = map(selector["matchLabels"]) { members.append(("matchLabels", labels)) }
        if let expressions = selector["matchExpressions"], expressions.isArray {
            let ordered = expressions.elements.map { expression in
                Document(
                    members: ["key", "operator", "values"].compactMap { field in
                        expression[field].map { (field, $0) }
                    })
            }
            members.append(("matchExpressions", Document(ordered)))
        }
        return Document(members: members)
    }
}
