/// What node-scoped plug-ins say about every node for pods of one signature, kept as long as the node stays the same.
///
/// Pods of one workload are alike, and binding one changes one node: the next decision asks the plug-ins about that
/// node alone and reads the others' answers from here.
final class VerdictTable {
    struct Verdict {
        var version: UInt64 = 0
        /// Into `rejections`; -1 where the pod fits.
        var rejection: Int32 = -1
        /// The weighted sum of the scores that need no comparison with other nodes.
        var points: Int32 = 0
    }

    struct Scorer {
        var check: any Check
        var weight: Int
    }

    let filters: [any Check]
    let plain: [Scorer]
    /// Scores that mean something only beside other nodes' scores.
    let compared: [Scorer]
    /// What image scores were worked out from; others are worked out anew.
    var imageNodes: [Int] = []
    private(set) var rejections: [Rejection] = []
    private var verdicts: [Verdict] = []
    /// The scores of `compared`, by slot.
    private var raw: [Int32] = []
    var used: UInt64 = 0
    /// How often an answer was found here, and how often a plug-in was asked.
    private(set) var hits = 0
    private(set) var misses = 0

    init(filters: [any Check], plain: [Scorer], compared: [Scorer]) {
        self.filters = filters
        self.plain = plain
        self.compared = compared
    }

    func verdict(_ node: NodeInfo) -> Verdict {
        if node.slot >= verdicts.count {
            let missing = node.slot + 1 - verdicts.count
            verdicts.append(contentsOf: repeatElement(Verdict(), count: missing))
            raw.append(contentsOf: repeatElement(0, count: verdicts.count * compared.count - raw.count))
        }
        let known = verdicts[node.slot]
        if known.version == node.version {
            hits += 1
            return known
        }
        misses += 1
        let made = judge(node)
        verdicts[node.slot] = made
        return made
    }

    func raw(_ node: NodeInfo, _ index: Int) -> Int { Int(raw[node.slot * compared.count + index]) }

    private func judge(_ node: NodeInfo) -> Verdict {
        var verdict = Verdict(version: node.version)
        for check in filters {
            guard let rejection = check.filter(node) else { continue }
            verdict.rejection = number(of: rejection)
            return verdict
        }
        var points = 0
        for scorer in plain { points += scorer.weight * scorer.check.score(node) }
        verdict.points = Int32(clamping: points)
        for (index, scorer) in compared.enumerated() {
            raw[node.slot * compared.count + index] = Int32(clamping: scorer.check.score(node))
        }
        return verdict
    }

    private func number(of rejection: Rejection) -> Int32 {
        if let index = rejections.firstIndex(of: rejection) { return Int32(index) }
        rejections.append(rejection)
        return Int32(rejections.count - 1)
    }
}
