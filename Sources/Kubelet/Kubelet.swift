import Basics
import Client
import Document
import Images
import Linux
import Runtime
import Synchronization
import Wire

/// The node agent: makes the pods that are bound to its node run, and says how they are.
///
/// It holds nothing that it cannot find again: pods come from the API server, what runs from the pods'
/// supervisors, the rest from directories. It may be killed at any time without stopping a pod.
public final class Kubelet: Sendable {
    fileprivate let configuration: KubeletConfiguration
    fileprivate let node: NodeContext
    private let pods: Informer
    private let registrar: NodeRegistrar
    private let access: ServerAccess
    private let statics: StaticPods
    private let rates = UsageRates()
    let loop: EventLoop?

    /// With `loop`, followed logs wait for the kernel's notifications instead of looking.
    public init(
        configuration: KubeletConfiguration, client: APIClient, runtime: any SandboxRuntime,
        images: any ImageSource, network: any PodNetworking, world: World, log: Log, loop: EventLoop? = nil
    ) {
        self.configuration = configuration
        self.loop = loop
        let log = log.named("kubelet")
        let pool = BlockingPool(threads: 4)
        let machine = Machine(configuration)
        let ledger = NodeLedger(machine, configuration)
        let health = NodeHealth()
        let workers = WorkerTable()
        self.table = workers
        pods = Informer(
            client, .pods, fieldSelector: "spec.nodeName=\(configuration.nodeName)", world: world, log: log)
        let objects = ReferencedObjects(client, world: world, log: log) { workers[$0]?.inbox.refresh() }
        let tokens = TokenSource(client, clock: world.clock)
        let recorder = EventRecorder(client, component: "kubelet", host: configuration.nodeName, world: world)
        node = NodeContext(
            configuration: configuration, client: client, runtime: runtime, images: images, network: network,
            world: world, log: log, events: EventQueue(recorder),
            services: Informer(client, .services, world: world, log: log), objects: objects, tokens: tokens,
            volumes: VolumeManager(
                configuration: configuration, client: client, objects: objects, tokens: tokens, pool: pool,
                clock: world.clock),
            pool: pool, machine: machine, ledger: ledger, health: health, pullGate: Gate(configuration.parallelPulls),
            networkIsReady: Latch())
        access = ServerAccess(
            mode: configuration.authorization, nodeName: configuration.nodeName, client: client, clock: world.clock)
        registrar = NodeRegistrar(
            configuration: configuration, client: client, images: images, network: network, machine: machine,
            ledger: ledger, health: health, world: world, log: log)
        statics = StaticPods(
            node: node, pods: pods, table: workers,
            source: StaticPodSource(configuration: configuration, world: world, log: log, loop: loop, pool: pool))
    }

