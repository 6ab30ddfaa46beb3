import Basics
import Client
import Document
import Kinds
import Synchronization
import Testing
import Wire

@testable import APIServer

@Suite struct UsageTests {
    private static let zero = Timestamp(seconds: 1_800_000_000)

    /// A look at a node that began at zero, with one pod of one container.
    private static func summary(
        at second: Int64, node cpu: Int, container: (cpu: Int, start: Int64)? = nil, nodeStart: Int64 = 0
    ) -> Document {
        func stats(_ cpu: Int, _ start: Int64) -> Document {
            [
                "startTime": Document((zero + .seconds(start)).description),
                "cpu": [
                    "time": Document((zero + .seconds(second)).description),
                    "usageCoreNanoSeconds": Document(cpu * 1_000_000),
                ],
                "memory": ["workingSetBytes": 2_097_152],
            ]
        }
        var pod: Document = ["podRef": ["name": "p", "namespace": "default"], "containers": []]
        if let container {
            var entry = stats(container.cpu, container.start)
            entry["name"] = "main"
            pod["containers"] = [entry]
        }
        return ["node": stats(cpu, nodeStart), "pods": [pod]]
    }

    private static func history(_ summaries: Document...) throws -> UsageHistory {
        var history = UsageHistory()
        for summary in summaries { history.add(try #require(UsageLook(summary: summary))) }
        return history
    }

    @Test func useIsWhatGrewBetweenTwoLooks() throws {
        let history = try Self.history(
            Self.summary(at: 1000, node: 5000, container: (100, 900)),
            Self.summary(at: 1010, node: 6000, container: (600, 900)))
        #expect(history.node?.nanoCores == 100_000_000)
        #expect(history.node?.window == .seconds(10))
        #expect(history.pod("default/p")?.first?.usage.nanoCores == 50_000_000)
        #expect(history.pod("default/p")?.first?.usage.memoryBytes == 2_097_152)
    }

    @Test func theStartCountsAsALookWhileItIsNotLongAgo() throws {
        let young = try Self.history(Self.summary(at: 20, node: 1000))
        #expect(young.node?.nanoCores == 50_000_000)
        #expect(!young.needsAnother)
        let old = try Self.history(Self.summary(at: 2000, node: 1000))
        #expect(old.node == nil)
        #expect(old.needsAnother)
    }

    @Test func aContainerThatBeganAgainIsCountedFromItsStart() throws {
        let history = try Self.history(
            Self.summary(at: 1000, node: 0, container: (9000, 900)),
            Self.summary(at: 1010, node: 0, container: (400, 1006)))
        let usage = history.pod("default/p")?.first?.usage
        #expect(usage?.window == .seconds(4))
        #expect(usage?.nanoCores == 100_000_000)
    }

    @Test func ofAContainerThatJustBeganNothingCanBeSaid() throws {
        let history = try Self.history(
            Self.summary(at: 1000, node: 0), Self.summary(at: 1010, node: 0, container: (10, 1009)))
        #expect(history.pod("default/p") == nil)
        #expect(history.node != nil)
    }

    @Test func theBaseFollowsSlowlyAndIsForgottenInTheEnd() throws {
        var history = try Self.history(Self.summary(at: 1000, node: 0), Self.summary(at: 1002, node: 2000))
        #expect(history.node?.window == .seconds(2))
        history.add(try #require(UsageLook(summary: Self.summary(at: 1018, node: 2000))))
        #expect(history.node?.window == .seconds(18))
        history.add(try #require(UsageLook(summary: Self.summary(at: 1020, node: 2000))))
        #expect(history.node?.window == .seconds(2))
        history.add(try #require(UsageLook(summary: Self.summary(at: 1020, node: 9000))))
        #expect(history.node?.nanoCores == 0, "looks at the same moment say nothing new")
        history.add(try #require(UsageLook(summary: Self.summary(at: 5000, node: 9000))))
        #expect(history.node == nil)
        #expect(history.needsAnother)
    }

    @Test(arguments: [
        #"{}"#, #"{"node":{}}"#,
        #"{"node":{"cpu":{"time":"x","usageCoreNanoSeconds":1},"memory":{"workingSetBytes":1}}}"#,
        #"{"node":{"cpu":{"time":"2024-01-01T00:00:00Z","usageCoreNanoSeconds":-1},"memory":{"workingSetBytes":1}}}"#,
    ])
    func whatIsNoSummaryIsNoLook(_ text: String) throws {
        #expect(UsageLook(summary: try Document(json: Array(text.utf8))) == nil)
    }

    @Test(arguments: [(15_042, "15.042s"), (2000, "2s"), (63_500, "1m3.5s"), (60_000, "1m0s")])
    func windowsReadLikeDurations(_ milliseconds: Int, _ text: String) {
        #expect(ResourceUsage.text(.milliseconds(milliseconds)) == text)
    }

    // MARK: The server

    @Test func nodesAndPodsAreAnsweredWithWhatTheirNodesSay() async throws {
        try await withNode { harness in
            let nodes = try await harness.send("GET", "/apis/metrics.k8s.io/v1beta1/nodes")
            #expect(nodes.body.text("kind") == "NodeMetricsList")
            let node = try #require(nodes.body.list("items").first)
            #expect(node.text("metadata", "labels", "zone") == "a")
            #expect(node.text("usage", "cpu") == "50m")
            #expect(node.text("usage", "memory") == "2Mi")
            #expect(node.text("window") == "20s")

            let path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
            let pods = try await harness.send("GET", "\(path)?labelSelector=app%3Dweb").body.list("items")
            #expect(pods.map { $0.text("metadata", "name") } == ["p"], "the other one does not run")
            #expect(pods.first?.list("containers").first?.text("usage", "cpu") == "12500u")
            #expect(try await harness.send("GET", "\(path)?labelSelector=app%3Dother").body.list("items").isEmpty)

            let table = try await harness.send(
                "GET", "\(path)/p", headers: [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")])
            #expect(
                table.body.list("rows").first?.list("cells").compactMap(\.string) == ["p", "12500u", "2Mi", "8s"])
            let missing = try await harness.send("GET", "\(path)/q")
            #expect(missing.status == 404)
            #expect(missing.body.text("message") == "pods.metrics.k8s.io \"default/q\" not found")
            #expect(try await harness.send("DELETE", "\(path)/p").status == 405)
            let group = try await harness.send("GET", "/apis/metrics.k8s.io/v1beta1")
            #expect(group.body.list("resources").map { $0.text("kind") } == ["NodeMetrics", "PodMetrics"])
        }
    }

    @Test func aServerThatCannotAskNodesDoesNotOfferIt() async throws {
        let harness = try await Harness()
        #expect(try await harness.send("GET", "/apis/metrics.k8s.io/v1beta1/nodes").status == 404)
        let groups = try await harness.send("GET", "/apis").body.list("groups")
        #expect(!groups.contains { $0.text("name") == "metrics.k8s.io" })
    }

    private func withNode(_ body: @escaping @Sendable (Harness) async throws -> Void) async throws {
        let network = MemoryNetwork()
        let endpoint = Endpoint.ip(.loopback, port: 10250)
        let clock = ManualClock()
        let harness = try await Harness(
            nodeTransport: { _, _, _ in HTTPTransport(endpoint, host: "node", network: network, clock: clock) },
            offersUsage: true)
        let summary = Self.summary(at: 20, node: 1000, container: (100, 12))
        let server = HTTPServer(listener: try await network.listen(on: endpoint), clock: clock) { request in
            Response(status: request.target == "/stats/summary" ? 200 : 404, body: .bytes(summary.json))
        }
        for (name, address) in [("n", "10.89.0.3"), ("without-address", nil)] {
            var node: Document = [
                "apiVersion": "v1", "kind": "Node", "metadata": ["name": Document(name), "labels": ["zone": "a"]],
            ]
            if let address { node["status"] = ["addresses": [["type": "InternalIP", "address": Document(address)]]] }
            try await harness.create("/api/v1/nodes", node)
        }
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        for (name, phase) in [("p", "Running"), ("waiting", "Pending")] {
            var pod = Harness.pod(name)
            pod.set(["app": "web"], at: "metadata", "labels")
            pod.set("n", at: "spec", "nodeName")
            try await harness.create("/api/v1/namespaces/default/pods", pod)
            let patch: Document = ["status": ["phase": Document(phase)]]
            _ = try await harness.send(
                "PATCH", "/api/v1/namespaces/default/pods/\(name)/status", patch, type: "application/merge-patch+json")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await body(harness) }
            try await group.next()
            group.cancelAll()
        }
    }
}
