import Basics
import Document
import Kinds
import Schema
import Store

/// The generic registry: what every resource does with create, read, update and delete.
///
/// One file for each verb extends it. It holds no state of its own besides what it was given: objects live in the store,
/// allocations and the authorization snapshot in their own locked parts.
struct Resources: Sendable {
    let registry: Schema.Registry
    /// As the request's resource needs it: see `CustomResources.view`.
    var store: any Store
    let world: World
    let admission: [any AdmissionPlugin]
    let allocations: ServiceAllocations
    let access: AccessControl
    /// What admission looks at again and again.
    let snapshots = ObjectSnapshots()
    let fairness: Fairness

    /// A write that loses the race for the newest revision is tried again this often before the client hears of it.
    static let conflictRetries = 16
    /// Names drawn for one generateName before the client hears of the collision.
    static let nameDraws = 8

    // MARK: Reading single objects, for the server's own parts

    func record(_ resource: ResourceInfo, namespace: String, name: String) async throws -> Record? {
        try await store.get(ObjectCodec.key(resource, namespace: namespace, name: name))
    }

    func document(_ resource: ResourceInfo, namespace: String, name: String) async throws -> Document? {
        guard let record = try await record(resource, namespace: namespace, name: name) else { return nil }
        return try ObjectCodec.document(record.value, resource)
    }

    /// An object of a built-in kind; nil also where the kind is not served.
    func object(
        _ plural: String, group: String = "", version: String = "v1", namespace: String = "", name: String
    ) async throws -> Document? {
        guard let resource = registry.resource(group: group, version: version, plural: plural) else { return nil }
        return try await document(resource, namespace: namespace, name: name)
    }

    func objects(
        _ plural: String, group: String = "", version: String = "v1", namespace: String = ""
    ) async throws -> [Document] {
        guard let resource = registry.resource(group: group, version: version, plural: plural) else { return [] }
        let prefix = ObjectCodec.prefix(resource, namespace: namespace)
        let page = try await store.list(prefix: prefix, after: nil, limit: nil, at: nil)
        return try page.records.map { try ObjectCodec.document($0.value, resource) }
    }

    // MARK: What every write does

    func admit(_ object: inout Document, _ context: AdmissionContext) async throws {
        var context = context
        let rounds = Reinvocation()
        context.reinvocation = rounds
        for plugin in admission { try await plugin.mutate(&object, context, self) }
        guard rounds.isWanted else { return }
        rounds.beginSecondRound()
        for plugin in admission { try await plugin.mutate(&object, context, self) }
    }

    func validate(_ object: Document, _ context: AdmissionContext) async throws {
        for plugin in admission { try await plugin.validate(object, context, self) }
    }

    /// Tells the parts that keep something derived from objects.
    func wrote(_ resource: ResourceInfo) {
        if resource.group == "rbac.authorization.k8s.io" { access.invalidate() }
        if resource.qualifiedName == "servicecidrs.networking.k8s.io" { allocations.forgetRanges() }
        snapshots.invalidate(resource)
        if resource.group == Fairness.group { fairness.invalidate() }
    }

    /// One reference for each owner; clients that send more are told.
    func dedupeOwners(_ object: inout Document, _ warnings: Warnings) {
        let owners = object.list("metadata", "ownerReferences")
        guard owners.count > 1 else { return }
        var kept: [Document] = []
        var repeated: [String] = []
        for owner in owners {
            if kept.contains(where: { $0.means(owner) }) {
                repeated.append(owner.text("uid") ?? "")
            } else {
                kept.append(owner)
            }
        }
        guard !repeated.isEmpty else { return }
        object.set(Document(kept), at: "metadata", "ownerReferences")
        warnings.add(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
                + "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
                + repeated.joined(separator: ", "))
    }

    func context(_ call: Call, _ operation: AdmissionContext.Operation, old: Document? = nil, dryRun: Bool)
        -> AdmissionContext
    {
        AdmissionContext(
            operation: operation, resource: call.resource, subresource: call.subresource, namespace: call.namespace,
            name: call.name, user: call.user, old: old, dryRun: dryRun, warnings: call.warnings,
            kind: .init(group: call.resource.group, version: call.resource.version, kind: call.resource.kind),
            options: { call.optionsDocument(operation) }, isInternal: call.isInternal)
    }
}

extension Document {
    /// Equal but for the order of members, and for what the server itself notes about the writers.
    func sameObject(as other: Document) -> Bool {
        var (a, b) = (self, other)
        for field in ["resourceVersion", "managedFields"] {
            if a.at("metadata", field) != nil { a.set(nil, at: "metadata", field) }
            if b.at("metadata", field) != nil { b.set(nil, at: "metadata", field) }
        }
        return a.means(b)
    }
}
