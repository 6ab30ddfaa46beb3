import Basics
import Client
import Synchronization

/// What the controllers of one process count.
public final class ControllerMetrics: MetricsSource {
    private struct State {
        var queues: [String: WorkQueue] = [:]
        var errors: [String: Int] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// A controller that starts anew replaces its queue.
    func follow(_ queue: WorkQueue, of controller: String) { state.withLock { $0.queues[controller] = queue } }
    func countError(of controller: String) { state.withLock { $0.errors[controller, default: 0] += 1 } }

    public func write(to text: inout MetricsText) {
        let (queues, errors) = state.withLock { ($0.queues, $0.errors) }
        WorkQueue.write(queues.sorted { $0.key < $1.key }.map { ($0.key, $0.value.statistics) }, to: &text)
        text.family(
            "lab_controller_errors_total", .counter, "Rounds that failed for another reason than a conflict",
            errors.sorted { $0.key < $1.key }.map { ([(name: "name", value: $0.key)], Double($0.value)) })
    }
}
