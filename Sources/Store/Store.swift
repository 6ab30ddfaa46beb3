import Synchronization

/// The revision of one write: a number that only grows, over all keys.
public typealias Revision = Int64

/// The stored form of one object at one revision.
public struct Record: Sendable, Equatable {
    public var key: String
    public var value: [UInt8]
    /// The revision of the write that made this value.
    public var revision: Revision
    /// The revision at which the key was created.
    public var created: Revision

    public init(key: String, value: [UInt8], revision: Revision, created: Revision) {
        self.key = key
        self.value = value
        self.revision = revision
        self.created = created
    }
}

/// Makes the stored bytes once the write's revision is known,
/// so that an object can carry its own revision and be encoded exactly once.
public typealias Encoding = @Sendable (Revision) -> [UInt8]

public struct Page: Sendable {
    public var records: [Record]
    /// The revision at which the page was read; a watch that starts after it misses nothing.
    public var revision: Revision
    /// How many more records the prefix holds after this page.
    public var remaining: Int

    public init(records: [Record], revision: Revision, remaining: Int) {
        self.records = records
        self.revision = revision
        self.remaining = remaining
    }
}

public struct StoreEvent: Sendable {
    public enum Kind: Int, Sendable { case created = 1, updated, deleted }
    public var kind: Kind
    /// The new state; for a deletion the last value, as the deletion encoded it with its own revision.
    public var record: Record
    /// The value before, for updates and deletions.
    public var previous: Record?
    /// What the watchers of this event have worked out from it, shared among them.
    public let derived: Derivations

    public init(kind: Kind, record: Record, previous: Record?) {
        self.kind = kind
        self.record = record
        self.previous = previous
        derived = Derivations()
    }
}

/// Values that the first reader of an event makes and every later one finds, such as its encoded line.
/// It lives as long as the event waits in some watcher's buffer, not as long as the history.
public final class Derivations: Sendable {
    private let values = Mutex<[String: any Sendable]>([:])

    init() {}

    /// The value made for `name` before, or what `make` gives. Two readers at once may both make it.
    public func value<Value: Sendable>(_ name: String, make: () -> Value) -> Value {
        if let found = values.withLock({ $0[name] }) as? Value { return found }
        let made = make()
        values.withLock { $0[name] = made }
        return made
    }
}

public enum StoreError: Error, Sendable, Equatable {
    case exists(key: String)
    case notFound(key: String)
    /// The record is at another revision than the caller expected.
    case conflict(key: String, current: Revision)
    /// The revision asked for is older than the compaction.
    case compacted(oldest: Revision)
    /// The revision asked for lies ahead of the store.
    case future(current: Revision)
    /// The watcher was too slow for its buffer and was cut off; list again.
    case overrun
    case failed(String)
}

/// Events after a revision, in order, without gaps. A watcher that does not keep up
/// gets `StoreError.overrun` once its bounded buffer is full.
public protocol Watch: AnyObject, Sendable {
    /// Waits for at least one event and returns those that have gathered.
    /// An empty answer is a progress mark: nothing happened up to `revision`.
    func next() async throws -> (events: [StoreEvent], revision: Revision)
    /// Makes the pending or the following `next` return even if nothing happened: with what has gathered,
    /// or with a progress mark.
    func requestProgress()
    /// Ends the watch: `next` throws `CancellationError`.
    func cancel()
}

/// Bounds of everything that a store keeps besides the current records.
public struct StoreLimits: Sendable {
    /// Events kept for watches that start in the past.
    public var historyEvents = 50_000
    /// Bytes of values that only the history still holds.
    public var historyBytes = 16 << 20
    /// Events that may wait for one watcher before it is cut off.
    public var watchBuffer = 8_192
    /// Bytes of the values in these events, likewise. A single event may be larger.
    public var watchBytes = 32 << 20
    /// Writes that may wait for the disk; more are refused.
    public var pendingWrites = 16_384
    /// Writes that one commit makes durable together.
    public var batch = 256

    public init() {}
}

/// Revisions, compare-and-swap, and watches over keys like `/pods/default/web-0`.
///
/// A write that returned survives `kill -9` (in a store that is on disk). All methods may be called concurrently.
public protocol Store: Sendable {
    func create(_ key: String, _ encode: @escaping Encoding) async throws -> Record
    func update(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record
    /// `encode` makes the bytes of the deletion event: the object's last state with the deletion's revision.
    func delete(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record
    func get(_ key: String) async throws -> Record?
    /// Records whose key begins with `prefix`, in key order, after the key `after`;
    /// as of `revision`, or the newest where nil.
    func list(prefix: String, after: String?, limit: Int?, at revision: Revision?) async throws -> Page
    func watch(prefix: String, after revision: Revision) async throws -> any Watch
    var revision: Revision { get async }
    /// Forgets history before `revision`.
    func compact(before revision: Revision) async throws
    /// Writes a consistent copy while the store is in use.
    func backup(to path: String) async throws
    func close() async
}
