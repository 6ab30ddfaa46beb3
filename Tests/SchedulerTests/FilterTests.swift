import Document
import Testing

@testable import Scheduler

@Suite struct FilterTests {
    @Test func messagesAreUpstreams() {
        var none = Cluster()
        #expect(decide(pod("a"), &none) == "no nodes available to schedule pods")
        var plain = makeCluster()
        #expect(decide(pod("a", cpu: "2"), &plain) == "0/3 nodes are available: 3 Insufficient cpu.")
        let taints: Document = ["spec": ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]]
        var mixed = makeCluster(["n1": taints, "n2": ["spec": ["unschedulable": true]]])
        #expect(
            decide(pod("a", cpu: "2"), &mixed)
                == "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
                + "1 node(s) were unschedulable.")
        #expect(
            decide(pod("a", spec: ["nodeSelector": ["disk": "ssd"]]), &plain)
                == "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")
        var full = makeCluster(pods: "0")
        #expect(decide(pod("a"), &full) == "0/3 nodes are available: 3 Too many pods.")
    }

    @Test(arguments: [
        ("Equal", "v", "", true), ("Equal", "w", "", false), ("Exists", "", "", true),
        ("Exists", "", "NoExecute", false),
    ])
    func tolerationsOpenTaintedNodes(_ action: String, _ value: String, _ effect: String, _ opens: Bool) {
        let taints: Document = ["spec": ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]]
        var cluster = makeCluster(["n1": taints], count: 1)
        var toleration: Document = ["key": "k", "operator": Document(action), "effect": Document(effect)]
        if !value.isEmpty { toleration["value"] = Document(value) }
        #expect((decide(pod("a", spec: ["tolerations": [toleration]]), &cluster) == "n1") == opens)
    }

    @Test(arguments: [("Gt", "4", true), ("Gt", "5", false), ("Lt", "6", true), ("Lt", "5", false), ("Gt", "x", false)])
    func tolerationsCompareNumbers(_ action: String, _ bound: String, _ opens: Bool) {
        let taint = Taint(key: "level", value: "5", effect: "NoSchedule")
        let toleration = Toleration(["key": "level", "operator": Document(action), "value": Document(bound)])
        #expect(toleration.covers(taint) == opens)
    }

    @Test(arguments: [
        ("In", ["z1"], "n1"), ("NotIn", ["z1"], "n2"), ("Exists", [], "n1 n2"), ("DoesNotExist", [], ""),
        ("Gt", ["1"], "n2"), ("Lt", ["2"], "n1"),
    ])
    func nodeAffinityKnowsEveryOperator(_ action: String, _ values: [String], _ expected: String) {
        let key = ["Gt", "Lt"].contains(action) ? "number" : "topology.kubernetes.io/zone"
        var cluster = makeCluster(
            [
                "n1": ["metadata": ["labels": ["number": "1"]]], "n2": ["metadata": ["labels": ["number": "2"]]],
            ], count: 2)
        let term: Document = [
            "matchExpressions": [["key": Document(key), "operator": Document(action), "values": Document(values)]]
        ]
        let spec: Document = [
            "affinity": [
                "nodeAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": ["nodeSelectorTerms": [term]]
                ]
            ]
        ]
        let found = Set((1...20).map { decide(pod("a", spec: spec), &cluster, seed: $0) })
        #expect(found.filter { $0.hasPrefix("n") }.sorted().joined(separator: " ") == expected)
    }

    @Test func podsThatNameTheirNodeLookNowhereElse() {
        let spec: Document = [
            "affinity": [
                "nodeAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        "nodeSelectorTerms": [
                            ["matchFields": [["key": "metadata.name", "operator": "In", "values": ["n2"]]]]
                        ]
                    ]
                ]
            ]
        ]
        var cluster = makeCluster()
        #expect(decide(pod("a", spec: spec), &cluster) == "n2")
        #expect(
            decide(pod("a", cpu: "2", spec: spec), &cluster)
                == "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].")
    }

    @Test func addedAffinityBindsEveryPodOfTheProfile() throws {
        let added: Document = [
            "requiredDuringSchedulingIgnoredDuringExecution": [
                "nodeSelectorTerms": [
                    [
                        "matchExpressions": [
                            ["key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z0"]]
                        ]
                    ]
                ]
            ]
        ]
        var arguments = PluginArguments()
        arguments.addedAffinity = NodeAffinity.Added(added)
        var cluster = makeCluster(count: 2)
        #expect(decide(pod("a"), &cluster, .standard(arguments)) == "n2")
        var one = makeCluster(count: 1)
        #expect(
            decide(pod("a"), &one, .standard(arguments))
                == "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity.")
    }

    @Test func hostPortsCollide() {
        func withPort(_ name: String, _ address: String) -> PodInfo {
            pod(name, spec: ["containers": [["ports": [["hostPort": 80, "hostIP": Document(address)]]]]])
        }
        var cluster = makeCluster(count: 1)
        cluster.place(withPort("a", "10.0.0.1"), on: "n1")
        #expect(decide(withPort("b", "10.0.0.2"), &cluster) == "n1")
        #expect(
            decide(withPort("b", "0.0.0.0"), &cluster)
                == "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
    }
}

