import Client
import Document
import Kinds

/// Lets a deleted claim go only when no pod uses it any more.
final class ClaimProtection: Controller {
    let name = "persistentvolumeclaim-protection-controller"
    static let finalizer = "kubernetes.io/pvc-protection"
    private let claims: Informer
    private let pods: Informer

    init(_ informers: Informers) {
        claims = informers(.persistentVolumeClaims)
        pods = informers(.pods)
        pods.addIndex(ClaimUse.index, ClaimUse.keys)
    }

    var sources: [Source] {
        let claims = claims
        return [
            Source(claims) { change in
                guard let claim = change.new else { return [] }
                return claim.isTerminating == claim.finalizers.contains(Self.finalizer) ? [change.key] : []
            },
            Source(pods) { change in
                // Only a pod that ends, or that is not on a node, may set a claim free.
                if let pod = change.new, change.old?.uid == pod.uid, !pod.isFinished, !pod.nodeName.isEmpty,
                    !pod.isTerminating
                {
                    return []
                }
                return [change.old, change.new].compactMap { $0 }.flatMap(ClaimUse.keys)
                    .filter { claims.get(key: $0)?.isTerminating == true }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let claim = claims.get(key: key) else { return .nothing }
        return Self.plan(claim, pods: pods.indexed(ClaimUse.index, key))
    }

    static func plan(_ claim: Document, pods: [Document]) -> Plan {
        var changed = claim
        if !claim.isTerminating {
            if claim.finalizers.contains(finalizer) { return .nothing }
            changed.addFinalizer(finalizer)
            return Plan([.update(.persistentVolumeClaims, changed)])
        }
        guard claim.finalizers.contains(finalizer), !pods.contains(where: { ClaimUse.holds($0, claim) }) else {
            return .nothing
        }
        changed.removeFinalizer(finalizer)
        // The copy of the pods may be behind that of the claims: the server is asked before anything is lost.
        return Plan([.checkUnused(claim), .update(.persistentVolumeClaims, changed)])
    }
}
