import Basics
import Client
import Document
import Kinds
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

private func claim(
    _ name: String = "data", size: String = "1Gi", modes: [String] = ["ReadWriteOnce"], className: Document? = "",
    phase: String = "Pending", spec: Document = [:], notes: [String: Document] = [:]
) -> Document {
    var base: Document = [
        "accessModes": Document(modes.map { Document($0) }),
        "resources": ["requests": ["storage": Document(size)]], "volumeMode": "Filesystem",
    ]
    base["storageClassName"] = className
    return [
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": [
            "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "resourceVersion": "5",
            "annotations": Document(members: notes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }),
        ],
        "spec": base.applyingMergePatch(spec), "status": ["phase": Document(phase)],
    ]
}

private func volume(
    _ name: String, size: String = "1Gi", modes: [String] = ["ReadWriteOnce"], className: String = "",
    phase: String = "Available", policy: String = "Retain", claim: Document? = nil, spec: Document = [:],
    labels: Document = [:], notes: Document = [:]
) -> Document {
    var base: Document = [
        "accessModes": Document(modes.map { Document($0) }), "capacity": ["storage": Document(size)],
        "storageClassName": Document(className), "persistentVolumeReclaimPolicy": Document(policy),
        "volumeMode": "Filesystem",
    ]
    base["claimRef"] = claim
    return [
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": [
            "name": Document(name), "uid": Document("uid-\(name)"), "resourceVersion": "6", "labels": labels,
            "annotations": notes,
        ],
        "spec": base.applyingMergePatch(spec), "status": ["phase": Document(phase)],
    ]
}

private func reference(_ name: String = "data", uid: String? = nil) -> Document {
    var reference: Document = ["kind": "PersistentVolumeClaim", "namespace": "default", "name": Document(name)]
    if let uid { reference["uid"] = Document(uid) }
    return reference
}

private func storageClass(
    _ name: String, provisioner: String = "example.com/disks", mode: String = "Immediate", isDefault: Bool = false,
    created: Int = 0
) -> Document {
    [
        "kind": "StorageClass",
        "metadata": [
            "name": Document(name), "creationTimestamp": Document(Timestamp(seconds: Int64(created)).rfc3339()),
            "annotations": ["storageclass.kubernetes.io/is-default-class": isDefault ? "true" : "false"],
        ],
        "provisioner": Document(provisioner), "volumeBindingMode": Document(mode),
    ]
}

private func view(
    claims: [Document] = [], volumes: [Document] = [], classes: [Document] = [], pods: [Document] = []
) -> StorageView {
    StorageView(
        claim: { key in claims.first { ObjectKey.of($0) == key } },
        volume: { name in volumes.first { $0.name == name } }, volumes: { volumes }, classes: { classes },
        pods: { key in pods.filter { ClaimUse.keys($0).contains(key) } })
}

private func pod(_ name: String, node: String = "", phase: String = "Pending", volumes: Document) -> Document {
    [
        "kind": "Pod", "metadata": ["name": Document(name), "namespace": "default", "uid": Document("uid-\(name)")],
        "spec": ["nodeName": Document(node), "volumes": volumes], "status": ["phase": Document(phase)],
    ]
}

extension Plan {
    fileprivate var updated: [Document] {
        actions.compactMap { if case .update(_, let object, nil) = $0 { object } else { nil } }
    }
    fileprivate var statuses: [Document] {
        actions.compactMap { if case .update(_, let object, "status") = $0 { object } else { nil } }
    }
    fileprivate var events: [String] {
        actions.compactMap { action in
            guard case .event(_, let type, let reason, let message) = action else { return nil }
            return "\(type.rawValue) \(reason) \(message)"
        }
    }
}

@Suite struct VolumeMatchTests {
    @Test func prefersFewModesThenSmallSize() {
        let volumes = [
            volume("big", size: "10Gi"), volume("shared", modes: ["ReadWriteOnce", "ReadWriteMany"]),
            volume("fits", size: "2Gi"), volume("small", size: "500Mi"),
        ]
        #expect(VolumeMatch.best(for: claim(), among: volumes, delayed: false)?.name == "fits")
        #expect(VolumeMatch.best(for: claim(), among: volumes, delayed: true) == nil)
        let many = claim(modes: ["ReadWriteMany"])
        #expect(VolumeMatch.best(for: many, among: volumes, delayed: false)?.name == "shared")
    }

