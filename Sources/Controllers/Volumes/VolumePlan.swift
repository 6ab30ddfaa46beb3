import Client
import Document
import Kinds

/// Keeps a volume's phase, and reclaims it when its claim is gone.
struct VolumePlan {
    let volume: Document
    let view: StorageView

    /// - Parameter isCertain: whether the copy of the claims is as new as this volume: only then does a claim that is
    ///   not in it not exist.
    static func plan(_ volume: Document, _ view: StorageView, isCertain: Bool) -> Plan {
        VolumePlan(volume: volume, view: view).plan(isCertain)
    }

    /// The version that a copy of the claims must have reached to be believed about this volume's claim. The reference
    /// tells in which version the claim was there: a later copy without it has seen it go. To wait for the volume's own
    /// version would be to wait for some other claim to change.
    static func certainty(of volume: Document) -> String {
        let own = volume.text("metadata", "resourceVersion") ?? ""
        guard let version = volume.text("spec", "claimRef", "resourceVersion"), let seen = Int64(version),
            let limit = Int64(own), seen <= limit
        else { return own }
        return version
    }

    private func plan(_ isCertain: Bool) -> Plan {
        guard let key = volume.claimKey, let uid = volume.at("spec", "claimRef", "uid")?.string, !uid.isEmpty else {
            // Nobody's, or reserved for a claim that takes it when it comes.
            return Plan(phase("Available"))
        }
        guard let claim = view.claim(key), claim.uid == uid else {
            guard isCertain || isReleased else { return Plan(lookAgain: .seconds(1)) }
            return release()
        }
        if claim.volumeName == volume.name { return Plan(phase("Bound")) }
        if claim.volumeName.isEmpty { return unfinished(claim) }
        // The claim has another volume.
        if volume.hasAnnotation(VolumeNote.provisionedBy), policy == "Delete" { return release() }
        return unbind()
    }

    private var policy: String { volume.text("spec", "persistentVolumeReclaimPolicy") ?? "Retain" }
    private var isReleased: Bool { ["Released", "Failed"].contains(volume.phase) }

    /// The claim completes the binding, unless it cannot.
    private func unfinished(_ claim: Document) -> Plan {
        if claim.volumeMode == volume.volumeMode { return .nothing }
        var plan = Plan()
        plan.then(
            .event(
                volume, .warning, reason: "VolumeMismatch",
                message: "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"\(claim.name)\" due to "
                    + "incompatible volumeMode."),
            .event(
                claim, .warning, reason: "VolumeMismatch",
                message: "Cannot bind PersistentVolume \"\(volume.name)\" to requested PersistentVolumeClaim due to "
                    + "incompatible volumeMode."))
        return plan
    }

    /// Takes back a reference that was set for nothing. What a user wrote stays, but for the uid.
    private func unbind() -> Plan {
        var changed = volume
        if volume.hasAnnotation(VolumeNote.boundByController) {
            changed.set(Optional<Document>.none, at: "spec", "claimRef")
            changed.annotate(VolumeNote.boundByController, nil)
        } else {
            changed.set(Optional<Document>.none, at: "spec", "claimRef", "uid")
        }
        return Plan(steps: [.inOrder([.update(.persistentVolumes, changed)])])
    }

    // MARK: Reclaiming

    private func release() -> Plan {
        guard isReleased else { return Plan(phase("Released")) }
        switch policy {
        case "Retain": return .nothing
        case "Delete":
            guard let problem = deletionProblem else { return .nothing }
            return fail("VolumeFailedDelete", problem)
        case "Recycle": return fail("VolumeFailedRecycle", "No recycler plugin found for the volume!")
        default:
            return fail("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
        }
    }

    /// Nil where whoever made the volume removes it.
    private var deletionProblem: String? {
        let maker = volume.annotations[VolumeNote.provisionedBy] ?? ""
        if maker.isEmpty {
            return
                "error getting deleter volume plugin for volume \"\(volume.name)\": no deletable volume plugin matched"
        }
        return maker.hasPrefix("kubernetes.io/") ? "no volume plugin matched name: \(maker)" : nil
    }

    private func fail(_ reason: String, _ message: String) -> Plan {
        if volume.phase == "Failed" { return .nothing }
        var plan = Plan()
        plan.then(.event(volume, .warning, reason: reason, message: message))
        plan.then(phase("Failed", message: message))
        return plan
    }

    private func phase(_ phase: String, message: String = "") -> [Action] {
        if volume.text("status", "phase") == phase { return [] }
        var changed = volume
        changed.set(Document(phase), at: "status", "phase")
        changed.set(message.isEmpty ? Optional<Document>.none : Document(message), at: "status", "message")
        return [.update(.persistentVolumes, changed, subresource: "status")]
    }
}

extension Plan {
    /// These actions, one after the other.
    init(_ actions: [Action]) {
        self.init()
        then(actions)
    }
}
