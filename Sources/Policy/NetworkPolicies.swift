import Basics
import Client
import Document
import Linux

/// Holds the pods of one node to the cluster's network policies.
///
/// Policies are always followed; pods and namespaces only while there is any policy, and of pods only what policies
/// can ask for. So a cluster without policies pays one idle watch.
public actor NetworkPolicies {
    /// A pod whose policies cannot be told in time does not start; its kubelet tries again.
    public struct NotInForce: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private static let checkEvery = Duration.seconds(30)
    private static let retryAfter = Duration.seconds(1)
    static let patience = Duration.seconds(10)

    private let policies: Informer
    private let client: APIClient
    private let world: World
    private let log: Log
    private let namespace: NetworkNamespace?

    private var planner: PolicyPlanner
    private var kernel: PolicyKernel?
    /// Whether the kernel may differ from the planner, so that only a rebuild helps.
    private var outOfStep = true
    /// Whether the pods and namespaces are known that policies speak of.
    private var isFollowing = false
    private let progress = Wakeup()
    private let work = Wakeup()

    /// `namespace` is the node's network namespace; nil for the one that this process is in.
    public init(
        nodeName: String, client: APIClient, world: World, log: Log, namespace: NetworkNamespace? = nil
    ) {
        planner = PolicyPlanner(node: nodeName)
        policies = Informer(client, .networkPolicies, world: world, log: log)
        self.client = client
        self.world = world
        self.log = log
        self.namespace = namespace
    }

    // MARK: Pods of this node

    /// Returns once the pod may send its first packet: what is allowed to it is in force.
    public func attached(uid: String, address: IPAddress) async throws {
        planner.set(attached: uid, address)
        work.wake()
        let deadline = world.clock.uptime + Self.patience
        while true {
            let ticket = progress.ticket
            if isInForce(for: uid) { return }
            let rest = deadline - world.clock.uptime
            guard rest > .zero else { throw NotInForce(description: "network policies are not in force yet") }
            try await progress.wait(since: ticket, atMost: rest, clock: world.clock)
        }
    }

    public func detached(uid: String) {
        planner.set(attached: uid, nil)
        work.wake()
    }

    private func isInForce(for uid: String) -> Bool {
        guard policies.hasSynced else { return false }
        if policies.count == 0, planner.policyCount == 0 { return true }
        return isFollowing && !outOfStep && planner.isSettled && planner.knows(uid)
    }

    // MARK: Following

    public func run() async throws {
        let changes = policies.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.policies.run() }
            group.addTask { for await change in changes { await self.take(policy: change) } }
            group.addTask {
                // An empty list changes nothing, but whoever waits for it has to be told.
                try await self.policies.waitForSync()
                try await self.removeTable()
                self.progress.wake()
            }
            group.addTask { try await self.enforceWhileNeeded() }
            try await group.waitForAll()
        }
    }

    private func take(policy change: Change) {
        planner.set(policy: change.key, change.new.flatMap { PolicyText($0) })
        work.wake()
    }

    /// A table of an agent before this one means nothing any more where there are no policies.
    private func removeTable() throws {
        guard policies.count == 0 else { return }
        do { try kernelNow().remove() } catch { log.error("stale network policies stay in force: \(error)") }
    }

    private func enforceWhileNeeded() async throws {
        while true {
            try await waitUntil { $0.planner.policyCount > 0 }
            try await follow()
        }
    }

    private func waitUntil(_ condition: @Sendable (isolated NetworkPolicies) -> Bool) async throws {
        while true {
            let ticket = work.ticket
            if condition(self) { return }
            try await work.wait(since: ticket)
        }
    }

    /// Follows pods and namespaces and keeps the kernel right until the last policy is gone.
    private func follow() async throws {
        let pods = Informer(client, .pods, world: world, log: log, transform: PolicyPod.reduce)
        let namespaces = Informer(client, .namespaces, world: world, log: log, transform: Self.reduce)
        let podChanges = pods.changes()
        let namespaceChanges = namespaces.changes()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await pods.run()
                return false
            }
            group.addTask {
                try await namespaces.run()
                return false
            }
            group.addTask {
                for await change in podChanges { await self.take(pod: change) }
                return false
            }
            group.addTask {
                for await change in namespaceChanges { await self.take(namespace: change) }
                return false
            }
            group.addTask { try await self.checkRegularly() }
            group.addTask {
                // Before all is known, a selector that picks nobody may only pick somebody who comes later.
                try await namespaces.waitForSync()
                try await pods.waitForSync()
                await self.takeAll(pods: pods, namespaces: namespaces)
                return try await self.enforce()
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next(), !isOver {}
        }
        stopFollowing()
    }

    /// Of a namespace only its labels matter.
    private static let reduce: @Sendable (Document) -> Document = { namespace in
        var metadata: Document = [:]
        for key in ["name", "labels", "resourceVersion"] { metadata[key] = namespace.at("metadata", key) }
        return ["apiVersion": "v1", "kind": "Namespace", "metadata": metadata]
    }

    private func take(pod change: Change) {
        let old = change.old.flatMap { PolicyPod($0) }
        let new = change.new.flatMap { PolicyPod($0) }
        // A pod of the same name that was made anew is another pod.
        if let old, old.uid != new?.uid { planner.set(pod: old.uid, nil) }
        if let new { planner.set(pod: new.uid, new) }
        work.wake()
    }

    private func take(namespace change: Change) {
        planner.set(namespace: change.key, labels: change.new.map { $0.map("metadata", "labels") })
        work.wake()
    }

    private func takeAll(pods: Informer, namespaces: Informer) {
        for namespace in namespaces.all {
            planner.set(
                namespace: namespace.text("metadata", "name") ?? "", labels: namespace.map("metadata", "labels"))
        }
        for pod in pods.all { if let pod = PolicyPod(pod) { planner.set(pod: pod.uid, pod) } }
        isFollowing = true
    }

    private func stopFollowing() {
        isFollowing = false
        outOfStep = true
        planner.forgetObjects()
        do { try kernelNow().remove() } catch { log.error("network policies stay in force: \(error)") }
        progress.wake()
    }

    // MARK: The kernel

    /// Answers true once there is no policy any more.
    private func enforce() async throws -> Bool {
        while true {
            let ticket = work.ticket
            if planner.policyCount == 0 { return true }
            if synchronize() {
                progress.wake()
                try await work.wait(since: ticket)
            } else {
                try await world.clock.sleep(for: Self.retryAfter)
            }
        }
    }

    private func checkRegularly() async throws -> Bool {
        while true {
            try await world.clock.sleep(for: Self.checkEvery)
            if try isFollowing && !kernelNow().isInPlace() {
                outOfStep = true
                work.wake()
            }
        }
    }

    private func kernelNow() throws -> PolicyKernel {
        if let kernel { return kernel }
        let made = try PolicyKernel(namespace: namespace)
        kernel = made
        return made
    }

    /// Answers whether the kernel is right now.
    private func synchronize() -> Bool {
        do {
            let kernel = try kernelNow()
            if outOfStep {
                try kernel.rebuild(planner.whole())
                log.info("\(planner.policyCount) network policies are in force")
            } else {
                try kernel.apply(planner.flush())
            }
            outOfStep = false
        } catch {
            outOfStep = true
            log.error("network policies are not in force: \(error)")
        }
        return !outOfStep
    }
}
