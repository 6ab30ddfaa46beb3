import Document
import Kinds

/// Pods that someone holds back wait until every gate is gone.
struct SchedulingGates: Plugin {
    let name = "SchedulingGates"

    func preEnqueue(_ pod: PodInfo) -> String? {
        pod.gates.isEmpty ? nil : "waiting for scheduling gates: [\(pod.gates.joined(separator: " "))]"
    }
}

/// Cordoned nodes take only pods that tolerate it.
struct NodeUnschedulable: Plugin {
    let name = "NodeUnschedulable"
    let scope = PluginScope.node
    private static let mark = Taint(key: "node.kubernetes.io/unschedulable", effect: "NoSchedule")

    private struct Cordon: Check {
        let rejection: Rejection
        func filter(_ node: NodeInfo) -> Rejection? { node.isUnschedulable ? rejection : nil }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.tolerations.cover(Self.mark) { return .skip }
        return .check(Cordon(rejection: Rejection(name, "node(s) were unschedulable", isUnresolvable: true)))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        event.changedNode(cluster, .taints).map { !$0.isUnschedulable } ?? false
    }
}

struct NodeName: Plugin {
    let name = "NodeName"
    let scope = PluginScope.node

    private struct Named: Check {
        let wanted: String
        let rejection: Rejection
        func filter(_ node: NodeInfo) -> Rejection? { node.name == wanted ? nil : rejection }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.nodeName.isEmpty { return .skip }
        let rejection = Rejection(name, "node(s) didn't match the requested node name", isUnresolvable: true)
        return .check(Named(wanted: pod.nodeName, rejection: rejection))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        if case .nodeAdded(let name) = event { name == pod.nodeName } else { false }
    }
}

struct TaintToleration: Plugin {
    let name = "TaintToleration"
    let scope = PluginScope.node
    let normalizes = true
    let defaultWeight = 3

    private struct Tolerance: Check {
        let tolerations: [Toleration]
        let rejection: Rejection
        let scores = true

        func filter(_ node: NodeInfo) -> Rejection? {
            node.taints.contains { $0.keepsAway && !tolerations.cover($0) } ? rejection : nil
        }

        func score(_ node: NodeInfo) -> Int {
            node.taints.count { $0.effect == "PreferNoSchedule" && !tolerations.cover($0) }
        }

        func normalize(_ scores: inout [Int]) { scaleToHundred(&scores, reversed: true) }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        let rejection = Rejection(name, "node(s) had untolerated taint(s)", isUnresolvable: true)
        return .check(Tolerance(tolerations: pod.tolerations, rejection: rejection))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        guard let node = event.changedNode(cluster, .taints) else { return false }
        return !node.taints.contains { $0.keepsAway && !pod.tolerations.cover($0) }
    }
}

/// `nodeSelector` and node affinity: required ones filter, preferred ones score.
struct NodeAffinity: Plugin {
    let name = "NodeAffinity"
    let scope = PluginScope.node
    let normalizes = true
    let defaultWeight = 2

    /// What a profile asks of nodes beyond what its pods ask.
    struct Added: Sendable {
        var required: NodeSelection?
        var preferred: [(term: NodeTerm, weight: Int)] = []

        init(_ document: Document) {
            required = document["requiredDuringSchedulingIgnoredDuringExecution"].map { NodeSelection($0) }
            preferred = document.list("preferredDuringSchedulingIgnoredDuringExecution").map {
                (NodeTerm($0["preference"] ?? .emptyObject), $0.number("weight") ?? 0)
            }
        }
    }

    let added: Added?

    init(added: Added? = nil) { self.added = added }

    static func allows(_ pod: PodInfo, _ node: NodeInfo) -> Bool {
        guard pod.nodeSelector.allSatisfy({ node.labels[$0.key] == $0.value }) else { return false }
        return pod.nodeSelection?.matches(node.labels, name: node.name) ?? true
    }

