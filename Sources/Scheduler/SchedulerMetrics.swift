import Basics
import Synchronization

/// What the scheduler counts of itself, under the names that Kubernetes' scheduler uses.
public final class SchedulerMetrics: Sendable {
    public enum Kind: String, Sendable { case counter, gauge, histogram }

    public struct Sample: Sendable, Equatable {
        /// Added to the family's name: nothing, or `_bucket`, `_sum`, `_count` of a histogram.
        public var suffix: String
        public var labels: [(String, String)]
        public var value: Double

        public static func == (a: Sample, b: Sample) -> Bool {
            a.suffix == b.suffix && a.value == b.value && a.labels.elementsEqual(b.labels, by: ==)
        }
    }

    public struct Family: Sendable {
        public var name: String
        public var help: String
        public var kind: Kind
        public var samples: [Sample]
    }

    /// Counts of values by the bounds that they lie below.
    struct Histogram: Sendable {
        let bounds: [Double]
        var counts: [Int]
        var sum = 0.0
        var count = 0

        /// Each bound is `factor` times the one before.
        init(from first: Double, factor: Double, count: Int) {
            var bounds: [Double] = []
            var bound = first
            for _ in 0..<count {
                bounds.append(bound)
                bound *= factor
            }
            self.bounds = bounds
            counts = Array(repeating: 0, count: count)
        }

        mutating func observe(_ value: Double) {
            sum += value
            count += 1
            for index in bounds.indices.reversed() where value <= bounds[index] { counts[index] += 1 }
        }

        func samples(_ labels: [(String, String)]) -> [Sample] {
            var samples = zip(bounds, counts).map { bound, count in
                Sample(suffix: "_bucket", labels: labels + [("le", "\(bound)")], value: Double(count))
            }
            samples.append(Sample(suffix: "_bucket", labels: labels + [("le", "+Inf")], value: Double(count)))
            samples.append(Sample(suffix: "_sum", labels: labels, value: sum))
            samples.append(Sample(suffix: "_count", labels: labels, value: Double(count)))
            return samples
        }
    }

    enum Result: String, Sendable { case scheduled, unschedulable, error }

    struct State: Sendable {
        var attempts: [String: Int] = [:]
        var attemptSeconds: [String: Histogram] = [:]
        var algorithmSeconds = Histogram(from: 0.001, factor: 2, count: 15)
        var pointSeconds: [String: Histogram] = [:]
        var podSeconds: [String: Histogram] = [:]
        var podAttempts = Histogram(from: 1, factor: 2, count: 5)
        var victims = Histogram(from: 1, factor: 2, count: 7)
        var preemptions = 0
        var permitSeconds: [String: Histogram] = [:]
        var bindings = 0
        // As of the last look.
        var pending: [String: Int] = [:]
        var moves: [String: Int] = [:]
        var refusals: [String: Int] = [:]
        var cache: [String: Int] = [:]
        var inFlightEvents = 0
    }

    private let state = Mutex(State())

    public init() {}

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    func attempt(_ result: Result, profile: String, seconds: Double) {
        change { state in
            let key = "\(result.rawValue) \(profile)"
            state.attempts[key, default: 0] += 1
            state.attemptSeconds[key, default: Histogram(from: 0.001, factor: 2, count: 15)].observe(seconds)
        }
    }

    func point(_ point: Profile.Point, succeeded: Bool, profile: String, seconds: Double) {
        let name = point.rawValue.prefix(1).uppercased() + point.rawValue.dropFirst()
        change { state in
            let key = "\(name) \(succeeded ? "Success" : "Error") \(profile)"
            state.pointSeconds[key, default: Histogram(from: 0.0001, factor: 2, count: 12)].observe(seconds)
        }
    }

    /// Everything, in the order of the names; labels and values as of now.
    public var families: [Family] {
        let state = state.withLock { $0 }
        func labelled(_ counts: [String: Int], _ names: [String]) -> [Sample] {
            counts.sorted { $0.key < $1.key }.map { key, value in
                Sample(suffix: "", labels: Self.labels(key, names), value: Double(value))
            }
        }
        func labelled(_ histograms: [String: Histogram], _ names: [String]) -> [Sample] {
            histograms.sorted { $0.key < $1.key }.flatMap { $1.samples(Self.labels($0, names)) }
        }
        let attempt = ["result", "profile"]
        return [
            Family(
                name: "scheduler_cache_size", help: "Nodes, pods and assumed pods that decisions see", kind: .gauge,
                samples: labelled(state.cache, ["type"])),
            Family(
                name: "scheduler_framework_extension_point_duration_seconds",
                help: "Time taken by all plug-ins of an extension point", kind: .histogram,
                samples: labelled(state.pointSeconds, ["extension_point", "status", "profile"])),
            Family(
                name: "scheduler_inflight_events", help: "Events kept for pods that are being scheduled", kind: .gauge,
                samples: [Sample(suffix: "", labels: [], value: Double(state.inFlightEvents))]),
            Family(
                name: "scheduler_pending_pods", help: "Pods that wait, by where they wait", kind: .gauge,
                samples: labelled(state.pending, ["queue"])),
            Family(
                name: "scheduler_permit_wait_duration_seconds", help: "Time spent waiting for permission",
                kind: .histogram, samples: labelled(state.permitSeconds, ["result"])),
            Family(
                name: "scheduler_pod_scheduling_attempts", help: "Attempts that a pod needed to get its node",
                kind: .histogram, samples: state.podAttempts.samples([])),
            Family(
                name: "scheduler_pod_scheduling_sli_duration_seconds",
                help: "Time from a pod's arrival in the queue to its binding", kind: .histogram,
                samples: labelled(state.podSeconds, ["attempts"])),
            Family(
                name: "scheduler_preemption_attempts_total", help: "Attempts to make room for a pod", kind: .counter,
                samples: [Sample(suffix: "", labels: [], value: Double(state.preemptions))]),
            Family(
                name: "scheduler_preemption_victims", help: "Pods driven out to make room for one", kind: .histogram,
                samples: state.victims.samples([])),
            Family(
                name: "scheduler_queue_incoming_pods_total", help: "Moves of pods, by target and cause",
                kind: .counter, samples: labelled(state.moves, ["queue", "event"])),
            Family(
                name: "scheduler_schedule_attempts_total", help: "Attempts to find a node, by result", kind: .counter,
                samples: labelled(state.attempts, attempt)),
            Family(
                name: "scheduler_scheduling_algorithm_duration_seconds", help: "Time taken by a decision",
                kind: .histogram, samples: state.algorithmSeconds.samples([])),
            Family(
                name: "scheduler_scheduling_attempt_duration_seconds",
                help: "Time taken by a decision and its binding", kind: .histogram,
                samples: labelled(state.attemptSeconds, attempt)),
            Family(
                name: "scheduler_unschedulable_pods", help: "Waiting pods by the plug-in that refused them",
                kind: .gauge, samples: labelled(state.refusals, ["plugin", "profile"])),
        ]
    }

    /// Keys of the tables are the labels' values with spaces between.
    private static func labels(_ key: String, _ names: [String]) -> [(String, String)] {
        zip(names, key.split(separator: " ").map(String.init)).map { ($0, $1) }
    }
}
