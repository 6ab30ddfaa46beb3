import Client
import Document
import Kinds

/// What becomes of a pod's claims when the pod is scaled away or the set is deleted, said by owner references,
/// on which the garbage collector acts:
///
/// - deleted with the set: the set owns the claim, as long as the pod is within the set's range;
/// - deleted when scaled away: the pod owns the claim, once it is out of that range;
/// - kept: neither does.
struct ClaimRetention {
    private let set: Document
    private let whenDeleted: Bool
    private let whenScaled: Bool

    init(_ set: Document) {
        self.set = set
        whenDeleted = set.text("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted") == "Delete"
        whenScaled = set.text("spec", "persistentVolumeClaimRetentionPolicy", "whenScaled") == "Delete"
    }

    /// The owners of the claims of a pod in range; the pod need not exist yet.
    var owners: [Document] {
        whenDeleted ? [set.controllerReference(kind: "StatefulSet", apiVersion: "apps/v1")] : []
    }

    private func owners(of pod: Document, isScaledAway: Bool) -> [Document] {
        if isScaledAway, whenScaled { return [pod.controllerReference(kind: "Pod", apiVersion: "v1")] }
        return owners
    }

    /// Brings the owners of one claim in line; nil where they are, and where the claim belongs to a former set or
    /// pod of the same name, whose end is the garbage collector's business.
    func fix(_ claim: Document, of pod: Document, isScaledAway: Bool) -> Action? {
        let references = claim.ownerReferences
        let isForeign = references.contains { reference in
            isNamed(reference, pod, "Pod") && reference.text("uid") != pod.uid
                || isNamed(reference, set, "StatefulSet") && reference.text("uid") != set.uid
        }
        if isForeign || claim.isTerminating { return nil }
        let others = references.filter { !isNamed($0, pod, "Pod") && !isNamed($0, set, "StatefulSet") }
        var wanted = owners(of: pod, isScaledAway: isScaledAway)
        // Nobody may have two controllers: the other one keeps it.
        if others.contains(where: { $0.flag("controller") == true }) {
            if !whenDeleted, !whenScaled { return nil }
            wanted = []
        }
        let present = references.filter { isNamed($0, pod, "Pod") || isNamed($0, set, "StatefulSet") }
        let isCurrent =
            present.count == wanted.count
            && zip(present, wanted).allSatisfy {
                $0.text("uid") == $1.text("uid") && $0.flag("controller") == true
            }
        if isCurrent { return nil }
        let all = others + wanted
        return .patch(
            .persistentVolumeClaims, namespace: claim.namespace, name: claim.name,
            [
                "metadata": [
                    "uid": Document(claim.uid), "ownerReferences": all.isEmpty ? .null : Document(all),
                    "resourceVersion": claim.at("metadata", "resourceVersion") ?? .null,
                ]
            ])
    }

    /// Whether a claim still goes away with an earlier pod of this name. A new pod must not begin with it.
    func isStale(_ claim: Document, forPod name: String) -> Bool {
        whenScaled
            && claim.ownerReferences.contains { $0.text("kind") == "Pod" && $0.text("name") == name }
    }

    private func isNamed(_ reference: Document, _ object: Document, _ kind: String) -> Bool {
        reference.text("kind") == kind && reference.text("name") == object.name
    }
}
