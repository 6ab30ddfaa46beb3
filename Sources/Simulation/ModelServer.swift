import Basics
import Client
import Document
import Kinds
import Synchronization
import Wire

/// A small model of the API server: what controllers, scheduler and nodes rely on, and nothing else.
///
/// It stores any object of the resources it was given, numbers every write, checks resource versions, makes up
/// names, waits for finalizers and for nodes to end their pods, and streams events. It neither defaults nor
/// validates nor authorizes. Thousand-node runs use it because it is fast, and comparisons because it is simple.
public final class ModelServer: Sendable {
    struct Stored {
        var resource: ResourceType
        var object: Document
    }

    struct Event {
        var revision: Int
        var type: String
        var resource: ResourceType
        var object: Document
        /// For a change: what it was, so that a watch with a selector sees objects come into it and leave it.
        var previous: Document?
    }

    struct State {
        var revision = 1
        var objects: [String: Stored] = [:]
        /// Every event since the beginning; a simulation ends before this gets large.
        var events: [Event] = []
    }

    let resources: [ResourceType]
    let world: World
    let state = Mutex(State())
    let change = Wakeup()

    public init(resources: [ResourceType] = ModelServer.commonResources, world: World) {
        self.resources = resources
        self.world = world
    }

    public static let commonResources: [ResourceType] = [
        .pods, .nodes, .namespaces, .services, .configMaps, .secrets, .serviceAccounts, .events,
        .endpointSlices, .deployments, .replicaSets, .leases, .clusterRoles, .customResourceDefinitions,
        .apiServices, .resourceQuotas, .statefulSets, .replicationControllers, .jobs, .cronJobs,
        .podDisruptionBudgets, .horizontalPodAutoscalers, .endpoints, .certificateSigningRequests,
        .serviceCIDRs, .ipAddresses, .resourceClaims, .resourceClaimTemplates, .persistentVolumeClaims,
        .persistentVolumes, .storageClasses, .csiNodes, .csiDrivers, .csiStorageCapacities,
    ]

    public var handler: Handler {
        { request in
            do { return try self.answer(request) } catch let status as APIStatus {
                return Self.response(status.code, status.document)
            } catch {
                return Self.response(
                    500, APIStatus(code: 500, reason: "InternalError", message: "\(error)").document)
            }
        }
    }

    static func response(_ code: Int, _ document: Document) -> Response {
        Response(
            status: code, headers: Headers([("Content-Type", "application/json")]), body: .bytes(document.json))
    }

    private func answer(_ request: Request) throws -> Response {
        let target = try ModelTarget(request.target, among: resources)
        switch target {
        case .discovery(let document): return Self.response(200, document)
        case .collection(let resource, let namespace, let query):
            let filter = try ModelFilter(query)
            switch request.method {
            case "GET" where query["watch"] == "true":
                return watch(resource, namespace, filter, from: query["resourceVersion"])
            case "GET": return Self.response(200, list(resource, namespace, filter))
            case "POST": return Self.response(201, try create(resource, namespace, try Document(json: request.body)))
            case "DELETE": return Self.response(200, try deleteAll(resource, namespace, filter, request))
            default: break
            }
        case .object(let resource, let namespace, let name, let subresource):
            let key = "\(resource.path(namespace: namespace))/\(name)"
            switch (request.method, subresource) {
            case ("GET", _): return Self.response(200, try get(key, resource, name))
            case ("POST", "binding"): return Self.response(201, try bind(key, name, try Document(json: request.body)))
            case ("PUT", _):
                return Self.response(200, try replace(key, name, try Document(json: request.body), subresource))
            case ("PATCH", _): return Self.response(200, try patch(key, resource, name, request, subresource))
            case ("DELETE", nil):
                let options = request.body.isEmpty ? .emptyObject : try Document(json: request.body)
                return Self.response(200, try delete(key, resource, name, options))
            default: break
            }
        }
        throw APIStatus(code: 405, reason: "MethodNotAllowed", message: "\(request.method) \(request.target)")
    }

    // MARK: Reading

    func get(_ key: String, _ resource: ResourceType, _ name: String) throws -> Document {
        guard let stored = state.withLock({ $0.objects[key] }) else { throw Self.notFound(resource, name) }
        return stored.object
    }

    static func notFound(_ resource: ResourceType, _ name: String) -> APIStatus {
        APIStatus(code: 404, reason: "NotFound", message: "\(resource) \"\(name)\" not found")
    }

    private func list(_ resource: ResourceType, _ namespace: String?, _ filter: ModelFilter) -> Document {
        let prefix = resource.path(namespace: namespace) + "/"
        return state.withLock { state in
            let items = state.objects.filter { key, stored in
                stored.resource == resource && (namespace == nil || key.hasPrefix(prefix))
                    && filter.admits(stored.object)
            }
            return [
                "kind": Document(resource.kind + "List"), "apiVersion": Document(resource.apiVersion),
                "metadata": ["resourceVersion": Document(String(state.revision))],
                "items": Document(items.sorted { $0.key < $1.key }.map(\.value.object)),
            ]
        }
    }

