import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing
import Wire

/// What holds for every controller of the manager.
@Suite struct RosterTests {
    private static var options: ControllerOptions {
        var options = SimulatedCluster.defaultOptions
        options.loadBalancerPool = CIDR("198.19.0.0/24")
        options.tokenMaker = { _, _, _, _ in "" }
        options.signer = FaultScenario.certificate.options.signer
        return options
    }

    private struct Nowhere: Transport {
        func send(_ request: Request) async throws -> any ResponseStream { throw CancellationError() }
    }

    private static func names() throws -> [String] {
        try Simulation.run(seed: 1) { world in
            controllerNames(client: APIClient(transport: Nowhere(), userAgent: "test"), world: world, options: options)
        }
    }

    /// The queues' names, of the controllers that run when these words choose.
    private static func running(_ words: [String]) throws -> (names: Set<String>, text: String) {
        try Simulation.run(seed: 2) { world in
            let cluster = try await SimulatedCluster(server: .real, nodes: 1, world: world)
            return try await cluster.run(hasManagers: false) { cluster in
                let metrics = ControllerMetrics()
                var chosen = options
                chosen.controllers = words
                let given = chosen
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await runControllers(
                            client: cluster.client, world: world, log: .silent, options: given, metrics: metrics)
                    }
                    group.addTask { try await world.clock.sleep(for: .seconds(20)) }
                    defer { group.cancelAll() }
                    try await group.next()
                }
                var text = MetricsText()
                metrics.write(to: &text)
                let prefix = "workqueue_depth{name=\""
                let found = text.text.split(separator: "\n").filter { $0.hasPrefix(prefix) }
                    .map { String($0.dropFirst(prefix.count).prefix { $0 != "\"" }) }
                return (Set(found), text.text)
            }
        }
    }

    @Test func everyControllerCountsItsWork() throws {
        let names = try Self.names()
        #expect(names.count > 30)
        let (running, text) = try Self.running(names)
        #expect(running == Set(names))
        for name in names {
            for family in [
                "queue_duration_seconds_count", "work_duration_seconds_count", "adds_total", "retries_total",
            ] {
                #expect(text.contains("workqueue_\(family){name=\"\(name)\"}"), "\(family) of \(name)")
            }
        }
    }

    @Test func everyControllerCanBeSwitchedOffAlone() throws {
        let names = try Self.names()
        for name in names {
            let selection = try ControllerSelection(names + ["*"])
            #expect(selection.contains(name))
            #expect(try !ControllerSelection(["-\(name)", "*"]).contains(name), "\(name)")
        }
        // Three at a time, so that each is missing once from those that run.
        let off = Array(names.sorted().enumerated()).filter { $0.offset % 3 == 0 }.map(\.element)
        let (running, _) = try Self.running(off.map { "-\($0)" } + names)
        #expect(running == Set(names).subtracting(off))
        #expect(try Self.running(names.map { "-\($0)" }).names == [])
    }

    @Test func failedRoundsAreCounted() throws {
        try Simulation.run(seed: 3) { world in
            let cluster = try await SimulatedCluster(server: .real, nodes: 1, world: world)
            try await cluster.run(hasManagers: false) { cluster in
                // Nobody made the namespace's account, so no pod is admitted.
                _ = try await cluster.client.create(.deployments, deployment("web", replicas: 1, image: "web:1"))
                let metrics = ControllerMetrics()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        var options = Self.options
                        options.controllers = ["deployment-controller", "replicaset-controller"]
                        try await runControllers(
                            client: cluster.client, world: world, log: .silent, options: options, metrics: metrics)
                    }
                    try await cluster.eventually("failures are counted") {
                        var text = MetricsText()
                        metrics.write(to: &text)
                        return text.text.contains("lab_controller_errors_total{name=\"replicaset-controller\"} ")
                            && !text.text.contains("lab_controller_errors_total{name=\"deployment-controller\"}")
                    }
                    group.cancelAll()
                }
            }
        }
    }
}
