import Document

/// Every request must fit in what the node's other pods leave; a strategy says which of those that fit are best.
struct NodeResourcesFit: Plugin {
    enum Strategy: Sendable, Equatable {
        case leastAllocated
        case mostAllocated
        /// Points by percentage used, from 0 to 10, straight lines between.
        case ratio([(used: Int, points: Int)])

        static func == (a: Strategy, b: Strategy) -> Bool {
            switch (a, b) {
            case (.leastAllocated, .leastAllocated), (.mostAllocated, .mostAllocated): true
            case (.ratio(let a), .ratio(let b)): a.elementsEqual(b, by: ==)
            default: false
            }
        }
    }

    struct Arguments: Sendable {
        var strategy = Strategy.leastAllocated
        /// Which resources count for the score, and how much.
        var weights = ["cpu": 1, "memory": 1]
        /// Extended resources that someone else looks after.
        var ignored: Set<String> = []
        var ignoredGroups: Set<String> = []

        func ignores(_ name: String) -> Bool {
            if ignored.contains(name) { return true }
            guard !ignoredGroups.isEmpty, let slash = name.firstIndex(of: "/") else { return false }
            return ignoredGroups.contains(String(name[..<slash]))
        }
    }

    let name = "NodeResourcesFit"
    let scope = PluginScope.node
    let arguments: Arguments

    init(_ arguments: Arguments = Arguments()) { self.arguments = arguments }

    private struct Fit: Check {
        let request: Resources
        let other: [(name: String, amount: Int)]
        let scored: Resources
        let strategy: Strategy
        let weights: [(name: String, weight: Int)]
        let scores = true

        func filter(_ node: NodeInfo) -> Rejection? {
            var reasons: [String] = []
            var isHopeless = false
            if node.pods.count + 1 > node.allowedPods { reasons.append("Too many pods") }
            func need(_ name: String, _ amount: Int, _ all: Int, _ used: Int) {
                if amount <= 0 || amount <= all - used { return }
                reasons.append("Insufficient \(name)")
                if amount > all { isHopeless = true }
            }
            need("cpu", request.cpu, node.allocatable.cpu, node.requested.cpu)
            need("memory", request.memory, node.allocatable.memory, node.requested.memory)
            need("ephemeral-storage", request.storage, node.allocatable.storage, node.requested.storage)
            for (name, amount) in other { need(name, amount, node.allocatable[name], node.requested[name]) }
            if reasons.isEmpty { return nil }
            return Rejection("NodeResourcesFit", reasons: reasons, isUnresolvable: isHopeless)
        }

        func score(_ node: NodeInfo) -> Int {
            var sum = 0
            var weightSum = 0
            for (name, weight) in weights {
                let all = node.allocatable[name]
                let wanted = scored[name]
                // An extended resource that the pod does not ask for is no matter.
                if all == 0 || (wanted == 0 && !["cpu", "memory", "ephemeral-storage"].contains(name)) { continue }
                let used = node.scored[name] + wanted
                switch strategy {
                case .leastAllocated: sum += weight * (used > all ? 0 : (all - used) * 100 / all)
                case .mostAllocated: sum += weight * min(used, all) * 100 / all
                case .ratio(let shape):
                    let points = Self.interpolate(shape, at: used > all ? 100 : used * 100 / all)
                    if points <= 0 { continue }
                    sum += weight * points
                }
                weightSum += weight
            }
            if weightSum == 0 { return 0 }
            if case .ratio = strategy { return (2 * sum + weightSum) / (2 * weightSum) }
            return sum / weightSum
        }

        /// The shape's points reach 10, scores 100.
        private static func interpolate(_ shape: [(used: Int, points: Int)], at used: Int) -> Int {
            guard let first = shape.first, let last = shape.last else { return 0 }
            if used <= first.used { return first.points * 10 }
            for (before, after) in zip(shape, shape.dropFirst()) where used < after.used {
                return
                    (before.points + (after.points - before.points) * (used - before.used) / (after.used - before.used))
                    * 10
            }
            return last.points * 10
        }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        let request = pod.requests.exact
        let other = request.other.filter { !arguments.ignores($0.key) }.sorted { $0.key < $1.key }
        return .check(
            Fit(
                request: request, other: other.map { ($0.key, $0.value) }, scored: pod.requests.scored,
                strategy: arguments.strategy,
                weights: arguments.weights.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        let name: String
        var leavesRoom = false
        switch event {
        case .nodeAdded(let node): name = node
        case .nodeChanged(let node, let changes) where changes.contains(.resources): name = node
        case .podRemoved(_, let node):
            name = node
            leavesRoom = true
        case .podChanged(let pod, let old, let node) where pod.requests != old.requests:
            name = node
            leavesRoom = true
        default: return false
        }
        guard let node = cluster.node(name), node.exists else { return false }
        let request = pod.requests.exact
        // Where others could be driven out, what counts is the node's size, not what is free on it now.
        let used = leavesRoom || pod.neverPreempts ? node.requested : Resources()
        if leavesRoom, node.pods.count + 1 > node.allowedPods { return false }
        return request.cpu <= node.allocatable.cpu - used.cpu
            && request.memory <= node.allocatable.memory - used.memory
            && request.storage <= node.allocatable.storage - used.storage
            && request.other.allSatisfy {
                arguments.ignores($0.key) || $0.value <= node.allocatable[$0.key] - used[$0.key]
            }
    }
}

/// Prefers nodes whose resources would be used in equal measure.
struct BalancedAllocation: Plugin {
    let name = "NodeResourcesBalancedAllocation"
    let scope = PluginScope.node
    let resources: [String: Int]

    init(resources: [String: Int] = ["cpu": 1, "memory": 1]) { self.resources = resources }

    private struct Balance: Check {
        let request: Resources
        let names: [String]
        let scores = true

        func score(_ node: NodeInfo) -> Int {
            var sum = 0.0
            var squares = 0.0
            var count = 0.0
            for name in names {
                let all = node.allocatable[name]
                let wanted = request[name]
                if all == 0 || (wanted == 0 && !["cpu", "memory", "ephemeral-storage"].contains(name)) { continue }
                let share = min(1, Double(node.requested[name] + wanted) / Double(all))
                sum += share
                squares += share * share
                count += 1
            }
            if count == 0 { return 100 }
            let mean = sum / count
            let deviation = max(0, squares / count - mean * mean).squareRoot()
            return Int((1 - deviation) * 100)
        }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        // A pod that asks for nothing balances everywhere alike.
        if resources.keys.allSatisfy({ pod.requests.exact[$0] == 0 }) { return .skip }
        return .check(Balance(request: pod.requests.exact, names: resources.keys.sorted()))
    }
}
