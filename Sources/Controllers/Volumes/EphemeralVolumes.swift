import Client
import Document
import Kinds

/// Makes the claims of pods that bring their own: `ephemeral` volumes.
struct EphemeralVolumeController: Controller {
    let name = "ephemeral-volume-controller"
    let component = "ephemeral_volume"
    private let pods: Informer
    private let claims: Informer

    init(_ informers: Informers) {
        pods = informers(.pods)
        claims = informers(.persistentVolumeClaims)
        pods.addIndex(ClaimUse.index, ClaimUse.keys)
    }

    var sources: [Source] {
        let pods = pods
        return [
            Source(pods) { change in
                // A pod's volumes never change.
                guard change.old?.uid != change.new?.uid, let pod = change.new, Self.isConcerned(pod) else { return [] }
                return [change.key]
            },
            Source(claims) { change in
                guard change.new == nil else { return [] }
                return pods.indexed(ClaimUse.index, change.key).filter(Self.isConcerned).map { ObjectKey.of($0) }
            },
        ]
    }

    private static func isConcerned(_ pod: Document) -> Bool {
        !pod.isTerminating && pod.list("spec", "volumes").contains { $0["ephemeral"] != nil }
    }

    func plan(_ key: String, _ situation: Situation) throws -> Plan {
        guard let pod = pods.get(key: key) else { return .nothing }
        return Self.plan(pod, claim: { claims.get(key: $0) }, situation)
    }

    static func plan(_ pod: Document, claim: (String) -> Document?, _ situation: Situation) -> Plan {
        var plan = Plan()
        if pod.isTerminating { return plan }
        for volume in pod.list("spec", "volumes") {
            guard let template = volume.at("ephemeral", "volumeClaimTemplate"),
                let name = ClaimUse.claimName(pod: pod, volume: volume)
            else { continue }
            if let claim = claim(ObjectKey.make(namespace: pod.namespace, name: name)) {
                guard let problem = ClaimUse.conflict(claim, pod) else { continue }
                plan.then(
                    .event(
                        pod, .warning, reason: "FailedBinding",
                        message: "ephemeral volume \(volume.text("name") ?? ""): \(problem)"))
                continue
            }
            plan.then(.create(.persistentVolumeClaims, Self.claim(name, template, pod)))
        }
        return plan
    }

    private static func claim(_ name: String, _ template: Document, _ pod: Document) -> Document {
        var metadata: Document = [
            "name": Document(name), "namespace": Document(pod.namespace ?? ""),
            "ownerReferences": [pod.controllerReference(kind: "Pod", apiVersion: "v1")],
        ]
        metadata["labels"] = template.at("metadata", "labels")
        metadata["annotations"] = template.at("metadata", "annotations")
        return [
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
            "spec": template["spec"] ?? .emptyObject,
        ]
    }
}
