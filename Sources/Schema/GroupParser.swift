import Document

/// Reads a group's text in one pass over its bytes.
///
/// Types may be used before they are declared: the first mention makes the empty type, the declaration fills it.
/// Lines that are not understood are collected, not fatal: the texts are part of the program and a test reads them.
struct GroupParser {
    private let text: GroupText
    private var group = ParsedGroup()
    private var declared: Set<String> = []
    private var meta: ParsedGroup?
    private var others: [String: ParsedGroup] = [:]
    private var kinds: [KindLine] = []

    private struct KindLine {
        var resource: ResourceInfo
        var bodies: [(name: String, verbs: [String], body: String)] = []
    }

    private enum Scope { case nothing, kind, type(TypeInfo) }

    init(text: GroupText) {
        self.text = text
    }

    typealias Other = (_ key: String) -> ParsedGroup?

    mutating func parse(other: Other) -> ParsedGroup {
        meta = other("meta/v1")
        for piece in text.texts { read(piece, other) }
        finish(other)
        return group
    }

    private mutating func read(_ piece: StaticString, _ other: Other) {
        var lexer = LineLexer(piece)
        var scope = Scope.nothing
        while var line = lexer.nextLine() {
            guard let head = line.word() else { continue }
            if line.isIndented {
                switch scope {
                case .kind: kindDetail(head, &line, other)
                case .type(let type): field(head, &line, of: type, other)
                case .nothing: mistake(line, "nothing to belong to")
                }
            } else if head == "kind" {
                kind(&line)
                scope = .kind
            } else if head == "type" {
                scope = typeLine(&line).map { .type($0) } ?? .nothing
            } else {
                mistake(line, "neither kind nor type")
            }
        }
    }

    private mutating func mistake(_ line: Line, _ what: String) {
        group.mistakes.append("line \(line.number): \(what)")
    }

    // MARK: Kinds

    private static let allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    private mutating func kind(_ line: inout Line) {
        guard let kind = line.word(), let plural = line.word(), let singular = line.wordOrText(),
            let scope = line.word()
        else {
            return mistake(line, "kind needs kind, plural, singular, scope")
        }
        var resource = ResourceInfo(
            group: text.group, version: text.version, plural: plural, singular: singular, kind: kind,
            namespaced: scope == "namespaced", type: TypeID(localType(kind)))
        resource.verbs = Self.allVerbs
        while let word = line.word() {
            if word == "generation" {
                resource.generation = true
            } else if let value = word.value(of: "short=") {
                resource.shortNames = value.commaList
            } else if let value = word.value(of: "categories=") {
                resource.categories = value.commaList
            } else if let value = word.value(of: "verbs=") {
                resource.verbs = value.commaList
            } else {
                mistake(line, "unknown word \(word)")
            }
        }
        kinds.append(KindLine(resource: resource))
    }

    private mutating func kindDetail(_ head: String, _ line: inout Line, _ other: Other) {
        if head.utf8.first == UInt8(ascii: "/") {
            let verbs = line.word()?.commaList ?? []
            kinds[kinds.count - 1].bodies.append((String(head.dropFirst()), verbs, line.word() ?? ""))
        } else if head == "column" {
            guard let name = line.wordOrText(), let type = line.word() else { return mistake(line, "column") }
            var format = ""
            var priority = 0
            while let word = line.word() {
                if let value = word.value(of: "format=") {
                    format = value
                } else if let value = word.value(of: "priority=") {
                    priority = Int(value) ?? 0
                } else {
                    mistake(line, "unknown word \(word)")
                }
            }
            let column = TableColumn(
                name: name, type: type, format: format, description: line.text() ?? "", priority: priority)
            kinds[kinds.count - 1].resource.columns.append(column)
        } else {
            mistake(line, "unknown word \(head)")
        }
    }

    /// Resolves what needed every type to be known.
    private mutating func finish(_ other: Other) {
        for line in kinds {
            var resource = line.resource
            for body in line.bodies {
                resource.subresources.append(subresource(body, of: resource, other))
            }
            if resource.verbs.contains("list") { addListType(of: resource) }
            group.resources.append(resource)
        }
        for type in group.order {
            if !declared.contains(type.name) { group.mistakes.append("type \(type.name) is not declared") }
        }
    }

