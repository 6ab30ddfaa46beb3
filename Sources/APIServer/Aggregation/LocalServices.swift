import Basics
import Document
import Kinds

/// The API services that stand for what this server answers itself: one for each of its group versions. Pure.
enum LocalServices {
    static let label = "kube-aggregator.kubernetes.io/automanaged"

    /// Ranks of the groups, and of the versions within them.
    private static let ranks: [String: (group: Int, versions: [String: Int])] = [
        "": (18_000, ["v1": 1]), "apps": (17_800, [:]), "events.k8s.io": (17_750, [:]),
        "authentication.k8s.io": (17_700, [:]), "authorization.k8s.io": (17_600, [:]),
        "autoscaling": (17_500, ["v2": 30]), "batch": (17_400, [:]), "certificates.k8s.io": (17_300, [:]),
        "networking.k8s.io": (17_200, [:]), "policy": (17_100, [:]), "rbac.authorization.k8s.io": (17_000, [:]),
        "storage.k8s.io": (16_800, [:]), "apiextensions.k8s.io": (16_700, [:]),
        "admissionregistration.k8s.io": (16_700, [:]), "scheduling.k8s.io": (16_600, [:]),
        "coordination.k8s.io": (16_500, [:]), "node.k8s.io": (16_300, [:]), "discovery.k8s.io": (16_200, [:]),
        "flowcontrol.apiserver.k8s.io": (16_100, ["v1": 21]), "resource.k8s.io": (15_900, ["v1": 20]),
        "metrics.k8s.io": (100, ["v1beta1": 100]),
    ]
    private static let usualVersion = 15
    /// Custom groups come last.
    private static let custom = (group: 1_000, version: 100)

    static func groupPriority(_ group: String) -> Int { ranks[group]?.group ?? custom.group }

    static func name(group: String, version: String) -> String { "\(version).\(group)" }

    /// - isDeclared: one of the groups that are always there, not one that a definition brought.
    static func service(group: String, version: String, isDeclared: Bool) -> Document {
        var spec = Document.emptyObject
        if !group.isEmpty { spec["group"] = Document(group) }
        spec["version"] = Document(version)
        let rank = ranks[group]
        spec["groupPriorityMinimum"] = Document(isDeclared ? rank?.group ?? 15_000 : custom.group)
        spec["versionPriority"] = Document(
            isDeclared ? rank?.versions[version] ?? usualVersion : custom.version)
        return [
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": [
                "name": Document(name(group: group, version: version)),
                "labels": [label: isDeclared ? "onstart" : "true"],
            ],
            "spec": spec,
        ]
    }

    static let available = Availability.Finding(
        isAvailable: true, reason: "Local", message: "Local APIServices are always available")
}

/// Whether an API service can be used, and why (not). Pure.
enum Availability {
    struct Finding: Sendable, Equatable {
        var isAvailable: Bool
        var reason: String
        var message: String
    }

    static let passed = Finding(isAvailable: true, reason: "Passed", message: "all checks passed")

    static func failed(_ reason: String, _ message: String) -> Finding {
        Finding(isAvailable: false, reason: reason, message: message)
    }

    /// What the Service and its endpoints say, nil where nothing stands in the way of asking the server itself.
    static func obstacle(_ reference: Document, service: Document?, slices: [Document]) -> Finding? {
        let (namespace, name) = (reference.text("namespace") ?? "", reference.text("name") ?? "")
        let port = reference.number("port") ?? 443
        let place = "service/\(name) in \(Document(namespace).jsonText)"
        guard let service else { return failed("ServiceNotFound", "\(place) is not present") }
        guard service.text("spec", "type") ?? "ClusterIP" != "ExternalName" else { return nil }
        guard let listed = service.list("spec", "ports").first(where: { $0.number("port") == port }) else {
            return failed("ServicePortError", "\(place) is not listening on port \(port)")
        }
        guard !slices.isEmpty else {
            return failed("EndpointsNotFound", "cannot find endpointslices for \(place)")
        }
        let portName = listed.text("name") ?? ""
        let isReached = slices.contains { slice in
            slice.list("ports").contains { $0.text("name") ?? "" == portName }
                && slice.list("endpoints").contains { $0.flag("conditions", "ready") ?? true }
        }
        guard isReached else {
            return failed(
                "MissingEndpoints",
                "endpoints for \(place) have no addresses with port name \(Document(portName).jsonText)")
        }
        return nil
    }

    static func condition(_ finding: Finding, of service: Document, now: Timestamp) -> Document {
        var conditions = Conditions(service.list("status", "conditions"), now: now)
        conditions.set("Available", finding.isAvailable ? "True" : "False", finding.reason, finding.message)
        return Document(conditions.list)
    }
}
