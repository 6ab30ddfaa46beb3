import Basics
import Client
import Document
import Kinds
import Synchronization

public struct SchedulerOptions: Sendable {
    /// Pods that name this scheduler are ours.
    public var name = "default-scheduler"

    public init() {}
}

/// Binds pods to nodes until cancelled.
public func runScheduler(
    client: APIClient, world: World, log: Log, options: SchedulerOptions = SchedulerOptions()
) async throws {
    try await Scheduler(client: client, world: world, log: log, options: options).run()
}

/// The shell around `SchedulingQueue`, `Snapshot` and `Framework`: one task decides, pod after pod, each decision
/// counted in the snapshot at once (the pod is *assumed*); binding and reporting run beside it.
final class Scheduler: Sendable {
    private struct State {
        var queue = SchedulingQueue()
        var snapshot = Snapshot()
        var framework = Framework()
        /// Pods that were given a node which the API does not show yet.
        var assumed: Set<String> = []
    }

    /// Bindings under way at the same time.
    private static let concurrency = 64

    private let client: APIClient
    private let world: World
    private let log: Log
    private let options: SchedulerOptions
    private let recorder: EventRecorder
    private let pods: Informer
    private let nodes: Informer
    private let namespaces: Informer
    private let state = Mutex(State())
    private let work = Wakeup()

