import Basics
import Document
import Kinds

/// Everything that decisions are made from: nodes with their pods, counts of pods by place, volumes, budgets.
///
/// Every change is made once and in place: a decision costs what it looks at, not what there is.
struct Cluster {
    /// Pods that no rule tells apart.
    struct Group {
        var sample: PodInfo
        var pods = 0
        /// The tallies that count these pods.
        var tallies: [Int] = []
        /// The carried terms of all pods that are about these pods, as of `termsVersion`.
        var concerning: [Int] = []
        var termsVersion: UInt64 = 0
    }

    struct Placement {
        var slot: Int
        var group: Int
        var pod: PodInfo
    }

    private(set) var nodes: [NodeInfo] = []
    private var slots: [String: Int] = [:]
    private var freeSlots: [Int] = []
    /// Slots of the nodes that exist, zones taking turns; nil when it must be made again.
    private var order: [Int]?
    private(set) var nodeCount = 0

    private(set) var topologies: [Topology] = []
    private var topologyNumbers: [String: Int] = [:]

    private(set) var tallies: [Tally?] = []
    private var tallyNumbers: [String: Int] = [:]
    /// The tallies of carried terms, and a number that grows when there are others.
    private var termTallies: Set<Int> = []
    private var termsVersion: UInt64 = 1

    private var groups: [Group] = []
    private var groupNumbers: [Signature: Int] = [:]
    private var freeGroups: [Int] = []

    private var places: [String: Placement] = [:]
    /// By slot, pods that wait for others to leave this node.
    private(set) var nominated: [Int: [String: PodInfo]] = [:]
    private var nominations: [String: Int] = [:]

    private(set) var namespaceLabels: [String: [String: String]] = [:]
    /// On how many nodes each image is.
    private(set) var imageNodes: [String: Int] = [:]
    var services: [String: ServiceSelector] = [:]
    var budgets: [String: DisruptionBudget] = [:]
    var storage = StorageState()
    /// What was kept for pods that are about to be bound.
    var volumePlans: [String: VolumePlan] = [:]
    var decisions: UInt64 = 0

    private static let mostTallies = 1_024

    init() {}

    // MARK: Nodes

    func node(_ name: String) -> NodeInfo? { slots[name].map { nodes[$0] } }

    /// The existing nodes in the order in which they are looked at.
    mutating func nodeOrder() -> [Int] {
        if let order { return order }
        var zones: [String: [NodeInfo]] = [:]
        for node in nodes where node.exists { zones[node.zone, default: []].append(node) }
        let lists = zones.sorted { $0.key < $1.key }.map { $0.value.sorted { $0.name < $1.name } }
        var made: [Int] = []
        made.reserveCapacity(nodeCount)
        var round = 0
        while made.count < nodeCount {
            for list in lists where round < list.count { made.append(list[round].slot) }
            round += 1
        }
        order = made
        return made
    }

    @discardableResult
    mutating func setNode(_ name: String, _ document: Document?) -> NodeInfo.Changes {
        if document == nil, slots[name] == nil { return [] }
        let node = slot(of: name)
        let images = node.images
        let zone = node.zone
        let changes = node.set(document)
        if changes.contains(.existence) { nodeCount += node.exists ? 1 : -1 }
        if changes.contains(.existence) || zone != node.zone { order = nil }
        if !changes.isDisjoint(with: [.labels, .existence]) {
            for index in topologies.indices {
                let value = node.exists ? node.labels[topologies[index].key] : nil
                topologies[index].set(slot: node.slot, value: value)
                // Values of nodes that are long gone are forgotten.
                if topologies[index].count > 4 * nodeCount + 1_024 { renumber(index) }
            }
        }
        if !changes.isDisjoint(with: [.labels, .taints, .existence]) {
            for index in tallies.indices { tallies[index]?.invalidate() }
        }
        if changes.contains(.images) {
            for image in images.keys { imageNodes[image] = imageNodes[image].flatMap { $0 == 1 ? nil : $0 - 1 } }
            for image in node.images.keys { imageNodes[image, default: 0] += 1 }
        }
        if node.isEmpty { release(node) }
        return changes
    }

    private mutating func slot(of name: String) -> NodeInfo {
        if let slot = slots[name] { return nodes[slot] }
        let slot = freeSlots.popLast() ?? nodes.count
        let node = NodeInfo(slot: slot, name: name)
        if slot == nodes.count { nodes.append(node) } else { nodes[slot] = node }
        slots[name] = slot
        for index in topologies.indices { topologies[index].set(slot: slot, value: nil) }
        return node
    }

    private mutating func release(_ node: NodeInfo) {
        slots[node.name] = nil
        freeSlots.append(node.slot)
        // The slot's next owner starts with nothing.
        nodes[node.slot] = NodeInfo(slot: node.slot, name: "")
    }

