import Client
import Document
import Kinds

/// Asks drivers to attach volumes to the nodes of the pods that use them, and to take them away again.
final class AttachDetachController: Controller {
    let name = "persistentvolume-attach-detach-controller"
    let component = "attachdetach-controller"
    private let attachments: Informer
    private let drivers: Informer
    private let volumes: Informer
    private let claims: Informer
    private let pods: Informer
    private let nodes: Informer
    private let said = SaidEvents()
    private static let driverType = ResourceType(
        group: "storage.k8s.io", plural: "csidrivers", kind: "CSIDriver", namespaced: false)
    private static let byNode = "node"
    private static let byVolume = "volume"

    init(_ informers: Informers) {
        attachments = informers(.volumeAttachments)
        drivers = informers(Self.driverType)
        volumes = informers(.persistentVolumes)
        claims = informers(.persistentVolumeClaims)
        pods = informers(.pods)
        nodes = informers(.nodes)
        pods.addIndex(PodIndex.node, PodIndex.byNode)
        pods.addIndex(ClaimUse.index, ClaimUse.keys)
        attachments.addIndex(Self.byNode) { [$0.text("spec", "nodeName") ?? ""] }
        attachments.addIndex(Self.byVolume) { [$0.text("spec", "source", "persistentVolumeName") ?? ""] }
    }

    var sources: [Source] {
        let (pods, volumes, attachments) = (pods, volumes, attachments)
        @Sendable func nodes(of claim: String) -> [String] {
            pods.indexed(ClaimUse.index, claim).map(\.nodeName).filter { !$0.isEmpty }
        }
        /// Every node that has, or waits for, the volume.
        @Sendable func nodes(volume: Document) -> [String] {
            guard volume.at("spec", "csi") != nil else { return [] }
            return Set(
                (volume.claimKey.map(nodes(of:)) ?? [])
                    + attachments.indexed(Self.byVolume, volume.name).compactMap { $0.text("spec", "nodeName") }
            ).sorted()
        }
        return [
            Source(attachments) { change in
                let object = change.new ?? change.old
                let own = object?.text("spec", "nodeName").map { [$0] } ?? []
                let volume = object?.text("spec", "source", "persistentVolumeName").flatMap { volumes.get(key: $0) }
                return Set(own + (volume.map(nodes(volume:)) ?? [])).sorted()
            },
            Source(volumes) { ($0.new ?? $0.old).map(nodes(volume:)) ?? [] },
            Source(claims) { change in
                guard let name = (change.new ?? change.old)?.volumeName, let volume = volumes.get(key: name) else {
                    return []
                }
                return nodes(volume: volume)
            },
            Source(pods) { change in
                guard let pod = change.new ?? change.old, !pod.nodeName.isEmpty else { return [] }
                let isSettled =
                    change.old?.nodeName == change.new?.nodeName && change.old?.isFinished == change.new?.isFinished
                return isSettled || ClaimUse.keys(pod).isEmpty ? [] : [pod.nodeName]
            },
            Source(self.nodes) { change in
                guard let old = change.old, let new = change.new else { return [change.key] }
                let path = "volumesInUse"
                return new.at("status", path) == old.at("status", path) ? [] : [change.key]
            },
            Source(drivers) { _ in [] },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        let present = attachments.indexed(Self.byNode, key).compactMap { attachment -> (Document, AttachableVolume)? in
            guard let volume = attachment.text("spec", "source", "persistentVolumeName").flatMap(volumes.get(key:)),
                let attachable = attachable(volume), attachable.attachmentName(on: key) == attachment.name
            else { return nil }
            return (attachment, attachable)
        }
        let wanted = wantedVolumes(on: key)
        if wanted.isEmpty, present.isEmpty, nodes.get(key: key)?.at("status", "volumesAttached") == nil {
            said.forget(key)
            return .nothing
        }
        let plan = AttachDetachPlan(
            node: key, wanted: wanted, present: present, nodeObject: nodes.get(key: key),
            elsewhere: { volume in
                self.attachments.indexed(Self.byVolume, volume.volume.name).filter {
                    $0.text("spec", "nodeName") != key
                }
            },
            otherUsers: { volume in
                (volume.volume.claimKey.map { self.pods.indexed(ClaimUse.index, $0) } ?? []).filter {
                    !$0.nodeName.isEmpty && $0.nodeName != key && !$0.isFinished
                }
            })
        return said.filter(plan.plan(), key)
    }

    private func attachable(_ volume: Document) -> AttachableVolume? {
        AttachableVolume(volume) { drivers.get(key: $0) }
    }

    private func wantedVolumes(on node: String) -> [String: AttachableVolume] {
        var wanted: [String: AttachableVolume] = [:]
        for pod in pods.indexed(PodIndex.node, node) where !pod.isFinished {
            for key in ClaimUse.keys(pod) {
                guard let claim = claims.get(key: key), claim.phase == "Bound",
                    let volume = volumes.get(key: claim.volumeName),
                    volume.at("spec", "claimRef", "uid")?.string == claim.uid, let attachable = attachable(volume)
                else { continue }
                let name = attachable.attachmentName(on: node)
                wanted[name, default: attachable].pods.append(pod)
            }
        }
        return wanted
    }
}
