import Basics
import Client
import Document
import Kinds

/// Makes the claims for devices that pods ask for by template, and frees claims of pods that have ended.
///
/// Keys are pods (`pod:`) and claims (`claim:`).
struct ResourceClaimController: Controller {
    let name = "resourceclaim-controller"
    private let pods: Informer
    private let claims: Informer
    private let templates: Informer

    init(_ informers: Informers) {
        pods = informers(.pods)
        claims = informers(.resourceClaims)
        templates = informers(.resourceClaimTemplates)
        claims.addIndex(PodIndex.controller, PodIndex.byController)
    }

    private static func key(_ kind: String, _ object: Document) -> String { "\(kind):\(ObjectKey.of(object))" }

    var sources: [Source] {
        let (claims, pods) = (claims, pods)
        return [
            Source(pods) { change in
                guard let pod = change.new ?? change.old, !pod.list("spec", "resourceClaims").isEmpty else { return [] }
                let reserved = claims.indexed(PodIndex.controller, pod.uid).map { Self.key("claim", $0) }
                let named = ResourceClaimPlan.claimNames(of: pod).map { "claim:\(pod.namespace ?? "")/\($0)" }
                return Set([Self.key("pod", pod)] + reserved + named).sorted()
            },
            Source(claims) { change in
                [change.new, change.old].compactMap { $0 }.prefix(1).flatMap { claim -> [String] in
                    guard let owner = claim.controllerReference, owner.text("kind") == "Pod" else {
                        return [Self.key("claim", claim)]
                    }
                    return [Self.key("claim", claim), "pod:\(claim.namespace ?? "")/\(owner.text("name") ?? "")"]
                }
            },
            Source(templates) { change in
                guard change.new != nil, change.old == nil else { return [] }
                let (namespace, name) = ObjectKey.split(change.key)
                return pods.all.filter { pod in
                    pod.namespace == namespace
                        && pod.list("spec", "resourceClaims").contains { $0.text("resourceClaimTemplateName") == name }
                }.map { Self.key("pod", $0) }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        if key.hasPrefix("pod:") {
            guard let pod = pods.get(key: String(key.dropFirst("pod:".count))) else { return .nothing }
            return ResourceClaimPlan.plan(
                pod, claims: claims.indexed(PodIndex.controller, pod.uid),
                claim: { claims.get(namespace: pod.namespace, name: $0) },
                template: { templates.get(namespace: pod.namespace, name: $0) })
        }
        guard let claim = claims.get(key: String(key.dropFirst("claim:".count))) else { return .nothing }
        return ResourceClaimPlan.plan(claim, pod: { pods.get(namespace: claim.namespace, name: $0) })
    }
}

enum ResourceClaimPlan {
    static let annotation = "resource.kubernetes.io/pod-claim-name"
    private static let finalizer = "resource.kubernetes.io/delete-protection"

    /// The names of the claims that a pod uses, as far as they are known.
    static func claimNames(of pod: Document) -> [String] {
        pod.list("spec", "resourceClaims").compactMap { $0.text("resourceClaimName") }
            + pod.list("status", "resourceClaimStatuses").compactMap { $0.text("resourceClaimName") }
    }

    // MARK: A pod

    static func plan(
        _ pod: Document, claims: [Document], claim: (String) -> Document?, template: (String) -> Document?
    ) -> Plan {
        var plan = Plan()
        // Nothing is made for a pod that is about to end or has never been placed and is deleted.
        if pod.isFinished || pod.isTerminating { return plan }
        var statuses = pod.list("status", "resourceClaimStatuses")
        var isChanged = false
        for wanted in pod.list("spec", "resourceClaims") {
            guard let name = wanted.text("name"), let templateName = wanted.text("resourceClaimTemplateName") else {
                continue
            }
            if statuses.contains(where: { $0.text("name") == name }) { continue }
            if let made = claims.first(where: { $0.annotations[annotation] == name && !$0.isTerminating }) {
                statuses.append(["name": Document(name), "resourceClaimName": Document(made.name)])
                isChanged = true
            } else if let template = template(templateName) {
                plan.then(.create(.resourceClaims, make(name, for: pod, template)))
            } else {
                plan.then(
                    .event(
                        pod, .warning, reason: "FailedResourceClaimCreation",
                        message: "PodResourceClaim \(name): resource claim template \"\(templateName)\": "
                            + "resourceclaimtemplate.resource.k8s.io \"\(templateName)\" not found"))
            }
        }
        if isChanged {
            plan.then(
                .patch(
                    .pods, namespace: pod.namespace, name: pod.name,
                    [
                        "metadata": ["uid": Document(pod.uid)],
                        "status": ["resourceClaimStatuses": Document(statuses)],
                    ], subresource: "status"))
        }
        // The scheduler reserves; what was placed without it is reserved here.
        if !pod.nodeName.isEmpty {
            for name in claimNames(of: pod) {
                guard let claim = claim(name), claim.at("status", "allocation") != nil,
                    !isReserved(claim, for: pod)
                else { continue }
                plan.then(reserve(claim, for: pod))
            }
        }
        return plan
    }

    private static func make(_ name: String, for pod: Document, _ template: Document) -> Document {
        var annotations = template.map("spec", "metadata", "annotations")
        annotations[annotation] = name
        var metadata: Document = [
            "generateName": Document("\(pod.name)-\(name)-"), "namespace": Document(pod.namespace ?? ""),
            "annotations": Document(sorted: annotations),
            "ownerReferences": [pod.controllerReference(kind: "Pod", apiVersion: "v1")],
        ]
        let labels = template.map("spec", "metadata", "labels")
        if !labels.isEmpty { metadata["labels"] = Document(sorted: labels) }
        return [
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata,
            "spec": template.at("spec", "spec") ?? .emptyObject,
        ]
    }

    private static func isReserved(_ claim: Document, for pod: Document) -> Bool {
        claim.list("status", "reservedFor").contains { $0.text("uid") == pod.uid }
    }

    private static func reserve(_ claim: Document, for pod: Document) -> Action {
        var reserved = claim
        let entry: Document = ["resource": "pods", "name": Document(pod.name), "uid": Document(pod.uid)]
        reserved.set(Document(claim.list("status", "reservedFor") + [entry]), at: "status", "reservedFor")
        return .update(.resourceClaims, reserved, subresource: "status")
    }

    // MARK: A claim

    static func plan(_ claim: Document, pod: (String) -> Document?) -> Plan {
        var plan = Plan()
        let reserved = claim.list("status", "reservedFor")
        func isInUse(_ consumer: Document) -> Bool {
            // Other consumers than pods are other people's business.
            guard consumer.text("resource") == "pods", (consumer.text("apiGroup") ?? "").isEmpty else { return true }
            guard let pod = pod(consumer.text("name") ?? ""), pod.uid == consumer.text("uid") else { return false }
            return !pod.isFinished && !(pod.isTerminating && pod.nodeName.isEmpty)
        }
        let left = reserved.filter(isInUse)
        let owner = claim.controllerReference.flatMap { $0.text("kind") == "Pod" ? $0 : nil }
        let isAllocated = claim.at("status", "allocation") != nil
        // A claim made for a pod ends with it; one that several may use is only given free when it is deleted
        // or when its last user has gone.
        let freesDevices = left.isEmpty && isAllocated && (claim.isTerminating || !reserved.isEmpty)
        if left.count != reserved.count || freesDevices {
            var status = claim["status"] ?? .emptyObject
            status["reservedFor"] = left.isEmpty ? nil : Optional(Document(left))
            if freesDevices { status["allocation"] = nil }
            var freed = claim
            freed["status"] = status
            plan.then(.update(.resourceClaims, freed, subresource: "status"))
            return plan
        }
        if left.isEmpty, !isAllocated, claim.finalizers.contains(finalizer) {
            let rest = claim.finalizers.filter { $0 != finalizer }
            plan.then(
                .patch(
                    .resourceClaims, namespace: claim.namespace, name: claim.name,
                    [
                        "metadata": [
                            "uid": Document(claim.uid),
                            "resourceVersion": claim.at("metadata", "resourceVersion") ?? .null,
                            "finalizers": rest.isEmpty ? .null : Document(rest),
                        ]
                    ]))
            return plan
        }
        if left.isEmpty, !claim.isTerminating, let owner {
            let user = pod(owner.text("name") ?? "")
            if user?.uid == owner.text("uid"), user?.isFinished == true { plan.then(.delete(.resourceClaims, claim)) }
        }
        return plan
    }
}