    init(client: APIClient, world: World, log: Log, options: SchedulerOptions) {
        self.client = client
        self.world = world
        self.log = log
        self.options = options
        recorder = EventRecorder(client, component: options.name, world: world)
        pods = Informer(client, .pods, world: world, log: log)
        nodes = Informer(client, .nodes, world: world, log: log)
        namespaces = Informer(client, .namespaces, world: world, log: log)
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            follow(pods, &group) { $0.takePod($1) }
            follow(nodes, &group) { $0.takeNode($1) }
            follow(namespaces, &group) { $0.takeNamespace($1) }
            group.addTask {
                for informer in [self.nodes, self.namespaces, self.pods] { try await informer.waitForSync() }
                try await self.decide()
            }
            try await group.waitForAll()
        }
    }

    private func follow(
        _ informer: Informer, _ group: inout ThrowingTaskGroup<Void, any Error>,
        _ take: @escaping @Sendable (Scheduler, Change) -> Void
    ) {
        let changes = informer.changes()
        group.addTask { try await informer.run() }
        group.addTask { for await change in changes { take(self, change) } }
    }

    // MARK: Changes

    private func takeNode(_ change: Change) {
        state.withLock { state in
            state.snapshot.setNode(change.key, change.new)
            guard let new = change.new else { return }
            guard let old = change.old else { return state.queue.happened(.nodeAdded) }
            let isRelevant =
                old["spec"] != new["spec"] || old.at("metadata", "labels") != new.at("metadata", "labels")
                || old.at("status", "allocatable") != new.at("status", "allocatable")
            if isRelevant { state.queue.happened(.nodeChanged) }
        }
        work.wake()
    }

    private func takeNamespace(_ change: Change) {
        state.withLock { state in
            let labels = change.new.map { $0.map("metadata", "labels") }
            if state.snapshot.namespaceLabels[change.key] == labels { return }
            state.snapshot.namespaceLabels[change.key] = labels
            state.queue.happened(.namespaceChanged)
        }
        work.wake()
    }

    private func takePod(_ change: Change) {
        state.withLock { state in
            // A pod under the same name but with another uid is another pod.
            if let old = change.old, change.new.map({ ObjectMeta($0).uid != ObjectMeta(old).uid }) ?? true {
                Self.forget(change.key, &state)
            }
            guard let document = change.new else { return }
            let pod = PodInfo(document)
            if PodView(document).isFinished {
                Self.forget(change.key, &state)
            } else if !pod.nodeName.isEmpty {
                state.assumed.remove(pod.key)
                state.queue.remove(pod.key)
                let isNew = state.snapshot.place(of: pod.key) == nil
                state.snapshot.place(pod, on: pod.nodeName)
                if isNew { state.queue.happened(.podAdded) }
            } else if !state.assumed.contains(pod.key) {
                if pod.isTerminating || !isOurs(document) {
                    state.queue.remove(pod.key)
                } else {
                    let isNews = change.old.map { $0["spec"] != document["spec"] || PodInfo($0).labels != pod.labels }
                    state.queue.put(pod, isNews: isNews ?? true)
                }
            }
        }
        work.wake()
    }

    /// Gated pods wait until whoever gated them has removed the gates.
    private func isOurs(_ pod: Document) -> Bool {
        let view = PodView(pod)
        return view.schedulerName == options.name && view.schedulingGates.isEmpty
    }

    private static func forget(_ key: String, _ state: inout State) {
        let wasPlaced = state.snapshot.place(of: key) != nil
        state.snapshot.remove(key)
        state.assumed.remove(key)
        state.queue.remove(key)
        if wasPlaced { state.queue.happened(.podRemoved) }
    }

    // MARK: Decisions

    private func decide() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running = 0
            while true {
                let ticket = work.ticket
                let (taken, due) = state.withLock { state in
                    let taken = take(&state)
                    return (taken, state.queue.nextDue())
                }
                guard let (pod, decision) = taken else {
                    try await work.wait(since: ticket, atMost: due.map { $0 - world.clock.uptime }, clock: world.clock)
                    continue
                }
                if running >= Self.concurrency {
                    try await group.next()
                    running -= 1
                }
                running += 1
                group.addTask { await self.carryOut(decision, pod) }
            }
        }
    }

    /// The next pod with its decision, already counted.
    private func take(_ state: inout State) -> (PodInfo, Decision)? {
        guard let pod = state.queue.pop(now: world.clock.uptime) else { return nil }
        let decision = state.framework.schedule(pod, state.snapshot, random: world.random)
        switch decision {
        case .bind(let node):
            state.assumed.insert(pod.key)
            state.snapshot.place(pod, on: node)
        case .unschedulable(_, let plugins):
            state.queue.refused(pod.key, by: plugins)
        }
        return (pod, decision)
    }

    private func carryOut(_ decision: Decision, _ pod: PodInfo) async {
        switch decision {
        case .bind(let node): await bind(pod, to: node)
        case .unschedulable(let message, _): await report(pod, message)
        }
    }

    private func bind(_ pod: PodInfo, to node: String) async {
        let binding: Document = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": Document(pod.name), "namespace": Document(pod.namespace), "uid": Document(pod.uid)],
            "target": ["kind": "Node", "name": Document(node)],
        ]
        do {
            _ = try await client.create(
                .pods, namespace: pod.namespace, binding, name: pod.name, subresource: "binding")
        } catch {
            if Task.isCancelled { return }
            log.warning("binding \(pod.key) to \(node): \(error)")
            state.withLock { state in
                state.assumed.remove(pod.key)
                // Unless a change that came meanwhile shows it there.
                if pods.get(key: pod.key).map({ PodView($0).nodeName.isEmpty }) ?? true {
                    state.snapshot.remove(pod.key)
                }
                if (error as? APIStatus)?.isNotFound == true {
                    state.queue.remove(pod.key)
                } else {
                    state.queue.failed(pod.key)
                }
                state.queue.happened(.podRemoved)
            }
            return work.wake()
        }
        state.withLock { $0.queue.bound(pod) }
        await recorder.record(
            pod.document, type: .normal, reason: "Scheduled",
            message: "Successfully assigned \(pod.key) to \(node)")
    }

    private func report(_ pod: PodInfo, _ message: String) async {
        await recorder.record(pod.document, type: .warning, reason: "FailedScheduling", message: message)
        let view = PodView(pod.document)
        if let old = view.condition("PodScheduled"), old.text("status") == "False", old.text("message") == message {
            return
        }
        let condition: Document = [
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": Document(message),
            "lastTransitionTime": Document(world.clock.now.rfc3339()),
        ]
        var conditions = pod.document.list("status", "conditions").filter { $0.text("type") != "PodScheduled" }
        conditions.append(condition)
        do {
            _ = try await client.patch(
                .pods, namespace: pod.namespace, name: pod.name,
                ["metadata": ["uid": Document(pod.uid)], "status": ["conditions": Document(conditions)]],
                subresource: "status")
        } catch {
            log.debug("reporting \(pod.key): \(error)")
        }
    }
}
