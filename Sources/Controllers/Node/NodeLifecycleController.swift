import Basics
import Client
import Document
import Synchronization

final class NodeLifecycleController: Controller {
    let name = "node-lifecycle-controller"
    private let nodes: Informer
    private let leases: Informer
    private let pods: Informer
    private let settings: NodeLifecycleSettings
    private let heartbeats = Mutex<[String: Heartbeat]>([:])

    init(_ informers: Informers, _ settings: NodeLifecycleSettings) {
        nodes = informers(.nodes)
        leases = informers(.leases)
        pods = informers(.pods)
        pods.addIndex(PodIndex.node, PodIndex.byNode)
        self.settings = settings
    }

    var sources: [Source] {
        [
            Source(nodes),
            // Renewals are looked at once in a period; only a lease that goes or comes matters at once.
            Source(leases) { change in
                let (namespace, name) = ObjectKey.split(change.key)
                return namespace == "kube-node-lease" && (change.old == nil || change.new == nil) ? [name] : []
            },
            Source(pods) { change in
                guard let pod = change.new, !pod.nodeName.isEmpty, pod.isReadyPod, change.old?.isReadyPod != true else {
                    return []
                }
                return [pod.nodeName]
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let node = nodes.get(key: key) else {
            heartbeats.withLock { $0[key] = nil }
            return .nothing
        }
        let sign = NodeLifecyclePlan.sign(node: node, lease: leases.get(namespace: "kube-node-lease", name: key))
        let heartbeat = heartbeats.withLock { heartbeats in
            if let known = heartbeats[key], known.value == sign { return known }
            let new = Heartbeat(value: sign, seen: situation.uptime)
            heartbeats[key] = new
            return new
        }
        return withPeriod(
            NodeLifecyclePlan.plan(
                node, pods: pods.indexed(PodIndex.node, key), heartbeat: heartbeat, settings, situation))
    }

    private func withPeriod(_ plan: Plan) -> Plan {
        var plan = plan
        plan.lookAgain(after: settings.period)
        return plan
    }
}
