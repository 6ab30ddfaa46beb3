import Basics

/// Makes room for an important pod: finds the node where the least is lost by driving less important pods out.
struct DefaultPreemption: Rescuer {
    struct Arguments: Sendable {
        /// Of the nodes where it may help, how many are tried: a share, and at least so many.
        var candidatePercentage = 10
        var candidateMinimum = 100
    }

    let name = "DefaultPreemption"
    let arguments: Arguments

    init(_ arguments: Arguments = Arguments()) { self.arguments = arguments }

    struct Candidate {
        var node: String
        /// Most important first.
        var victims: [PodInfo]
        /// How many of them a disruption budget should have protected.
        var violations: Int
    }

    func rescue(
        _ pod: PodInfo, _ diagnosis: Diagnosis, _ framework: inout Framework, _ cluster: inout Cluster,
        random: any Randomness
    ) -> Rescue {
        if let why = Self.ineligibility(pod, diagnosis, cluster) {
            return .nothing("preemption: \(why)", forgetsNomination: false)
        }
        var summary: [String: Int] = [:]
        let hopeful = diagnosis.refusal == nil ? diagnosis.rejections.filter { !$0.rejection.isUnresolvable } : []
        var candidates: [Candidate] = []
        if !hopeful.isEmpty {
            let offset = random.below(hopeful.count)
            let wanted = min(
                hopeful.count, max(hopeful.count * arguments.candidatePercentage / 100, arguments.candidateMinimum))
            var protected = 0
            for index in hopeful.indices {
                let (slot, _) = hopeful[(offset + index) % hopeful.count]
                let node = cluster.nodes[slot]
                switch Self.victims(for: pod, on: node, &framework, &cluster) {
                case .success(let candidate):
                    candidates.append(candidate)
                    if candidate.violations > 0 { protected += 1 }
                case .failure(let why):
                    for reason in why.rejection.reasons { summary[reason, default: 0] += 1 }
                }
                // Enough, and among them one that breaks no promise.
                if candidates.count >= wanted, candidates.count > protected { break }
            }
        }
        if let best = Self.best(of: candidates) {
            return .preempt(node: best.node, victims: best.victims)
        }
        let told = summary.isEmpty ? 0 : hopeful.count
        summary["Preemption is not helpful for scheduling", default: 0] += diagnosis.nodeCount - told
        return .nothing(
            "preemption: 0/\(diagnosis.nodeCount) nodes are available:\(Diagnosis.summary(summary))",
            forgetsNomination: true)
    }

    /// A pod that has driven others out already waits until they are gone.
    private static func ineligibility(_ pod: PodInfo, _ diagnosis: Diagnosis, _ cluster: Cluster) -> String? {
        if pod.neverPreempts { return "not eligible due to preemptionPolicy=Never." }
        guard let name = cluster.nomination(of: pod.key), let node = cluster.node(name) else { return nil }
        let rejection = diagnosis.rejections.first { $0.slot == node.slot }?.rejection
        // It cannot go there any more, whoever leaves.
        if rejection?.isUnresolvable == true || diagnosis.refusal != nil { return nil }
        let waitsForSomeone = node.pods.values.contains {
            $0.priority < pod.priority && $0.isTerminating && Self.isPreempted($0)
        }
        return waitsForSomeone ? "not eligible due to a terminating pod on the nominated node." : nil
    }

    private static func isPreempted(_ pod: PodInfo) -> Bool {
        pod.document.list("status", "conditions").contains {
            $0.text("type") == "DisruptionTarget" && $0.text("status") == "True"
                && $0.text("reason") == "PreemptionByScheduler"
        }
    }

    // MARK: One node

    struct Failure: Error {
        var rejection: Rejection
    }

