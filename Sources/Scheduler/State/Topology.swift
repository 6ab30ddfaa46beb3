/// The values of one node label, numbered, so that counts by value are plain arrays.
struct Topology: Sendable {
    let key: String
    private var numbers: [String: Int32] = [:]
    /// By node slot; -1 where the node is not there or has no such label.
    private(set) var ofNode: [Int32] = []
    /// How many values have ever been numbered.
    var count: Int { numbers.count }

    init(key: String) { self.key = key }

    mutating func set(slot: Int, value: String?) {
        while ofNode.count <= slot { ofNode.append(-1) }
        guard let value else {
            ofNode[slot] = -1
            return
        }
        if let number = numbers[value] {
            ofNode[slot] = number
        } else {
            ofNode[slot] = Int32(numbers.count)
            numbers[value] = Int32(numbers.count)
        }
    }
}

/// What one count counts: pods that a rule matches, or pods that carry a term about others.
enum TallySubject: Sendable {
    /// Pods that match all of the rules; `skipsEnding` leaves out pods that are being deleted.
    case matching([PodRule], skipsEnding: Bool)
    case carrying(CarriedTerm)

    var identity: String {
        switch self {
        case .matching(let rules, let skipsEnding):
            rules.map(\.identity).joined(separator: "|") + (skipsEnding ? "!" : "")
        case .carrying(let term): term.identity
        }
    }

    var skipsEnding: Bool { if case .matching(_, true) = self { true } else { false } }
}

/// A wish about other pods that pods on nodes have.
struct CarriedTerm: Sendable {
    enum Kind: String, Sendable { case near, far, preferredNear, preferredFar }

    var kind: Kind
    var topologyKey: String
    var weight: Int
    var rule: PodRule

    var identity: String { "\(kind.rawValue) \(weight) \(topologyKey) \(rule.identity)" }
}

/// Which nodes' pods count.
struct TallyScope: Sendable {
    /// Labels that a node must have.
    var keys: [String] = []
    /// Whose node affinity and tolerations a node must satisfy, and which of the two.
    var pod: PodInfo?
    var honorsAffinity = false
    var honorsTaints = false

    var identity: String {
        guard let pod, honorsAffinity || honorsTaints else { return keys.joined(separator: ",") }
        var text = keys.joined(separator: ",")
        if honorsAffinity {
            text += ";affinity"
            text += pod.nodeSelector.sorted { $0.key < $1.key }.map { ";\($0.key)=\($0.value)" }.joined()
            if pod.nodeSelection != nil {
                text += pod.document.at("spec", "affinity", "nodeAffinity")?.jsonText ?? ""
            }
        }
        if honorsTaints { text += ";taints" + (pod.document.at("spec", "tolerations")?.jsonText ?? "") }
        return text
    }

    func includes(_ node: NodeInfo) -> Bool {
        guard node.exists, keys.allSatisfy({ node.labels[$0] != nil }) else { return false }
        guard let pod else { return true }
        if honorsAffinity, !NodeAffinity.allows(pod, node) { return false }
        if honorsTaints, node.taints.contains(where: { $0.keepsAway && !pod.tolerations.cover($0) }) { return false }
        return true
    }
}

/// Pods counted by the values of a node label, kept current as pods come and go.
struct Tally: Sendable {
    let subject: TallySubject
    let topology: Int
    let scope: TallyScope
    /// The groups of pods that count.
    var members: Set<Int> = []
    private(set) var counts: [Int32] = []
    private(set) var total = 0
    /// How many values any counting node has.
    private(set) var domains = 0
    /// Recounted before the next use, after nodes have changed.
    private(set) var isStale = true
    /// When it was last used, in decisions.
    var used: UInt64 = 0

    private var counting: [Bool] = []
    private var isDomain: [Bool] = []
    /// How many values have each count.
    private var histogram: [Int32] = []
    private var leastSeen = 0

    init(subject: TallySubject, topology: Int, scope: TallyScope) {
        self.subject = subject
        self.topology = topology
        self.scope = scope
    }

    mutating func invalidate() { isStale = true }

    /// The smallest count; the largest number there is where no node counts.
    var least: Int { domains == 0 ? Int.max / 2 : leastSeen }

    mutating func bump(slot: Int, _ change: Int32, _ topology: Topology) {
        if isStale || slot >= counting.count || !counting[slot] { return }
        let domain = Int(topology.ofNode[slot])
        guard domain >= 0 else { return }
        let before = Int(counts[domain])
        counts[domain] += change
        total += Int(change)
        let after = Int(counts[domain])
        histogram[before] -= 1
        while histogram.count <= after { histogram.append(0) }
        histogram[after] += 1
        if after < leastSeen { leastSeen = after }
        raiseLeast()
    }

    private mutating func raiseLeast() {
        while leastSeen + 1 < histogram.count, histogram[leastSeen] == 0 { leastSeen += 1 }
    }

    mutating func recount(_ nodes: [NodeInfo], _ topology: Topology) {
        counts = Array(repeating: 0, count: topology.count)
        isDomain = Array(repeating: false, count: topology.count)
        counting = Array(repeating: false, count: nodes.count)
        (total, domains) = (0, 0)
        for node in nodes where scope.includes(node) {
            let domain = Int(topology.ofNode[node.slot])
            guard domain >= 0 else { continue }
            counting[node.slot] = true
            if !isDomain[domain] {
                isDomain[domain] = true
                domains += 1
            }
            for (group, pods) in node.groups where members.contains(group) {
                let count = pods.live + (subject.skipsEnding ? 0 : pods.ending)
                counts[domain] += count
                total += Int(count)
            }
        }
        histogram = [0]
        for (domain, count) in counts.enumerated() where isDomain[domain] {
            while histogram.count <= Int(count) { histogram.append(0) }
            histogram[Int(count)] += 1
        }
        leastSeen = 0
        raiseLeast()
        isStale = false
    }
}