    /// Runs until cancelled. The pods go on.
    public func run() async throws {
        for directory in ["pods", "sandboxes"] {
            try Files.makeDirectories("\(configuration.rootDirectory)/\(directory)")
        }
        try Files.makeDirectories(configuration.logDirectory)
        let sweep = OrphanSweep(node: node)
        let changes = pods.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.registrar.run() }
            group.addTask { try await self.node.services.run() }
            group.addTask { try await self.node.objects.run() }
            group.addTask { try await self.node.events.run() }
            group.addTask { try await self.pods.run() }
            group.addTask { try await self.keeper.run() }
            if let collector = ImageCollector(self.node) { group.addTask { try await collector.run() } }
            group.addTask { try await self.statics.run() }
            group.addTask { try await EvictionManager(node: self.node, workers: self.table).run() }
            group.addTask {
                try await self.pods.waitForSync()
                let living = Set(self.pods.all.map(PodIdentity.uid)).union(try await self.statics.known())
                // Before any worker runs, or it might lose what it has just begun to use.
                try? await self.node.images.retain(pods: living)
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { try? await self.openNetwork(sweep, living) }
                    group.addTask { await sweep.removeOrphans(living) }
                    group.addTask { await self.dispatch(changes) }
                }
            }
            defer { group.cancelAll() }
            for try await _ in group {}
        }
    }

    private var keeper: DirectoryKeeper {
        DirectoryKeeper(
            configuration: configuration, client: node.client, pool: node.pool, events: node.events, world: node.world,
            log: node.log)
    }

    private func openNetwork(_ sweep: OrphanSweep, _ living: Set<String>) async throws {
        if await node.network.readiness() != nil { try await node.network.awaitReadiness() }
        await sweep.retainAddresses(living)
        node.networkIsReady.open()
    }

    /// The API on port 10250. Whoever serves it must ask clients for certificates and verify them.
    public var handler: Handler {
        let server = KubeletServer(
            configuration: configuration, pods: pods, pool: node.pool, world: node.world, machine: node.machine,
            loop: loop, workers: table,
            access: access, rates: rates)
        return { await server.handle($0) }
    }

    // MARK: Workers

    private let table: WorkerTable

    /// Every change goes to the worker of its pod, by uid: a name may be taken again while its last bearer is still
    /// being removed.
    private func dispatch(_ changes: AsyncStream<Change>) async {
        await withDiscardingTaskGroup { group in
            for await change in changes {
                let oldUID = change.old?.text("metadata", "uid")
                let newUID = change.new?.text("metadata", "uid")
                if let oldUID, oldUID != newUID {
                    // The scheduler counts on its room from now on, though its last program may have a moment left.
                    node.ledger.release(oldUID)
                    table[oldUID]?.inbox.answer(.vanished)
                    table.forgetFinished(oldUID)
                }
                if PodIdentity.isMirror(change.new ?? change.old ?? .null) {
                    statics.wake()
                    continue
                }
                guard let pod = change.new, let uid = newUID else { continue }
                if let worker = table[uid] {
                    worker.writer.compare(pod)
                    worker.inbox.update(pod)
                } else if !table.isFinished(uid) {
                    let worker = PodWorker(pod: pod, node: node, refusal: await admit(pod))
                    table.add(worker)
                    group.addTask {
                        await worker.run()
                        self.node.objects.release(user: uid)
                        try? await self.node.images.release(pod: uid)
                        self.node.ledger.release(uid)
                        self.table.finish(uid)
                    }
                }
            }
        }
    }
}

extension Kubelet {
    /// Why this node does not take a pod that it has not seen before.
    private func admit(_ pod: Document) async -> PodFailure? {
        let phase = pod.text("status", "phase")
        if phase == "Succeeded" || phase == "Failed" { return nil }
        // What was taken in once stays, and what goes needs no place.
        if pod.at("status", "startTime") != nil || pod.text("metadata", "deletionTimestamp") != nil {
            node.ledger.keep(pod)
            return nil
        }
        guard let failure = node.ledger.admit(pod, nodeName: configuration.nodeName) else { return nil }
        // Whoever bound the pod may know newer labels of this node, and resources that others brought to it.
        guard failure.reason == "NodeAffinity" || failure.reason.hasPrefix("OutOf"),
            let now = try? await node.client.get(.nodes, name: configuration.nodeName)
        else { return failure }
        node.ledger.learn(now)
        return node.ledger.admit(pod, nodeName: configuration.nodeName)
    }
}

/// The workers of all pods that are not done with.
final class WorkerTable: Sendable {
    private struct State {
        var workers: [String: PodWorker] = [:]
        /// Pods that are done with here and that the API server still has, because of finalizers.
        var finished: Set<String> = []
    }

    private let state = Mutex(State())
    private let arrival = Wakeup()

    subscript(uid: String) -> PodWorker? { state.withLock { $0.workers[uid] } }
    var count: Int { state.withLock { $0.workers.count } }

    func add(_ worker: PodWorker) {
        state.withLock { $0.workers[worker.uid] = worker }
        arrival.wake()
    }

    /// Of those, how many have their sandbox.
    var runningCount: Int { living.count { $0.hasSandbox } }

    /// In the order of their uids.
    var living: [PodWorker] { state.withLock { $0.workers.values.sorted { $0.uid < $1.uid } } }

    func waitForSome() async throws {
        while true {
            let ticket = arrival.ticket
            if count > 0 { return }
            try await arrival.wait(since: ticket)
        }
    }
    func isFinished(_ uid: String) -> Bool { state.withLock { $0.finished.contains(uid) } }
    func forgetFinished(_ uid: String) { state.withLock { _ = $0.finished.remove(uid) } }

    func finish(_ uid: String) {
        state.withLock { state in
            state.workers[uid] = nil
            state.finished.insert(uid)
        }
    }
}
