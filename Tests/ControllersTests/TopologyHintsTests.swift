import Basics
import Client
import Document
import Testing

@testable import Controllers

@Suite struct TopologyHintsTests {
    private static func node(_ name: String, zone: String?, cpu: String = "4", more: Document = [:]) -> Document {
        let base: Document = [
            "metadata": ["name": Document(name), "labels": [:]],
            "status": ["allocatable": ["cpu": Document(cpu)], "conditions": [["type": "Ready", "status": "True"]]],
        ]
        var node = base.applyingMergePatch(more)
        if let zone { node.set(Document(zone), at: "metadata", "labels", "topology.kubernetes.io/zone") }
        return node
    }

    private static func endpoint(_ zone: String?, ready: Bool = true) -> Document {
        var endpoint: Document = ["conditions": ["ready": Document(ready)]]
        if let zone { endpoint["zone"] = Document(zone) }
        return endpoint
    }

    /// `aab`: three endpoints, for zones a, a and b; `-` has none.
    private static func hints(_ outcome: TopologyHints.Outcome) -> [String]? {
        guard case .spread(let groups) = outcome else { return nil }
        return groups.map { group in
            group.map { $0.list("hints", "forZones").first?.text("name") ?? "-" }.joined()
        }
    }

    private static func spread(_ zones: String..., shares: [String: Double]) -> [String]? {
        let groups = zones.map { $0.map { endpoint($0 == "-" ? nil : String($0)) } }
        return hints(TopologyHints.spread(groups, ZoneShares(shares)))
    }

    @Test func everyZoneGetsItsShare() {
        #expect(Self.spread("aabb", shares: ["a": 1, "b": 1]) == ["aabb"])
        // The last of those that are too many serves the other zone.
        #expect(Self.spread("aaab", shares: ["a": 1, "b": 1]) == ["aabb"])
        #expect(Self.spread("aaaa", shares: ["a": 1, "b": 1]) == ["aabb"])
        #expect(Self.spread("aaaaaa", "bbb", shares: ["a": 1, "b": 2]) == ["aaabbb", "bbb"])
        // Three endpoints for shares of one and a half each leave one zone with two.
        #expect(Self.spread("abc", "abc", shares: ["a": 1, "b": 1, "c": 1]) == ["abc", "abc"])
    }

    @Test func aZoneWithoutNodesGivesAllThatItHas() {
        #expect(Self.spread("zzab", shares: ["a": 1, "b": 1]).map { Set($0[0]) } == ["a", "b"])
    }

    @Test func whatIsNotReadyServesNobodyAndCountsForNothing() {
        let groups = [[Self.endpoint("a"), Self.endpoint("b", ready: false), Self.endpoint("b")]]
        #expect(Self.hints(TopologyHints.spread(groups, ZoneShares(["a": 1, "b": 1]))) == ["a-b"])
    }

    @Test func withoutEnoughToGoByThereAreNoHints() {
        #expect(Self.spread("a", shares: ["a": 1, "b": 1]) == nil)
        #expect(Self.spread("ab-", shares: ["a": 1, "b": 1]) == nil)
        // One zone would get so much less than its share that it is overloaded.
        #expect(Self.spread("abc", shares: ["a": 10, "b": 1, "c": 1]) == nil)
        #expect(Self.hints(TopologyHints.spread([[Self.endpoint("a")]], nil)) == nil)
    }

    @Test func sharesCountNodesThatServe() {
        let nodes = [
            Self.node("one", zone: "a"), Self.node("two", zone: "b", cpu: "12"),
            Self.node(
                "control", zone: nil, more: ["metadata": ["labels": ["node-role.kubernetes.io/control-plane": ""]]]),
            Self.node("ill", zone: nil, more: ["status": ["conditions": [["type": "Ready", "status": "Unknown"]]]]),
        ]
        #expect(ZoneShares(nodes)?.parts == ["a": 0.25, "b": 0.75])
        #expect(ZoneShares(nodes + [Self.node("three", zone: nil)]) == nil)
        #expect(ZoneShares([nodes[0]]) == nil)
        #expect(ZoneShares.differ(nodes[0], nodes[1]))
        #expect(ZoneShares.differ(nil, nodes[1]))
        var touched = nodes[0]
        touched.set("later", at: "metadata", "annotations", "heartbeat")
        #expect(!ZoneShares.differ(nodes[0], touched))
    }

    private struct Case: Sendable {
        var annotations: Document = [:]
        var spec: Document = [:]
        var zones: String
    }

    private static let cases = [
        Case(annotations: ["service.kubernetes.io/topology-mode": "Auto"], zones: "aabb"),
        Case(
            annotations: ["service.kubernetes.io/topology-aware-hints": "auto"],
            spec: ["trafficDistribution": "PreferClose"], zones: "aabb"),
        Case(spec: ["trafficDistribution": "PreferSameZone"], zones: "aaab"),
        Case(zones: "----"),
        Case(annotations: ["service.kubernetes.io/topology-mode": "Disabled"], zones: "----"),
    ]

