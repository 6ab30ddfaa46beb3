import Basics
import Document
import Kinds
import Schema
import Synchronization

/// How a write settles who owns which field.
enum FieldAccount: Sendable {
    /// The writer owns what it changed.
    case update
    /// An apply has settled it, and these are the entries.
    case settled(Document?)
    /// An apply settles it each time that it sees the object.
    case applied(Settlement)
}

/// What an apply found when it saw the object last. One task uses it, between reading an object and writing it.
final class Settlement: Sendable {
    private let state = Mutex<Document?>(nil)

    var entries: Document? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

extension Resources {
    /// Who owned everything before the first apply came.
    static let beforeFirstApply = "before-first-apply"

    /// Entries of other versions of a custom resource are taken to be of fields with the same names, which holds
    /// wherever the definition converts by the version alone.
    private func customConverter(of resource: ResourceInfo) -> FieldUpdater.Converter {
        let custom = store as? CustomResourceStore
        return { object, apiVersion in
            guard let target = custom?.version(apiVersion) else { return nil }
            var converted = object
            converted["apiVersion"] = Document(apiVersion)
            return (converted, target.type)
        }
    }

    /// The account of a call's writer.
    func fieldUpdater(_ call: Call) -> FieldUpdater {
        FieldUpdater(
            type: call.resource.type, apiVersion: call.resource.apiVersion,
            ignored: ResetFields.of(call.resource, subresource: call.subresource), now: world.clock.now.description,
            convert: converter(of: call.resource))
    }

    /// Kinds that are served in several versions: an object as another of them shows it.
    private func converter(of resource: ResourceInfo) -> FieldUpdater.Converter {
        if resource.custom != nil { return customConverter(of: resource) }
        return { [registry] object, apiVersion in
            guard let target = registry.resource(apiVersion: apiVersion, kind: resource.kind) else { return nil }
            let given = object.text("apiVersion") ?? resource.apiVersion
            guard given != apiVersion, let source = registry.resource(apiVersion: given, kind: resource.kind) else {
                return (object, target.type)
            }
            var converted = Conversion.shown(Conversion.stored(object, source), target)
            converted["apiVersion"] = Document(apiVersion)
            return (converted, target.type)
        }
    }

    /// The entries after a write of the scale. Owners of the replicas lose them to who changed them; where nobody
    /// owns them, nobody comes to.
    func scaleAccount(_ old: Document, _ before: Document, _ after: Document, _ call: Call) -> Document? {
        let current = old.at("metadata", "managedFields")
        guard let type = call.resource.subresource("scale")?.type, let managed = ManagedFields(current) else {
            return current
        }
        let fields = ScaleFields(managed, apiVersion: call.resource.apiVersion, path: replicasPath(call.resource))
        var scale = fields.scale
        guard !scale.isEmpty, scaleUpdater(type).update(&scale, from: before, to: after, by: scaleWriter(call)) else {
            return current
        }
        let merged = fields.merged(scale)
        return merged.isEmpty ? Optional.none : merged.document
    }

    /// A scale after a configuration was applied to it, and in `settled` who owns the object's fields then.
    func appliedScale(
        _ applied: Document, _ old: Document, _ before: Document, _ call: Call, force: Bool, _ settled: Settlement
    ) throws -> Document {
        guard let type = call.resource.subresource("scale")?.type else { throw APIStatus.noSuchResource }
        guard let managed = ManagedFields(old.at("metadata", "managedFields")) else {
            throw APIStatus.failure(500, "", "failed to decode managed fields")
        }
        let fields = ScaleFields(managed, apiVersion: call.resource.apiVersion, path: replicasPath(call.resource))
        var scale = fields.scale
        let updater = scaleUpdater(type)
        if scale.isEmpty {
            _ = updater.update(
                &scale, from: updater.zero, to: before, by: scaleWriter(call, manager: Self.beforeFirstApply))
        }
        let target = ApplyTarget(apiVersion: ScaleFields.apiVersion, kind: "Scale", call, updater)
        let after = try target.merged(applied, before, &scale, force: force) ?? before
        let merged = fields.merged(scale)
        settled.entries = merged.isEmpty ? Optional.none : merged.document
        return after
    }

    /// Where a kind has its replicas, as a path in a set of fields.
    private func replicasPath(_ resource: ResourceInfo) -> [String] {
        guard let scale = resource.custom?.scale else { return ["f:spec", "f:replicas"] }
        return scale.specReplicas.map { "f:" + $0 }
    }

    private func scaleUpdater(_ type: TypeID) -> FieldUpdater {
        FieldUpdater(
            type: type, apiVersion: ScaleFields.apiVersion, ignored: FieldSet(), now: world.clock.now.description,
            convert: { _, _ in nil })
    }

    private func scaleWriter(_ call: Call, manager: String? = nil) -> ManagedEntry.Identity {
        ManagedEntry.Identity(
            manager: manager ?? call.fieldManager, isApply: false, apiVersion: ScaleFields.apiVersion,
            subresource: "scale")
    }

    func writer(_ call: Call, manager: String? = nil, isApply: Bool = false) -> ManagedEntry.Identity {
        ManagedEntry.Identity(
            manager: manager ?? call.fieldManager, isApply: isApply, apiVersion: call.resource.apiVersion,
            subresource: call.subresource)
    }

