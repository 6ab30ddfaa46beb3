import Basics
import Client
import Document
import Kinds
import Synchronization

/// Which static pods run, and what the API server shows of them. Pure: what was found and what is known goes in, what
/// shall be done comes out.
struct StaticPlan: Equatable {
    /// Wanted and neither running nor in the way of one that still ends.
    var start: [Document] = []
    /// Running and no longer wanted, by uid.
    var stop: [String] = []
    /// Wanted without an image in the API.
    var createMirrors: [Document] = []
    /// Images in the API that show nothing, or not what runs: name, namespace, uid.
    var deleteMirrors: [Document] = []

    /// `running` are the uids of the static pods that have not ended, by the pods' names.
    static func make(wanted: [Document], running: [String: String], mirrors: [Document], isComplete: Bool) -> StaticPlan
    {
        var plan = StaticPlan()
        var byName: [String: Document] = [:]
        for pod in wanted { byName[StaticPod.key(pod)] = pod }
        for (name, pod) in byName.sorted(by: { $0.key < $1.key }) where running[name] == nil { plan.start.append(pod) }
        for (name, uid) in running.sorted(by: { $0.key < $1.key }) where byName[name]?.text("metadata", "uid") != uid {
            // Until every source has been read once, what is missing may only not have been found yet.
            if isComplete || byName[name] != nil { plan.stop.append(uid) }
        }
        var shown: Set<String> = []
        for mirror in mirrors {
            let name = StaticPod.key(mirror)
            let hash = mirror.text("metadata", "annotations", PodIdentity.mirrorAnnotation)
            let shows = running[name] ?? byName[name]?.text("metadata", "uid")
            if hash == shows, mirror.text("metadata", "deletionTimestamp") == nil {
                shown.insert(name)
            } else if shows != nil || isComplete {
                plan.deleteMirrors.append(mirror)
                shown.insert(name)
            }
        }
        for (name, pod) in byName.sorted(by: { $0.key < $1.key }) where !shown.contains(name) {
            if running[name] == nil || running[name] == pod.text("metadata", "uid") { plan.createMirrors.append(pod) }
        }
        return plan
    }
}

/// Keeps static pods running and their images in the API.
final class StaticPods: Sendable {
    private struct State {
        var found: [String: [Document]] = [:]
        var running: [String: String] = [:]
    }

    private let node: NodeContext
    private let pods: Informer
    private let table: WorkerTable
    private let source: StaticPodSource
    private let state = Mutex(State())
    private let change = Wakeup()

    init(node: NodeContext, pods: Informer, table: WorkerTable, source: StaticPodSource) {
        (self.node, self.pods, self.table, self.source) = (node, pods, table, source)
    }

    /// The pods of the node's directory, which live whether the API server shows them or not.
    func known() async throws -> [String] { try await source.files().compactMap { $0.text("metadata", "uid") } }

    /// Mirrors in the API have changed.
    func wake() { change.wake() }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.source.watchFiles { self.take("file", $0) } }
            group.addTask { try await self.source.followURL { self.take("http", $0) } }
            group.addTask { await self.keep() }
            while try await group.next() != nil {}
        }
    }

    private func take(_ source: String, _ pods: [Document]) {
        state.withLock { $0.found[source] = pods }
        change.wake()
    }

    private var sources: Int {
        (node.configuration.staticPodPath.isEmpty ? 0 : 1) + (node.configuration.staticPodURL.isEmpty ? 0 : 1)
    }

    private func keep() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let ticket = change.ticket
                let mirrors = pods.hasSynced ? pods.all.filter(PodIdentity.isMirror) : []
                let plan = state.withLock { state in
                    StaticPlan.make(
                        wanted: state.found.sorted { $0.key < $1.key }.flatMap(\.value), running: state.running,
                        mirrors: mirrors, isComplete: state.found.count >= self.sources)
                }
                for pod in plan.start { start(pod, in: &group) }
                for uid in plan.stop { table[uid]?.inbox.answer(.vanished) }
                let isSettled = await show(plan, mirrors)
                do {
                    if isSettled {
                        try await change.wait(since: ticket)
                    } else {
                        try await change.wait(since: ticket, atMost: .seconds(2), clock: node.world.clock)
                    }
                } catch { return }
            }
        }
    }

    private func start(_ pod: Document, in group: inout DiscardingTaskGroup) {
        let uid = pod.text("metadata", "uid") ?? ""
        let worker = PodWorker(
            pod: pod, node: node, refusal: node.ledger.admit(pod, nodeName: node.configuration.nodeName))
        table.add(worker)
        state.withLock { $0.running[StaticPod.key(pod)] = uid }
        group.addTask {
            await worker.run()
            self.table.finish(uid)
            self.table.forgetFinished(uid)
            self.node.ledger.release(uid)
            self.state.withLock { $0.running[StaticPod.key(pod)] = nil }
            self.change.wake()
        }
    }

    /// Brings the images in the API to what they shall be; false when it has to be tried again.
    private func show(_ plan: StaticPlan, _ mirrors: [Document]) async -> Bool {
        for mirror in mirrors where mirror.text("metadata", "deletionTimestamp") == nil {
            table[PodIdentity.uid(mirror)]?.writer.aim(at: mirror)
        }
        guard pods.hasSynced else { return plan.createMirrors.isEmpty }
        var isSettled = true
        for mirror in plan.deleteMirrors {
            do {
                _ = try await node.client.delete(
                    .pods, namespace: mirror.text("metadata", "namespace") ?? "default",
                    name: mirror.text("metadata", "name") ?? "",
                    options: [
                        "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                        "preconditions": ["uid": mirror.at("metadata", "uid") ?? ""],
                    ])
            } catch let status as APIStatus where status.isNotFound || status.isConflict {
            } catch {
                node.log.debug("mirror of a static pod: \(error)")
                isSettled = false
            }
        }
        for pod in plan.createMirrors {
            guard let uid = node.ledger.nodeUID else {
                isSettled = false
                continue
            }
            do { _ = try await node.client.create(.pods, StaticPod.mirror(of: pod, nodeUID: uid)) } catch let status
                as APIStatus where status.isAlreadyExists
            {} catch {
                node.log.debug("mirror of static pod \(StaticPod.key(pod)): \(error)")
                isSettled = false
            }
        }
        return isSettled
    }
}
