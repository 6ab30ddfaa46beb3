import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)
private let situation = Situation(now: now)

private func replicaSet(_ name: String = "rs", replicas: Int = 3, status: Document = [:]) -> Document {
    [
        "kind": "ReplicaSet",
        "metadata": ["name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "generation": 1],
        "spec": [
            "replicas": Document(replicas), "selector": ["matchLabels": ["app": "web"]],
            "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "main"]]]],
        ],
        "status": status,
    ]
}

private func pod(
    _ name: String, owner: String? = "rs", node: String = "n1", phase: String = "Running", ready: Bool = true,
    labels: Document = ["app": "web"]
) -> Document {
    var metadata: Document = [
        "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "labels": labels,
        "resourceVersion": "7", "creationTimestamp": Document((now - .seconds(1_000)).rfc3339()),
    ]
    if let owner {
        metadata["ownerReferences"] = [
            ["kind": "ReplicaSet", "name": Document(owner), "uid": Document("uid-\(owner)"), "controller": true]
        ]
    }
    return [
        "kind": "Pod", "metadata": metadata, "spec": ["nodeName": Document(node)],
        "status": [
            "phase": Document(phase),
            "conditions": [
                [
                    "type": "Ready", "status": ready ? "True" : "False",
                    "lastTransitionTime": Document((now - .seconds(500)).rfc3339()),
                ]
            ],
            "podIPs": [["ip": "10.244.0.9"]],
        ],
    ]
}

extension Timestamp {
    fileprivate static func - (time: Timestamp, span: Duration) -> Timestamp {
        Timestamp(nanoseconds: time.nanoseconds - span.wholeNanoseconds)
    }
}

extension Plan {
    fileprivate var created: [Document] {
        actions.compactMap { if case .create(_, let object, _) = $0 { object } else { nil } }
    }
    fileprivate var deleted: [String] {
        actions.compactMap { if case .delete(_, let object, _, _, _) = $0 { object.name } else { nil } }
    }
    fileprivate var patched: [Document] {
        actions.compactMap { if case .patch(_, _, _, let patch, _) = $0 { patch } else { nil } }
    }
    fileprivate var updated: [Document] {
        actions.compactMap { if case .update(_, let object, _) = $0 { object } else { nil } }
    }
}

@Suite struct ReplicaSetTests {
    private func plan(_ set: Document, _ pods: [Document], _ neighbours: [String: Int] = [:]) -> Plan {
        ReplicaSetPlan.plan(set, pods: pods, neighbours: neighbours, situation)
    }

    @Test func createsWhatIsMissing() {
        let plan = plan(replicaSet(), [pod("a"), pod("b", phase: "Failed")])
        #expect(plan.created.count == 2)
        #expect(plan.created.first?.text("metadata", "generateName") == "rs-")
        #expect(plan.created.first?.ownerReferences.first?.text("uid") == "uid-rs")
        #expect(plan.created.first?.ownerReferences.first?.flag("blockOwnerDeletion") == true)
    }

    @Test func adoptsAndReleasesBeforeItCounts() {
        let stray = pod("stray", owner: nil)
        let lost = pod("lost", labels: ["app": "other"])
        let plan = plan(replicaSet(), [stray, lost])
        #expect(plan.created.isEmpty)
        #expect(plan.patched.count == 2)
        #expect(plan.patched[0].list("metadata", "ownerReferences").first?.text("name") == "rs")
        #expect(plan.patched[1].at("metadata", "ownerReferences")?.isNull == true)
    }

    @Test func leavesOthersPodsAlone() {
        #expect(plan(replicaSet(replicas: 0), [pod("a", owner: "other")]).deleted.isEmpty)
    }

    @Test func givesUpTheLeastUsefulFirst() {
        let pods = [
            pod("good"), pod("unready", ready: false), pod("pending", phase: "Pending", ready: false),
            pod("unassigned", node: "", phase: "Pending", ready: false), pod("crowded", node: "n2"),
        ]
        var cheap = pod("cheap")
        cheap.set(["controller.kubernetes.io/pod-deletion-cost": "-5"], at: "metadata", "annotations")
        let order = DeletionOrder(neighbours: ["n1": 1, "n2": 5], now: now).sort(pods + [cheap]).map(\.name)
        #expect(order == ["unassigned", "pending", "unready", "cheap", "crowded", "good"])
        #expect(Set(plan(replicaSet(replicas: 2), pods).deleted) == ["unassigned", "pending", "unready"])
    }

    @Test func reportsCounts() {
        let plan = plan(replicaSet(replicas: 2), [pod("a"), pod("b", ready: false)])
        let status = plan.updated.first?["status"]
        #expect(status?.number("replicas") == 2)
        #expect(status?.number("readyReplicas") == 1)
        #expect(status?.number("availableReplicas") == 1)
        #expect(status?.number("observedGeneration") == 1)
        let settled = replicaSet(replicas: 2, status: status ?? .null)
        #expect(self.plan(settled, [pod("a"), pod("b", ready: false)]).actions.isEmpty)
    }

    @Test func waitsForMinimumReadyTime() {
        var set = replicaSet(replicas: 1)
        set.set(600, at: "spec", "minReadySeconds")
        let plan = plan(set, [pod("a")])
        #expect(plan.lookAgain == .seconds(100))
        #expect(plan.updated.first?.number("status", "availableReplicas") == nil)
    }
}

@Suite struct DeploymentTests {
    private func deployment(_ spec: Document = [:], status: Document = [:]) -> Document {
        let base: Document = [
            "replicas": 10, "selector": ["matchLabels": ["app": "web"]], "progressDeadlineSeconds": 60,
            "revisionHistoryLimit": 2,
            "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": "25%", "maxUnavailable": "25%"]],
            "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["image": "web:2"]]]],
        ]
        return [
            "kind": "Deployment",
            "metadata": ["name": "web", "namespace": "default", "uid": "uid-web", "generation": 2],
            "spec": base.applyingMergePatch(spec), "status": status,
        ]
    }

    private func set(
        _ name: String, image: String, replicas: Int, available: Int? = nil, desired: Int = 10, maximum: Int = 13,
        revision: Int = 1
    ) -> Document {
        [
            "kind": "ReplicaSet",
            "metadata": [
                "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "generation": 1,
                "labels": ["app": "web"],
                "creationTimestamp": Document((now - .seconds(1_000 - revision)).rfc3339()),
                "annotations": [
                    "deployment.kubernetes.io/desired-replicas": Document(String(desired)),
                    "deployment.kubernetes.io/max-replicas": Document(String(maximum)),
                    "deployment.kubernetes.io/revision": Document(String(revision)),
                ],
                "ownerReferences": [["kind": "Deployment", "name": "web", "uid": "uid-web", "controller": true]],
            ],
            "spec": [
                "replicas": Document(replicas),
                "template": [
                    "metadata": ["labels": ["app": "web", "pod-template-hash": "x"]],
                    "spec": ["containers": [["image": Document(image)]]],
                ],
            ],
            "status": [
                "replicas": Document(available ?? replicas), "availableReplicas": Document(available ?? replicas),
                "readyReplicas": Document(available ?? replicas), "observedGeneration": 1,
            ],
        ]
    }

    private func plan(_ deployment: Document, _ sets: [Document], running: [String: Int] = [:]) -> Plan {
        DeploymentPlan.plan(deployment, sets: sets, runningPods: running, situation)
    }

    private func sizes(_ plan: Plan) -> [String: Int] {
        var sizes: [String: Int] = [:]
        for set in plan.updated { sizes[set.name] = set.wantedReplicas }
        return sizes
    }

    @Test func beginsWithTheWholeSize() {
        let plan = plan(deployment(), [])
        let set = plan.created.first
        #expect(set?.wantedReplicas == 10)
        #expect(set?.labels["pod-template-hash"] != nil)
        #expect(set?.text("metadata", "name") == "web-\(set?.labels["pod-template-hash"] ?? "")")
        #expect(set?.map("spec", "selector", "matchLabels")["pod-template-hash"] == set?.labels["pod-template-hash"])
        #expect(set?.annotations["deployment.kubernetes.io/revision"] == "1")
    }

    @Test func newSetGrowsByTheSurge() {
        let plan = plan(deployment(), [set("old", image: "web:1", replicas: 10)])
        #expect(plan.created.first?.wantedReplicas == 3)
        #expect(plan.created.first?.annotations["deployment.kubernetes.io/revision"] == "2")
    }

    @Test func oldSetShrinksToWhatMustStayAvailable() {
        let sets = [
            set("old", image: "web:1", replicas: 10),
            set("new", image: "web:2", replicas: 3, available: 0, revision: 2),
        ]
        #expect(sizes(plan(deployment(), sets)) == ["old": 8])
    }

    @Test func brokenOldPodsGoFirst() {
        let sets = [
            set("older", image: "web:0", replicas: 4, available: 4),
            set("old", image: "web:1", replicas: 6, available: 3, revision: 2),
            set("new", image: "web:2", replicas: 3, available: 3, revision: 3),
        ]
        // At least 8 available: of 10 there, 2 may go besides the 3 that do nothing.
        #expect(sizes(plan(deployment(), sets)) == ["older": 2, "old": 3])
    }

    @Test func scalesInProportionDuringARollout() {
        let sets = [
            set("old", image: "web:1", replicas: 8), set("new", image: "web:2", replicas: 5, available: 5, revision: 2),
        ]
        let sizes = sizes(plan(deployment(["replicas": 20]), sets))
        #expect(sizes == ["old": 15, "new": 10])
    }

    @Test func pausedDeploymentsOnlyScale() {
        let plan = plan(deployment(["paused": true]), [set("old", image: "web:1", replicas: 10)])
        #expect(plan.created.isEmpty)
        let scaled = self.plan(deployment(["paused": true, "replicas": 4]), [set("old", image: "web:1", replicas: 10)])
        #expect(sizes(scaled) == ["old": 4])
    }

    @Test func recreateWaitsForTheLastOldPod() {
        let spec: Document = ["strategy": ["type": "Recreate", "rollingUpdate": nil]]
        let old = set("old", image: "web:1", replicas: 10)
        #expect(sizes(plan(deployment(spec), [old])) == ["old": 0])
        let empty = set("old", image: "web:1", replicas: 0)
        #expect(plan(deployment(spec), [empty], running: ["uid-old": 1]).created.isEmpty)
        #expect(plan(deployment(spec), [empty]).created.first?.wantedReplicas == 10)
    }

    @Test func returningToAnOldTemplateRaisesItsRevision() {
        let sets = [
            set("first", image: "web:2", replicas: 0, revision: 1),
            set("second", image: "web:1", replicas: 10, revision: 2),
        ]
        let plan = plan(deployment(), sets)
        let revived = plan.updated.first { $0.name == "first" }
        #expect(revived?.annotations["deployment.kubernetes.io/revision"] == "3")
        #expect(revived?.annotations["deployment.kubernetes.io/revision-history"] == "1")
    }

    @Test func keepsOnlyItsHistory() {
        let sets =
            (1...4).map { set("old\($0)", image: "web:old\($0)", replicas: 0, revision: $0) }
            + [set("new", image: "web:2", replicas: 10, revision: 5)]
        #expect(plan(deployment(), sets).deleted == ["old1", "old2"])
    }

    @Test func stuckRolloutsAreCalledSo() {
        let stuck: Document = [
            "conditions": [
                [
                    "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
                    "lastUpdateTime": Document((now - .seconds(61)).rfc3339()),
                    "lastTransitionTime": Document((now - .seconds(61)).rfc3339()),
                ]
            ], "replicas": 8, "readyReplicas": 8, "availableReplicas": 8,
        ]
        let sets = [
            set("old", image: "web:1", replicas: 8),
            set("new", image: "web:2", replicas: 5, available: 0, revision: 2),
        ]
        let plan = plan(deployment(status: stuck), sets)
        let condition = plan.patched.last?.list("status", "conditions").first { $0.text("type") == "Progressing" }
        #expect(condition?.text("reason") == "ProgressDeadlineExceeded")
        #expect(condition?.text("status") == "False")
    }

    @Test func takenNamesChangeTheHash() {
        let name = plan(deployment(), []).created.first?.name ?? ""
        var foreign = set(name, image: "web:9", replicas: 1)
        foreign.set([["uid": "someone", "controller": true]], at: "metadata", "ownerReferences")
        let collided = plan(deployment(), [foreign])
        #expect(collided.created.isEmpty)
        #expect(collided.patched.last?.number("status", "collisionCount") == 1)
        #expect(plan(deployment(status: ["collisionCount": 1]), [foreign]).created.first?.name != name)
    }
}

