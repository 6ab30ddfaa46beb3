import Client
import Document
import Kinds

/// What the binder knows when it looks at one claim or volume.
struct StorageView: Sendable {
    var claim: @Sendable (String) -> Document?
    var volume: @Sendable (String) -> Document?
    /// Every volume, in order of names.
    var volumes: @Sendable () -> [Document]
    var classes: @Sendable () -> [Document]
    /// The pods that use the claim of this key.
    var pods: @Sendable (String) -> [Document]

    func storageClass(_ name: String) -> Document? { classes().first { $0.name == name } }

    /// Of the classes that are marked as the default the newest, and of those the first by name.
    var defaultClass: Document? {
        classes().filter { candidate in
            [VolumeNote.defaultClass, VolumeNote.betaDefaultClass].contains { candidate.annotations[$0] == "true" }
        }.max { ($0.created, $1.name) < ($1.created, $0.name) }
    }
}

/// Finds a volume for a claim, or has one made.
///
/// Volume and claim each hold a reference to the other. The volume's is written first: it is the lock, guarded by
/// its resource version. Then the claim's; phases follow when the caches show both. Whatever stops in between, the
/// next look goes on from there.
struct ClaimPlan {
    let claim: Document
    let view: StorageView

    static func plan(_ claim: Document, _ view: StorageView) -> Plan {
        let plan = ClaimPlan(claim: claim, view: view)
        return claim.hasAnnotation(VolumeNote.bindCompleted) ? plan.keepBound() : plan.find()
    }

    // MARK: A claim that never had a volume

    private func find() -> Plan {
        if !claim.volumeName.isEmpty { return takeRequested() }
        let delayed = isDelayed
        if let volume = VolumeMatch.best(for: claim, among: view.volumes(), delayed: delayed) { return bind(volume) }
        if !claim.namesStorageClass, let storageClass = view.defaultClass {
            var changed = claim
            changed.set(Document(storageClass.name), at: "spec", "storageClassName")
            return Plan(steps: [.inOrder([.update(.persistentVolumeClaims, changed)])])
        }
        if delayed, !claim.hasAnnotation(VolumeNote.selectedNode) { return waiting(waitingForConsumer) }
        if !claim.storageClass.isEmpty { return provision() }
        return waiting(
            event(
                .normal, "FailedBinding",
                "no persistent volumes available for this claim and no storage class is set"))
    }

    private var isDelayed: Bool {
        let name = claim.storageClass
        return !name.isEmpty && view.storageClass(name)?.text("volumeBindingMode") == "WaitForFirstConsumer"
    }