    @Test func whatIsReservedComesFirst() {
        let volumes = [volume("free"), volume("mine", size: "9Gi", claim: reference())]
        #expect(VolumeMatch.best(for: claim(), among: volumes, delayed: true)?.name == "mine")
        #expect(VolumeMatch.best(for: claim("other"), among: volumes, delayed: false)?.name == "free")
        let another = [volume("taken", claim: reference(uid: "uid-before"))]
        #expect(VolumeMatch.best(for: claim(), among: another, delayed: false) == nil)
    }

    @Test func everythingHasToFit() {
        func fits(_ claim: Document, _ volume: Document) -> Bool {
            VolumeMatch.best(for: claim, among: [volume], delayed: false) != nil
        }
        #expect(!fits(claim(className: "fast"), volume("v")))
        #expect(!fits(claim(), volume("v", phase: "Released")))
        #expect(!fits(claim(spec: ["volumeMode": "Block"]), volume("v")))
        #expect(!fits(claim(spec: ["volumeAttributesClassName": "gold"]), volume("v")))
        let picky = claim(spec: ["selector": ["matchLabels": ["zone": "a"]]])
        #expect(!fits(picky, volume("v")))
        #expect(fits(picky, volume("v", labels: ["zone": "a"])))
    }
}

@Suite struct ClaimPlanTests {
    @Test func bindsBothSidesThenTellsTheStatus() {
        let free = volume("v")
        let plan = ClaimPlan.plan(claim(), view(volumes: [free]))
        #expect(plan.updated.count == 2)
        #expect(plan.updated[0].text("spec", "claimRef", "uid") == "uid-data")
        #expect(plan.updated[0].annotations["pv.kubernetes.io/bound-by-controller"] == "yes")
        #expect(plan.updated[1].volumeName == "v")
        #expect(plan.updated[1].annotations["pv.kubernetes.io/bind-completed"] == "yes")
        #expect(plan.updated[1].annotations["pv.kubernetes.io/bound-by-controller"] == "yes")
        #expect(plan.statuses.isEmpty)
        let second = ClaimPlan.plan(plan.updated[1], view(volumes: [plan.updated[0]]))
        #expect(second.statuses.first?.text("status", "phase") == "Bound")
        #expect(second.statuses.first?.text("status", "capacity", "storage") == "1Gi")
        #expect(second.updated.isEmpty)
        let third = ClaimPlan.plan(second.statuses[0], view(volumes: [plan.updated[0]]))
        #expect(third.actions.isEmpty)
    }

    @Test func aReservedVolumeIsNotMarkedAsFound() {
        let plan = ClaimPlan.plan(claim(), view(volumes: [volume("v", claim: reference())]))
        #expect(plan.updated[0].annotations["pv.kubernetes.io/bound-by-controller"] == nil)
        #expect(plan.updated[0].text("spec", "claimRef", "uid") == "uid-data")
    }