@Suite struct EndpointSliceTests {
    private let service: Document = [
        "metadata": ["name": "web", "namespace": "default", "uid": "uid-svc", "labels": ["team": "a"]],
        "spec": [
            "selector": ["app": "web"], "ipFamilies": ["IPv4"],
            "ports": [["name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"]],
        ],
    ]

    private func backend(_ name: String, port: Int = 8080, ready: Bool = true) -> Document {
        var pod = pod(name, ready: ready)
        pod.set([["ports": [["name": "http", "containerPort": Document(port)]]]], at: "spec", "containers")
        return pod
    }

    private func plan(_ pods: [Document], slices: [Document] = []) -> Plan {
        EndpointSlicePlan.plan(service, pods: pods, slices: slices, zones: ["n1": "z1"])
    }

    @Test func describesEachPod() {
        let plan = plan([backend("a"), backend("b", ready: false)])
        #expect(plan.created.count == 1)
        let slice = plan.created.first ?? .null
        #expect(slice.labels["kubernetes.io/service-name"] == "web")
        #expect(slice.labels["team"] == "a")
        #expect(slice.list("ports").first?.number("port") == 8080)
        let endpoints = slice.list("endpoints")
        #expect(endpoints.map { $0.flag("conditions", "ready") } == [true, false])
        #expect(endpoints.first?.text("zone") == "z1")
        #expect(endpoints.first?.text("targetRef", "name") == "a")
    }

