/// Pods that want to be near, or not near, other pods; "near" means the same value of a node label.
struct InterPodAffinity: Plugin {
    struct Arguments: Sendable {
        /// What it counts, for a pod's score, that pods on a node require its company.
        var hardWeight = 1
        var ignoresOthersPreferences = false
    }

    private static let title = "InterPodAffinity"
    let name = title
    let defaultWeight = 2
    let arguments: Arguments

    init(_ arguments: Arguments = Arguments()) { self.arguments = arguments }

    private struct Count {
        let counts: [Int32]
        let ofNode: [Int32]

        /// Nil where the node has no such label.
        func callAsFunction(_ node: NodeInfo) -> Int? {
            let domain = Int(ofNode[node.slot])
            return domain < 0 ? nil : Int(counts[domain])
        }
    }

    private struct Company: Check {
        var near: [Count] = []
        var far: [Count] = []
        /// Where other pods keep this one away from.
        var forbidden: [Count] = []
        var preference: [(count: Count, weight: Int)] = []
        /// The first of a group that wants to be together may go anywhere.
        var isFirst = false

        var scores: Bool { !preference.isEmpty }

        func filter(_ node: NodeInfo) -> Rejection? {
            for count in near {
                guard let pods = count(node) else { return InterPodAffinity.lonely }
                if pods <= 0, !isFirst { return InterPodAffinity.lonely }
            }
            for count in far { if let pods = count(node), pods > 0 { return InterPodAffinity.crowded } }
            for count in forbidden { if let pods = count(node), pods > 0 { return InterPodAffinity.unwanted } }
            return nil
        }

        var bounds: [CountBound]? {
            near.map { CountBound(counts: $0.counts, ofNode: $0.ofNode, least: isFirst ? .min : 1) }
                + (far + forbidden).map {
                    CountBound(counts: $0.counts, ofNode: $0.ofNode, most: 0, admitsUncounted: true)
                }
        }

        func score(_ node: NodeInfo) -> Int {
            preference.reduce(0) { $0 + $1.weight * ($1.count(node) ?? 0) }
        }

        func normalize(_ scores: inout [Int]) {
            let (least, most) = (scores.min() ?? 0, scores.max() ?? 0)
            for index in scores.indices {
                let share = most > least ? Double(scores[index] - least) / Double(most - least) : 0
                scores[index] = Int(100 * share)
            }
        }
    }

    private static let lonely = Rejection(title, "node(s) didn't match pod affinity rules", isUnresolvable: true)
    private static let crowded = Rejection(title, "node(s) didn't match pod anti-affinity rules")
    private static let unwanted = Rejection(title, "node(s) didn't satisfy existing pods anti-affinity rules")
    /// Of a term without a selector.
    private static let nobody = PodRule(namespaces: [], selectors: [])

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        let others = cluster.terms(about: pod)
        if others.isEmpty, !pod.hasAffinity { return .skip }
        var company = Company()
        func count(_ tally: Tally) -> Count {
            Count(counts: tally.counts, ofNode: cluster.topology(of: tally).ofNode)
        }
        if !pod.near.isEmpty {
            // A pod is company only if it matches all of the terms.
            let rules = pod.near.map { $0.rule ?? Self.nobody }
            var total = 0
            for term in pod.near {
                let tally = cluster.count(rules, key: term.topologyKey)
                total += tally.total
                company.near.append(count(tally))
            }
            company.isFirst = total == 0 && rules.allSatisfy { $0.matches(pod, cluster.namespaceLabels) }
        }
        for term in pod.far {
            guard let rule = term.rule else { continue }
            company.far.append(count(cluster.count([rule], key: term.topologyKey)))
        }
        for (term, tally) in others {
            switch term.kind {
            case .far: company.forbidden.append(count(tally))
            case .near where arguments.hardWeight > 0:
                company.preference.append((count(tally), arguments.hardWeight))
            case .near: break
            case .preferredNear, .preferredFar:
                if arguments.ignoresOthersPreferences, pod.preferredNear.isEmpty, pod.preferredFar.isEmpty { break }
                company.preference.append((count(tally), term.kind == .preferredNear ? term.weight : -term.weight))
            }
        }
        for (terms, sign) in [(pod.preferredNear, 1), (pod.preferredFar, -1)] {
            for term in terms {
                guard let rule = term.rule else { continue }
                company.preference.append(
                    (count(cluster.count([rule], key: term.topologyKey)), sign * term.weight))
            }
        }
        return .check(company)
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .nodeAdded, .namespaceChanged: return true
        case .nodeChanged(_, let changes): return changes.contains(.labels)
        case .podPlaced(let other, _): return attracts(other, pod, cluster)
        case .podRemoved(let other, _): return repels(other, pod, cluster)
        case .podChanged(let other, let was, _):
            return other.labels != was.labels && (attracts(other, pod, cluster) || repels(was, pod, cluster))
        default: return false
        }
    }

    private func attracts(_ other: PodInfo, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        pod.near.contains { $0.rule?.matches(other, cluster.namespaceLabels) ?? false }
    }

    private func repels(_ other: PodInfo, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        pod.far.contains { $0.rule?.matches(other, cluster.namespaceLabels) ?? false }
            || other.far.contains { $0.rule?.matches(pod, cluster.namespaceLabels) ?? false }
    }
}
