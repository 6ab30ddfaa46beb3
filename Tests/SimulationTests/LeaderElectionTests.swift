import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Synchronization
import Testing
import Wire

/// One of two controller managers of the same cluster.
private final class Candidate: Sendable {
    let elector: LeaderElector
    private let client: APIClient
    private let link: Link
    private let world: World

    init(_ name: String, in cluster: SimulatedCluster) {
        world = cluster.world
        link = Link(cluster.client)
        client = APIClient(transport: link, userAgent: name)
        elector = LeaderElector(
            client, name: "kube-controller-manager", identity: name, world: cluster.world, log: .silent)
    }

    func setCutOff(_ isCutOff: Bool) { link.isDown.withLock { $0 = isCutOff } }
    /// What it wrote besides the lease and the event about it.
    var work: [String] { link.writes.withLock { $0 } }

    func run() async throws {
        var options = SimulatedCluster.defaultOptions
        options.controllers = ["replicaset-controller", "deployment-controller"]
        let chosen = options
        try await elector.runAlways { [self] in
            try await runControllers(client: client, world: world, log: .silent, options: chosen)
        }
    }

    private final class Link: Transport {
        let isDown = Mutex(false)
        let writes = Mutex<[String]>([])
        private let client: APIClient

        init(_ client: APIClient) { self.client = client }

        struct Unreachable: Error {}

        func send(_ request: Request) async throws -> any ResponseStream {
            if isDown.withLock({ $0 }) { throw Unreachable() }
            let isWork =
                request.method != "GET" && !request.target.contains("/leases")
                && !request.target.contains("/namespaces/kube-system/events")
            if isWork { writes.withLock { $0.append("\(request.method) \(request.target)") } }
            return try await client.raw(request)
        }
    }
}

@Suite struct LeaderElectionSimulationTests {
    private static func run(
        seed: UInt64, _ body: @escaping @Sendable (SimulatedCluster, Candidate, Candidate) async throws -> Void
    ) throws {
        try Simulation.run(seed: seed) { world in
            let cluster = try await SimulatedCluster(server: .real, nodes: 1, world: world)
            var options = SimulatedCluster.defaultOptions
            options.controllers = ["*", "-replicaset-controller", "-deployment-controller"]
            try await cluster.run(options: options) { cluster in
                try await body(cluster, Candidate("one", in: cluster), Candidate("two", in: cluster))
            }
        }
    }

    @Test func theSecondTakesOverWhenTheFirstIsKilled() throws {
        try Self.run(seed: 3) { cluster, one, two in
            try await withThrowingTaskGroup(of: Void.self) { all in
                try await withThrowingTaskGroup(of: Void.self) { first in
                    first.addTask { try await one.run() }
                    try await cluster.eventually("the first leads") { one.elector.status.leads }
                    all.addTask { try await two.run() }
                    _ = try await cluster.client.create(.deployments, deployment("web", replicas: 2, image: "web:1"))
                    try await cluster.waitUntilRolledOut("web", replicas: 2)
                    try await cluster.world.clock.sleep(for: .seconds(60))
                    #expect(!two.elector.status.leads)
                    #expect(two.work == [])
                    #expect(!one.work.isEmpty)
                    first.cancelAll()
                }
                let killed = cluster.world.clock.uptime
                try await cluster.change("web", ["replicas": 4])
                try await cluster.waitUntilRolledOut("web", replicas: 4)
                #expect(two.elector.status.leads)
                let lease = try await cluster.client.get(
                    .leases, namespace: "kube-system", name: "kube-controller-manager")
                #expect(lease.text("spec", "holderIdentity") == "two")
                #expect(lease.number("spec", "leaseTransitions") == 1)
                // The rest of the lease's 15 seconds, and the candidate's own pause.
                #expect(cluster.world.clock.uptime - killed < .seconds(20))
                all.cancelAll()
            }
        }
    }

    @Test func aLeaderThatIsCutOffStopsBeforeTheOtherBegins() throws {
        try Self.run(seed: 4) { cluster, one, two in
            try await withThrowingTaskGroup(of: Void.self) { all in
                all.addTask { try await one.run() }
                try await cluster.eventually("the first leads") { one.elector.status.leads }
                all.addTask { try await two.run() }
                try await cluster.world.clock.sleep(for: .seconds(20))
                one.setCutOff(true)
                try await cluster.eventually("one of them leads at any time, and then the second") {
                    #expect(!(one.elector.status.leads && two.elector.status.leads))
                    return two.elector.status.leads
                }
                one.setCutOff(false)
                _ = try await cluster.client.create(.deployments, deployment("web", replicas: 2, image: "web:1"))
                try await cluster.waitUntilRolledOut("web", replicas: 2)
                #expect(one.work == [])
                #expect(!one.elector.status.leads)
                all.cancelAll()
            }
        }
    }
}
