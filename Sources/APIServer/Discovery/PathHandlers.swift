import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization
import Wire

/// Paths that are no resources: discovery, OpenAPI, version, health, metrics.
final class PathHandlers: Sendable {
    private let serverAddress: String
    private let aggregator: Aggregator
    private let madeDiscovery = Mutex<(generations: [Int], discovery: Discovery)?>(nil)
    private let registry: Schema.Registry
    private let tokens: ServiceAccountTokens
    private let metrics: ServerMetrics
    private let fairness: Fairness
    private let store: any Store
    private let jwksURI: String
    private let version: Document
    private let isBootstrapped = Atomic(false)
    /// What the process uses; nil where nobody can tell.
    private let process: (@Sendable () -> ProcessStatistics?)?
    /// OpenAPI documents take a while to make and are asked for rarely: each is made at its first request.
    private let made = Mutex<[String: MadeDocument]>([:])

    private struct MadeDocument {
        var bytes: [UInt8]
        var hash: String
        /// Of the registry, where the document shows what was added to it.
        var generation: Int
    }

    init(
        serverAddress: String, registry: Schema.Registry, aggregator: Aggregator, tokens: ServiceAccountTokens,
        metrics: ServerMetrics, fairness: Fairness, store: any Store, jwksURI: String,
        version: Document, process: (@Sendable () -> ProcessStatistics?)?
    ) {
        self.version = version
        self.process = process
        self.serverAddress = serverAddress
        self.aggregator = aggregator
        self.registry = registry
        self.tokens = tokens
        self.metrics = metrics
        self.fairness = fairness
        self.store = store
        self.jwksURI = jwksURI
    }

    private static let fixedPaths = [
        "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/healthz/etcd", "/healthz/ping",
        "/livez", "/livez/etcd", "/livez/ping", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz",
        "/readyz/etcd", "/readyz/ping", "/version",
    ]

    func answer(_ request: Request, _ info: RequestInfo) async throws -> Response {
        var parts = info.path.split(separator: "/").map { Query.decoded($0) }
        guard ["GET", "HEAD"].contains(request.method) || parts.first == "healthz" else {
            throw APIStatus.methodNotAllowed
        }
        let root = parts.isEmpty ? "" : parts.removeFirst()
        switch root {
        case "": return simple(["paths": Document(allPaths)])
        case "api", "apis": return try discover(root, parts, request)
        case "version": return simple(version)
        case "healthz", "livez", "readyz": return await health(root, parts, info)
        case "metrics":
            return text(
                await exposition() + fairness.exposition(),
                type: "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
        case "debug" where parts.first == "api_priority_and_fairness" && parts.count == 2:
            guard let dump = fairness.dump(parts[1], info.query) else { throw APIStatus.noSuchPath }
            return text(dump)
        case "openapi":
            if parts.count == 4, parts[0] == "v3", parts[1] == "apis",
                let remote = aggregator.remote(group: parts[2], version: parts[3])
            {
                // The document is the other server's own, and the same for everybody.
                return try await AggregatedProxy(connector: aggregator.connector)
                    .forward(request, as: AggregatedProxy.aggregatorUser, to: remote)
            }
            return try openAPI(parts, request)
        case ".well-known" where parts == ["openid-configuration"]:
            return published(try tokens.discovery(jwksURI: jwksURI), type: "application/json")
        case "openid" where parts == ["v1", "jwks"]:
            let type = "application/jwk-set+json"
            guard MediaType.accepts(type, request.headers["Accept"]) else { throw APIStatus.notAcceptable([type]) }
            return published(try tokens.keySet(), type: type)
        default: throw APIStatus.noSuchPath
        }
    }

    /// Whether the group is declared: paths of other groups lead nowhere at all.
    func knows(group: String) -> Bool { registry.declaredGroupVersions.contains { $0.group == group } }

    private var discovery: Discovery {
        let remotes = aggregator.remotes
        let generations = [registry.generation, remotes.generation]
        if let made = madeDiscovery.withLock({ $0 }), made.generations == generations { return made.discovery }
        let discovery = Discovery(
            groupVersions: registry.groupVersions, resources: registry.resources, remotes: remotes.list,
            serverAddress: serverAddress)
        madeDiscovery.withLock { $0 = (generations, discovery) }
        return discovery
    }

    /// The server has too much to do; the client shall come back later.
    static func tooMany(retryAfter seconds: Int) -> Response {
        Response(
            status: 429,
            headers: Headers([
                ("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"),
                ("Retry-After", String(seconds)),
            ]), body: .bytes(Array("Too many requests, please try again later.\n".utf8)))
    }

    private var allPaths: [String] {
        let groups = registry.groupVersions.filter { !$0.group.isEmpty }
        let paths =
            Self.fixedPaths + groups.map { "/apis/\($0.group)" } + groups.map { "/apis/\($0.group)/\($0.version)" }
        return Set(paths).sorted()
    }

    private func json(_ document: Document, type: String, status: Int = 200) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", type)]), body: .bytes(document.json + [10]))
    }

