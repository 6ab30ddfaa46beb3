import Basics
import Synchronization

/// Keys that want work, each at most once, and never in two workers' hands at the same time.
///
/// - A key is *dirty* from `add` until `next` hands it out.
/// - It is *processing* from `next` until `done`.
/// - A key added while it is processing becomes dirty, and is queued again by `done`.
///
/// Delayed keys wait aside until their time and then are added. There is no task behind it: workers that
/// wait in `next` also wait for the earliest delayed key.
public final class WorkQueue: Sendable {
    fileprivate struct State {
        var queue: [String] = []
        var head = 0
        var dirty: Set<String> = []
        var processing: Set<String> = []
        /// When each delayed key is due, and the order of calls to break ties.
        var delayed: [String: (due: Duration, sequence: UInt64)] = [:]
        var sequence: UInt64 = 0
        var failures: [String: Int] = [:]
        var isShutDown = false
        var counts = Counts()
    }

    /// What came through the queue, and since when what is in it waits or is worked on.
    fileprivate struct Counts {
        var adds = 0
        var retries = 0
        var waiting: [String: Duration] = [:]
        var working: [String: Duration] = [:]
        var waits = Histogram(first: 1e-8, factor: 10, count: 12)
        var works = Histogram(first: 1e-8, factor: 10, count: 12)
    }

    private let clock: any WorldClock
    private let shortestDelay: Duration
    private let longestDelay: Duration
    private let state = Mutex(State())
    private let arrival = Wakeup()

    /// Failing keys come back after `shortestDelay`, doubled each time up to `longestDelay`.
    public init(
        clock: any WorldClock, shortestDelay: Duration = .milliseconds(5), longestDelay: Duration = .seconds(1000)
    ) {
        self.clock = clock
        self.shortestDelay = shortestDelay
        self.longestDelay = longestDelay
    }

    public var count: Int { state.withLock { $0.queue.count - $0.head } }

    public func add(_ key: String) {
        let now = clock.uptime
        if state.withLock({ $0.add(key, at: now) }) { arrival.wake() }
    }

    /// Adds the key after `delay`; of several delays the earliest counts.
    public func addAfter(_ key: String, _ delay: Duration) {
        guard delay > .zero else { return add(key) }
        let due = clock.uptime + delay
        let earlier = state.withLock { state in
            if state.isShutDown { return false }
            if let waiting = state.delayed[key], waiting.due <= due { return false }
            state.sequence += 1
            state.delayed[key] = (due, state.sequence)
            return true
        }
        if earlier { arrival.wake() }
    }

    /// Adds the key after a delay that grows with each call since the last `forget`.
    public func addRateLimited(_ key: String) {
        let failures = state.withLock { state in
            let count = state.failures[key, default: 0]
            state.failures[key] = count + 1
            state.counts.retries += 1
            return count
        }
        let delay = failures >= 30 ? longestDelay : min(shortestDelay * (1 << failures), longestDelay)
        addAfter(key, delay)
    }

    public func forget(_ key: String) { state.withLock { $0.failures[key] = nil } }
    public func requeues(of key: String) -> Int { state.withLock { $0.failures[key] ?? 0 } }

    /// The next key; nil once the queue was shut down and has run empty, or the task is cancelled.
    public func next() async -> String? {
        while true {
            let ticket = arrival.ticket
            let now = clock.uptime
            let (key, due, isOver) = state.withLock { state -> (String?, Duration?, Bool) in
                let due = state.release(at: now)
                let key = state.take(at: now)
                return (key, due, key == nil && state.isShutDown)
            }
            if let key { return key }
            if isOver { return nil }
            do { try await arrival.wait(since: ticket, atMost: due.map { $0 - now }, clock: clock) } catch {
                return nil
            }
        }
    }

