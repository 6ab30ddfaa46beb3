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
    private let faults: Faults?
    /// The way of the components whose calls may fail.
    private let troubled: CallFaults
    private let server: SimulatedServer.Running
    private let recorded = Trace()
    private let log: Log

    /// Whose calls are counted, and which of them fails.
    struct Faults: Sendable {
        var component: FaultScenario.Component
        var planned: CallFaults.Planned?
        /// Whether someone is there to take the taint from new nodes.
        var nodesAreJudged: Bool
    }

    public convenience init(server: SimulatedServer, nodes: Int, world: World, log: Log = .silent) async throws {
        try await self.init(server: server, nodes: nodes, world: world, log: log, faults: nil)
    }

    init(server: SimulatedServer, nodes: Int, world: World, log: Log = .silent, faults: Faults?) async throws {
        self.server = try await server.start(world, log)
        transport = InProcessTransport(handler: recorded.recording(self.server.handler, world.clock))
        self.faults = faults
        troubled = CallFaults(transport, failing: faults?.planned, clock: world.clock)
        self.world = world
        self.log = log
        client = APIClient(transport: transport, userAgent: "simulation", bearerToken: SimulatedServer.token)
        let width = String(nodes).count
        var made: [SimulatedNode] = []
        for index in 1...nodes {
            let number = String(index)
            let name = "node-" + String(repeating: "0", count: width - number.count) + number
            var settings = SimulatedNodeSettings()
            settings.isTainted = faults?.nodesAreJudged ?? true
            made.append(
                SimulatedNode(
                    name: name, index: index, settings: settings, transport: transport, world: world, log: log))
        }
        self.nodes = made
    }

    /// The calls so far of the component whose calls may fail.
    var calls: [String] { troubled.calls }
    func stopCounting() { troubled.stopCounting() }

    private func client(of component: FaultScenario.Component) -> APIClient {
        let way: any Transport = faults?.component == component ? troubled : transport
        return APIClient(transport: way, userAgent: "simulated-\(component)", bearerToken: SimulatedServer.token)
    }

    /// How often targets that begin so were read.
    public func reads(_ prefix: String) -> Int { recorded.reads(prefix) }

    /// Every write so far.
    public var trace: [String] { recorded.lines }

    /// Runs the cluster for as long as `body` takes.
    ///
    /// - Parameter hasManagers: false where `body` brings controllers and scheduler itself.
    public func run<Value: Sendable>(
        options: ControllerOptions = SimulatedCluster.defaultOptions, hasManagers: Bool = true,
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
            // Pods need an account to be admitted, also where the controller that makes it is not part of the scene.
            if faults != nil { try await createAccount() }
            if hasManagers {
                group.addTask {
                    try await runControllers(
                        client: self.client(of: .controllers), world: self.world, log: self.log.named("controllers"),
                        options: options)
                    return nil
                }
                group.addTask {
                    try await runScheduler(
                        client: self.client(of: .scheduler), world: self.world, log: self.log.named("scheduler"))
                    return nil
                }
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

    private func createAccount() async throws {
        let account: Document = [
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default", "namespace": "default"],
        ]
        do { _ = try await client.create(.serviceAccounts, account) } catch let status as APIStatus
            where status.isAlreadyExists
        { return }
    }

    /// Looks every 100 ms of virtual time until `condition` holds; throws after `limit`.
    public func eventually(
        _ what: String, within limit: Duration = .seconds(120), every period: Duration = .milliseconds(100),
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = world.clock.uptime + limit
        while try await !condition() {
            if world.clock.uptime > deadline { throw NeverHappened(what: what, limit: limit) }
            try await world.clock.sleep(for: period)
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
