import Basics
import Synchronization

/// What the scheduler counts of itself, under the names that Kubernetes' scheduler uses.
public final class SchedulerMetrics: MetricsSource {
    enum Result: String, Sendable { case scheduled, unschedulable, error }

    struct Attempt: Sendable, Hashable, Comparable {
        var result: String
        var profile: String

        static func < (a: Attempt, b: Attempt) -> Bool { (a.result, a.profile) < (b.result, b.profile) }
    }

    struct State: Sendable {
        var attempts: [Attempt: Histogram] = [:]
        var algorithm = SchedulerMetrics.seconds
        var podSeconds: [Int: Histogram] = [:]
        var podAttempts = Histogram(first: 1, factor: 2, count: 5)
        var permits: [String: Histogram] = [:]
        var preemptions = 0
        var victims = Histogram(first: 1, factor: 2, count: 7)
        /// As of the last time that nothing was left to decide.
        var queue = SchedulingQueue.Figures()
        var cache: [String: Int] = [:]
        var profile = ""
    }

    static let seconds = Histogram(first: 0.001, factor: 2, count: 15)
    private let state = Mutex(State())

    public init() {}

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    func attempt(_ result: Result, profile: String, seconds: Double) {
        change { state in
            let key = Attempt(result: result.rawValue, profile: profile)
            state.attempts[key, default: Self.seconds].add(seconds)
        }
    }

    public func write(to text: inout MetricsText) {
        let state = state.withLock { $0 }
        func counts(_ name: String, _ counts: [String: Int]) -> [(labels: MetricsText.Labels, value: Double)] {
            counts.sorted { $0.key < $1.key }.map { ([(name: name, value: $0.key)], Double($0.value)) }
        }
        let attempts = state.attempts.sorted { $0.key < $1.key }.map { key, histogram in
            (labels: [(name: "result", value: key.result), (name: "profile", value: key.profile)], value: histogram)
        }
        text.family(
            "scheduler_cache_size", .gauge, "Nodes, pods and assumed pods that decisions see",
            counts("type", state.cache))
        text.family(
            "scheduler_inflight_events", .gauge, "Events kept for pods that are being scheduled",
            [(labels: [], value: Double(state.queue.events))])
        text.family(
            "scheduler_pending_pods", .gauge, "Pods that wait, by where they wait",
            counts("queue", state.queue.pending))
        text.histograms(
            "scheduler_permit_wait_duration_seconds", "Time spent waiting for permission",
            state.permits.sorted { $0.key < $1.key }.map { ([(name: "result", value: $0.key)], $0.value) })
        text.histograms(
            "scheduler_pod_scheduling_attempts", "Attempts that a pod needed to get its node",
            [(labels: [], value: state.podAttempts)])
        text.histograms(
            "scheduler_pod_scheduling_sli_duration_seconds", "Time from a pod's arrival in the queue to its binding",
            state.podSeconds.sorted { $0.key < $1.key }.map { ([(name: "attempts", value: "\($0.key)")], $0.value) })
        text.family(
            "scheduler_preemption_attempts_total", .counter, "Times that room was made for a pod",
            [(labels: [], value: Double(state.preemptions))])
        text.histograms(
            "scheduler_preemption_victims", "Pods driven out to make room for one",
            [(labels: [], value: state.victims)])
        text.family(
            "scheduler_queue_incoming_pods_total", .counter, "Moves of pods, by target and cause",
            state.queue.moves.sorted { $0.key < $1.key }.map { move, count in
                ([(name: "queue", value: move.queue), (name: "event", value: move.event)], Double(count))
            })
        text.family(
            "scheduler_schedule_attempts_total", .counter, "Attempts to find a node, by result",
            attempts.map { ($0.labels, Double($0.value.count)) })
        text.histograms(
            "scheduler_scheduling_algorithm_duration_seconds", "Time taken by a decision",
            [(labels: [], value: state.algorithm)])
        text.histograms(
            "scheduler_scheduling_attempt_duration_seconds", "Time taken by a decision and its binding", attempts)
        text.family(
            "scheduler_unschedulable_pods", .gauge, "Waiting pods by the plug-in that refused them",
            state.queue.refusals.sorted { $0.key < $1.key }.map { plugin, count in
                ([(name: "plugin", value: plugin), (name: "profile", value: state.profile)], Double(count))
            })
    }
}
