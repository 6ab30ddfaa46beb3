import Basics
import Document
import Kinds
import Schema
import Store
import Wire

/// A Kubernetes API server over a store.
///
/// A request passes, in this order: `Route` (what is it about?), `Authentication` (who asks?), `Fairness` (is it its
/// turn?), `Authorization` (may they?), `Registry` with `Admission` (complete, check, store) or `Watch`, and `Route` again for the answer's
/// form. The folders are named after these steps.
public final class APIServer: Sendable {
    let configuration: APIServerConfiguration
    let store: any Store
    let world: World
    let log: Log
    let resources: Resources
    let authenticator: Authenticator
    let tokens: ServiceAccountTokens
    let metrics: ServerMetrics
    let paths: PathHandlers
    let custom: CustomResources
    let aggregator: Aggregator
    private let looks: UsageLooks
    private let started: Timestamp

    public init(configuration: APIServerConfiguration, store: any Store, world: World, log: Log) throws {
        self.configuration = configuration
        self.store = store
        self.world = world
        self.log = log
        started = world.clock.now
        // One registry for all that is served: what is declared, and what definitions add while the server runs.
        let registry = Schema.Registry(
            extending: Kinds.registry, withholding: configuration.offersUsage ? [] : Kinds.optionalGroups)
        let resources = Resources(
            registry: registry, store: store, world: world,
            admission: Admission.plugins(
                .init(
                    configuration: configuration.admission,
                    caller: WebhookCaller(
                        client: WebhookClient(
                            world: world, nameServers: configuration.nameServers, store: store, registry: registry),
                        world: world))),
            allocations: ServiceAllocations(range: configuration.serviceCIDR, random: world.random),
            access: AccessControl(nodes: NodeGraphFeed(store: store, registry: registry)),
            fairness: Fairness(seats: configuration.concurrencyLimit, clock: world.clock, log: log))
        self.resources = resources
        let connector = ServiceConnector(
            resources: resources, nameServers: configuration.nameServers,
            clientCertificate: configuration.proxyClient.map { ($0.certificatePEM, $0.keyPEM) })
        let aggregator = Aggregator(
            registry: registry, store: store, world: world, log: log, connector: connector)
        self.aggregator = aggregator
        custom = CustomResources(
            registry: registry, store: store, world: world, log: log, connector: connector,
            served: { aggregator.registryChanged() })
        tokens = ServiceAccountTokens(
            issuer: configuration.serviceAccountIssuer, key: configuration.serviceAccountKey)
        authenticator = Authenticator(
            tokens: tokens, staticTokens: configuration.staticTokens, anonymousAllowed: configuration.anonymousAuth,
            bootstrapTokensAllowed: configuration.bootstrapTokenAuth, clock: world.clock,
            lookup: { plural, namespace, name in
                try await resources.object(plural, namespace: namespace, name: name)
            })
        metrics = ServerMetrics()
        looks = UsageLooks(clock: world.clock, log: log)
        paths = PathHandlers(
            serverAddress: Endpoint.ip(configuration.advertiseAddress, port: configuration.advertisePort)
                .description,
            registry: registry, aggregator: aggregator, tokens: tokens, metrics: metrics, fairness: resources.fairness,
            store: store,
            jwksURI:
                "https://\(Endpoint.ip(configuration.advertiseAddress, port: configuration.advertisePort))/openid/v1/jwks",
            version: KubernetesVersion.document(configuration.build), process: configuration.processStatistics)
    }

    /// What an object's text may take.
    static let bodyLimit = 3 << 20

    /// The server's whole behaviour, for an HTTPS server or a call in the same process.
    public var handler: Handler {
        { [self] request in
            let start = world.clock.uptime
            let info = RequestInfo(request)
            metrics.begin(request)
            let (response, warnings) = await serve(request, info)
            let counted = metrics.end(request, info, response, duration: world.clock.uptime - start)
            return finished(counted, warnings, request)
        }
    }

    private func finished(_ response: Response, _ warnings: [(String, String)], _ request: Request) -> Response {
        var response = Compression.applied(to: response, request)
        if response.status != 101 {
            response.headers["Audit-Id"] = Identifier.uuid(from: world.random)
            if response.headers["Cache-Control"] == nil { response.headers["Cache-Control"] = "no-cache, private" }
        }
        for (name, value) in warnings { response.headers.add(name, value) }
        return response
    }

