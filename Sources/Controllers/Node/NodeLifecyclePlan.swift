import Basics
import Client
import Document
import Kinds

/// When a node last gave a sign of life, by the clock of whoever watches it:
/// what counts is when its heartbeat was *seen to change*, so that clocks need not agree.
struct Heartbeat: Sendable, Equatable {
    var value: String
    var seen: Duration
}

struct NodeLifecycleSettings: Sendable {
    /// A silent node counts as lost after this.
    var gracePeriod = Duration.seconds(50)
    /// A node that never reported gets this long.
    var startupGracePeriod = Duration.seconds(60)
    /// How often the heartbeats are looked at.
    var period = Duration.seconds(5)
    var zones = ZoneHealth.Settings()
}

/// Judges a node by its heartbeat: conditions, taints, and the readiness of its pods.
enum NodeLifecyclePlan {
    static let notReady = "node.kubernetes.io/not-ready"
    static let unreachable = "node.kubernetes.io/unreachable"
    static let unschedulable = "node.kubernetes.io/unschedulable"
    private static let pressures = [
        "MemoryPressure": "node.kubernetes.io/memory-pressure", "DiskPressure": "node.kubernetes.io/disk-pressure",
        "PIDPressure": "node.kubernetes.io/pid-pressure",
        "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
    ]
    private static let managed = Set([notReady, unreachable, unschedulable] + pressures.values)

    /// What changes with every sign of life: the lease's renewal and the kubelet's status report.
    static func sign(node: Document, lease: Document?) -> String {
        let reported = node.condition("Ready")?.text("lastHeartbeatTime") ?? ""
        return "\(lease?.text("spec", "renewTime") ?? "")|\(reported)"
    }

    /// - Parameters:
    ///   - isCutOff: no node is heard, so none is given up, and those that were are taken back.
    ///   - mayGiveUp: asked when the pods of the node are to be evicted: how long to wait, nil for not at all now.
    static func plan(
        _ node: Document, pods: [Document], heartbeat: Heartbeat, _ settings: NodeLifecycleSettings,
        _ situation: Situation, isCutOff: Bool = false, mayGiveUp: () -> Duration? = { .zero }
    ) -> Plan {
        var plan = Plan()
        let silence = situation.uptime - heartbeat.seen
        let grace = node.condition("Ready") == nil ? settings.startupGracePeriod : settings.gracePeriod
        var judged = node
        if silence >= grace {
            judged.set(conditionsOfLostNode(node, situation.now), at: "status", "conditions")
            if judged.at("status", "conditions") != node.at("status", "conditions") {
                plan.then(
                    .patch(
                        .nodes, namespace: nil, name: node.name,
                        [
                            "metadata": ["resourceVersion": node.at("metadata", "resourceVersion") ?? .null],
                            "status": ["conditions": judged.at("status", "conditions") ?? .emptyArray],
                        ], subresource: "status"))
                plan.then(
                    .event(
                        node, .normal, reason: "NodeNotReady", message: "Node \(node.name) status is now: NodeNotReady")
                )
            }
        } else {
            plan.lookAgain(after: min(settings.period, grace - silence + .milliseconds(1)))
        }
        planTaints(judged, from: node, situation.now, isCutOff: isCutOff, mayGiveUp, &plan)
        if judged.condition("Ready")?.text("status") != "True", judged.condition("Ready") != nil {
            for pod in pods {
                guard let action = notReady(pod, situation.now) else { continue }
                plan.then(
                    action, .event(pod, .warning, reason: "NodeNotReady", message: "Node is not ready"))
            }
        }
        return plan
    }

    private static func conditionsOfLostNode(_ node: Document, _ now: Timestamp) -> Document {
        var conditions = Document(node.list("status", "conditions"))
        for type in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
            let old = node.condition(type)
            if old?.text("status") == "Unknown" { continue }
            var new =
                old ?? ["type": Document(type), "lastHeartbeatTime": node.at("metadata", "creationTimestamp") ?? .null]
            new["status"] = "Unknown"
            new["reason"] = old == nil ? "NodeStatusNeverUpdated" : "NodeStatusUnknown"
            new["message"] = old == nil ? "Kubelet never posted node status." : "Kubelet stopped posting node status."
            conditions = conditions.settingCondition(new, at: now)
        }
        return conditions
    }

    private static func planTaints(
        _ judged: Document, from node: Document, _ now: Timestamp, isCutOff: Bool, _ mayGiveUp: () -> Duration?,
        _ plan: inout Plan
    ) {
        var wanted: [(key: String, effect: String)] = []
        switch judged.condition("Ready")?.text("status") {
        case "True", nil: break
        case "Unknown": wanted += [(unreachable, "NoSchedule"), (unreachable, "NoExecute")]
        default: wanted += [(notReady, "NoSchedule"), (notReady, "NoExecute")]
        }
        for (condition, taint) in pressures.sorted(by: { $0.key < $1.key })
        where judged.condition(condition)?.text("status") == "True" {
            wanted.append((taint, "NoSchedule"))
        }
        if node.flag("spec", "unschedulable") == true { wanted.append((unschedulable, "NoSchedule")) }
        let old = node.list("spec", "taints")
        if isCutOff { wanted.removeAll { $0.effect == "NoExecute" } }
        // The kubelet's own word and the controller's silence are two taints for one loss: given up is given up.
        let isGivenUp = old.contains {
            [notReady, unreachable].contains($0.text("key")) && $0.text("effect") == "NoExecute"
        }
        if !isGivenUp, wanted.contains(where: { $0.effect == "NoExecute" }) {
            let wait = mayGiveUp()
            if wait != .zero { wanted.removeAll { $0.effect == "NoExecute" } }
            if let wait, wait > .zero { plan.lookAgain(after: wait) }
        }
        var taints = old.filter { taint in
            guard let key = taint.text("key"), managed.contains(key) else { return true }
            // A node that has not reported yet keeps the taint that it came with.
            if judged.condition("Ready") == nil, key == notReady { return true }
            return wanted.contains { $0.key == key && $0.effect == taint.text("effect") }
        }
        for (key, effect) in wanted
        where !taints.contains(where: { $0.text("key") == key && $0.text("effect") == effect }) {
            taints.append(["key": Document(key), "effect": Document(effect), "timeAdded": Document(now.rfc3339())])
        }
        if taints == old { return }
        plan.then(
            .patch(
                .nodes, namespace: nil, name: node.name,
                ["spec": ["taints": taints.isEmpty ? .null : Document(taints)]]))
    }

    /// Takes a pod of a lost node out of service.
    private static func notReady(_ pod: Document, _ now: Timestamp) -> Action? {
        guard var ready = pod.condition("Ready"), ready.text("status") == "True" else { return nil }
        ready["status"] = "False"
        let conditions = Document(pod.list("status", "conditions")).settingCondition(ready, at: now)
        return .patch(
            .pods, namespace: pod.namespace, name: pod.name,
            [
                "metadata": [
                    "uid": Document(pod.uid), "resourceVersion": pod.at("metadata", "resourceVersion") ?? .null,
                ],
                "status": ["conditions": conditions],
            ], subresource: "status")
    }
}
