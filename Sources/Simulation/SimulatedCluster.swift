import Basics
import Client
import Controllers
import Document
import Kinds
import Scheduler
import Wire

/// A whole cluster in one process: a server, the controllers, the scheduler, and nodes that run nothing.
public final class SimulatedCluster: Sendable {
    public let client: APIClient
    public let world: World
    public let nodes: [SimulatedNode]
    private let transport: InProcessTransport
    private let server: SimulatedServer.Running
    private let recorded = Trace()
    private let log: Log

    public init(server: SimulatedServer, nodes: Int, world: World, log: Log = .silent) async throws {
        self.server = try await server.start(world, log)
        transport = InProcessTransport(handler: recorded.recording(self.server.handler, world.clock))
        self.world = world
        self.log = log
        client = APIClient(transport: transport, userAgent: "simulation", bearerToken: SimulatedServer.token)
        let width = String(nodes).count
        var made: [SimulatedNode] = []
        for index in 1...nodes {
            let number = String(index)
            let name = "node-" + String(repeating: "0", count: width - number.count) + number
            made.append(SimulatedNode(name: name, index: index, transport: transport, world: world, log: log))
        }
        self.nodes = made
    }

    /// Every write so far.
    public var trace: [String] { recorded.lines }

    /// Runs the cluster for as long as `body` takes.
    public func run<Value: Sendable>(
        options: ControllerOptions = SimulatedCluster.defaultOptions,
        _ body: @escaping @Sendable (SimulatedCluster) async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await self.transport.run()
                return nil
            }
            group.addTask {
                try await self.server.run()
                return nil
            }
            try await createNamespaces()
            group.addTask {
                try await runControllers(
                    client: self.client, world: self.world, log: self.log.named("controllers"), options: options)
                return nil
            }
            group.addTask {
                try await runScheduler(client: self.client, world: self.world, log: self.log.named("scheduler"))
                return nil
            }
            for node in nodes {
                group.addTask {
                    try await node.run()
                    return nil
                }
            }
            group.addTask { try await body(self) }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let value = result { return value } }
            throw CancellationError()
        }
    }

    public static var defaultOptions: ControllerOptions {
        var options = ControllerOptions()
        options.clusterCIDR = CIDR("10.244.0.0/16")
        options.rootCertificate = "-----BEGIN CERTIFICATE-----\n"
        return options
    }

    private func createNamespaces() async throws {
        for name in ["default", "kube-system", "kube-node-lease"] {
            do {
                _ = try await client.create(
                    .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": Document(name)]])
            } catch let status as APIStatus where status.isAlreadyExists { continue }
        }
    }

    /// Looks every 100 ms of virtual time until `condition` holds; throws after `limit`.
    public func eventually(
        _ what: String, within limit: Duration = .seconds(120), _ condition: () async throws -> Bool
    ) async throws {
        let deadline = world.clock.uptime + limit
        while try await !condition() {
            if world.clock.uptime > deadline { throw NeverHappened(what: what, limit: limit) }
            try await world.clock.sleep(for: .milliseconds(100))
        }
    }

    public struct NeverHappened: Error, Sendable, CustomStringConvertible {
        public let what: String
        public let limit: Duration
        public var description: String { "not within \(limit): \(what)" }
    }

    public func pods(_ selector: String? = nil) async throws -> [PodView] {
        try await client.list(.pods, labelSelector: selector).list("items").map { PodView($0) }
    }
}
