import Document
import Kinds
import Schema
import Synchronization

/// A rule of a webhook or a policy: which requests it is about.
struct AdmissionRule: Sendable {
    private let operations: [String]
    private let groups: [String]
    private let versions: [String]
    private let resources: [(resource: String, subresource: String)]
    private let scope: String
    private let names: [String]

    init(_ rule: Document) {
        func list(_ field: String) -> [String] { rule.list(field).compactMap(\.string) }
        operations = list("operations")
        groups = list("apiGroups")
        versions = list("apiVersions")
        names = list("resourceNames")
        scope = rule.text("scope") ?? "*"
        resources = list("resources").map { text in
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return (parts[0], parts.count == 2 ? parts[1] : "")
        }
    }

    func matches(_ context: AdmissionContext, as resource: ResourceInfo) -> Bool {
        func covers(_ list: [String], _ value: String) -> Bool { list.contains("*") || list.contains(value) }
        guard covers(operations, context.operation.rawValue), covers(groups, resource.group),
            covers(versions, resource.version), names.isEmpty || names.contains(context.name), coversScope(context)
        else { return false }
        return resources.contains { rule in
            (rule.resource == "*" || rule.resource == resource.plural)
                && (rule.subresource == "*" || rule.subresource == context.subresource)
        }
    }

    /// A namespace counts as an object of the cluster, although its path looks like one within itself.
    private func coversScope(_ context: AdmissionContext) -> Bool {
        let isCluster = context.resource.qualifiedName == "namespaces" || context.namespace.isEmpty
        switch scope {
        case "Namespaced": return !isCluster
        case "Cluster": return isCluster
        default: return true
        }
    }
}

/// Everything by which webhooks, policies and bindings choose their requests.
struct RequestMatch: Sendable {
    private let rules: [AdmissionRule]
    private let excluded: [AdmissionRule]
    private let namespaces: LabelSelector
    private let objects: LabelSelector
    private let matchesEquivalents: Bool
    /// Bindings may name no rules, and then narrow nothing down.
    private let needsRule: Bool

    /// - rules: the field that holds them.
    init(_ document: Document, rules field: String, needsRule: Bool = true) {
        rules = document.list(field).map(AdmissionRule.init)
        excluded = document.list("excludeResourceRules").map(AdmissionRule.init)
        namespaces = document["namespaceSelector"].flatMap { LabelSelector($0) } ?? LabelSelector()
        objects = document["objectSelector"].flatMap { LabelSelector($0) } ?? LabelSelector()
        matchesEquivalents = document.text("matchPolicy") != "Exact"
        self.needsRule = needsRule
    }

    /// The resource as which the request is covered: its own, or one that shows the same objects.
    func resource(_ object: Document?, _ context: AdmissionContext, _ resources: Resources) async throws
        -> ResourceInfo?
    {
        guard let found = covered(context, resources) else { return nil }
        if !objects.isEmpty {
            let candidates = [object, context.old].compactMap { $0 }
            guard candidates.contains(where: { $0.isObject && objects.matches($0.map("metadata", "labels")) }) else {
                return nil
            }
        }
        if !namespaces.isEmpty, let labels = try await Self.namespaceLabels(object, context, resources) {
            guard namespaces.matches(labels) else { return nil }
        }
        return found
    }

    private func covered(_ context: AdmissionContext, _ resources: Resources) -> ResourceInfo? {
        if excluded.contains(where: { $0.matches(context, as: context.resource) }) { return nil }
        if rules.isEmpty, !needsRule { return context.resource }
        if rules.contains(where: { $0.matches(context, as: context.resource) }) { return context.resource }
        guard matchesEquivalents else { return nil }
        for other in Equivalents.of(context.resource, resources.registry)
        where rules.contains(where: { $0.matches(context, as: other) }) {
            return excluded.contains { $0.matches(context, as: other) } ? nil : other
        }
        return nil
    }