@Suite struct RequestTests {
    private func requests(_ spec: Document, status: Document = [:]) -> Resources {
        PodRequests(["spec": spec, "status": status]).exact
    }

    private func container(_ name: String, _ cpu: String, _ extra: Document = [:]) -> Document {
        (["name": Document(name), "resources": ["requests": ["cpu": Document(cpu)]]] as Document)
            .applyingMergePatch(extra)
    }

    @Test func initContainersCountAtTheirMoment() {
        let spec: Document = [
            "initContainers": [container("s", "300m", ["restartPolicy": "Always"]), container("i", "900m")],
            "containers": [container("c", "500m")],
        ]
        #expect(requests(spec).cpu == 1_200)
    }

    @Test func overheadAndThePodsOwnRequests() {
        let spec: Document = [
            "containers": [container("c", "500m")], "overhead": ["cpu": "250m"],
            "resources": ["requests": ["cpu": "2", "memory": "1Gi"]],
        ]
        #expect(requests(spec).cpu == 2_250)
        #expect(requests(spec).memory == 1 << 30)
    }

    @Test func resizedPodsKeepTheLargerOfBoth() {
        let status: Document = ["containerStatuses": [["name": "c", "allocatedResources": ["cpu": "800m"]]]]
        #expect(requests(["containers": [container("c", "500m")]], status: status).cpu == 800)
    }

    @Test(arguments: [
        ("100m", 100), ("2", 2_000), ("1.5", 1_500), ("1e3m", 0), ("0.1", 100), ("3k", 3_000_000), ("100000u", 100),
    ])
    func quantitiesOfCPU(_ text: String, _ expected: Int) {
        #expect(Resources(["cpu": Document(text)]).cpu == expected)
    }

    @Test(arguments: [
        ("64Mi", 64 << 20), ("1Gi", 1 << 30), ("1G", 1_000_000_000), ("128", 128), ("500m", 1), ("2Ti", 2 << 40),
    ])
    func quantitiesOfMemory(_ text: String, _ expected: Int) {
        #expect(Resources(["memory": Document(text)]).memory == expected)
    }

    @Test func placedPodsUseUpTheNode() {
        var cluster = makeCluster(count: 1)
        cluster.place(pod("a", cpu: "600m"), on: "n1")
        #expect(decide(pod("b", cpu: "400m"), &cluster) == "n1")
        #expect(decide(pod("b", cpu: "401m"), &cluster) != "n1")
        cluster.remove("default/a")
        #expect(decide(pod("b", cpu: "1"), &cluster) == "n1")
    }

    @Test func extendedResourcesMayBeIgnored() {
        let spec: Document = [
            "containers": [["name": "c", "resources": ["requests": ["example.com/gpu": "1", "cpu": "1m"]]]]
        ]
        var cluster = makeCluster(count: 1)
        #expect(
            decide(pod("a", spec: spec), &cluster) == "0/1 nodes are available: 1 Insufficient example.com/gpu.")
        var arguments = PluginArguments()
        arguments.fit.ignoredGroups = ["example.com"]
        #expect(decide(pod("a", spec: spec), &cluster, .standard(arguments)) == "n1")
    }
}

