import Document
import Kinds
import Schema
import Wire

/// Acting as somebody else: `kubectl --as`.
///
/// The caller must hold a right for each part that is impersonated. There are two ways to grant it. The old one is the
/// verb `impersonate`. The constrained one names what kind of identity may be taken on (`impersonate:MODE`) and what
/// may be done under it (`impersonate-on:MODE:VERB`). The modes that fit are tried in order; the old way is the last.
struct Impersonation: Sendable {
    private enum Mode: String {
        case associatedNode = "associated-node"
        case arbitraryNode = "arbitrary-node"
        case serviceAccount = "serviceaccount"
        case userInfo = "user-info"
    }

    private static let group = "authentication.k8s.io"
    private static let nodePrefix = "system:node:"
    /// From this many values on, one question about all of them comes before the single ones.
    private static let many = 4

    let wanted: UserInfo
    let caller: UserInfo

    /// The user asked for in the headers; nil where none is asked for.
    init?(_ headers: Headers, by caller: UserInfo) throws(APIStatus) {
        guard headers.fields.contains(where: { $0.name.lowercased().hasPrefix("impersonate-") }) else { return nil }
        var wanted = UserInfo(
            name: headers["Impersonate-User"] ?? "", uid: headers["Impersonate-Uid"] ?? "",
            groups: headers.all("Impersonate-Group"))
        let prefix = "impersonate-extra-"
        for field in headers.fields where field.name.lowercased().hasPrefix(prefix) {
            wanted.extra[Query.decoded(field.name.lowercased().dropFirst(prefix.count)), default: []]
                .append(field.value)
        }
        guard !wanted.name.isEmpty else {
            guard wanted.groups.isEmpty, wanted.uid.isEmpty, wanted.extra.isEmpty else {
                throw .badRequest("requested \(Self.goText(wanted)) without impersonating a user name")
            }
            return nil
        }
        self.wanted = wanted
        self.caller = caller
    }

    /// A user without a name as upstream's message prints it.
    private static func goText(_ user: UserInfo) -> String {
        func list(_ values: [String]) -> String {
            values.isEmpty
                ? "[]string(nil)" : "[]string{" + values.map { "\"\($0)\"" }.joined(separator: ", ") + "}"
        }
        let pairs = user.extra.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\(list($0.value))" }
        let map = pairs.isEmpty ? "(nil)" : "{" + pairs.joined(separator: ", ") + "}"
        return "&user.DefaultInfo{Name:\"\", UID:\"\(user.uid)\", Groups:\(list(user.groups)), "
            + "Extra:map[string][]string\(map)}"
    }

    /// The user that the request is made as from here on. `request` is what the caller wants to do; `require` throws
    /// the refusal of what is not allowed.
    func user(
        for request: AccessAttributes, require: (AccessAttributes) async throws -> Void
    ) async throws -> UserInfo {
        var first: (any Error)?
        for mode in modes {
            do {
                var action = request
                action.verb = "impersonate-on:\(mode.rawValue):\(request.verb)"
                if mode == .associatedNode { action.user = Self.compacted(caller) }
                try await require(action)
                return try await identity(mode, require)
            } catch let error as APIStatus where error.code == 403 {
                first = first ?? error
            }
        }
        do { return try await identity(nil, require) } catch let error as APIStatus where error.code == 403 {
            throw first ?? error
        }
    }

    // MARK: Which ways there are

    private static func node(_ name: String) -> String? {
        guard name.hasPrefix(nodePrefix) else { return nil }
        let node = String(name.dropFirst(nodePrefix.count))
        return Formats.dnsSubdomain(node).isEmpty ? node : nil
    }

    private var modes: [Mode] {
        let isNameAlone = wanted.uid.isEmpty && wanted.groups.isEmpty && wanted.extra.isEmpty
        if let node = Self.node(wanted.name) {
            guard isNameAlone else { return [] }
            let own = caller.extra["authentication.kubernetes.io/node-name"] ?? []
            return caller.serviceAccount != nil && own == [node] ? [.associatedNode, .arbitraryNode] : [.arbitraryNode]
        }
        if wanted.serviceAccount != nil { return isNameAlone ? [.serviceAccount] : [] }
        return [.userInfo]
    }

    /// A caller who shares a node with what it impersonates is asked about without the values that differ from node to
    /// node: the right is one for all of them.
    private static func compacted(_ caller: UserInfo) -> UserInfo {
        var user = caller
        user.extra = ["authentication.kubernetes.io/associated-node-keys": caller.extra.keys.sorted()]
        return user
    }

    // MARK: The identity, part by part