    /// The fewest pods that must leave the node: all less important ones are taken away, then one after the other
    /// comes back if the pod still fits beside it. The cluster is left as it was.
    static func victims(
        for pod: PodInfo, on node: NodeInfo, _ framework: inout Framework, _ cluster: inout Cluster
    ) -> Result<Candidate, Failure> {
        var lesser = node.pods.values.filter { $0.priority < pod.priority }
        if lesser.isEmpty {
            return .failure(
                Failure(rejection: Rejection("DefaultPreemption", "No preemption victims found for incoming pod")))
        }
        lesser.sort { isMoreImportant($0, $1) }
        let name = node.name
        for other in lesser { cluster.remove(other.key) }
        var away = Set(lesser.map(\.key))
        defer { for other in lesser where away.contains(other.key) { cluster.place(other, on: name) } }
        let waiting = nominated(pod, node, cluster)
        for other in waiting { cluster.place(other, on: name) }
        defer { for other in waiting { cluster.remove(other.key) } }
        var run = framework.prepare(pod, &cluster)
        if let rejection = run.refusal ?? run.rejection(node) { return .failure(Failure(rejection: rejection)) }
        var victims: [PodInfo] = []
        var violations = 0
        let (breaking, free) = split(lesser, cluster)
        for (index, other) in (breaking + free).enumerated() {
            run.filters = []
            run.scorers = []
            cluster.place(other, on: name)
            away.remove(other.key)
            framework.refresh(&run, &cluster)
            if run.rejection(node) == nil { continue }
            run.filters = []
            cluster.remove(other.key)
            away.insert(other.key)
            victims.append(other)
            if index < breaking.count { violations += 1 }
        }
        victims.sort { isMoreImportant($0, $1) }
        return .success(Candidate(node: name, victims: victims, violations: violations))
    }

    private static func nominated(_ pod: PodInfo, _ node: NodeInfo, _ cluster: Cluster) -> [PodInfo] {
        (cluster.nominated[node.slot] ?? [:]).values.filter {
            $0.priority >= pod.priority && $0.key != pod.key && cluster.place(of: $0.key) == nil
        }
    }

    /// Those whose budget has nothing left, and the others.
    private static func split(_ pods: [PodInfo], _ cluster: Cluster) -> (breaking: [PodInfo], free: [PodInfo]) {
        if cluster.budgets.isEmpty { return ([], pods) }
        var left = cluster.budgets.mapValues(\.allowed)
        var (breaking, free): ([PodInfo], [PodInfo]) = ([], [])
        for pod in pods {
            var breaks = false
            for (key, budget) in cluster.budgets
            where budget.namespace == pod.namespace && budget.selector.matches(pod.labels) && !pod.labels.isEmpty {
                // Counted as gone already.
                if budget.disrupted.contains(pod.name) { continue }
                left[key, default: 0] -= 1
                if left[key, default: 0] < 0 { breaks = true }
            }
            if breaks { breaking.append(pod) } else { free.append(pod) }
        }
        return (breaking, free)
    }

    private static func isMoreImportant(_ a: PodInfo, _ b: PodInfo) -> Bool {
        if a.priority != b.priority { return a.priority > b.priority }
        switch (a.started, b.started) {
        case (let first?, let second?) where first != second: return first < second
        case (nil, _?): return false
        case (_?, nil): return true
        default: return a.key < b.key
        }
    }

    // MARK: The best node

    /// Fewest broken budgets; then the least important first victim; then the least sum of importance; then the
    /// fewest victims; then those that have run for the shortest time; then the first found.
    static func best(of candidates: [Candidate]) -> Candidate? {
        if let free = candidates.first(where: \.victims.isEmpty) { return free }
        var left = candidates
        func keepLeast<Value: Comparable>(_ value: (Candidate) -> Value) {
            guard left.count > 1, let least = left.map(value).min() else { return }
            left = left.filter { value($0) == least }
        }
        keepLeast { $0.violations }
        keepLeast { $0.victims.first?.priority ?? Int.min }
        keepLeast { $0.victims.reduce(0) { $0 + $1.priority + 1 << 31 } }
        keepLeast { $0.victims.count }
        // The latest start is the least of its negative.
        keepLeast { candidate -> Int64 in
            let top = candidate.victims.first?.priority ?? 0
            let starts = candidate.victims.filter { $0.priority == top }.compactMap { $0.started?.nanoseconds }
            return -(starts.min() ?? Int64.max)
        }
        return left.first
    }
}