    /// The labels of the request's namespace; nil where it has none, which selectors of namespaces then do not concern.
    static func namespaceLabels(_ object: Document?, _ context: AdmissionContext, _ resources: Resources) async throws
        -> [String: String]?
    {
        if context.resource.qualifiedName == "namespaces" {
            // A namespace is judged by what it is about to be.
            if let object, object.isObject, context.subresource.isEmpty, context.operation != .delete {
                return object.map("metadata", "labels")
            }
            return try await namespace(context.name, resources).map("metadata", "labels")
        }
        if context.namespace.isEmpty { return nil }
        return try await namespace(context.namespace, resources).map("metadata", "labels")
    }

    static func namespace(_ name: String, _ resources: Resources) async throws -> Document {
        guard let namespace = try await resources.snapshots.single("namespaces", name: name, resources) else {
            var status = APIStatus.failure(404, "NotFound", "namespaces \"\(name)\" not found")
            status.name = name
            status.kind = "namespaces"
            throw status
        }
        return namespace
    }
}

/// Resources that show the same objects in other forms.
enum Equivalents {
    static func of(_ resource: ResourceInfo, _ registry: Schema.Registry) -> [ResourceInfo] {
        if resource.plural == "events" {
            let other = resource.group.isEmpty ? "events.k8s.io" : ""
            return [registry.resource(group: other, version: "v1", plural: "events")].compactMap { $0 }
        }
        if resource.plural == "horizontalpodautoscalers" {
            let other = resource.version == "v1" ? "v2" : "v1"
            return [registry.resource(group: resource.group, version: other, plural: resource.plural)].compactMap { $0 }
        }
        // The other versions that a definition serves.
        guard let custom = resource.custom else { return [] }
        return registry.groupVersions.filter { $0.group == resource.group && $0.version != resource.version }
            .compactMap { registry.resource(group: $0.group, version: $0.version, plural: resource.plural) }
            .filter { $0.custom?.definition == custom.definition }
    }

    /// An object of one form in the other.
    static func converted(
        _ object: Document, from: ResourceInfo, to: ResourceInfo, _ resources: Resources
    ) async throws -> Document {
        if from.apiVersion == to.apiVersion { return object }
        if to.custom != nil {
            guard let store = resources.store as? CustomResourceStore else { return object }
            return try await store.converted(object, from: from, to: to)
        }
        var result = Conversion.shown(Conversion.stored(object, from), to)
        result["apiVersion"] = Document(to.apiVersion)
        result["kind"] = Document(to.kind)
        return result
    }
}

/// What the plug-ins of one write tell each other when they ask to be run again.
///
/// Whoever changes the object after others have seen it may ask for a second round. There is no third.
final class Reinvocation: Sendable {
    private struct State {
        var isSecondRound = false
        var isWanted = false
        /// Those that have run and may run again.
        var eligible: Set<String> = []
        /// Those that the second round asks again.
        var due: Set<String> = []
        /// What each plug-in left the object as.
        var outputs: [String: Document] = [:]
    }

    private let state = Mutex(State())

    var isSecondRound: Bool { state.withLock { $0.isSecondRound } }
    var isWanted: Bool { state.withLock { $0.isWanted } }

    func beginSecondRound() { state.withLock { $0.isSecondRound = true } }

    /// Somebody changed the object: all that ran before and are willing are due again.
    func changed() {
        state.withLock { state in
            state.isWanted = true
            state.due.formUnion(state.eligible)
            state.eligible = []
        }
    }

    /// Notes that `name` has run and may run again.
    func ran(_ name: String) { state.withLock { _ = $0.eligible.insert(name) } }
    func isDue(_ name: String) -> Bool { state.withLock { $0.due.contains(name) } }

    /// Called when a plug-in begins its second round: if others changed the object since, all willing are due.
    func compare(_ plugin: String, _ object: Document) {
        let before = state.withLock { $0.isSecondRound ? $0.outputs[plugin] : .none }
        if let before, !before.means(object) { changed() }
    }

    func leave(_ plugin: String, _ object: Document) { state.withLock { $0.outputs[plugin] = object } }
}
