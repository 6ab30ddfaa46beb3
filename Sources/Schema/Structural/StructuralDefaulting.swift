import Document

// Completing a custom resource: defaults where nothing is given, and no null where null means nothing.

extension StructuralSchema {
    /// The object with every default filled in. A null that is no value gives way to the default, or goes.
    func completed(_ value: Document) -> Document {
        switch value.kind {
        case .object: return completedObject(value)
        case .array:
            guard let items, items.matters else { return value }
            var elements: [Document] = []
            elements.reserveCapacity(value.count)
            for element in value.elements {
                let isAbsent = items.treatsNullAsAbsent(element)
                elements.append(isAbsent ? items.defaultValue ?? .null : items.completed(element))
            }
            return Document(elements)
        default: return value
        }
    }

    /// Whether completing a value of this schema can change anything. Nulls can stand anywhere in a structure.
    private var matters: Bool { hasDefaults || !properties.isEmpty || items != nil || additional.schema != nil }

    private func completedObject(_ object: Document) -> Document {
        var members: [(String, Document)] = []
        members.reserveCapacity(object.count)
        var changed = false
        for member in object.members {
            guard let schema = self.member(member.key) else {
                members.append((member.key, member.value))
                continue
            }
            if schema.treatsNullAsAbsent(member.value) {
                changed = true
                if let value = schema.defaultValue {
                    members.append((member.key, schema.completed(value)))
                }
                continue
            }
            members.append((member.key, schema.matters ? schema.completed(member.value) : member.value))
        }
        if hasDefaults {
            for property in properties where property.schema.defaultValue != nil && object[property.name] == nil {
                guard let value = property.schema.defaultValue else { continue }
                changed = true
                members.append((property.name, property.schema.completed(value)))
            }
        }
        guard changed || matters else { return object }
        return Document(members: members)
    }
}
