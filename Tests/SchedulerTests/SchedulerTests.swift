import Basics
import Document
import Synchronization
import Testing

@testable import Scheduler

private final class Dice: Randomness {
    private let state: Mutex<UInt64>
    init(_ seed: UInt64) { state = Mutex(seed) }
    func next() -> UInt64 {
        state.withLock {
            $0 = $0 &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return $0 >> 17
        }
    }
}

private func pod(_ name: String, cpu: String = "100m", labels: [String: String] = [:], spec: Document = [:]) -> PodInfo
{
    var spec = spec
    spec["containers"] = [
        ["name": "main", "image": "app:1", "resources": ["requests": ["cpu": Document(cpu), "memory": "64Mi"]]]
    ]
    return PodInfo([
        "metadata": [
            "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"),
            "labels": Document(members: labels.map { ($0.key, Document($0.value)) }),
        ],
        "spec": spec,
    ])
}

private func snapshot(
    _ nodes: [String: Document] = [:], count: Int = 3, pods: String = "110", zone: (Int) -> String = { "z\($0 % 2)" }
) -> Snapshot {
    var snapshot = Snapshot()
    for index in 1...count {
        let name = "n\(index)"
        let node: Document = [
            "metadata": [
                "name": Document(name),
                "labels": [
                    "kubernetes.io/hostname": Document(name), "topology.kubernetes.io/zone": Document(zone(index)),
                ],
            ],
            "status": ["allocatable": ["cpu": "1", "memory": "1Gi", "pods": Document(pods)]],
        ]
        var merged = node
        if let extra = nodes[name] { merged = node.applyingMergePatch(extra) }
        snapshot.setNode(name, merged)
    }
    return snapshot
}

private func decide(_ pod: PodInfo, _ snapshot: Snapshot, seed: UInt64 = 1) -> Decision {
    var framework = Framework()
    return framework.schedule(pod, snapshot, random: Dice(seed))
}

private func refusal(_ pod: PodInfo, _ snapshot: Snapshot) -> String {
    if case .unschedulable(let message, _) = decide(pod, snapshot) { message } else { "bound" }
}

@Suite struct FilterTests {
    @Test func messagesAreUpstreams() {
        #expect(refusal(pod("a"), Snapshot()) == "no nodes available to schedule pods")
        #expect(refusal(pod("a", cpu: "2"), snapshot()) == "0/3 nodes are available: 3 Insufficient cpu.")
        let taints: Document = ["spec": ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]]
        #expect(
            refusal(pod("a", cpu: "2"), snapshot(["n1": taints, "n2": ["spec": ["unschedulable": true]]]))
                == "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}, "
                + "1 node(s) were unschedulable.")
        #expect(
            refusal(pod("a", spec: ["nodeSelector": ["disk": "ssd"]]), snapshot())
                == "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")
        #expect(refusal(pod("a"), snapshot(pods: "0")) == "0/3 nodes are available: 3 Too many pods.")
    }

    @Test func tolerationsOpenTaintedNodes() {
        let taints: Document = ["spec": ["taints": [["key": "k", "value": "v", "effect": "NoSchedule"]]]]
        let tolerant = pod("a", spec: ["tolerations": [["key": "k", "operator": "Equal", "value": "v"]]])
        #expect(decide(tolerant, snapshot(["n1": taints], count: 1)) == .bind(node: "n1"))
        let other = pod("a", spec: ["tolerations": [["key": "k", "operator": "Equal", "value": "w"]]])
        #expect(decide(other, snapshot(["n1": taints], count: 1)) != .bind(node: "n1"))
    }

    @Test func requestsOfInitContainersCountAtTheirMoment() {
        let requests = PodInfo([
            "spec": [
                "initContainers": [
                    ["resources": ["requests": ["cpu": "300m"]], "restartPolicy": "Always"],
                    ["resources": ["requests": ["cpu": "900m"]]],
                ],
                "containers": [["resources": ["requests": ["cpu": "500m"]]]],
            ]
        ]).requests
        #expect(requests["cpu"] == 1_200)
    }

    @Test func placedPodsUseUpTheNode() {
        var cluster = snapshot(count: 1)
        cluster.place(pod("a", cpu: "600m"), on: "n1")
        #expect(decide(pod("b", cpu: "400m"), cluster) == .bind(node: "n1"))
        #expect(decide(pod("b", cpu: "401m"), cluster) != .bind(node: "n1"))
        cluster.remove("default/a")
        #expect(decide(pod("b", cpu: "1"), cluster) == .bind(node: "n1"))
    }

    @Test func hostPortsCollide() {
        func withPort(_ name: String, _ address: String) -> PodInfo {
            PodInfo([
                "metadata": ["name": Document(name)],
                "spec": ["containers": [["ports": [["hostPort": 80, "hostIP": Document(address)]]]]],
            ])
        }
        var cluster = snapshot(count: 1)
        cluster.place(withPort("a", "10.0.0.1"), on: "n1")
        #expect(decide(withPort("b", "10.0.0.2"), cluster) == .bind(node: "n1"))
        #expect(
            refusal(withPort("b", "0.0.0.0"), cluster)
                == "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
    }

    @Test func affinityDrawsAndKeepsAway() {
        func term(_ app: String, _ key: String) -> Document {
            [["labelSelector": ["matchLabels": ["app": Document(app)]], "topologyKey": Document(key)]]
        }
        var cluster = snapshot(count: 4)
        cluster.place(pod("db", labels: ["app": "db"]), on: "n2")
        let near: Document = [
            "affinity": [
                "podAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": term("db", "kubernetes.io/hostname")
                ]
            ]
        ]
        #expect(decide(pod("web", spec: near), cluster) == .bind(node: "n2"))
        let far: Document = [
            "affinity": [
                "podAntiAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": term("db", "topology.kubernetes.io/zone")
                ]
            ]
        ]
        if case .bind(let node) = decide(pod("web", spec: far), cluster) {
            #expect(["n1", "n3"].contains(node))
        } else {
            Issue.record("no place")
        }
        // What is there keeps others away too.
        var guarded = snapshot(count: 1)
        guarded.place(pod("db", labels: ["app": "db"], spec: far), on: "n1")
        #expect(
            refusal(pod("db2", labels: ["app": "db"]), guarded)
                == "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.")
    }

    @Test func firstOfAGroupMayGoAnywhere() {
        let own: Document = [
            "affinity": [
                "podAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        [
                            "labelSelector": ["matchLabels": ["app": "web"]],
                            "topologyKey": "kubernetes.io/hostname",
                        ]
                    ]
                ]
            ]
        ]
        #expect(decide(pod("web", labels: ["app": "web"], spec: own), snapshot(count: 1)) == .bind(node: "n1"))
        #expect(
            refusal(pod("web", labels: ["app": "other"], spec: own), snapshot(count: 1))
                == "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.")
    }

    @Test func requiredSpreadLimitsTheSkew() {
        let spread: Document = [
            "topologySpreadConstraints": [
                [
                    "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": ["matchLabels": ["app": "web"]],
                ]
            ]
        ]
        var cluster = snapshot(count: 2)
        cluster.place(pod("a", labels: ["app": "web"]), on: "n1")
        #expect(decide(pod("b", labels: ["app": "web"], spec: spread), cluster) == .bind(node: "n2"))
        cluster.setNode("n2", nil)
        cluster.setNode(
            "n2",
            [
                "metadata": ["name": "n2", "labels": ["topology.kubernetes.io/zone": "z0"]],
                "status": ["allocatable": ["cpu": "0", "pods": "10"]],
            ])
        #expect(
            refusal(pod("b", labels: ["app": "web"], spec: spread), cluster)
                == "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, "
                + "1 node(s) didn't match pod topology spread constraints.")
    }
}

