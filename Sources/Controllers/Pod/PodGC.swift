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
            // A pod on a node that nobody knows, one that is to end, and every finished one beyond the limit.
            Source(pods) { [nodes, finishedLimit, pods] change in
                guard let pod = change.new else { return [] }
                if change.old?.nodeName != pod.nodeName, !pod.nodeName.isEmpty, nodes.get(key: pod.nodeName) == nil {
                    return [Self.key]
                }
                if pod.isFinished, change.old?.isFinished != true, pods.count > finishedLimit { return [Self.key] }
                guard pod.isTerminating, change.old?.isTerminating != true else { return [] }
                return [Self.key]
            },
            Source(nodes) { change in
                change.new.map { Self.isOutOfService($0) && !(change.old.map(Self.isOutOfService) ?? false) } ?? true
                    ? [Self.key] : []
            },
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
        let dead = Set(nodes.all.filter(Self.isOutOfService).map(\.name))
        var plan = Self.plan(
            all, lostNodes: lost, deadNodes: dead, finishedLimit: finishedLimit, situation)
        // Only a quarantine, or too many finished pods, come about without a change that is followed here.
        if !absent.isEmpty || all.count > finishedLimit { plan.lookAgain(after: Self.period) }
        return plan
    }

    /// An administrator says that the node is off for good.
    private static func isOutOfService(_ node: Document) -> Bool {
        node.condition("Ready")?.text("status") != "True"
            && node.list("spec", "taints").contains { $0.text("key") == "node.kubernetes.io/out-of-service" }
    }

    static func plan(
        _ pods: [Document], lostNodes: Set<String>, deadNodes: Set<String> = [], finishedLimit: Int,
        _ situation: Situation
    ) -> Plan {
        var plan = Plan()
        for pod in pods {
            if lostNodes.contains(pod.nodeName) {
                if !pod.isFinished { plan.then(fail(pod, situation.now)) }
                plan.then(.delete(.pods, pod, grace: 0))
            } else if pod.isTerminating, pod.nodeName.isEmpty || deadNodes.contains(pod.nodeName) {
                if !pod.isFinished { plan.then(fail(pod)) }
                plan.then(.delete(.pods, pod, grace: 0))
            }
        }
        let finished = pods.filter { $0.isFinished && !$0.isTerminating }
        if finishedLimit > 0, finished.count > finishedLimit {
            func isKept(_ pod: Document) -> Int { pod.text("status", "reason") == "Evicted" ? 0 : 1 }
            let oldest = finished.sorted { (isKept($0), $0.created, $0.name) < (isKept($1), $1.created, $1.name) }
            plan.then(oldest.prefix(finished.count - finishedLimit).map { .delete(.pods, $0, grace: 0) })
        }
        return plan
    }

    private static func fail(_ pod: Document) -> Action {
        .patch(
            .pods, namespace: pod.namespace, name: pod.name,
            ["metadata": ["uid": Document(pod.uid)], "status": ["phase": "Failed"]], subresource: "status")
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