    @Test func otherPortNumbersMakeOtherSlices() {
        #expect(plan([backend("a"), backend("b", port: 9090)]).created.count == 2)
    }

    @Test func nobodyIsOneEmptySlice() {
        let plan = plan([])
        #expect(plan.created.count == 1)
        #expect(plan.created.first?.list("endpoints").isEmpty == true)
    }

    @Test func settledSlicesAreLeftAlone() {
        var slice = plan([backend("a")]).created.first ?? .null
        slice.set("web-x", at: "metadata", "name")
        slice.set("uid-x", at: "metadata", "uid")
        #expect(plan([backend("a")], slices: [slice]).actions.isEmpty)
        let changed = plan([backend("a", ready: false), backend("b")], slices: [slice])
        #expect(changed.updated.first?.list("endpoints").count == 2)
        #expect(changed.created.isEmpty)
        #expect(plan([], slices: [slice]).deleted == ["web-x"])
    }

    @Test func aHundredEachAtMost() {
        let plan = plan((0..<250).map { backend("p\($0)") })
        #expect(plan.created.map { $0.list("endpoints").count } == [100, 100, 50])
    }
}

@Suite struct NodeTests {
    @Test func networksAreNeverGivenTwice() {
        func node(_ name: String, _ cidr: String?) -> Document {
            var node: Document = ["metadata": ["name": Document(name)]]
            if let cidr { node.set(Document(cidr), at: "spec", "podCIDR") }
            return node
        }
        let nodes = [node("a", nil), node("b", "10.244.0.0/24"), node("c", nil)]
        let network = CIDR(IPAddress(v4: 0x0AF4_0000), prefix: 22)
        let plan = NodeIPAM.plan(nodes, network: network, length: 24)
        #expect(plan.patched.map { $0.text("spec", "podCIDR") } == ["10.244.1.0/24", "10.244.2.0/24"])
        let full = NodeIPAM.plan((0..<5).map { node("n\($0)", nil) }, network: network, length: 24)
        #expect(full.patched.count == 4)
        #expect(full.actions.count == 5)
    }