@Suite struct ScoreTests {
    @Test func emptierNodesWin() {
        var cluster = snapshot(count: 2)
        cluster.place(pod("a", cpu: "500m"), on: "n1")
        #expect(decide(pod("b"), cluster) == .bind(node: "n2"))
    }

    @Test func tiesAreBrokenByTheGivenRandomness() {
        let cluster = snapshot(count: 3, zone: { _ in "z" })
        let choices = Set((1...40 as ClosedRange<UInt64>).map { "\(decide(pod("a"), cluster, seed: $0))" })
        #expect(choices.count == 3)
        #expect(decide(pod("a"), cluster, seed: 5) == decide(pod("a"), cluster, seed: 5))
    }

    @Test func imagesDrawPods() {
        let image: Document = ["status": ["images": [["names": ["app:1"], "sizeBytes": 900_000_000]]]]
        #expect(decide(pod("a"), snapshot(["n2": image])) == .bind(node: "n2"))
    }

    @Test func avoidedTaintsCountAgainst() {
        let taints: Document = ["spec": ["taints": [["key": "k", "effect": "PreferNoSchedule"]]]]
        #expect(decide(pod("a"), snapshot(["n1": taints, "n3": taints])) == .bind(node: "n2"))
    }
}

@Suite struct SchedulingQueueTests {
    @Test func urgentFirstThenOld() {
        var queue = SchedulingQueue()
        queue.put(pod("old"), isNews: true)
        queue.put(pod("new"), isNews: true)
        queue.put(pod("urgent", spec: ["priority": 10]), isNews: true)
        let order = (0..<3).compactMap { _ in queue.pop(now: .zero)?.name }
        #expect(order == ["urgent", "old", "new"])
        #expect(queue.pop(now: .zero) == nil)
    }

    @Test func helpfulEventsWakeAfterThePause() {
        var queue = SchedulingQueue()
        queue.put(pod("a"), isNews: true)
        _ = queue.pop(now: .zero)
        queue.refused("default/a", by: ["NodeResourcesFit"])
        queue.happened(.podAdded)
        #expect(queue.pop(now: .seconds(20)) == nil)
        queue.happened(.podRemoved)
        #expect(queue.pop(now: .milliseconds(900)) == nil)
        #expect(queue.nextDue() == .seconds(1))
        #expect(queue.pop(now: .seconds(1))?.name == "a")
    }

    @Test func eventsDuringTheAttemptAreNotLost() {
        var queue = SchedulingQueue()
        queue.put(pod("a"), isNews: true)
        _ = queue.pop(now: .zero)
        queue.happened(.nodeAdded)
        queue.refused("default/a", by: ["TaintToleration"])
        #expect(queue.pop(now: .seconds(1))?.name == "a")
    }

    @Test func nothingWaitsForever() {
        var queue = SchedulingQueue()
        queue.put(pod("a"), isNews: true)
        _ = queue.pop(now: .zero)
        queue.refused("default/a", by: ["NodeAffinity"])
        #expect(queue.pop(now: .seconds(299)) == nil)
        #expect(queue.pop(now: .seconds(300))?.name == "a")
    }
}