    @Test func saysWhyItWaits() {
        #expect(
            ClaimPlan.plan(claim(), view()).events == [
                "Normal FailedBinding no persistent volumes available for this claim and no storage class is set"
            ])
        let late = [storageClass("late", mode: "WaitForFirstConsumer")]
        #expect(
            ClaimPlan.plan(claim(className: "late"), view(classes: late)).events == [
                "Normal WaitForFirstConsumer waiting for first consumer to be created before binding"
            ])
        let waiting = pod("p", volumes: [["name": "d", "persistentVolumeClaim": ["claimName": "data"]]])
        #expect(
            ClaimPlan.plan(claim(className: "late"), view(classes: late, pods: [waiting])).events == [
                "Normal WaitForPodScheduled waiting for pod p to be scheduled"
            ])
        #expect(
            ClaimPlan.plan(claim(className: "none"), view()).events == [
                "Warning ProvisioningFailed storageclass.storage.k8s.io \"none\" not found"
            ])
        let named = claim(spec: ["volumeName": "v"])
        #expect(
            ClaimPlan.plan(named, view(volumes: [volume("v", size: "1Mi")])).events == [
                "Warning VolumeMismatch Cannot bind to requested volume \"v\": requested PV is too small"
            ])
        #expect(
            ClaimPlan.plan(named, view(volumes: [volume("v", claim: reference("other"))])).events == [
                "Warning FailedBinding volume \"v\" already bound to a different claim."
            ])
    }

    @Test func asksTheProvisionerOfItsClass() {
        let plan = ClaimPlan.plan(claim(className: "fast"), view(classes: [storageClass("fast")]))
        #expect(plan.updated.first?.annotations["volume.kubernetes.io/storage-provisioner"] == "example.com/disks")
        #expect(
            plan.updated.first?.annotations["volume.beta.kubernetes.io/storage-provisioner"] == "example.com/disks")
        #expect(plan.events.first?.hasPrefix("Normal ExternalProvisioning Waiting for a volume to be created") == true)
        #expect(ClaimPlan.plan(plan.updated[0], view(classes: [storageClass("fast")])).updated.isEmpty)
    }

    @Test func getsTheNewestDefaultClassLater() {
        let classes = [
            storageClass("old", isDefault: true, created: 1), storageClass("new", isDefault: true, created: 2),
            storageClass("other", created: 3),
        ]
        let plan = ClaimPlan.plan(claim(className: nil), view(classes: classes))
        #expect(plan.updated.first?.text("spec", "storageClassName") == "new")
        #expect(ClaimPlan.plan(claim(className: ""), view(classes: classes)).updated.isEmpty)
    }

    @Test func aBoundClaimWithoutVolumeIsLost() {
        let bound = claim(
            phase: "Bound", spec: ["volumeName": "v"], notes: ["pv.kubernetes.io/bind-completed": "yes"])
        let plan = ClaimPlan.plan(bound, view())
        #expect(plan.statuses.first?.text("status", "phase") == "Lost")
        #expect(plan.events.first?.hasPrefix("Warning ClaimLost Bound claim has lost its PersistentVolume.") == true)
        let stolen = view(volumes: [volume("v", claim: reference("other", uid: "uid-other"))])
        #expect(ClaimPlan.plan(bound, stolen).events.first?.hasPrefix("Warning ClaimMisbound") == true)
    }
}

@Suite struct VolumePlanTests {
    private func plan(_ volume: Document, claims: [Document] = [], isCertain: Bool = true) -> Plan {
        VolumePlan.plan(volume, view(claims: claims), isCertain: isCertain)
    }

    @Test func phasesFollowTheClaim() {
        #expect(plan(volume("v", phase: "Pending")).statuses.first?.phase == "Available")
        #expect(plan(volume("v", phase: "Pending", claim: reference())).statuses.first?.phase == "Available")
        let bound = claim(spec: ["volumeName": "v"])
        let taken = volume("v", claim: reference(uid: "uid-data"))
        #expect(plan(taken, claims: [bound]).statuses.first?.phase == "Bound")
        #expect(plan(taken, claims: [claim()]).actions.isEmpty)
        #expect(plan(taken).statuses.first?.phase == "Released")
    }

    @Test func isReleasedOnlyWhenTheClaimIsCertainlyGone() {
        let taken = volume("v", phase: "Bound", claim: reference(uid: "uid-data"))
        let unsure = plan(taken, isCertain: false)
        #expect(unsure.actions.isEmpty)
        #expect(unsure.lookAgain != nil)
    }

    @Test(arguments: [("40", "70", "40"), ("", "70", "70"), ("90", "70", "70"), ("x", "70", "70")])
    func theReferenceTellsHowNewTheClaimsMustBe(seen: String, own: String, wanted: String) {
        var taken = volume("v", phase: "Bound", claim: reference(uid: "uid-data"))
        taken.set(Document(own), at: "metadata", "resourceVersion")
        if !seen.isEmpty { taken.set(Document(seen), at: "spec", "claimRef", "resourceVersion") }
        #expect(VolumePlan.certainty(of: taken) == wanted)
    }

    @Test func reclaimsAsItsPolicySays() {
        func released(_ policy: String, notes: Document = [:]) -> Plan {
            plan(volume("v", phase: "Released", policy: policy, claim: reference(uid: "gone"), notes: notes))
        }
        #expect(released("Retain").actions.isEmpty)
        #expect(released("Delete", notes: ["pv.kubernetes.io/provisioned-by": "example.com/disks"]).actions.isEmpty)
        let recycled = released("Recycle")
        #expect(recycled.events == ["Warning VolumeFailedRecycle No recycler plugin found for the volume!"])
        #expect(recycled.statuses.first?.phase == "Failed")
        let failed = released("Delete")
        #expect(failed.events.first?.hasPrefix("Warning VolumeFailedDelete") == true)
        #expect(failed.statuses.first?.text("status", "message")?.contains("no deletable volume plugin") == true)
    }

