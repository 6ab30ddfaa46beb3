import Document

/// A flow schema as classification needs it: which requests it takes, to which level, and how their flows differ.
struct FlowSchema: Sendable {
    enum Distinguisher: Sendable { case none, user, namespace }

    var name: String
    var uid: String
    var precedence: Int
    var level: String
    var distinguisher: Distinguisher
    private var rules: [Rule]

    init(_ object: Document) {
        name = object.text("metadata", "name") ?? ""
        uid = object.text("metadata", "uid") ?? ""
        precedence = object.number("spec", "matchingPrecedence") ?? 0
        level = object.text("spec", "priorityLevelConfiguration", "name") ?? ""
        distinguisher =
            switch object.text("spec", "distinguisherMethod", "type") {
            case "ByUser": .user
            case "ByNamespace": .namespace
            default: .none
            }
        rules = object.list("spec", "rules").map(Rule.init)
    }

    func matches(_ user: UserInfo, _ info: RequestInfo) -> Bool {
        rules.contains { $0.matches(user, info) }
    }

    /// What tells this request's flow from the schema's other flows.
    func flow(_ user: UserInfo, _ info: RequestInfo) -> String {
        switch distinguisher {
        case .none: ""
        case .user: user.name
        case .namespace: info.namespace
        }
    }

    /// The order in which schemas are asked: by precedence, then by name.
    static func comesBefore(_ a: FlowSchema, _ b: FlowSchema) -> Bool {
        a.precedence != b.precedence ? a.precedence < b.precedence : a.name < b.name
    }
}

extension FlowSchema {
    private enum Subject: Sendable {
        case user(String)
        case group(String)
        case serviceAccount(String)
        /// Every service account of a namespace, by the prefix of their users' names.
        case serviceAccounts(prefix: String)
        case anybody

        init?(_ subject: Document) {
            switch subject.text("kind") {
            case "User":
                let name = subject.text("user", "name") ?? ""
                self = name == "*" ? .anybody : .user(name)
            case "Group":
                let name = subject.text("group", "name") ?? ""
                self = name == "*" ? .anybody : .group(name)
            case "ServiceAccount":
                let prefix = "system:serviceaccount:\(subject.text("serviceAccount", "namespace") ?? ""):"
                let name = subject.text("serviceAccount", "name") ?? ""
                self = name == "*" ? .serviceAccounts(prefix: prefix) : .serviceAccount(prefix + name)
            default: return nil
            }
        }

        func matches(_ user: UserInfo) -> Bool {
            switch self {
            case .anybody: true
            case .user(let name), .serviceAccount(let name): user.name == name
            case .group(let name): user.groups.contains(name)
            case .serviceAccounts(let prefix): user.name.hasPrefix(prefix)
            }
        }
    }

    /// A list of names, or all of them.
    private enum Names: Sendable {
        case all
        case some([String])

        init(_ list: [Document]) {
            let names = list.compactMap(\.string)
            self = names.contains("*") ? .all : .some(names)
        }

        func contains(_ name: String) -> Bool {
            switch self {
            case .all: true
            case .some(let names): names.contains(name)
            }
        }
    }

    private struct ResourceRule: Sendable {
        var verbs: Names
        var groups: Names
        var resources: Names
        var namespaces: Names
        var clusterScope: Bool

        init(_ rule: Document) {
            verbs = Names(rule.list("verbs"))
            groups = Names(rule.list("apiGroups"))
            resources = Names(rule.list("resources"))
            namespaces = Names(rule.list("namespaces"))
            clusterScope = rule.flag("clusterScope") == true
        }

        func matches(_ info: RequestInfo) -> Bool {
            guard verbs.contains(info.verb), groups.contains(info.group) else { return false }
            switch resources {
            case .all: break
            case .some(let names):
                let name = info.subresource.isEmpty ? info.resource : "\(info.resource)/\(info.subresource)"
                guard names.contains(name) else { return false }
            }
            return info.namespace.isEmpty ? clusterScope : namespaces.contains(info.namespace)
        }
    }

    private struct PathRule: Sendable {
        var verbs: Names
        var paths: Names

        init(_ rule: Document) {
            verbs = Names(rule.list("verbs"))
            paths = Names(rule.list("nonResourceURLs"))
        }

        func matches(_ info: RequestInfo) -> Bool {
            guard verbs.contains(info.verb) else { return false }
            switch paths {
            case .all: return true
            case .some(let paths):
                return paths.contains { $0 == info.path || ($0.hasSuffix("*") && info.path.hasPrefix($0.dropLast())) }
            }
        }
    }

    private struct Rule: Sendable {
        var subjects: [Subject]
        var resources: [ResourceRule]
        var paths: [PathRule]

        init(_ rule: Document) {
            subjects = rule.list("subjects").compactMap(Subject.init)
            resources = rule.list("resourceRules").map(ResourceRule.init)
            paths = rule.list("nonResourceRules").map(PathRule.init)
        }

        func matches(_ user: UserInfo, _ info: RequestInfo) -> Bool {
            guard subjects.contains(where: { $0.matches(user) }) else { return false }
            return info.isResource
                ? resources.contains { $0.matches(info) } : paths.contains { $0.matches(info) }
        }
    }
}