@Suite struct ScoreTests {
    @Test func emptierNodesWin() {
        var cluster = makeCluster(count: 2)
        cluster.place(pod("a", cpu: "500m"), on: "n1")
        #expect(decide(pod("b"), &cluster) == "n2")
    }

    @Test func packingFillsNodesFirst() {
        var cluster = makeCluster(count: 2)
        cluster.place(pod("a", cpu: "500m"), on: "n1")
        var arguments = PluginArguments()
        arguments.fit.strategy = .mostAllocated
        #expect(decide(pod("b"), &cluster, .standard(arguments)) == "n1")
        arguments.fit.strategy = .ratio([(used: 0, points: 0), (used: 100, points: 10)])
        #expect(decide(pod("b"), &cluster, .standard(arguments)) == "n1")
        arguments.fit.strategy = .ratio([(used: 0, points: 10), (used: 100, points: 0)])
        #expect(decide(pod("b"), &cluster, .standard(arguments)) == "n2")
    }

    @Test func tiesAreBrokenByTheGivenRandomness() {
        var cluster = makeCluster(count: 3, zone: { _ in "z" })
        let choices = Set((1...40 as ClosedRange<UInt64>).map { decide(pod("a"), &cluster, seed: $0) })
        #expect(choices.count == 3)
        #expect(decide(pod("a"), &cluster, seed: 5) == decide(pod("a"), &cluster, seed: 5))
    }

    @Test func imagesDrawPods() {
        let image: Document = ["status": ["images": [["names": ["app:1"], "sizeBytes": 900_000_000]]]]
        var cluster = makeCluster(["n2": image])
        #expect(decide(pod("a"), &cluster) == "n2")
    }

    @Test func avoidedTaintsCountAgainst() {
        let taints: Document = ["spec": ["taints": [["key": "k", "effect": "PreferNoSchedule"]]]]
        var cluster = makeCluster(["n1": taints, "n3": taints])
        #expect(decide(pod("a"), &cluster) == "n2")
    }

    @Test func preferredNodesCountFor() {
        var cluster = makeCluster()
        let spec: Document = [
            "affinity": [
                "nodeAffinity": [
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        [
                            "weight": 10,
                            "preference": [
                                "matchExpressions": [
                                    ["key": "kubernetes.io/hostname", "operator": "In", "values": ["n3"]]
                                ]
                            ],
                        ]
                    ]
                ]
            ]
        ]
        #expect(decide(pod("a", spec: spec), &cluster) == "n3")
    }

    @Test func keptVerdictsAreThoseOfAFreshLook() {
        var cluster = makeCluster(count: 20)
        var framework = Framework(.standard())
        let dice = Dice(9)
        for turn in 0..<300 {
            let pod = pod("p\(turn)", cpu: ["50m", "130m", "210m"][turn % 3], owner: "o\(turn % 2)")
            var fresh = Framework(.standard())
            let random = dice.next()
            let kept = framework.schedule(pod, &cluster, random: Dice(random))
            let new = fresh.schedule(pod, &cluster, random: Dice(random))
            switch (kept, new) {
            case (.bind(let a), .bind(let b)):
                // Both begin their search elsewhere, but of so few nodes all are looked at.
                #expect(scores(pod, a, &cluster) == scores(pod, b, &cluster))
                cluster.place(pod, on: a)
            case (.unschedulable(let a), .unschedulable(let b)): #expect(a.message == b.message)
            default: Issue.record("turn \(turn): a kept verdict differs")
            }
            if turn % 7 == 0 { cluster.remove("default/p\(turn / 2)") }
        }
    }

    /// A fresh look at one node: what the node-scoped plug-ins give it.
    private func scores(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) -> Int32 {
        var framework = Framework(.standard())
        let run = framework.prepare(pod, &cluster)
        return cluster.node(node).map { run.table.verdict($0).points } ?? -1
    }
}
