import Document
import Kinds

/// Who makes a request, as authentication found out.
public struct UserInfo: Sendable, Equatable {
    public var name: String
    public var uid: String
    public var groups: [String]
    public var extra: [String: [String]]

    public init(name: String, uid: String = "", groups: [String] = [], extra: [String: [String]] = [:]) {
        self.name = name
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }

    public static let anonymous = UserInfo(name: "system:anonymous", groups: ["system:unauthenticated"])

    /// `authentication.k8s.io/v1.UserInfo`.
    public var document: Document {
        var result = Document.emptyObject
        result["username"] = Document(name)
        if !uid.isEmpty { result["uid"] = Document(uid) }
        if !groups.isEmpty { result["groups"] = Document(groups) }
        if !extra.isEmpty {
            result["extra"] = Document(members: extra.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
        }
        return result
    }

    /// Namespace and name of the service account, where the user is one.
    public var serviceAccount: (namespace: String, name: String)? {
        let prefix = "system:serviceaccount:"
        guard name.hasPrefix(prefix) else { return nil }
        let parts = name.dropFirst(prefix.count).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}

/// What a request wants to do: to a resource, or to a path that is none.
public struct AccessAttributes: Sendable, Equatable {
    public var user: UserInfo
    public var verb: String
    public var namespace = ""
    public var group = ""
    public var resource = ""
    public var subresource = ""
    public var name = ""
    /// Set for requests that are about no resource, such as `/healthz`.
    public var path: String?
    /// What a list or watch is limited to; read only for those whose rights depend on it.
    public var fields = FieldSelector()

    public init(user: UserInfo, verb: String) {
        self.user = user
        self.verb = verb
    }

    /// Whether the request is limited to objects with this value.
    func pins(_ field: String, to value: String) -> Bool {
        fields.terms.contains { $0.field == field && $0.value == value && !$0.isNegated }
    }

    /// The resource as rules name it, such as `pods/log`.
    public var qualifiedResource: String { subresource.isEmpty ? resource : "\(resource)/\(subresource)" }
}
