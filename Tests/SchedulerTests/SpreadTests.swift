import Document
import Testing

@testable import Scheduler

@Suite struct AffinityTests {
    private func term(_ app: String, _ key: String, _ extra: Document = [:]) -> Document {
        (["labelSelector": ["matchLabels": ["app": Document(app)]], "topologyKey": Document(key)] as Document)
            .applyingMergePatch(extra)
    }

    private func affinity(_ kind: String, _ term: Document) -> Document {
        ["affinity": [kind: ["requiredDuringSchedulingIgnoredDuringExecution": [term]]]]
    }

    private let host = "kubernetes.io/hostname"
    private let zone = "topology.kubernetes.io/zone"

    @Test func drawsAndKeepsAway() {
        var cluster = makeCluster(count: 4)
        cluster.place(pod("db", labels: ["app": "db"]), on: "n2")
        #expect(decide(pod("web", spec: affinity("podAffinity", term("db", host))), &cluster) == "n2")
        let far = affinity("podAntiAffinity", term("db", zone))
        #expect(["n1", "n3"].contains(decide(pod("web", spec: far), &cluster)))
    }

    @Test func whatIsThereKeepsOthersAway() {
        var cluster = makeCluster(count: 1)
        let far = affinity("podAntiAffinity", term("db", zone))
        cluster.place(pod("db", labels: ["app": "db"], spec: far), on: "n1")
        #expect(
            decide(pod("db2", labels: ["app": "db"]), &cluster)
                == "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.")
        cluster.remove("default/db")
        #expect(decide(pod("db2", labels: ["app": "db"]), &cluster) == "n1")
    }

    @Test func firstOfAGroupMayGoAnywhere() {
        var cluster = makeCluster(count: 1)
        let own = affinity("podAffinity", term("web", host))
        #expect(decide(pod("web", labels: ["app": "web"], spec: own), &cluster) == "n1")
        #expect(
            decide(pod("web", labels: ["app": "other"], spec: own), &cluster)
                == "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.")
    }

    @Test func namespacesAreChosenByNameOrLabel() {
        var cluster = makeCluster(count: 2)
        _ = cluster.setNamespace("default", labels: ["team": "a"])
        _ = cluster.setNamespace("other", labels: ["team": "b"])
        cluster.place(
            PodInfo(podDocument("db", labels: ["app": "db"], namespace: "other")), on: "n2")
        let refusal = "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."
        func with(_ extra: Document) -> PodInfo { pod("w", spec: affinity("podAffinity", term("db", host, extra))) }
        #expect(decide(with([:]), &cluster) == refusal)
        #expect(decide(with(["namespaces": ["other"]]), &cluster) == "n2")
        #expect(decide(with(["namespaceSelector": ["matchLabels": ["team": "b"]]]), &cluster) == "n2")
        #expect(decide(with(["namespaceSelector": [:]]), &cluster) == "n2")
        // The same question after the namespace has become another's.
        _ = cluster.setNamespace("other", labels: ["team": "c"])
        #expect(decide(with(["namespaceSelector": ["matchLabels": ["team": "b"]]]), &cluster) == refusal)
    }

    @Test func labelKeysJoinTheSelector() {
        var cluster = makeCluster(count: 2)
        cluster.place(pod("old", labels: ["app": "web", "rev": "1"]), on: "n1")
        cluster.place(pod("new", labels: ["app": "web", "rev": "2"]), on: "n2")
        let same = affinity("podAffinity", term("web", host, ["matchLabelKeys": ["rev"]]))
        #expect(decide(pod("w", labels: ["app": "x", "rev": "2"], spec: same), &cluster) == "n2")
        let others = affinity("podAffinity", term("web", host, ["mismatchLabelKeys": ["rev"]]))
        #expect(decide(pod("w", labels: ["app": "x", "rev": "2"], spec: others), &cluster) == "n1")
    }

    @Test func preferencesOfBothSidesCount() {
        func preferred(_ kind: String) -> Document {
            [
                "affinity": [
                    kind: [
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            ["weight": 100, "podAffinityTerm": term("db", host)]
                        ]
                    ]
                ]
            ]
        }
        var cluster = makeCluster(count: 2, zone: { _ in "z" })
        cluster.place(pod("db", labels: ["app": "db"]), on: "n1")
        #expect(decide(pod("a", spec: preferred("podAffinity")), &cluster) == "n1")
        #expect(decide(pod("a", spec: preferred("podAntiAffinity")), &cluster) == "n2")
        // A pod that wishes a db near it draws one, though the db has no wish.
        var other = makeCluster(count: 2, zone: { _ in "z" })
        other.place(pod("web", spec: preferred("podAffinity")), on: "n1")
        #expect(decide(pod("db", labels: ["app": "db"]), &other) == "n1")
    }
}

@Suite struct SpreadTests {
    private func spread(_ extra: Document = [:]) -> Document {
        [
            "topologySpreadConstraints": [
                ([
                    "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["app": "web"]],
                ] as Document).applyingMergePatch(extra)
            ]
        ]
    }

    private func web(_ name: String, _ spec: Document = [:], _ more: [String: String] = [:]) -> PodInfo {
        pod(name, labels: ["app": "web"].merging(more) { $1 }, spec: spec)
    }