    private struct Attraction: Check {
        let pod: PodInfo
        let added: Added?
        let preferred: [(term: NodeTerm, weight: Int)]

        var scores: Bool { !preferred.isEmpty }

        func filter(_ node: NodeInfo) -> Rejection? {
            if let required = added?.required, !required.matches(node.labels, name: node.name) {
                return Rejection(
                    "NodeAffinity", "node(s) didn't match scheduler-enforced node affinity", isUnresolvable: true)
            }
            if NodeAffinity.allows(pod, node) { return nil }
            return Rejection("NodeAffinity", "node(s) didn't match Pod's node affinity/selector", isUnresolvable: true)
        }

        func score(_ node: NodeInfo) -> Int {
            preferred.reduce(0) { $0 + ($1.term.matches(node.labels, name: node.name) ? $1.weight : 0) }
        }

        func normalize(_ scores: inout [Int]) { scaleToHundred(&scores) }
    }

    func namesNodes(_ pod: PodInfo) -> Bool { pod.nodeSelection?.names != nil }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.nodeSelector.isEmpty, pod.nodeSelection == nil, pod.preferredNodes.isEmpty, added == nil { return .skip }
        let preferred = pod.preferredNodes + (added?.preferred ?? [])
        let names = pod.nodeSelection?.names
        if let names, names.isEmpty {
            let why = "pod affinity terms conflict"
            return .refuse(Rejection(name, why, isUnresolvable: true))
        }
        return .check(Attraction(pod: pod, added: added, preferred: preferred), only: names)
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        guard let node = event.changedNode(cluster, .labels) else { return false }
        return added?.required?.matches(node.labels, name: node.name) != false && Self.allows(pod, node)
    }
}

struct NodePorts: Plugin {
    let name = "NodePorts"
    let scope = PluginScope.node

    private struct Ports: Check {
        let wanted: [HostPort]
        let rejection: Rejection

        func filter(_ node: NodeInfo) -> Rejection? {
            let isTaken = node.withPorts.contains { key in
                (node.pods[key]?.hostPorts ?? []).contains { used in wanted.contains { $0.collides(with: used) } }
            }
            return isTaken ? rejection : nil
        }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.hostPorts.isEmpty { return .skip }
        let rejection = Rejection(name, "node(s) didn't have free ports for the requested pod ports")
        return .check(Ports(wanted: pod.hostPorts, rejection: rejection))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .nodeAdded: return true
        case .podRemoved(let gone, _):
            return gone.hostPorts.contains { used in pod.hostPorts.contains { $0.collides(with: used) } }
        default: return false
        }
    }
}

/// Prefers nodes that have the pod's images already, the more so the larger and the more widely spread they are:
/// an image that only one node has should not draw every pod there.
struct ImageLocality: Plugin {
    let name = "ImageLocality"
    let scope = PluginScope.node
    private static let small = 23 << 20
    private static let largePerContainer = 1_000 << 20

    private struct Images: Check {
        let spread: [(image: String, share: Double)]
        let count: Int
        let scores = true

        func score(_ node: NodeInfo) -> Int {
            let sum = spread.reduce(0) { $0 + Int(Double(node.images[$1.image] ?? 0) * $1.share) }
            let large = ImageLocality.largePerContainer * max(1, count)
            return 100 * (min(max(sum, ImageLocality.small), large) - ImageLocality.small)
                / (large - ImageLocality.small)
        }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        let spread = pod.images.compactMap { image -> (String, Double)? in
            let image = Self.normalized(image)
            guard let nodes = cluster.imageNodes[image], nodes > 0 else { return nil }
            return (image, Double(nodes) / Double(max(1, cluster.nodeCount)))
        }
        return spread.isEmpty ? .skip : .check(Images(spread: spread, count: pod.images.count))
    }

    static func normalized(_ image: String) -> String {
        let last = image.split(separator: "/").last ?? ""
        return last.contains(":") || last.contains("@") ? image : image + ":latest"
    }
}
