import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

private func daemonSet(_ spec: Document = [:]) -> Document {
    let base: Document = [
        "selector": ["matchLabels": ["app": "agent"]], "revisionHistoryLimit": 10,
        "updateStrategy": ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 1, "maxSurge": 0]],
        "template": ["metadata": ["labels": ["app": "agent"]], "spec": ["containers": [["image": "agent:1"]]]],
    ]
    return [
        "kind": "DaemonSet",
        "metadata": [
            "name": "agent", "namespace": "default", "uid": "uid-set", "generation": 1,
            "annotations": ["deprecated.daemonset.template.generation": "1"],
        ],
        "spec": base.applyingMergePatch(spec),
    ]
}

private func node(_ name: String, labels: [String: String] = [:], taints: [Document] = []) -> NodeFacts {
    NodeFacts([
        "metadata": ["name": Document(name), "labels": Document(sorted: labels)], "spec": ["taints": Document(taints)],
    ])
}

private func taint(_ key: String, _ effect: String) -> Document { ["key": Document(key), "effect": Document(effect)] }

/// A daemon that was made for `node`; bound, and available unless told otherwise.
private func daemon(
    _ name: String, on node: String, hash: String = "old", ready: Bool = true, phase: String = "Running",
    bound: Bool = true, deleting: Bool = false, age: Int = 100
) -> Document {
    var pod = DaemonPod.make(daemonSet(), hash: hash, node: node)
    pod.set(Document(name), at: "metadata", "name")
    pod.set(Document("uid-" + name), at: "metadata", "uid")
    pod.set(Document((now + .seconds(-age)).rfc3339()), at: "metadata", "creationTimestamp")
    if deleting { pod.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp") }
    if bound { pod.set(Document(node), at: "spec", "nodeName") }
    pod["status"] = [
        "phase": Document(phase),
        "conditions": [
            [
                "type": "Ready", "status": ready ? "True" : "False",
                "lastTransitionTime": Document((now + .seconds(-50)).rfc3339()),
            ]
        ],
    ]
    return pod
}

private struct Round {
    var created: [String] = []
    var deleted: [String] = []
    var status = Document.null
    var plan = Plan()

    init(
        _ set: Document, _ nodes: [NodeFacts], _ pods: [Document], backoff: inout FailedPodBackoff,
        uptime: Duration = .zero
    ) {
        plan = DaemonSetPlan.plan(
            set, nodes: nodes, pods: pods, revisions: [], revisionNamed: { _ in nil }, &backoff,
            Situation(now: now, uptime: uptime))
        for action in plan.actions {
            switch action {
            case .create(.pods, let pod, _): created.append(DaemonPod.node(of: pod) ?? "")
            case .delete(.pods, let pod, _, _, _): deleted.append(pod.name)
            case .update(.daemonSets, let set, _): status = set["status"] ?? .null
            default: break
            }
        }
    }

    init(_ set: Document, _ nodes: [NodeFacts], _ pods: [Document]) {
        var backoff = FailedPodBackoff()
        self.init(set, nodes, pods, backoff: &backoff)
    }
}

/// The hash of the present template's revision.
private func hash(_ set: Document) -> String {
    guard let selector = set.selector else { return "" }
    return RevisionHistory(of: set, .daemonSet, selector: selector, candidates: [], named: { _ in nil }).hash
}

@Suite struct DaemonSetTests {
    @Test func everyNodeGetsItsPod() throws {
        let round = Round(daemonSet(), [node("a"), node("b"), node("c")], [daemon("x", on: "b", ready: false)])
        #expect(round.created == ["a", "c"])
        #expect(round.deleted.isEmpty)
        #expect(round.status.number("desiredNumberScheduled") == 3)
        #expect(round.status.number("currentNumberScheduled") == 1)
        #expect(round.status.number("numberReady") == 0)
        #expect(round.status.number("numberUnavailable") == 3)
    }

    @Test func podsAreMadeForOneNode() {
        var set = daemonSet(["template": ["spec": ["hostNetwork": true]]])
        set.set(
            ["preferredDuringSchedulingIgnoredDuringExecution": [["weight": 1]]], at: "spec", "template", "spec",
            "affinity", "nodeAffinity")
        let pod = DaemonPod.make(set, hash: "h", node: "n7")
        #expect(DaemonPod.node(of: pod) == "n7")
        #expect(
            pod.list("spec", "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution").count == 1)
        #expect(pod.labels == ["app": "agent", "controller-revision-hash": "h", "pod-template-generation": "1"])
        let keys = pod.list("spec", "tolerations").map { "\($0.text("key") ?? ""):\($0.text("effect") ?? "")" }
        #expect(
            keys == [
                "node.kubernetes.io/not-ready:NoExecute", "node.kubernetes.io/unreachable:NoExecute",
                "node.kubernetes.io/disk-pressure:NoSchedule", "node.kubernetes.io/memory-pressure:NoSchedule",
                "node.kubernetes.io/pid-pressure:NoSchedule", "node.kubernetes.io/unschedulable:NoSchedule",
                "node.kubernetes.io/network-unavailable:NoSchedule",
            ])
    }

    @Test func ownTolerationsStay() {
        let spec: Document = [
            "tolerations": [
                ["key": "gpu", "operator": "Exists"],
                [
                    "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                    "tolerationSeconds": 5,
                ],
            ]
        ]
        let tolerations = DaemonPod.tolerations(of: spec)
        #expect(tolerations.count == 7)
        #expect(tolerations[0].text("key") == "gpu")
        #expect(tolerations[1].number("tolerationSeconds") == nil)
    }

    @Test func selectorsAndTaintsSayWhere() {
        let nodes = [
            node("blue", labels: ["color": "blue"]), node("green", labels: ["color": "green"]),
            node(
                "cordoned", labels: ["color": "blue"], taints: [taint("node.kubernetes.io/unschedulable", "NoSchedule")]
            ),
            node("master", labels: ["color": "blue"], taints: [taint("control", "NoSchedule")]),
            node("left", labels: ["color": "blue"], taints: [taint("gone", "NoExecute")]),
        ]
        let set = daemonSet(["template": ["spec": ["nodeSelector": ["color": "blue"]]]])
        let round = Round(set, nodes, [daemon("g", on: "green"), daemon("m", on: "master"), daemon("l", on: "left")])
        #expect(round.created == ["blue", "cordoned"])
        #expect(round.deleted == ["g", "l"], "what is there stays where it is merely no longer placed")
        #expect(round.status.number("numberMisscheduled") == 3)
        #expect(round.status.number("desiredNumberScheduled") == 2)
    }

    @Test func affinityAndNameSayWhere() {
        func term(_ operation: String, _ values: Document) -> DaemonPlacement {
            DaemonPlacement(
                daemonSet([
                    "template": [
                        "spec": [
                            "affinity": [
                                "nodeAffinity": [
                                    "requiredDuringSchedulingIgnoredDuringExecution": [
                                        "nodeSelectorTerms": [
                                            [
                                                "matchExpressions": [
                                                    ["key": "n", "operator": Document(operation), "values": values]
                                                ]
                                            ]
                                        ]
                                    ]
                                ]
                            ]
                        ]
                    ]
                ]))
        }
        let (five, bare) = (node("five", labels: ["n": "5"]), node("bare"))
        for (placement, expected) in [
            (term("In", ["5", "6"]), [true, false]), (term("NotIn", ["5"]), [false, true]),
            (term("Exists", []), [true, false]), (term("DoesNotExist", []), [false, true]),
            (term("Gt", ["4"]), [true, false]), (term("Lt", ["4"]), [false, false]),
        ] { #expect([five, bare].map { placement.verdict($0).shouldRun } == expected) }
        let named = DaemonPlacement(daemonSet(["template": ["spec": ["nodeName": "bare"]]]))
        #expect([five, bare].map { named.verdict($0).shouldRun } == [false, true])
    }

    @Test func onePodForEachNode() {
        let set = daemonSet()
        let pods = [
            daemon("young", on: "a", hash: hash(set), age: 1), daemon("old", on: "a", hash: hash(set), age: 9),
            daemon("waiting", on: "a", hash: hash(set), bound: false, age: 99),
            daemon("nowhere", on: "gone", hash: hash(set), bound: false),
            daemon("lost", on: "gone", hash: hash(set)),
        ]
        #expect(Round(set, [node("a")], pods).deleted == ["young", "waiting", "nowhere"])
    }

    @Test func failedPodsAreReplacedEverMoreSlowly() {
        let set = daemonSet()
        var backoff = FailedPodBackoff()
        let failed = daemon("x", on: "a", hash: hash(set), phase: "Failed")
        func round(at uptime: Duration) -> Round {
            Round(set, [node("a")], [failed], backoff: &backoff, uptime: uptime)
        }
        let first = round(at: .zero)
        #expect(first.deleted == ["x"])
        let isTold = first.plan.actions.contains {
            if case .event(_, .warning, "FailedDaemonPod", let message) = $0 {
                message == "Found failed daemon pod default/x on node a, will try to kill it"
            } else {
                false
            }
        }
        #expect(isTold)
        let second = round(at: .milliseconds(400))
        #expect(second.deleted.isEmpty)
        #expect(second.plan.lookAgain == .milliseconds(600))
        #expect(round(at: .seconds(1)).deleted == ["x"])
        #expect(round(at: .seconds(2)).plan.lookAgain == .seconds(1))
        #expect(round(at: .seconds(3)).deleted == ["x"])
        backoff.begin(uid: "uid-set", generation: 2, at: .seconds(3))
        #expect(backoff.isEmpty, "a new template begins anew")
    }

    @Test func aPodOnItsWayOutKeepsItsPlace() {
        let round = Round(daemonSet(), [node("a")], [daemon("x", on: "a", deleting: true)])
        #expect(round.created.isEmpty)
        let ended = Round(daemonSet(), [node("a")], [daemon("x", on: "a", phase: "Failed", deleting: true)])
        #expect(ended.created == ["a"])
    }

    @Test func settledSetsAreLeftAlone() {
        var set = daemonSet()
        let pods = [daemon("x", on: "a", hash: hash(set))]
        var revision = Document.null
        for action in Round(set, [node("a")], pods).plan.actions {
            if case .create(.controllerRevisions, let object, _) = action { revision = object }
            if case .update(_, let object, _) = action { set = object }
        }
        var backoff = FailedPodBackoff()
        let plan = DaemonSetPlan.plan(
            set, nodes: [node("a")], pods: pods, revisions: [revision], revisionNamed: { _ in revision }, &backoff,
            Situation(now: now))
        #expect(plan == .nothing)
        #expect(set.number("status", "updatedNumberScheduled") == 1)
        #expect(set.number("status", "observedGeneration") == 1)
    }
}