    private func serve(_ request: Request, _ info: RequestInfo) async -> (Response, [(String, String)]) {
        let warnings = Warnings()
        var slot: Fairness.Slot?
        defer { if let slot { resources.fairness.finish(slot) } }
        do {
            let user = try await identify(request, info)
            let agent = request.headers["User-Agent"] ?? ""
            try await configuration.clientFaults?.disturb(user: user.name, agent: agent)
            switch await resources.fairness.admit(user, info, resources) {
            case .admitted(let given): slot = given
            case .unlimited: break
            case .refused(let seconds, let headers): return (PathHandlers.tooMany(retryAfter: seconds), headers)
            }
            try await require(info.attributes(for: user))
            let response: Response
            if let remote = aggregator.remote(forPath: info.path) {
                response = try await AggregatedProxy(connector: aggregator.connector)
                    .forward(request, as: user, to: remote)
                return (response, slot?.headers ?? [])
            }
            var answer =
                try await info.isResource
                ? dispatch(request, info, user, warnings) : paths.answer(request, info)
            if info.verb == "watch", let faults = configuration.clientFaults {
                answer = faults.watching(answer, user: user.name, agent: agent)
            }
            response = answer
            return (response, (slot?.headers ?? []) + warnings.headers)
        } catch {
            let status = APIStatus.from(error)
            if status.code == 500 { log.error("\(request.method) \(info.path): \(status.message)") }
            let media = try? MediaType.negotiate(request)
            return (Self.response(status, as: media ?? MediaType()), (slot?.headers ?? []) + warnings.headers)
        }
    }

    static func response(_ status: APIStatus, as media: MediaType = MediaType()) -> Response {
        if status.isPlainNotFound { return PathHandlers.notFoundText }
        // An error about an error would help nobody: what has no protobuf form goes out as JSON.
        let encoded = try? Renderer.encode(status.wireDocument, media)
        var headers = Headers([("Content-Type", encoded == nil ? MediaType().contentType : media.contentType)])
        if let seconds = status.retryAfterSeconds { headers["Retry-After"] = String(seconds) }
        return Response(
            status: status.code, headers: headers,
            body: .bytes(encoded ?? status.wireDocument.json + [10]))
    }

    /// Who asks, or whom they act as.
    private func identify(_ request: Request, _ info: RequestInfo) async throws -> UserInfo {
        var user = try await authenticator.authenticate(request)
        if let impersonation = try Impersonation(request.headers, by: user) {
            user = try await impersonation.user(for: info.attributes(for: user), require: require)
        }
        return user
    }

    private func require(_ attributes: AccessAttributes) async throws {
        let decision = try await resources.access.decide(attributes, resources)
        guard decision.allowed else { throw AccessControl.refusal(attributes, reason: decision.reason) }
    }

    // MARK: Dispatch

    private func dispatch(
        _ request: Request, _ info: RequestInfo, _ user: UserInfo, _ warnings: Warnings
    ) async throws -> Response {
        guard
            let resource = resources.registry.resource(
                group: info.group, version: info.version, plural: info.resource)
        else { throw paths.knows(group: info.group) ? APIStatus.noSuchResource : .noSuchPath }
        if resource.custom != nil { return try await customDispatch(request, info, user, resource, warnings) }
        guard info.method != "HEAD" || info.subresource == "proxy" else { throw APIStatus.methodNotAllowed }
        if info.hasEmptyPart { throw APIStatus.noSuchResource }
        // A cluster-wide resource has no place under a namespace.
        // nor an object of a namespace without one.
        if resource.namespaced, info.namespace.isEmpty, !info.name.isEmpty { throw APIStatus.noSuchResource }
        if !resource.namespaced, !info.namespace.isEmpty, resource.qualifiedName != "namespaces" {
            throw APIStatus.noSuchResource
        }
        if !info.subresource.isEmpty { try checkSubresource(info, resource) }
        let isProxied = ["proxy", "log", "exec", "attach", "portforward"].contains(info.subresource)
        let media =
            try isProxied
            ? MediaType()
            : MediaType.negotiate(request, protobuf: MessagePlan.of(resource.type.info) != nil)
        if !isProxied, request.body.count > Self.bodyLimit { throw APIStatus.tooLarge(limit: Self.bodyLimit) }
        if media.shape == .table, info.subresource == "status", Kinds.rules(for: resource).statusHasNoTable {
            throw APIStatus.notAcceptable
        }
        let call = Call(
            request: request, info: info, user: user, resource: resource, media: media, warnings: warnings)
        return try rendered(try await info.subresource.isEmpty ? main(call) : sub(call), call)
    }

    func rendered(_ answer: Answer, _ call: Call) throws -> Response {
        if case .response(let response) = answer.content { return response }
        let (media, resource, info) = (call.media, call.resource, call.info)
        if info.verb == "list", case .list(let items, _) = answer.content {
            resources.fairness.note(info, items: items)
        }
        let renderer = Renderer(
            media: media, resource: resource, now: world.clock.now,
            includeObject: info.query["includeObject"] ?? "Metadata")
        return Response(
            status: answer.status, headers: Headers([("Content-Type", media.contentType)]),
            body: try renderer.body(answer))
    }