    @Test func letsGoOfAClaimThatWentElsewhere() {
        let elsewhere = claim(spec: ["volumeName": "other"])
        let found = volume(
            "v", claim: reference(uid: "uid-data"), notes: ["pv.kubernetes.io/bound-by-controller": "yes"])
        let freed = plan(found, claims: [elsewhere]).updated.first
        #expect(freed?.at("spec", "claimRef") == nil)
        #expect(freed?.annotations.isEmpty == true)
        let reserved = plan(volume("v", claim: reference(uid: "uid-data")), claims: [elsewhere]).updated.first
        #expect(reserved?.text("spec", "claimRef", "name") == "data")
        #expect(reserved?.at("spec", "claimRef", "uid") == nil)
    }
}

@Suite struct NodeDirectoryTests {
    private let node: Document = [
        "metadata": ["name": "n1", "labels": ["kubernetes.io/hostname": "n1"]]
    ]
    private let standard = storageClass(
        "standard", provisioner: NodeDirectory.provisioner, mode: "WaitForFirstConsumer")

    private func wanting(_ spec: Document = [:], node: String? = "n1") -> Document {
        var notes: [String: Document] = [
            "volume.kubernetes.io/storage-provisioner": Document(NodeDirectory.provisioner)
        ]
        if let node { notes["volume.kubernetes.io/selected-node"] = Document(node) }
        return claim(className: "standard", spec: spec, notes: notes)
    }

    private func plan(_ claim: Document, volume: Document? = nil, node: Document? = nil) -> Plan {
        NodeDirectoryProvisioner.plan(claim: claim, storageClass: standard, volume: volume, node: node, now: now)
    }

    @Test func makesAVolumeOnTheSelectedNode() {
        let plan = plan(wanting(), node: node)
        guard case .create(_, let made, _)? = plan.actions.dropFirst().first else {
            Issue.record("nothing was created")
            return
        }
        #expect(made.name == "pvc-uid-data")
        #expect(made.labels[NodeDirectory.nodeLabel] == "n1")
        #expect(made.finalizers == [NodeDirectory.finalizer])
        #expect(made.text("spec", "local", "path") == "/var/lib/lab-volumes/pvc-uid-data")
        #expect(plan.events.last == "Normal ProvisioningSucceeded Successfully provisioned volume pvc-uid-data")
        #expect(self.plan(wanting(), volume: made, node: node).actions.isEmpty)
        #expect(self.plan(wanting(node: nil), node: node).actions.isEmpty)
    }

    @Test func refusesWhatADirectoryCannotBe() {
        for spec: Document in [
            ["accessModes": ["ReadWriteMany"]], ["selector": ["matchLabels": ["a": "b"]]],
        ] {
            let plan = plan(wanting(spec), node: node)
            #expect(plan.events.first?.hasPrefix("Warning ProvisioningFailed") == true)
            #expect(plan.actions.count == 1)
        }
    }

    @Test func asksForAnotherNodeWhenTheChosenOneIsGone() {
        let plan = plan(wanting())
        #expect(plan.updated.first?.annotations["volume.kubernetes.io/selected-node"] == nil)
    }

    @Test func deletesWhatIsReleasedAndFreesTheVolumesOfLostNodes() {
        var made = NodeDirectory.volume(for: wanting(), standard, on: node)
        made.set("Released", at: "status", "phase")
        guard case .delete? = NodeDirectoryProvisioner.plan(volume: made, nodeExists: true).actions.first else {
            Issue.record("not deleted")
            return
        }
        made.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
        #expect(NodeDirectoryProvisioner.plan(volume: made, nodeExists: true).actions.isEmpty)
        let freed = NodeDirectoryProvisioner.plan(volume: made, nodeExists: false).updated.first
        #expect(freed?.finalizers.isEmpty == true)
    }

