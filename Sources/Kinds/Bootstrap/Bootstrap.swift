import Document
import Schema

// The objects that a cluster has from the start.
//
// The default roles and bindings stand as text, one object a line and its parts indented below:
//   clusterrole NAME [into=a,b] [from=a]          aggregated into these roles; aggregates what is meant for those
//     verbs groups resources [names=a,b]          `core` is the unnamed group
//     verbs url=/a,/b
//   clusterrolebinding NAME ClusterRole=NAME
//     Kind [namespace/]name
// `role` and `rolebinding` also carry namespace=NAME.

extension Kinds {
    /// The namespaces that always exist.
    public static let bootstrapNamespaces = ["default", "kube-node-lease", "kube-public", "kube-system"]

    public static func bootstrapNamespaceObjects() -> [Document] {
        bootstrapNamespaces.map { ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": Document($0)]] }
    }

    /// The default roles and bindings, in the order in which they can be created.
    public static func bootstrapRBAC() -> [Document] {
        var objects: [Document] = []
        for text in [StaticString.defaultRoles, .defaultControllerRoles, .defaultBindings] {
            var lexer = LineLexer(text)
            while var line = lexer.nextLine() {
                if line.isIndented {
                    if !objects.isEmpty { BootstrapRBAC.add(&line, to: &objects[objects.count - 1]) }
                } else if let object = BootstrapRBAC.object(&line) {
                    objects.append(object)
                }
            }
        }
        return objects
    }

    /// The priority classes for what the cluster itself needs.
    public static func bootstrapPriorityClasses() -> [Document] {
        [
            priorityClass(
                "system-cluster-critical", 2_000_000_000,
                "Used for system critical pods that must run in the cluster, but can be moved to another node if "
                    + "necessary."),
            priorityClass(
                "system-node-critical", 2_000_001_000,
                "Used for system critical pods that must not be moved from their current node."),
        ]
    }

    private static func priorityClass(_ name: String, _ value: Int, _ description: String) -> Document {
        [
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": Document(name)],
            "value": Document(value), "description": Document(description),
            "preemptionPolicy": "PreemptLowerPriority",
        ]
    }
}

private enum BootstrapRBAC {
    private static let aggregation = "rbac.authorization.k8s.io/aggregate-to-"
    private static let kinds = [
        "clusterrole": "ClusterRole", "role": "Role", "clusterrolebinding": "ClusterRoleBinding",
        "rolebinding": "RoleBinding",
    ]

    static func object(_ line: inout Line) -> Document? {
        guard let kind = line.word().flatMap({ kinds[$0] }), let name = line.word() else { return nil }
        var object: Document = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": Document(kind),
            "metadata": [
                "name": Document(name), "labels": ["kubernetes.io/bootstrapping": "rbac-defaults"],
                "annotations": ["rbac.authorization.kubernetes.io/autoupdate": "true"],
            ],
        ]
        while let word = line.word() {
            if let namespace = word.value(of: "namespace=") {
                object.set(Document(namespace), at: "metadata", "namespace")
            } else if let roles = word.value(of: "into=") {
                for role in roles.commaList { object.set("true", at: "metadata", "labels", aggregation + role) }
            } else if let roles = word.value(of: "from=") {
                let selectors = roles.commaList.map { role in
                    Document(members: [("matchLabels", Document(members: [(aggregation + role, Document("true"))]))])
                }
                object["aggregationRule"] = ["clusterRoleSelectors": Document(selectors)]
            } else {
                let sides = word.split(separator: "=", maxSplits: 1)
                object["roleRef"] = [
                    "apiGroup": "rbac.authorization.k8s.io", "kind": Document(sides.first ?? ""),
                    "name": Document(sides.last ?? ""),
                ]
            }
        }
        if object["roleRef"] == nil { object["rules"] = .emptyArray } else { object["subjects"] = .emptyArray }
        return object
    }

    static func add(_ line: inout Line, to object: inout Document) {
        guard let first = line.word(), let second = line.word() else { return }
        if var subjects = object["subjects"] {
            subjects.append(subject(kind: first, name: second))
            object["subjects"] = subjects
            return
        }
        var rule: Document = ["verbs": Document(first.commaList)]
        if let urls = second.value(of: "url=") {
            rule["nonResourceURLs"] = Document(urls.commaList)
        } else {
            rule["apiGroups"] = Document(second.commaList.map { $0 == "core" ? "" : $0 })
            rule["resources"] = Document(line.word()?.commaList ?? [])
            if let names = line.word()?.value(of: "names=") { rule["resourceNames"] = Document(names.commaList) }
        }
        var rules = object["rules"] ?? .emptyArray
        rules.append(rule)
        object["rules"] = rules
    }

    private static func subject(kind: String, name: String) -> Document {
        guard kind == "ServiceAccount" else {
            return ["kind": Document(kind), "apiGroup": "rbac.authorization.k8s.io", "name": Document(name)]
        }
        let parts = name.split(separator: "/", maxSplits: 1)
        return [
            "kind": "ServiceAccount", "name": Document(parts.last ?? ""), "namespace": Document(parts.first ?? ""),
        ]
    }
}
