import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization

/// Keeps the custom resources that the server serves: what the stored definitions say, and nothing else.
///
/// The definitions are read at the start and followed from then on, so that several servers over one store agree.
/// From them follow, each time one changes: the names that definitions get (`NameAcceptance`), the resources in the
/// registry, and what has to be cleaned up before a definition can go.
final class CustomResources: Sendable {
    private let registry: Schema.Registry
    private let store: any Store
    private let world: World
    private let log: Log
    private let converter: ObjectConverter
    private let state = Mutex(State())
    private let served: @Sendable () -> Void
    private let cleanup: AsyncStream<Void>
    private let cleanupSignal: AsyncStream<Void>.Continuation

    private struct Stored: Sendable {
        var document: Document
        var record: Record
    }

    private struct State {
        var stored: [String: Stored] = [:]
        var served: [String: ServedDefinition] = [:]
    }

    static let finalizer = "customresourcecleanup.apiextensions.k8s.io"

    /// - served: is told whenever what is served has changed.
    init(
        registry: Schema.Registry, store: any Store, world: World, log: Log, connector: ServiceConnector,
        served: @escaping @Sendable () -> Void
    ) {
        self.registry = registry
        self.served = served
        self.store = store
        self.world = world
        self.log = log
        converter = ObjectConverter(
            webhooks: ConversionWebhooks(connector: connector, random: world.random))
        (cleanup, cleanupSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: For requests

    /// The server's parts as a request for `resource` needs them: with the store in the resource's version.
    func view(_ resources: Resources, of resource: ResourceInfo) -> Resources {
        guard let custom = resource.custom, let definition = state.withLock({ $0.served[custom.definition] }) else {
            return resources
        }
        var view = resources
        view.store = CustomResourceStore(
            base: store, definition: definition, resource: resource, converter: converter)
        return view
    }

    /// The version of a definition that objects are stored in.
    func storageResource(of definition: String) -> ResourceInfo? {
        guard let served = state.withLock({ $0.served[definition] }) else { return nil }
        return served.versions[served.storageVersion]
    }

    // MARK: Following the definitions

    private func resource() throws -> ResourceInfo {
        guard
            let resource = registry.resource(
                group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions")
        else { throw APIStatus.internalError("definitions are not declared") }
        return resource
    }

    /// Serves what the store holds now.
    @discardableResult
    func load() async throws -> Revision {
        let resource = try resource()
        let page = try await store.list(prefix: ObjectCodec.prefix(resource), after: nil, limit: nil, at: nil)
        var stored: [String: Stored] = [:]
        for record in page.records {
            let document = try ObjectCodec.document(record.value, resource)
            stored[document.text("metadata", "name") ?? ""] = Stored(document: document, record: record)
        }
        state.withLock { $0.stored = stored }
        try await refresh()
        return page.revision
    }

    /// Follows the definitions until cancelled.
    func run(cleaning: @escaping @Sendable (Document) async throws -> Bool) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.follow() }
            group.addTask { try await self.clean(cleaning) }
            try await group.waitForAll()
        }
    }

