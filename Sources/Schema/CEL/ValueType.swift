extension CEL {
    /// The static type of an expression.
    public indirect enum ValueType: Sendable, Hashable {
        case dyn, null, bool, int, uint, double, string, bytes, timestamp, duration, error
        case list(ValueType)
        case map(ValueType, ValueType)
        case optional(ValueType)
        /// The type of a type; what it is the type of, where known.
        case type(ValueType?)
        case object(DeclaredType)
        /// A type that only functions know the inside of, such as `kubernetes.Quantity`.
        case opaque(String)
        /// A parameter of a function's signature.
        case parameter(String)
        /// A parameter that one call has yet to settle.
        case variable(Int)
    }
}

extension CEL.ValueType {
    /// The name that `type(x)` prints and that mismatches at run time name.
    public var runtimeName: String {
        switch self {
        case .dyn: "dyn"
        case .null: "null_type"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "google.protobuf.Timestamp"
        case .duration: "google.protobuf.Duration"
        case .error: "error"
        case .list: "list"
        case .map: "map"
        case .optional: "optional_type"
        case .type: "type"
        case .object(let type): type.name
        case .opaque(let name), .parameter(let name): name
        case .variable(let number): "_var\(number)"
        }
    }

    /// A type by the name that an expression can call it.
    static let named: [String: CEL.ValueType] = [
        "null_type": .null, "bool": .bool, "int": .int, "uint": .uint, "double": .double, "string": .string,
        "bytes": .bytes, "list": .list(.dyn), "map": .map(.dyn, .dyn), "type": .type(nil),
        "google.protobuf.Timestamp": .timestamp, "google.protobuf.Duration": .duration,
        "optional_type": .optional(.dyn),
    ]
}

extension CEL.ValueType: CustomStringConvertible {
    /// As the checker's messages print it: `list(int)`, `timestamp`, `null`.
    public var description: String {
        switch self {
        case .null: "null"
        case .timestamp: "timestamp"
        case .duration: "duration"
        case .error: "!error!"
        case .list(let element): "list(\(element))"
        case .map(let key, let value): "map(\(key), \(value))"
        case .optional(let value): "optional_type(\(value))"
        case .type(let of): of.map { "type(\($0))" } ?? "type"
        default: runtimeName
        }
    }

    /// As messages about an expression's result print it: `null_type`, `google.protobuf.Duration`.
    public var resultName: String {
        switch self {
        case .list(let element): "list(\(element.resultName))"
        case .map(let key, let value): "map(\(key.resultName), \(value.resultName))"
        case .optional(let value): "optional_type(\(value.resultName))"
        case .type(let of): of.map { "type(\($0.resultName))" } ?? "type"
        default: runtimeName
        }
    }
}

extension CEL {
    /// A type with what is known about the data behind it: fields, and bounds on sizes for estimating costs.
    public final class DeclaredType: Sendable, Hashable {
        public struct Field: Sendable {
            /// The member's name in the document; the name in expressions may be escaped.
            public let member: String
            public let type: DeclaredType
            public init(member: String, type: DeclaredType) {
                self.member = member
                self.type = type
            }
        }

        /// How equality and concatenation treat a list.
        public enum ListSemantics: Sendable, Equatable {
            case sequence
            case set
            case map(keys: [String])
        }

        public let name: String
        public let type: ValueType
        /// Of lists the elements, of maps the values.
        public let element: DeclaredType?
        public let listSemantics: ListSemantics
        /// The most characters, bytes, elements or entries that a value can have; nil where nothing bounds them.
        public let maxElements: Int?
        /// The fewest bytes a value takes as JSON.
        public let minSerializedSize: Int
        private let declaredFields: [String: Field]
        private let lookup: (@Sendable (String) -> Field?)?
        let isObject: Bool

        /// A scalar.
        public init(_ type: ValueType, name: String? = nil, maxElements: Int? = nil, minSerializedSize: Int = 1) {
            self.name = name ?? type.description
            self.type = type
            element = nil
            listSemantics = .sequence
            self.maxElements = maxElements
            self.minSerializedSize = minSerializedSize
            declaredFields = [:]
            lookup = nil
            isObject = false
        }

        public init(listOf element: DeclaredType, maxElements: Int? = nil, semantics: ListSemantics = .sequence) {
            name = "list"
            type = .list(element.valueType)
            self.element = element
            listSemantics = semantics
            self.maxElements = maxElements
            minSerializedSize = 2
            declaredFields = [:]
            lookup = nil
            isObject = false
        }

        public init(mapOf element: DeclaredType, maxElements: Int? = nil) {
            name = "map"
            type = .map(.string, element.valueType)
            self.element = element
            listSemantics = .sequence
            self.maxElements = maxElements
            minSerializedSize = 2
            declaredFields = [:]
            lookup = nil
            isObject = false
        }

        /// A structure, with its fields by the names that expressions use.
        public init(object name: String, fields: [String: Field], minSerializedSize: Int = 2) {
            self.name = name
            type = .error  // an object's type is itself: see `valueType`
            element = nil
            listSemantics = .sequence
            maxElements = nil
            self.minSerializedSize = minSerializedSize
            declaredFields = fields
            lookup = nil
            isObject = true
        }

        /// A structure whose fields are worked out when asked for, as for types that refer to themselves.
        public init(object name: String, lookup: @escaping @Sendable (String) -> Field?) {
            self.name = name
            type = .error
            element = nil
            listSemantics = .sequence
            maxElements = nil
            minSerializedSize = 2
            declaredFields = [:]
            self.lookup = lookup
            isObject = true
        }

        public var valueType: ValueType { isObject ? .object(self) : type }

        public func field(_ name: String) -> Field? { lookup.map { $0(name) } ?? declaredFields[name] }

        public static let anything = DeclaredType(.dyn)

        public static func == (a: DeclaredType, b: DeclaredType) -> Bool {
            a === b || (a.isObject && b.isObject && a.name == b.name)
        }
        public func hash(into hasher: inout Hasher) { hasher.combine(name) }
    }
}
