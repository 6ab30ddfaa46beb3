import Client
import Document
import Kinds

/// Lets a deleted volume go only when it is bound to no claim any more.
struct VolumeProtection: Controller {
    let name = "persistentvolume-protection-controller"
    let workers = 1
    static let finalizer = "kubernetes.io/pv-protection"
    private let volumes: Informer

    init(_ informers: Informers) { volumes = informers(.persistentVolumes) }

    var sources: [Source] {
        [
            Source(volumes) { change in
                guard let volume = change.new else { return [] }
                return volume.isTerminating == volume.finalizers.contains(Self.finalizer) ? [change.key] : []
            }
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan { volumes.get(key: key).map(Self.plan) ?? .nothing }

    static func plan(_ volume: Document) -> Plan {
        var changed = volume
        if !volume.isTerminating {
            if volume.finalizers.contains(finalizer) { return .nothing }
            changed.addFinalizer(finalizer)
            return Plan([.update(.persistentVolumes, changed)])
        }
        guard volume.finalizers.contains(finalizer), volume.phase != "Bound" else { return .nothing }
        changed.removeFinalizer(finalizer)
        return Plan([.update(.persistentVolumes, changed)])
    }
}

/// Lets a deleted VolumeAttributesClass go only when no claim and no volume names it any more.
final class AttributesClassProtection: Controller {
    let name = "volumeattributesclass-protection-controller"
    let workers = 1
    static let finalizer = "kubernetes.io/vac-protection"
    private static let index = "attributesClass"
    private let classes: Informer
    private let claims: Informer
    private let volumes: Informer

    init(_ informers: Informers) {
        classes = informers(.volumeAttributesClasses)
        claims = informers(.persistentVolumeClaims)
        volumes = informers(.persistentVolumes)
        claims.addIndex(Self.index, Self.names)
        volumes.addIndex(Self.index, Self.names)
    }

    /// The classes that a claim or a volume asks for, has, or is on the way to.
    private static func names(_ object: Document) -> [String] {
        let names = [
            object.attributesClass, object.text("status", "currentVolumeAttributesClassName") ?? "",
            object.text("status", "modifyVolumeStatus", "targetVolumeAttributesClassName") ?? "",
        ]
        return Set(names.filter { !$0.isEmpty }).sorted()
    }

    private static func released(_ change: Change) -> [String] {
        guard let old = change.old else { return [] }
        let now = change.new.map(names) ?? []
        return names(old).filter { !now.contains($0) }
    }

    var sources: [Source] {
        [
            Source(classes) { change in
                guard let object = change.new else { return [] }
                return object.isTerminating == object.finalizers.contains(Self.finalizer) ? [change.key] : []
            },
            Source(claims, Self.released), Source(volumes, Self.released),
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let object = classes.get(key: key) else { return .nothing }
        let isUsed = !claims.indexed(Self.index, key).isEmpty || !volumes.indexed(Self.index, key).isEmpty
        return Self.plan(object, isUsed: isUsed)
    }

    static func plan(_ object: Document, isUsed: Bool) -> Plan {
        var changed = object
        let isProtected = object.finalizers.contains(finalizer)
        if object.isTerminating, isProtected, !isUsed {
            changed.removeFinalizer(finalizer)
        } else if !object.isTerminating, !isProtected {
            changed.addFinalizer(finalizer)
        } else {
            return .nothing
        }
        return Plan([.update(.volumeAttributesClasses, changed)])
    }
}
