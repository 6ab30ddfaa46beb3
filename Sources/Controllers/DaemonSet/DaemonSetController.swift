import Basics
import Client
import Document
import Kinds
import Synchronization

struct DaemonSetController: Controller {
    let name = "daemonset-controller"
    let workers = 2
    private let sets: Informer
    private let pods: Informer
    private let nodes: Informer
    private let revisions: Informer
    private let memory = Memory()

    init(_ informers: Informers) {
        sets = informers(.daemonSets)
        pods = informers(.pods)
        nodes = informers(.nodes)
        revisions = informers(.controllerRevisions)
        pods.addIndex(PodIndex.controller, PodIndex.byController)
        revisions.addIndex(PodIndex.controller, PodIndex.byController)
        sets.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] {
        let (sets, memory) = (sets, memory)
        return [
            Source(sets) { change in
                if change.new == nil { memory.forget(set: change.key) }
                return [change.key]
            },
            Source(pods) { change in
                [change.old, change.new].compactMap { $0 }.flatMap { pod -> [String] in
                    if pod.controllerReference != nil { return Self.owner(of: pod) }
                    let labels = pod.labels
                    return sets.indexed("namespace", pod.namespace ?? "")
                        .filter { $0.selector?.matches(labels) ?? false }.map { ObjectKey.of($0) }
                }
            },
            // Heartbeats and the like concern nobody: what counts is where pods belong.
            Source(nodes) { change in
                let old = change.old.map { NodeFacts($0) }
                let new = change.new.map { NodeFacts($0) }
                if change.new == nil { memory.forget(node: change.key) }
                if old == new { return [] }
                return sets.all.filter { set in
                    let placement = DaemonPlacement(set)
                    return old.map(placement.verdict) ?? .init() != new.map(placement.verdict) ?? .init()
                }.map { ObjectKey.of($0) }
            },
            Source(revisions) { change in change.new == nil ? change.old.map(Self.owner) ?? [] : [] },
        ]
    }

    private static func owner(of object: Document) -> [String] {
        guard let owner = object.controllerReference, owner.text("kind") == "DaemonSet" else { return [] }
        return [ObjectKey.make(namespace: object.namespace, name: owner.text("name") ?? "")]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let set = sets.get(key: key) else { return .nothing }
        let orphans = PodIndex.orphans(in: set.namespace)
        let pods = pods.indexed(PodIndex.controller, set.uid) + pods.indexed(PodIndex.controller, orphans)
        let history =
            revisions.indexed(PodIndex.controller, set.uid) + revisions.indexed(PodIndex.controller, orphans)
        var backoff = memory.backoff(of: key)
        let revisions = revisions
        let plan = DaemonSetPlan.plan(
            set, nodes: memory.facts(of: nodes.all), pods: pods, revisions: history,
            revisionNamed: { revisions.get(namespace: set.namespace, name: $0) }, &backoff, situation)
        memory.keep(backoff, of: key)
        return plan
    }
}

/// What the controller remembers between rounds: the failures of each set, and what it read from each node.
private final class Memory: Sendable {
    private struct Known: Sendable {
        var version: String
        var facts: NodeFacts
    }

    private let backoffs = Mutex<[String: FailedPodBackoff]>([:])
    private let nodes = Mutex<[String: Known]>([:])

    func backoff(of set: String) -> FailedPodBackoff { backoffs.withLock { $0[set] ?? FailedPodBackoff() } }
    func keep(_ backoff: FailedPodBackoff, of set: String) {
        backoffs.withLock { $0[set] = backoff.isEmpty ? nil : backoff }
    }
    func forget(set: String) { backoffs.withLock { $0[set] = nil } }
    func forget(node: String) { nodes.withLock { $0[node] = nil } }

    /// With thousands of nodes, reading each anew for every round would cost more than the round.
    func facts(of all: [Document]) -> [NodeFacts] {
        nodes.withLock { known in
            all.map { node in
                let version = node.text("metadata", "resourceVersion") ?? ""
                let name = node.name
                if let entry = known[name], entry.version == version, !version.isEmpty { return entry.facts }
                let facts = NodeFacts(node)
                known[name] = Known(version: version, facts: facts)
                return facts
            }
        }
    }
}
