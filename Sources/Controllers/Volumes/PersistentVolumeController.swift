import Client
import Document
import Kinds
import Synchronization

/// Brings claims and volumes together, and reclaims volumes whose claims are gone.
final class PersistentVolumeController: Controller {
    let name = "persistentvolume-binder-controller"
    let component = "persistentvolume-controller"
    private let claims: Informer
    private let volumes: Informer
    private let classes: Informer
    private let pods: Informer
    private let said = SaidEvents()

    private enum Index {
        static let byClaim = "claimRef"
        static let unbound = "unbound"
        static let byVolume = "volumeName"
    }

    init(_ informers: Informers) {
        claims = informers(.persistentVolumeClaims)
        volumes = informers(.persistentVolumes)
        classes = informers(.storageClasses)
        pods = informers(.pods)
        pods.addIndex(ClaimUse.index, ClaimUse.keys)
        volumes.addIndex(Index.byClaim) { volume in volume.claimKey.map { [$0] } ?? [] }
        // Claims that still look for a volume, by class; those without a word about theirs under "?".
        claims.addIndex(Index.unbound) { claim in
            if claim.hasAnnotation(VolumeNote.bindCompleted) { return [] }
            return [claim.namesStorageClass ? claim.storageClass : "?"]
        }
        claims.addIndex(Index.byVolume) { $0.volumeName.isEmpty ? [] : [$0.volumeName] }
    }

    private static func claim(_ key: String) -> String { "claim/\(key)" }
    private static func volume(_ name: String) -> String { "volume/\(name)" }

    var sources: [Source] {
        let claims = claims
        let volumes = volumes
        return [
            Source(claims) { change in
                let named = [change.old, change.new].compactMap { $0?.volumeName }.filter { !$0.isEmpty }
                let reserved = volumes.indexed(Index.byClaim, change.key).map(\.name)
                return [Self.claim(change.key)] + Set(named + reserved).sorted().map(Self.volume)
            },
            Source(volumes) { change in
                let bound = [change.old, change.new].compactMap { $0?.claimKey }
                let asking = claims.indexed(Index.byVolume, change.key).map { ObjectKey.of($0) }
                var looking: [String] = []
                if let volume = change.new, volume.phase == "Available", volume.at("spec", "claimRef") == nil {
                    // A claim without a class takes a volume without one.
                    let candidates =
                        claims.indexed(Index.unbound, volume.storageClass)
                        + (volume.storageClass.isEmpty ? claims.indexed(Index.unbound, "?") : [])
                    looking = candidates.filter { VolumeMatch.isFree(volume, for: $0) }.map { ObjectKey.of($0) }
                }
                return [Self.volume(change.key)] + Set(bound + asking + looking).sorted().map(Self.claim)
            },
            Source(classes) { change in
                (claims.indexed(Index.unbound, change.key) + claims.indexed(Index.unbound, "?"))
                    .map { Self.claim(ObjectKey.of($0)) }
            },
            Source(pods) { change in
                // A claim that waits for its first consumer says whom it waits for.
                guard let pod = change.new, pod.nodeName.isEmpty, change.old == nil else { return [] }
                return ClaimUse.keys(pod).map(Self.claim)
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        let (kind, name) = Self.split(key)
        if kind == "claim" {
            guard let claim = claims.get(key: name) else {
                said.forget(key)
                return .nothing
            }
            return said.filter(ClaimPlan.plan(claim, view), key)
        }
        guard let volume = volumes.get(key: name) else {
            said.forget(key)
            return .nothing
        }
        let isCertain = claims.hasReached(VolumePlan.certainty(of: volume))
        return said.filter(VolumePlan.plan(volume, view, isCertain: isCertain), key)
    }

    private static func split(_ key: String) -> (kind: Substring, name: String) {
        guard let slash = key.utf8.firstIndex(of: UInt8(ascii: "/")) else { return (key[...], "") }
        return (key[..<slash], String(key[key.utf8.index(after: slash)...]))
    }

    private var view: StorageView {
        let (claims, volumes, classes, pods) = (claims, volumes, classes, pods)
        return StorageView(
            claim: { claims.get(key: $0) }, volume: { volumes.get(key: $0) }, volumes: { volumes.all },
            classes: { classes.all }, pods: { pods.indexed(ClaimUse.index, $0) })
    }
}

/// The last thing that was said about each key, so that a claim that waits says why once and not at every look.
final class SaidEvents: Sendable {
    private let said = Mutex<[String: Set<String>]>([:])

    /// The plan without the events that its last look had too.
    func filter(_ plan: Plan, _ key: String) -> Plan {
        var plan = plan
        var now: Set<String> = []
        let before = said.withLock { $0[key] ?? [] }
        plan.steps = plan.steps.compactMap { step in
            guard case .inOrder(let actions) = step else { return step }
            let rest = actions.filter { action in
                guard case .event(let object, _, let reason, let message) = action else { return true }
                let text = "\(object.uid) \(reason) \(message)"
                now.insert(text)
                return !before.contains(text)
            }
            return rest.isEmpty ? nil : .inOrder(rest)
        }
        said.withLock { $0[key] = now.isEmpty ? nil : now }
        return plan
    }

    func forget(_ key: String) { said.withLock { $0[key] = nil } }
}