    /// The entries of a new object.
    func accountForNew(_ fields: FieldAccount, _ object: Document, _ call: Call) -> Document? {
        if case .settled(let entries) = fields { return entries }
        var managed = ManagedFields()
        let updater = fieldUpdater(call)
        let shown = Self.counted(object, call.resource)
        _ = updater.update(&managed, from: updater.zero, to: shown, by: writer(call))
        return managed.isEmpty ? Optional.none : managed.document
    }

    /// The entries of a changed object. `claimed` is what the client says about them: whoever sends entries with the
    /// object itself replaces them, and an empty list ends the accounting until somebody applies.
    func account(
        _ fields: FieldAccount, _ claimed: Document?, from old: Document, to new: Document, _ call: Call
    ) -> Document? {
        let current = old.at("metadata", "managedFields")
        switch call.subresource {
        case "binding", "eviction", "token": return current
        default: break
        }
        switch fields {
        case .settled(let entries): return entries
        case .applied(let settlement): return settlement.entries
        case .update: break
        }
        var source = current
        var managed: ManagedFields?
        if call.subresource.isEmpty, let claimed, claimed.isArray {
            if Self.isReset(claimed) { return nil }
            managed = ManagedFields(claimed)
            if managed?.isEmpty == false { source = claimed } else { managed = nil }
        }
        guard var managed = managed ?? ManagedFields(current), !managed.isEmpty else { return nil }
        let shown = Self.counted(new, call.resource)
        let hasChanged = fieldUpdater(call).update(&managed, from: old, to: shown, by: writer(call))
        if !hasChanged { return source }
        return managed.isEmpty ? Optional.none : managed.document
    }

    /// Whoever writes a daemon set also writes the annotation that counts its templates, even without knowing it.
    private static func counted(_ object: Document, _ resource: ResourceInfo) -> Document {
        resource.qualifiedName == "daemonsets.apps" ? DaemonSetGeneration.counted(object) : object
    }

    private static func isReset(_ claimed: Document) -> Bool {
        claimed.count == 0 || (claimed.count == 1 && claimed[0].isObject && claimed[0].count == 0)
    }

    /// Whether the entries differ by nothing but their times, which are no change of their own.
    func hasSameOwners(_ new: Document, _ old: Document) -> Bool {
        let (a, b) = (new.list("metadata", "managedFields"), old.list("metadata", "managedFields"))
        guard a.count == b.count else { return false }
        return zip(a, b).allSatisfy { one, two in
            if one.means(two) { return true }
            var (one, two) = (one, two)
            one["time"] = nil
            two["time"] = nil
            return one.means(two)
        }
    }
}

extension Schema.Registry {
    /// `apps/v1` and a kind.
    func resource(apiVersion: String, kind: String) -> ResourceInfo? {
        let parts = apiVersion.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2
            ? resource(group: String(parts[0]), version: String(parts[1]), kind: kind)
            : resource(group: "", version: apiVersion, kind: kind)
    }
}

/// The fields that a way of writing cannot change: the server sets them back, so the writer does not own them.
enum ResetFields {
    static func of(_ resource: ResourceInfo, subresource: String) -> FieldSet {
        if resource.qualifiedName == "certificatesigningrequests.certificates.k8s.io" {
            return certificateRequests[subresource] ?? FieldSet()
        }
        switch subresource {
        case "":
            // Who asks for a certificate says what for once, and never again.
            if resource.qualifiedName == "certificatesigningrequests.certificates.k8s.io" { return spec.union(status) }
            return resource.hasStatus ? status : FieldSet()
        case "status":
            switch resource.qualifiedName {
            case "pods": return podStatus
            case "deployments.apps": return deploymentStatus
            case "certificatesigningrequests.certificates.k8s.io": return spec.union(status)
            case _ where resource.custom != nil: return customStatus
            default: return spec
            }
        case "ephemeralcontainers": return allBut(["ephemeralContainers"], resource)
        case "resize": return allBut(["containers", "initContainers"], resource)
        default: return FieldSet()
        }
    }

    /// Everything but some fields of the spec.
    private static func allBut(_ kept: Set<String>, _ resource: ResourceInfo) -> FieldSet {
        var result = status.union(FieldSet(path: ["f:metadata"]))
        guard case .object(let spec) = resource.type.info.field("spec")?.shape else { return result }
        for field in spec.fields where !kept.contains(field.name) {
            result = result.union(FieldSet(path: ["f:spec", "f:" + field.name]))
        }
        return result
    }

    private static let status = FieldSet(path: ["f:status"])
    /// What is asked for never changes, and approval and certificate are written in different ways.
    private static let certificateRequests = [
        "": spec.union(status), "status": spec.union(FieldSet(path: ["f:status", "f:conditions"])),
        "approval": spec.union(FieldSet(path: ["f:status", "f:certificate"])),
    ]
    private static let spec = FieldSet(path: ["f:spec"])
    private static let customStatus = spec.union(FieldSet(path: ["f:metadata"]))
    private static let podStatus = spec.union(FieldSet(path: ["f:metadata", "f:deletionTimestamp"]))
        .union(FieldSet(path: ["f:metadata", "f:ownerReferences"]))
    private static let deploymentStatus = spec.union(FieldSet(path: ["f:metadata", "f:labels"]))
}
