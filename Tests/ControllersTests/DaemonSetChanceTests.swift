import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

/// A daemon set with its nodes and pods in memory, to which anything may happen.
private struct Fleet {
    var set: Document
    var nodes: [String: Bool] = ["a": true, "b": true, "c": true, "d": true, "e": true]
    var pods: [String: Document] = [:]
    var revisions: [String: Document] = [:]
    private var backoff = FailedPodBackoff()
    private var uptime = Duration.zero
    private var count = 0

    init(_ bounds: Document) {
        set = [
            "kind": "DaemonSet",
            "metadata": ["name": "agent", "namespace": "default", "uid": "uid-set", "generation": 1],
            "spec": [
                "selector": ["matchLabels": ["app": "agent"]], "revisionHistoryLimit": 2,
                "updateStrategy": ["type": "RollingUpdate", "rollingUpdate": bounds],
                "template": [
                    "metadata": ["labels": ["app": "agent"]],
                    "spec": ["nodeSelector": ["on": "true"], "containers": [["image": "agent:0"]]],
                ],
            ],
        ]
    }

    private func bound(_ field: String) -> Int {
        set.number("spec", "updateStrategy", "rollingUpdate", field) ?? 0
    }

    private var facts: [NodeFacts] {
        nodes.keys.sorted().map { name in
            let isOn = nodes[name] == true
            return NodeFacts([
                "metadata": ["name": Document(name), "labels": ["on": Document(isOn ? "true" : "false")]]
            ])
        }
    }

    mutating func setImage(_ image: String) {
        set.set([["image": Document(image)]], at: "spec", "template", "spec", "containers")
        set.set(Document(set.generation + 1), at: "metadata", "generation")
    }

    mutating func setPhase(_ name: String, _ phase: String, ready: Bool) {
        let condition: Document = [
            "type": "Ready", "status": ready ? "True" : "False", "lastTransitionTime": Document(now.rfc3339()),
        ]
        pods[name]?["status"] = ["phase": Document(phase), "conditions": [condition]]
    }

    /// What the node does: a new pod becomes ready, one on its way out goes.
    mutating func tend(_ name: String) {
        guard let pod = pods[name] else { return }
        if pod.isTerminating {
            pods[name] = nil
        } else if pod.phase == "Pending" {
            pods[name]?.set(Document(DaemonPod.node(of: pod) ?? ""), at: "spec", "nodeName")
            setPhase(name, "Running", ready: true)
        }
    }

    /// One round. Answers whether anything was done.
    mutating func play() -> Bool {
        uptime += .seconds(1_000)
        let plan = DaemonSetPlan.plan(
            set, nodes: facts, pods: pods.values.sorted { $0.name < $1.name },
            revisions: revisions.values.sorted { $0.name < $1.name }, revisionNamed: { revisions[$0] }, &backoff,
            Situation(now: now, uptime: uptime))
        let before = served
        for action in plan.actions { play(action) }
        // What works is given up only within the bounds, and not at all where a surge comes first.
        let wanted = nodes.values.count { $0 }
        if served < before { #expect(served >= wanted - max(bound("maxUnavailable"), 0)) }
        return !plan.actions.isEmpty
    }

    /// The nodes that should have a pod and have an available one.
    private var served: Int {
        Swift.Set(
            pods.values.filter { $0.isReadyPod && $0.isActivePod && nodes[$0.nodeName] == true }.map(\.nodeName)
        ).count
    }

    private mutating func play(_ action: Action) {
        switch action {
        case .create(let resource, var object, _):
            count += 1
            object.set(Document("uid-\(count)"), at: "metadata", "uid")
            object.set(Document(now.rfc3339()), at: "metadata", "creationTimestamp")
            if resource == .pods {
                object.set(Document("agent-\(count)"), at: "metadata", "name")
                object["status"] = ["phase": "Pending"]
                pods[object.name] = object
            } else {
                revisions[object.name] = object
            }
        case .delete(let resource, let object, _, _, _):
            if resource == .pods {
                pods[object.name]?.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
            } else {
                revisions[object.name] = nil
            }
        case .patch(.controllerRevisions, _, let name, let patch, _):
            revisions[name] = revisions[name]?.applyingMergePatch(patch)
        case .patch(_, _, let name, let patch, _): pods[name] = pods[name]?.applyingMergePatch(patch)
        case .update(_, let object, _): set["status"] = object["status"]
        default: break
        }
    }
}

/// Whatever happens to nodes and pods, every node ends up with its one pod of the newest template.
@Suite struct DaemonSetChanceTests {
    private struct Dice {
        var state: UInt64

        mutating func roll(_ sides: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(sides))
        }
    }

    @Test(arguments: [["maxUnavailable": 2, "maxSurge": 0], ["maxUnavailable": 0, "maxSurge": 2]] as [Document])
    func comesOutRight(bounds: Document) {
        for seed in 1...12 {
            var dice = Dice(state: UInt64(seed))
            var fleet = Fleet(bounds)
            for _ in 0..<60 {
                let names = fleet.pods.keys.sorted()
                let name = names.isEmpty ? "" : names[dice.roll(names.count)]
                switch dice.roll(9) {
                case 0: fleet.setImage("agent:\(dice.roll(3))")
                case 1: fleet.nodes[["a", "b", "c"][dice.roll(3)]] = dice.roll(3) > 0
                case 2 where !name.isEmpty: fleet.setPhase(name, "Failed", ready: false)
                case 3 where !name.isEmpty: fleet.pods[name] = nil
                default: if !name.isEmpty { fleet.tend(name) }
                }
                _ = fleet.play()
            }
            fleet.setImage("agent:final")
            for _ in 0..<60 {
                let isDone = !fleet.play()
                let before = fleet.pods
                for name in fleet.pods.keys.sorted() { fleet.tend(name) }
                if isDone, fleet.pods == before { break }
            }
            let wanted = fleet.nodes.filter(\.value).keys.sorted()
            #expect(fleet.pods.values.map(\.nodeName).sorted() == wanted, "seed \(seed)")
            #expect(
                fleet.pods.values.allSatisfy {
                    $0.list("spec", "containers").first?.text("image") == "agent:final" && $0.isReadyPod
                }, "seed \(seed)")
            #expect(fleet.set.number("status", "updatedNumberScheduled") ?? 0 == wanted.count)
            #expect(fleet.revisions.count <= 3)
        }
    }
}
