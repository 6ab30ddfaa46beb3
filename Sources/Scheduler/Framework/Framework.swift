import Basics

/// Chooses a node for a pod as one profile has it: filter, score, take the best.
struct Framework {
    let profile: Profile
    /// Where the search begins, so that large clusters are used evenly although not every node is looked at.
    private var start = 0
    private var tables: [Signature: VerdictTable] = [:]
    private var clock: UInt64 = 0
    private let nodeScoped: [any Plugin]
    private let clusterScoped: [any Plugin]

    /// Signatures whose verdicts are kept. At 5,000 nodes each takes 100 kB.
    private static let mostTables = 64
    /// Fewer nodes than this are asked about without keeping the answers.
    private static let fewNodes = 8

    init(_ profile: Profile) {
        self.profile = profile
        nodeScoped = profile.plugins.filter { $0.scope == .node }
        clusterScoped = profile.plugins.filter { $0.scope == .cluster }
    }

    /// A pod's checks, ready to be asked about nodes.
    struct Run {
        let pod: PodInfo
        let table: VerdictTable
        /// Of plug-ins that look beyond the node; to be made anew whenever a pod was moved.
        var filters: [any Check] = []
        var scorers: [(check: any Check, weight: Int)] = []
        var refusal: Rejection?
        var only: Set<String>?
        var namingPlugins: [String] = []

        func rejection(_ node: NodeInfo) -> Rejection? {
            let verdict = table.verdict(node)
            if verdict.rejection >= 0 { return table.rejections[Int(verdict.rejection)] }
            for check in filters { if let rejection = check.filter(node) { return rejection } }
            return nil
        }
    }

    /// - Parameter random: breaks ties between equally good nodes.
    mutating func schedule(_ pod: PodInfo, _ cluster: inout Cluster, random: any Randomness) -> Decision {
        cluster.decisions += 1
        var diagnosis = Diagnosis()
        diagnosis.nodeCount = cluster.nodeCount
        if cluster.nodeCount == 0 { return .unschedulable(diagnosis) }
        var run = prepare(pod, &cluster)
        if let refusal = run.refusal {
            diagnosis.refusal = refusal
            return .unschedulable(diagnosis)
        }
        if let name = cluster.nomination(of: pod.key), let node = cluster.node(name), node.exists,
            run.only?.contains(name) ?? true, fits(pod, node, &run, &cluster) == nil
        {
            return .bind(node: name)
        }
        let feasible = search(pod, &run, &cluster, &diagnosis)
        switch feasible.count {
        case 0: return .unschedulable(diagnosis)
        case 1: return .bind(node: feasible[0].name)
        default: return .bind(node: Self.best(of: feasible, &run, random))
        }
    }

    /// The nodes that can take the pod, as many as are enough; the others' reasons go to `diagnosis`.
    private mutating func search(
        _ pod: PodInfo, _ run: inout Run, _ cluster: inout Cluster, _ diagnosis: inout Diagnosis
    ) -> [NodeInfo] {
        var feasible: [NodeInfo] = []
        if let only = run.only {
            diagnosis.namingPlugins = run.namingPlugins
            let nodes = only.sorted().compactMap { cluster.node($0) }.filter(\.exists)
            diagnosis.unnamedNodes = cluster.nodeCount - nodes.count
            for node in nodes {
                if let rejection = fits(pod, node, &run, &cluster) {
                    diagnosis.rejections.append((node.slot, rejection))
                } else {
                    feasible.append(node)
                }
            }
            return feasible
        }
        let order = cluster.nodeOrder()
        let wanted = enough(of: order.count)
        if start >= order.count { start = 0 }
        // Waiting pods make nodes differ from what was counted.
        if cluster.nominated.isEmpty {
            feasible = takers(run, cluster, order, wanted)
            // Reasons matter only where nobody takes the pod: then all nodes are asked again for theirs.
            if !feasible.isEmpty { return feasible }
        }
        var looked = 0
        var position = start
        while looked < order.count, feasible.count < wanted {
            let node = cluster.nodes[order[position]]
            looked += 1
            position += 1
            if position == order.count { position = 0 }
            if let rejection = fits(pod, node, &run, &cluster) {
                diagnosis.rejections.append((node.slot, rejection))
            } else {
                feasible.append(node)
            }
        }
        start = position
        return feasible
    }

    /// The nodes that can take the pod, as many as are wanted, without a word about those that cannot.
    private mutating func takers(_ run: Run, _ cluster: Cluster, _ order: [Int], _ wanted: Int) -> [NodeInfo] {
        var bounds: [CountBound] = []
        var others: [any Check] = []
        for check in run.filters { if let own = check.bounds { bounds += own } else { others.append(check) } }
        var found: [NodeInfo] = []
        found.reserveCapacity(wanted)
        var position = start
        for _ in order.indices {
            let slot = order[position]
            position += 1
            if position == order.count { position = 0 }
            guard bounds.allSatisfy({ $0.admits(slot) }) else { continue }
            let node = cluster.nodes[slot]
            guard run.table.verdict(node).rejection < 0, others.allSatisfy({ $0.filter(node) == nil }) else { continue }
            found.append(node)
            if found.count == wanted { break }
        }
        start = position
        return found
    }

    /// Pods that wait for others to leave the node have its room already, if they are at least as important. But a
    /// node must also do without them: what the pod needs may be they, and they may not come.
    private func fits(
        _ pod: PodInfo, _ node: NodeInfo, _ run: inout Run, _ cluster: inout Cluster
    ) -> Rejection? {
        if cluster.nominated.isEmpty { return run.rejection(node) }
        let waiting = (cluster.nominated[node.slot] ?? [:]).values.filter {
            $0.priority >= pod.priority && $0.key != pod.key && cluster.place(of: $0.key) == nil
        }
        if waiting.isEmpty { return run.rejection(node) }
        for other in waiting { cluster.place(other, on: node.name) }
        refresh(&run, &cluster)
        let rejection = run.rejection(node)
        run.filters = []
        for other in waiting { cluster.remove(other.key) }
        refresh(&run, &cluster)
        return rejection ?? run.rejection(node)
    }