    @Test func saysThatItHasNoAttributes() {
        var bound = wanting(["volumeName": "v", "volumeAttributesClassName": "gold"])
        bound.set("Bound", at: "status", "phase")
        bound.set("1Gi", at: "status", "capacity", "storage")
        let own = volume("v", notes: ["pv.kubernetes.io/provisioned-by": Document(NodeDirectory.provisioner)])
        let refused = plan(bound, volume: own).statuses.first ?? .null
        #expect(refused.text("status", "modifyVolumeStatus", "status") == "Infeasible")
        #expect(refused.condition("ModifyVolumeError")?.text("status") == "True")
        #expect(plan(refused, volume: own).actions.isEmpty)
        var back = refused
        back.set(nil, at: "spec", "volumeAttributesClassName")
        let restored = plan(back, volume: own).statuses.first
        #expect(restored?.at("status", "modifyVolumeStatus") == nil)
        #expect(restored?.condition("ModifyVolumeError") == nil)
    }

    @Test func growsInSteps() {
        var bound = wanting(["volumeName": "v", "resources": ["requests": ["storage": "2Gi"]]])
        bound.set("Bound", at: "status", "phase")
        bound.set("1Gi", at: "status", "capacity", "storage")
        let small = volume("v", notes: ["pv.kubernetes.io/provisioned-by": Document(NodeDirectory.provisioner)])
        let first = plan(bound, volume: small)
        #expect(first.statuses.first?.condition("Resizing")?.text("status") == "True")
        let second = plan(first.statuses[0], volume: small)
        #expect(second.updated.first?.text("spec", "capacity", "storage") == "2Gi")
        let third = plan(first.statuses[0], volume: second.updated[0])
        #expect(third.statuses.first?.text("status", "capacity", "storage") == "2Gi")
        #expect(third.statuses.first?.condition("Resizing") == nil)
        #expect(third.events == ["Normal VolumeResizeSuccessful Resize volume succeeded"])
        #expect(plan(third.statuses[0], volume: second.updated[0]).actions.isEmpty)
    }
}

@Suite struct StorageProtectionTests {
    private func terminating(_ object: Document, _ finalizer: String) -> Document {
        var object = object
        object.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
        object.set([Document(finalizer)], at: "metadata", "finalizers")
        return object
    }

    @Test func aClaimWaitsForItsPods() {
        let leaving = terminating(claim(), "kubernetes.io/pvc-protection")
        let volumes: Document = [["name": "d", "persistentVolumeClaim": ["claimName": "data"]]]
        #expect(ClaimProtection.plan(leaving, pods: [pod("p", node: "n1", volumes: volumes)]).actions.isEmpty)
        let free = ClaimProtection.plan(leaving, pods: [pod("p", volumes: volumes)])
        #expect(free.actions.first == .checkUnused(leaving))
        #expect(free.updated.first?.finalizers.isEmpty == true)
        #expect(ClaimProtection.plan(claim(), pods: []).updated.first?.finalizers == ["kubernetes.io/pvc-protection"])
    }

    @Test func aPodsOwnClaimIsHeldByThatPodAlone() {
        let ephemeral = pod("p", node: "n1", volumes: [["name": "d", "ephemeral": [:]]])
        var own = claim("p-d")
        #expect(!ClaimUse.holds(ephemeral, own))
        own.set([["kind": "Pod", "uid": "uid-p", "controller": true]], at: "metadata", "ownerReferences")
        #expect(ClaimUse.holds(ephemeral, own))
    }

    @Test func aVolumeWaitsForItsClaim() {
        let leaving = terminating(volume("v", phase: "Bound"), "kubernetes.io/pv-protection")
        #expect(VolumeProtection.plan(leaving).actions.isEmpty)
        let free = terminating(volume("v"), "kubernetes.io/pv-protection")
        #expect(VolumeProtection.plan(free).updated.first?.finalizers.isEmpty == true)
    }

    @Test func aClassWaitsForItsUsers() {
        let object: Document = ["kind": "VolumeAttributesClass", "metadata": ["name": "gold"]]
        let leaving = terminating(object, "kubernetes.io/vac-protection")
        #expect(AttributesClassProtection.plan(leaving, isUsed: true).actions.isEmpty)
        #expect(AttributesClassProtection.plan(leaving, isUsed: false).updated.count == 1)
    }
}

