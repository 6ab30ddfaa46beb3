import Document

// Dropping what a schema does not know, and telling what that is.

extension StructuralSchema {
    /// The members that pruning a whole object would drop, as paths in their order; metadata is not looked at here.
    func unknownFields(in object: Document, isResource: Bool = true) -> [String] {
        var pruner = Pruner(collects: true)
        _ = pruner.pruned(object, self, isResource: isResource, path: "")
        return pruner.dropped.sorted()
    }

    /// The object without the members that the schema does not know.
    public func pruned(_ object: Document, isResource: Bool = true) -> Document {
        var pruner = Pruner(collects: false)
        return pruner.pruned(object, self, isResource: isResource, path: "")
    }
}

private struct Pruner {
    let collects: Bool
    var dropped: [String] = []

    init(collects: Bool) { self.collects = collects }

    private func join(_ path: String, _ name: String) -> String {
        guard collects else { return "" }
        return path.isEmpty ? name : path + "." + name
    }

    /// - schema: nil where nothing at all is known.
    mutating func pruned(_ value: Document, _ schema: StructuralSchema?, isResource: Bool, path: String) -> Document {
        let isWhole = isResource || schema?.isEmbeddedResource == true
        switch value.kind {
        case .object:
            return Document(
                members: value.members.compactMap { member -> (String, Document)? in
                    if isWhole, StructuralSchema.resourceFields.contains(member.key) {
                        return (member.key, member.value)
                    }
                    let here = join(path, member.key)
                    if let inner = schema?.property(member.key) {
                        return (member.key, pruned(member.value, inner, isResource: false, path: here))
                    }
                    switch schema?.additional {
                    case .schema(let other):
                        return (member.key, pruned(member.value, other, isResource: false, path: here))
                    case .allowed(true) where schema?.preservesUnknownFields != true:
                        return (member.key, pruned(member.value, nil, isResource: false, path: here))
                    default: break
                    }
                    if schema?.preservesUnknownFields == true { return (member.key, member.value) }
                    if collects { dropped.append(here) }
                    return nil
                })
        case .array:
            if schema?.items == nil, schema?.preservesUnknownFields == true { return value }
            var elements: [Document] = []
            elements.reserveCapacity(value.count)
            for (index, element) in value.elements.enumerated() {
                let here = collects ? "\(path)[\(index)]" : ""
                elements.append(pruned(element, schema?.items, isResource: false, path: here))
            }
            return Document(elements)
        default: return value
        }
    }
}
