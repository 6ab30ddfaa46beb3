/// Every request must fit in what the node's other pods leave; among those that fit, the emptiest is best.
struct NodeResourcesFit: Plugin {
    static let name = "NodeResourcesFit"
    private let pod: PodInfo

    init?(_ pod: PodInfo, _ snapshot: Snapshot) { self.pod = pod }

    func filter(_ node: NodeInfo) -> Rejection? {
        var reasons: [String] = []
        if node.pods.count + 1 > node.allocatable["pods"] { reasons.append("Too many pods") }
        for (name, amount) in pod.requests.amounts.sorted(by: { $0.key < $1.key }) where amount > 0 {
            if amount > node.allocatable[name] - node.requested[name] { reasons.append("Insufficient \(name)") }
        }
        return reasons.isEmpty ? nil : Rejection(Self.name, reasons: reasons)
    }

    func score(_ node: NodeInfo) -> Double? {
        let shares = ["cpu", "memory"].compactMap { name -> Double? in
            let total = node.allocatable[name]
            guard total > 0 else { return nil }
            let left = max(0, total - node.scoredRequested[name] - pod.scoredRequests[name])
            return (Double(left) * 100 / Double(total)).rounded(.down)
        }
        return shares.isEmpty ? 0 : shares.reduce(0, +) / Double(shares.count)
    }
}

/// Prefers nodes whose resources would be used in equal measure.
struct BalancedAllocation: Plugin {
    static let name = "NodeResourcesBalancedAllocation"
    private let pod: PodInfo

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        // A pod that asks for nothing balances everywhere alike.
        if pod.requests.amounts.isEmpty { return nil }
        self.pod = pod
    }

    func score(_ node: NodeInfo) -> Double? {
        let used = ["cpu", "memory"].compactMap { name -> Double? in
            let total = node.allocatable[name]
            guard total > 0 else { return nil }
            return min(1, Double(node.requested[name] + pod.requests[name]) / Double(total))
        }
        guard used.count == 2 else { return 100 }
        return (1 - abs(used[0] - used[1]) / 2) * 100
    }
}
