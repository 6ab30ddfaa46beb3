import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Synchronization
import Testing
import Wire

@Suite struct ComponentServerTests {
    private struct Answer: Sendable {
        var status: Int
        var text: String
    }

    private static func get(_ path: String, token: String? = nil, from handler: Handler) async -> Answer {
        var request = Request("GET", path)
        if let token { request.headers["Authorization"] = "Bearer \(token)" }
        let response = await handler(request)
        guard case .bytes(let bytes) = response.body else { return Answer(status: response.status, text: "") }
        return Answer(status: response.status, text: String(decoding: bytes, as: UTF8.self))
    }

    @Test func healthIsForAllAndMetricsForThoseWhoMay() throws {
        try simulate(.real, seed: 51, nodes: 1) { cluster in
            let metrics = ControllerMetrics()
            let isWell = Mutex(true)
            let server = ComponentServer(
                access: DelegatedAccess(client: cluster.client, clock: cluster.world.clock),
                checks: [.init("leaderElection") { isWell.withLock { $0 } }], metrics: [metrics])
            let handler = server.handler
            let client = cluster.client
            let world = cluster.world
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var options = ControllerOptions()
                    options.controllers = ["deployment-controller", "replicaset-controller"]
                    try await runControllers(
                        client: client, world: world, log: .silent, options: options, metrics: metrics)
                }
                _ = try await client.create(.deployments, deployment("web", replicas: 1, image: "web:1"))
                try await cluster.waitUntilRolledOut("web", replicas: 1)
                let text = await Self.get("/metrics", token: "simulation", from: handler)
                #expect(text.status == 200)
                #expect(text.text.contains("# TYPE workqueue_adds_total counter\n"))
                #expect(text.text.contains("workqueue_depth{name=\"deployment-controller\"} 0\n"))
                #expect(
                    text.text.contains(
                        "workqueue_work_duration_seconds_bucket{name=\"replicaset-controller\",le=\"+Inf\"}"))
                group.cancelAll()
            }
            #expect(await Self.get("/healthz", from: handler).text == "ok")
            #expect(await Self.get("/livez?verbose", from: handler).text.contains("[+]leaderElection ok\n"))
            isWell.withLock { $0 = false }
            let ill = await Self.get("/readyz", from: handler)
            #expect(ill.status == 500)
            #expect(ill.text == "[+]ping ok\n[-]leaderElection failed: reason withheld\nreadyz check failed\n")
            let anonymous = await Self.get("/metrics", from: handler)
            #expect(anonymous.status == 403)
            #expect(anonymous.text == "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"\n")
            #expect(await Self.get("/metrics", token: "wrong", from: handler).status == 401)
            #expect(await Self.get("/nothing", token: "simulation", from: handler).status == 404)
        }
    }
}
