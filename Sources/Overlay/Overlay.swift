import Basics
import Client
import Document
import Linux

/// The pod network of one node: addresses for its pods, links to them, and tunnels to the other nodes' pods.
public actor Overlay {
    public struct NotReady: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// Keys that begin with this belong to somebody beside the node's kubelet.
    static let foreignPrefix = "cni/"

    /// How often the kernel is compared with the plan when nothing has changed, and after a failure.
    private static let checkEvery = Duration.seconds(30)
    private static let retryAfter = Duration.seconds(1)

    private let nodeName: String
    private let nodeIP: IPAddress
    private let client: APIClient
    private let stateDirectory: String
    private let world: World
    private let log: Log
    private let namespace: NetworkNamespace?

    private var kernel: OverlayKernel?
    private var pool: AddressPool?
    private var nodes: [OverlayNode] = []
    private var plan: OverlayPlan?
    private var failed = false
    /// Until a look shows otherwise, an agent before this one may have left some.
    private var hasHostPorts = true
    private var untrueSenders = UntrueSenders()
    private var waiting: [AsyncStream<Void>.Continuation] = []

    /// `namespace` is the node's network namespace; nil for the one that this process is in.
    public init(
        nodeName: String, nodeIP: IPAddress, client: APIClient, stateDirectory: String, world: World, log: Log,
        namespace: NetworkNamespace? = nil
    ) {
        self.nodeName = nodeName
        self.nodeIP = nodeIP
        self.client = client
        self.stateDirectory = stateDirectory
        self.world = world
        self.log = log
        self.namespace = namespace
    }

    /// Whether pods can be attached: this node has a pod network, and the kernel holds what it needs.
    public var ready: Bool { plan != nil && pool != nil }

    /// Returns once pods can be attached.
    public func waitUntilReady() async throws {
        while !ready {
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            waiting.append(continuation)
            for await _ in stream { break }
            try Task.checkCancellation()
        }
    }

    // MARK: Nodes

    /// Follows the nodes and keeps the kernel right until cancelled.
    public func run() async throws {
        let informer = Informer(client, .nodes, world: world, log: log)
        let changes = informer.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await informer.run() }
            group.addTask {
                for await _ in changes {
                    while await !self.update(nodes: informer.all) {
                        try await self.world.clock.sleep(for: Self.retryAfter)
                    }
                }
            }
            group.addTask { try await self.checkRegularly() }
            try await group.waitForAll()
        }
    }

    private func checkRegularly() async throws {
        while true {
            try await world.clock.sleep(for: Self.checkEvery)
            reconcile()
            noteUntrueSenders()
        }
    }

    private func noteUntrueSenders() {
        guard let count = untrueSenders.news(in: namespace) else { return }
        log.warning("\(count) packets were dropped whose sender was not at the address that they named")
    }

    /// Takes the nodes as they are now; answers whether the kernel is right now.
    public func update(nodes documents: [Document]) -> Bool {
        let current = documents.compactMap { OverlayNode($0) }
        // Most changes of nodes are heartbeats.
        guard failed || current != nodes else { return true }
        nodes = current
        reconcile()
        return !failed
    }

    func reconcile() {
        guard var own = nodes.first(where: { $0.name == nodeName }) else { return }
        own.address = nodeIP
        do {
            var kernel = try self.kernel ?? OverlayKernel(namespace: namespace)
            let uplink = try kernel.uplink(of: nodeIP)
            if self.kernel == nil {
                for failure in kernel.prepareSettings(uplink: uplink.name) { log.warning(failure) }
            }
            let wanted = OverlayPlan(own: own, all: nodes, uplinkMTU: uplink.mtu)
            let done = try kernel.apply(wanted)
            self.kernel = kernel
            if pool == nil || plan?.own.podNetwork != own.podNetwork {
                pool = try AddressPool(directory: addressDirectory, network: own.podNetwork)
            }
            if plan == nil { hasHostPorts = try kernel.tables.hasTable(HostPorts.table) }
            plan = wanted
            failed = false
            for continuation in waiting { continuation.finish() }
            waiting = []
            if !done.isEmpty {
                log.info("\(own.podNetwork), \(wanted.peers.count) peers: \(done.joined(separator: "; "))")
            }
        } catch {
            failed = true
            log.error("the pod network is not right: \(error)")
        }
    }

    // MARK: Pods

    private var addressDirectory: String { "\(stateDirectory)/addresses" }

    /// Gives the pod whose network namespace is at `namespacePath` an address and a link.
    /// The same key gets the same address, and a second call completes what the first left undone.
    public func attach(podKey: String, namespacePath: String) throws -> PodNetwork {
        try attach(podKey: podKey, namespace: NetworkNamespace(path: namespacePath))
    }

    func attach(podKey: String, namespace: NetworkNamespace) throws -> PodNetwork {
        guard let plan, let kernel else {
            throw NotReady(description: "node \(nodeName) has no pod network yet")
        }
        let isNew = pool?.address(of: podKey) == nil
        guard let address = try pool?.take(for: podKey) else {
            throw NotReady(description: "node \(nodeName) has no pod addresses yet")
        }
        let network = PodNetwork(address: address, gateway: plan.own.gateway, mtu: plan.mtu)
        do {
            try PodLink(network: network).establish(
                node: kernel.routes, nodeNamespace: self.namespace, namespace: namespace)
        } catch {
            if isNew { try? detach(podKey: podKey) }
            throw error
        }
        return network
    }

    /// Opens ports of the node that lead to an attached pod, in place of those that it had.
    public func publish(podKey: String, ports: [HostPort]) throws {
        if ports.isEmpty { return }
        guard let kernel, let address = pool?.address(of: podKey) else {
            throw NotReady(description: "the pod has no address that ports could lead to")
        }
        try hostPorts(kernel).publish(ports, pod: address)
        hasHostPorts = true
    }

    private func hostPorts(_ kernel: OverlayKernel) -> HostPorts {
        HostPorts(node: nodeIP, tables: kernel.tables, namespace: namespace)
    }

    /// Takes the pod's link away and gives its address back. Harmless where there is none.
    public func detach(podKey: String) throws {
        guard let kernel, let pool else {
            // What an earlier life of this agent gave the pod can be taken back only when the network is known again.
            guard try AddressPool.isOwner(podKey, in: addressDirectory) else { return }
            throw NotReady(description: "node \(nodeName) has no pod network yet")
        }
        guard let address = pool.address(of: podKey) else { return }
        if hasHostPorts { try hostPorts(kernel).withdraw(address) }
        try PodLink.remove(for: address, node: kernel.routes)
        try self.pool?.release(podKey)
    }

    /// Detaches every pod but these, and but what others have attached.
    /// One that cannot be detached keeps none of the others.
    public func retain(only keys: Set<String>) throws {
        var failure: (any Error)?
        for key in pool?.keys ?? [] where !keys.contains(key) && !key.hasPrefix(Self.foreignPrefix) {
            do { try detach(podKey: key) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
