import Basics
import Client
import Document
import Kinds

/// Makes, enlarges and deletes the volumes of the built-in class. It knows of claims what any provisioner from
/// outside knows: the binder's annotations.
final class NodeDirectoryProvisioner: Controller {
    let name = "node-directory-provisioner-controller"
    let component = NodeDirectory.provisioner
    private let claims: Informer
    private let volumes: Informer
    private let classes: Informer
    private let nodes: Informer
    private let said = SaidEvents()
    private static let onNode = "directoryOnNode"

    init(_ informers: Informers) {
        claims = informers(.persistentVolumeClaims)
        volumes = informers(.persistentVolumes)
        classes = informers(.storageClasses)
        nodes = informers(.nodes)
        volumes.addIndex(Self.onNode) { volume in
            guard volume.finalizers.contains(NodeDirectory.finalizer) else { return [] }
            return volume.labels[NodeDirectory.nodeLabel].map { [$0] } ?? []
        }
    }

    var sources: [Source] {
        let volumes = volumes
        return [
            Source(claims) { change in
                guard let claim = change.new, claim.annotations[VolumeNote.provisioner] == NodeDirectory.provisioner
                else { return [] }
                return ["claim/\(change.key)"]
            },
            Source(volumes) { change in
                guard let volume = change.new, Self.isOwn(volume) else { return [] }
                return ["volume/\(change.key)"] + (volume.claimKey.map { ["claim/\($0)"] } ?? [])
            },
            Source(nodes) { change in
                change.new == nil ? volumes.indexed(Self.onNode, change.key).map { "volume/\($0.name)" } : []
            },
            Source(classes) { _ in [] },
        ]
    }

    private static func isOwn(_ volume: Document) -> Bool {
        volume.annotations[VolumeNote.provisionedBy] == NodeDirectory.provisioner
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        let (kind, name) = ObjectKey.split(key)
        if kind == "volume" {
            guard let volume = volumes.get(key: name), Self.isOwn(volume) else { return .nothing }
            let node = volume.labels[NodeDirectory.nodeLabel] ?? ""
            return Self.plan(volume: volume, nodeExists: nodes.get(key: node) != nil)
        }
        guard let claim = claims.get(key: name) else {
            said.forget(key)
            return .nothing
        }
        let plan = Self.plan(
            claim: claim, storageClass: classes.get(key: claim.storageClass),
            volume: volumes.get(key: claim.volumeName.isEmpty ? NodeDirectory.volumeName(claim) : claim.volumeName),
            node: claim.annotations[VolumeNote.selectedNode].flatMap { nodes.get(key: $0) }, now: situation.now)
        return said.filter(plan, key)
    }

    // MARK: Claims

    static func plan(
        claim: Document, storageClass: Document?, volume: Document?, node: Document?, now: Timestamp
    ) -> Plan {
        guard claim.annotations[VolumeNote.provisioner] == NodeDirectory.provisioner, !claim.isTerminating else {
            return .nothing
        }
        if !claim.volumeName.isEmpty {
            guard let volume, isOwn(volume), claim.phase == "Bound" else { return .nothing }
            if let plan = AttributesChange(claim: claim, now: now).plan() { return plan }
            return Expansion(claim: claim, volume: volume, now: now).plan()
        }
        // Made already; the binder goes on from there.
        guard volume == nil, let storageClass, storageClass.text("provisioner") == NodeDirectory.provisioner else {
            return .nothing
        }
        if let problem = NodeDirectory.problem(claim, storageClass) { return failure(claim, problem) }
        guard let selected = claim.annotations[VolumeNote.selectedNode] else {
            guard storageClass.text("volumeBindingMode") != "WaitForFirstConsumer" else { return .nothing }
            return failure(
                claim,
                "no node was selected: the class's volumeBindingMode must be WaitForFirstConsumer")
        }
        guard let node else { return reschedule(claim, selected) }
        return provision(claim, storageClass, node)
    }

    private static func provision(_ claim: Document, _ storageClass: Document, _ node: Document) -> Plan {
        let volume = NodeDirectory.volume(for: claim, storageClass, on: node)
        var plan = Plan()
        plan.then(
            .event(
                claim, .normal, reason: "Provisioning",
                message: "External provisioner is provisioning volume for claim \"\(ObjectKey.of(claim))\""))
        plan.then(
            .create(.persistentVolumes, volume),
            .event(
                claim, .normal, reason: "ProvisioningSucceeded",
                message: "Successfully provisioned volume \(volume.name)"
            ))
        return plan
    }

    /// The node that the scheduler chose is gone: it shall choose again.
    private static func reschedule(_ claim: Document, _ node: String) -> Plan {
        var plan = failure(claim, "node \"\(node)\" not found")
        var changed = claim
        changed.annotate(VolumeNote.selectedNode, nil)
        plan.then(.update(.persistentVolumeClaims, changed))
        return plan
    }

