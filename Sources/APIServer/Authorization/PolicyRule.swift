import Document

/// One rule of a role: who holds it may do any of the verbs to any of the resources (or paths).
public struct PolicyRule: Sendable, Hashable {
    public var verbs: [String] = []
    public var groups: [String] = []
    public var resources: [String] = []
    public var names: [String] = []
    public var paths: [String] = []

    public init() {}

    public init(_ document: Document) {
        func strings(_ field: String) -> [String] { document.list(field).compactMap(\.string) }
        verbs = strings("verbs")
        groups = strings("apiGroups")
        resources = strings("resources")
        names = strings("resourceNames")
        paths = strings("nonResourceURLs")
    }

    public func allows(_ attributes: AccessAttributes) -> Bool {
        guard Self.matches(verbs, attributes.verb) else { return false }
        if let path = attributes.path { return paths.contains { Self.covers(path: $0, path) } }
        guard Self.matches(groups, attributes.group) else { return false }
        guard resources.contains(where: { Self.covers(resource: $0, attributes) }) else { return false }
        return names.isEmpty || names.contains(attributes.name)
    }

    private static func matches(_ allowed: [String], _ wanted: String) -> Bool {
        allowed.contains { $0 == "*" || $0 == wanted }
    }

    /// `*`, `pods`, `pods/log`, or `*/scale`: the subresource of every resource.
    private static func covers(resource rule: String, _ attributes: AccessAttributes) -> Bool {
        if rule == "*" || rule == attributes.qualifiedResource { return true }
        return !attributes.subresource.isEmpty && rule == "*/\(attributes.subresource)"
    }

    private static func covers(path rule: String, _ path: String) -> Bool {
        if rule == "*" || rule == path { return true }
        return rule.hasSuffix("*") && path.hasPrefix(rule.dropLast())
    }

    // MARK: Covering, for the check that nobody gives away more than they hold

    /// The rule taken apart into pieces with one verb, one group, one resource, one name each.
    var atoms: [PolicyRule] {
        var result: [PolicyRule] = []
        for verb in verbs {
            for path in paths {
                var atom = PolicyRule()
                atom.verbs = [verb]
                atom.paths = [path]
                result.append(atom)
            }
            for group in groups {
                for resource in resources {
                    for name in names.isEmpty ? [nil] : names.map(Optional.some) {
                        var atom = PolicyRule()
                        atom.verbs = [verb]
                        atom.groups = [group]
                        atom.resources = [resource]
                        atom.names = name.map { [$0] } ?? []
                        result.append(atom)
                    }
                }
            }
        }
        return result
    }

    /// Whether this rule alone allows all that `atom` allows.
    func covers(atom: PolicyRule) -> Bool {
        guard let verb = atom.verbs.first, Self.matches(verbs, verb) else { return false }
        if let path = atom.paths.first { return paths.contains { Self.covers(path: $0, path) } }
        guard let group = atom.groups.first, let resource = atom.resources.first, Self.matches(groups, group) else {
            return false
        }
        let subresource = resource.split(separator: "/").dropFirst().first
        guard
            resources.contains(where: { rule in
                rule == "*" || rule == resource || subresource.map { rule == "*/\($0)" } ?? false
            })
        else { return false }
        return names.isEmpty || atom.names.first.map(names.contains) ?? false
    }

    /// The pieces of `wanted` that none of `held` covers: empty means no escalation.
    public static func uncovered(_ wanted: [PolicyRule], by held: [PolicyRule]) -> [PolicyRule] {
        wanted.flatMap(\.atoms).filter { atom in !held.contains { $0.covers(atom: atom) } }
    }

    /// Rules that differ only in their verbs as one, duplicates dropped, in the order of first appearance.
    static func compacted(_ rules: [PolicyRule]) -> [PolicyRule] {
        var result: [PolicyRule] = []
        for rule in rules {
            let same = result.firstIndex { known in
                known.groups == rule.groups && known.resources == rule.resources && known.names == rule.names
                    && known.paths == rule.paths
            }
            if let same {
                result[same].verbs += rule.verbs.filter { !result[same].verbs.contains($0) }
            } else {
                result.append(rule)
            }
        }
        return result
    }

    public var document: Document {
        var result = Document.emptyObject
        result["verbs"] = Document(verbs)
        if !groups.isEmpty { result["apiGroups"] = Document(groups) }
        if !resources.isEmpty { result["resources"] = Document(resources) }
        if !names.isEmpty { result["resourceNames"] = Document(names) }
        if !paths.isEmpty { result["nonResourceURLs"] = Document(paths) }
        return result
    }

    /// As Kubernetes prints a rule in its refusals: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`.
    public var compact: String {
        func list(_ values: [String]) -> String { "[" + values.map { "\"\($0)\"" }.joined(separator: " ") + "]" }
        var parts: [String] = []
        if !groups.isEmpty { parts.append("APIGroups:\(list(groups))") }
        if !resources.isEmpty { parts.append("Resources:\(list(resources))") }
        if !paths.isEmpty { parts.append("NonResourceURLs:\(list(paths))") }
        if !names.isEmpty { parts.append("ResourceNames:\(list(names))") }
        if !verbs.isEmpty { parts.append("Verbs:\(list(verbs))") }
        return "{" + parts.joined(separator: ", ") + "}"
    }
}
