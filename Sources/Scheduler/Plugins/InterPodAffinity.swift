/// Pods that want to be near, or not near, other pods; "near" means the same value of a node label.
struct InterPodAffinity: Plugin {
    static let name = "InterPodAffinity"
    static let weight = 2

    private struct Place: Hashable {
        var key: String
        var value: String
    }

    private let affinity: [AffinityTerm]
    private let antiAffinity: [AffinityTerm]
    /// For each of the pod's terms, the places where a pod matches.
    private var near: [Set<Place>]
    private var far: [Set<Place>]
    /// Places that other pods keep this one away from.
    private var forbidden: Set<Place> = []
    private var preference: [Place: Double] = [:]
    /// Whether the pod matches all its own affinity terms: the first of a group may then go anywhere.
    private let matchesSelf: Bool

    init?(_ pod: PodInfo, _ snapshot: Snapshot) {
        affinity = pod.requiredAffinity
        antiAffinity = pod.requiredAntiAffinity
        near = Array(repeating: [], count: affinity.count)
        far = Array(repeating: [], count: antiAffinity.count)
        let namespaces = snapshot.namespaceLabels
        matchesSelf = affinity.allSatisfy { $0.matches(pod, namespaceLabels: namespaces) }
        let wishes =
            pod.preferredTerms("podAffinity").map { ($0.term, Double($0.weight)) }
            + pod.preferredTerms("podAntiAffinity").map { ($0.term, -Double($0.weight)) }
        let concernsOthers = !affinity.isEmpty || !antiAffinity.isEmpty || !wishes.isEmpty
        for name in snapshot.names {
            guard let node = snapshot.nodes[name] else { continue }
            func place(_ term: AffinityTerm) -> Place? {
                node.labels[term.topologyKey].map { Place(key: term.topologyKey, value: $0) }
            }
            for key in node.withAffinity {
                guard let other = node.pods[key] else { continue }
                for term in other.requiredAntiAffinity where term.matches(pod, namespaceLabels: namespaces) {
                    if let place = place(term) { forbidden.insert(place) }
                }
                let theirs =
                    other.preferredTerms("podAffinity").map { ($0.term, Double($0.weight)) }
                    + other.preferredTerms("podAntiAffinity").map { ($0.term, -Double($0.weight)) }
                    + other.requiredAffinity.map { ($0, 1) }
                for (term, weight) in theirs where term.matches(pod, namespaceLabels: namespaces) {
                    if let place = place(term) { preference[place, default: 0] += weight }
                }
            }
            guard concernsOthers else { continue }
            for other in node.pods.values {
                for (index, term) in affinity.enumerated() where term.matches(other, namespaceLabels: namespaces) {
                    if let place = place(term) { near[index].insert(place) }
                }
                for (index, term) in antiAffinity.enumerated() where term.matches(other, namespaceLabels: namespaces) {
                    if let place = place(term) { far[index].insert(place) }
                }
                for (term, weight) in wishes where term.matches(other, namespaceLabels: namespaces) {
                    if let place = place(term) { preference[place, default: 0] += weight }
                }
            }
        }
        if !concernsOthers, forbidden.isEmpty, preference.isEmpty { return nil }
    }

    func filter(_ node: NodeInfo) -> Rejection? {
        func isAt(_ places: Set<Place>, _ term: AffinityTerm) -> Bool {
            node.labels[term.topologyKey].map { places.contains(Place(key: term.topologyKey, value: $0)) } ?? false
        }
        let nobodyMatches = near.allSatisfy(\.isEmpty)
        let isFirst = nobodyMatches && matchesSelf && affinity.allSatisfy { node.labels[$0.topologyKey] != nil }
        if !isFirst, !zip(near, affinity).allSatisfy({ isAt($0, $1) }) {
            return Rejection(Self.name, "node(s) didn't match pod affinity rules")
        }
        if zip(far, antiAffinity).contains(where: { isAt($0, $1) }) {
            return Rejection(Self.name, "node(s) didn't match pod anti-affinity rules")
        }
        if forbidden.contains(where: { node.labels[$0.key] == $0.value }) {
            return Rejection(Self.name, "node(s) didn't satisfy existing pods anti-affinity rules")
        }
        return nil
    }

    func score(_ node: NodeInfo) -> Double? {
        if preference.isEmpty { return nil }
        return preference.reduce(0) { $0 + (node.labels[$1.key.key] == $1.key.value ? $1.value : 0) }
    }

    func normalize(_ scores: [Double]) -> [Double] {
        let (least, most) = (scores.min() ?? 0, scores.max() ?? 0)
        return scores.map { most > least ? 100 * ($0 - least) / (most - least) : 0 }
    }
}