    private func follow() async throws {
        while true {
            do {
                let revision = try await load()
                let resource = try resource()
                let watch = try await store.watch(prefix: ObjectCodec.prefix(resource), after: revision)
                defer { watch.cancel() }
                while true {
                    let batch = try await watch.next()
                    for event in batch.events { try take(event, resource) }
                    if !batch.events.isEmpty { try await refresh() }
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                log.warning("custom resources: \(error)")
                try await world.clock.sleep(for: .seconds(1))
            }
        }
    }

    private func take(_ event: StoreEvent, _ resource: ResourceInfo) throws {
        let document = try ObjectCodec.document(event.record.value, resource)
        let name = document.text("metadata", "name") ?? ""
        state.withLock { state in
            if event.kind == .deleted {
                state.stored[name] = nil
            } else if state.stored[name].map({ $0.record.revision < event.record.revision }) ?? true {
                state.stored[name] = Stored(document: document, record: event.record)
            }
        }
    }

    /// Brings names, registry and conditions to what the definitions say.
    private func refresh() async throws {
        let resource = try resource()
        let stored = state.withLock { $0.stored }
        // The older definition keeps its names.
        var order = stored.values.sorted { $0.record.created < $1.record.created }
        var changed: [Stored] = []
        for index in order.indices {
            let definition = order[index].document
            guard definition.text("metadata", "deletionTimestamp") == nil else { continue }
            let status = NameAcceptance.status(
                of: definition, among: order.map(\.document), now: world.clock.now)
            guard !status.means(definition["status"] ?? .null) else { continue }
            order[index].document["status"] = status
            Kinds.applyDefaults(to: &order[index].document, resource: resource)
            if !order[index].document.sameObject(as: definition) { changed.append(order[index]) }
        }
        serve(order)
        // Whoever reads that a definition is established finds it served.
        for entry in changed {
            do {
                let written = try await store.update(
                    entry.record.key, expected: entry.record.revision, ObjectCodec.encoding(entry.document))
                let document = try ObjectCodec.document(written.value, resource)
                state.withLock {
                    $0.stored[document.text("metadata", "name") ?? ""] = Stored(document: document, record: written)
                }
            } catch StoreError.conflict, StoreError.notFound {
                // Somebody wrote it meanwhile; their event brings us here again.
                continue
            }
        }
        if order.contains(where: { Self.needsCleanup($0.document) }) { cleanupSignal.yield() }
    }

    static func needsCleanup(_ definition: Document) -> Bool {
        definition.text("metadata", "deletionTimestamp") != nil
            && definition.list("metadata", "finalizers").contains { $0.string == finalizer }
    }

    private func serve(_ stored: [Stored]) {
        let registry = registry
        let (resources, retired, isNew) = state.withLock { state -> ([ResourceInfo], [ServedDefinition], Bool) in
            var isNew = false
            var served: [String: ServedDefinition] = [:]
            var resources: [ResourceInfo] = []
            for entry in stored {
                let name = entry.document.text("metadata", "name") ?? ""
                guard DefinitionRules.isTrue("Established", entry.document) else { continue }
                let known = state.served[name].flatMap { $0.isCurrent(entry.document) ? $0 : nil }
                guard
                    let definition = known
                        ?? ServedDefinition(
                            entry.document, since: entry.record.revision, registry: registry,
                            gate: state.served[name]?.gate)
                else { continue }
                served[name] = definition
                if known == nil { isNew = true }
                let isGoing = entry.document.text("metadata", "deletionTimestamp") != nil
                if definition.noteGoing(isGoing) { isNew = true }
                for version in definition.served {
                    guard let resource = definition.versions[version] else { continue }
                    resources.append(isGoing ? resource.terminating() : resource)
                }
            }
            let retired = state.served.values.filter { served[$0.name] !== $0 }
            state.served = served
            return (resources, retired, isNew)
        }
        // Most changes of a definition are changes of its conditions, which change nothing here.
        guard !retired.isEmpty || isNew else { return }
        registry.setAdded(resources)
        served()
        for definition in retired { definition.retire() }
    }

    // MARK: Going

    private static let recheckTime = Duration.seconds(1)

    /// Cleans up after deleted definitions. `remove` deletes what objects there are and says whether none is left.
    private func clean(_ remove: @escaping @Sendable (Document) async throws -> Bool) async throws {
        for await _ in cleanup {
            try Task.checkCancellation()
            while true {
                let waiting = state.withLock { state in
                    state.stored.values.map(\.document).filter(Self.needsCleanup)
                }
                var isDone = true
                for definition in waiting {
                    do {
                        if try await !finish(definition, remove) { isDone = false }
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        log.warning("removing the objects of \(definition.text("metadata", "name") ?? ""): \(error)")
                        isDone = false
                    }
                }
                if isDone { break }
                try await world.clock.sleep(for: Self.recheckTime)
            }
        }
        try Task.checkCancellation()
    }

    /// True once nothing is left to do for the definition.
    private func finish(
        _ definition: Document, _ remove: @escaping @Sendable (Document) async throws -> Bool
    ) async throws -> Bool {
        let name = definition.text("metadata", "name") ?? ""
        let isEstablished = DefinitionRules.isTrue("Established", definition)
        try await change(name) { definition, conditions in
            conditions.set(
                "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        }
        // Who was creating objects when the gate closed comes first: what they write is removed too.
        try await state.withLock { $0.served[name]?.gate }?.emptied()
        if isEstablished, try await !remove(definition) { return false }
        try await change(name) { definition, conditions in
            if isEstablished {
                conditions.set("Terminating", "False", "InstanceDeletionCompleted", "removed all instances")
            } else {
                conditions.set("Terminating", "False", "NeverEstablished", "resource was never established")
            }
            let left = definition.list("metadata", "finalizers").filter { $0.string != Self.finalizer }
            definition.set(left.isEmpty ? .none : .some(Document(left)), at: "metadata", "finalizers")
        }
        return true
    }

    /// Writes a terminating definition, and removes it where nothing holds it any more.
    private func change(
        _ name: String, _ body: (inout Document, inout Conditions) -> Void
    ) async throws {
        let resource = try resource()
        let key = ObjectCodec.key(resource, namespace: "", name: name)
        for _ in 0..<Resources.conflictRetries {
            guard let record = try await store.get(key) else { return }
            let old = try ObjectCodec.document(record.value, resource)
            guard Self.needsCleanup(old) else { return }
            var new = old
            var conditions = Conditions(old.list("status", "conditions"), now: world.clock.now)
            body(&new, &conditions)
            new.set(Document(conditions.list), at: "status", "conditions")
            if new.sameObject(as: old) { return }
            let encode = ObjectCodec.encoding(new)
            do {
                if new.list("metadata", "finalizers").isEmpty {
                    _ = try await store.delete(key, expected: record.revision, encode)
                } else {
                    _ = try await store.update(key, expected: record.revision, encode)
                }
                return
            } catch StoreError.conflict, StoreError.notFound { continue }
        }
        throw APIStatus.modified(resource, name)
    }
}
