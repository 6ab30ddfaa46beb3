import Client
import Document
import Kinds
import Schema

/// Names on claims and volumes by which the binder, the scheduler, provisioners and users talk to each other.
enum VolumeNote {
    /// On a claim: its volume was found once. What is missing from now on is lost.
    static let bindCompleted = "pv.kubernetes.io/bind-completed"
    /// On a claim or a volume: its reference to the other was set by the binder and not by a user.
    static let boundByController = "pv.kubernetes.io/bound-by-controller"
    /// On a volume: who made it and has to remove it.
    static let provisionedBy = "pv.kubernetes.io/provisioned-by"
    /// On a claim: who shall make a volume for it.
    static let provisioner = "volume.kubernetes.io/storage-provisioner"
    static let betaProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
    /// On a claim: the node that the scheduler chose for its first consumer.
    static let selectedNode = "volume.kubernetes.io/selected-node"
    static let betaClass = "volume.beta.kubernetes.io/storage-class"
    static let defaultClass = "storageclass.kubernetes.io/is-default-class"
    static let betaDefaultClass = "storageclass.beta.kubernetes.io/is-default-class"
}

/// What claims and volumes say of themselves.
extension Document {
    /// The class of a claim or a volume; empty where it has none. The annotation is older and wins.
    var storageClass: String {
        text("metadata", "annotations", VolumeNote.betaClass) ?? text("spec", "storageClassName") ?? ""
    }

    /// Whether a claim says anything about its class, be it that it wants none.
    var namesStorageClass: Bool {
        at("metadata", "annotations", VolumeNote.betaClass) != nil || at("spec", "storageClassName") != nil
    }

    var accessModes: [String] { list("spec", "accessModes").compactMap(\.string) }
    var volumeMode: String { text("spec", "volumeMode") ?? "Filesystem" }
    var attributesClass: String { text("spec", "volumeAttributesClassName") ?? "" }
    var volumeName: String { text("spec", "volumeName") ?? "" }

    /// What a claim asks for.
    var requestedStorage: Quantity { amount("spec", "resources", "requests", "storage") }
    /// What a volume has.
    var storageCapacity: Quantity { amount("spec", "capacity", "storage") }
    /// What a claim has been given.
    var claimedStorage: Quantity { amount("status", "capacity", "storage") }

    private func amount(_ path: String...) -> Quantity {
        at(path: path)?.string.flatMap { Quantity($0) } ?? at(path: path)?.int.map { Quantity($0) } ?? .zero
    }

    func hasAnnotation(_ name: String) -> Bool { at("metadata", "annotations", name) != nil }

    mutating func annotate(_ name: String, _ value: String?) {
        set(value.map { Document($0) }, at: "metadata", "annotations", name)
        if at("metadata", "annotations")?.count == 0 { set(Optional<Document>.none, at: "metadata", "annotations") }
    }

    mutating func removeFinalizer(_ name: String) {
        let rest = finalizers.filter { $0 != name }.map { Document($0) }
        set(rest.isEmpty ? Optional<Document>.none : Document(rest), at: "metadata", "finalizers")
    }

    mutating func addFinalizer(_ name: String) {
        set(Document(finalizers.map { Document($0) } + [Document(name)]), at: "metadata", "finalizers")
    }

    /// The key of the claim that a volume is for; nil where it is for anyone.
    var claimKey: String? {
        guard let reference = at("spec", "claimRef"), let name = reference.text("name") else { return nil }
        return ObjectKey.make(namespace: reference.text("namespace"), name: name)
    }

    /// Whether a volume is for this claim: bound to it, or reserved for whoever has its name.
    func isFor(_ claim: Document) -> Bool {
        guard let reference = at("spec", "claimRef") else { return false }
        guard reference.text("name") == claim.name, reference.text("namespace") == claim.namespace else { return false }
        let uid = reference.text("uid") ?? ""
        return uid.isEmpty || uid == claim.uid
    }
}

/// Which claims a pod uses.
enum ClaimUse {
    /// The name of the index of pods by the claims that they use.
    static let index = "claim"

    /// The name of the claim that is made for a volume of a pod.
    static func claimName(pod: Document, volume: Document) -> String? {
        if let name = volume.text("persistentVolumeClaim", "claimName") { return name }
        return volume["ephemeral"] == nil ? nil : "\(pod.name)-\(volume.text("name") ?? "")"
    }

    /// The keys of the claims that a pod names, those that are made for it included.
    static func keys(_ pod: Document) -> [String] {
        pod.list("spec", "volumes").compactMap { volume in
            claimName(pod: pod, volume: volume).map { ObjectKey.make(namespace: pod.namespace, name: $0) }
        }
    }

    /// Whether the claim was made for this pod's volume, and is not another one of that name.
    static func isMade(_ claim: Document, for pod: Document) -> Bool {
        claim.namespace == pod.namespace && claim.controllerUID == pod.uid
    }

    /// Why a claim cannot serve as the pod's own; nil when it can.
    static func conflict(_ claim: Document, _ pod: Document) -> String? {
        if isMade(claim, for: pod) { return nil }
        return "PVC \(ObjectKey.of(claim)) was not created for pod \(ObjectKey.of(pod)) (pod is not owner)"
    }

    /// Whether the pod keeps the claim from going away. Before it is on a node it does not: no node starts a pod
    /// whose claim is being deleted. One that is over still does, until its node has let go of the volumes.
    static func holds(_ pod: Document, _ claim: Document) -> Bool {
        guard !pod.nodeName.isEmpty, pod.namespace == claim.namespace else { return false }
        let isShutDown = pod.isTerminating && pod.number("metadata", "deletionGracePeriodSeconds") == 0
        return pod.list("spec", "volumes").contains { volume in
            if volume.text("persistentVolumeClaim", "claimName") == claim.name { return true }
            return volume["ephemeral"] != nil && !isShutDown && claimName(pod: pod, volume: volume) == claim.name
                && isMade(claim, for: pod)
        }
    }

    /// Asks the server, whose answer is newer than any copy: throws a conflict where a pod uses the claim.
    static func checkUnused(_ claim: Document, _ client: APIClient) async throws {
        let pods = try await client.list(.pods, namespace: claim.namespace).list("items")
        guard let user = pods.first(where: { holds($0, claim) }) else { return }
        throw APIStatus(
            code: 409, reason: "Conflict",
            message: "claim \(ObjectKey.of(claim)) is being used by pod \(ObjectKey.of(user))")
    }
}