@Suite struct EphemeralVolumeTests {
    private let owner = pod(
        "p",
        volumes: [
            [
                "name": "d",
                "ephemeral": [
                    "volumeClaimTemplate": [
                        "metadata": ["labels": ["a": "b"]], "spec": ["accessModes": ["ReadWriteOnce"]],
                    ]
                ],
            ]
        ])

    @Test func makesTheClaimOnce() {
        let plan = EphemeralVolumeController.plan(owner, claim: { _ in nil }, Situation(now: now))
        guard case .create(_, let made, _)? = plan.actions.first else {
            Issue.record("nothing was created")
            return
        }
        #expect(made.name == "p-d")
        #expect(made.labels == ["a": "b"])
        #expect(made.controllerUID == "uid-p")
        #expect(EphemeralVolumeController.plan(owner, claim: { _ in made }, Situation(now: now)).actions.isEmpty)
    }

    @Test func refusesAClaimOfSomebodyElse() {
        let plan = EphemeralVolumeController.plan(owner, claim: { _ in claim("p-d") }, Situation(now: now))
        #expect(
            plan.events == [
                "Warning FailedBinding ephemeral volume d: PVC default/p-d was not created for pod default/p (pod is not owner)"
            ])
    }
}

@Suite struct AttachDetachTests {
    private let disk = volume(
        "v", claim: reference(uid: "uid-data"), spec: ["csi": ["driver": "csi.example.com", "volumeHandle": "h1"]])
    private let user = pod("p", node: "n1", volumes: [])
    private let node: Document = ["metadata": ["name": "n1"], "status": ["volumesAttached": []]]

    private func wanted(_ volume: AttachableVolume?) -> [String: AttachableVolume] {
        guard var volume else { return [:] }
        volume.pods = [user]
        return [volume.attachmentName(on: "n1"): volume]
    }

    private func plan(
        wanted: [String: AttachableVolume], present: [(Document, AttachableVolume)] = [], node: Document? = nil,
        elsewhere: [Document] = []
    ) -> Plan {
        AttachDetachPlan(
            node: "n1", wanted: wanted, present: present, nodeObject: node ?? self.node, elsewhere: { _ in elsewhere },
            otherUsers: { _ in [] }
        ).plan()
    }

    @Test func goesThroughAttachingAndDetaching() throws {
        let volume = try #require(AttachableVolume(disk) { _ in nil })
        guard case .create(_, var attachment, _)? = plan(wanted: wanted(volume)).actions.first else {
            Issue.record("nothing was created")
            return
        }
        #expect(attachment.text("spec", "source", "persistentVolumeName") == "v")
        #expect(attachment.name.count == 68)
        #expect(plan(wanted: wanted(volume), present: [(attachment, volume)]).actions.isEmpty)
        attachment.set(true, at: "status", "attached")
        let attached = plan(wanted: wanted(volume), present: [(attachment, volume)])
        #expect(attached.events == ["Normal SuccessfulAttachVolume AttachVolume.Attach succeeded for volume \"v\" "])
        guard case .patch(_, _, "n1", let patch, "status")? = attached.actions.first else {
            Issue.record("the node was not told")
            return
        }
        #expect(patch.list("status", "volumesAttached").first?.text("name") == "kubernetes.io/csi/csi.example.com^h1")
        var busy = node
        busy.set(["kubernetes.io/csi/csi.example.com^h1"], at: "status", "volumesInUse")
        busy.set(patch.at("status", "volumesAttached"), at: "status", "volumesAttached")
        #expect(plan(wanted: [:], present: [(attachment, volume)], node: busy).actions.isEmpty)
        let over = plan(wanted: [:], present: [(attachment, volume)])
        guard case .delete? = over.actions.last else {
            Issue.record("not taken away")
            return
        }
    }

    @Test func oneNodeAtATime() throws {
        let volume = try #require(AttachableVolume(disk) { _ in nil })
        let plan = plan(wanted: wanted(volume), elsewhere: [["metadata": ["name": "csi-other"]]])
        #expect(
            plan.events == [
                "Warning FailedAttachVolume Multi-Attach error for volume \"v\" Volume is already exclusively attached "
                    + "to one node and can't be attached to another"
            ])
    }

    @Test func someDriversNeedNone() {
        #expect(AttachableVolume(disk) { _ in ["spec": ["attachRequired": false]] } == nil)
        #expect(AttachableVolume(volume("local")) { _ in nil } == nil)
    }
}
