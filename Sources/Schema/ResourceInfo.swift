/// A resource of the API: a kind under its plural name.
public struct ResourceInfo: Sendable {
    public let group: String
    public let version: String
    public let plural: String
    public let singular: String
    public let kind: String
    public var listKind: String { custom?.listKind ?? kind + "List" }
    public let namespaced: Bool
    public internal(set) var shortNames: [String] = []
    public internal(set) var categories: [String] = []
    public internal(set) var verbs: [String] = []
    public internal(set) var subresources: [SubresourceInfo] = []
    public internal(set) var columns: [TableColumn] = []
    public internal(set) var type: TypeID
    /// Whether metadata.generation counts changes of everything but metadata and status.
    public internal(set) var generation = false
    /// What is special about a resource that a CustomResourceDefinition declares.
    public internal(set) var custom: CustomVersion?
    /// Whether its definition is being deleted: objects can still be looked at and removed.
    public internal(set) var isTerminating = false

    /// Whether status has its own subresource: writes of the object keep the status, writes of the status the rest.
    public var hasStatus: Bool { subresource("status") != nil }

    /// The same resource while its definition is being deleted.
    public func terminating() -> ResourceInfo {
        var copy = self
        copy.isTerminating = true
        return copy
    }

    public var apiVersion: String { group.isEmpty ? version : group + "/" + version }

    public func subresource(_ name: String) -> SubresourceInfo? { subresources.first { $0.name == name } }

    init(group: String, version: String, plural: String, singular: String, kind: String, namespaced: Bool, type: TypeID)
    {
        self.group = group
        self.version = version
        self.plural = plural
        self.singular = singular
        self.kind = kind
        self.namespaced = namespaced
        self.type = type
    }
}

public struct SubresourceInfo: Sendable {
    public let name: String
    public let verbs: [String]
    /// The kind of its body; an empty version means the parent's group and version.
    public let group: String
    public let version: String
    public let kind: String
    /// The body's type, where it is declared; nil for options that come as query parameters.
    public let type: TypeID?
}

public struct TableColumn: Sendable, Equatable {
    public let name: String
    public let type: String
    public let format: String
    public let description: String
    /// 0 is shown always, more only on request.
    public let priority: Int

    public init(name: String, type: String, format: String = "", description: String = "", priority: Int = 0) {
        self.name = name
        self.type = type
        self.format = format
        self.description = description
        self.priority = priority
    }
}
