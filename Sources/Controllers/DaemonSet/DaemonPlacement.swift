import Document

/// What placing daemons needs to know of a node.
struct NodeFacts: Sendable, Equatable {
    let name: String
    let labels: [String: String]
    let taints: [Document]

    init(_ node: Document) {
        name = node.name
        labels = node.labels
        taints = node.list("spec", "taints")
    }
}

/// Where a daemon set's pods belong. The controller decides this, not the scheduler: every pod is made for one node.
struct DaemonPlacement {
    struct Verdict: Equatable {
        /// A pod belongs there.
        var shouldRun = false
        /// A pod that is there may stay.
        var mayStay = false
    }

    private let nodeName: String
    private let nodeSelector: [String: String]
    private let terms: [Document]?
    private let tolerations: [Toleration]

    init(_ set: Document) {
        let spec = set.at("spec", "template", "spec") ?? .emptyObject
        nodeName = spec.text("nodeName") ?? ""
        nodeSelector = spec.map("nodeSelector")
        terms = spec.at(
            "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")?.list("nodeSelectorTerms")
        tolerations = DaemonPod.tolerations(of: spec).map { Toleration($0) }
    }

    func verdict(_ node: NodeFacts) -> Verdict {
        guard nodeName.isEmpty || nodeName == node.name, matches(node) else { return Verdict() }
        let offending = node.taints.filter { taint in
            ["NoSchedule", "NoExecute"].contains(taint.text("effect") ?? "")
                && !tolerations.contains { $0.tolerates(taint) }
        }
        let mayStay = !offending.contains { $0.text("effect") == "NoExecute" }
        return Verdict(shouldRun: offending.isEmpty, mayStay: mayStay)
    }

    private func matches(_ node: NodeFacts) -> Bool {
        guard nodeSelector.allSatisfy({ node.labels[$0.key] == $0.value }) else { return false }
        return terms?.contains { Self.matches($0, node) } ?? true
    }

    /// A term without any requirement selects no node.
    private static func matches(_ term: Document, _ node: NodeFacts) -> Bool {
        let labels = term.list("matchExpressions")
        let fields = term.list("matchFields")
        if labels.isEmpty, fields.isEmpty { return false }
        return labels.allSatisfy { holds($0, node.labels[$0.text("key") ?? ""]) }
            && fields.allSatisfy { holds($0, $0.text("key") == "metadata.name" ? node.name : nil) }
    }

    private static func holds(_ requirement: Document, _ value: String?) -> Bool {
        let values = requirement.list("values").compactMap(\.string)
        switch requirement.text("operator") {
        case "In": return value.map { values.contains($0) } ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let number = value.flatMap({ Int($0) }), let bound = values.first.flatMap({ Int($0) }) else {
                return false
            }
            return requirement.text("operator") == "Gt" ? number > bound : number < bound
        default: return false
        }
    }
}

/// The pods of a daemon set.
enum DaemonPod {
    private static let generation = "deprecated.daemonset.template.generation"

    /// The pod for one node: bound there by an affinity to the node's name, which the scheduler then follows.
    static func make(_ set: Document, hash: String, node: String) -> Document {
        let owner = set.controllerReference(kind: "DaemonSet", apiVersion: "apps/v1")
        var pod = ReplicaSetPlan.template(of: set, owner: owner)
        var labels = pod.labels
        labels[RevisionStyle.podLabel] = hash
        if let count = set.annotations[generation].flatMap({ Int($0) }) {
            labels["pod-template-generation"] = String(count)
        }
        pod.set(Document(sorted: labels), at: "metadata", "labels")
        pod.set(Document(tolerations(of: pod["spec"] ?? .emptyObject)), at: "spec", "tolerations")
        let field: Document = ["key": "metadata.name", "operator": "In", "values": [Document(node)]]
        // The terms of the template have been met when the node was chosen; what remains to be said is its name.
        pod.set(
            ["nodeSelectorTerms": [["matchFields": [field]]]], at: "spec", "affinity", "nodeAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution")
        return pod
    }

    /// Daemons put up with what keeps other pods away: they are part of what makes the node work.
    private static let added: [Document] = [
        ("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule"),
    ].map { toleration($0, $1) }

    private static func toleration(_ key: String, _ effect: String) -> Document {
        ["key": Document("node.kubernetes.io/" + key), "operator": "Exists", "effect": Document(effect)]
    }

    static func tolerations(of spec: Document) -> [Document] {
        var wanted = added
        // Pods of the host's own network need not wait for the cluster's.
        if spec.flag("hostNetwork") == true { wanted.append(toleration("network-unavailable", "NoSchedule")) }
        func isSame(_ a: Document, _ b: Document) -> Bool {
            ["key", "effect", "operator", "value"].allSatisfy { (a.text($0) ?? "") == (b.text($0) ?? "") }
        }
        var result = spec.list("tolerations")
        for toleration in wanted {
            // One that says the same for a limited time counts for ever.
            if let index = result.firstIndex(where: { isSame($0, toleration) }) {
                result[index] = toleration
            } else {
                result.append(toleration)
            }
        }
        return result
    }

    /// The node that a pod was made for, whether it is there yet or not.
    static func node(of pod: Document) -> String? {
        if !pod.nodeName.isEmpty { return pod.nodeName }
        let terms = pod.list(
            "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
        for term in terms {
            for field in term.list("matchFields")
            where field.text("key") == "metadata.name" && field.text("operator") == "In" {
                let values = field.list("values")
                return values.count == 1 ? values[0].string : nil
            }
        }
        return nil
    }
}
