import Basics
import Client
import Document
import Kinds
import Synchronization

/// The configuration maps and secrets that this node's pods refer to, each watched by its name for as long
/// as some pod needs it: the only ones a node is allowed to read.
final class ReferencedObjects: Sendable {
    struct Key: Hashable, Sendable {
        var resource: ResourceType
        var namespace: String
        var name: String
    }

    private final class Entry: Sendable {
        let informer: Informer
        let key: Key
        let end = Wakeup()
        let isOver = Mutex(false)

        init(_ key: Key, _ informer: Informer) {
            self.key = key
            self.informer = informer
        }

        func waitForEnd() async throws {
            while true {
                let ticket = end.ticket
                if isOver.withLock({ $0 }) { return }
                try await end.wait(since: ticket)
            }
        }

        func stop() {
            isOver.withLock { $0 = true }
            end.wake()
        }
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var users: [Key: Set<String>] = [:]
        var new: [Entry] = []
    }

    private let client: APIClient
    private let world: World
    private let log: Log
    private let changed: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let arrival = Wakeup()

    /// The API server's answer is waited for so long before the pod is told that it does not come.
    static let patience = Duration.seconds(30)

    /// `changed` is called with the user's name when an object that it holds has a new version.
    init(_ client: APIClient, world: World, log: Log, changed: @escaping @Sendable (String) -> Void) {
        self.client = client
        self.world = world
        self.log = log
        self.changed = changed
    }

    /// The object, nil when there is none. It stays watched until `release`.
    func get(_ key: Key, user: String) async throws -> Document? {
        let entry = state.withLock { state in
            state.users[key, default: []].insert(user)
            if let entry = state.entries[key] { return entry }
            let informer = Informer(
                client, key.resource, namespace: key.namespace, fieldSelector: "metadata.name=\(key.name)",
                world: world, log: log)
            let entry = Entry(key, informer)
            state.entries[key] = entry
            state.new.append(entry)
            return entry
        }
        arrival.wake()
        guard try await entry.informer.wait(atMost: Self.patience, until: { entry.informer.hasSynced }) else {
            throw StartProblem(
                reason: "CreateContainerConfigError",
                message: "\(key.resource) \(key.namespace)/\(key.name): the API server does not answer")
        }
        return entry.informer.get(namespace: key.namespace, name: key.name)
    }

    func release(user: String) {
        let unused = state.withLock { state in
            var unused: [Entry] = []
            for key in state.users.keys where state.users[key]?.remove(user) != nil {
                guard state.users[key]?.isEmpty ?? false else { continue }
                state.users[key] = nil
                if let entry = state.entries.removeValue(forKey: key) { unused.append(entry) }
            }
            return unused
        }
        for entry in unused { entry.stop() }
    }

    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let ticket = arrival.ticket
                let new = state.withLock { state in
                    defer { state.new = [] }
                    return state.new
                }
                for entry in new {
                    group.addTask { await self.watch(entry) }
                }
                try await arrival.wait(since: ticket)
            }
        }
    }

    private func watch(_ entry: Entry) async {
        let changes = entry.informer.changes()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await entry.informer.run() } catch is CancellationError {} catch {
                    self.log.warning("\(entry.key.resource) \(entry.key.namespace)/\(entry.key.name): \(error)")
                }
            }
            group.addTask {
                var isFirst = true
                for await _ in changes {
                    // The first one is what `get` answers.
                    if !isFirst || entry.informer.hasSynced { self.tell(entry.key) }
                    isFirst = false
                }
            }
            try? await entry.waitForEnd()
            group.cancelAll()
        }
    }

    private func tell(_ key: Key) {
        let users = state.withLock { $0.users[key] ?? [] }
        for user in users { changed(user) }
    }
}
