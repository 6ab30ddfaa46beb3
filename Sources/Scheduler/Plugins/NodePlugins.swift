import Document
import Kinds

extension PodInfo {
    func tolerates(_ taint: Document) -> Bool {
        tolerations.contains { toleration in
            if let effect = toleration.text("effect"), !effect.isEmpty, effect != taint.text("effect") { return false }
            let key = toleration.text("key") ?? ""
            if toleration.text("operator") == "Exists" { return key.isEmpty || key == taint.text("key") }
            return key == taint.text("key") && (toleration.text("value") ?? "") == (taint.text("value") ?? "")
        }
    }
}

/// Cordoned nodes take only pods that tolerate it.
struct NodeUnschedulable: Plugin {
    static let name = "NodeUnschedulable"
    private let tolerated: Bool

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        tolerated = pod.tolerates(["key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"])
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        node.isUnschedulable && !tolerated ? Rejection(Self.name, "node(s) were unschedulable") : nil
    }
}

struct NodeName: Plugin {
    static let name = "NodeName"
    private let wanted: String

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        if pod.nodeName.isEmpty { return nil }
        wanted = pod.nodeName
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        node.name == wanted ? nil : Rejection(Self.name, "node(s) didn't match the requested node name")
    }
}

struct TaintToleration: Plugin {
    static let name = "TaintToleration"
    static let weight = 3
    private let pod: PodInfo

    init?(_ pod: PodInfo, _ snapshot: Snapshot) { self.pod = pod }

    func filter(_ node: NodeInfo) -> Rejection? {
        let taint = node.taints.first {
            ["NoSchedule", "NoExecute"].contains($0.text("effect") ?? "") && !pod.tolerates($0)
        }
        return taint.map {
            Rejection(Self.name, "node(s) had untolerated taint {\($0.text("key") ?? ""): \($0.text("value") ?? "")}")
        }
    }

    func score(_ node: NodeInfo) -> Double? {
        Double(node.taints.count { $0.text("effect") == "PreferNoSchedule" && !pod.tolerates($0) })
    }

    func normalize(_ scores: [Double]) -> [Double] { scaledToHundred(scores, reversed: true) }
}

/// `nodeSelector` and node affinity: required ones filter, preferred ones score.
struct NodeAffinity: Plugin {
    static let name = "NodeAffinity"
    static let weight = 2
    private let selector: [String: String]
    private let required: [Document]?
    private let preferred: [(term: Document, weight: Int)]

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        selector = pod.document.map("spec", "nodeSelector")
        let affinity = pod.affinity?["nodeAffinity"]
        required = affinity?["requiredDuringSchedulingIgnoredDuringExecution"]?.list("nodeSelectorTerms")
        preferred = (affinity?.list("preferredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            ($0["preference"] ?? .emptyObject, $0.number("weight") ?? 0)
        }
        if selector.isEmpty, required == nil, preferred.isEmpty { return nil }
    }

    func allows(_ node: NodeInfo) -> Bool {
        guard selector.allSatisfy({ node.labels[$0.key] == $0.value }) else { return false }
        return required?.contains { Self.matches($0, node) } ?? true
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        allows(node) ? nil : Rejection(Self.name, "node(s) didn't match Pod's node affinity/selector")
    }

    func score(_ node: NodeInfo) -> Double? {
        preferred.isEmpty ? nil : Double(preferred.reduce(0) { $0 + (Self.matches($1.term, node) ? $1.weight : 0) })
    }

    func normalize(_ scores: [Double]) -> [Double] { scaledToHundred(scores) }

    /// A term without any requirement selects no node.
    private static func matches(_ term: Document, _ node: NodeInfo) -> Bool {
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

struct NodePorts: Plugin {
    static let name = "NodePorts"
    private let wanted: [HostPort]

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        if pod.hostPorts.isEmpty { return nil }
        wanted = pod.hostPorts
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        let isTaken = node.pods.values.contains { pod in
            pod.hostPorts.contains { used in wanted.contains { $0.collides(with: used) } }
        }
        return isTaken ? Rejection(Self.name, "node(s) didn't have free ports for the requested pod ports") : nil
    }
}

/// Prefers nodes that have the pod's images already, the more so the larger and the more widely spread they are:
/// an image that only one node has should not draw every pod there.
struct ImageLocality: Plugin {
    static let name = "ImageLocality"
    private static let small = 23.0 * 1024 * 1024
    private static let largePerContainer = 1_000.0 * 1024 * 1024
    private let images: [String]
    private let spread: [String: Double]

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        images = pod.images.map(Self.normalized)
        var counts: [String: Int] = [:]
        for name in snapshot.names {
            for image in images where snapshot.nodes[name]?.images[image] != nil { counts[image, default: 0] += 1 }
        }
        if counts.isEmpty { return nil }
        spread = counts.mapValues { Double($0) / Double(snapshot.names.count) }
    }

    private static func normalized(_ image: String) -> String {
        let last = image.split(separator: "/").last ?? ""
        return last.contains(":") || last.contains("@") ? image : image + ":latest"
    }

    func score(_ node: NodeInfo) -> Double? {
        let sum = images.reduce(0.0) { $0 + Double(node.images[$1] ?? 0) * (spread[$1] ?? 0) }
        let large = Self.largePerContainer * Double(max(1, images.count))
        return (min(max(sum, Self.small), large) - Self.small) * 100 / (large - Self.small)
    }
}
