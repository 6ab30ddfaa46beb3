import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization
import Wire

/// Knows which group versions other servers answer for, and whether they can.
///
/// It follows the stored APIServices, keeps one for each group version of this server's own, and asks the others
/// again and again whether they are there. What it learns that way is also what discovery shows of them.
final class Aggregator: Sendable {
    /// A group version that another server answers for.
    struct Remote: Sendable {
        var group: String
        var version: String
        var spec: Document
        var finding: Availability.Finding
        /// The server's own list of its resources, as far as it ever gave one.
        var resources: [Document]
        var specification: Specification?

        var groupPriority: Int { spec.number("groupPriorityMinimum") ?? 0 }
        var versionPriority: Int { spec.number("versionPriority") ?? 0 }
    }

    /// What a server last said in its OpenAPI 2 document, and the tag by which it tells whether that is still so.
    final class Specification: Sendable {
        let document: Document
        let tag: String?
        let time: Duration

        init(document: Document, tag: String?, time: Duration) {
            self.document = document
            self.tag = tag
            self.time = time
        }
    }

    private let registry: Schema.Registry
    private let store: any Store
    private let world: World
    private let log: Log
    let connector: ServiceConnector
    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    private struct State {
        var services: [String: Document] = [:]
        var remotes: [String: Remote] = [:]
        /// Grows with every change of what discovery shows.
        var generation = 0
    }

    private static let probeInterval = Duration.seconds(10)
    private static let probeTimeout = Duration.seconds(5)
    private static let listLimit = 8 << 20
    private static let specificationLimit = 32 << 20
    /// How long an OpenAPI document is taken as it was.
    private static let specificationAge = Duration.seconds(60)
    /// Registrations under way at once: enough that the store commits them together.
    private static let registrations = 16

