import Basics

/// Why a node is no place for a pod.
struct Rejection: Sendable, Equatable {
    var plugin: String
    /// As Kubernetes words it; one node may have several.
    var reasons: [String]

    init(_ plugin: String, _ reasons: String...) {
        self.plugin = plugin
        self.reasons = reasons
    }

    init(_ plugin: String, reasons: [String]) {
        self.plugin = plugin
        self.reasons = reasons
    }
}

/// One concern of scheduling. Made anew for each pod: `init` looks at the whole cluster once (the framework's
/// pre-filter and pre-score), the others at one node after the other.
protocol Plugin: Sendable {
    static var name: String { get }
    /// How much its score counts.
    static var weight: Int { get }
    /// Nil where the pod does not concern the plug-in.
    init?(_ pod: PodInfo, _ snapshot: Snapshot)
    func filter(_ node: NodeInfo) -> Rejection?
    /// Any number; `normalize` turns all nodes' numbers into 0...100. Nil where the plug-in does not score.
    func score(_ node: NodeInfo) -> Double?
    func normalize(_ scores: [Double]) -> [Double]
}

extension Plugin {
    static var weight: Int { 1 }
    func filter(_ node: NodeInfo) -> Rejection? { nil }
    func score(_ node: NodeInfo) -> Double? { nil }
    func normalize(_ scores: [Double]) -> [Double] { scores }
}

/// Scales so that the largest becomes 100, or, reversed, 0.
func scaledToHundred(_ scores: [Double], reversed: Bool = false) -> [Double] {
    let largest = scores.max() ?? 0
    if largest == 0 { return scores.map { _ in reversed ? 100 : 0 } }
    return scores.map { reversed ? 100 - $0 * 100 / largest : $0 * 100 / largest }
}

enum Decision: Sendable, Equatable {
    case bind(node: String)
    /// `plugins` are those that refused some node; an event that may change their mind wakes the pod.
    case unschedulable(message: String, plugins: Set<String>)
}

/// Chooses a node for a pod: filter, score, take the best.
struct Framework: Sendable {
    static let plugins: [any Plugin.Type] = [
        NodeUnschedulable.self, NodeName.self, TaintToleration.self, NodeAffinity.self, NodePorts.self,
        NodeResourcesFit.self, PodTopologySpread.self, InterPodAffinity.self, BalancedAllocation.self,
        ImageLocality.self,
    ]

    /// Where the search begins, so that large clusters are used evenly although not every node is looked at.
    private var start = 0

    init() {}

    /// - Parameter random: breaks ties between equally good nodes.
    mutating func schedule(_ pod: PodInfo, _ snapshot: Snapshot, random: any Randomness) -> Decision {
        let names = snapshot.names
        if names.isEmpty { return .unschedulable(message: "no nodes available to schedule pods", plugins: []) }
        let plugins = Self.plugins.compactMap { $0.init(pod, snapshot) }
        var rejections: [Rejection] = []
        var feasible: [NodeInfo] = []
        let wanted = Self.enough(of: names.count)
        var looked = 0
        while looked < names.count, feasible.count < wanted {
            guard let node = snapshot.nodes[names[(start + looked) % names.count]] else { break }
            looked += 1
            if let rejection = plugins.lazy.compactMap({ $0.filter(node) }).first {
                rejections.append(rejection)
            } else {
                feasible.append(node)
            }
        }
        start = (start + looked) % names.count
        if feasible.isEmpty {
            return .unschedulable(
                message: Self.message(rejections, nodes: names.count), plugins: Set(rejections.map(\.plugin)))
        }
        if feasible.count == 1 { return .bind(node: feasible[0].name) }
        return .bind(node: Self.best(of: feasible, plugins, random))
    }

    /// All nodes of small clusters; of large ones a share that shrinks with size, never below a hundred.
    static func enough(of count: Int) -> Int {
        if count <= 100 { return count }
        return max(100, count * max(5, 50 - count / 125) / 100)
    }

    private static func best(of nodes: [NodeInfo], _ plugins: [any Plugin], _ random: any Randomness) -> String {
        var totals = [Double](repeating: 0, count: nodes.count)
        for plugin in plugins {
            let scores = nodes.compactMap { plugin.score($0) }
            guard scores.count == nodes.count else { continue }
            let weight = Double(type(of: plugin).weight)
            // Whole points, as scores are compared elsewhere too.
            for (index, score) in plugin.normalize(scores).enumerated() {
                totals[index] += weight * score.rounded(.down)
            }
        }
        let highest = totals.max() ?? 0
        let winners = nodes.indices.filter { totals[$0] == highest }
        return nodes[winners[winners.count == 1 ? 0 : random.below(winners.count)]].name
    }

    static func message(_ rejections: [Rejection], nodes: Int) -> String {
        var counts: [String: Int] = [:]
        for rejection in rejections { for reason in rejection.reasons { counts[reason, default: 0] += 1 } }
        let parts = counts.map { "\($0.value) \($0.key)" }.sorted()
        return "0/\(nodes) nodes are available: \(parts.joined(separator: ", "))."
    }
}
