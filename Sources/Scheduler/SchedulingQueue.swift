import Basics

/// What happened in the cluster that may give a waiting pod a place.
enum ClusterEvent: Sendable, Equatable {
    case nodeAdded
    case nodeChanged
    case podAdded
    case podRemoved
    case namespaceChanged

    /// Whether a pod that `plugin` refused should be looked at again.
    func mayHelp(_ plugin: String) -> Bool {
        switch self {
        case .nodeAdded, .nodeChanged: true
        case .podAdded, .namespaceChanged: [InterPodAffinity.name, PodTopologySpread.name].contains(plugin)
        case .podRemoved:
            [NodeResourcesFit.name, NodePorts.name, PodTopologySpread.name, InterPodAffinity.name].contains(plugin)
        }
    }
}

/// Pods that wait for a node. Each is in one of three places:
///
/// ```
///  add ──▶ active ──pop──▶ (being scheduled) ──refused──▶ unschedulable
///            ▲                   │ failed, or something happened meanwhile      │
///            └── time ── backing off ◀───────────── a helpful event ────────────┘
/// ```
///
/// Active pods leave by priority, then age. The pause in "backing off" doubles with each attempt, 1 s to 10 s.
/// A pod that nothing woke for five minutes is tried again anyway.
struct SchedulingQueue: Sendable {
    private struct Entry {
        var pod: PodInfo
        var arrived: UInt64
        var attempts = 0
        var attempted = Duration.zero
        var plugins: Set<String> = []
    }

    private static let shortestPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(10)
    private static let longestWait = Duration.seconds(300)

    private var active: [String: Entry] = [:]
    private var waiting: [String: Entry] = [:]
    private var unschedulable: [String: Entry] = [:]
    private var scheduling: [String: Entry] = [:]
    /// Events since each pod being scheduled was taken.
    private var missed: [String: [ClusterEvent]] = [:]
    private var sequence: UInt64 = 0

    init() {}

    var activeCount: Int { active.count }

    /// A pod that is new, or whose requirements may have changed.
    mutating func put(_ pod: PodInfo, isNews: Bool) {
        if scheduling[pod.key] != nil {
            scheduling[pod.key]?.pod = pod
        } else if active[pod.key] != nil {
            active[pod.key]?.pod = pod
        } else if waiting[pod.key] != nil {
            waiting[pod.key]?.pod = pod
        } else if var entry = unschedulable[pod.key] {
            entry.pod = pod
            unschedulable[pod.key] = isNews ? nil : entry
            if isNews { active[pod.key] = entry }
        } else {
            sequence += 1
            active[pod.key] = Entry(pod: pod, arrived: sequence)
        }
    }

    mutating func remove(_ key: String) {
        active[key] = nil
        waiting[key] = nil
        unschedulable[key] = nil
        scheduling[key] = nil
        missed[key] = nil
    }

    /// The most urgent pod. It counts as being scheduled until `refused`, `failed` or `remove`.
    mutating func pop(now: Duration) -> PodInfo? {
        release(now)
        let first = active.values.min { a, b in
            a.pod.priority != b.pod.priority ? a.pod.priority > b.pod.priority : a.arrived < b.arrived
        }
        guard var entry = first else { return nil }
        active[entry.pod.key] = nil
        entry.attempts += 1
        entry.attempted = now
        scheduling[entry.pod.key] = entry
        missed[entry.pod.key] = []
        return entry.pod
    }

    /// The pod has its node. Another pod of the same name may wait already; it stays.
    mutating func bound(_ pod: PodInfo) {
        guard scheduling[pod.key]?.pod.uid == pod.uid else { return }
        scheduling[pod.key] = nil
        missed[pod.key] = nil
    }

    /// No node took the pod.
    mutating func refused(_ key: String, by plugins: Set<String>) {
        guard var entry = scheduling.removeValue(forKey: key) else { return }
        entry.plugins = plugins
        let events = missed.removeValue(forKey: key) ?? []
        if events.contains(where: { Self.helps($0, entry) }) {
            waiting[key] = entry
        } else {
            unschedulable[key] = entry
        }
    }

    /// The attempt went wrong for a reason that has nothing to do with the cluster's state.
    mutating func failed(_ key: String) {
        missed[key] = nil
        waiting[key] = scheduling.removeValue(forKey: key)
    }

    mutating func happened(_ event: ClusterEvent) {
        for key in missed.keys { missed[key]?.append(event) }
        for (key, entry) in unschedulable where Self.helps(event, entry) {
            unschedulable[key] = nil
            waiting[key] = entry
        }
    }

    /// When the next pod becomes active by time alone.
    func nextDue() -> Duration? {
        let due = waiting.values.map { $0.attempted + Self.pause($0.attempts) }.min()
        let forgotten = unschedulable.values.map { $0.attempted + Self.longestWait }.min()
        return [due, forgotten].compactMap { $0 }.min()
    }

    private mutating func release(_ now: Duration) {
        for (key, entry) in waiting where entry.attempted + Self.pause(entry.attempts) <= now {
            waiting[key] = nil
            active[key] = entry
        }
        for (key, entry) in unschedulable where entry.attempted + Self.longestWait <= now {
            unschedulable[key] = nil
            active[key] = entry
        }
    }

    private static func pause(_ attempts: Int) -> Duration {
        attempts > 4 ? longestPause : min(longestPause, shortestPause * (1 << max(0, attempts - 1)))
    }

    private static func helps(_ event: ClusterEvent, _ entry: Entry) -> Bool {
        entry.plugins.isEmpty || entry.plugins.contains { event.mayHelp($0) }
    }
}
