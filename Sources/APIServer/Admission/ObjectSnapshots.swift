import Document
import Kinds
import Schema
import Store
import Synchronization

/// Objects that admission looks at for every write, kept parsed: classes, limits, quotas, webhooks, namespaces.
///
/// A kind is read from the store when it is first asked for, and again after one of its objects has changed. Every
/// write passes this server, so what was written counts from the very next request on.
final class ObjectSnapshots: Sendable {
    /// All objects of one kind at one time, and what their readers worked out from them.
    final class Snapshot: Sendable {
        let objects: [Document]
        let byNamespace: [String: [Document]]
        private let derived = Mutex<[String: any Sendable]>([:])

        init(_ objects: [Document]) {
            self.objects = objects
            byNamespace = Dictionary(grouping: objects) { $0.text("metadata", "namespace") ?? "" }
        }

        /// The value made for `name` before, or what `make` gives. Two readers at once may both make it.
        func value<Value: Sendable>(_ name: String, make: (Snapshot) -> Value) -> Value {
            // In two steps: nothing at all would pass for a value that is optional itself.
            if let found = derived.withLock({ $0[name] }), let value = found as? Value { return value }
            let made = make(self)
            derived.withLock { $0[name] = made }
            return made
        }

        func named(_ name: String) -> Document? {
            value("names") { snapshot in
                Dictionary(
                    snapshot.objects.map { ($0.text("metadata", "name") ?? "", $0) },
                    uniquingKeysWith: { first, _ in first })
            }[name]
        }
    }

    private struct Entry {
        var snapshot: Snapshot?
        /// Counts invalidations, so that what was being read while an object changed is not kept.
        var generation = 0
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// Single objects by their key, with the revision that they were parsed at.
        var singles: [String: (revision: Revision, object: Document)] = [:]
    }

    /// Single objects kept; with more, all are forgotten.
    private static let mostSingles = 4_096

    private let state = Mutex(State())

    func invalidate(_ resource: ResourceInfo) {
        state.withLock { state in
            guard state.entries[resource.qualifiedName] != nil else { return }
            state.entries[resource.qualifiedName]?.snapshot = nil
            state.entries[resource.qualifiedName]?.generation += 1
        }
    }

    /// Notes one changed object, so that the others need not be read again.
    func replace(_ object: Document, _ resource: ResourceInfo) {
        let name = resource.qualifiedName
        state.withLock { state in
            guard let known = state.entries[name]?.snapshot else {
                state.entries[name]?.generation += 1
                return
            }
            let uid = object.text("metadata", "uid")
            state.entries[name]?.snapshot = Snapshot(
                known.objects.map { $0.text("metadata", "uid") == uid ? object : $0 })
            state.entries[name]?.generation += 1
        }
    }

    /// The objects of a kind; none where it is not served.
    func all(_ plural: String, group: String = "", _ resources: Resources) async throws -> Snapshot {
        guard let resource = resources.registry.resource(group: group, version: "v1", plural: plural) else {
            return Snapshot([])
        }
        let name = resource.qualifiedName
        let (known, generation) = state.withLock { state in
            (state.entries[name]?.snapshot, state.entries[name, default: Entry()].generation)
        }
        if let known { return known }
        // The entry has to be there before the reading starts, or a change meanwhile would not be noted.
        state.withLock { state in if state.entries[name] == nil { state.entries[name] = Entry() } }
        let fresh = Snapshot(try await resources.objects(plural, group: group))
        state.withLock { state in
            if state.entries[name]?.generation == generation { state.entries[name]?.snapshot = fresh }
        }
        return fresh
    }

    /// One object, parsed again only when it has changed.
    func single(_ plural: String, namespace: String = "", name: String, _ resources: Resources) async throws
        -> Document?
    {
        guard let resource = resources.registry.resource(group: "", version: "v1", plural: plural),
            let record = try await resources.record(resource, namespace: namespace, name: name)
        else { return nil }
        if let known = state.withLock({ $0.singles[record.key] }), known.revision == record.revision {
            return known.object
        }
        let object = try ObjectCodec.document(record.value, resource)
        state.withLock { state in
            if state.singles.count >= Self.mostSingles { state.singles.removeAll(keepingCapacity: true) }
            state.singles[record.key] = (record.revision, object)
        }
        return object
    }
}
