import Client
import Document
import Kinds

/// The persistent volume behind a pod's volume.
struct ClaimedVolume: Sendable {
    var volume: Document
    var isBlock: Bool
    var readOnly: Bool

    var name: String { volume.text("metadata", "name") ?? "" }
}

/// Follows a pod's volume over its claim to the persistent volume. A node may read only the claims and volumes of its
/// own pods, one by one, so it asks for each when it needs it.
struct ClaimResolver: Sendable {
    let client: APIClient

    /// The claim that a pod's volume names, or that is made for it; nil for volumes of other kinds.
    static func claimName(_ volume: Document, _ pod: Document) -> String? {
        if let name = volume.text("persistentVolumeClaim", "claimName") { return name }
        guard volume["ephemeral"] != nil else { return nil }
        return "\(pod.text("metadata", "name") ?? "")-\(volume.text("name") ?? "")"
    }

    func resolve(_ volume: Document, claim name: String, pod: Document) async throws -> ClaimedVolume {
        let namespace = pod.text("metadata", "namespace") ?? "default"
        let own = "\(namespace)/\(name)"
        let claim: Document
        do { claim = try await client.get(.persistentVolumeClaims, namespace: namespace, name: name) } catch {
            throw Self.problem(own, "failed to fetch PVC from API server: \(error)")
        }
        let uid = claim.text("metadata", "uid") ?? ""
        if volume["ephemeral"] != nil {
            let owner = claim.list("metadata", "ownerReferences").first { $0.flag("controller") == true }
            guard owner?.text("uid") == pod.text("metadata", "uid") else {
                throw VolumeProblem(
                    "PVC \(own) was not created for pod \(namespace)/\(pod.text("metadata", "name") ?? "") (pod is not "
                        + "owner)")
            }
        }
        // A claim that is on its way out gets no new users.
        if claim.text("metadata", "deletionTimestamp") != nil { throw Self.problem(own, "PVC is being deleted") }
        guard claim.text("status", "phase") == "Bound", let target = claim.text("spec", "volumeName"), !target.isEmpty
        else { throw Self.problem(own, "PVC is not bound") }
        let persistent: Document
        do { persistent = try await client.get(.persistentVolumes, name: target) } catch {
            throw Self.problem(own, "failed to fetch PV \(target) from API server: \(error)")
        }
        guard let holder = persistent.text("spec", "claimRef", "uid"), holder == uid else {
            throw Self.problem(
                own, "PV \(target) spec.claimRef.UID does not match pvc.UID: the volume belongs to another claim")
        }
        let isBlock = (claim.text("spec", "volumeMode") ?? "Filesystem") == "Block"
        try Self.checkUse(volume.text("name") ?? "", isBlock: isBlock, pod, claim: own)
        return ClaimedVolume(
            volume: persistent, isBlock: isBlock,
            readOnly: volume.flag("persistentVolumeClaim", "readOnly") == true)
    }

    /// Block devices are no file systems, and the other way round.
    private static func checkUse(_ name: String, isBlock: Bool, _ pod: Document, claim: String) throws {
        let lists = ["containers", "initContainers", "ephemeralContainers"]
        func isNamed(in member: String) -> Bool {
            lists.contains { list in
                pod.list("spec", list).contains { $0.list(member).contains { $0.text("name") == name } }
            }
        }
        let wrong = isBlock ? "volumeMounts" : "volumeDevices"
        guard isNamed(in: wrong) else { return }
        throw VolumeProblem(
            "volume \(name) has volumeMode \(isBlock ? "Block" : "Filesystem"), but is specified in \(wrong)")
    }

    private static func problem(_ claim: String, _ why: String) -> VolumeProblem {
        VolumeProblem("error processing PVC \(claim): \(why)")
    }
}
