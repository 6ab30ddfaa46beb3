import Document
import Kinds

#if canImport(Glibc)
    import Glibc
#endif

/// Spreads matching pods over the values of a node label. Constraints that must hold filter, the others score.
/// A pod that states none, but has a controller, is spread over nodes and zones in preference.
struct PodTopologySpread: Plugin {
    static let name = "PodTopologySpread"
    static let weight = 2

    private struct Constraint {
        var key: String
        var maxSkew: Int
        var isRequired: Bool
        var minDomains: Int
        var honorsTaints: Bool
        var honorsAffinity: Bool
        var matches: @Sendable (PodInfo) -> Bool
        /// Matching pods for each value of the label.
        var counts: [String: Int] = [:]
        var matchesSelf = false

        /// The value with the fewest; zero while there are fewer values than wanted.
        var least: Int { counts.count < minDomains ? 0 : counts.values.min() ?? 0 }
    }

    private var required: [Constraint] = []
    private var preferred: [Constraint] = []

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        var constraints = pod.document.list("spec", "topologySpreadConstraints").compactMap { Self.read($0, pod) }
        if constraints.isEmpty { constraints = Self.defaults(pod) }
        if constraints.isEmpty { return nil }
        let affinity = NodeAffinity(pod, snapshot)
        for var constraint in constraints {
            for name in snapshot.names {
                guard let node = snapshot.nodes[name], let value = node.labels[constraint.key] else { continue }
                if constraint.honorsAffinity, affinity?.allows(node) == false { continue }
                if constraint.honorsTaints, TaintToleration(pod, snapshot)?.filter(node) != nil { continue }
                constraint.counts[value, default: 0] += node.pods.values.count {
                    $0.namespace == pod.namespace && !$0.isTerminating && constraint.matches($0)
                }
            }
            constraint.matchesSelf = constraint.matches(pod)
            if constraint.isRequired { required.append(constraint) } else { preferred.append(constraint) }
        }
    }

    private static func read(_ document: Document, _ pod: PodInfo) -> Constraint? {
        guard var selector = LabelSelector(document["labelSelector"] ?? .emptyObject) else { return nil }
        let hasSelector = document["labelSelector"] != nil
        // The pod's own values of these labels join the selector.
        let own = document.list("matchLabelKeys").compactMap(\.string).compactMap { key in
            pod.labels[key].map { (key, $0) }
        }
        let extra = LabelSelector(labels: Dictionary(own) { $1 })
        if !hasSelector, own.isEmpty { selector = LabelSelector() }
        let chosen = selector
        return Constraint(
            key: document.text("topologyKey") ?? "", maxSkew: document.number("maxSkew") ?? 1,
            isRequired: document.text("whenUnsatisfiable") != "ScheduleAnyway",
            minDomains: document.number("minDomains") ?? 1,
            honorsTaints: document.text("nodeTaintsPolicy") == "Honor",
            honorsAffinity: document.text("nodeAffinityPolicy") != "Ignore",
            matches: { hasSelector && chosen.matches($0.labels) && extra.matches($0.labels) })
    }

    private static func defaults(_ pod: PodInfo) -> [Constraint] {
        guard let controller = pod.controllerUID else { return [] }
        return [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)].map { key, skew in
            Constraint(
                key: key, maxSkew: skew, isRequired: false, minDomains: 1, honorsTaints: false, honorsAffinity: true,
                matches: { $0.controllerUID == controller })
        }
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        for constraint in required {
            guard let value = node.labels[constraint.key] else {
                return Rejection(
                    Self.name, "node(s) didn't match pod topology spread constraints (missing required label)")
            }
            let count = (constraint.counts[value] ?? 0) + (constraint.matchesSelf ? 1 : 0)
            if count - constraint.least > constraint.maxSkew {
                return Rejection(Self.name, "node(s) didn't match pod topology spread constraints")
            }
        }
        return nil
    }

    func score(_ node: NodeInfo) -> Double? {
        if preferred.isEmpty { return nil }
        return preferred.reduce(0.0) { sum, constraint in
            guard let value = node.labels[constraint.key], constraint.counts.count > 0 else { return sum }
            // The more values there are, the more one pod too many weighs.
            let weight = log(Double(constraint.counts.count + 2))
            return sum + Double(constraint.counts[value] ?? 0) * weight + Double(constraint.maxSkew - 1)
        }.rounded()
    }

    func normalize(_ scores: [Double]) -> [Double] {
        let (least, most) = (scores.min() ?? 0, scores.max() ?? 0)
        if most == 0 { return scores.map { _ in 100 } }
        return scores.map { 100 * (most + least - $0) / most }
    }
}
