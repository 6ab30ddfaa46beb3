import Kinds
import Wire

/// What a request is about, read from its method and path alone:
///
///     /api/v1/namespaces/NS/pods/NAME/log        the core group
///     /apis/GROUP/VERSION/RESOURCE/NAME          every other group
///
/// Everything else is a path that is no resource.
public struct RequestInfo: Sendable, Equatable {
    public var method: String
    public var path: String
    public var query: Query
    /// As authorization names it: get, list, watch, create, update, patch, delete, deletecollection;
    /// nothing where the method is none of the API's; for other paths the method in lower case.
    public var verb: String
    public var isResource = false
    public var group = ""
    public var version = ""
    public var namespace = ""
    public var resource = ""
    public var name = ""
    public var subresource = ""
    /// What follows the subresource: the path behind `…/proxy/`.
    public var rest = ""

    public init(_ request: Request) { self.init(method: request.method, target: request.target) }

    public init(method: String, target: String) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.method = method
        path = halves.first.map(String.init) ?? "/"
        query = Query(halves.count == 2 ? halves[1] : "")
        verb = method.lowercased()
        let parts = path.split(separator: "/").map { Query.decoded($0) }
        readResource(parts[...])
        // What follows `…/proxy/` belongs to somebody else.
        let own = rest.isEmpty ? path[...] : path.dropLast(rest.utf8.count)
        hasEmptyPart = own.contains("//")
    }

    private mutating func readResource(_ all: ArraySlice<String>) {
        var parts = all
        guard let root = parts.popFirst() else { return }
        switch root {
        case "api": group = ""
        case "apis":
            guard parts.count >= 2, let name = parts.popFirst() else { return }
            group = name
        default: return
        }
        guard parts.count >= 2, let apiVersion = parts.popFirst() else {
            group = ""
            return
        }
        version = apiVersion
        isResource = true
        // The old form of a watch: /api/v1/watch/namespaces/…
        var watches = false
        if parts.first == "watch", parts.count > 1 {
            parts.removeFirst()
            watches = true
        }
        readName(&parts)
        readVerb(watches: watches)
    }

    private mutating func readName(_ parts: inout ArraySlice<String>) {
        if parts.first == "namespaces" {
            parts.removeFirst()
            guard let first = parts.popFirst() else {
                resource = "namespaces"
                return
            }
            // `namespaces/x`, `namespaces/x/status` and `namespaces/x/finalize` are about the namespace itself.
            if parts.isEmpty || parts.first == "status" || parts.first == "finalize" {
                resource = "namespaces"
                namespace = first
                name = first
                subresource = parts.popFirst() ?? ""
                return
            }
            namespace = first
        }
        resource = parts.popFirst() ?? ""
        name = parts.popFirst() ?? ""
        subresource = parts.popFirst() ?? ""
        rest = parts.joined(separator: "/")
    }

    private mutating func readVerb(watches: Bool) {
        switch method {
        case "POST": verb = "create"
        case "PUT": verb = "update"
        case "PATCH": verb = "patch"
        case "GET", "HEAD":
            if !name.isEmpty, !watches {
                verb = "get"
            } else {
                verb = watches || query.flag("watch") ? "watch" : "list"
            }
            // A list of the one object that the field selector names is that object, for rules with resourceNames.
            if verb != "get", name.isEmpty, let text = query["fieldSelector"],
                let selector = try? FieldSelector(parsing: text),
                let term = selector.terms.first(where: { $0.field == "metadata.name" && !$0.isNegated })
            {
                selectedName = term.value
            }
        case "DELETE": verb = name.isEmpty ? "deletecollection" : "delete"
        // No verb of the API: only who may do everything may do it.
        default: verb = ""
        }
    }

    /// Whether the path holds two slashes in a row, which no path of the API does.
    public private(set) var hasEmptyPart = false

    /// The name that a field selector pins a list or watch to; only authorization asks.
    public private(set) var selectedName = ""

    public func attributes(for user: UserInfo) -> AccessAttributes {
        var attributes = AccessAttributes(user: user, verb: verb)
        guard isResource else {
            attributes.path = path
            return attributes
        }
        attributes.namespace = namespace
        attributes.group = group
        attributes.resource = resource
        attributes.subresource = subresource
        attributes.name = name.isEmpty ? selectedName : name
        if NodeAuthorizer.node(user) != nil, let text = query["fieldSelector"],
            ["list", "watch", "deletecollection"].contains(verb), let selector = try? FieldSelector(parsing: text)
        {
            attributes.fields = selector
        }
        return attributes
    }
}
