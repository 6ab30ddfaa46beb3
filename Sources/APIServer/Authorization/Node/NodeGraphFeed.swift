import Kinds
import Schema
import Store

/// Keeps the index of the node authorizer in step with the store.
///
/// Nothing runs until a node asks for something that needs the index. Then the objects are read once, and each later
/// question takes in only what has happened since, from watches on the store: writes pay nothing for it, and no answer
/// is older than the writes that were acknowledged before the question.
actor NodeGraphFeed {
    private struct Source {
        let kind: NodeGraph.Kind
        let resource: ResourceInfo
        let watch: any Watch
    }

    private let store: any Store
    private let registry: Schema.Registry
    private var graph = NodeGraph()
    private var sources: [Source]?
    /// While one question brings the index up to date, the others wait for it; then each looks for itself.
    private var isBusy = false
    private var waiters: [CheckedContinuation<Void, Never>] = []

    init(store: any Store, registry: Schema.Registry) {
        self.store = store
        self.registry = registry
    }

    private static let kinds: [(NodeGraph.Kind, group: String, plural: String)] = [
        (.pod, "", "pods"), (.volume, "", "persistentvolumes"),
        (.attachment, "storage.k8s.io", "volumeattachments"), (.slice, "resource.k8s.io", "resourceslices"),
    ]

    /// What the node authorizer says, by the index as of now.
    func opinion(_ attributes: AccessAttributes, node: String, rules: [PolicyRule]) async throws
        -> NodeAuthorizer.Opinion
    {
        if NodeAuthorizer.needsGraph(attributes) { try await bringUpToDate() }
        return NodeAuthorizer(graph: graph, rules: rules).decide(attributes, node: node)
    }

    private func bringUpToDate() async throws {
        while isBusy { await withCheckedContinuation { waiters.append($0) } }
        isBusy = true
        defer {
            isBusy = false
            let waiting = waiters
            waiters = []
            for waiter in waiting { waiter.resume() }
        }
        if let sources {
            do {
                for source in sources { try await drain(source) }
                return
            } catch {
                // Too much happened since the last question, or a question was given up and took its watch along:
                // read everything anew.
                stop()
                try Task.checkCancellation()
            }
        }
        try await start()
    }

    private func stop() {
        for source in sources ?? [] { source.watch.cancel() }
        sources = nil
        graph = NodeGraph()
    }

    private func start() async throws {
        var opened: [Source] = []
        var fresh = NodeGraph()
        do {
            for (kind, group, plural) in Self.kinds {
                guard let resource = registry.resource(group: group, version: "v1", plural: plural) else { continue }
                let prefix = ObjectCodec.prefix(resource)
                let page = try await store.list(prefix: prefix, after: nil, limit: nil, at: nil)
                for record in page.records { try Self.take(record, kind, resource, into: &fresh) }
                let watch = try await store.watch(prefix: prefix, after: page.revision)
                opened.append(Source(kind: kind, resource: resource, watch: watch))
            }
        } catch {
            for source in opened { source.watch.cancel() }
            throw error
        }
        graph = fresh
        sources = opened
    }

    private func drain(_ source: Source) async throws {
        source.watch.requestProgress()
        for event in try await source.watch.next().events {
            if event.kind == .deleted {
                try Self.drop(event.record, source.kind, source.resource, from: &graph)
            } else {
                try Self.take(event.record, source.kind, source.resource, into: &graph)
            }
        }
    }

    private static func take(
        _ record: Record, _ kind: NodeGraph.Kind, _ resource: ResourceInfo, into graph: inout NodeGraph
    ) throws {
        let object = try ObjectCodec.document(record.value, resource)
        let name = object.text("metadata", "name") ?? ""
        switch kind {
        case .pod: graph.set(pod: object)
        case .volume: graph.set(volume: object)
        default: graph.set(kind, name: name, node: object.text("spec", "nodeName") ?? "")
        }
    }

    private static func drop(
        _ record: Record, _ kind: NodeGraph.Kind, _ resource: ResourceInfo, from graph: inout NodeGraph
    ) throws {
        let key = NodeGraph.key(kind, try ObjectCodec.document(record.value, resource))
        switch kind {
        case .pod: graph.remove(pod: key)
        case .volume: graph.remove(volume: key)
        default: graph.remove(key)
        }
    }
}
