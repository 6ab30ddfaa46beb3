import Client
import Document
import Kinds

/// Says on claims that ask for a larger volume whom they wait for: nothing here can enlarge a driver's volume.
final class ExpandController: Controller {
    let name = "persistentvolume-expander-controller"
    let component = "volume_expand"
    let workers = 1
    private let claims: Informer
    private let volumes: Informer
    private let said = SaidEvents()

    init(_ informers: Informers) {
        claims = informers(.persistentVolumeClaims)
        volumes = informers(.persistentVolumes)
    }

    var sources: [Source] {
        [
            Source(claims) { change in
                guard let claim = change.new else { return [change.key] }
                return Self.asksForMore(claim) ? [change.key] : []
            },
            Source(volumes) { _ in [] },
        ]
    }

    private static func asksForMore(_ claim: Document) -> Bool {
        claim.phase == "Bound" && claim.requestedStorage > claim.claimedStorage
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let claim = claims.get(key: key) else {
            said.forget(key)
            return .nothing
        }
        return said.filter(Self.plan(claim, volume: volumes.get(key: claim.volumeName)), key)
    }

    static func plan(_ claim: Document, volume: Document?) -> Plan {
        guard asksForMore(claim), let volume, volume.at("spec", "claimRef", "uid")?.string == claim.uid,
            volume.annotations[VolumeNote.provisionedBy] != NodeDirectory.provisioner
        else { return .nothing }
        return Plan([
            .event(
                claim, .normal, reason: "ExternalExpanding",
                message: "waiting for an external controller to expand this PVC")
        ])
    }
}
