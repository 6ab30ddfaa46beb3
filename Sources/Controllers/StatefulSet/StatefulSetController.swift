import Client
import Document
import Kinds

struct StatefulSetController: Controller {
    let name = "statefulset-controller"
    let workers = 5
    private let sets: Informer
    private let pods: Informer
    private let claims: Informer
    private let revisions: Informer

    init(_ informers: Informers) {
        sets = informers(.statefulSets)
        pods = informers(.pods)
        claims = informers(.persistentVolumeClaims)
        revisions = informers(.controllerRevisions)
        pods.addIndex(PodIndex.controller, PodIndex.byController)
        revisions.addIndex(PodIndex.controller, PodIndex.byController)
        sets.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] {
        let sets = sets
        return [
            Source(sets),
            Source(pods) { change in
                [change.old, change.new].compactMap { $0 }.flatMap { pod -> [String] in
                    if pod.controllerReference != nil { return Self.owner(of: pod) }
                    let labels = pod.labels
                    return sets.indexed("namespace", pod.namespace ?? "")
                        .filter { StatefulName(of: pod, in: $0) != nil && ($0.selector?.matches(labels) ?? false) }
                        .map { ObjectKey.of($0) }
                }
            },
            // A claim that is gone makes room for a pod that waits for it.
            Source(claims) { change in
                guard change.new == nil, let claim = change.old else { return [] }
                return sets.indexed("namespace", claim.namespace ?? "")
                    .filter { ClaimTemplates($0).names(claim.name) }.map { ObjectKey.of($0) }
            },
            Source(revisions) { change in
                change.new == nil ? change.old.map(Self.owner) ?? [] : []
            },
        ]
    }

    private static func owner(of object: Document) -> [String] {
        guard let owner = object.controllerReference, owner.text("kind") == "StatefulSet" else { return [] }
        return [ObjectKey.make(namespace: object.namespace, name: owner.text("name") ?? "")]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let set = sets.get(key: key) else { return .nothing }
        let orphans = PodIndex.orphans(in: set.namespace)
        let pods =
            pods.indexed(PodIndex.controller, set.uid)
            + pods.indexed(PodIndex.controller, orphans).filter { StatefulName(of: $0, in: set) != nil }
        let history =
            revisions.indexed(PodIndex.controller, set.uid) + revisions.indexed(PodIndex.controller, orphans)
        let (claims, revisions) = (claims, revisions)
        return StatefulSetPlan.plan(
            set, pods: pods, revisions: history,
            revisionNamed: { revisions.get(namespace: set.namespace, name: $0) },
            claimNamed: { claims.get(namespace: set.namespace, name: $0) }, situation)
    }
}
