import Basics
import Client
import Document
import Kinds
import Synchronization

/// Binds pods to nodes until cancelled.
public func runScheduler(
    client: APIClient, world: World, log: Log, options: SchedulerOptions = SchedulerOptions()
) async throws {
    try await Scheduler(client: client, world: world, log: log, options: options).run()
}

/// The shell around `Core`: informers feed it, one task takes its decisions, and each decision is carried out beside
/// the others: nothing that is sent to the API holds up the next decision.
final class Scheduler: Sendable {
    struct State {
        var core: Core
        /// Pods that wait for someone's permission.
        var permits: [String: Permit] = [:]
    }

    struct Permit {
        var pod: PodInfo
        var waitsFor: Set<String>
        var denial: String?
    }

    /// Decisions being carried out; beyond it, no more are taken. Pods that wait for volumes count too.
    private static let mostOpen = 4_096
    /// Calls to the API at the same time.
    private static let mostCalls = 64
    /// Decisions in a row before others get their turn on the thread.
    private static let decisionsPerTurn = 8

    let client: APIClient
    let world: World
    let log: Log
    let options: SchedulerOptions
    let recorder: EventRecorder
    let metrics: SchedulerMetrics
    let pods: Informer
    let claims: Informer
    let volumes: Informer
    private let nodes: Informer
    private let namespaces: Informer
    private let services: Informer
    private let budgets: Informer
    private let classes: Informer
    private let storageNodes: Informer
    private let drivers: Informer
    private let capacities: Informer
    let state: Mutex<State>
    let work = Wakeup()
    let permitChange = Wakeup()
    private let calls = Gate(Scheduler.mostCalls)

