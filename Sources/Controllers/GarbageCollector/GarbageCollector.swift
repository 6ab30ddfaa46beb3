import Basics
import Client
import Document
import Kinds
import Synchronization

/// Deletes what lost its last owner, in the background, in the foreground, or not at all where the dependents
/// are to be orphaned. Follows the metadata of every collection that can be deleted from.
final class GarbageCollector: Sendable {
    static let name = "garbage-collector-controller"
    private static let workers = 10
    /// These come and go too often to be worth following, and nothing owns them.
    private static let ignored: Set<String> = ["events", "events.events.k8s.io"]

    private let client: APIClient
    private let informers: Informers
    private let served: ServedResources
    private let recorder: EventRecorder
    private let log: Log
    private let graph = Mutex(OwnerGraph())
    private let kinds = Mutex<[String: ResourceType]>([:])
    private let queue: WorkQueue
    private let metrics: ControllerMetrics

    init(
        client: APIClient, informers: Informers, served: ServedResources, world: World, log: Log,
        metrics: ControllerMetrics
    ) {
        self.client = client
        self.informers = informers
        self.served = served
        recorder = EventRecorder(client, component: Self.name, world: world)
        self.log = log.named(Self.name)
        queue = WorkQueue(clock: world.clock, longestDelay: .seconds(60))
        self.metrics = metrics
        metrics.follow(queue, of: Self.name)
    }

    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<Self.workers { group.addTask { try await self.work() } }
            var followed: [ResourceType: Wakeup] = [:]
            while true {
                let ticket = served.ticket
                if let found = served.all {
                    let wanted = follow(found)
                    for resource in wanted.sorted(by: { $0.path() < $1.path() }) where followed[resource] == nil {
                        let changes = informers.metadata(resource).changes()
                        let end = Wakeup()
                        followed[resource] = end
                        group.addTask { await self.take(changes, of: resource, until: end) }
                    }
                    for (resource, end) in followed.sorted(by: { $0.key.path() < $1.key.path() })
                    where !wanted.contains(resource) {
                        followed[resource] = nil
                        end.wake()
                        informers.drop(metadata: resource)
                        graph.withLock { $0.removeAll(of: resource) }
                    }
                }
                try await served.wait(since: ticket)
            }
        }
    }

    private func take(_ changes: AsyncStream<Change>, of resource: ResourceType, until end: Wakeup) async {
        let ticket = end.ticket
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await change in changes { self.take(change, resource) } }
            group.addTask { try? await end.wait(since: ticket) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Notes which kinds there are, and answers the collections to follow.
    private func follow(_ found: [Discovery.Resource]) -> Set<ResourceType> {
        kinds.withLock { kinds in
            kinds = [:]
            for resource in found where kinds["\(resource.type.apiVersion) \(resource.type.kind)"] == nil {
                kinds["\(resource.type.apiVersion) \(resource.type.kind)"] = resource.type
            }
        }
        return Set(
            found.filter { resource in
                ["delete", "list", "watch"].allSatisfy { resource.verbs.contains($0) }
                    && !Self.ignored.contains(resource.type.description)
            }.map(\.type))
    }

    // MARK: Changes

    private func take(_ change: Change, _ resource: ResourceType) {
        let concerned = graph.withLock { graph -> [String] in
            var concerned: [String] = []
            if let old = change.old, old.uid != change.new?.uid { concerned += graph.remove(old) }
            guard let new = change.new else { return concerned }
            graph.put(resource, new)
            let isAwaited = [OwnerGraph.orphanFinalizer, OwnerGraph.foregroundFinalizer]
                .contains { new.finalizers.contains($0) }
            if !new.ownerReferences.isEmpty || (new.isTerminating && isAwaited) { concerned.append(new.uid) }
            // A dependent that no longer blocks, or no longer refers, may free its owner.
            if let old = change.old, old.at("metadata", "ownerReferences") != new.at("metadata", "ownerReferences") {
                concerned += old.ownerReferences.compactMap { $0.text("uid") }.filter { graph.nodes[$0] != nil }
            }
            return concerned
        }
        for uid in concerned { queue.add(uid) }
    }

    private func work() async throws {
        while let uid = await queue.next() {
            do {
                try await judge(uid)
                queue.forget(uid)
            } catch {
                if !Task.isCancelled {
                    let isConflict = (error as? APIStatus)?.isConflict == true
                    if !isConflict {
                        metrics.countError(of: Self.name)
                        log.warning("\(uid): \(error)")
                    }
                    queue.addRateLimited(uid)
                }
            }
            queue.done(uid)
            try Task.checkCancellation()
        }
    }

    // MARK: Verdicts

    private func judge(_ uid: String) async throws {
        var (node, verdict) = graph.withLock { ($0.nodes[uid], $0.verdict(on: uid)) }
        guard let node else { return }
        await reportStrangers(node)
        if case .verify(let owners) = verdict {
            var absent: Set<String> = []
            for owner in owners where try await !exists(owner, dependent: node.object) {
                absent.insert(owner.text("uid") ?? "")
            }
            // Owners that exist will come into the graph; their dependents are judged again if they go.
            if absent.isEmpty { return }
            verdict = graph.withLock { $0.verdict(on: uid, absent: absent) }
            if case .verify(let left) = verdict {
                // Some owners exist but are not followed: the others are dropped, the object stays.
                verdict = .drop(absent.subtracting(left.compactMap { $0.text("uid") }))
            }
        }
        try await carryOut(verdict, on: node)
    }

    /// An owner in another namespace is none: the dependent goes as if it were gone, and its users are told why.
    private func reportStrangers(_ node: OwnerGraph.Node) async {
        for owner in graph.withLock({ $0.strangers(to: node.object) }) {
            let namespace = node.object.namespace ?? ""
            await recorder.record(
                node.object, type: .warning, reason: "OwnerRefInvalidNamespace",
                message: "ownerRef [\(owner.text("apiVersion") ?? "")/\(owner.text("kind") ?? ""), "
                    + "namespace: \(namespace), name: \(owner.text("name") ?? ""), uid: \(owner.text("uid") ?? "")] "
                    + "does not exist in namespace \"\(namespace)\"")
        }
    }

    private func exists(_ owner: Document, dependent: Document) async throws -> Bool {
        let kind = "\(owner.text("apiVersion") ?? "") \(owner.text("kind") ?? "")"
        guard let resource = kinds.withLock({ $0[kind] }) else {
            // A kind that is not served now may be served again; nothing is deleted on a guess.
            throw APIStatus(code: 404, reason: "UnknownKind", message: "owner of unknown kind \(kind)")
        }
        // An owner with a namespace lives in its dependent's; a dependent without one cannot have such an owner.
        if resource.namespaced, dependent.namespace == nil { return false }
        do {
            let found = try await client.get(
                resource, namespace: dependent.namespace, name: owner.text("name") ?? "")
            return found.uid == owner.text("uid")
        } catch let status as APIStatus where status.isNotFound {
            return false
        }
    }

    private func carryOut(_ verdict: OwnerGraph.Verdict, on node: OwnerGraph.Node) async throws {
        let object = node.object
        switch verdict {
        case .nothing, .verify: break
        case .drop(let owners):
            try await patch(node, ["ownerReferences": Self.owners(of: object, without: owners)])
        case .delete(let propagation):
            let options: Document = [
                "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": Document(propagation),
                "preconditions": [
                    "uid": Document(object.uid),
                    "resourceVersion": object.at("metadata", "resourceVersion") ?? .null,
                ],
            ]
            do {
                _ = try await client.delete(
                    node.resource, namespace: object.namespace, name: object.name, options: options)
            } catch let status as APIStatus where status.isNotFound { return }
        case .unblockAndDelete:
            // Objects that own each other would wait for each other for ever.
            let owners = object.ownerReferences.map { owner in
                var owner = owner
                if owner.flag("blockOwnerDeletion") == true { owner["blockOwnerDeletion"] = false }
                return owner
            }
            try await patch(node, ["ownerReferences": Document(owners)])
            let options: Document = [
                "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground",
                "preconditions": ["uid": Document(object.uid)],
            ]
            do {
                _ = try await client.delete(
                    node.resource, namespace: object.namespace, name: object.name, options: options)
            } catch let status as APIStatus where status.isNotFound { return }
        case .removeFinalizer(let finalizer):
            let rest = object.finalizers.filter { $0 != finalizer }
            try await patch(node, ["finalizers": rest.isEmpty ? .null : Document(rest)])
        case .deleteDependents(let dependents):
            for dependent in dependents { queue.add(dependent) }
        case .orphanDependents(let dependents):
            for uid in dependents {
                guard let dependent = graph.withLock({ $0.nodes[uid] }) else { continue }
                try await patch(
                    dependent, ["ownerReferences": Self.owners(of: dependent.object, without: [object.uid])])
            }
            let rest = object.finalizers.filter { $0 != OwnerGraph.orphanFinalizer }
            try await patch(node, ["finalizers": rest.isEmpty ? .null : Document(rest)])
        }
    }

    private static func owners(of object: Document, without gone: Set<String>) -> Document {
        let rest = object.ownerReferences.filter { !gone.contains($0.text("uid") ?? "") }
        return rest.isEmpty ? .null : Document(rest)
    }

    /// Changes metadata of exactly the object that was judged, at the version that was judged.
    private func patch(_ node: OwnerGraph.Node, _ metadata: Document) async throws {
        var metadata = metadata
        metadata["uid"] = Document(node.object.uid)
        metadata["resourceVersion"] = node.object.at("metadata", "resourceVersion")
        do {
            _ = try await client.patch(
                node.resource, namespace: node.object.namespace, name: node.object.name, ["metadata": metadata])
        } catch let status as APIStatus where status.isNotFound { return }
    }
}