    public func done(_ key: String) {
        let now = clock.uptime
        let woken = state.withLock { state in
            state.processing.remove(key)
            if let begun = state.counts.working.removeValue(forKey: key) {
                state.counts.works.add((now - begun).inSeconds)
            }
            guard state.dirty.contains(key) else { return false }
            state.queue.append(key)
            return true
        }
        if woken { arrival.wake() }
    }

    /// Takes no more keys; those already queued are still handed out, delayed ones are dropped.
    public func shutDown() {
        state.withLock { state in
            state.isShutDown = true
            state.delayed = [:]
        }
        arrival.wake()
    }
}

extension WorkQueue.State {
    /// Answers whether a worker has something new to take.
    fileprivate mutating func add(_ key: String, at now: Duration) -> Bool {
        if isShutDown || !dirty.insert(key).inserted { return false }
        counts.adds += 1
        counts.waiting[key] = now
        if processing.contains(key) { return false }
        queue.append(key)
        return true
    }

    /// Moves keys that are due into the queue and answers when the next one will be.
    fileprivate mutating func release(at now: Duration) -> Duration? {
        guard !delayed.isEmpty else { return nil }
        let ready = delayed.filter { $0.value.due <= now }
        for (key, _) in ready.sorted(by: { ($0.value.due, $0.value.sequence) < ($1.value.due, $1.value.sequence) }) {
            delayed[key] = nil
            _ = add(key, at: now)
        }
        return delayed.values.map(\.due).min()
    }

    fileprivate mutating func take(at now: Duration) -> String? {
        guard head < queue.count else { return nil }
        let key = queue[head]
        head += 1
        if head > 1_000 || head == queue.count {
            queue.removeFirst(head)
            head = 0
        }
        dirty.remove(key)
        processing.insert(key)
        if let added = counts.waiting.removeValue(forKey: key) { counts.waits.add((now - added).inSeconds) }
        counts.working[key] = now
        return key
    }
}

// MARK: Statistics

extension WorkQueue {
    public struct Statistics: Sendable {
        public var depth: Int
        public var adds: Int
        public var retries: Int
        /// How long keys waited to be taken, and how long they were worked on, in seconds.
        public var waits: Histogram
        public var works: Histogram
        /// For how long the keys have been worked on that are not done yet: together, and the longest.
        public var unfinished: Double
        public var longest: Double
    }

    public var statistics: Statistics {
        let now = clock.uptime
        return state.withLock { state in
            let running = state.counts.working.values.map { (now - $0).inSeconds }
            return Statistics(
                depth: state.queue.count - state.head, adds: state.counts.adds, retries: state.counts.retries,
                waits: state.counts.waits, works: state.counts.works, unfinished: running.reduce(0, +),
                longest: running.max() ?? 0)
        }
    }

    /// Tells the statistics of queues in the names that Kubernetes gives them.
    public static func write(_ queues: [(name: String, statistics: Statistics)], to text: inout MetricsText) {
        func family(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: (Statistics) -> Double) {
            text.family(
                "workqueue_" + name, kind, help,
                queues.map { ([(name: "name", value: $0.name)], value($0.statistics)) })
        }
        family("adds_total", .counter, "Keys that were added", { Double($0.adds) })
        family("depth", .gauge, "Keys that wait to be taken", { Double($0.depth) })
        family("longest_running_processor_seconds", .gauge, "Time spent so far on the oldest key in work") {
            $0.longest
        }
        text.histograms(
            "workqueue_queue_duration_seconds", "Time that keys waited to be taken",
            queues.map { ([(name: "name", value: $0.name)], $0.statistics.waits) })
        family("retries_total", .counter, "Keys that came back after a failure", { Double($0.retries) })
        family("unfinished_work_seconds", .gauge, "Time spent so far on all keys in work", { $0.unfinished })
        text.histograms(
            "workqueue_work_duration_seconds", "Time that a key was worked on",
            queues.map { ([(name: "name", value: $0.name)], $0.statistics.works) })
    }
}
