import Document
import Kinds
import Schema
import Store

/// Charges what is created to the quotas of its namespace, and refuses what exceeds them.
///
/// The use stands in the quota's status, so that two writes at once cannot both take the last of it: whoever loses
/// the race for the status looks again. What goes is given back by the quota controller.
struct QuotaAdmission: AdmissionPlugin {
    private static let mostTries = 16

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.namespaced, !context.namespace.isEmpty, QuotaUsage.handles(context),
            let resource = resources.registry.resource(group: "", version: "v1", plural: "resourcequotas")
        else { return }
        let charge = QuotaCharge(
            kind: context.resource.qualifiedName, object: object, old: context.operation == .update ? context.old : nil,
            now: resources.world.clock.now)
        var done: Set<String> = []
        for _ in 0..<Self.mostTries {
            let snapshot = try await resources.snapshots.all("resourcequotas", resources)
            guard let quotas = snapshot.byNamespace[context.namespace] else { return }
            let changes: [(quota: Document, used: Amounts)]
            do { changes = try charge.apply(to: quotas, skipping: done) } catch {
                throw context.refuse(error.message)
            }
            if context.dryRun { return }
            var lost = false
            for (quota, used) in changes {
                let name = quota.text("metadata", "name") ?? ""
                if try await write(QuotaCharge.charged(quota, used), name, resource, context, resources) {
                    done.insert(name)
                } else {
                    lost = true
                }
            }
            if !lost { return }
        }
        throw APIStatus.modified(resource, context.namespace)
    }

    /// Whether the quota was still as it was read.
    private func write(
        _ quota: Document, _ name: String, _ resource: ResourceInfo, _ context: AdmissionContext,
        _ resources: Resources
    ) async throws -> Bool {
        guard let revision = Revision(quota.text("metadata", "resourceVersion") ?? "") else { return false }
        let key = ObjectCodec.key(resource, namespace: context.namespace, name: name)
        do {
            let record = try await resources.store.update(key, expected: revision, ObjectCodec.encoding(quota))
            resources.snapshots.replace(try ObjectCodec.document(record.value, resource), resource)
            return true
        } catch StoreError.conflict, StoreError.notFound {
            resources.snapshots.invalidate(resource)
            return false
        }
    }
}

extension QuotaUsage {
    /// Whether a write of this kind is charged at all.
    static func handles(_ context: AdmissionContext) -> Bool {
        switch (context.resource.qualifiedName, context.subresource) {
        case ("pods", ""): context.operation == .create
        case ("pods", "resize"): context.operation == .update
        case ("services", ""), ("persistentvolumeclaims", ""), ("resourceclaims.resource.k8s.io", ""):
            context.operation == .create || context.operation == .update
        case (_, ""): context.operation == .create
        default: false
        }
    }
}
