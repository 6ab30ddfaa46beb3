import Document

extension TypeID {
    /// `configuration` laid over `live`, as apply would by a manager of its own who never applied before.
    public func merging(_ configuration: Document, into live: Document) -> Document {
        TypedMerge.merge(live, configuration, .structure(info)) ?? live
    }

    /// The first place where a configuration names something inside what is owned as a whole; nil where there is none.
    /// Laid over an object it would take away everything else there.
    public func atomicPlace(in configuration: Document) -> String? {
        Self.atomicPlace(configuration, .structure(info), "")
    }

    private static func atomicPlace(_ value: Document, _ form: FieldForm, _ path: String) -> String? {
        switch form {
        case .structure(let type):
            for member in value.members {
                guard let field = type.field(member.key) else { continue }
                if let found = atomicPlace(member.value, FieldForm(field), "\(path).\(member.key)") { return found }
            }
        case .leaf: return value.isObject || value.isArray ? path : nil
        case .keyed(_, let type):
            for element in value.elements {
                if let found = atomicPlace(element, .structure(type), path) { return found }
            }
        case .map, .set, .deduced: break
        }
        return nil
    }
}
