import Document
import Kinds
import Schema

/// Which volume fits a claim.
enum VolumeMatch {
    /// The volume to bind the claim to: the one that is reserved for it, else of those with the fewest access modes
    /// the smallest. `delayed` claims get only what is reserved for them: where they go is the scheduler's choice.
    static func best(for claim: Document, among volumes: [Document], delayed: Bool) -> Document? {
        let wanted = Set(claim.accessModes)
        let suitable = volumes.filter { volume in
            volume.volumeMode == claim.volumeMode && !volume.isTerminating && wanted.isSubset(of: volume.accessModes)
        }
        let size = claim.requestedStorage
        func rank(_ volume: Document) -> (Int, Quantity, String) {
            (Set(volume.accessModes).count, volume.storageCapacity, volume.name)
        }
        let reserved = suitable.filter { $0.isFor(claim) && $0.storageCapacity >= size }
        if let volume = reserved.min(by: { rank($0) < rank($1) }) { return volume }
        if delayed { return nil }
        return suitable.filter { isFree($0, for: claim) }.min { rank($0) < rank($1) }
    }

    /// Whether nobody has the volume and the claim would take it.
    static func isFree(_ volume: Document, for claim: Document) -> Bool {
        guard volume.text("status", "phase") == "Available", volume.at("spec", "claimRef") == nil,
            volume.storageClass == claim.storageClass, volume.attributesClass == claim.attributesClass,
            volume.storageCapacity >= claim.requestedStorage
        else { return false }
        guard let selector = claim.at("spec", "selector") else { return true }
        return LabelSelector(selector)?.matches(volume.labels) ?? false
    }

    /// Why a volume that the claim asks for by name does not do; nil when it does.
    static func mismatch(_ volume: Document, _ claim: Document) -> String? {
        if volume.isTerminating { return "the volume is marked for deletion \"\(volume.name)\"" }
        if volume.storageCapacity < claim.requestedStorage { return "requested PV is too small" }
        if volume.storageClass != claim.storageClass { return "storageClassName does not match" }
        if volume.attributesClass != claim.attributesClass { return "volumeAttributesClassName does not match" }
        if volume.volumeMode != claim.volumeMode { return "incompatible volumeMode" }
        if !Set(claim.accessModes).isSubset(of: volume.accessModes) { return "incompatible accessMode" }
        return nil
    }
}
