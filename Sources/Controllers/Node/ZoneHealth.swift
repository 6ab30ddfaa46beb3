import Basics
import Document

/// How fast nodes of a zone may be given up: when many fail at once, the network is likelier to be at fault than they.
struct ZoneHealth: Sendable {
    enum State: Sendable, Equatable {
        case normal
        /// So many are lost that evicting their pods would overload those that are left.
        case partialDisruption
        /// All are lost.
        case fullDisruption
    }

    struct Settings: Sendable {
        /// Nodes given up in a second, in zones that are well and in those that are not.
        var rate = 0.1
        var secondaryRate = 0.01
        /// The share of lost nodes from which on a zone is unwell.
        var unhealthyShare = 0.55
        /// Only zones of more nodes than this go on giving up nodes while they are unwell.
        var largeZone = 50
    }

    private struct Zone {
        var state = State.normal
        var size = 0
        /// The earliest time at which the next node may be given up.
        var next = Duration.zero
    }

    private let settings: Settings
    private var zones: [String: Zone] = [:]
    /// Every zone is lost: rather this control plane is cut off, and gives up nothing.
    private(set) var isCutOff = false
    private var looked: Duration?

    init(_ settings: Settings = Settings()) { self.settings = settings }

    static func zone(of node: Document) -> String {
        let labels = node.labels
        let region = labels["topology.kubernetes.io/region"] ?? ""
        let zone = labels["topology.kubernetes.io/zone"] ?? ""
        return "\(region):\(zone)"
    }

    /// Judges the zones, at most once in a second. Answers whether a time in which all were lost is over.
    mutating func look(at nodes: () -> [Document], now: Duration) -> Bool {
        if let looked, now - looked < .seconds(1) { return false }
        looked = now
        var counts: [String: (ready: Int, lost: Int)] = [:]
        for node in nodes() where node.condition("Ready") != nil {
            let isReady = node.condition("Ready")?.text("status") == "True"
            var count = counts[Self.zone(of: node)] ?? (0, 0)
            if isReady { count.ready += 1 } else { count.lost += 1 }
            counts[Self.zone(of: node)] = count
        }
        zones = zones.filter { counts[$0.key] != nil }
        for (name, count) in counts {
            var zone = zones[name] ?? Zone()
            zone.state = Self.state(ready: count.ready, lost: count.lost, settings)
            zone.size = count.ready + count.lost
            zones[name] = zone
        }
        let wasCutOff = isCutOff
        isCutOff = !zones.isEmpty && zones.values.allSatisfy { $0.state == .fullDisruption }
        return wasCutOff && !isCutOff
    }

    static func state(ready: Int, lost: Int, _ settings: Settings) -> State {
        if ready == 0, lost > 0 { return .fullDisruption }
        if lost > 2, Double(lost) / Double(lost + ready) >= settings.unhealthyShare { return .partialDisruption }
        return .normal
    }

    /// Zero where a node of the zone may be given up now, which then counts; how long to wait otherwise;
    /// nil where it may not be for as long as things are as they are.
    mutating func admit(_ name: String, now: Duration) -> Duration? {
        if isCutOff { return nil }
        var zone = zones[name] ?? Zone()
        var rate = settings.rate
        if zone.state == .partialDisruption {
            if zone.size <= settings.largeZone { return nil }
            rate = settings.secondaryRate
        }
        if zone.next > now { return zone.next - now }
        zone.next = now + .milliseconds(Int(1_000 / rate))
        zones[name] = zone
        return .zero
    }
}
