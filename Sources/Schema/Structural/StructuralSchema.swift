import Document

/// The schema of a custom resource, or of a part of one, as its definition writes it.
///
/// One class serves both the structure (types, members, elements) and the checks that `allOf`, `anyOf`, `oneOf` and
/// `not` nest into it, since those are schemas too. Immutable, so it is shared by every request.
public final class StructuralSchema: Sendable {
    public enum MapType: Sendable { case granular, atomic }

    /// What is said about members that `properties` does not name.
    public enum Additional: Sendable {
        case unsaid
        case allowed(Bool)
        case schema(StructuralSchema)

        public var schema: StructuralSchema? { if case .schema(let schema) = self { schema } else { nil } }
    }

    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty where nothing is said.
    public let type: String
    public let format: String
    public let isNullable: Bool
    public let preservesUnknownFields: Bool
    public let isEmbeddedResource: Bool
    public let isIntOrString: Bool
    public let defaultValue: Document?
    public let items: StructuralSchema?
    /// Sorted by name.
    public let properties: [(name: String, schema: StructuralSchema)]
    public let additional: Additional
    public let listKind: ListKind
    public let mapType: MapType?
    public let required: [String]
    public let checks: ValueChecks
    public let rules: [ValidationRule]
    public let documentation: String
    /// As it was written.
    public let text: Document

    /// Whether this or anything below has a default, so that completing can skip what has none.
    public let hasDefaults: Bool
    /// Whether this or anything below has rules.
    public let hasRules: Bool
    /// Whether this or anything below is an embedded object.
    let mayEmbed: Bool
    /// Whether this or anything below is a set or a keyed list.
    let mayHoldLists: Bool
    private let index: [String: Int]

    public init(_ text: Document) {
        self.text = text
        type = text.text("type") ?? ""
        format = text.text("format") ?? ""
        isNullable = text.flag("nullable") ?? false
        preservesUnknownFields = text.flag("x-kubernetes-preserve-unknown-fields") ?? false
        isEmbeddedResource = text.flag("x-kubernetes-embedded-resource") ?? false
        isIntOrString = text.flag("x-kubernetes-int-or-string") ?? false
        documentation = text.text("description") ?? ""
        required = text.list("required").compactMap(\.string)
        rules = text.list("x-kubernetes-validations").map(ValidationRule.init)
        checks = ValueChecks(text)
        var value: Document?
        if let given = text["default"], !given.isNull { value = .some(given) }
        defaultValue = value
        let element = text["items"].flatMap { $0.isObject ? StructuralSchema($0) : nil }
        items = element
        let members = (text["properties"]?.members ?? []).map { (name: $0.key, schema: StructuralSchema($0.value)) }
            .sorted { $0.name < $1.name }
        properties = members
        index = Dictionary(members.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var other: StructuralSchema?
        switch text["additionalProperties"]?.kind {
        case .bool: additional = .allowed(text.flag("additionalProperties") ?? false)
        case .object:
            let schema = StructuralSchema(text["additionalProperties"] ?? .emptyObject)
            other = schema
            additional = .schema(schema)
        default: additional = .unsaid
        }
        switch text.text("x-kubernetes-list-type") {
        case "atomic": listKind = .atomic
        case "set": listKind = .set
        case "map": listKind = .map(keys: text.list("x-kubernetes-list-map-keys").compactMap(\.string))
        default: listKind = .unspecified
        }
        switch text.text("x-kubernetes-map-type") {
        case "atomic": mapType = .atomic
        case "granular": mapType = .granular
        default: mapType = nil
        }
        let children = members.map(\.schema) + [element, other].compactMap { $0 }
        hasDefaults = value != nil || children.contains(where: \.hasDefaults)
        hasRules = !rules.isEmpty || children.contains(where: \.hasRules)
        mayEmbed = isEmbeddedResource || children.contains(where: \.mayEmbed)
        let isKeyed = listKind != .unspecified && listKind != .atomic
        mayHoldLists = isKeyed || children.contains(where: \.mayHoldLists)
    }

    public func property(_ name: String) -> StructuralSchema? { index[name].map { properties[$0].schema } }

    /// The schema that applies to a member: its own, or that of all others.
    func member(_ name: String) -> StructuralSchema? { property(name) ?? additional.schema }

    /// Null stands for "not given" where it is not a value of its own.
    func treatsNullAsAbsent(_ value: Document) -> Bool { value.isNull && !isNullable }

    static let resourceFields: Set = ["apiVersion", "kind", "metadata"]
}

/// The checks of a schema on the value itself.
public struct ValueChecks: Sendable {
    var minimum: Document?
    var maximum: Document?
    var isMinimumExclusive = false
    var isMaximumExclusive = false
    var multipleOf: Document?
    public var minLength: Int?
    public var maxLength: Int?
    public var pattern = ""
    var compiledPattern: CEL.Regex?
    public var minItems: Int?
    public var maxItems: Int?
    public var minProperties: Int?
    public var maxProperties: Int?
    public var enumeration: [Document] = []
    public var allOf: [StructuralSchema] = []
    public var anyOf: [StructuralSchema] = []
    public var oneOf: [StructuralSchema] = []
    public var not: StructuralSchema?

    init(_ text: Document) {
        func number(_ name: String) -> Document? {
            guard let value = text[name], value.double != nil else { return .none }
            return .some(value)
        }
        func schemas(_ name: String) -> [StructuralSchema] { text.list(name).map(StructuralSchema.init) }
        minimum = number("minimum")
        maximum = number("maximum")
        isMinimumExclusive = text.flag("exclusiveMinimum") ?? false
        isMaximumExclusive = text.flag("exclusiveMaximum") ?? false
        multipleOf = number("multipleOf")
        minLength = text.number("minLength")
        maxLength = text.number("maxLength")
        pattern = text.text("pattern") ?? ""
        // A pattern that is no regular expression does not get into a definition.
        if !pattern.isEmpty { compiledPattern = try? CEL.Regex(pattern) }
        minItems = text.number("minItems")
        maxItems = text.number("maxItems")
        minProperties = text.number("minProperties")
        maxProperties = text.number("maxProperties")
        enumeration = text.list("enum")
        allOf = schemas("allOf")
        anyOf = schemas("anyOf")
        oneOf = schemas("oneOf")
        if let inner = text["not"], inner.isObject { not = StructuralSchema(inner) }
    }

    var isJunction: Bool { !allOf.isEmpty || !anyOf.isEmpty || !oneOf.isEmpty || not != nil }
}

/// One of `x-kubernetes-validations`.
public struct ValidationRule: Sendable {
    public let rule: String
    public let message: String
    public let messageExpression: String
    /// Nil where none is given, which means `FieldValueInvalid`.
    public let reason: String?
    public let fieldPath: String
    public let optionalOldSelf: Bool?

    public init(_ text: Document) {
        rule = text.text("rule") ?? ""
        message = text.text("message") ?? ""
        messageExpression = text.text("messageExpression") ?? ""
        reason = text.text("reason")
        fieldPath = text.text("fieldPath") ?? ""
        optionalOldSelf = text.flag("optionalOldSelf")
    }
}
