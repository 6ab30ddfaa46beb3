import Synchronization

/// One watcher's bounded buffer, filled by the store and emptied by one reader.
///
/// A lock instead of an actor: the store fills the buffers of many watchers within one critical section of its own,
/// so that revision and buffers move together; awaiting each watcher there would let a reader see one without the other.
final class WatchQueue: Watch {
    private typealias News = (events: [StoreEvent], revision: Revision)
    private typealias Reader = CheckedContinuation<News, any Error>

    private struct State {
        var events: [StoreEvent] = []
        /// Of the values in `events` that came since the watch began; what it replays the history holds anyway.
        var bytes = 0
        /// Everything up to here has been put into `events` or did not concern this watcher.
        var revision: Revision
        var failure: (any Error)?
        var wantsProgress = false
        var reader: Reader?
    }

    let prefix: String
    let capacity: Int
    private let byteCapacity: Int
    private let state: Mutex<State>
    /// The store it watches. The two hold each other until the watch ends.
    private let shared: SharedCore

    init(prefix: String, limits: StoreLimits, replay: [StoreEvent], revision: Revision, shared: SharedCore) {
        self.prefix = prefix
        capacity = max(limits.watchBuffer, replay.count)
        byteCapacity = limits.watchBytes
        self.shared = shared
        state = Mutex(State(events: replay, revision: revision))
    }

    func next() async throws -> (events: [StoreEvent], revision: Revision) {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer = state.withLock { state -> Result<News, any Error>? in
                    if let failure = state.failure { return .failure(failure) }
                    guard state.reader == nil else {
                        return .failure(StoreError.failed("a watch has one reader at a time"))
                    }
                    if state.events.isEmpty, !state.wantsProgress {
                        state.reader = continuation
                        return nil
                    }
                    return .success(Self.take(&state))
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            cancel()
        }
    }

    private static func take(_ state: inout State) -> News {
        let events = state.events
        state.events = []
        state.bytes = 0
        state.wantsProgress = false
        return (events, state.revision)
    }

    /// Puts an event in and returns the wake-up of the reader, to be called once the store's lock is released.
    func put(_ event: StoreEvent) -> Bool {
        state.withLock { state in
            guard state.failure == nil else { return false }
            state.revision = event.record.revision
            let bytes = state.bytes + event.record.value.count
            let isFull = state.events.count >= capacity || bytes > byteCapacity && !state.events.isEmpty
            if isFull, state.reader == nil {
                state.events = []
                state.failure = StoreError.overrun
                return false
            }
            state.events.append(event)
            state.bytes = bytes
            return state.reader != nil
        }
    }

    /// Hands what has gathered to a waiting reader. Never under the lock: resuming takes the task's own, which whoever
    /// cancels the task holds already when `cancel` asks for ours.
    func wake() {
        let woken = state.withLock { state -> (reader: Reader, news: News)? in
            guard let reader = state.reader, state.wantsProgress || !state.events.isEmpty else { return nil }
            state.reader = nil
            return (reader, Self.take(&state))
        }
        if let (reader, news) = woken { reader.resume(returning: news) }
    }

    /// The store calls it under its lock, so that the mark's revision is not ahead of the buffer.
    func markProgress(revision: Revision) {
        state.withLock {
            $0.revision = max($0.revision, revision)
            $0.wantsProgress = true
        }
    }

    func requestProgress() {
        shared.markProgress(of: self)
        wake()
    }

    func cancel() { end(CancellationError()) }

    func end(_ failure: any Error) {
        let reader = state.withLock { state in
            if state.failure == nil { state.failure = failure }
            state.events = []
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(throwing: failure)
        shared.remove(self)
    }
}

/// The core and its watchers behind one lock, as both kinds of store use it.
///
/// A lock instead of an actor: reads take microseconds, come from every request, and must see the revision, the
/// records and the watchers' buffers of the same moment; hopping to an actor would cost more than the read.
final class SharedCore: Sendable {
    private struct State {
        var core: StoreCore
        /// By the first component of the prefix, so that a pod's event does not visit those who watch leases.
        var watchers: [Substring: [WatchQueue]] = [:]
        var closed = false
    }