    private func watch(_ resource: ResourceType, _ namespace: String?, _ filter: ModelFilter, from: String?) -> Response
    {
        let start = from.flatMap { Int($0) } ?? 0
        return Response(
            status: 200,
            body: .stream { writer in
                // Events are numbered from 2 on without gaps, so the revision tells the place.
                var next = max(0, start - 1)
                while true {
                    let ticket = self.change.ticket
                    let events = self.state.withLock { Array($0.events[min(next, $0.events.count)...]) }
                    next += events.count
                    for event in events where event.resource == resource {
                        guard namespace == nil || event.object.text("metadata", "namespace") == namespace,
                            let type = filter.type(of: event)
                        else { continue }
                        let line: Document = ["type": Document(type), "object": event.object]
                        try await writer.write(line.json + [10])
                    }
                    if events.isEmpty { try await self.change.wait(since: ticket) }
                }
            })
    }
}

/// What a request's path names.
enum ModelTarget {
    case discovery(Document)
    case collection(ResourceType, namespace: String?, query: [String: String])
    case object(ResourceType, namespace: String?, name: String, subresource: String?)

    init(_ target: String, among resources: [ResourceType]) throws {
        let halves = target.split(separator: "?", maxSplits: 1)
        var parts = (halves.first ?? "").split(separator: "/").map { Self.unescaped($0) }[...]
        var query: [String: String] = [:]
        for pair in halves.count > 1 ? halves[1].split(separator: "&") : [] {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[String(sides[0])] = sides.count > 1 ? Self.unescaped(sides[1]) : ""
        }
        if parts == ["apis"] {
            self = .discovery(Self.groups(resources))
            return
        }
        let isCore = parts.first == "api"
        guard parts.count >= (isCore ? 2 : 3) else { throw Self.unknown(target) }
        let group = isCore ? "" : parts[1]
        let version = parts[isCore ? 1 : 2]
        parts = parts.dropFirst(isCore ? 2 : 3)
        guard !parts.isEmpty else {
            self = .discovery(Self.resources(resources.filter { $0.group == group && $0.version == version }))
            return
        }
        var namespace: String?
        if parts.first == "namespaces", parts.count > 2, !["status", "finalize"].contains(parts.dropFirst(2).first) {
            namespace = parts.dropFirst().first
            parts = parts.dropFirst(2)
        }
        let plural = parts.removeFirst()
        guard
            let resource = resources.first(where: { $0.group == group && $0.version == version && $0.plural == plural })
        else { throw Self.unknown(target) }
        if let name = parts.popFirst() {
            self = .object(resource, namespace: namespace, name: name, subresource: parts.first)
        } else {
            self = .collection(resource, namespace: namespace, query: query)
        }
    }

    private static func unknown(_ target: String) -> APIStatus {
        APIStatus(
            code: 404, reason: "NotFound", message: "the server could not find the requested resource: \(target)")
    }

    private static func groups(_ resources: [ResourceType]) -> Document {
        let groups = Set(resources.map { $0.group }).filter { !$0.isEmpty }.sorted()
        let entries = groups.map { group -> Document in
            let version = resources.first { $0.group == group }?.version ?? "v1"
            let reference: Document = ["groupVersion": Document("\(group)/\(version)"), "version": Document(version)]
            return ["name": Document(group), "versions": [reference], "preferredVersion": reference]
        }
        return ["kind": "APIGroupList", "apiVersion": "v1", "groups": Document(entries)]
    }

    private static func resources(_ resources: [ResourceType]) -> Document {
        let verbs: Document = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        let entries = resources.map { resource -> Document in
            [
                "name": Document(resource.plural), "kind": Document(resource.kind),
                "namespaced": Document(resource.namespaced), "verbs": verbs,
            ]
        }
        return ["kind": "APIResourceList", "apiVersion": "v1", "resources": Document(entries)]
    }

    private static func unescaped(_ text: some StringProtocol) -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                out.append(value)
                bytes = bytes.dropFirst(2)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// The selectors of a list or watch.
struct ModelFilter: Sendable {
    private let labels: LabelSelector?
    private let fields: FieldSelector?

    init(_ query: [String: String]) throws {
        labels = try query["labelSelector"].map { try LabelSelector(parsing: $0) }
        fields = try query["fieldSelector"].map { try FieldSelector(parsing: $0) }
    }

    func admits(_ object: Document) -> Bool {
        if let labels, !labels.matches(object.map("metadata", "labels")) { return false }
        guard let fields else { return true }
        return fields.matches([
            "metadata.name": object.text("metadata", "name") ?? "",
            "metadata.namespace": object.text("metadata", "namespace") ?? "",
            "spec.nodeName": object.text("spec", "nodeName") ?? "",
            "status.phase": object.text("status", "phase") ?? "",
        ])
    }

    /// How the event looks through the selectors; nil where it does not show.
    func type(of event: ModelServer.Event) -> String? {
        let isIn = admits(event.object)
        guard let previous = event.previous else { return isIn ? event.type : nil }
        let wasIn = admits(previous)
        if event.type == "DELETED" { return wasIn ? "DELETED" : nil }
        switch (wasIn, isIn) {
        case (true, true): return "MODIFIED"
        case (false, true): return "ADDED"
        case (true, false): return "DELETED"
        case (false, false): return nil
        }
    }
}