    @Test func toleratedTaintsDelayEviction() {
        func evict(_ tolerations: Document, after seconds: Int) -> Plan {
            var pod = pod("a")
            pod.set(tolerations, at: "spec", "tolerations")
            let node: Document = [
                "spec": [
                    "taints": [
                        ["key": "k", "effect": "NoExecute", "timeAdded": Document((now - .seconds(seconds)).rfc3339())]
                    ]
                ]
            ]
            return TaintEvictionController.plan(pod, on: node, situation)
        }
        #expect(evict([], after: 0).deleted == ["a"])
        let limited: Document = [["key": "k", "operator": "Exists", "tolerationSeconds": 300]]
        #expect(evict(limited, after: 100).lookAgain == .seconds(200))
        #expect(evict(limited, after: 300).deleted == ["a"])
        #expect(evict([["operator": "Exists"]], after: 9_999) == .nothing)
    }

    @Test func silenceMakesANodeUnknown() {
        let node: Document = [
            "metadata": ["name": "n1", "resourceVersion": "3"],
            "status": ["conditions": [["type": "Ready", "status": "True"]]],
        ]
        func judge(_ silence: Int) -> Plan {
            NodeLifecyclePlan.plan(
                node, pods: [pod("a")], heartbeat: Heartbeat(value: "", seen: .zero), NodeLifecycleSettings(),
                Situation(now: now, uptime: .seconds(silence)))
        }
        #expect(judge(49).actions.isEmpty)
        let plan = judge(50)
        let conditions = plan.patched[0].list("status", "conditions")
        #expect(conditions.first?.text("status") == "Unknown")
        #expect(conditions.first?.text("message") == "Kubelet stopped posting node status.")
        let taints = plan.patched[1].list("spec", "taints")
        #expect(taints.map { $0.text("effect") } == ["NoSchedule", "NoExecute"])
        #expect(plan.patched[2].list("status", "conditions").first?.text("status") == "False")
    }
}

