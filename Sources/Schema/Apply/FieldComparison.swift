import Document

// What changed between two forms of one object: a tree of fields marked added, modified or removed.
//
// An added structure is marked itself and in all its parts; one that only lost its emptiness is not, its parts are.

enum FieldComparison {
    /// The bookkeeping of an object that nobody owns.
    static let unowned: Set<String> = [
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
        "resourceVersion",
    ]

    /// The changes of an object; kind, version and bookkeeping are left out.
    static func changes(from old: Document, to new: Document, _ type: TypeInfo) -> FieldSet {
        var nodes: [FieldSet.Node] = []
        zip(old.members, new.members) { key, before, after in
            guard key != "apiVersion", key != "kind" else { return }
            guard let index = type.index[key] else { return unknown(key, before, after, type, to: &nodes) }
            let field = type.fields[index]
            guard key == "metadata", case .object(let metadata) = field.shape else {
                append(before, after, FieldForm(field), field.pathElement, to: &nodes)
                return
            }
            let inner = structure(before?.members ?? [], after?.members ?? [], metadata, leavingOut: unowned)
            if !inner.isEmpty { nodes.append(FieldSet.Node(field.pathElement, [], inner)) }
        }
        return FieldSet(found: nodes)
    }

    private static func append(
        _ old: Document?, _ new: Document?, _ form: FieldForm, _ element: String, to nodes: inout [FieldSet.Node]
    ) {
        let (marks, children) = compare(old, new, form)
        if !marks.isEmpty || !children.isEmpty { nodes.append(FieldSet.Node(element, marks, children)) }
    }

    private static func compare(_ old: Document?, _ new: Document?, _ form: FieldForm) -> (FieldSet.Marks, FieldSet) {
        switch form {
        case .leaf: return (leaf(old, new), FieldSet())
        case .structure(let type):
            if isEmptyObject(old), isEmptyObject(new) { return (leaf(old, new), FieldSet()) }
            return (presence(old, new), structure(old?.members ?? [], new?.members ?? [], type))
        case .map(let element):
            if isEmptyObject(old), isEmptyObject(new) { return (leaf(old, new), FieldSet()) }
            return (presence(old, new), map(old?.members ?? [], new?.members ?? [], FieldForm(element)))
        case .set, .keyed:
            if (old?.elements ?? []).isEmpty, (new?.elements ?? []).isEmpty { return (leaf(old, new), FieldSet()) }
            return (presence(old, new), list(old?.elements ?? [], new?.elements ?? [], form))
        case .deduced:
            guard old?.isObject == true || new?.isObject == true else { return (leaf(old, new), FieldSet()) }
            let (marks, children) = compare(old, new, .map(.any))
            guard let old, let new, old.isObject != new.isObject else { return (marks, children) }
            return (.modified, children)
        }
    }

    private static func isEmptyObject(_ value: Document?) -> Bool {
        value.map { !$0.isObject || $0.count == 0 } ?? true
    }

    private static func leaf(_ old: Document?, _ new: Document?) -> FieldSet.Marks {
        guard let old else { return .added }
        guard let new else { return .removed }
        return old.means(new) ? [] : .modified
    }

    private static func presence(_ old: Document?, _ new: Document?) -> FieldSet.Marks {
        if old == nil { return .added }
        return new == nil ? .removed : []
    }

    // MARK: Containers

    private static func structure(
        _ old: [Document.Member], _ new: [Document.Member], _ type: TypeInfo, leavingOut: Set<String> = []
    ) -> FieldSet {
        var nodes: [FieldSet.Node] = []
        zip(old, new) { key, before, after in
            guard leavingOut.isEmpty || !leavingOut.contains(key) else { return }
            guard let index = type.index[key] else { return unknown(key, before, after, type, to: &nodes) }
            let field = type.fields[index]
            append(before, after, FieldForm(field), field.pathElement, to: &nodes)
        }
        return FieldSet(found: nodes)
    }