    // MARK: Pods

    func place(of key: String) -> String? { places[key].map { nodes[$0.slot].name } }
    func placed(_ key: String) -> PodInfo? { places[key]?.pod }
    var podCount: Int { places.count }

    /// Counts the pod on `node`, and no longer where it was before.
    mutating func place(_ pod: PodInfo, on name: String) {
        remove(pod.key)
        let node = slot(of: name)
        let group = group(of: pod)
        node.add(pod, group: group)
        groups[group].pods += 1
        places[pod.key] = Placement(slot: node.slot, group: group, pod: pod)
        storage.use(pod, 1)
        bump(group, pod, node.slot, 1)
    }

    mutating func remove(_ key: String) {
        guard let place = places.removeValue(forKey: key) else { return }
        let node = nodes[place.slot]
        node.remove(place.pod, group: place.group)
        storage.use(place.pod, -1)
        bump(place.group, place.pod, place.slot, -1)
        groups[place.group].pods -= 1
        if groups[place.group].pods == 0 { dissolve(place.group) }
        if node.isEmpty { release(node) }
    }

    private mutating func bump(_ group: Int, _ pod: PodInfo, _ slot: Int, _ change: Int32) {
        for number in groups[group].tallies {
            if pod.isTerminating, tallies[number]?.subject.skipsEnding == true { continue }
            guard let topology = tallies[number]?.topology else { continue }
            tallies[number]?.bump(slot: slot, change, topologies[topology])
        }
    }

    // MARK: Nominations

    mutating func nominate(_ pod: PodInfo, on name: String) {
        denominate(pod.key)
        guard let slot = slots[name] else { return }
        nominated[slot, default: [:]][pod.key] = pod
        nominations[pod.key] = slot
    }

    mutating func denominate(_ key: String) {
        guard let slot = nominations.removeValue(forKey: key) else { return }
        nominated[slot]?[key] = nil
        if nominated[slot]?.isEmpty == true { nominated[slot] = nil }
    }

    func nomination(of key: String) -> String? { nominations[key].map { nodes[$0].name } }

    // MARK: Groups

    private mutating func group(of pod: PodInfo) -> Int {
        if let number = groupNumbers[pod.groupSignature] { return number }
        let number = freeGroups.popLast() ?? groups.count
        if number == groups.count { groups.append(Group(sample: pod)) } else { groups[number] = Group(sample: pod) }
        groupNumbers[pod.groupSignature] = number
        for (index, tally) in tallies.enumerated() {
            guard let tally, case .matching(let rules, _) = tally.subject else { continue }
            if rules.allSatisfy({ $0.matches(pod, namespaceLabels) }) { join(number, index) }
        }
        for (kind, terms) in [
            (CarriedTerm.Kind.near, pod.near), (.far, pod.far), (.preferredNear, pod.preferredNear),
            (.preferredFar, pod.preferredFar),
        ] {
            for term in terms {
                guard let rule = term.rule else { continue }
                let weight = kind == .near || kind == .far ? 1 : term.weight
                let carried = CarriedTerm(kind: kind, topologyKey: term.topologyKey, weight: weight, rule: rule)
                let tally = self.tally(.carrying(carried), key: term.topologyKey, TallyScope())
                join(number, tally)
            }
        }
        return number
    }

    private mutating func join(_ group: Int, _ tally: Int) {
        if tallies[tally]?.members.insert(group).inserted == true { groups[group].tallies.append(tally) }
    }

    private mutating func dissolve(_ group: Int) {
        for tally in groups[group].tallies {
            tallies[tally]?.members.remove(group)
            // A term that nobody carries any more concerns nobody.
            if termTallies.contains(tally), tallies[tally]?.members.isEmpty == true { drop(tally) }
        }
        groupNumbers[groups[group].sample.groupSignature] = nil
        groups[group].tallies = []
        freeGroups.append(group)
    }

    mutating func setNamespace(_ name: String, labels: [String: String]?) -> Bool {
        if namespaceLabels[name] == labels { return false }
        namespaceLabels[name] = labels
        termsVersion += 1
        // Rules that select namespaces may match other pods now: only groups of this namespace can have changed.
        for group in groups.indices where groups[group].pods > 0 && groups[group].sample.namespace == name {
            for (index, tally) in tallies.enumerated() {
                guard let tally, case .matching(let rules, _) = tally.subject else { continue }
                let isMember = rules.allSatisfy { $0.matches(groups[group].sample, namespaceLabels) }
                if isMember == tally.members.contains(group) { continue }
                if isMember {
                    join(group, index)
                } else {
                    tallies[index]?.members.remove(group)
                    groups[group].tallies.removeAll { $0 == index }
                }
                tallies[index]?.invalidate()
            }
        }
        return true
    }