    @Test func requiredSpreadLimitsTheSkew() {
        var cluster = makeCluster(count: 2)
        cluster.place(web("a"), on: "n1")
        #expect(decide(web("b", spread()), &cluster) == "n2")
        _ = cluster.setNode("n2", nodeDocument("n2", cpu: "0", zone: "z0"))
        #expect(
            decide(web("b", spread()), &cluster)
                == "0/2 nodes are available: 1 Insufficient cpu, "
                + "1 node(s) didn't match pod topology spread constraints.")
        _ = cluster.setNode("n2", nil)
        #expect(decide(web("b", spread()), &cluster) == "n1")
    }

    @Test func nodesWithoutTheLabelAreOut() {
        var cluster = makeCluster(["n1": ["metadata": ["labels": ["topology.kubernetes.io/zone": .null]]]], count: 1)
        #expect(
            decide(web("b", spread()), &cluster)
                == "0/1 nodes are available: "
                + "1 node(s) didn't match pod topology spread constraints (missing required label).")
    }

    @Test func fewerDomainsThanWantedCountAsEmpty() {
        var cluster = makeCluster(count: 1)
        cluster.place(web("a"), on: "n1")
        #expect(decide(web("b", spread()), &cluster) == "n1")
        #expect(decide(web("b", spread(["minDomains": 2])), &cluster) != "n1")
    }

    @Test func policiesSayWhichNodesCount() {
        let taints: Document = ["spec": ["taints": [["key": "k", "effect": "NoSchedule"]]]]
        var cluster = makeCluster(["n2": taints], count: 2)
        cluster.place(web("a"), on: "n1")
        // The tainted node's zone is empty and asks for the pod, but the pod cannot go there.
        #expect(decide(web("b", spread()), &cluster) != "n1")
        #expect(decide(web("b", spread(["nodeTaintsPolicy": "Honor"])), &cluster) == "n1")
        var chosen = spread()
        chosen["nodeSelector"] = ["kubernetes.io/hostname": "n1"]
        #expect(decide(web("b", chosen), &cluster) == "n1")
        var ignoring = spread(["nodeAffinityPolicy": "Ignore"])
        ignoring["nodeSelector"] = ["kubernetes.io/hostname": "n1"]
        #expect(decide(web("b", ignoring), &cluster) != "n1")
    }

    @Test func endingPodsDoNotCount() {
        var cluster = makeCluster(count: 2)
        let ending = podDocument("a", labels: ["app": "web"])
            .applyingMergePatch(["metadata": ["deletionTimestamp": "2026-01-01T00:00:00Z"]])
        cluster.place(web("a"), on: "n1")
        #expect(decide(web("b", spread()), &cluster) == "n2")
        cluster.place(PodInfo(ending), on: "n1")
        cluster.place(pod("other"), on: "n2")
        #expect(Set((1...20).map { decide(web("b", spread()), &cluster, seed: $0) }) == ["n1", "n2"])
    }

    @Test func revisionsSpreadByThemselves() {
        var cluster = makeCluster(count: 2)
        cluster.place(web("a", [:], ["rev": "1"]), on: "n1")
        cluster.place(web("b", [:], ["rev": "2"]), on: "n2")
        let byRevision = spread(["matchLabelKeys": ["rev"]])
        #expect(decide(web("c", byRevision, ["rev": "1"]), &cluster) == "n2")
    }

    @Test func podsOfOneOwnerSpreadByDefault() {
        var cluster = makeCluster(count: 6)
        for index in 0..<12 {
            let one = pod("p\(index)", cpu: "10m", owner: "set")
            let node = decide(one, &cluster, seed: UInt64(index))
            cluster.place(one, on: node)
        }
        let counts = cluster.nodes.filter(\.exists).map(\.pods.count)
        #expect(counts == [2, 2, 2, 2, 2, 2])
    }

    @Test func podsOfOneServiceSpreadByDefault() {
        var cluster = makeCluster(count: 2, zone: { _ in "z" })
        cluster.services["default/web"] = ServiceSelector(namespace: "default", labels: ["app": "web"])
        cluster.place(web("a"), on: "n1")
        cluster.place(pod("other", cpu: "150m"), on: "n2")
        #expect(decide(web("b"), &cluster) == "n2")
    }

    @Test func countsFollowEveryChange() {
        var cluster = makeCluster(count: 5)
        let rule = PodRule(namespaces: ["default"], selectors: [.init(labels: ["app": "web"])])
        let dice = Dice(3)
        for turn in 0..<400 {
            let name = "p\(dice.below(40))"
            switch dice.below(4) {
            case 0: cluster.remove("default/\(name)")
            case 1:
                let index = 1 + dice.below(5)
                let zone = "z\(dice.below(3))"
                let node: Document? = dice.below(4) == 0 ? .none : nodeDocument("n\(index)", zone: zone)
                _ = cluster.setNode("n\(index)", node)
            default:
                cluster.place(
                    pod(name, cpu: "1m", labels: dice.below(2) == 0 ? ["app": "web"] : [:]), on: "n\(1 + dice.below(5))"
                )
            }
            let tally = cluster.count([rule], key: "topology.kubernetes.io/zone")
            var expected: [Int32: Int32] = [:]
            for node in cluster.nodes where node.exists {
                let domain = cluster.topology(of: tally).ofNode[node.slot]
                expected[domain, default: 0] += Int32(node.pods.values.count { $0.labels["app"] == "web" })
            }
            for (domain, count) in expected { #expect(tally.counts[Int(domain)] == count, "turn \(turn)") }
            #expect(tally.total == expected.values.reduce(0) { $0 + Int($1) })
            #expect(tally.least == (expected.values.min().map(Int.init) ?? Int.max / 2), "turn \(turn)")
        }
    }
}