    init(client: APIClient, world: World, log: Log, options: SchedulerOptions) {
        self.client = client
        self.world = world
        self.log = log
        self.options = options
        metrics = options.metrics
        recorder = EventRecorder(client, component: options.configuration.profiles[0].name, world: world)
        func informer(_ resource: ResourceType, fieldSelector: String? = nil) -> Informer {
            Informer(client, resource, fieldSelector: fieldSelector, world: world, log: log)
        }
        pods = informer(.pods, fieldSelector: "status.phase!=Succeeded,status.phase!=Failed")
        nodes = informer(.nodes)
        namespaces = informer(.namespaces)
        services = informer(.services)
        budgets = informer(.podDisruptionBudgets)
        claims = informer(.persistentVolumeClaims)
        volumes = informer(.persistentVolumes)
        classes = informer(.storageClasses)
        storageNodes = informer(.csiNodes)
        drivers = informer(.csiDrivers)
        capacities = informer(.csiStorageCapacities)
        let configuration = options.configuration
        state = Mutex(State(core: Core(configuration.profiles, queue: configuration.queue)))
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            follow(pods, &group) { core, change, now in core.takePod(change.key, change.old, change.new, now: now) }
            follow(nodes, &group) { core, change, _ in core.takeNode(change.key, change.new) }
            follow(namespaces, &group) { core, change, _ in
                core.takeNamespace(change.key, labels: change.new?.map("metadata", "labels"))
            }
            follow(services, &group) { core, change, _ in core.takeService(change) }
            follow(budgets, &group) { core, change, _ in
                core.cluster.budgets[change.key] = change.new.flatMap { DisruptionBudget($0) }
            }
            follow(claims, &group) { core, change, _ in core.takeClaim(change) }
            follow(volumes, &group) { core, change, _ in core.takeVolume(change) }
            follow(classes, &group) { core, change, _ in core.takeStorageClass(change) }
            follow(storageNodes, &group) { core, change, _ in core.takeStorageNode(change) }
            follow(drivers, &group) { core, change, _ in core.takeDriver(change) }
            follow(capacities, &group) { core, change, _ in core.takeCapacity(change) }
            group.addTask {
                for informer in [
                    self.nodes, self.namespaces, self.services, self.budgets, self.claims, self.volumes, self.classes,
                    self.storageNodes, self.drivers, self.capacities, self.pods,
                ] { try await informer.waitForSync() }
                try await self.decide()
            }
            try await group.waitForAll()
        }
    }

    private func follow(
        _ informer: Informer, _ group: inout ThrowingTaskGroup<Void, any Error>,
        _ take: @escaping @Sendable (inout Core, Change, Duration) -> Void
    ) {
        let changes = informer.changes()
        group.addTask { try await informer.run() }
        group.addTask {
            for await change in changes {
                let now = self.world.clock.uptime
                self.state.withLock { take(&$0.core, change, now) }
                self.work.wake()
            }
        }
    }

    // MARK: Decisions

    private func decide() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var open = 0
            var turn = 0
            while true {
                let ticket = work.ticket
                let now = world.clock.uptime
                guard let taken = take(now) else {
                    publish()
                    let due = state.withLock { $0.core.nextDue(now: now) }
                    let rest = due.map { max(.milliseconds(1), $0 - now) }
                    try await work.wait(since: ticket, atMost: rest, clock: world.clock)
                    continue
                }
                if open >= Self.mostOpen {
                    try await group.next()
                    open -= 1
                }
                open += 1
                group.addTask { await self.carryOut(taken) }
                turn += 1
                if turn % Self.decisionsPerTurn == 0 { await Task.yield() }
            }
        }
    }

    struct Taken: Sendable {
        var queued: QueuedPod
        var work: Work
        var began: Duration
    }

    /// `Core.Work`, as it travels between tasks.
    typealias Work = Core.Work

    private func take(_ now: Duration) -> Taken? {
        let taken = state.withLock { state -> Taken? in
            guard let next = state.core.next(now: now, random: world.random) else { return nil }
            return Taken(queued: next.queued, work: next.work, began: now)
        }
        guard let taken else { return nil }
        let seconds = (world.clock.uptime - now).inSeconds
        metrics.change { $0.algorithm.add(seconds) }
        return taken
    }

    private func carryOut(_ taken: Taken) async {
        let pod = taken.queued.pod
        do {
            switch taken.work {
            case .bind(let node): try await finish(taken, on: node)
            case .report(let message, let victims, let nominated):
                metrics.attempt(.unschedulable, profile: pod.schedulerName, seconds: elapsed(since: taken.began))
                try await calls.pass { await self.preempt(victims, for: pod, on: nominated ?? "") }
                try await calls.pass {
                    await self.report(pod, reason: "Unschedulable", message: message, nominated: nominated)
                }
            case .fail(let message):
                metrics.attempt(.error, profile: pod.schedulerName, seconds: elapsed(since: taken.began))
                work.wake()
                try await calls.pass {
                    await self.report(pod, reason: "SchedulerError", message: message, nominated: nil)
                }
            }
        } catch {
            // Cancelled: there is no one left to tell.
        }
    }

    func elapsed(since began: Duration) -> Double { (world.clock.uptime - began).inSeconds }

    private func finish(_ taken: Taken, on node: String) async throws {
        let pod = taken.queued.pod
        do {
            guard let profile = state.withLock({ $0.core.profile(of: pod) }) else { return }
            try await permit(pod, node, profile)
            for plugin in profile.plugins where profile.isEnabled(plugin.name, at: .preBind) {
                do { try await plugin.preBind(pod, node, self) } catch let error where !(error is CancellationError) {
                    throw BindingProblem("running PreBind plugin \"\(plugin.name)\": \(error)")
                }
            }
            try await calls.pass { try await self.bind(pod, to: node) }
            for plugin in profile.plugins where profile.isEnabled(plugin.name, at: .postBind) {
                plugin.postBind(pod, node)
            }
        } catch {
            try Task.checkCancellation()
            return try await bindingFailed(taken, node, error)
        }
        state.withLock { $0.core.bound(pod) }
        bindingSucceeded(taken)
        let message = "Successfully assigned \(pod.key) to \(node)"
        try await calls.pass {
            await self.recorder.record(pod.document, type: .normal, reason: "Scheduled", message: message)
        }
    }

    private func bindingSucceeded(_ taken: Taken) {
        let pod = taken.queued.pod
        metrics.attempt(.scheduled, profile: pod.schedulerName, seconds: elapsed(since: taken.began))
        let waited = elapsed(since: taken.queued.since)
        metrics.change { state in
            state.podAttempts.add(Double(taken.queued.attempts))
            let key = min(taken.queued.attempts, 16)
            state.podSeconds[key, default: Histogram(first: 0.01, factor: 2, count: 20)].add(waited)
        }
    }

    private func bind(_ pod: PodInfo, to node: String) async throws {
        let binding: Document = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": Document(pod.name), "namespace": Document(pod.namespace), "uid": Document(pod.uid)],
            "target": ["kind": "Node", "name": Document(node)],
        ]
        _ = try await client.create(.pods, namespace: pod.namespace, binding, name: pod.name, subresource: "binding")
    }

    private func bindingFailed(_ taken: Taken, _ node: String, _ error: any Error) async throws {
        let pod = taken.queued.pod
        log.warning("binding \(pod.key) to \(node): \(error)")
        let failure: Core.BindingFailure
        switch error {
        case let status as APIStatus: failure = status.isNotFound ? .gone : status.code >= 500 ? .unclear : .refused
        case is BindingProblem: failure = .refused
        default: failure = .unclear
        }
        state.withLock { $0.core.bindingFailed(pod, node, failure) }
        metrics.attempt(.error, profile: pod.schedulerName, seconds: elapsed(since: taken.began))
        work.wake()
        // A pod that is gone, or has a node after all, needs no news.
        if failure == .gone || (error as? APIStatus)?.isConflict == true { return }
        let message =
            error is BindingProblem ? "\(error)" : "binding rejected: running Bind plugin \"DefaultBinder\": \(error)"
        try await calls.pass {
            await self.report(pod, reason: "SchedulerError", message: message, nominated: nil)
        }
    }

    private func publish() {
        let (figures, sizes) = state.withLock { state in
            let core = state.core
            return (
                core.queue.figures,
                ["nodes": core.cluster.nodeCount, "pods": core.cluster.podCount, "assumed_pods": core.assumedCount]
            )
        }
        let profile = options.configuration.profiles[0].name
        metrics.change { state in
            state.queue = figures
            state.cache = sizes
            state.profile = profile
        }
    }
}