@Suite struct DaemonSetRolloutTests {
    private let nodes = ["a", "b", "c", "d"].map { node($0) }

    private func round(_ strategy: Document, _ pods: [Document]) -> Round {
        Round(daemonSet(["updateStrategy": strategy]), nodes, pods)
    }

    private func unavailable(_ count: Document) -> Document {
        ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": count, "maxSurge": 0]]
    }

    private func surge(_ count: Document) -> Document {
        ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 0, "maxSurge": count]]
    }

    private var new: String { hash(daemonSet()) }

    @Test func asManyAsMayBeMissing() {
        let old = ["a", "b", "c", "d"].map { daemon("old-" + $0, on: $0) }
        #expect(round(unavailable(1), old).deleted == ["old-a"])
        #expect(round(unavailable("50%"), old).deleted == ["old-a", "old-b"])
        #expect(round(["type": "OnDelete", "rollingUpdate": nil], old).deleted.isEmpty)
    }

    @Test func brokenPodsGoFirstAndCount() {
        let pods = [
            daemon("old-a", on: "a"), daemon("old-b", on: "b"), daemon("old-c", on: "c", ready: false),
            daemon("new-d", on: "d", hash: new),
        ]
        #expect(round(unavailable(1), pods).deleted == ["old-c"])
        #expect(round(unavailable(2), pods).deleted == ["old-c", "old-a"])
    }

    @Test func newPodsMustComeUpBeforeMoreGo() {
        let pods = [
            daemon("old-a", on: "a"), daemon("old-b", on: "b"), daemon("old-c", on: "c"),
            daemon("new-d", on: "d", hash: new, ready: false),
        ]
        #expect(round(unavailable(1), pods).deleted.isEmpty)
    }

    @Test func placingComesBeforeReplacing() {
        let round = round(unavailable(1), ["a", "b", "c"].map { daemon("old-" + $0, on: $0) })
        #expect(round.created == ["d"])
        #expect(round.deleted.isEmpty)
    }

    @Test func aSurgeMakesTheNewOneFirst() {
        let old = ["a", "b", "c", "d"].map { daemon("old-" + $0, on: $0) }
        let first = round(surge(1), old)
        #expect(first.created == ["a"])
        #expect(first.deleted.isEmpty)
        let waiting = round(surge(1), old + [daemon("new-a", on: "a", hash: new, ready: false)])
        #expect(waiting.created.isEmpty)
        #expect(waiting.deleted.isEmpty)
        let ready = round(surge(1), old + [daemon("new-a", on: "a", hash: new)])
        #expect(ready.deleted == ["old-a"])
    }

    @Test func aSurgeReplacesBrokenPodsAtOnce() {
        let pods = ["a", "b", "c", "d"].map { daemon("old-" + $0, on: $0, ready: $0 == "a") }
        #expect(round(surge(1), pods).created == ["b", "c", "d", "a"])
    }
}
