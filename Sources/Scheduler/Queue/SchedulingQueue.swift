import Basics

/// A pod that waits for a node, with its past.
struct QueuedPod: Sendable {
    var pod: PodInfo
    /// In order of arrival.
    var arrived: UInt64
    /// When the pod came first.
    var since: Duration
    var attempts = 0
    var attempted = Duration.zero
    /// Those that refused it at the last attempt.
    var plugins: Set<String> = []
    /// Whether the last attempt went wrong rather than found no node.
    var hasFailed = false
}

/// Pods that wait for a node. Each is in one of five places:
///
/// ```
///  put ──▶ gated ──▶ active ──pop──▶ (being scheduled) ──refused──▶ unschedulable
///                      ▲                   │ failed, or something happened meanwhile │
///                      └── time ── backing off ◀───────── a helpful event ───────────┘
/// ```
///
/// Active pods leave by the profile's order. The pause in "backing off" doubles with each attempt; a pod that a
/// helpful event has woken need not sit it out while nothing else is to be done, one whose attempt failed must.
/// A pod that nothing woke for five minutes is tried again anyway.
struct SchedulingQueue {
    struct Settings: Sendable {
        var shortestPause = Duration.seconds(1)
        var longestPause = Duration.seconds(10)
        var longestWait = Duration.seconds(300)
    }

    /// Where a pod went, and why.
    struct Move: Sendable, Hashable, Comparable {
        var queue: String
        var event: String

        static func < (a: Move, b: Move) -> Bool { (a.queue, a.event) < (b.queue, b.event) }
    }

    private enum Place { case gated, active, waiting, unschedulable, scheduling }

    private struct Entry {
        var queued: QueuedPod
        var place: Place
        /// Tells the entry's present stay from former ones, of which the heaps may still hold a ticket.
        var ticket: UInt64
        /// Events that came since the pod was taken.
        var missed: Int
    }

    private struct Ticket {
        var key: String
        var number: UInt64
        var queued: QueuedPod
        var due: Duration
    }

    let settings: Settings
    private var entries: [String: Entry] = [:]
    private var active: Heap<Ticket>
    private var waiting: Heap<Ticket>
    /// Unschedulable pods by each plug-in that refused them, so that an event is shown only to whom it may concern.
    private var refused: [String: Set<String>] = [:]
    /// Events while any pod is being scheduled, and the number of the first.
    private var events: [ClusterEvent] = []
    private var firstEvent = 0
    private var beingScheduled: Set<String> = []
    private var sequence: UInt64 = 0
    /// No unschedulable pod has waited for too long before this time.
    private var flush: Duration?
    private var counts: [Place: Int] = [:]
    private(set) var moves: [Move: Int] = [:]

    /// More events than this during one attempt count as "anything may have happened".
    private static let mostEvents = 10_000

    init(order: any QueueOrder = PrioritySort(), settings: Settings = Settings()) {
        self.settings = settings
        active = Heap { order.precedes($0.queued, $1.queued) }
        waiting = Heap { $0.due != $1.due ? $0.due < $1.due : $0.queued.arrived < $1.queued.arrived }
    }

    var activeCount: Int { counts[.active] ?? 0 }
    var waitingCount: Int { counts[.waiting] ?? 0 }
    var unschedulableCount: Int { counts[.unschedulable] ?? 0 }
    var gatedCount: Int { counts[.gated] ?? 0 }
    var inFlightCount: Int { beingScheduled.count }
    var eventCount: Int { events.count }
    /// Of the waiting pods, how many each plug-in has refused.
    var refusals: [String: Int] { refused.mapValues(\.count).filter { $0.value > 0 } }

    struct Figures: Sendable {
        var pending: [String: Int] = [:]
        var moves: [Move: Int] = [:]
        var refusals: [String: Int] = [:]
        var events = 0
    }

    var figures: Figures {
        Figures(
            pending: [
                "active": activeCount, "backoff": waitingCount, "unschedulable": unschedulableCount,
                "gated": gatedCount,
            ], moves: moves, refusals: refusals, events: events.count)
    }