    @Test(arguments: cases.indices)
    func slicesCarryTheHints(number: Int) {
        let (annotations, spec, expected) = (
            Self.cases[number].annotations, Self.cases[number].spec, Self.cases[number].zones
        )
        let base: Document = ["selector": ["app": "web"], "ipFamilies": ["IPv4"], "ports": [["port": 80]]]
        let service: Document = [
            "metadata": ["name": "web", "namespace": "default", "uid": "s", "annotations": annotations],
            "spec": base.applyingMergePatch(spec),
        ]
        let pods = ["n1", "n1", "n1", "n2"].enumerated().map { index, node -> Document in
            [
                "metadata": ["name": Document("p\(index)"), "namespace": "default", "uid": Document("p\(index)")],
                "spec": ["nodeName": Document(node), "containers": [["name": "main"]]],
                "status": [
                    "phase": "Running", "podIPs": [["ip": Document("10.0.0.\(index + 1)")]],
                    "conditions": [["type": "Ready", "status": "True"]],
                ],
            ]
        }
        let plan = EndpointSlicePlan.plan(
            service, pods: pods, slices: [], zones: ["n1": "a", "n2": "b"], shares: ZoneShares(["a": 1, "b": 1]))
        let slice = plan.actions.lazy.compactMap { action -> Document? in
            if case .create(_, let slice, _) = action { slice } else { nil }
        }.first
        let zones = (slice?.list("endpoints") ?? []).map { $0.list("hints", "forZones").first?.text("name") ?? "-" }
        #expect(zones.joined() == expected)
        let told = plan.actions.contains { action in
            if case .event(_, _, "TopologyAwareHintsEnabled", _) = action { true } else { false }
        }
        #expect(told == (expected == "aabb"))
    }
}

@Suite struct LegacyTokenTests {
    private static let now = Timestamp(rfc3339: "2026-06-10T12:00:00Z")!
    private static let patience = Duration.seconds(10 * 86_400)

    private static func secret(created: String, used: String? = nil, invalid: String? = nil) -> Document {
        var labels = Document.emptyObject
        if let used { labels[LegacyTokenCleaner.lastUsed] = Document(used) }
        if let invalid { labels[LegacyTokenCleaner.invalidSince] = Document(invalid) }
        return [
            "metadata": [
                "name": "t", "namespace": "default", "uid": "u", "labels": labels,
                "creationTimestamp": Document("\(created)T00:00:00Z"),
            ]
        ]
    }

    private enum Fate: Sendable { case stays, isMarked, goes }

    @Test func whoIsUnusedIsMarkedAndThenRemoved() {
        func fate(_ secret: Document) -> Fate {
            switch LegacyTokenCleaner.action(secret, patience: Self.patience, now: Self.now) {
            case nil: return .stays
            case .patch(_, _, _, let patch, _):
                let day = patch.text("metadata", "labels", LegacyTokenCleaner.invalidSince)
                return day == "2026-06-10" ? .isMarked : .stays
            case .delete: return .goes
            default: return .stays
            }
        }
        #expect(fate(Self.secret(created: "2026-06-09")) == .stays)
        #expect(fate(Self.secret(created: "2026-05-01")) == .isMarked)
        #expect(fate(Self.secret(created: "2026-05-01", used: "2026-06-05")) == .stays)
        #expect(fate(Self.secret(created: "2026-05-01", used: "2026-05-20")) == .isMarked)
        #expect(fate(Self.secret(created: "2026-05-01", invalid: "2026-06-05")) == .stays)
        #expect(fate(Self.secret(created: "2026-05-01", invalid: "2026-05-20")) == .goes)
        // Someone used it after it had been marked: the mark was taken away for that, and counts no longer.
        #expect(fate(Self.secret(created: "2026-04-01", used: "2026-05-20", invalid: "2026-05-10")) == .isMarked)
        #expect(fate(Self.secret(created: "2026-05-01", invalid: "garbage")) == .isMarked)
    }
}

@Suite struct TerminatingReplicasTests {
    private static func status(_ counts: [Int?]) -> Document? {
        let deployment: Document = [
            "metadata": ["name": "web", "namespace": "default", "uid": "d", "generation": 1],
            "spec": [
                "replicas": 1, "selector": ["matchLabels": ["app": "web"]],
                "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": []]],
            ],
        ]
        let sets = counts.enumerated().map { index, count -> Document in
            var set: Document = [
                "metadata": ["name": Document("web-\(index)"), "namespace": "default", "uid": Document("s\(index)")],
                "spec": ["replicas": 0, "template": ["metadata": [:], "spec": ["version": Document(index)]]],
                "status": ["replicas": 0],
            ]
            if let count { set.set(Document(count), at: "status", "terminatingReplicas") }
            return set
        }
        let situation = Situation(now: Timestamp(seconds: 1_800_000_000))
        let state = DeploymentState(deployment, sets: sets)
        var status = DeploymentStatus(state, situation)
        var plan = Plan()
        status.report(state, &plan)
        guard case .patch(_, _, _, let patch, _)? = plan.finally.first else { return nil }
        return patch["status"]
    }

    @Test func podsOnTheirWayOutAreSummedUp() {
        #expect(Self.status([1, 2])?.number("terminatingReplicas") == 3)
        #expect(Self.status([0])?.number("terminatingReplicas") == 0)
        // Where one of the sets does not tell, nobody knows.
        #expect(Self.status([1, nil])?["terminatingReplicas"] == nil)
        #expect(Self.status([])?["terminatingReplicas"] == nil)
    }
}
