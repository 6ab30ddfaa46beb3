import Basics
import Document
import Synchronization

/// When the change happened that makes a service's endpoints be written anew: what `last-change-trigger-time` says,
/// from which others measure how long it takes until a change is in force.
final class TriggerTimes: Sendable {
    static let annotation = "endpoints.kubernetes.io/last-change-trigger-time"

    private struct Known {
        var service: Timestamp
        var pods: [String: Timestamp]
    }

    private let known = Mutex<[String: Known]>([:])

    /// The earliest change since the last look at this service; nil where nothing with a time changed.
    func latest(_ key: String, _ service: Document, _ pods: [Document]) -> Timestamp? {
        var times: [String: Timestamp] = [:]
        for pod in pods { times[pod.name] = pod.condition("Ready")?.time("lastTransitionTime") }
        let created = service.created
        return known.withLock { known in
            defer { known[key] = Known(service: created, pods: times) }
            let before = known[key]
            var changes = times.filter { name, time in time > (before?.pods[name] ?? Timestamp(seconds: 0)) }.map(
                \.value)
            if before?.service != created { changes.append(created) }
            return changes.min()
        }
    }

    func forget(_ key: String) { known.withLock { $0[key] = nil } }
}