    init(registry: Schema.Registry, store: any Store, world: World, log: Log, connector: ServiceConnector) {
        self.registry = registry
        self.store = store
        self.world = world
        self.log = log
        self.connector = connector
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: For requests

    /// The server for a path, where it is another one.
    func remote(forPath path: String) -> Remote? {
        guard path.hasPrefix("/apis/"), state.withLock({ !$0.remotes.isEmpty }) else { return nil }
        let parts = path.split(separator: "/", maxSplits: 3)
        guard parts.count >= 3 else { return nil }
        return remote(group: String(parts[1]), version: String(parts[2]))
    }

    func remote(group: String, version: String) -> Remote? {
        state.withLock { $0.remotes[LocalServices.name(group: group, version: version)] }
    }

    /// All group versions of other servers, with a number that changes when they do.
    var remotes: (generation: Int, list: [Remote]) {
        state.withLock { state in
            guard !state.remotes.isEmpty else { return (state.generation, []) }
            return (state.generation, state.remotes.values.sorted { ($0.group, $0.version) < ($1.group, $1.version) })
        }
    }

    // MARK: Following

    /// Does an APIService's writes as the server itself.
    struct Writer: Sendable {
        var create: @Sendable (Document) async throws -> Void
        var setStatus: @Sendable (_ name: String, _ change: @Sendable (Document) -> Document) async throws -> Void
        var delete: @Sendable (_ name: String) async throws -> Void
    }

    func run(_ writer: Writer) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.follow() }
            group.addTask { try await self.keep(writer) }
            group.addTask { try await self.tick() }
            try await group.waitForAll()
        }
    }

    /// Resources came or went: their group versions may need other services.
    func registryChanged() { changed.yield() }

    private func resource() throws -> ResourceInfo {
        guard
            let resource = registry.resource(
                group: "apiregistration.k8s.io", version: "v1", plural: "apiservices")
        else { throw APIStatus.internalError("API services are not declared") }
        return resource
    }

    func load() async throws -> Revision {
        let resource = try resource()
        let page = try await store.list(prefix: ObjectCodec.prefix(resource), after: nil, limit: nil, at: nil)
        var services: [String: Document] = [:]
        for record in page.records {
            let service = try ObjectCodec.document(record.value, resource)
            services[service.text("metadata", "name") ?? ""] = service
        }
        take(services)
        return page.revision
    }

    private func take(_ services: [String: Document]) {
        state.withLock { state in
            state.services = services
            var remotes: [String: Remote] = [:]
            for (name, service) in services {
                guard let spec = service["spec"], spec["service"]?.isObject == true else { continue }
                let condition = service.list("status", "conditions").first { $0.text("type") == "Available" }
                let finding = Availability.Finding(
                    isAvailable: condition?.text("status") == "True", reason: condition?.text("reason") ?? "",
                    message: condition?.text("message") ?? "")
                remotes[name] = Remote(
                    group: spec.text("group") ?? "", version: spec.text("version") ?? "", spec: spec,
                    finding: finding, resources: state.remotes[name]?.resources ?? [],
                    specification: state.remotes[name]?.specification)
            }
            let isSame =
                remotes.count == state.remotes.count
                && remotes.allSatisfy { name, remote in
                    state.remotes[name].map { $0.finding == remote.finding && $0.spec.means(remote.spec) } ?? false
                }
            if !isSame { state.generation += 1 }
            state.remotes = remotes
        }
        changed.yield()
    }

    private func follow() async throws {
        while true {
            do {
                let revision = try await load()
                let resource = try resource()
                let watch = try await store.watch(prefix: ObjectCodec.prefix(resource), after: revision)
                defer { watch.cancel() }
                while true {
                    let batch = try await watch.next()
                    guard !batch.events.isEmpty else { continue }
                    var services = state.withLock { $0.services }
                    for event in batch.events {
                        let service = try ObjectCodec.document(event.record.value, resource)
                        let name = service.text("metadata", "name") ?? ""
                        services[name] = event.kind == .deleted ? .none : .some(service)
                    }
                    take(services)
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                log.warning("API services: \(error)")
                try await world.clock.sleep(for: .seconds(1))
            }
        }
    }

    private func tick() async throws {
        while true {
            try await world.clock.sleep(for: Self.probeInterval)
            if state.withLock({ !$0.remotes.isEmpty }) { changed.yield() }
        }
    }

    // MARK: Keeping

    private func keep(_ writer: Writer) async throws {
        var isFirst = true
        for await _ in changes {
            try Task.checkCancellation()
            do {
                try await register(writer, declared: isFirst)
                isFirst = false
                try await settle(writer)
            } catch let error as CancellationError {
                throw error
            } catch {
                log.warning("API services: \(error)")
                try await world.clock.sleep(for: .seconds(1))
                changed.yield()
            }
        }
        try Task.checkCancellation()
    }

    /// One service for each group version of our own. Those of declared groups are made at the start only: who
    /// deletes one later means it.
    private func register(_ writer: Writer, declared: Bool) async throws {
        let known = state.withLock { $0.services }
        var wanted: [Document] = []
        if declared {
            wanted += registry.declaredGroupVersions.filter { $0.group != "apiregistration.k8s.io" }.map {
                LocalServices.service(group: $0.group, version: $0.version, isDeclared: true)
            }
        }
        let added = registry.addedGroupVersions
        wanted += added.map { LocalServices.service(group: $0.group, version: $0.version, isDeclared: false) }
        let missing = wanted.filter { known[$0.text("metadata", "name") ?? ""] == nil }
        try await forEach(missing) { service in
            do { try await writer.create(service) } catch let status as APIStatus where status.isAlreadyExists {
                return
            }
        }
        let served = Set(added.map { LocalServices.name(group: $0.group, version: $0.version) })
        let stale = known.filter { name, service in
            service.text("metadata", "labels", LocalServices.label) == "true" && !served.contains(name)
        }
        try await forEach(stale.keys.sorted()) { name in
            do { try await writer.delete(name) } catch let status as APIStatus where status.isNotFound { return }
        }
    }

    /// Brings every service's condition up to date.
    private func settle(_ writer: Writer) async throws {
        let services = state.withLock { $0.services }
        // A dictionary has no order of its own that would be the same again.
        try await forEach(services.sorted { $0.key < $1.key }) { name, service in
            let finding: Availability.Finding
            if service.at("spec", "service")?.isObject == true {
                finding = try await self.probe(name, service)
            } else {
                finding = LocalServices.available
            }
            let current = service.list("status", "conditions").first { $0.text("type") == "Available" }
            if current?.text("status") == (finding.isAvailable ? "True" : "False"),
                current?.text("reason") == finding.reason, current?.text("message") == finding.message
            {
                return
            }
            let now = self.world.clock.now
            do {
                try await writer.setStatus(name) { old in
                    var new = old
                    new.set(
                        Availability.condition(finding, of: old, now: now), at: "status", "conditions")
                    return new
                }
            } catch let status as APIStatus where status.isNotFound { return }
        }
    }

    private func forEach<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, element) in elements.enumerated() {
                if index >= Self.registrations { try await group.next() }
                group.addTask { try await body(element) }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Asking

    private func probe(_ name: String, _ service: Document) async throws -> Availability.Finding {
        let spec = service["spec"] ?? .emptyObject
        let reference = spec["service"] ?? .emptyObject
        let (object, slices) = try await connector.serviceParts(
            namespace: reference.text("namespace") ?? "", name: reference.text("name") ?? "")
        if let obstacle = Availability.obstacle(reference, service: object, slices: slices) { return obstacle }
        let path = "/apis/\(spec.text("group") ?? "")/\(spec.text("version") ?? "")"
        do {
            let target = try await connector.target(spec: spec, timeout: Self.probeTimeout)
            let url = "https://\(target.endpoint)\(path)"
            let answer: Document
            do {
                let stream = try await connector.transport(target).send(
                    Request("GET", path, headers: AggregatedProxy.identity(AggregatedProxy.aggregatorUser)))
                let bytes = try await stream.collect(limit: Self.listLimit)
                guard (200..<300).contains(stream.status) else {
                    return Availability.failed(
                        "FailedDiscoveryCheck",
                        "failing or missing response from \(url): bad status from \(url): \(stream.status)")
                }
                answer = (try? Document(json: bytes)) ?? .null
            } catch let error as CancellationError {
                throw error
            } catch {
                return Availability.failed(
                    "FailedDiscoveryCheck", "failing or missing response from \(url): Get \"\(url)\": \(error)")
            }
            let isNew = note(name, answer.list("resources"))
            try await lookUpSpecification(name, target, isNew: isNew)
            return Availability.passed
        } catch let error as CancellationError {
            throw error
        } catch {
            return Availability.failed("FailedDiscoveryCheck", "failing or missing response: \(error)")
        }
    }

    /// True where the resources are others than before.
    private func note(_ name: String, _ resources: [Document]) -> Bool {
        state.withLock { state in
            guard let known = state.remotes[name]?.resources, !Document(known).means(Document(resources)) else {
                return false
            }
            state.remotes[name]?.resources = resources
            state.generation += 1
            return true
        }
    }

    /// Fetches the server's OpenAPI 2 document where it may be another one now. A server without one is as good as
    /// others: what it serves is not described, and nothing else follows from it.
    private func lookUpSpecification(_ name: String, _ target: ServiceConnector.Target, isNew: Bool) async throws {
        let known = state.withLock { $0.remotes[name]?.specification }
        let now = world.clock.uptime
        if let known, !isNew, now < known.time + Self.specificationAge { return }
        var headers = AggregatedProxy.identity(AggregatedProxy.aggregatorUser)
        headers.add("Accept", "application/json")
        if let tag = known?.tag { headers.add("If-None-Match", tag) }
        var document = known?.document ?? .emptyObject
        var tag = known?.tag
        do {
            let stream = try await connector.transport(target).send(Request("GET", "/openapi/v2", headers: headers))
            let bytes = try await stream.collect(limit: Self.specificationLimit)
            if stream.status == 200, let fresh = try? Document(json: bytes), fresh.isObject {
                document = fresh
                tag = stream.headers["ETag"]
            }
        } catch let error as CancellationError {
            throw error
        } catch { log.info("no OpenAPI document of \(name): \(error)") }
        let isChanged = known.map { !$0.document.means(document) } ?? (document.count > 0)
        let fresh = Specification(document: document, tag: tag, time: now)
        state.withLock { state in
            state.remotes[name]?.specification = fresh
            if isChanged { state.generation += 1 }
        }
    }
}