    /// A member that the type does not declare but keeps.
    private static func unknown(
        _ key: String, _ old: Document?, _ new: Document?, _ type: TypeInfo, to nodes: inout [FieldSet.Node]
    ) {
        guard type.preservesUnknownFields else { return }
        append(old, new, .deduced, FieldElement.field(key), to: &nodes)
    }

    private static func map(_ old: [Document.Member], _ new: [Document.Member], _ form: FieldForm) -> FieldSet {
        var nodes: [FieldSet.Node] = []
        zip(old, new) { key, before, after in
            let (marks, children) = compare(before, after, form)
            if !marks.isEmpty || !children.isEmpty {
                nodes.append(FieldSet.Node(FieldElement.field(key), marks, children))
            }
        }
        return FieldSet(found: nodes)
    }

    /// Calls `body` once for each key of either side. Both mostly have the same keys in the same order.
    private static func zip(
        _ old: [Document.Member], _ new: [Document.Member], _ body: (String, Document?, Document?) -> Void
    ) {
        var place = 0
        var matched = 0
        for member in new {
            if place < old.count, old[place].key == member.key {
                body(member.key, old[place].value, member.value)
                place += 1
                matched += 1
            } else if let index = old.firstIndex(where: { $0.key == member.key }) {
                body(member.key, old[index].value, member.value)
                place = index + 1
                matched += 1
            } else {
                body(member.key, nil, member.value)
            }
        }
        guard matched < old.count else { return }
        for member in old where !new.contains(where: { $0.key == member.key }) { body(member.key, member.value, nil) }
    }

    private static func list(_ old: [Document], _ new: [Document], _ form: FieldForm) -> FieldSet {
        let inner = ListElement.form(form)
        var nodes: [FieldSet.Node] = []
        let before = ListIndex(old, form)
        let after = ListIndex(new, form)
        for (key, values) in before.groups {
            append(values, after[key], key, inner, to: &nodes)
        }
        for (key, values) in after.groups where before[key].isEmpty { append([], values, key, inner, to: &nodes) }
        return FieldSet(found: nodes)
    }

    /// Elements that share their keys are one field, owned as a whole.
    private static func append(
        _ old: [Document], _ new: [Document], _ key: String, _ form: FieldForm, to nodes: inout [FieldSet.Node]
    ) {
        if old.count < 2, new.count < 2 {
            let (marks, children) = compare(old.first, new.first, form)
            if !marks.isEmpty || !children.isEmpty { nodes.append(FieldSet.Node(key, marks, children)) }
            return
        }
        if old.count > 1, new.count > 1 {
            if !Document(old).means(Document(new)) { nodes.append(FieldSet.Node(key, .modified)) }
        } else if old.count > 1 {
            guard let only = new.first else { return nodes.append(FieldSet.Node(key, .removed)) }
            let (marks, children) = compare(nil, only, form)
            nodes.append(FieldSet.Node(key, marks, children))
        } else {
            guard let only = old.first else { return nodes.append(FieldSet.Node(key, .added)) }
            let (marks, children) = compare(only, nil, form)
            nodes.append(FieldSet.Node(key, marks.union(.added), children))
        }
    }
}

/// A list's elements by their keys, in the order of the first of each.
struct ListIndex {
    private(set) var groups: [(key: String, values: [Document])] = []
    private var places: [String: Int] = [:]
    /// Elements without keys.
    private(set) var strangers: [Int] = []

    init(_ elements: [Document], _ form: FieldForm) {
        groups.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let key = ListElement.key(element, form) else {
                strangers.append(index)
                continue
            }
            if let place = place(of: key) {
                groups[place].values.append(element)
            } else {
                if groups.count >= Self.few { remember(key) }
                groups.append((key, [element]))
            }
        }
    }

    /// Up to here looking at each is cheaper than a dictionary.
    private static let few = 8

    private func place(of key: String) -> Int? {
        places.isEmpty ? groups.firstIndex { $0.key == key } : places[key]
    }

    private mutating func remember(_ key: String) {
        if places.isEmpty {
            for (index, group) in groups.enumerated() { places[group.key] = index }
        }
        places[key] = groups.count
    }

    subscript(key: String) -> [Document] { place(of: key).map { groups[$0].values } ?? [] }
}
