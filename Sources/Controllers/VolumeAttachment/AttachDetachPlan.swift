import Basics
import Client
import Document
import Kinds
import Wire

/// A volume that some driver has to attach to a node before pods there can use it.
struct AttachableVolume: Sendable, Equatable {
    var volume: Document
    /// The pods of the node that use it.
    var pods: [Document] = []

    /// Nil for volumes that need no attaching.
    init?(_ volume: Document, drivers: (String) -> Document?) {
        guard let driver = volume.text("spec", "csi", "driver"),
            drivers(driver)?.flag("spec", "attachRequired") != false
        else { return nil }
        self.volume = volume
    }

    var driver: String { volume.text("spec", "csi", "driver") ?? "" }
    var handle: String { volume.text("spec", "csi", "volumeHandle") ?? "" }

    /// As the node's status lists it.
    var uniqueName: String { "kubernetes.io/csi/\(driver)^\(handle)" }

    /// Whether only one node at a time may have it.
    var isExclusive: Bool {
        let modes = Set(volume.accessModes)
        return !modes.isEmpty && modes.isSubset(of: ["ReadWriteOnce", "ReadWriteOncePod"])
    }

    /// The attachment's name is made from what it says, so that nobody makes it twice.
    func attachmentName(on node: String) -> String {
        "csi-" + Hex.encode(Digest.sha256(Array("\(handle)\(driver)\(node)".utf8)))
    }

    func attachment(on node: String) -> Document {
        [
            "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
            "metadata": ["name": Document(attachmentName(on: node))],
            "spec": [
                "attacher": Document(driver), "nodeName": Document(node),
                "source": ["persistentVolumeName": Document(volume.name)],
            ],
        ]
    }
}

/// Which volumes shall be attached to one node. The attaching itself is the drivers' work: what is wanted is said by
/// VolumeAttachment objects, and what came of it is read from them.
struct AttachDetachPlan {
    let node: String
    /// The volumes that pods of the node use, by the names of their attachments.
    let wanted: [String: AttachableVolume]
    /// Every attachment to the node that this controller has made, with its volume.
    let present: [(attachment: Document, volume: AttachableVolume)]
    let nodeObject: Document?
    /// The attachments of a volume to other nodes.
    let elsewhere: (AttachableVolume) -> [Document]
    /// The pods that use a volume on other nodes.
    let otherUsers: (AttachableVolume) -> [Document]

    func plan() -> Plan {
        var plan = Plan()
        let existing = Set(present.map(\.attachment.name))
        for (name, volume) in wanted.sorted(by: { $0.key < $1.key }) {
            if existing.contains(name) { continue }
            if volume.isExclusive, !elsewhere(volume).isEmpty {
                for pod in volume.pods { plan.then(multiAttach(volume, pod)) }
            } else {
                plan.then(.create(.volumeAttachments, volume.attachment(on: node)))
            }
        }
        reportNode(&plan)
        for (attachment, volume) in present {
            guard let user = wanted[attachment.name] else {
                if !isInUse(volume), !attachment.isTerminating { plan.then(.delete(.volumeAttachments, attachment)) }
                continue
            }
            for pod in user.pods { plan.then(outcome(attachment, volume, pod).map { [$0] } ?? []) }
        }
        return plan
    }

    /// The node's agent says which volumes it still has mounted.
    private func isInUse(_ volume: AttachableVolume) -> Bool {
        nodeObject?.list("status", "volumesInUse").contains { $0.string == volume.uniqueName } ?? false
    }

    /// A volume is listed while it is attached and wanted: before it is taken away the agent must not begin to use it.
    private func reportNode(_ plan: inout Plan) {
        guard let nodeObject else { return }
        let attached = present.filter {
            $0.attachment.flag("status", "attached") == true
                && (wanted[$0.attachment.name] != nil || isInUse($0.volume))
        }
        let names = attached.map(\.volume.uniqueName).sorted()
        let listed = nodeObject.list("status", "volumesAttached").compactMap { $0.text("name") }
        let others = nodeObject.list("status", "volumesAttached").filter {
            !($0.text("name") ?? "").hasPrefix("kubernetes.io/csi/")
        }
        if listed.filter({ $0.hasPrefix("kubernetes.io/csi/") }).sorted() == names { return }
        let list = others + names.map { ["name": Document($0), "devicePath": ""] }
        plan.then(
            .patch(
                .nodes, namespace: nil, name: node,
                ["status": ["volumesAttached": list.isEmpty ? .null : Document(list)]], subresource: "status"))
    }

    private func outcome(_ attachment: Document, _ volume: AttachableVolume, _ pod: Document) -> Action? {
        let name = volume.volume.name
        if attachment.flag("status", "attached") == true {
            return .event(
                pod, .normal, reason: "SuccessfulAttachVolume",
                message: "AttachVolume.Attach succeeded for volume \"\(name)\" ")
        }
        guard let problem = attachment.text("status", "attachError", "message") else { return nil }
        return .event(
            pod, .warning, reason: "FailedAttachVolume",
            message: "AttachVolume.Attach failed for volume \"\(name)\" : \(problem)")
    }

    private func multiAttach(_ volume: AttachableVolume, _ pod: Document) -> Action {
        let users = otherUsers(volume)
        let visible = users.filter { $0.namespace == pod.namespace }.map(\.name).sorted()
        let hidden = users.count - visible.count
        let why: String
        if users.isEmpty {
            why = "Volume is already exclusively attached to one node and can't be attached to another"
        } else if visible.isEmpty {
            why = "Volume is already used by \(hidden) pod(s) in different namespaces"
        } else if hidden == 0 {
            why = "Volume is already used by pod(s) \(visible.joined(separator: ", "))"
        } else {
            why =
                "Volume is already used by pod(s) \(visible.joined(separator: ", ")) and \(hidden) pod(s) in different "
                + "namespaces"
        }
        return .event(
            pod, .warning, reason: "FailedAttachVolume",
            message: "Multi-Attach error for volume \"\(volume.volume.name)\" \(why)")
    }
}
