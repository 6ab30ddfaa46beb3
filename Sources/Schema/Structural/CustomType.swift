import Document

/// A kind that a CustomResourceDefinition declares, in one of its versions: its schema, and the metadata that every
/// object has. The registry's engines ask it instead of the declared fields.
public final class CustomType: Sendable {
    public let schema: StructuralSchema
    /// `ObjectMeta`, for the object itself and for the objects embedded in it.
    let metadata: TypeInfo
    /// Compiled rules, or nil where the schema has none.
    public let rules: (any CustomRules)?

    public init(schema: StructuralSchema, metadata: TypeID, rules: (any CustomRules)? = nil) {
        self.schema = schema
        self.metadata = metadata.info
        self.rules = rules
    }

    // MARK: Decoding

    func completed(_ object: Document) -> Document {
        var result = schema.completed(object)
        if let given = result["metadata"], given.isObject {
            result["metadata"] = Completion.completed(given, as: metadata)
        }
        return result
    }

    func pruned(_ object: Document) -> Document {
        onMetadata(of: schema.pruned(object)) { Strictness.pruned($0, .object(metadata)) }
    }

    func unknownFields(in object: Document) -> [String] {
        var found: [String] = []
        if let given = object["metadata"] {
            Strictness.unknown(given, .object(metadata), path: "metadata", into: &found)
        }
        var inner = schema.unknownFields(in: object)
        eachEmbedded(object, schema, path: "") { embedded, path in
            guard let given = embedded["metadata"] else { return }
            Strictness.unknown(given, .object(metadata), path: path + ".metadata", into: &inner)
        }
        return found + inner.sorted()
    }

    /// Only metadata is read into a structure; all else is checked as a value later.
    func decodingError(in object: Document) -> String? {
        if let given = object["metadata"], let text = metadataError(given, "metadata") { return text }
        var found: String?
        eachEmbedded(object, schema, path: "") { embedded, path in
            guard found == nil, let given = embedded["metadata"] else { return }
            found = metadataError(given, path + ".metadata")
        }
        return found
    }

    private func metadataError(_ given: Document, _ path: String) -> String? {
        DecodingCheck.error(given, .object(metadata), owner: metadata.name, path: "").map {
            "\(path): Invalid value: \(given.jsonText): \($0)"
        }
    }

    // MARK: Checking

    public func validate(_ object: Document, old: Document? = nil) -> [FieldError] {
        var past = SchemaValidator.Past.none
        if let old { past = .value(old) }
        // Metadata has checks of its own, and what the schema says about it stands only for its documentation.
        var errors = SchemaValidator().check(object, schema, path: "", past: past).errors
        eachEmbedded(object, schema, path: "") { embedded, path in
            errors += EmbeddedResource.errors(embedded, path)
        }
        let lists = ListUniqueness.errors(object, schema)
        if !lists.isEmpty, old.map({ ListUniqueness.errors($0, schema).isEmpty }) ?? true { errors += lists }
        guard let rules else { return errors }
        // Rules read the value as its schema says it is, so they are left alone where it is not.
        if errors.contains(where: \.blocksRules) {
            errors.append(
                .invalid(
                    "<nil>", .null,
                    "some validation rules were not checked because the object was invalid; correct the existing errors to "
                        + "complete validation"))
            return errors
        }
        return errors + rules.check(object, old: old, schema: schema)
    }

    // MARK: Embedded objects

    /// The metadata of the objects that are embedded in this one, with its place.
    public func embeddedMetadata(in object: Document) -> [(metadata: Document, path: String)] {
        var found: [(metadata: Document, path: String)] = []
        eachEmbedded(object, schema, path: "") { embedded, path in
            if let metadata = embedded["metadata"] { found.append((metadata, path + ".metadata")) }
        }
        return found
    }

    private func eachEmbedded(
        _ value: Document, _ schema: StructuralSchema, path: String, _ visit: (Document, String) -> Void
    ) {
        guard schema.mayEmbed else { return }
        if schema.isEmbeddedResource, value.isObject { visit(value, path) }
        switch value.kind {
        case .object:
            for member in value.members {
                let name = path.isEmpty ? member.key : path + "." + member.key
                if let inner = schema.property(member.key) {
                    eachEmbedded(member.value, inner, path: name, visit)
                } else if let inner = schema.additional.schema {
                    eachEmbedded(member.value, inner, path: "\(path)[\(member.key)]", visit)
                }
            }
        case .array:
            guard let items = schema.items else { return }
            for (index, element) in value.elements.enumerated() {
                eachEmbedded(element, items, path: "\(path)[\(index)]", visit)
            }
        default: break
        }
    }

