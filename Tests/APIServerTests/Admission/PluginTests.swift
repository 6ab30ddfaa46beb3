import Basics
import Document
import Kinds
import Testing

@testable import APIServer

/// Plug-ins as clients meet them.
@Suite struct PluginTests {
    private let pods = "/api/v1/namespaces/default/pods"

    private func prepared(_ admission: AdmissionConfiguration = AdmissionConfiguration()) async throws -> Harness {
        let harness = try await Harness(admission: admission)
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        return harness
    }

    private func quota(_ harness: Harness, hard: Document, used: Document) async throws {
        try await harness.create(
            "/api/v1/namespaces/default/resourcequotas",
            ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "q"], "spec": ["hard": hard]])
        let status = try await harness.send(
            "PATCH", "/api/v1/namespaces/default/resourcequotas/q/status",
            ["status": ["hard": hard, "used": used]], type: "application/merge-patch+json")
        #expect(status.status == 200)
    }

    @Test func manyWritersCannotTakeMoreThanTheQuota() async throws {
        let harness = try await prepared()
        try await quota(harness, hard: ["count/configmaps": "5"], used: ["count/configmaps": "0"])
        let made = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<12 {
                group.addTask {
                    try await harness.send(
                        "POST", "/api/v1/namespaces/default/configmaps", Harness.configMap("c\(index)")
                    ).status
                }
            }
            var made = 0
            for try await status in group where status == 201 { made += 1 }
            return made
        }
        #expect(made == 5)
        let quota = try await harness.send("GET", "/api/v1/namespaces/default/resourcequotas/q")
        #expect(quota.body.text("status", "used", "count/configmaps") == "5")
    }

    @Test func aDryRunIsNotCharged() async throws {
        let harness = try await prepared()
        try await quota(harness, hard: ["count/configmaps": "1"], used: ["count/configmaps": "0"])
        let path = "/api/v1/namespaces/default/configmaps"
        #expect(try await harness.send("POST", path + "?dryRun=All", Harness.configMap("c")).status == 201)
        #expect(try await harness.send("POST", path, Harness.configMap("c")).status == 201)
        #expect(try await harness.send("POST", path + "?dryRun=All", Harness.configMap("d")).status == 403)
    }

    @Test func onlyOnePriorityClassIsTheDefault() async throws {
        let harness = try await prepared()
        let path = "/apis/scheduling.k8s.io/v1/priorityclasses"
        func make(_ name: String) async throws -> Harness.Reply {
            try await harness.send(
                "POST", path,
                [
                    "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": Document(name)],
                    "value": 7, "globalDefault": true,
                ])
        }
        #expect(try await make("a").status == 201)
        let second = try await make("b")
        #expect(
            second.body.text("message")
                == "priorityclasses.scheduling.k8s.io \"b\" is forbidden: PriorityClass a is already marked as default. "
                + "Only one default can exist")
        let pod = try await harness.create(pods, Harness.pod("p"))
        #expect(pod.number("spec", "priority") == 7)
        #expect(pod.text("spec", "priorityClassName") == "a")
    }

    @Test func plugInsAreChosenByName() async throws {
        var admission = AdmissionConfiguration()
        admission.enabled = ["AlwaysPullImages", "ExtendedResourceToleration"]
        admission.disabled = ["DefaultTolerationSeconds"]
        #expect(admission.unknownNames.isEmpty)
        let harness = try await prepared(admission)
        var pod = Harness.pod("p")
        pod.set(
            [
                [
                    "name": "c", "image": "i", "imagePullPolicy": "Never",
                    "resources": ["limits": ["example.com/gpu": "1"]],
                ]
            ], at: "spec", "containers")
        let made = try await harness.create(pods, pod)
        #expect(made.list("spec", "containers").first?.text("imagePullPolicy") == "Always")
        #expect(
            Document(made.list("spec", "tolerations")).means([
                ["key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"]
            ]))
        admission.enabled = ["Odd"]
        #expect(admission.unknownNames == ["Odd"])
    }

    @Test func aBoundPodLearnsWhereItsNodeStands() async throws {
        let harness = try await prepared()
        try await harness.create(
            "/api/v1/nodes",
            [
                "apiVersion": "v1", "kind": "Node",
                "metadata": ["name": "n", "labels": ["topology.kubernetes.io/zone": "z", "other": "o"]],
            ])
        try await harness.create(pods, Harness.pod("p"))
        let bound = try await harness.send(
            "POST", pods + "/p/binding",
            [
                "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"],
                "target": ["kind": "Node", "name": "n"],
            ])
        #expect(bound.status == 201)
        let pod = try await harness.send("GET", pods + "/p").body
        #expect(pod.map("metadata", "labels") == ["topology.kubernetes.io/zone": "z"])
    }

    @Test func aNodeMayNotSteerWorkToItself() {
        #expect(NodeRestriction.isNodesOwn("kubernetes.io/hostname"))
        #expect(NodeRestriction.isNodesOwn("example.com/x"))
        #expect(NodeRestriction.isNodesOwn("a.node.kubernetes.io/x"))
        #expect(!NodeRestriction.isNodesOwn("x.node-restriction.kubernetes.io/y"))
        #expect(!NodeRestriction.isNodesOwn("node-role.kubernetes.io/x"))
    }

    @Test func eventsAreRefusedWhereTheyFlood() async throws {
        var admission = AdmissionConfiguration()
        admission.enabled = ["EventRateLimit"]
        admission.eventRateLimits = [.init(scope: .namespace, perSecond: 1, burst: 2)]
        let harness = try await prepared(admission)
        func event(_ name: String) async throws -> Harness.Reply {
            try await harness.send(
                "POST", "/api/v1/namespaces/default/events",
                [
                    "apiVersion": "v1", "kind": "Event", "metadata": ["name": Document(name)],
                    "involvedObject": ["kind": "Pod", "namespace": "default", "name": "p"],
                ])
        }
        #expect(try await event("a").status == 201)
        #expect(try await event("b").status == 201)
        let refused = try await event("c")
        #expect(refused.status == 429)
        #expect(refused.body.text("message") == "limit reached on type Namespace for key default")
        harness.clock.advance(by: .seconds(1))
        #expect(try await event("d").status == 201)
    }
}