    private static func failure(_ claim: Document, _ problem: String) -> Plan {
        var plan = Plan()
        plan.then(
            .event(
                claim, .warning, reason: "ProvisioningFailed",
                message: "failed to provision volume with StorageClass \"\(claim.storageClass)\": \(problem)"))
        return plan
    }

    // MARK: Volumes

    static func plan(volume: Document, nodeExists: Bool) -> Plan {
        if volume.isTerminating {
            // Nobody is left who could remove the directory, and the directory went with the node.
            guard !nodeExists, volume.finalizers.contains(NodeDirectory.finalizer), volume.phase != "Bound" else {
                return .nothing
            }
            var changed = volume
            changed.removeFinalizer(NodeDirectory.finalizer)
            return Plan([.update(.persistentVolumes, changed)])
        }
        guard volume.phase == "Released", volume.text("spec", "persistentVolumeReclaimPolicy") == "Delete" else {
            return .nothing
        }
        return Plan([.delete(.persistentVolumes, volume)])
    }
}

/// A claim that asks for another class of attributes. A directory has none that could be changed.
struct AttributesChange {
    let claim: Document
    let now: Timestamp

    /// Nil when there is nothing to do about it.
    func plan() -> Plan? {
        let target = claim.attributesClass
        let told = claim.text("status", "modifyVolumeStatus", "targetVolumeAttributesClassName")
        var changed = claim
        if target == claim.text("status", "currentVolumeAttributesClassName") ?? "" {
            guard told != nil else { return nil }
            changed.set(Optional<Document>.none, at: "status", "modifyVolumeStatus")
            changed.set(conditions(adding: nil), at: "status", "conditions")
            return Plan([.update(.persistentVolumeClaims, changed, subresource: "status")])
        }
        if told == target { return nil }
        let problem = "volumes of \(NodeDirectory.provisioner) have no attributes that could be modified"
        changed.set(
            ["targetVolumeAttributesClassName": Document(target), "status": "Infeasible"],
            at: "status", "modifyVolumeStatus")
        let condition: Document = [
            "type": "ModifyVolumeError", "status": "True", "message": Document(problem),
        ]
        changed.set(conditions(adding: condition), at: "status", "conditions")
        return Plan([
            .event(claim, .warning, reason: "VolumeModifyFailed", message: problem),
            .update(.persistentVolumeClaims, changed, subresource: "status"),
        ])
    }

    private func conditions(adding condition: Document?) -> Document? {
        let rest = claim.list("status", "conditions").filter { $0.text("type") != "ModifyVolumeError" }
        if let condition { return Document(rest).settingCondition(condition, at: now) }
        if rest.isEmpty { return Optional<Document>.none }
        return Document(rest)
    }
}

/// A claim that asks for more than its volume has. A directory has no size of its own, so both sides are only told; a
/// block device is made larger by its node, which follows the volume's object.
struct Expansion {
    let claim: Document
    let volume: Document
    let now: Timestamp

    func plan() -> Plan {
        let wanted = claim.requestedStorage
        guard wanted > claim.claimedStorage else { return .nothing }
        if volume.storageCapacity >= wanted { return finish() }
        return claim.text("status", "allocatedResourceStatuses", "storage") == nil
            || claim.text("status", "allocatedResources", "storage") != size?.string ? begin() : enlarge()
    }

    private var size: Document? { claim.at("spec", "resources", "requests", "storage") }

    private func begin() -> Plan {
        var changed = claim
        let conditions = Document(claim.list("status", "conditions"))
        changed.set(
            conditions.settingCondition(["type": "Resizing", "status": "True"], at: now), at: "status", "conditions")
        changed.set(size, at: "status", "allocatedResources", "storage")
        changed.set("ControllerResizeInProgress", at: "status", "allocatedResourceStatuses", "storage")
        return Plan([
            .event(
                claim, .normal, reason: "Resizing",
                message: "External resizer is resizing volume \(volume.name)"),
            .update(.persistentVolumeClaims, changed, subresource: "status"),
        ])
    }

    private func enlarge() -> Plan {
        var changed = volume
        changed.set(size, at: "spec", "capacity", "storage")
        return Plan([.update(.persistentVolumes, changed)])
    }

    private func finish() -> Plan {
        var changed = claim
        let conditions = claim.list("status", "conditions").filter { $0.text("type") != "Resizing" }
        changed.set(
            conditions.isEmpty ? Optional<Document>.none : Document(conditions), at: "status", "conditions")
        changed.set(Optional<Document>.none, at: "status", "allocatedResourceStatuses")
        changed.set(volume.at("spec", "capacity", "storage"), at: "status", "capacity", "storage")
        return Plan([
            .update(.persistentVolumeClaims, changed, subresource: "status"),
            .event(claim, .normal, reason: "VolumeResizeSuccessful", message: "Resize volume succeeded"),
        ])
    }
}
