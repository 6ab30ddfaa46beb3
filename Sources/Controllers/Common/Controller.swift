import Basics
import Client
import Document
import Synchronization

/// A collection whose changes concern a controller, and the keys that each change concerns.
struct Source: Sendable {
    let informer: Informer
    /// Nil for a collection that is only read: its changes wake nobody.
    let keys: (@Sendable (Change) -> [String])?

    init(_ informer: Informer, _ keys: @escaping @Sendable (Change) -> [String]) {
        self.informer = informer
        self.keys = keys
    }

    /// Every object is its own key.
    init(_ informer: Informer) { self.init(informer) { [$0.key] } }

    init(onlyRead informer: Informer) {
        self.informer = informer
        keys = nil
    }
}

/// Brings one kind of thing to its desired state, key by key. `plan` reads the caches and decides; it does no I/O.
protocol Controller: Sendable {
    /// Its name on the command line.
    var name: String { get }
    /// The component that its events name.
    var component: String { get }
    var sources: [Source] { get }
    /// Keys that want work although nothing changed, such as "all" of a controller with one key.
    var initialKeys: [String] { get }
    var workers: Int { get }
    /// The paths to read before a decision about `key` can be made, for what no cache holds. Asked again with what
    /// was answered until nothing is left to ask, for one answer may lead to the next question.
    func questions(_ key: String, _ answers: Answers) -> [String]
    func plan(_ key: String, _ situation: Situation) throws -> Plan
    /// What `plan` must know that no reading can tell, such as whether someone has a right: the situation's `answer`.
    func inquire(_ key: String, _ client: APIClient) async throws -> Document?
    /// What runs beside the loop, where the collections that matter are not known beforehand: it reports keys.
    func accompany(_ add: @escaping @Sendable (String) -> Void) async throws
}

extension Controller {
    var component: String { name }
    var initialKeys: [String] { [] }
    var workers: Int { 4 }
    func inquire(_ key: String, _ client: APIClient) async throws -> Document? { nil }
    func accompany(_ add: @escaping @Sendable (String) -> Void) async throws {}
    func questions(_ key: String, _ answers: Answers) -> [String] { [] }
}

/// The collections that the controllers of one process share: one informer for each.
final class Informers: Sendable {
    private let client: APIClient
    private let world: World
    private let log: Log
    private struct Key: Hashable {
        var resource: ResourceType
        var fieldSelector: String?
        var isMetadata = false

        var path: String { "\(resource.path())?\(fieldSelector ?? "")\(isMetadata)" }
    }

    private struct Entry {
        var informer: Informer
        /// Woken when nobody wants it any more.
        var end = Wakeup()
        var isRunning = false
        var isOver = false
    }

    private let informers = Mutex<[Key: Entry]>([:])
    private let added = Wakeup()

    init(client: APIClient, world: World, log: Log) {
        self.client = client
        self.world = world
        self.log = log
    }

    func callAsFunction(_ resource: ResourceType) -> Informer { informer(Key(resource: resource)) }

    /// An informer that need not hold more than the objects' metadata: the full one where there is one already.
    func metadata(_ resource: ResourceType) -> Informer {
        let full = informers.withLock { $0[Key(resource: resource)]?.informer }
        return full ?? informer(Key(resource: resource, isMetadata: true))
    }

    /// An informer of the objects that a field selector picks.
    func selected(_ resource: ResourceType, fieldSelector: String) -> Informer {
        informer(Key(resource: resource, fieldSelector: fieldSelector))
    }

    /// Stops following the metadata of a collection that is served no longer.
    func drop(metadata resource: ResourceType) {
        let entry = informers.withLock { informers -> Entry? in
            let key = Key(resource: resource, isMetadata: true)
            informers[key]?.isOver = true
            defer { if informers[key]?.isRunning != true { informers[key] = nil } }
            return informers[key]
        }
        entry?.end.wake()
    }

    private func informer(_ key: Key) -> Informer {
        let informer = informers.withLock { informers in
            if let entry = informers[key], !entry.isOver { return entry.informer }
            let informer = Informer(
                client, key.resource, fieldSelector: key.fieldSelector, world: world, log: log,
                transform: key.isMetadata ? Self.metadata : nil)
            informers[key] = Entry(informer: informer)
            return informer
        }
        added.wake()
        return informer
    }

    private static let metadata: @Sendable (Document) -> Document = { object in
        Document(
            members: object.members.filter { ["apiVersion", "kind", "metadata"].contains($0.key) }.map {
                ($0.key, $0.value)
            })
    }

    /// Follows every collection that anyone has asked for, also those asked for later.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let ticket = added.ticket
                let new = informers.withLock { informers in
                    let new = informers.filter { !$0.value.isRunning && !$0.value.isOver }
                    for key in new.keys { informers[key]?.isRunning = true }
                    return new
                }
                for (key, entry) in new.sorted(by: { $0.key.path < $1.key.path }) {
                    group.addTask { try await self.follow(key, entry) }
                }
                try await added.wait(since: ticket)
            }
        }
    }

    private func follow(_ key: Key, _ entry: Entry) async throws {
        // Only what comes and goes needs someone who waits for the end.
        guard key.isMetadata else { return try await entry.informer.run() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await entry.informer.run() }
            group.addTask {
                while true {
                    let ticket = entry.end.ticket
                    if self.informers.withLock({ $0[key]?.informer !== entry.informer || $0[key]?.isOver == true }) {
                        return
                    }
                    try await entry.end.wait(since: ticket)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        informers.withLock { if $0[key]?.informer === entry.informer { $0[key] = nil } }
    }
}