    func contains(_ key: String) -> Bool { entries[key] != nil }
    func pod(_ key: String) -> PodInfo? { entries[key]?.queued.pod }

    // MARK: Coming and going

    /// A pod that is new, or whose requirements may have changed. `gate`: the plug-in that holds it back.
    mutating func put(_ pod: PodInfo, isNews: Bool, gate: String? = nil, now: Duration) {
        guard var entry = entries[pod.key], entry.queued.pod.uid == pod.uid else {
            remove(pod.key)
            sequence += 1
            let queued = QueuedPod(pod: pod, arrived: sequence, since: now)
            set(Entry(queued: queued, place: .gated, ticket: 0, missed: 0), gate == nil ? .active : .gated)
            note(gate == nil ? "active" : "gated", "PodAdd")
            return
        }
        let isUrgent = pod.priority != entry.queued.pod.priority
        entry.queued.pod = pod
        switch entry.place {
        case .gated where gate == nil:
            set(entry, .active)
            note("active", "PodUpdate")
        case .unschedulable where isNews:
            set(entry, .active)
            note("active", "PodUpdate")
        case .active where isUrgent: set(entry, .active)
        case .waiting, .active: set(entry, entry.place)
        default: entries[pod.key] = entry
        }
    }

    mutating func remove(_ key: String) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        leave(entry)
    }

    /// The pod that is first in line. It counts as being scheduled until `refused`, `failed`, `bound` or `remove`.
    mutating func pop(now: Duration) -> QueuedPod? {
        release(now)
        guard var entry = nextActive() ?? nextWoken() else { return nil }
        entry.queued.attempts += 1
        entry.queued.attempted = now
        entry.missed = firstEvent + events.count
        set(entry, .scheduling)
        return entry.queued
    }

    /// The pod has its node. Another pod of the same name may wait already; it stays.
    mutating func bound(_ pod: PodInfo) {
        guard let entry = entries[pod.key], entry.place == .scheduling, entry.queued.pod.uid == pod.uid else { return }
        remove(pod.key)
    }

    /// No node took the pod. `helps` says whether an event that came meanwhile might have changed that.
    mutating func refused(
        _ pod: PodInfo, by plugins: Set<String>, helps: (ClusterEvent, String, PodInfo) -> Bool
    ) {
        guard var entry = entries[pod.key], entry.place == .scheduling, entry.queued.pod.uid == pod.uid else { return }
        entry.queued.plugins = plugins
        entry.queued.hasFailed = false
        let missed = entry.missed < firstEvent ? nil : events[(entry.missed - firstEvent)...]
        let hasHope =
            plugins.isEmpty
            || (missed?.contains { event in
                plugins.contains { helps(event, $0, entry.queued.pod) }
            } ?? true)
        set(entry, hasHope ? .waiting : .unschedulable)
        note(hasHope ? "backoff" : "unschedulable", "ScheduleAttemptFailure")
    }

    /// The attempt went wrong for a reason that has nothing to do with the cluster's state.
    mutating func failed(_ pod: PodInfo) {
        guard var entry = entries[pod.key], entry.place == .scheduling, entry.queued.pod.uid == pod.uid else { return }
        entry.queued.plugins = []
        entry.queued.hasFailed = true
        set(entry, .waiting)
        note("backoff", "ScheduleAttemptFailure")
    }

    // MARK: Waking

    /// Shows the event to every pod that a plug-in refused. Answers the keys that it wakes.
    @discardableResult
    mutating func happened(_ event: ClusterEvent, helps: (ClusterEvent, String, PodInfo) -> Bool) -> [String] {
        if !beingScheduled.isEmpty {
            events.append(event)
            if events.count > Self.mostEvents {
                firstEvent += events.count
                events = []
            }
        }
        var woken: Set<String> = []
        for (plugin, keys) in refused {
            for key in keys where !woken.contains(key) {
                guard let entry = entries[key], helps(event, plugin, entry.queued.pod) else { continue }
                woken.insert(key)
            }
        }
        let order = woken.sorted()
        for key in order {
            guard let entry = entries[key] else { continue }
            set(entry, .waiting)
            note("backoff", event.name)
        }
        return order
    }

    /// When the next pod becomes active by time alone.
    mutating func nextDue(now: Duration) -> Duration? {
        if activeCount > 0 { return now }
        while let first = waiting.first, !isCurrent(first, .waiting) { _ = waiting.popFirst() }
        var due = waiting.first?.due
        if unschedulableCount > 0, let flush { due = min(due ?? flush, flush) }
        return due
    }

    private mutating func release(_ now: Duration) {
        while let first = waiting.first, !isCurrent(first, .waiting) || first.due <= now {
            guard let ticket = waiting.popFirst() else { break }
            guard let entry = entries[ticket.key], isCurrent(ticket, .waiting) else { continue }
            set(entry, .active)
            note("active", "BackoffComplete")
        }
        guard let flush, flush <= now else { return }
        self.flush = nil
        for key in Set(refused.values.joined()).sorted() {
            guard let entry = entries[key] else { continue }
            let end = entry.queued.attempted + settings.longestWait
            if end <= now {
                set(entry, .active)
                note("active", "UnschedulableTimeout")
            } else {
                self.flush = min(self.flush ?? end, end)
            }
        }
    }

    /// With nothing else to do, a pod that something has woken is tried before its pause is over.
    private mutating func nextWoken() -> Entry? {
        var passed: [Ticket] = []
        defer { for ticket in passed { waiting.insert(ticket) } }
        while let ticket = waiting.popFirst() {
            guard isCurrent(ticket, .waiting), let entry = entries[ticket.key] else { continue }
            if !entry.queued.hasFailed, !entry.queued.plugins.isEmpty { return entry }
            passed.append(ticket)
        }
        return nil
    }

    private func pause(_ queued: QueuedPod) -> Duration {
        var pause = settings.shortestPause
        for _ in 1..<max(2, min(queued.attempts, 32)) where queued.attempts > 1 {
            pause = pause * 2
            if pause >= settings.longestPause { break }
        }
        return min(pause, settings.longestPause)
    }

    // MARK: Places

    private mutating func set(_ entry: Entry, _ place: Place) {
        var entry = entry
        let key = entry.queued.pod.key
        if let old = entries[key] { leave(old) }
        sequence += 1
        entry.ticket = sequence
        entry.place = place
        entries[key] = entry
        counts[place, default: 0] += 1
        switch place {
        case .active:
            active.insert(Ticket(key: key, number: entry.ticket, queued: entry.queued, due: .zero))
        case .waiting:
            let due = entry.queued.attempted + pause(entry.queued)
            waiting.insert(Ticket(key: key, number: entry.ticket, queued: entry.queued, due: due))
        case .unschedulable:
            for plugin in entry.queued.plugins { refused[plugin, default: []].insert(key) }
            let end = entry.queued.attempted + settings.longestWait
            flush = min(flush ?? end, end)
        case .scheduling: beingScheduled.insert(key)
        case .gated: break
        }
    }

    private mutating func leave(_ entry: Entry) {
        let key = entry.queued.pod.key
        counts[entry.place, default: 0] -= 1
        switch entry.place {
        case .unschedulable: for plugin in entry.queued.plugins { refused[plugin]?.remove(key) }
        case .scheduling:
            beingScheduled.remove(key)
            if beingScheduled.isEmpty {
                firstEvent += events.count
                events = []
            }
        case .active: if active.count > 64, active.count > 2 * activeCount { tidy() }
        case .gated, .waiting: break
        }
    }

    /// Throws away tickets of former stays.
    private mutating func tidy() {
        let entries = entries
        active.keep { entries[$0.key]?.ticket == $0.number && entries[$0.key]?.place == .active }
    }

    private func isCurrent(_ ticket: Ticket, _ place: Place) -> Bool {
        guard let entry = entries[ticket.key] else { return false }
        return entry.ticket == ticket.number && entry.place == place
    }

    private mutating func nextActive() -> Entry? {
        while let ticket = active.popFirst() {
            if isCurrent(ticket, .active), let entry = entries[ticket.key] { return entry }
        }
        return nil
    }

    private mutating func note(_ queue: String, _ event: String) {
        moves[Move(queue: queue, event: event), default: 0] += 1
    }
}
