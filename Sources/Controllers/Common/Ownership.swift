import Client
import Document
import Kinds

/// Which of the candidates belong to a controller: those it owns already, and those without an owner that
/// its selector matches. What it owns and no longer matches is let go.
struct Claim: Sendable {
    var owned: [Document] = []
    /// Take over or let go, each guarded by the resource version that was looked at.
    var actions: [Action] = []

    /// - Parameters:
    ///   - owner: how the controller's object refers to itself.
    ///   - finalizer: what everything that it owns carries too, from adoption until it is let go.
    ///   - isMember: what the labels do not say, such as the form of the name.
    init(
        _ candidates: [Document], of resource: ResourceType, for object: Document, owner: Document,
        selector: LabelSelector, finalizer: String? = nil, isMember: (Document) -> Bool = { _ in true }
    ) {
        for candidate in candidates {
            let matches = selector.matches(candidate.labels) && isMember(candidate)
            if let controller = candidate.controllerUID {
                guard controller == object.uid else { continue }
                if matches {
                    owned.append(candidate)
                } else if !object.isTerminating, !candidate.isTerminating {
                    let others = candidate.ownerReferences.filter { $0.text("uid") != object.uid }
                    let kept = finalizer.map { own in candidate.finalizers.filter { $0 != own } }
                    actions.append(Self.setOwners(of: candidate, resource, to: others, finalizers: kept))
                }
            } else if matches, !object.isTerminating, !candidate.isTerminating {
                // Owned from the next look on, when the cache shows it.
                let finalizers = finalizer.map { own in candidate.finalizers.filter { $0 != own } + [own] }
                actions.append(
                    Self.setOwners(
                        of: candidate, resource, to: candidate.ownerReferences + [owner], finalizers: finalizers))
            }
        }
    }

    private static func setOwners(
        of object: Document, _ resource: ResourceType, to owners: [Document], finalizers: [String]?
    ) -> Action {
        var metadata: Document = [
            "uid": Document(object.uid), "ownerReferences": owners.isEmpty ? .null : Document(owners),
            "resourceVersion": object.at("metadata", "resourceVersion") ?? .null,
        ]
        if let finalizers { metadata["finalizers"] = finalizers.isEmpty ? .null : Document(finalizers) }
        return .patch(resource, namespace: object.namespace, name: object.name, ["metadata": metadata])
    }
}