    private let state: Mutex<State>

    init(_ core: StoreCore) { state = Mutex(State(core: core)) }

    /// `/pods/default/web-0` and `/pods/` both belong to `pods`; the prefix `/` to nothing in particular.
    private static func bucket(_ key: String) -> Substring {
        let rest = key.utf8.dropFirst()
        guard let slash = rest.firstIndex(of: UInt8(ascii: "/")) else { return "" }
        return key[rest.startIndex..<slash]
    }

    func read<Value: Sendable, Failure: Error>(
        _ body: (borrowing StoreCore) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try state.withLock { state throws(Failure) in try body(state.core) }
    }

    /// Takes happenings in and tells the watchers. Returns what fell out of the history.
    @discardableResult
    func publish(_ happenings: [Happening]) -> [Happening] {
        var awake: [WatchQueue] = []
        let dropped = state.withLock { state in
            var dropped: [Happening] = []
            for happening in happenings {
                dropped += state.core.apply(happening)
                Self.deliver(happening, to: state.watchers, awake: &awake)
            }
            return dropped
        }
        for watcher in awake { watcher.wake() }
        return dropped
    }

    /// Decides and takes in one write at once, for a store without a disk to wait for.
    func commit(_ write: Write) throws(StoreError) -> Record {
        var awake: [WatchQueue] = []
        let record = try state.withLock { state throws(StoreError) in
            guard !state.closed else { throw StoreError.failed("the store is closed") }
            let current = state.core.table[write.key]
            let happening = try write.plan(current: current, revision: state.core.revision + 1)
            _ = state.core.apply(happening)
            Self.deliver(happening, to: state.watchers, awake: &awake)
            return happening.record
        }
        for watcher in awake { watcher.wake() }
        return record
    }

    private static func deliver(
        _ happening: Happening, to watchers: [Substring: [WatchQueue]], awake: inout [WatchQueue]
    ) {
        var event: StoreEvent?
        for bucket in [bucket(happening.record.key), ""] {
            for watcher in watchers[bucket] ?? []
            where happening.record.key.utf8.starts(with: watcher.prefix.utf8) {
                let shared = event ?? happening.event
                event = shared
                if watcher.put(shared) { awake.append(watcher) }
            }
        }
    }

    func watch(prefix: String, after revision: Revision) throws(StoreError) -> WatchQueue {
        try state.withLock { state throws(StoreError) in
            guard !state.closed else { throw StoreError.failed("the store is closed") }
            let replay = try state.core.events(prefix: prefix, after: revision)
            let queue = WatchQueue(
                prefix: prefix, limits: state.core.limits, replay: replay, revision: state.core.revision, shared: self)
            state.watchers[Self.bucket(prefix), default: []].append(queue)
            return queue
        }
    }

    func remove(_ queue: WatchQueue) {
        state.withLock { state in
            let bucket = Self.bucket(queue.prefix)
            state.watchers[bucket]?.removeAll { $0 === queue }
            if state.watchers[bucket]?.isEmpty == true { state.watchers[bucket] = nil }
        }
    }

    /// Under the lock, so that the mark names no revision whose events are not in the buffer yet.
    func markProgress(of queue: WatchQueue) {
        state.withLock { queue.markProgress(revision: $0.core.revision) }
    }

    func compact(before revision: Revision) -> [Happening] {
        state.withLock { $0.core.compact(before: revision) }
    }

    func close() {
        let watchers = state.withLock { state in
            state.closed = true
            return state.watchers.values.flatMap { $0 }
        }
        for watcher in watchers { watcher.end(StoreError.failed("the store is closed")) }
    }
}
