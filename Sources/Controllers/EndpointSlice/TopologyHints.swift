import Document
import Kinds
import Schema

/// What each zone has of the cluster's processors.
struct ZoneShares: Equatable {
    let parts: [String: Double]

    /// Nil where not every node that counts has a zone and says how many processors it has, or where there are fewer
    /// than two zones: then nothing can be given out by shares. Nodes that are not ready do not count, nor those that
    /// services keep away from.
    init?(_ nodes: [Document]) {
        var sums: [String: Double] = [:]
        for node in nodes where Self.counts(node) {
            guard let zone = Self.zone(of: node), let cpu = Self.cpu(of: node), cpu > 0 else { return nil }
            sums[zone, default: 0] += cpu
        }
        guard sums.count > 1 else { return nil }
        self.init(sums)
    }

    init(_ sums: [String: Double]) {
        let total = sums.values.reduce(0, +)
        parts = sums.mapValues { $0 / total }
    }

    /// Whether a change of a node says something new to those who read zones and shares.
    static func differ(_ old: Document?, _ new: Document?) -> Bool {
        guard let old, let new else { return true }
        return zone(of: old) != zone(of: new) || counts(old) != counts(new) || cpu(of: old) != cpu(of: new)
    }

    private static func zone(of node: Document) -> String? {
        node.labels["topology.kubernetes.io/zone"].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func cpu(of node: Document) -> Double? {
        node.at("status", "allocatable", "cpu")?.string.flatMap { Quantity($0) }.map { Double($0.milliValue) }
    }

    private static func counts(_ node: Document) -> Bool {
        let labels = node.labels
        if labels["node-role.kubernetes.io/control-plane"] != nil || labels["node-role.kubernetes.io/master"] != nil {
            return false
        }
        return node.condition("Ready")?.text("status") == "True"
    }
}

/// Tells for each ready endpoint which zone is to use it, so that each zone's clients find in their own zone about as
/// many endpoints as their zone has processors: what the annotation `topology-mode: Auto` asks for.
enum TopologyHints {
    private static let annotations = [
        "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints",
    ]
    /// A zone may be served by so much less than its share before the hints do more harm than good.
    private static let overload = 0.2
    /// Shares are fractions, and what should be a whole number may fall short of it by less than this.
    private static let slip = 1e-9

    enum Outcome: Equatable {
        /// The endpoints as they came, group by group, with their hints.
        case spread([[Document]])
        /// Why there can be no hints.
        case impossible(String)
    }

    static func isWanted(by service: Document) -> Bool {
        let given = annotations.lazy.compactMap { service.annotations[$0] }.first
        return given == "Auto" || given == "auto"
    }

    static func dependsOnZones(_ service: Document) -> Bool {
        isWanted(by: service) || service.text("spec", "trafficDistribution") != nil
    }

    static func spread(_ groups: [[Document]], _ shares: ZoneShares?) -> Outcome {
        guard let shares else {
            return .impossible(
                "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")
        }
        let ready = groups.joined().filter(isReady)
        if ready.count < shares.parts.count {
            return .impossible(
                "Insufficient number of endpoints (\(ready.count)), impossible to safely allocate proportionally")
        }
        guard ready.allSatisfy({ ($0.text("zone") ?? "").isEmpty == false }) else {
            return .impossible("One or more endpoints do not have a zone specified")
        }
        guard var moves = moves(ready, shares) else {
            return .impossible("Minimum allocation required exceeds the number of endpoints")
        }
        // From the back, so that the endpoints that are there longest keep their zone.
        var hinted = groups
        for group in hinted.indices.reversed() {
            for index in hinted[group].indices.reversed() where isReady(hinted[group][index]) {
                let own = hinted[group][index].text("zone") ?? ""
                let zone = moves[own]?.popLast() ?? own
                hinted[group][index]["hints"] = ["forZones": [["name": Document(zone)]]]
            }
        }
        return .spread(hinted)
    }

    private static func isReady(_ endpoint: Document) -> Bool { endpoint.flag("conditions", "ready") == true }

    /// For each zone with more endpoints than its share, the zones to which it gives of them. Nil where shares cannot
    /// be met without overloading a zone.
    private static func moves(_ ready: [Document], _ shares: ZoneShares) -> [String: [String]]? {
        var present: [String: Int] = [:]
        for endpoint in ready { present[endpoint.text("zone") ?? "", default: 0] += 1 }
        let count = Double(ready.count)
        let least = shares.parts.values.reduce(0) { $0 + ($1 * count / (1 + overload) - slip).rounded(.up) }
        if least > count { return nil }
        var giving: [(zone: String, count: Int)] = []
        var wanting: [(zone: String, lack: Double)] = []
        for zone in Set(shares.parts.keys).union(present.keys).sorted() {
            let surplus = Double(present[zone] ?? 0) - (shares.parts[zone] ?? 0) * count + slip
            // A zone without nodes that count has no clients: it gives all.
            if surplus >= 1 {
                giving.append((zone, Int(surplus)))
            } else if surplus < 0 {
                wanting.append((zone, -surplus))
            }
        }
        var moves: [String: [String]] = [:]
        for entry in giving.sorted(by: { ($1.count, $0.zone) < ($0.count, $1.zone) }) {
            for _ in 0..<entry.count {
                guard let most = wanting.indices.max(by: { (wanting[$0].lack, $1) < (wanting[$1].lack, $0) }),
                    wanting[most].lack > 2 * slip
                else { break }
                moves[entry.zone, default: []].append(wanting[most].zone)
                wanting[most].lack -= 1
            }
        }
        return moves
    }

    /// Told when it changes, not with each round.
    static func events(_ service: Document, _ family: String, _ outcome: Outcome, _ slices: [Document]) -> [Action] {
        let had = slices.contains { slice in
            slice.text("addressType") == family
                && slice.list("endpoints").contains { $0.at("hints", "forZones") != nil }
        }
        switch outcome {
        case .spread(let groups):
            if had || groups.allSatisfy(\.isEmpty) { return [] }
            return [
                .event(
                    service, .normal, reason: "TopologyAwareHintsEnabled",
                    message: "Topology Aware Hints has been enabled, addressType: \(family)")
            ]
        case .impossible(let why):
            if !had { return [] }
            return [
                .event(
                    service, .warning, reason: "TopologyAwareHintsDisabled",
                    message: "\(why), addressType: \(family)")
            ]
        }
    }
}
