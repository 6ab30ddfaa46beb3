import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization

// Where the configuration comes from, and what the server itself does to its objects.

extension Fairness {
    static let group = "flowcontrol.apiserver.k8s.io"

    /// Objects have changed: the next request reads them.
    func invalidate() {
        state.withLock { state in
            state.isStale = true
            state.generation += 1
        }
    }

    /// The configuration as of the last change.
    func current(_ resources: Resources) async -> Configuration {
        let (known, isStale, generation) = state.withLock { ($0.configuration, $0.isStale, $0.generation) }
        guard isStale else { return known }
        do {
            let levels = try await resources.objects("prioritylevelconfigurations", group: Self.group)
            let schemas = try await resources.objects("flowschemas", group: Self.group)
            return adopt(levels.compactMap(PriorityLevel.init), schemas.map(FlowSchema.init), generation: generation)
        } catch {
            // What was known is good enough to decide about order; the store's trouble shows where it matters.
            log.warning("priority and fairness: \(error)")
            return known
        }
    }

    /// Takes over a configuration that was read when the changes had this count.
    func adopt(_ levels: [PriorityLevel], _ given: [FlowSchema], generation: Int) -> Configuration {
        let names = Set(levels.map(\.name)).union(Kinds.mandatoryFlowObjects)
        // A schema whose level is missing takes no requests.
        var schemas = given.filter { names.contains($0.level) }
        for schema in FlowSchema.mandatory where !schemas.contains(where: { $0.name == schema.name }) {
            schemas.append(schema)
        }
        schemas.sort(by: FlowSchema.comesBefore)
        let uids = Dictionary(levels.map { ($0.name, $0.uid) }) { first, _ in first }
        let now = clock.uptime.inSeconds
        return state.withLock { state in
            let places = schemas.map { ($0, state.statistics.place(schema: $0.name, level: $0.level)) }
            let configuration = Configuration(schemas: places, levelUIDs: uids)
            state.configuration = configuration
            state.dispatcher.configure(levels, now: now)
            if state.generation == generation { state.isStale = false }
            return configuration
        }
    }
}

/// Keeps the objects of priority and fairness as a server does: those that every server has, and the conditions of
/// flow schemas.
struct FairnessKeeper: Sendable {
    let server: APIServer

    private static let automatic = "apf.kubernetes.io/autoupdate-spec"
    /// How often the objects are looked at although nothing seems to have changed.
    private static let interval = Duration.seconds(60)