    // MARK: Counts

    func topology(of tally: Tally) -> Topology { topologies[tally.topology] }

    /// The current count of what matches `rules`.
    mutating func count(
        _ rules: [PodRule], key: String, skipsEnding: Bool = false, scope: TallyScope = TallyScope()
    ) -> Tally {
        let number = tally(.matching(rules, skipsEnding: skipsEnding), key: key, scope)
        return current(number)
    }

    /// The counts of the terms that other pods carry about this pod.
    mutating func terms(about pod: PodInfo) -> [(term: CarriedTerm, tally: Tally)] {
        if termTallies.isEmpty { return [] }
        let numbers: [Int]
        if let group = groupNumbers[pod.groupSignature] {
            if groups[group].termsVersion != termsVersion {
                groups[group].concerning = concerning(pod)
                groups[group].termsVersion = termsVersion
            }
            numbers = groups[group].concerning
        } else {
            numbers = concerning(pod)
        }
        var found: [(CarriedTerm, Tally)] = []
        for number in numbers {
            let tally = current(number)
            if tally.total > 0, case .carrying(let term) = tally.subject { found.append((term, tally)) }
        }
        return found
    }

    private func concerning(_ pod: PodInfo) -> [Int] {
        termTallies.sorted().filter { number in
            guard case .carrying(let term) = tallies[number]?.subject else { return false }
            return term.rule.matches(pod, namespaceLabels)
        }
    }

    private mutating func current(_ number: Int) -> Tally {
        guard var tally = tallies[number] else {
            return Tally(subject: .matching([], skipsEnding: false), topology: 0, scope: TallyScope())
        }
        if tally.isStale {
            tally.recount(nodes, topologies[tally.topology])
        }
        tally.used = decisions
        tallies[number] = tally
        return tally
    }

    private mutating func topology(_ key: String) -> Int {
        if let number = topologyNumbers[key] { return number }
        topologies.append(Topology(key: key))
        topologyNumbers[key] = topologies.count - 1
        renumber(topologies.count - 1)
        return topologies.count - 1
    }

    private mutating func renumber(_ index: Int) {
        let key = topologies[index].key
        topologies[index] = Topology(key: key)
        for node in nodes { topologies[index].set(slot: node.slot, value: node.exists ? node.labels[key] : nil) }
    }

    private mutating func tally(_ subject: TallySubject, key: String, _ scope: TallyScope) -> Int {
        let identity = "\(key)\n\(subject.identity)\n\(scope.identity)"
        if let number = tallyNumbers[identity] { return number }
        if tallyNumbers.count >= Self.mostTallies { dropOldest() }
        let number = tallies.firstIndex { $0 == nil } ?? tallies.count
        let tally = Tally(subject: subject, topology: topology(key), scope: scope)
        if number == tallies.count { tallies.append(tally) } else { tallies[number] = tally }
        tallyNumbers[identity] = number
        switch subject {
        case .carrying:
            termTallies.insert(number)
            termsVersion += 1
        case .matching(let rules, _):
            for group in groups.indices where groups[group].pods > 0 {
                if rules.allSatisfy({ $0.matches(groups[group].sample, namespaceLabels) }) { join(group, number) }
            }
        }
        return number
    }

    private mutating func drop(_ number: Int) {
        guard let tally = tallies[number] else { return }
        for group in tally.members { groups[group].tallies.removeAll { $0 == number } }
        tallyNumbers["\(topologies[tally.topology].key)\n\(tally.subject.identity)\n\(tally.scope.identity)"] = nil
        if termTallies.remove(number) != nil { termsVersion += 1 }
        tallies[number] = nil
    }

    /// Of the counts that can be made again, the one that was not used for the longest time.
    private mutating func dropOldest() {
        let oldest = tallies.indices.filter { tallies[$0] != nil && !termTallies.contains($0) }
            .min { (tallies[$0]?.used ?? 0) < (tallies[$1]?.used ?? 0) }
        if let oldest { drop(oldest) }
    }
}

/// A service's way of finding pods, for spreading pods that have no controller.
struct ServiceSelector: Sendable {
    var namespace: String
    var labels: [String: String]
}

struct DisruptionBudget: Sendable {
    var namespace: String
    var selector: LabelSelector
    var allowed: Int
    /// Pods that are being evicted under this budget already.
    var disrupted: Set<String>

    /// Nil where it selects nothing.
    init?(_ document: Document) {
        guard let written = document.at("spec", "selector"), let selector = LabelSelector(written), !selector.isEmpty
        else { return nil }
        namespace = document.text("metadata", "namespace") ?? ""
        self.selector = selector
        allowed = document.number("status", "disruptionsAllowed") ?? 0
        disrupted = Set(document.at("status", "disruptedPods")?.members.map(\.key) ?? [])
    }
}
