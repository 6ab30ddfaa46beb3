import Basics
import Client
import Document
import Kinds
import Synchronization

/// Removes pods that nobody can end any more: bound to a node that is gone, or deleted before they were bound;
/// and the oldest finished pods when there are too many.
final class PodGC: Controller {
    let name = "pod-garbage-collector-controller"
    let workers = 1
    let initialKeys = [key]
    private static let key = "pods"
    private static let period = Duration.seconds(20)
    /// A node that is missing may be just registering; its pods are left alone for so long.
    private static let quarantine = Duration.seconds(40)
    private let pods: Informer
    private let nodes: Informer
    private let finishedLimit: Int
    private let missing = Mutex<[String: Duration]>([:])

    init(_ informers: Informers, finishedLimit: Int = 12_500) {
        pods = informers(.pods)
        nodes = informers(.nodes)
        self.finishedLimit = finishedLimit
    }

    var sources: [Source] {
        [
            Source(pods) { change in
                guard let pod = change.new, pod.isTerminating, pod.nodeName.isEmpty else { return [] }
                return [Self.key]
            },
            Source(nodes) { $0.new == nil ? [Self.key] : [] },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        let all = pods.all
        let absent = Set(all.map(\.nodeName).filter { !$0.isEmpty && nodes.get(key: $0) == nil })
        let lost = missing.withLock { missing in
            missing = missing.filter { absent.contains($0.key) }
            for node in absent where missing[node] == nil { missing[node] = situation.uptime }
            return Set(missing.filter { situation.uptime - $0.value >= Self.quarantine }.keys)
        }
        var plan = Self.plan(all, lostNodes: lost, finishedLimit: finishedLimit, situation)
        plan.lookAgain(after: Self.period)
        return plan
    }

    static func plan(
        _ pods: [Document], lostNodes: Set<String>, finishedLimit: Int, _ situation: Situation
    ) -> Plan {
        var plan = Plan()
        for pod in pods {
            if lostNodes.contains(pod.nodeName) {
                if !pod.isFinished { plan.then(fail(pod, situation.now)) }
                plan.then(.delete(.pods, pod, grace: 0))
            } else if pod.isTerminating, pod.nodeName.isEmpty {
                plan.then(.delete(.pods, pod, grace: 0))
            }
        }
        let finished = pods.filter { $0.isFinished && !$0.isTerminating }
        if finishedLimit > 0, finished.count > finishedLimit {
            let oldest = finished.sorted { ($0.created, $0.name) < ($1.created, $1.name) }
            plan.then(oldest.prefix(finished.count - finishedLimit).map { .delete(.pods, $0, grace: 0) })
        }
        return plan
    }

    private static func fail(_ pod: Document, _ now: Timestamp) -> Action {
        let condition: Document = [
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
        ]
        let conditions = Document(pod.list("status", "conditions")).settingCondition(condition, at: now)
        return .patch(
            .pods, namespace: pod.namespace, name: pod.name,
            ["metadata": ["uid": Document(pod.uid)], "status": ["phase": "Failed", "conditions": conditions]],
            subresource: "status")
    }
}
