import Document
import Kinds
import Schema

// A definition is deleted in two steps: it is marked at once, and goes when its objects are gone.

extension Resources {
    static let definitions = "customresourcedefinitions.apiextensions.k8s.io"

    /// The definition as a deletion leaves it, nil where the usual rules apply.
    func definitionDeletion(_ old: Document) -> Document? {
        var object = old
        if old.text("metadata", "deletionTimestamp") != nil {
            guard old.at("metadata", "deletionGracePeriodSeconds") == nil,
                !old.list("metadata", "finalizers").isEmpty
            else { return nil }
            object.set(0, at: "metadata", "deletionGracePeriodSeconds")
            return object
        }
        let now = world.clock.now
        object.set(Document(now.description), at: "metadata", "deletionTimestamp")
        var finalizers = old.list("metadata", "finalizers").compactMap(\.string)
        if !finalizers.contains(CustomResources.finalizer) { finalizers.append(CustomResources.finalizer) }
        object.set(Document(finalizers), at: "metadata", "finalizers")
        var conditions = Conditions(old.list("status", "conditions"), now: now)
        conditions.set(
            "Terminating", "True", "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon")
        object.set(Document(conditions.list), at: "status", "conditions")
        return object
    }

    func checkDefinitionPreconditions(
        _ options: DeleteOptions, _ old: Document, _ resource: ResourceInfo, _ name: String
    ) throws(APIStatus) {
        for (field, what, wanted) in [
            ("uid", "UID", options.uid), ("resourceVersion", "ResourceVersion", options.resourceVersion),
        ] {
            let found = old.text("metadata", field) ?? ""
            guard let wanted, wanted != found else { continue }
            throw .conflict(
                resource, name,
                "Precondition failed: \(what) in precondition: \(wanted), \(what) in object meta: \(found)")
        }
    }
}
