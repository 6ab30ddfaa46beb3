import Basics
import Client
import Document
import Kinds
import Synchronization

/// Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer.
struct TaintEvictionController: Controller {
    let name = "taint-eviction-controller"
    let workers = 8
    private let nodes: Informer
    private let pods: Informer
    private let scheduled = ScheduledEvictions()

    init(_ informers: Informers) {
        nodes = informers(.nodes)
        pods = informers(.pods)
        pods.addIndex(PodIndex.node, PodIndex.byNode)
    }

    var sources: [Source] {
        let pods = pods
        return [
            Source(nodes) { change in
                if change.old?.at("spec", "taints") == change.new?.at("spec", "taints") { return [] }
                return pods.indexed(PodIndex.node, change.key).map { ObjectKey.of($0) }
            },
            Source(pods) { change in
                guard let new = change.new, !new.nodeName.isEmpty else { return [] }
                let isNews =
                    change.old?.nodeName != new.nodeName
                    || change.old?.at("spec", "tolerations") != new.at("spec", "tolerations")
                return isNews ? [change.key] : []
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let pod = pods.get(key: key), let node = nodes.get(key: pod.nodeName) else {
            scheduled.set(key, nil)
            return .nothing
        }
        let before = scheduled[key].flatMap { $0.uid == pod.uid ? $0 : nil }
        var plan = Self.plan(pod, on: node, situation, waitingSince: before?.since)
        let entry = ScheduledEvictions.Entry(uid: pod.uid, since: before?.since ?? situation.now)
        scheduled.set(key, plan.lookAgain == nil ? nil : entry)
        if before != nil, plan == .nothing, !pod.isTerminating, !pod.isFinished {
            plan.then(
                .event(
                    pod, .normal, reason: "TaintManagerEviction",
                    message: "Cancelling deletion of Pod \(pod.namespace ?? "")/\(pod.name)"))
        }
        return plan
    }

    /// A taint that does not say since when it is there counts from when the pod was first seen to wait for it: not
    /// from now, or the end would never come nearer.
    static func plan(
        _ pod: Document, on node: Document, _ situation: Situation, waitingSince start: Timestamp? = nil
    ) -> Plan {
        if pod.isTerminating || pod.isFinished { return .nothing }
        let tolerations = pod.list("spec", "tolerations").map { Toleration($0) }
        var due: Timestamp?
        for taint in node.list("spec", "taints") where taint.text("effect") == "NoExecute" {
            let matching = tolerations.filter { $0.tolerates(taint) }
            let since = taint.time("timeAdded") ?? start ?? situation.now
            let limits = matching.compactMap(\.seconds)
            if matching.isEmpty {
                due = since
            } else if limits.count == matching.count, let shortest = limits.min() {
                due = min(due ?? since + .seconds(shortest), since + .seconds(max(0, shortest)))
            }
        }
        guard let due else { return .nothing }
        var plan = Plan()
        if due > situation.now {
            plan.lookAgain(after: due - situation.now)
            return plan
        }
        let message = "Taint manager: deleting due to NoExecute taint"
        let condition: Document = [
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
            "message": Document(message),
        ]
        let conditions = Document(pod.list("status", "conditions")).settingCondition(condition, at: situation.now)
        plan.then(
            .event(
                pod, .normal, reason: "TaintManagerEviction",
                message: "Marking for deletion Pod \(pod.namespace ?? "")/\(pod.name)"),
            .patch(
                .pods, namespace: pod.namespace, name: pod.name,
                ["metadata": ["uid": Document(pod.uid)], "status": ["conditions": conditions]],
                subresource: "status"),
            .delete(.pods, pod))
        return plan
    }
}

/// The pods that will be evicted unless something changes, so that users hear of the change.
private final class ScheduledEvictions: Sendable {
    struct Entry {
        var uid: String
        var since: Timestamp
    }

    private let pods = Mutex<[String: Entry]>([:])

    subscript(key: String) -> Entry? { pods.withLock { $0[key] } }

    func set(_ key: String, _ entry: Entry?) { pods.withLock { $0[key] = entry } }
}

/// What a pod puts up with.
struct Toleration {
    private let document: Document

    init(_ document: Document) { self.document = document }

    /// How long it tolerates a NoExecute taint; nil for as long as it takes.
    var seconds: Int? { document.number("tolerationSeconds") }

    func tolerates(_ taint: Document) -> Bool {
        if let effect = document.text("effect"), !effect.isEmpty, effect != taint.text("effect") { return false }
        let key = document.text("key") ?? ""
        if document.text("operator") == "Exists" { return key.isEmpty || key == taint.text("key") }
        return key == taint.text("key") && (document.text("value") ?? "") == (taint.text("value") ?? "")
    }
}