    /// Makes what is missing and brings back what may not differ.
    ///
    /// Mandatory objects always have their own spec. Suggested ones follow the server's version as long as their
    /// annotation, or that nobody ever changed them, says so.
    func ensureObjects() async throws {
        for (plural, wanted) in [
            ("prioritylevelconfigurations", Kinds.bootstrapPriorityLevels), ("flowschemas", Kinds.bootstrapFlowSchemas),
        ] {
            let present = try await server.resources.objects(plural, group: Fairness.group)
            var byName: [String: Document] = [:]
            for object in present { byName[object.text("metadata", "name") ?? ""] = object }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for object in wanted {
                    let name = object.text("metadata", "name") ?? ""
                    let found = byName[name]
                    group.addTask {
                        guard let found else { return try await server.ensure(object) }
                        try await update(found, to: object, isMandatory: Kinds.mandatoryFlowObjects.contains(name))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    private func update(_ found: Document, to wanted: Document, isMandatory: Bool) async throws {
        let mark = found.at("metadata", "annotations", Self.automatic)?.string
        // Without the mark it is the generation that tells: the first is what a server made.
        let follows = isMandatory || mark.map { $0 == "true" } ?? (found.number("metadata", "generation") == 1)
        let value = follows ? "true" : "false"
        let spec = follows ? wanted["spec"] : found["spec"]
        guard mark != value || !(found["spec"] ?? .null).means(completed(spec, of: found)) else { return }
        try await server.replace(found) { old in
            var new = old
            new["spec"] = spec
            new.set(Document(value), at: "metadata", "annotations", Self.automatic)
            return new
        }
    }

    /// The spec with the defaults that a stored one has.
    private func completed(_ spec: Document?, of object: Document) -> Document {
        var copy = object
        copy["spec"] = spec
        guard
            let resource = server.resources.registry.resource(
                group: Fairness.group, version: "v1", kind: object.text("kind") ?? "")
        else { return spec ?? .null }
        Kinds.applyDefaults(to: &copy, resource: resource)
        return copy["spec"] ?? .null
    }

    /// Says in each flow schema's status whether its priority level exists.
    func noteDangling() async throws {
        let resources = server.resources
        let levels = Set(
            try await resources.objects("prioritylevelconfigurations", group: Fairness.group)
                .compactMap { PriorityLevel($0)?.name })
        for schema in try await resources.objects("flowschemas", group: Fairness.group) {
            let level = schema.text("spec", "priorityLevelConfiguration", "name") ?? ""
            let condition = Self.condition(level, exists: levels.contains(level))
            let present = schema.list("status", "conditions")
            let old = present.first { $0.text("type") == "Dangling" }
            let isSame = ["status", "reason", "message"].allSatisfy { old?.text($0) == condition.text($0) }
            if isSame { continue }
            var written = condition
            written["lastTransitionTime"] = Document(server.world.clock.now.description)
            let conditions = present.filter { $0.text("type") != "Dangling" } + [written]
            do {
                try await server.replace(schema, subresource: "status") { old in
                    var new = old
                    new.set(Document(conditions), at: "status", "conditions")
                    return new
                }
            } catch let status as APIStatus where status.isNotFound { continue }
        }
    }

    private static func condition(_ level: String, exists: Bool) -> Document {
        let start = "This FlowSchema references the PriorityLevelConfiguration object named \"\(level)\" "
        return [
            "type": "Dangling", "status": exists ? "False" : "True", "reason": exists ? "Found" : "NotFound",
            "message": Document(start + (exists ? "and it exists" : "but there is no such object")),
        ]
    }

    // MARK: Upkeep

    /// Follows the objects until cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.resources.fairness.keepTime() }
            group.addTask { try await follow("flowschemas") }
            group.addTask { try await follow("prioritylevelconfigurations") }
            group.addTask {
                while true {
                    try await attempt { try await ensureObjects() }
                    try await server.world.clock.sleep(for: Self.interval)
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Hears of every change, this server's and others', and sees to the conditions.
    private func follow(_ plural: String) async throws {
        guard
            let resource = server.resources.registry.resource(
                group: Fairness.group, version: "v1", plural: plural)
        else { return }
        while true {
            try await attempt {
                let watch = try await server.store.watch(
                    prefix: ObjectCodec.prefix(resource), after: await server.store.revision)
                defer { watch.cancel() }
                server.resources.fairness.invalidate()
                try await noteDangling()
                while true {
                    let (events, _) = try await watch.next()
                    if events.isEmpty { continue }
                    server.resources.fairness.invalidate()
                    try await noteDangling()
                }
            }
            // A watch that was cut off begins anew.
            try await server.world.clock.sleep(for: .seconds(1))
        }
    }

    private func attempt(_ work: () async throws -> Void) async throws {
        do { try await work() } catch let error as CancellationError { throw error } catch {
            try Task.checkCancellation()
            server.log.warning("priority and fairness: \(error)")
        }
    }
}

extension APIServer {
    /// Changes an object, or what one of its subresources writes, as the server's own user.
    func replace(
        _ object: Document, subresource: String = "", _ change: (Document) async throws -> Document
    ) async throws {
        let main = try call("PUT", object)
        let target =
            subresource.isEmpty ? main : main.about(main.resource, name: main.name, subresource: subresource)
        _ = try await resources.change(target, dryRun: false) { try await change($0.withoutRevision) }
    }
}
