#if canImport(Glibc)
    import Glibc
#endif

/// Spreads matching pods over the values of a node label. Constraints that must hold filter, the others score.
///
/// A pod that states none is spread by the profile's default ones: over nodes and zones in preference, together with
/// the other pods of its replica set, stateful set or replication controller, or of the services that find it.
struct PodTopologySpread: Plugin {
    struct Arguments: Sendable {
        /// Nil: the system's own, which do not ask that a node has all the labels.
        var defaults: [SpreadConstraint]?
    }

    private static let title = "PodTopologySpread"
    let name = title
    let defaultWeight = 2
    let arguments: Arguments

    init(_ arguments: Arguments = Arguments()) { self.arguments = arguments }

    private struct Bound {
        let constraint: SpreadConstraint
        let counts: [Int32]
        let ofNode: [Int32]
        let least: Int
        let matchesSelf: Bool
    }

    private struct Wish {
        let constraint: SpreadConstraint
        let counts: [Int32]
        let ofNode: [Int32]
        /// The more values there are, the more one pod too many weighs.
        var weight = 0.0
    }

    private struct Spread: Check {
        var required: [Bound] = []
        var wishes: [Wish] = []
        /// Nodes that lack one of the labels are worth nothing.
        var needsAllLabels = true

        var scores: Bool { !wishes.isEmpty }

        func filter(_ node: NodeInfo) -> Rejection? {
            for bound in required {
                let domain = Int(bound.ofNode[node.slot])
                if domain < 0 { return PodTopologySpread.unlabelled }
                let count = Int(bound.counts[domain]) + (bound.matchesSelf ? 1 : 0)
                if count - bound.least > bound.constraint.maxSkew { return PodTopologySpread.skewed }
            }
            return nil
        }

        var bounds: [CountBound]? {
            required.map { bound in
                let most = bound.constraint.maxSkew - (bound.matchesSelf ? 1 : 0)
                let (sum, overflow) = bound.least.addingReportingOverflow(most)
                return CountBound(
                    counts: bound.counts, ofNode: bound.ofNode, most: overflow ? .max : Int32(clamping: sum))
            }
        }

        mutating func begin(_ feasible: [NodeInfo]) {
            let counted = feasible.filter { !isIgnored($0) }
            for index in wishes.indices {
                var size = counted.count
                if wishes[index].constraint.key != "kubernetes.io/hostname" {
                    // One more for the nodes without the label, which count as one value.
                    var isSeen = [Bool](repeating: false, count: wishes[index].counts.count + 1)
                    size = 0
                    for node in counted {
                        let place = Int(wishes[index].ofNode[node.slot]) + 1
                        if isSeen[place] { continue }
                        isSeen[place] = true
                        size += 1
                    }
                }
                wishes[index].weight = log(Double(size + 2))
            }
        }

        private func isIgnored(_ node: NodeInfo) -> Bool {
            needsAllLabels && wishes.contains { $0.ofNode[node.slot] < 0 }
        }

        /// -1 for nodes that do not count.
        func score(_ node: NodeInfo) -> Int {
            if isIgnored(node) { return -1 }
            var sum = 0.0
            for wish in wishes {
                let domain = Int(wish.ofNode[node.slot])
                if domain < 0 { continue }
                sum += Double(wish.counts[domain]) * wish.weight + Double(wish.constraint.maxSkew - 1)
            }
            return Int(sum.rounded())
        }

        func normalize(_ scores: inout [Int]) {
            var least = Int.max
            var most = 0
            for score in scores where score >= 0 {
                least = min(least, score)
                most = max(most, score)
            }
            for index in scores.indices {
                let score = scores[index]
                if score < 0 {
                    scores[index] = 0
                } else {
                    scores[index] = most == 0 ? 100 : 100 * (most + least - score) / most
                }
            }
        }
    }

    private static let unlabelled = Rejection(
        title, "node(s) didn't match pod topology spread constraints (missing required label)", isUnresolvable: true)
    private static let skewed = Rejection(title, "node(s) didn't match pod topology spread constraints")

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        var constraints = pod.spread
        var isSystem = false
        if constraints.isEmpty {
            constraints = defaults(pod, cluster)
            isSystem = arguments.defaults == nil
        }
        if constraints.isEmpty { return .skip }
        var spread = Spread()
        spread.needsAllLabels = !isSystem
        let requiredKeys = constraints.filter(\.isRequired).map(\.key)
        let wishedKeys = isSystem ? [] : constraints.filter { !$0.isRequired }.map(\.key)
        for constraint in constraints {
            var scope = TallyScope()
            scope.keys = constraint.isRequired ? requiredKeys : wishedKeys
            scope.pod = pod
            scope.honorsAffinity = constraint.honorsAffinity
            scope.honorsTaints = constraint.honorsTaints
            let rule = constraint.rule ?? PodRule(namespaces: [], selectors: [])
            let tally = cluster.count([rule], key: constraint.key, skipsEnding: true, scope: scope)
            let ofNode = cluster.topology(of: tally).ofNode
            if constraint.isRequired {
                spread.required.append(
                    Bound(
                        constraint: constraint, counts: tally.counts, ofNode: ofNode,
                        least: tally.domains < constraint.minDomains ? 0 : tally.least,
                        matchesSelf: rule.matches(pod, cluster.namespaceLabels)))
            } else {
                spread.wishes.append(Wish(constraint: constraint, counts: tally.counts, ofNode: ofNode))
            }
        }
        return .check(spread)
    }

    private func defaults(_ pod: PodInfo, _ cluster: Cluster) -> [SpreadConstraint] {
        guard let rule = companions(of: pod, cluster) else { return [] }
        let wanted =
            arguments.defaults ?? [
                SpreadConstraint(key: "kubernetes.io/hostname", maxSkew: 3, isRequired: false, rule: nil),
                SpreadConstraint(key: "topology.kubernetes.io/zone", maxSkew: 5, isRequired: false, rule: nil),
            ]
        return wanted.map { constraint in
            var constraint = constraint
            constraint.rule = rule
            return constraint
        }
    }

    /// The pods that do the same work as this one.
    private func companions(of pod: PodInfo, _ cluster: Cluster) -> PodRule? {
        if let owner = pod.controllerUID,
            ["ReplicaSet", "StatefulSet", "ReplicationController"].contains(pod.controllerKind)
        {
            return PodRule(namespaces: [pod.namespace], selectors: [], owner: owner)
        }
        if pod.labels.isEmpty { return nil }
        var labels: [String: String] = [:]
        for service in cluster.services.values where service.namespace == pod.namespace && !service.labels.isEmpty {
            guard service.labels.allSatisfy({ pod.labels[$0.key] == $0.value }) else { continue }
            labels.merge(service.labels) { old, _ in old }
        }
        if labels.isEmpty { return nil }
        return PodRule(namespaces: [pod.namespace], selectors: [.init(labels: labels)])
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .nodeAdded(let name):
            return cluster.node(name).map { node in pod.spread.allSatisfy { node.labels[$0.key] != nil } } ?? false
        case .nodeChanged(_, let changes): return !changes.isDisjoint(with: [.labels, .taints])
        case .podPlaced(let other, _), .podRemoved(let other, _): return concerns(other, pod, cluster)
        case .podChanged(let other, let was, _):
            return other.isTerminating != was.isTerminating
                || concerns(other, pod, cluster) != concerns(was, pod, cluster)
        default: return false
        }
    }

    private func concerns(_ other: PodInfo, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        pod.spread.contains { $0.rule?.matches(other, cluster.namespaceLabels) ?? false }
    }
}