    private func checkSubresource(_ info: RequestInfo, _ resource: ResourceInfo) throws(APIStatus) {
        guard let subresource = resource.subresource(info.subresource),
            info.rest.isEmpty || info.subresource == "proxy"
        else { throw .noSuchResource }
        let verb = info.subresource == "proxy" && info.verb == "list" ? "get" : info.verb
        // What else a far server understands is its own affair.
        let isForOthers = info.subresource == "proxy" && info.method == "OPTIONS"
        guard isForOthers || subresource.verbs.contains(verb) else { throw .methodNotAllowed }
    }

    /// Objects and collections of them.
    private func main(_ call: Call) async throws -> Answer {
        let resource = call.resource
        let isCollection = call.name.isEmpty
        if Reviews.kinds.contains(resource.kind) {
            guard call.info.verb == "create", isCollection else { throw APIStatus.methodNotAllowed }
            return try await Reviews(resources: resources, authenticator: authenticator).answer(call)
        }
        if resource.kind == "Binding" {
            guard call.info.verb == "create", isCollection else { throw APIStatus.methodNotAllowed }
            return try await resources.bind(call)
        }
        if resource.kind == "ComponentStatus" {
            call.warnings.add("v1 ComponentStatus is deprecated in v1.19+")
            return try await resources.componentStatuses(call)
        }
        if resource.group == ResourceUsage.group {
            let proxy = NodeProxy(resources: resources, transport: configuration.nodeTransport)
            return try await ResourceUsage(looks: looks, resources: resources, proxy: proxy).answer(call)
        }
        guard resource.verbs.contains(call.info.verb) else { throw APIStatus.methodNotAllowed }
        let isPlaced = ["POST": true, "PUT": false, "PATCH": false][call.info.method] ?? isCollection
        let isPatch = call.info.method == "PATCH"
        let isRead = isPatch ? (try? Resources.PatchKind(call.request.headers["Content-Type"])) != nil : true
        if resource.qualifiedName == "endpoints", isPlaced == isCollection, isRead {
            call.warnings.add("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        switch (call.info.method, isCollection) {
        case ("GET", false):
            if call.info.verb == "watch" { return .response(try await WatchSession.open(call, resources).response) }
            return try await resources.get(call)
        case ("GET", true):
            if call.info.verb == "watch" { return .response(try await WatchSession.open(call, resources).response) }
            return try await resources.list(call)
        case ("POST", true):
            guard !resource.namespaced || !call.namespace.isEmpty else { throw APIStatus.methodNotAllowed }
            return try await resources.create(call)
        case ("PUT", false): return try await resources.update(call)
        case ("PATCH", false): return try await resources.patch(call)
        case ("DELETE", false): return try await resources.delete(call)
        case ("DELETE", true): return try await resources.deleteCollection(call)
        default: throw APIStatus.methodNotAllowed
        }
    }

    /// WebSockets begin with GET, but what they lead to is no reading: who may only get must not get in.
    private func requireConnecting(_ call: Call) async throws {
        guard call.resource.qualifiedName == "pods", call.info.method == "GET",
            ["exec", "attach", "portforward"].contains(call.subresource)
        else { return }
        var attributes = call.info.attributes(for: call.user)
        attributes.verb = "create"
        try await require(attributes)
    }

    private func sub(_ call: Call) async throws -> Answer {
        try await requireConnecting(call)
        try await resources.admitConnection(call)
        let proxy = NodeProxy(resources: resources, transport: configuration.nodeTransport)
        switch (call.resource.qualifiedName, call.subresource) {
        case (_, "status"), ("namespaces", "finalize"), ("certificatesigningrequests.certificates.k8s.io", "approval"):
            switch call.info.method {
            case "GET": return try await resources.get(call)
            case "PUT": return try await resources.update(call)
            default: return try await resources.patch(call)
            }
        case (_, "scale"): return try await resources.scale(call)
        case ("pods", "binding"): return try await resources.bind(call)
        case ("pods", "eviction"): return try await resources.evict(call)
        case ("pods", "ephemeralcontainers"), ("pods", "resize"):
            return try await call.info.method == "GET" ? resources.get(call) : resources.writePodPart(call)
        case ("pods", "log"): return try await proxy.log(call)
        case ("pods", "exec"), ("pods", "attach"), ("pods", "portforward"): return try await proxy.connect(call)
        case ("pods", "proxy"): return try await ProxyForwarder(.pod(call, resources), call).forward(call)
        case ("services", "proxy"): return try await ProxyForwarder(.service(call, resources), call).forward(call)
        case ("nodes", "proxy"): return try await ProxyForwarder(.node(call, proxy), call).forward(call)
        case ("serviceaccounts", "token"):
            return try await TokenRequests(resources: resources, tokens: tokens).create(call)
        default:
            throw APIStatus.notImplemented(
                "\(call.resource.plural)/\(call.subresource) is not served by this server yet")
        }
    }
}
