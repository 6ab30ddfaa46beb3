import Document
import Kinds
import Schema
import Store
import Synchronization

/// A definition as it is served: its versions as resources, and the watches that end when it goes.
///
/// A change of the spec makes a new one; the old one retires, and its watches with it, since what they would send from
/// then on was made by other rules than what they sent before.
final class ServedDefinition: Sendable {
    let name: String
    let spec: Document
    let acceptedNames: Document
    /// Records written after this revision were completed and pruned by this very schema.
    let since: Revision
    /// Every version, also those that are only stored.
    let versions: [String: ResourceInfo]
    let served: [String]
    let storageVersion: String
    let gate: CreationGate
    private let state = Mutex(State())

    private struct State {
        var isRetired = false
        var isGoing = false
        var watches: [ObjectIdentifier: CustomWatch] = [:]
    }

    /// - gate: of the definition's earlier state, where it was served before.
    init?(_ definition: Document, since: Revision, registry: Schema.Registry, gate: CreationGate?) {
        self.gate = gate ?? CreationGate()
        guard let metadata = registry.type(group: "meta", version: "v1", name: "ObjectMeta"),
            let listMetadata = registry.type(group: "meta", version: "v1", name: "ListMeta")
        else { return nil }
        name = definition.text("metadata", "name") ?? ""
        spec = definition["spec"] ?? .emptyObject
        acceptedNames = definition.at("status", "acceptedNames") ?? .emptyObject
        self.since = since
        let scale = registry.type(group: "autoscaling", version: "v1", name: "Scale")
        let given = definition.list("spec", "versions")
        var versions: [String: ResourceInfo] = [:]
        for version in given {
            versions[version.text("name") ?? ""] = CustomVersion.resource(
                definition: definition, version: version, metadata: metadata, listMetadata: listMetadata,
                scaleType: scale,
                rules: { CompiledRules($0) })
        }
        self.versions = versions
        served = given.filter { $0.flag("served") == true }.compactMap { $0.text("name") }
        storageVersion = given.first { $0.flag("storage") == true }?.text("name") ?? ""
    }

    /// Whether it still is what the definition says.
    func isCurrent(_ definition: Document) -> Bool {
        spec.means(definition["spec"] ?? .emptyObject)
            && acceptedNames.means(definition.at("status", "acceptedNames") ?? .emptyObject)
    }

    /// Whether it has begun, or stopped, to go since the last time this was said.
    func noteGoing(_ isGoing: Bool) -> Bool {
        gate.set(closed: isGoing)
        return state.withLock { state in
            defer { state.isGoing = isGoing }
            return state.isGoing != isGoing
        }
    }

    var group: String { spec.text("group") ?? "" }

    /// False where it has retired meanwhile.
    func add(_ watch: CustomWatch) -> Bool {
        state.withLock { state in
            guard !state.isRetired else { return false }
            state.watches[ObjectIdentifier(watch)] = watch
            return true
        }
    }

    func remove(_ watch: CustomWatch) {
        _ = state.withLock { $0.watches.removeValue(forKey: ObjectIdentifier(watch)) }
    }

    func retire() {
        let watches = state.withLock { state in
            state.isRetired = true
            defer { state.watches = [:] }
            return Array(state.watches.values)
        }
        for watch in watches { watch.end() }
    }
}