    /// The impersonated user, if the caller may take on each part of it; by the old right where `mode` is nil.
    private func identity(
        _ mode: Mode?, _ require: (AccessAttributes) async throws -> Void
    ) async throws -> UserInfo {
        var user = wanted
        try await requireName(mode, &user, require)
        if !wanted.uid.isEmpty { try await require(need(mode, "uids", wanted.uid, isAuthentication: true)) }
        try await requireGroups(mode, require)
        try await requireExtra(mode, require)
        if user.name == "system:anonymous" {
            if !user.groups.contains("system:unauthenticated") { user.groups.append("system:unauthenticated") }
        } else if !user.groups.contains("system:unauthenticated"), !user.groups.contains("system:authenticated") {
            user.groups.append("system:authenticated")
        }
        return user
    }

    private func need(
        _ mode: Mode?, _ resource: String, _ name: String, isAuthentication: Bool = false
    ) -> AccessAttributes {
        let verb = mode.map { "impersonate:\($0.rawValue)" } ?? "impersonate"
        var attributes = AccessAttributes(
            user: mode == .associatedNode ? Self.compacted(caller) : caller, verb: verb)
        // The old right speaks of users and groups as if they belonged to the core group.
        attributes.group = mode != nil || isAuthentication ? Self.group : ""
        attributes.resource = resource
        attributes.name = name
        return attributes
    }

    private func requireName(
        _ mode: Mode?, _ user: inout UserInfo, _ require: (AccessAttributes) async throws -> Void
    ) async throws {
        if mode != nil, let node = Self.node(wanted.name) {
            user.groups = ["system:nodes"]
            return try await require(need(mode, "nodes", mode == .associatedNode ? "*" : node))
        }
        guard let account = wanted.serviceAccount else { return try await require(need(mode, "users", wanted.name)) }
        if wanted.groups.isEmpty {
            user.groups = ["system:serviceaccounts", "system:serviceaccounts:\(account.namespace)"]
        }
        var attributes = need(mode, "serviceaccounts", account.name)
        attributes.namespace = account.namespace
        try await require(attributes)
    }

    private func requireGroups(
        _ mode: Mode?, _ require: (AccessAttributes) async throws -> Void
    ) async throws {
        if wanted.groups.isEmpty { return }
        if mode != nil {
            if wanted.groups.contains("") {
                throw AccessControl.refusal(
                    need(mode, "groups", ""), reason: "impersonating the empty string group is not allowed")
            }
            if wanted.groups.contains("system:masters") {
                throw AccessControl.refusal(
                    need(mode, "groups", "system:masters"),
                    reason: "impersonating the system:masters group is not allowed")
            }
            if wanted.groups.count >= Self.many, try await holds(need(mode, "groups", "*"), require) { return }
        }
        for group in wanted.groups { try await require(need(mode, "groups", group)) }
    }

    private func requireExtra(
        _ mode: Mode?, _ require: (AccessAttributes) async throws -> Void
    ) async throws {
        if wanted.extra.isEmpty { return }
        if mode != nil {
            if let problem = Self.problem(with: wanted.extra) {
                throw AccessControl.refusal(
                    need(mode, "userextras", "", isAuthentication: true), reason: problem)
            }
            let count = wanted.extra.values.reduce(0) { $0 + $1.count }
            if count >= Self.many {
                var all = need(mode, "userextras", "*", isAuthentication: true)
                all.subresource = "*"
                if try await holds(all, require) { return }
            }
        }
        for (key, values) in wanted.extra.sorted(by: { $0.key < $1.key }) {
            for value in values {
                var attributes = need(mode, "userextras", value, isAuthentication: true)
                attributes.subresource = key
                try await require(attributes)
            }
        }
    }

    private func holds(
        _ attributes: AccessAttributes, _ require: (AccessAttributes) async throws -> Void
    ) async throws -> Bool {
        do {
            try await require(attributes)
            return true
        } catch let error as APIStatus where error.code == 403 {
            return false
        }
    }

    /// Keys of extra facts are paths with a domain in front.
    private static func problem(with extra: [String: [String]]) -> String? {
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            if key.isEmpty { return "impersonating the empty string key in extra is not allowed" }
            let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            let syntax =
                parts.count == 2 && !parts[1].isEmpty
                ? Formats.dnsSubdomain(String(parts[0]))
                : ["must be a domain-prefixed path (such as \"acme.io/foo\")"]
            if let first = syntax.first {
                return "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "
                    + "\(Document(key).jsonText): \(first)"
            }
            if values.contains("") { return "impersonating the empty string value in extra is not allowed" }
        }
        return nil
    }
}
