import Basics
import Document
import Kinds
import Synchronization

/// What became of one object since the reader last looked. `old` is nil for a new object, `new` for a deleted one.
public struct Change: Sendable, Equatable {
    public var key: String
    public var old: Document?
    public var new: Document?

    public init(key: String, old: Document?, new: Document?) {
        self.key = key
        self.old = old
        self.new = new
    }
}

/// A current copy of a collection, kept by list and watch, read without waiting.
///
/// Reads see the copy; they may be a little behind the server, never torn. Every reader of `changes()` gets
/// each key's latest change, in the order in which the keys first changed.
public final class Informer: Sendable {
    fileprivate struct Index {
        let name: String
        let keys: @Sendable (Document) -> [String]
        var members: [String: Set<String>] = [:]
    }

    fileprivate struct State {
        var objects: [String: Document] = [:]
        /// The keys in order, rebuilt when asked for after one came or went.
        var order: [String]?
        /// A list, so that each is changed where it lies: whoever goes through a dictionary while changing it copies
        /// all that it holds.
        var indexes: [Index] = []
        var readers: [ChangeBuffer] = []
        var resourceVersion: String?
    }

    public let resource: ResourceType
    private let client: APIClient
    private let namespace: String?
    private let labelSelector: String?
    private let fieldSelector: String?
    private let world: World
    private let log: Log
    private let transform: (@Sendable (Document) -> Document)?
    private let state = Mutex(State())
    private let progress = Wakeup()

    /// `transform` reduces each object to what the readers need before it is kept.
    public init(
        _ client: APIClient, _ resource: ResourceType, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil, world: World, log: Log,
        transform: (@Sendable (Document) -> Document)? = nil
    ) {
        self.client = client
        self.resource = resource
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.world = world
        self.log = log
        self.transform = transform
    }

    // MARK: Reading

    public func get(namespace: String?, name: String) -> Document? {
        get(key: ObjectKey.make(namespace: namespace, name: name))
    }

    /// The object under `namespace/name`, or `name` where it has no namespace.
    public func get(key: String) -> Document? { state.withLock { $0.objects[key] } }

    /// Every object, in key order.
    public var all: [Document] {
        state.withLock { state in
            let order = state.order ?? state.objects.keys.sorted()
            state.order = order
            return order.compactMap { state.objects[$0] }
        }
    }

    public var count: Int { state.withLock { $0.objects.count } }

    /// Names a grouping of the objects, for `indexed`. Call before `run`.
    public func addIndex(_ name: String, _ keys: @escaping @Sendable (Document) -> [String]) {
        state.withLock { state in
            var index = Index(name: name, keys: keys)
            for (key, object) in state.objects {
                for value in keys(object) { index.members[value, default: []].insert(key) }
            }
            if let known = state.indexes.firstIndex(where: { $0.name == name }) {
                state.indexes[known] = index
            } else {
                state.indexes.append(index)
            }
        }
    }

    /// The objects that the index `name` has under `value`, in key order.
    public func indexed(_ name: String, _ value: String) -> [Document] {
        state.withLock { state in
            (state.indexes.first { $0.name == name }?.members[value] ?? []).sorted().compactMap { state.objects[$0] }
        }
    }

    public var hasSynced: Bool { state.withLock { $0.resourceVersion != nil } }

    /// The server's state that the copy has reached at least; nil before the first list.
    public var resourceVersion: String? { state.withLock { $0.resourceVersion } }

    public func waitForSync() async throws {
        while true {
            let ticket = progress.ticket
            if hasSynced { return }
            try await progress.wait(since: ticket)
        }
    }

    /// Whether a write that the server numbered `version` is in the copy. Versions that are no numbers count as seen.
    public func hasReached(_ version: String) -> Bool {
        guard let wanted = Int64(version) else { return true }
        guard let reached = resourceVersion.flatMap({ Int64($0) }) else { return false }
        return reached >= wanted
    }

    /// Returns once `condition` holds, looking again after every change, or after `limit` with false.
    public func wait(atMost limit: Duration, until condition: @Sendable () -> Bool) async throws -> Bool {
        let deadline = world.clock.uptime + limit
        while true {
            let ticket = progress.ticket
            if condition() { return true }
            let rest = deadline - world.clock.uptime
            guard rest > .zero else { return false }
            try await progress.wait(since: ticket, atMost: rest, clock: world.clock)
        }
    }

    /// The changes from now on, beginning with one for every object already here. Ends when its task is cancelled.
    /// What a reader has not taken yet is held once per key, so a slow reader costs no more than the collection.
    public func changes() -> AsyncStream<Change> {
        let buffer = ChangeBuffer()
        state.withLock { state in
            for key in state.objects.keys.sorted() {
                buffer.add(Change(key: key, old: nil, new: state.objects[key]))
            }
            state.readers.append(buffer)
        }
        return AsyncStream(unfolding: { await buffer.next() })
    }

    // MARK: Following

