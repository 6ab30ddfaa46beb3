import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

@testable import Scheduler

/// Holds every pod back until someone agrees.
private struct Hold: Plugin {
    let name = "Hold"
    func permit(_ pod: PodInfo, _ node: String) -> Permission { .wait(atMost: .seconds(60)) }
}

@Suite struct PermitSimulationTests {
    @Test func podsWaitForPermission() throws {
        let events = try Simulation.run(seed: 1) { world in
            let transport = InProcessTransport(handler: ModelServer(world: world).handler)
            let client = APIClient(transport: transport, userAgent: "test")
            var options = SchedulerOptions()
            options.configuration.profiles[0].plugins.append(Hold())
            let scheduler = Scheduler(client: client, world: world, log: .silent, options: options)
            return try await withThrowingTaskGroup(of: [String]?.self) { group in
                group.addTask {
                    try await transport.run()
                    return nil
                }
                group.addTask {
                    try await scheduler.run()
                    return nil
                }
                group.addTask { try await Self.story(scheduler, client, world) }
                defer { group.cancelAll() }
                while let result = try await group.next() { if let events = result { return events } }
                return []
            }
        }
        #expect(events.contains("Scheduled: Successfully assigned default/allowed to n1"))
        #expect(
            events.contains(
                "FailedScheduling: pod \"left\" rejected while waiting on permit: "
                    + "rejected due to timeout after waiting 60s at plugin Hold"))
    }

    private static func story(_ scheduler: Scheduler, _ client: APIClient, _ world: World) async throws -> [String] {
        _ = try await client.create(.namespaces, ["metadata": ["name": "default"]])
        _ = try await client.create(
            .nodes,
            ["metadata": ["name": "n1"], "status": ["allocatable": ["cpu": "4", "memory": "8Gi", "pods": "110"]]])
        var uids: [String: String] = [:]
        for name in ["allowed", "left"] {
            let pod = try await client.create(
                .pods, ["metadata": ["name": Document(name), "namespace": "default"], "spec": ["containers": []]])
            uids[name] = PodView(pod).uid
        }
        try await world.clock.sleep(for: .seconds(5))
        for pod in try await client.list(.pods).list("items") { #expect(PodView(pod).nodeName.isEmpty) }
        scheduler.allow(uids["allowed"] ?? "", by: "Hold")
        try await world.clock.sleep(for: .seconds(58))
        return try await client.list(.events).list("items").map {
            "\($0.text("reason") ?? ""): \($0.text("message") ?? "")"
        }
    }
}