    /// All nodes of small clusters; of large ones a share that shrinks with size, never below a hundred.
    func enough(of count: Int) -> Int {
        if count <= 100 { return count }
        let percentage = profile.percentageOfNodes ?? max(5, 50 - count / 125)
        return percentage >= 100 ? count : max(100, count * percentage / 100)
    }

    // MARK: Preparing

    mutating func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Run {
        var run = Run(pod: pod, table: table(pod, &cluster))
        askAll(&run, &cluster, nodeScoped, keepsChecks: false)
        if run.refusal == nil { askAll(&run, &cluster, clusterScoped, keepsChecks: true) }
        return run
    }

    /// Makes the checks anew that looked at the cluster before pods were moved about in it.
    func refresh(_ run: inout Run, _ cluster: inout Cluster) {
        run.filters = []
        run.scorers = []
        askAll(&run, &cluster, clusterScoped, keepsChecks: true)
    }

    private func askAll(_ run: inout Run, _ cluster: inout Cluster, _ plugins: [any Plugin], keepsChecks: Bool) {
        for plugin in plugins where profile.isEnabled(plugin.name, at: .preFilter) {
            // A node-scoped plug-in has its checks in the table; only what it says of the pod is asked for.
            if !keepsChecks, !plugin.namesNodes(run.pod) { continue }
            switch plugin.prepare(run.pod, &cluster) {
            case .skip: continue
            case .refuse(let rejection):
                run.refusal = rejection
                return
            case .check(let check, let only):
                if let only {
                    run.only = run.only?.intersection(only) ?? only
                    if !run.namingPlugins.contains(plugin.name) { run.namingPlugins.append(plugin.name) }
                }
                guard keepsChecks else { continue }
                if profile.filters(plugin) { run.filters.append(check) }
                let weight = profile.weight(of: plugin)
                if check.scores, weight > 0 { run.scorers.append((check, weight)) }
            }
        }
    }

    private mutating func table(_ pod: PodInfo, _ cluster: inout Cluster) -> VerdictTable {
        clock += 1
        let table: VerdictTable
        if let known = tables[pod.nodeSignature] {
            table = known
        } else {
            table = make(pod, &cluster)
            // A pod that names its node has no second one like it.
            if pod.nodeSelection?.names.map({ $0.count > Self.fewNodes }) ?? true, pod.nodeName.isEmpty {
                if tables.count >= Self.mostTables,
                    let oldest = tables.min(by: { $0.value.used < $1.value.used })?.key
                {
                    tables[oldest] = nil
                }
                tables[pod.nodeSignature] = table
            }
        }
        table.used = clock
        let spread = pod.images.map { cluster.imageNodes[ImageLocality.normalized($0)] ?? 0 } + [cluster.nodeCount]
        if spread.dropLast().contains(where: { $0 > 0 }) || !table.imageNodes.isEmpty {
            if table.imageNodes != spread {
                table.imageNodes = spread
                tables[pod.nodeSignature] = nil
                return remade(pod, table, &cluster)
            }
        }
        return table
    }

    /// Image scores depend on how many nodes have the image.
    private mutating func remade(_ pod: PodInfo, _ old: VerdictTable, _ cluster: inout Cluster) -> VerdictTable {
        let table = make(pod, &cluster)
        table.imageNodes = old.imageNodes
        table.used = old.used
        tables[pod.nodeSignature] = table
        return table
    }

    private func make(_ pod: PodInfo, _ cluster: inout Cluster) -> VerdictTable {
        var filters: [any Check] = []
        var plain: [VerdictTable.Scorer] = []
        var compared: [VerdictTable.Scorer] = []
        for plugin in nodeScoped where profile.isEnabled(plugin.name, at: .preFilter) {
            guard case .check(let check, _) = plugin.prepare(pod, &cluster) else { continue }
            if profile.filters(plugin) { filters.append(check) }
            let weight = profile.weight(of: plugin)
            guard check.scores, weight > 0 else { continue }
            let scorer = VerdictTable.Scorer(check: check, weight: weight)
            if plugin.normalizes { compared.append(scorer) } else { plain.append(scorer) }
        }
        return VerdictTable(filters: filters, plain: plain, compared: compared)
    }

    // MARK: Choosing

    private static func best(of nodes: [NodeInfo], _ run: inout Run, _ random: any Randomness) -> String {
        let table = run.table
        var totals = nodes.map { Int(table.verdict($0).points) }
        var scores = [Int](repeating: 0, count: nodes.count)
        for (number, scorer) in table.compared.enumerated() {
            for (index, node) in nodes.enumerated() { scores[index] = table.raw(node, number) }
            scorer.check.normalize(&scores)
            for index in totals.indices { totals[index] += scorer.weight * scores[index] }
        }
        for number in run.scorers.indices {
            run.scorers[number].check.begin(nodes)
            let (check, weight) = run.scorers[number]
            guard check.scores else { continue }
            for (index, node) in nodes.enumerated() { scores[index] = check.score(node) }
            check.normalize(&scores)
            for index in totals.indices { totals[index] += weight * scores[index] }
        }
        let highest = totals.max() ?? 0
        let winners = totals.indices.filter { totals[$0] == highest }
        return nodes[winners[winners.count == 1 ? 0 : random.below(winners.count)]].name
    }
}
