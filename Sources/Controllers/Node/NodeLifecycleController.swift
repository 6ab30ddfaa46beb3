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
    private let state: Mutex<State>

    private struct State {
        var heartbeats: [String: Heartbeat] = [:]
        var zones: ZoneHealth
        /// The nodes that were told of, to tell of their end as well.
        var registered: [String: Document] = [:]
    }

    init(_ informers: Informers, _ settings: NodeLifecycleSettings) {
        nodes = informers(.nodes)
        leases = informers(.leases)
        pods = informers(.pods)
        pods.addIndex(PodIndex.node, PodIndex.byNode)
        self.settings = settings
        state = Mutex(State(zones: ZoneHealth(settings.zones)))
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
        guard let node = nodes.get(key: key) else { return planEnd(of: key) }
        let sign = NodeLifecyclePlan.sign(node: node, lease: leases.get(namespace: "kube-node-lease", name: key))
        let (heartbeat, isNew) = state.withLock { state -> (Heartbeat, Bool) in
            let isNew = state.registered[key]?.uid != node.uid
            state.registered[key] = node
            if state.zones.look(at: { nodes.all }, now: situation.uptime) {
                // All nodes were silent, so it was us who could not hear: all get their time anew.
                for name in state.heartbeats.keys { state.heartbeats[name]?.seen = situation.uptime }
            }
            if let known = state.heartbeats[key], known.value == sign { return (known, isNew) }
            let new = Heartbeat(value: sign, seen: situation.uptime)
            state.heartbeats[key] = new
            return (new, isNew)
        }
        let zone = ZoneHealth.zone(of: node)
        var plan = NodeLifecyclePlan.plan(
            node, pods: pods.indexed(PodIndex.node, key), heartbeat: heartbeat, settings, situation,
            isCutOff: state.withLock { $0.zones.isCutOff },
            mayGiveUp: { self.state.withLock { $0.zones.admit(zone, now: situation.uptime) } })
        if isNew {
            plan.finally.append(Self.event(node, "RegisteredNode", "Registered Node \(node.name) in Controller"))
        }
        plan.lookAgain(after: settings.period)
        return plan
    }

    private func planEnd(of key: String) -> Plan {
        let last = state.withLock { state in
            state.heartbeats[key] = nil
            return state.registered.removeValue(forKey: key)
        }
        guard let last else { return .nothing }
        var plan = Plan()
        plan.then(Self.event(last, "RemovingNode", "Removing Node \(key) from Controller"))
        return plan
    }

    private static func event(_ node: Document, _ reason: String, _ what: String) -> Action {
        .event(node, .normal, reason: reason, message: "Node \(node.name) event: \(what)")
    }
}