    private mutating func subresource(
        _ body: (name: String, verbs: [String], body: String), of resource: ResourceInfo, _ other: Other
    ) -> SubresourceInfo {
        if body.body.isEmpty {
            return SubresourceInfo(
                name: body.name, verbs: body.verbs, group: resource.group, version: resource.version,
                kind: resource.kind, type: resource.type)
        }
        let (key, name) = Self.split(body.body)
        guard let key else {
            return SubresourceInfo(
                name: body.name, verbs: body.verbs, group: resource.group, version: resource.version, kind: name,
                type: group.types[name].map(TypeID.init))
        }
        let slash = key.utf8.firstIndex(of: UInt8(ascii: "/")) ?? key.endIndex
        let type = otherGroup(key, other)?.types[name]
        return SubresourceInfo(
            name: body.name, verbs: body.verbs, group: String(key[..<slash]),
            version: slash == key.endIndex ? "" : String(key[key.index(after: slash)...]), kind: name,
            type: type.map(TypeID.init))
    }

    private mutating func addListType(of resource: ResourceInfo) {
        let list = localType(resource.listKind)
        guard declared.insert(list.name).inserted else { return }
        list.documentation = "A list of \(resource.kind) objects."
        list.isList = true
        addHeader(to: list, metadata: "ListMeta")
        var items = FieldInfo(name: "items", shape: .list(.object(resource.type.info)))
        items.isRequired = true
        items.documentation = "The objects."
        add(items, to: list)
    }

    // MARK: Types

    private mutating func localType(_ name: String) -> TypeInfo {
        if let type = group.types[name] { return type }
        let type = TypeInfo(
            name: name, group: text.group, version: text.version, fullName: text.package + "." + name)
        group.types[name] = type
        group.order.append(type)
        return type
    }

    private mutating func typeLine(_ line: inout Line) -> TypeInfo? {
        guard let name = line.word() else {
            mistake(line, "type needs a name")
            return nil
        }
        let type = localType(name)
        if !declared.insert(name).inserted { mistake(line, "type \(name) is declared twice") }
        while let word = line.word() {
            if word == "object" {
                type.isObject = true
                addHeader(to: type, metadata: "ObjectMeta")
            } else if word == "needsMetadata", let index = type.index["metadata"] {
                type.fields[index].isRequired = true
            } else if word == "atomic" {
                type.isAtomic = true
            } else if let order = word.arguments(of: "order") {
                type.requiredOrder = order.commaList
            } else if let union = word.arguments(of: "union") {
                let parts = union.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                let pairs = (parts.last ?? "").split(separator: ",").map { pair in
                    let sides = pair.split(separator: "=")
                    return (field: String(sides.first ?? ""), value: String(sides.last ?? ""))
                }
                type.union = UnionInfo(discriminator: String(parts.first ?? ""), fields: pairs)
            } else {
                mistake(line, "unknown word \(word)")
            }
        }
        type.documentation = line.text() ?? ""
        return type
    }

    private mutating func addHeader(to type: TypeInfo, metadata: String) {
        var version = FieldInfo(name: "apiVersion", shape: .string)
        version.documentation = "Group and version of this object's form."
        add(version, to: type)
        var kind = FieldInfo(name: "kind", shape: .string)
        kind.documentation = "Kind of this object."
        add(kind, to: type)
        guard let info = (meta ?? group).types[metadata] ?? (meta == nil ? localType(metadata) : nil) else { return }
        var field = FieldInfo(name: "metadata", shape: .object(info))
        field.documentation = metadata == "ListMeta" ? "About the list." : "Name, labels and bookkeeping."
        add(field, to: type)
    }

    private func add(_ field: FieldInfo, to type: TypeInfo) {
        var field = field
        field.fill = Self.fill(for: field)
        type.index[field.name] = type.fields.count
        if case .nothing = field.fill {} else { type.filled.append(type.fields.count) }
        type.fields.append(field)
    }

    /// See the language: what is not optional is always there.
    private static func fill(for field: FieldInfo) -> FieldInfo.Fill {
        if let value = field.defaultValue { return .value(value) }
        if field.isOptional { return field.isAlwaysWritten ? .value(.null) : .nothing }
        switch field.shape {
        case .object(let type): return .structure(type)
        case .time, .microTime: return .value(.null)
        default: break
        }
        guard field.isRequired || field.isAlwaysWritten else { return .nothing }
        switch field.shape {
        case .string: return .value("")
        case .int32, .int64, .intOrString: return .value(0)
        case .double: return .value(0)
        case .bool: return .value(false)
        case .quantity: return .value("0")
        case .list, .map, .bytes: return .value(.null)
        default: return .nothing
        }
    }

