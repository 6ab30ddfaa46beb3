import Document

/// The fields that an applied configuration names, and what follows from such a set for an object.
enum TypedFields {
    /// The set of an object's fields. A structure is not a field itself, its parts are; a member of a map and an
    /// element of a list are fields beside their parts. The bookkeeping belongs to the set where `isWhole`.
    static func set(of object: Document, _ type: TypeInfo, isWhole: Bool = false) -> FieldSet {
        let nodes = object.members.compactMap { member -> FieldSet.Node? in
            if !isWhole, member.key == "apiVersion" || member.key == "kind" { return nil }
            guard !isWhole, member.key == "metadata", let field = type.field(member.key),
                case .object(let metadata) = field.shape
            else { return part(member, of: type) }
            let inner = member.value.members.compactMap { member in
                FieldComparison.unowned.contains(member.key) ? nil : part(member, of: metadata)
            }
            return inner.isEmpty ? nil : FieldSet.Node(field.pathElement, [], FieldSet(found: inner))
        }
        return FieldSet(found: nodes)
    }

    /// The field of a structure that a member is.
    private static func part(_ member: Document.Member, of type: TypeInfo) -> FieldSet.Node? {
        if let index = type.index[member.key] {
            let field = type.fields[index]
            return owned(member.value, FieldForm(field), field.pathElement, isDeclared: true)
        }
        guard type.preservesUnknownFields else { return nil }
        return owned(member.value, .deduced, FieldElement.field(member.key), isDeclared: false)
    }

    private static func owned(_ value: Document, _ form: FieldForm, _ element: String, isDeclared: Bool) -> FieldSet
        .Node?
    {
        let isEmpty = value.isNull || (value.isObject && value.count == 0)
        var marks: FieldSet.Marks = isEmpty || !isDeclared ? .member : []
        var children = FieldSet()
        switch form {
        case .leaf: marks = .member
        case .structure(let type):
            children = FieldSet(
                found: value.members.compactMap { part($0, of: type) })
        case .map(let inner):
            let form = FieldForm(inner)
            children = FieldSet(
                found: value.members.compactMap {
                    owned($0.value, form, FieldElement.field($0.key), isDeclared: false)
                })
        case .set, .keyed:
            let inner = ListElement.form(form)
            children = FieldSet(
                found: ListIndex(value.elements, form).groups.compactMap { key, values -> FieldSet.Node? in
                    guard values.count == 1 else { return FieldSet.Node(key, .member) }
                    return owned(values[0], inner, key, isDeclared: false)
                })
        case .deduced:
            guard value.isObject else { return FieldSet.Node(element, .member) }
            return owned(value, .map(.any), element, isDeclared: isDeclared)
        }
        if marks.isEmpty, children.isEmpty { return nil }
        return FieldSet.Node(element, marks, children)
    }

    // MARK: Removing

    /// The set with every structure on the way to a field, so that removing all of a structure's fields removes it.
    static func withStructures(_ set: FieldSet, _ form: FieldForm) -> FieldSet {
        var result = set
        for index in result.nodes.indices where !result.nodes[index].children.isEmpty {
            let element = result.nodes[index].element
            var inner: FieldForm
            switch form {
            case .structure(let type):
                guard let field = type.field(String(element.dropFirst(2))) else { continue }
                result.nodes[index].marks = .member
                inner = FieldForm(field)
            case .map(let shape): inner = FieldForm(shape)
            case .set, .keyed: inner = ListElement.form(form)
            case .deduced: inner = .deduced
            case .leaf: continue
            }
            if case .leaf = inner { inner = .deduced }
            result.nodes[index].children = withStructures(result.nodes[index].children, inner)
        }
        return result
    }

    /// The object without the fields of the set. What loses all its parts becomes null.
    static func removing(_ set: FieldSet, from value: Document, _ form: FieldForm) -> Document {
        switch form {
        case .leaf: return value.isObject || value.isArray ? .null : value
        case .structure, .map:
            guard value.isObject, value.count > 0 else { return .null }
            var members: [(String, Document)] = []
            for member in value.members {
                guard let node = set.node(FieldElement.field(member.key)) else {
                    members.append((member.key, member.value))
                    continue
                }
                guard node.marks.isEmpty else { continue }
                members.append((member.key, removing(node.children, from: member.value, memberForm(member.key, form))))
            }
            return members.isEmpty ? .null : Document(members: members)
        case .set, .keyed:
            guard value.isArray, value.count > 0 else { return .null }
            let inner = ListElement.form(form)
            var elements: [Document] = []
            for element in value.elements {
                guard let key = ListElement.key(element, form), let node = set.node(key) else {
                    elements.append(element)
                    continue
                }
                if node.marks.isEmpty { elements.append(removing(node.children, from: element, inner)) }
            }
            return elements.isEmpty ? .null : Document(elements)
        case .deduced:
            return value.isObject ? removing(set, from: value, .map(.any)) : removing(set, from: value, .leaf)
        }
    }

    private static func memberForm(_ key: String, _ form: FieldForm) -> FieldForm {
        switch form {
        case .structure(let type): return type.field(key).map { FieldForm($0) } ?? .deduced
        case .map(let element): return FieldForm(element)
        default: return .deduced
        }
    }
}
