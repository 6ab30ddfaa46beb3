import Client
import Document

/// Who owns whom, over all collections: what the garbage collector decides from.
struct OwnerGraph: Sendable {
    static let orphanFinalizer = "orphan"
    static let foregroundFinalizer = "foregroundDeletion"

    struct Node: Sendable {
        var resource: ResourceType
        /// Metadata, at least.
        var object: Document
    }

    /// What to do about one object.
    enum Verdict: Sendable, Equatable {
        case nothing
        /// Its owners are unknown here; ask the server whether they exist, then judge with the answer.
        case verify([Document])
        /// Leave these owners, which are gone, and keep the others.
        case drop(Set<String>)
        case delete(propagation: String)
        /// It is part of a circle that waits for itself: it must no longer hold up its owners, then it goes.
        case unblockAndDelete
        case removeFinalizer(String)
        /// Waits in the foreground: these dependents hold it up.
        case deleteDependents([String])
        /// Dependents lose their reference to it, then it loses its finalizer.
        case orphanDependents([String])
    }

    private(set) var nodes: [String: Node] = [:]
    private var dependents: [String: Set<String>] = [:]

    mutating func put(_ resource: ResourceType, _ object: Document) {
        let uid = object.uid
        if let old = nodes[uid] { unlink(old.object) }
        nodes[uid] = Node(resource: resource, object: object)
        for owner in object.ownerReferences { dependents[owner.text("uid") ?? "", default: []].insert(uid) }
    }

    /// Answers whom the removal concerns: dependents that lost an owner, and owners that waited for it.
    mutating func remove(_ object: Document) -> [String] {
        guard let old = nodes.removeValue(forKey: object.uid) else { return [] }
        unlink(old.object)
        let owners = old.object.ownerReferences.compactMap { $0.text("uid") }.filter { nodes[$0] != nil }
        return dependentUIDs(of: object.uid) + owners
    }

    /// The collection is served no longer.
    mutating func removeAll(of resource: ResourceType) {
        for node in nodes.values where node.resource == resource { _ = remove(node.object) }
    }

    /// References to objects of other namespaces. Objects without a namespace may own anything.
    func strangers(to object: Document) -> [Document] {
        object.ownerReferences.filter { reference in
            guard let owner = nodes[reference.text("uid") ?? ""] else { return false }
            return !Self.mayOwn(owner.object, object)
        }
    }

    private static func mayOwn(_ owner: Document, _ dependent: Document) -> Bool {
        guard let namespace = owner.namespace, !namespace.isEmpty else { return true }
        return namespace == dependent.namespace
    }

    private mutating func unlink(_ object: Document) {
        for owner in object.ownerReferences {
            let owner = owner.text("uid") ?? ""
            dependents[owner]?.remove(object.uid)
            if dependents[owner]?.isEmpty == true { dependents[owner] = nil }
        }
    }

    func dependentUIDs(of uid: String) -> [String] { (dependents[uid] ?? []).sorted() }

    /// - Parameter absent: owners that the server was asked for and does not have.
    func verdict(on uid: String, absent: Set<String> = []) -> Verdict {
        guard let node = nodes[uid] else { return .nothing }
        if node.object.isTerminating { return verdictOnTerminating(node.object) }
        var solid = 0
        var waiting = 0
        var gone: Set<String> = []
        var unknown: [Document] = []
        for reference in node.object.ownerReferences {
            let owner = reference.text("uid") ?? ""
            if absent.contains(owner) {
                gone.insert(owner)
            } else if let known = nodes[owner], Self.mayOwn(known.object, node.object) {
                // An owner that waits for its dependents counts as gone for those that block it.
                let isWaiting = known.object.isTerminating && known.object.finalizers.contains(Self.foregroundFinalizer)
                if isWaiting, reference.flag("blockOwnerDeletion") == true {
                    waiting += 1
                    gone.insert(owner)
                } else {
                    solid += 1
                }
            } else {
                unknown.append(reference)
            }
        }
        if !unknown.isEmpty { return .verify(unknown) }
        if gone.isEmpty { return .nothing }
        if solid > 0 { return .drop(gone) }
        if waiting > 0, let own = dependents[uid] {
            let isCircle = own.contains { uid in
                guard let object = nodes[uid]?.object else { return false }
                return object.isTerminating && object.finalizers.contains(Self.foregroundFinalizer)
            }
            let blocks = node.object.ownerReferences.contains { $0.flag("blockOwnerDeletion") == true }
            return isCircle && blocks ? .unblockAndDelete : .delete(propagation: "Foreground")
        }
        if node.object.finalizers.contains(Self.orphanFinalizer) { return .delete(propagation: "Orphan") }
        if node.object.finalizers.contains(Self.foregroundFinalizer) { return .delete(propagation: "Foreground") }
        return .delete(propagation: "Background")
    }

    private func verdictOnTerminating(_ object: Document) -> Verdict {
        let dependents = dependentUIDs(of: object.uid)
        if object.finalizers.contains(Self.orphanFinalizer) {
            return dependents.isEmpty ? .removeFinalizer(Self.orphanFinalizer) : .orphanDependents(dependents)
        }
        if object.finalizers.contains(Self.foregroundFinalizer) {
            let blocking = dependents.filter { dependent in
                nodes[dependent]?.object.ownerReferences.contains {
                    $0.text("uid") == object.uid && $0.flag("blockOwnerDeletion") == true
                } ?? false
            }
            return blocking.isEmpty ? .removeFinalizer(Self.foregroundFinalizer) : .deleteDependents(blocking)
        }
        return .nothing
    }
}