    private var waitingForConsumer: Action {
        let pods = view.pods(ObjectKey.of(claim)).filter { $0.nodeName.isEmpty && !$0.isFinished }.map(\.name)
        if pods.isEmpty {
            return event(
                .normal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
        }
        let who = pods.count == 1 ? "pod \(pods[0])" : "pods \(pods.joined(separator: ","))"
        return event(.normal, "WaitForPodScheduled", "waiting for \(who) to be scheduled")
    }

    private func takeRequested() -> Plan {
        guard let volume = view.volume(claim.volumeName) else { return waiting() }
        if let reference = volume.claimKey {
            if volume.isFor(claim) { return bind(volume) }
            if claim.hasAnnotation(VolumeNote.boundByController) {
                return waiting(
                    event(
                        .warning, "FailedBinding",
                        "invalid binding of claim \"\(ObjectKey.of(claim))\" to volume \"\(volume.name)\": volume "
                            + "already claimed by \"\(reference)\""))
            }
            return waiting(
                event(
                    .warning, "FailedBinding", "volume \"\(volume.name)\" already bound to a different claim."))
        }
        if let reason = VolumeMatch.mismatch(volume, claim) {
            return waiting(
                event(
                    .warning, "VolumeMismatch", "Cannot bind to requested volume \"\(volume.name)\": \(reason)"))
        }
        return bind(volume)
    }

    // MARK: Provisioning

    /// Says on the claim who shall make its volume. Provisioners watch for their name.
    private func provision() -> Plan {
        if claim.isTerminating { return .nothing }
        guard let storageClass = view.storageClass(claim.storageClass) else {
            return waiting(
                event(
                    .warning, "ProvisioningFailed",
                    "storageclass.storage.k8s.io \"\(claim.storageClass)\" not found"))
        }
        let provisioner = storageClass.text("provisioner") ?? ""
        if provisioner.hasPrefix("kubernetes.io/") {
            return waiting(
                event(.warning, "ProvisioningFailed", "no volume plugin matched name: \(provisioner)"))
        }
        var plan = waiting(
            event(
                .normal, "ExternalProvisioning",
                "Waiting for a volume to be created either by the external provisioner '\(provisioner)' or manually "
                    + "by the system administrator. If volume creation is delayed, please verify that the provisioner "
                    + "is running and correctly registered."))
        if claim.annotations[VolumeNote.provisioner] != provisioner {
            var changed = claim
            changed.annotate(VolumeNote.provisioner, provisioner)
            changed.annotate(VolumeNote.betaProvisioner, provisioner)
            plan.then(.update(.persistentVolumeClaims, changed))
        }
        return plan
    }

    // MARK: A claim that had a volume once

    private func keepBound() -> Plan {
        if claim.volumeName.isEmpty {
            return lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
        }
        guard let volume = view.volume(claim.volumeName) else {
            return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        }
        guard let reference = volume.at("spec", "claimRef") else { return bind(volume) }
        if reference.text("uid") == claim.uid { return bind(volume) }
        if (reference.text("uid") ?? "").isEmpty, volume.isFor(claim) { return bind(volume) }
        return lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
    }

    private func lost(_ reason: String, _ message: String) -> Plan {
        if claim.phase == "Lost" { return .nothing }
        var plan = Plan()
        plan.then(event(.warning, reason, message))
        plan.then(status("Lost", volume: nil).map { [$0] } ?? [])
        return plan
    }

    // MARK: Writing

    private func bind(_ volume: Document) -> Plan {
        var actions: [Action] = []
        if let changed = claimed(volume) { actions.append(.update(.persistentVolumes, changed)) }
        if let changed = bound(to: volume) { actions.append(.update(.persistentVolumeClaims, changed)) }
        // The status is for the objects as the server has them then: it follows at the next look.
        if actions.isEmpty, let status = status("Bound", volume: volume) { actions.append(status) }
        return actions.isEmpty ? .nothing : Plan(steps: [.inOrder(actions)])
    }

    /// The volume with its reference to the claim; nil when it has that.
    private func claimed(_ volume: Document) -> Document? {
        var changed = volume
        if volume.at("spec", "claimRef", "uid")?.string != claim.uid || !volume.isFor(claim) {
            changed.set(
                [
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": Document(claim.namespace ?? ""),
                    "name": Document(claim.name), "uid": Document(claim.uid),
                    "resourceVersion": claim.at("metadata", "resourceVersion") ?? .null,
                ], at: "spec", "claimRef")
        }
        if !volume.isFor(claim) { changed.annotate(VolumeNote.boundByController, "yes") }
        if changed == volume { return nil }
        return changed
    }

    private func bound(to volume: Document) -> Document? {
        var changed = claim
        if claim.volumeName != volume.name {
            changed.set(Document(volume.name), at: "spec", "volumeName")
            changed.annotate(VolumeNote.boundByController, "yes")
        }
        if !claim.hasAnnotation(VolumeNote.bindCompleted) { changed.annotate(VolumeNote.bindCompleted, "yes") }
        if changed == claim { return nil }
        return changed
    }

    /// Waits as `Pending`, having said why.
    private func waiting(_ event: Action? = nil) -> Plan {
        var plan = Plan()
        plan.then([event, status("Pending", volume: nil)].compactMap { $0 })
        return plan
    }

    private func event(_ type: EventRecorder.EventType, _ reason: String, _ message: String) -> Action {
        .event(claim, type, reason: reason, message: message)
    }

    private func status(_ phase: String, volume: Document?) -> Action? {
        var status = claim["status"] ?? .emptyObject
        status["phase"] = Document(phase)
        if let volume {
            status["accessModes"] = volume.at("spec", "accessModes")
            // Later the capacity is the business of whoever makes volumes larger.
            if claim.phase != "Bound" || status.at("capacity", "storage") == nil {
                status["capacity"] = volume.at("spec", "capacity")
            }
            if claim.phase != "Bound", let name = volume.at("spec", "volumeAttributesClassName") {
                status["currentVolumeAttributesClassName"] = name
            }
        } else {
            status["accessModes"] = Optional<Document>.none
            status["capacity"] = Optional<Document>.none
        }
        if status.isSame(as: claim["status"] ?? .emptyObject) { return nil }
        var changed = claim
        changed["status"] = status
        return .update(.persistentVolumeClaims, changed, subresource: "status")
    }
}