    /// What checkers of tokens may keep for a while.
    private func published(_ document: Document, type: String) -> Response {
        var response = json(document, type: type)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response
    }

    private func text(
        _ text: String, status: Int = 200, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status,
            headers: Headers([("Content-Type", type), ("X-Content-Type-Options", "nosniff")]),
            body: .bytes(Array(text.utf8)))
    }

    /// What is for people first of all, and always indented JSON.
    private func simple(_ document: Document) -> Response {
        Response(
            status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(document.indentedJSON))
    }

    private func document(_ document: Document, _ request: Request) throws -> Response {
        let media = try MediaType.negotiate(request, protobuf: document["kind"] != nil)
        return Response(
            status: 200, headers: Headers([("Content-Type", media.contentType)]),
            body: .bytes(try Renderer.encode(document, media)))
    }

    private func exposition() async -> String {
        var text = metrics.exposition() + (await ServerMetrics.objects(in: store, of: registry.resources))
        if let statistics = process?() { text += ServerMetrics.process(statistics) }
        var all: [String: [(String, Bool)]] = [:]
        for root in ["healthz", "livez", "readyz"] { all[root] = await checks(root) }
        return text + ServerMetrics.health(all) + ServerMetrics.build(version)
    }

    // MARK: Discovery

    private func discover(_ root: String, _ parts: [String], _ request: Request) throws -> Response {
        if parts.isEmpty {
            if MediaType.wantsAggregatedDiscovery(request.headers["Accept"]) {
                let answer = discovery.aggregated(core: root == "api")
                return tagged(answer.json, type: Discovery.aggregatedType, request)
            }
            return try document(root == "api" ? discovery.coreVersions : discovery.groupList, request)
        }
        let found: Document?
        switch (root, parts.count) {
        case ("api", 1): found = discovery.resourceList(group: "", version: parts[0])
        case ("apis", 1): found = discovery.group(named: parts[0])
        case ("apis", 2): found = discovery.resourceList(group: parts[0], version: parts[1])
        default: found = nil
        }
        guard let found else {
            throw root == "apis" && !knows(group: parts.first ?? "") ? APIStatus.noSuchPath : .noSuchResource
        }
        return try document(found, request)
    }

    /// Big answers that rarely change carry a tag, and a client that has them hears only so.
    private func tagged(
        _ bytes: [UInt8], type: String, varies: String = "Accept", _ request: Request
    ) -> Response {
        let tag = "\"" + Hex.encode(Digest.sha256(bytes)).uppercased() + "\""
        var headers = Headers([("Content-Type", type), ("ETag", tag), ("Vary", varies), ("Cache-Control", "public")])
        guard request.headers["If-None-Match"] != tag else {
            headers["Content-Type"] = nil
            return Response(status: 304, headers: headers)
        }
        return Response(status: 200, headers: headers, body: .bytes(bytes))
    }

    // MARK: OpenAPI

    private func openAPI(_ parts: [String], _ request: Request) throws -> Response {
        switch parts {
        case ["v2"]:
            return try openAPIv2(request)
        case ["v3"]:
            var paths = Document.emptyObject
            for name in registry.openAPIIndexes {
                let hash = make(name, registry.generation) { registry.openAPIv3(index: name) }.hash
                paths[name] = ["serverRelativeURL": Document("/openapi/v3/\(name)?hash=\(hash)")]
            }
            for (path, group, version) in openAPIPaths {
                let hash = make(path, generation(of: group)) { registry.openAPIv3(group: group, version: version) }.hash
                paths[path] = ["serverRelativeURL": Document("/openapi/v3/\(path)?hash=\(hash)")]
            }
            for remote in aggregator.remotes.list where remote.finding.isAvailable {
                let path = "apis/\(remote.group)/\(remote.version)"
                let hash = Hex.encode(Digest.sha256(Document(remote.resources).json)).uppercased()
                paths[path] = ["serverRelativeURL": Document("/openapi/v3/\(path)?hash=\(hash)")]
            }
            // The index calls itself plain text, and clients have learned to live with it.
            return text(Document(members: [("paths", paths)]).jsonText + "\n")
        default:
            guard parts.first == "v3" else { throw APIStatus.noSuchResource }
            let wanted = parts.dropFirst().joined(separator: "/")
            if registry.openAPIIndexes.contains(wanted) {
                let entry = make(wanted, registry.generation) { registry.openAPIv3(index: wanted) }
                return tagged(entry.bytes, type: "application/json", varies: "Accept-Encoding", request)
            }
            guard let (path, group, version) = openAPIPaths.first(where: { $0.0 == wanted }) else {
                throw APIStatus.noSuchResource
            }
            let entry = make(path, generation(of: group)) { registry.openAPIv3(group: group, version: version) }
            return tagged(entry.bytes, type: "application/json", varies: "Accept-Encoding", request)
        }
    }

    /// As JSON or as protobuf, whichever the client names first.
    private func openAPIv2(_ request: Request) throws -> Response {
        let accept = request.headers["Accept"] ?? "*/*"
        // Both only grow: no two states have the same sum.
        let generation = registry.generation + aggregator.remotes.generation
        for clause in accept.split(separator: ",") {
            let name = clause.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
            if ["application/json", "*/*", "application/*"].contains(name) {
                let entry = make("v2", generation, openAPIv2Document)
                return tagged(entry.bytes, type: "application/json", varies: "Accept-Encoding", request)
            }
            if OpenAPIProtobuf.accepted.contains(name) {
                let entry = make(
                    "v2 as protobuf", generation, bytes: { OpenAPIProtobuf.encode($0) }, openAPIv2Document)
                return tagged(entry.bytes, type: OpenAPIProtobuf.contentType, varies: "Accept-Encoding", request)
            }
        }
        return Response(status: 406, headers: Headers())
    }

    /// What is served here and by the servers that extend this one.
    private func openAPIv2Document() -> Document {
        aggregator.remotes.list.reduce(registry.openAPIv2()) { document, remote in
            guard let other = remote.specification?.document else { return document }
            return OpenAPIMerge.add(other, group: remote.group, version: remote.version, to: document)
        }
    }

    private var openAPIPaths: [(String, String, String)] {
        registry.groupVersions.map { entry in
            (
                entry.group.isEmpty ? "api/\(entry.version)" : "apis/\(entry.group)/\(entry.version)", entry.group,
                entry.version
            )
        }
    }

    /// Documents of declared groups never change.
    private func generation(of group: String) -> Int { knows(group: group) ? 0 : registry.generation }

    private func make(
        _ name: String, _ generation: Int, bytes encode: (Document) -> [UInt8] = { $0.json },
        _ document: () -> Document
    ) -> MadeDocument {
        if let entry = made.withLock({ $0[name] }), entry.generation == generation { return entry }
        let bytes = encode(document())
        let entry = MadeDocument(
            bytes: bytes, hash: Hex.encode(Digest.sha256(bytes)).uppercased(), generation: generation)
        made.withLock { $0[name] = entry }
        return entry
    }

    // MARK: Health

    /// What the server does before it is ready, under the names that clients know.
    private static let hooks = [
        "poststarthook/start-system-namespaces-controller", "poststarthook/rbac/bootstrap-roles",
        "poststarthook/scheduling/bootstrap-system-priority-classes", "poststarthook/bootstrap-controller",
        "poststarthook/start-kubernetes-service-cidr-controller",
        "poststarthook/priority-and-fairness-config-producer",
    ]

    /// The objects that every cluster begins with are there.
    func noteBootstrapped() { isBootstrapped.store(true, ordering: .releasing) }

    private func checks(_ root: String) async -> [(String, Bool)] {
        let started = isBootstrapped.load(ordering: .acquiring)
        // The store answers from memory; that it answers at all is what can be checked from here.
        let store = await store.revision > 0
        var checks = [("ping", true), ("log", true), ("etcd", store)]
        if root == "readyz" { checks.append(("etcd-readiness", store)) }
        return checks + Self.hooks.map { ($0, started) }
    }

    private func health(_ root: String, _ parts: [String], _ info: RequestInfo) async -> Response {
        let checks = await checks(root)
        if !parts.isEmpty {
            let name = parts.joined(separator: "/")
            guard let check = checks.first(where: { $0.0 == name }) else { return Self.notFoundText }
            return check.1 ? text("ok") : text("internal server error: reason withheld\n", status: 500)
        }
        let asked = info.query.all("exclude")
        let excluded = Set(asked)
        var lines: [String] = []
        var failed: [String] = []
        for (name, isGood) in checks {
            if excluded.contains(name) {
                lines.append("[+]\(name) excluded: ok")
            } else if isGood {
                lines.append("[+]\(name) ok")
            } else {
                failed.append(name)
                lines.append("[-]\(name) failed: reason withheld")
            }
        }
        let known = Set(checks.map(\.0))
        let strange = asked.filter { !known.contains($0) }
        if !strange.isEmpty {
            let names = strange.map { "\"\($0)\"" }.joined(separator: ",")
            lines.append("warn: some health checks cannot be excluded: no matches for \(names)")
        }
        guard failed.isEmpty else {
            return text(lines.joined(separator: "\n") + "\n\(root) check failed\n", status: 500)
        }
        guard info.query["verbose"] != nil else { return text("ok") }
        return text(lines.joined(separator: "\n") + "\n\(root) check passed\n")
    }

    static let notFoundText = Response(
        status: 404,
        headers: Headers([("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]),
        body: .bytes(Array("404 page not found\n".utf8)))
}
