import Client
import Document
import Kinds

/// Drives replica sets or replication controllers.
struct ReplicaSetController: Controller {
    let workers = 5
    private let kind: ReplicatedKind
    private let sets: Informer
    private let pods: Informer

    init(_ informers: Informers, kind: ReplicatedKind = .replicaSet) {
        self.kind = kind
        sets = informers(kind.resource)
        pods = informers(.pods)
        pods.addIndex(PodIndex.controller, PodIndex.byController)
        sets.addIndex("controller") { set in set.controllerUID.map { [$0] } ?? [] }
        sets.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var name: String { kind.controller }
    var component: String { kind.component }

    var sources: [Source] {
        let (sets, kind) = (sets, kind)
        return [
            Source(sets),
            Source(pods) { change in
                [change.old, change.new].compactMap { $0 }.flatMap { pod -> [String] in
                    if let owner = pod.controllerReference {
                        guard owner.text("kind") == kind.resource.kind else { return [] }
                        return [ObjectKey.make(namespace: pod.namespace, name: owner.text("name") ?? "")]
                    }
                    // Nobody's pod concerns every set that would adopt it.
                    let labels = pod.labels
                    return sets.indexed("namespace", pod.namespace ?? "")
                        .filter { kind.selector($0)?.matches(labels) ?? false }
                        .map { ObjectKey.of($0) }
                }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let set = sets.get(key: key) else { return .nothing }
        let candidates =
            pods.indexed(PodIndex.controller, set.uid)
            + pods.indexed(PodIndex.controller, PodIndex.orphans(in: set.namespace))
        return ReplicaSetPlan.plan(set, kind, pods: candidates, neighbours: neighbours(of: set), situation)
    }

    private func neighbours(of set: Document) -> [String: Int] {
        let siblings = set.controllerUID.map { sets.indexed("controller", $0) } ?? [set]
        var counts: [String: Int] = [:]
        for sibling in siblings {
            for pod in pods.indexed(PodIndex.controller, sibling.uid) where pod.isActivePod && !pod.nodeName.isEmpty {
                counts[pod.nodeName, default: 0] += 1
            }
        }
        return counts
    }
}

/// How the shared copy of all pods is grouped.
enum PodIndex {
    static let controller = "controller"
    static let node = "node"
    static let namespace = "namespace"

    /// The controller's uid, or for nobody's pods their namespace.
    static func byController(_ pod: Document) -> [String] { [pod.controllerUID ?? orphans(in: pod.namespace)] }
    static func orphans(in namespace: String?) -> String { "orphans/\(namespace ?? "")" }
    static func byNode(_ pod: Document) -> [String] { pod.nodeName.isEmpty ? [] : [pod.nodeName] }
    static func byNamespace(_ pod: Document) -> [String] { [pod.namespace ?? ""] }
}
