import Document
import Kinds
import Schema

/// Who makes an object depend on another must be allowed to delete it, and to hold up the owner's deletion.
struct OwnerReferencesPermission: AdmissionPlugin {
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard [.create, .update].contains(context.operation), context.resource.plural != "events",
            context.subresource.isEmpty
        else { return }
        let owners = object.list("metadata", "ownerReferences")
        let before = context.old?.list("metadata", "ownerReferences") ?? []
        if Document(owners).means(Document(before)) { return }
        if context.operation == .update {
            var attributes = AccessAttributes(user: context.user, verb: "delete")
            attributes.group = context.resource.group
            attributes.resource = context.resource.plural
            attributes.namespace = context.namespace
            attributes.name = context.name
            let decision = try await resources.access.decide(attributes, resources)
            guard decision.allowed else {
                throw context.refuse(
                    "cannot set an ownerRef on a resource you can't delete: \(decision.reason), <nil>")
            }
        }
        let blocking = owners.filter { owner in
            guard owner.flag("blockOwnerDeletion") == true else { return false }
            let same = before.first { $0.text("uid") == owner.text("uid") }
            return same?.flag("blockOwnerDeletion") != true
        }
        for owner in blocking { try await requireFinalizers(of: owner, context, resources) }
    }

    private func requireFinalizers(of owner: Document, _ context: AdmissionContext, _ resources: Resources) async throws
    {
        let (version, kind) = (owner.text("apiVersion") ?? "", owner.text("kind") ?? "")
        let parts = version.split(separator: "/").map(String.init)
        guard
            let resource = resources.registry.resource(
                group: parts.count == 2 ? parts[0] : "", version: parts.last ?? "", kind: kind)
        else {
            throw context.refuse(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion \(version) "
                    + "Kind \(kind): no matches for kind \"\(kind)\" in version \"\(version)\"")
        }
        var attributes = AccessAttributes(user: context.user, verb: "update")
        attributes.group = resource.group
        attributes.resource = resource.plural
        attributes.subresource = "finalizers"
        attributes.namespace = resource.namespaced ? context.namespace : ""
        attributes.name = owner.text("name") ?? ""
        let decision = try await resources.access.decide(attributes, resources)
        guard decision.allowed else {
            throw context.refuse(
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "
                    + "\(decision.reason), <nil>")
        }
    }
}
