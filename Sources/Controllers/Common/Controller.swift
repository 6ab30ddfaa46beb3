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
    /// Its name in events, where that is another one.
    var component: String { get }
    var sources: [Source] { get }
    /// Keys that want work although nothing changed, such as "all" of a controller with one key.
    var initialKeys: [String] { get }
    var workers: Int { get }
    /// The paths to read before a decision about `key` can be made, for what no cache holds. Asked again with what
    /// was answered until nothing is left to ask, for one answer may lead to the next question.
    func questions(_ key: String, _ answers: Answers) -> [String]
    func plan(_ key: String, _ situation: Situation) throws -> Plan
}

extension Controller {
    var component: String { name }
    var initialKeys: [String] { [] }
    var workers: Int { 4 }
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

        var path: String { resource.path() + "?" + (fieldSelector ?? "") }
    }

    private let informers = Mutex<[Key: Informer]>([:])
    private let added = Wakeup()

    init(client: APIClient, world: World, log: Log) {
        self.client = client
        self.world = world
        self.log = log
    }

    func callAsFunction(_ resource: ResourceType) -> Informer { informer(resource, transform: nil) }

    /// An informer that need not hold more than the objects' metadata.
    func metadata(_ resource: ResourceType) -> Informer {
        informer(resource) { object in
            Document(
                members: object.members.filter { ["apiVersion", "kind", "metadata"].contains($0.key) }.map {
                    ($0.key, $0.value)
                })
        }
    }

    /// An informer of the objects that a field selector picks.
    func selected(_ resource: ResourceType, fieldSelector: String) -> Informer {
        informer(resource, fieldSelector: fieldSelector, transform: nil)
    }

    private func informer(
        _ resource: ResourceType, fieldSelector: String? = nil, transform: (@Sendable (Document) -> Document)?
    ) -> Informer {
        let key = Key(resource: resource, fieldSelector: fieldSelector)
        let informer = informers.withLock { informers in
            if let informer = informers[key] { return informer }
            let informer = Informer(
                client, resource, fieldSelector: fieldSelector, world: world, log: log, transform: transform)
            informers[key] = informer
            return informer
        }
        added.wake()
        return informer
    }

    /// Follows every collection that anyone has asked for, also those asked for later.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            var running: Set<Key> = []
            while true {
                let ticket = added.ticket
                let new = informers.withLock { $0.filter { !running.contains($0.key) } }
                for (key, informer) in new.sorted(by: { $0.key.path < $1.key.path }) {
                    running.insert(key)
                    group.addTask { try await informer.run() }
                }
                try await added.wait(since: ticket)
            }
        }
    }
}