    private mutating func field(_ name: String, _ line: inout Line, of type: TypeInfo, _ other: Other) {
        guard var typeName = line.word() else { return mistake(line, "field \(name) has no type") }
        let optional = typeName.utf8.last == UInt8(ascii: "?")
        if optional { typeName.removeLast() }
        guard let shape = shape(typeName, other) else { return mistake(line, "unknown type \(typeName)") }
        var field = FieldInfo(name: name, shape: shape)
        field.isOptional = optional
        while let word = line.word() {
            if word == "=" {
                field.defaultValue = line.value()
            } else if !Self.attribute(word, &field) {
                mistake(line, "unknown word \(word)")
            }
        }
        field.documentation = line.text() ?? ""
        if case .quantity = shape, let value = field.defaultValue { field.defaultValue = Document(value.jsonText) }
        add(field, to: type)
    }

    private static func attribute(_ word: String, _ field: inout FieldInfo) -> Bool {
        switch word {
        case "required": field.isRequired = true
        case "always": field.isAlwaysWritten = true
        case "replace": field.replacesInPatch = true
        case "nonempty": field.isNonempty = true
        case "immutable": field.isImmutable = true
        case "unique": field.isUnique = true
        case "set": field.listKind = .set
        case "granular": field.isGranularMap = true
        case "merge": field.mergesInPatch = true
        case "retainKeys": field.retainsKeysInPatch = true
        case "atomic":
            // Bytes count as a list of numbers here.
            switch field.shape {
            case .list, .bytes: field.listKind = .atomic
            default: field.isAtomicStructure = true
            }
        default:
            return attributeWithValue(word, &field)
        }
        return true
    }

    private static func attributeWithValue(_ word: String, _ field: inout FieldInfo) -> Bool {
        if let keys = word.arguments(of: "map") {
            field.listKind = .map(keys: keys.commaList)
        } else if let key = word.arguments(of: "merge") {
            field.mergesInPatch = true
            field.patchMergeKey = key
        } else if let key = word.arguments(of: "key") {
            field.patchMergeKey = key
        } else if let values = word.arguments(of: "enum") {
            field.enumeration = values.commaList
            field.shownValues = field.enumeration.sorted()
        } else if let values = word.arguments(of: "values") {
            field.shownValues = values.commaList.sorted()
        } else if let value = word.value(of: "min=") {
            field.minimum = Int(value)
        } else if let value = word.value(of: "max=") {
            field.maximum = Int(value)
        } else if let value = word.value(of: "as=") {
            field.publishedAs = value
        } else if let value = word.value(of: "format=") {
            field.format = value
            return Formats.names.contains(value)
        } else if let value = word.value(of: "default=") {
            field.defaultValue = Line.document(value)
            field.publishesDefault = true
        } else {
            return false
        }
        return true
    }

    private mutating func shape(_ name: String, _ other: Other) -> Shape? {
        switch name {
        case "string": return .string
        case "bytes": return .bytes
        case "bool": return .bool
        case "int32": return .int32
        case "int64": return .int64
        case "double": return .double
        case "quantity": return .quantity
        case "intOrString": return .intOrString
        case "time": return .time
        case "microTime": return .microTime
        case "raw": return .raw
        case "any": return .any
        case "fieldSet": return .fieldSet
        case "patch": return .patch
        default: break
        }
        let first = name.utf8.first
        if first == UInt8(ascii: "[") || first == UInt8(ascii: "{") {
            guard let inner = shape(String(name.dropFirst().dropLast()), other) else { return nil }
            return first == UInt8(ascii: "[") ? .list(inner) : .map(inner)
        }
        let (key, local) = Self.split(name)
        if let key { return otherGroup(key, other)?.types[local].map { .object($0) } }
        if let type = group.types[name] { return .object(type) }
        if let type = meta?.types[name] { return .object(type) }
        return .object(localType(name))
    }

    /// `core/v1:Pod` into the group's key and the name; no key where there is no colon.
    private static func split(_ name: String) -> (key: String?, name: String) {
        guard let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) else { return (nil, name) }
        return (String(name[..<colon]), String(name[name.index(after: colon)...]))
    }

    private mutating func otherGroup(_ key: String, _ other: Other) -> ParsedGroup? {
        if let known = others[key] { return known }
        let parsed = other(key)
        others[key] = parsed
        return parsed
    }
}