    /// Lists and watches until cancelled.
    public func run() async throws {
        var reflector = Reflector()
        while true {
            try Task.checkCancellation()
            let outcome: Reflector.Outcome
            do {
                switch reflector.step {
                case .list: outcome = try await list()
                case .watch(let version): outcome = try await watch(from: version, &reflector)
                }
            } catch let status as APIStatus where status.isExpired {
                outcome = .expired
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                try Task.checkCancellation()
                log.debug("following \(resource): \(error)")
                outcome = .failed
            }
            let jitter = Double(world.random.below(1 << 20)) / Double(1 << 20)
            let pause = reflector.finished(outcome, jitter: jitter)
            if pause > .zero { try await world.clock.sleep(for: pause) }
        }
    }

    private func list() async throws -> Reflector.Outcome {
        let list = try await client.list(
            resource, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector)
        let version = list.text("metadata", "resourceVersion") ?? ""
        replace(with: list.list("items").map { kept(typed($0.detached)) }, version: version)
        return .listed(version)
    }

    private func watch(from version: String, _ reflector: inout Reflector) async throws -> Reflector.Outcome {
        // The server ends each watch after some minutes, so that a connection that died unnoticed is found out.
        let stream = try await client.watch(
            resource, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector,
            resourceVersion: version, timeoutSeconds: 300 + world.random.below(300))
        defer { stream.cancel() }
        var delivered = false
        while let event = try await stream.next() {
            delivered = true
            let version = event.object.text("metadata", "resourceVersion") ?? ""
            apply(event, version: version)
            reflector.advanced(to: version)
        }
        return .ended(deliveredEvents: delivered)
    }

    /// Items of a list may leave out their type, which is the list's.
    private func typed(_ item: Document) -> Document {
        if item["kind"] != nil, item["apiVersion"] != nil { return item }
        return Document(
            members: [("kind", Document(resource.kind)), ("apiVersion", Document(resource.apiVersion))]
                + item.members.map { ($0.key, $0.value) })
    }

    private func kept(_ object: Document) -> Document { transform?(object) ?? object }

    func replace(with objects: [Document], version: String) {
        state.withLock { state in
            var gone = Set(state.objects.keys)
            for object in objects {
                let key = ObjectKey.of(object)
                gone.remove(key)
                if state.objects[key] != object { Self.set(key, to: object, in: &state) }
            }
            for key in gone.sorted() { Self.set(key, to: nil, in: &state) }
            state.resourceVersion = version
        }
        progress.wake()
    }

    func apply(_ event: WatchEvent, version: String) {
        state.withLock { state in
            switch event {
            case .added(let object), .modified(let object):
                Self.set(ObjectKey.of(object), to: kept(object), in: &state)
            case .deleted(let object): Self.set(ObjectKey.of(object), to: nil, in: &state, last: kept(object))
            case .bookmark: break
            }
            state.resourceVersion = version
        }
        progress.wake()
    }

    /// `last` is a deleted object's final state, which readers get as `old`.
    private static func set(_ key: String, to new: Document?, in state: inout State, last: Document? = nil) {
        let old = state.objects[key]
        if old == nil, new == nil { return }
        state.objects[key] = new
        if (old == nil) != (new == nil) { state.order = nil }
        for place in state.indexes.indices { state.indexes[place].move(key, from: old, to: new) }
        let change = Change(key: key, old: new == nil ? last ?? old : old, new: new)
        for reader in state.readers { reader.add(change) }
    }
}

extension Informer.Index {
    fileprivate mutating func move(_ key: String, from old: Document?, to new: Document?) {
        let before = old.map(keys) ?? []
        let after = new.map(keys) ?? []
        if before == after { return }
        for value in before {
            members[value]?.remove(key)
            if members[value]?.isEmpty == true { members[value] = nil }
        }
        for value in after { members[value, default: []].insert(key) }
    }
}

/// One reader's changes, at most one for each key.
private final class ChangeBuffer: Sendable {
    fileprivate struct State {
        var changes: [String: Change] = [:]
        var order: [String] = []
        var taken = 0
    }

    private let state = Mutex(State())
    private let arrival = Wakeup()

    /// Joins `change` to the key's change that was not taken yet.
    func add(_ change: Change) {
        state.withLock { state in
            if let waiting = state.changes[change.key] {
                state.changes[change.key] = Change(key: change.key, old: waiting.old, new: change.new)
            } else {
                state.changes[change.key] = change
                state.order.append(change.key)
            }
        }
        arrival.wake()
    }

    func next() async -> Change? {
        while true {
            let ticket = arrival.ticket
            if let change = state.withLock({ $0.take() }) {
                // An object that came and went between two looks was never here for this reader.
                if change.old == nil, change.new == nil { continue }
                return change
            }
            do { try await arrival.wait(since: ticket) } catch { return nil }
        }
    }
}

extension ChangeBuffer.State {
    fileprivate mutating func take() -> Change? {
        guard taken < order.count else { return nil }
        let change = changes.removeValue(forKey: order[taken])
        taken += 1
        if taken > 1_000 || taken == order.count {
            order.removeFirst(taken)
            taken = 0
        }
        return change
    }
}