@Suite struct OwnerGraphTests {
    private func object(
        _ uid: String, owners: [String] = [], blocking: Bool = true, finalizers: [String] = [], deleting: Bool = false
    ) -> Document {
        var metadata: Document = [
            "name": Document(uid), "uid": Document(uid), "finalizers": Document(finalizers),
            "ownerReferences": Document(
                owners.map { ["uid": Document($0), "blockOwnerDeletion": Document(blocking)] as Document }),
        ]
        if deleting { metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return ["metadata": metadata]
    }

    private func graph(_ objects: [Document]) -> OwnerGraph {
        var graph = OwnerGraph()
        for object in objects { graph.put(.configMaps, object) }
        return graph
    }

    @Test func ownedObjectsStay() {
        #expect(graph([object("a"), object("b", owners: ["a"])]).verdict(on: "b") == .nothing)
    }

    @Test func unknownOwnersAreAskedFor() {
        let graph = graph([object("b", owners: ["a"])])
        if case .verify(let owners) = graph.verdict(on: "b") {
            #expect(owners.count == 1)
        } else {
            Issue.record("not asked")
        }
        #expect(graph.verdict(on: "b", absent: ["a"]) == .delete(propagation: "Background"))
    }

    @Test func oneOwnerLeftIsEnough() {
        let graph = graph([object("a"), object("c", owners: ["a", "gone"])])
        #expect(graph.verdict(on: "c", absent: ["gone"]) == .drop(["gone"]))
    }

    @Test func foregroundWaitsForThoseThatBlock() {
        var graph = graph([
            object("a", finalizers: ["foregroundDeletion"], deleting: true), object("b", owners: ["a"]),
            object("c", owners: ["a"], blocking: false),
        ])
        #expect(graph.verdict(on: "a") == .deleteDependents(["b"]))
        #expect(graph.verdict(on: "b") == .delete(propagation: "Background"))
        #expect(graph.verdict(on: "c") == .nothing)
        #expect(graph.remove(object("b", owners: ["a"])) == ["a"])
        #expect(graph.verdict(on: "a") == .removeFinalizer("foregroundDeletion"))
        #expect(graph.remove(object("a")) == ["c"])
    }

    @Test func orphansAreLetGoFirst() {
        let graph = graph([object("a", finalizers: ["orphan"], deleting: true), object("b", owners: ["a"])])
        #expect(graph.verdict(on: "a") == .orphanDependents(["b"]))
    }
}