    /// Changes the metadata of the object and of every object embedded in it.
    private func onMetadata(of object: Document, _ change: (Document) -> Document) -> Document {
        var result = schema.mayEmbed ? changedEmbedded(object, schema, change) : object
        if let given = result["metadata"], given.isObject { result["metadata"] = change(given) }
        return result
    }

    private func changedEmbedded(
        _ value: Document, _ schema: StructuralSchema, _ change: (Document) -> Document
    ) -> Document {
        guard schema.mayEmbed else { return value }
        switch value.kind {
        case .object:
            return Document(
                members: value.members.map { member -> (String, Document) in
                    if schema.isEmbeddedResource, member.key == "metadata", member.value.isObject {
                        return (member.key, change(member.value))
                    }
                    guard let inner = schema.member(member.key) else { return (member.key, member.value) }
                    return (member.key, changedEmbedded(member.value, inner, change))
                })
        case .array:
            guard let items = schema.items else { return value }
            return Document(value.elements.map { changedEmbedded($0, items, change) })
        default: return value
        }
    }
}

/// The rules of a schema in a form that can be evaluated.
public protocol CustomRules: Sendable {
    func check(_ object: Document, old: Document?, schema: StructuralSchema) -> [FieldError]
}

extension FieldError {
    /// Whether rules cannot rely on the value's form after this error.
    var blocksRules: Bool {
        switch kind {
        case .required, .typeInvalid, .notSupported, .tooLong, .tooMany, .duplicate: true
        default: false
        }
    }
}

/// What an embedded object must say of itself so that it can be taken out and used.
enum EmbeddedResource {
    static func errors(_ object: Document, _ path: String) -> [FieldError] {
        name("apiVersion", of: object, path) { version in
            let isKnownForm = version.split(separator: "/", omittingEmptySubsequences: false).count <= 2
            return isKnownForm || version == "/" ? nil : "unexpected GroupVersion string: \(version)"
        }
            + name("kind", of: object, path) { kind in
                let faults = Formats.rfc1035Label(kind.lowercased())
                return faults.isEmpty
                    ? nil : "may have mixed case, but should otherwise match: " + faults.joined(separator: ",")
            }
    }

    private static func name(
        _ field: String, of object: Document, _ path: String, fault: (String) -> String?
    ) -> [FieldError] {
        let here = "\(path).\(field)"
        guard let value = object[field] else { return [.required(here)] }
        guard let text = value.string else { return [.invalid(here, value, "must be a string")] }
        let reason = text.isEmpty ? "must not be empty" : fault(text)
        return reason.map { [.invalid(here, value, $0)] } ?? []
    }
}

/// Sets hold no value twice, and keyed lists no key.
enum ListUniqueness {
    static func errors(_ value: Document, _ schema: StructuralSchema, path: String = "") -> [FieldError] {
        var errors: [FieldError] = []
        switch value.kind {
        case .object:
            for member in value.members.sorted(by: { $0.key < $1.key }) {
                guard let inner = schema.member(member.key), inner.mayHoldLists else { continue }
                errors += self.errors(
                    member.value, inner, path: path.isEmpty ? member.key : path + "." + member.key)
            }
        case .array:
            errors += repeated(value, schema.listKind, path)
            guard let items = schema.items, items.mayHoldLists else { return errors }
            for (index, element) in value.elements.enumerated() {
                errors += self.errors(element, items, path: "\(path)[\(index)]")
            }
        default: break
        }
        return errors
    }

    private static func repeated(_ list: Document, _ kind: ListKind, _ path: String) -> [FieldError] {
        var seen: Set<String> = []
        var told: Set<String> = []
        var errors: [FieldError] = []
        for (index, element) in list.elements.enumerated() {
            var identity = element
            switch kind {
            case .set: break
            case .map(let keys):
                identity = .emptyObject
                for key in keys.sorted() where element[key] != nil { identity[key] = element[key] }
            default: return []
            }
            let text = identity.sortedText
            // The second of its kind is the one that is wrong; a third says nothing new.
            if !seen.insert(text).inserted, told.insert(text).inserted {
                errors.append(.duplicate("\(path)[\(index)]", identity))
            }
        }
        return errors
    }
}

extension Document {
    /// JSON with the members in the order of their names, so that equal values have equal texts.
    var sortedText: String {
        switch kind {
        case .object:
            let inner = members.sorted { $0.key < $1.key }.map { "\(Document($0.key).jsonText):\($0.value.sortedText)" }
            return "{" + inner.joined(separator: ",") + "}"
        case .array: return "[" + elements.map(\.sortedText).joined(separator: ",") + "]"
        default: return jsonText
        }
    }
}
