import Basics
import Client
import Document
import Kinds
import Linux

/// Makes services reachable from one node: turns connections to their addresses into connections to their endpoints.
public actor Proxy {
    private static let checkEvery = Duration.seconds(30)
    private static let retryAfter = Duration.seconds(1)
    private static let sliceIndex = "service"

    private var planner: ServicePlanner
    private let client: APIClient
    private let world: World
    private let log: Log
    private let namespace: NetworkNamespace?
    private let podNetwork: CIDR?
    private let healthChecks: HealthCheckServers
    private let announcer: ServiceAnnouncer?
    private let zoneIsWanted = Wakeup()

    private var announced: Set<IPAddress>?
    private var asksForZone = false
    private var table = ProxyTable()
    private var kernel: ProxyKernel?
    /// Services to look at again; bounded by the number of services.
    private var dirty: Set<String> = []
    /// Whether the kernel may differ from `table`, so that only a rebuild helps.
    private var outOfStep = true

    /// `namespace` is the node's network namespace; nil for the one that this process is in.
    public init(
        nodeName: String, nodeAddresses: [IPAddress], podNetwork: CIDR? = nil, client: APIClient, world: World,
        log: Log,
        namespace: NetworkNamespace? = nil
    ) {
        self.podNetwork = podNetwork
        healthChecks = HealthCheckServers(address: .any, world: world, log: log)
        announcer = nodeAddresses.first.map { ServiceAnnouncer(nodeAddress: $0, namespace: namespace) }
        planner = ServicePlanner(nodeName: nodeName, nodeAddresses: nodeAddresses)
        self.client = client
        self.world = world
        self.log = log
        self.namespace = namespace
    }

    /// Whether the kernel holds every service that has been seen.
    public var ready: Bool { !outOfStep && dirty.isEmpty }

    /// Follows services and endpoint slices and keeps the kernel right until cancelled.
    public func run() async throws {
        let services = Informer(client, .services, world: world, log: log)
        let slices = Informer(client, .endpointSlices, world: world, log: log)
        slices.addIndex(Self.sliceIndex) { Self.serviceKey(ofSlice: $0).map { [$0] } ?? [] }
        let serviceChanges = services.changes()
        let sliceChanges = slices.changes()
        let (wakeups, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            group.addTask { try await slices.run() }
            group.addTask {
                for await change in serviceChanges {
                    await self.mark([change.key])
                    wake.yield()
                }
            }
            group.addTask {
                for await change in sliceChanges {
                    await self.mark([change.old, change.new].compactMap { $0.flatMap(Self.serviceKey(ofSlice:)) })
                    if change.new.map(ServicePlanner.asksForZone) == true { await self.askForZone() }
                    wake.yield()
                }
            }
            group.addTask { try await self.checkRegularly(wake) }
            group.addTask { try await self.healthChecks.run() }
            group.addTask { try await self.followZone(services, wake) }
            group.addTask {
                // Before both lists are known a service without slices may only be one whose slices come later.
                try await services.waitForSync()
                try await slices.waitForSync()
                for await _ in wakeups {
                    while await !self.synchronize(services, slices) {
                        try await self.world.clock.sleep(for: Self.retryAfter)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func serviceKey(ofSlice slice: Document) -> String? {
        guard let namespace = slice.text("metadata", "namespace"),
            let name = slice.at("metadata", "labels", ServicePlanner.serviceNameLabel)?.string
        else { return nil }
        return "\(namespace)/\(name)"
    }

    private func askForZone() {
        if asksForZone { return }
        asksForZone = true
        zoneIsWanted.wake()
    }

    /// Follows this node's own zone from when an endpoint is meant for a zone.
    private func followZone(_ services: Informer, _ wake: AsyncStream<Void>.Continuation) async throws {
        while true {
            let ticket = zoneIsWanted.ticket
            if asksForZone { break }
            try await zoneIsWanted.wait(since: ticket)
        }
        let node = Informer(
            client, .nodes, fieldSelector: "metadata.name=\(planner.nodeName)", world: world, log: log,
            transform: { node in
                var kept: Document = ["apiVersion": "v1", "kind": "Node"]
                for key in ["name", "labels", "resourceVersion"] {
                    kept.set(node.at("metadata", key), at: "metadata", key)
                }
                return kept
            })
        let changes = node.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await node.run() }
            group.addTask {
                for await change in changes {
                    let zone = change.new?.map("metadata", "labels")["topology.kubernetes.io/zone"]
                    if await self.move(to: zone, services) { wake.yield() }
                }
            }
            try await group.waitForAll()
        }
    }

    private func move(to zone: String?, _ services: Informer) -> Bool {
        if planner.zone == zone { return false }
        planner.zone = zone
        dirty.formUnion(services.all.map { ObjectKey.of($0) })
        return true
    }

    private func mark(_ keys: [String]) { dirty.formUnion(keys) }

    private func checkRegularly(_ wake: AsyncStream<Void>.Continuation) async throws {
        while true {
            wake.yield()
            try await world.clock.sleep(for: Self.checkEvery)
        }
    }

    /// Answers whether the kernel is right now.
    private func synchronize(_ services: Informer, _ slices: Informer) -> Bool {
        let keys = dirty
        dirty = []
        let updates = keys.map { key in
            let plan = services.get(key: key).map {
                planner.plan(service: $0, slices: slices.indexed(Self.sliceIndex, key))
            }
            return (key: key, plan: plan)
        }
        let change = table.update(updates)
        do {
            var kernel = try self.kernel ?? ProxyKernel(namespace: namespace, podNetwork: podNetwork)
            if try outOfStep || !kernel.isInPlace() {
                try kernel.rebuild(table)
                log.info("\(table.serviceCount) services are in place")
            } else {
                try kernel.apply(change)
            }
            self.kernel = kernel
            let answered = table.announced
            if answered != announced {
                try announcer?.apply(answered)
                announced = answered
            }
            outOfStep = false
        } catch {
            outOfStep = true
            log.error("services are not right: \(error)")
        }
        healthChecks.update(table.healthChecks, isHealthy: !outOfStep)
        return !outOfStep
    }
}
