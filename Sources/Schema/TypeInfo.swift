import Document

/// The form of a value.
public indirect enum Shape: Sendable {
    case string, bytes, bool, int32, int64, double
    case quantity, intOrString, time, microTime
    case raw, any, fieldSet, patch
    case object(TypeInfo)
    case list(Shape)
    case map(Shape)
}

public enum ListKind: Sendable, Equatable {
    /// Nothing is said: apply treats the list as atomic.
    case unspecified
    case atomic
    case set
    case map(keys: [String])
}

/// A declared field of a type.
public struct FieldInfo: Sendable {
    public let name: String
    /// The field in a set of fields: `f:name`.
    let pathElement: String
    public internal(set) var shape: Shape
    /// Can be absent, and then differs from its zero.
    public var isOptional = false
    public var isRequired = false
    /// Written even when zero, without OpenAPI calling it required.
    public var isAlwaysWritten = false
    public var isNonempty = false
    public var isImmutable = false
    /// A list in which no element, or no key of an element, may occur twice.
    public var isUnique = false
    public var defaultValue: Document?
    /// Whether OpenAPI shows `defaultValue`.
    public var publishesDefault = false
    public var enumeration: [String] = []
    /// The values that it may have, as far as OpenAPI tells them; the kind's rules check them.
    public var shownValues: [String] = []
    public var minimum: Int?
    public var maximum: Int?
    public var format = ""
    public var listKind = ListKind.unspecified
    /// A structure or map that apply replaces as a whole at this place.
    public var isAtomicStructure = false
    public var isGranularMap = false
    public var mergesInPatch = false
    public var patchMergeKey: String?
    public var retainsKeysInPatch = false
    /// A structure that strategic merge patch replaces.
    public var replacesInPatch = false
    public var documentation = ""
    /// The type that OpenAPI names where any value can stand.
    var publishedAs = ""

    /// What stands in the object when the field was not given.
    var fill = Fill.nothing

    enum Fill: Sendable {
        case nothing
        case value(Document)
        case structure(TypeInfo)
    }

    /// An empty list is stored like an absent one, and shows as null where the field is always written.
    var fillsNull: Bool {
        if case .value(let value) = fill { value.isNull } else { false }
    }

    /// Whether its zero stays in the object.
    var keepsZero: Bool { isRequired || isAlwaysWritten || isOptional }

    init(name: String, shape: Shape) {
        self.name = name
        pathElement = "f:" + name
        self.shape = shape
    }
}

/// A declared structure.
///
/// Types refer to each other in circles, so a type is first made empty and then filled while its group is parsed,
/// under the registry's lock; from then on nothing changes. That is why it may be shared between threads.
public final class TypeInfo: @unchecked Sendable {
    public let name: String
    public let group: String
    public let version: String
    /// The name in OpenAPI, such as `io.k8s.api.core.v1.Pod`.
    public let fullName: String
    public internal(set) var documentation = ""
    public internal(set) var fields: [FieldInfo] = []
    public internal(set) var isAtomic = false
    /// Has apiVersion, kind and metadata.
    public internal(set) var isObject = false
    /// A generated `…List` type.
    public internal(set) var isList = false
    public internal(set) var union: UnionInfo?
    /// The order in which OpenAPI lists the required fields, where it is not that of the text.
    var requiredOrder: [String] = []
    /// Members that are not declared stay, and are owned as they are.
    public internal(set) var preservesUnknownFields = false
    /// The schema behind the type of a custom resource.
    public internal(set) var custom: CustomType?
    var index: [String: Int] = [:]
    /// The fields that may have to be filled in, so that completing an object looks at no others.
    var filled: [Int] = []

    init(name: String, group: String, version: String, fullName: String) {
        self.name = name
        self.group = group
        self.version = version
        self.fullName = fullName
    }

    public func field(_ name: String) -> FieldInfo? { index[name].map { fields[$0] } }
}

/// Exactly one of these fields goes with a value of the discriminator.
public struct UnionInfo: Sendable {
    public var discriminator: String
    public var fields: [(field: String, value: String)]
}

/// Names a type of a registry.
public struct TypeID: Sendable, Hashable {
    public let info: TypeInfo

    public init(_ info: TypeInfo) { self.info = info }

    public static func == (a: TypeID, b: TypeID) -> Bool { a.info === b.info }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(info)) }
}
