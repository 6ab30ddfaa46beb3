import APIServer
import Basics
import Client
import Document
import Kinds

/// Faults of the API for some of its clients. They are written in a ConfigMap, which the API server follows like any
/// other client would: so they survive its restart, are in every copy of the cluster, and whoever sees the cluster sees
/// them.
struct ClientFaultRules: Sendable {
    static let namespace = "kube-system"
    static let name = "lab-faults"
    static let kinds = ["api-slow", "api-error", "watch-drop", "watch-lag", "watch-stale"]

    /// Spared by the faults themselves.
    let client: APIClient

    // MARK: The server's side

    func follow(into faults: ClientFaults, _ world: World, _ log: Log) async throws {
        let informer = Informer(
            client, .configMaps, namespace: Self.namespace, fieldSelector: "metadata.name=\(Self.name)", world: world,
            log: log)
        await withThrowingTaskGroup { group in
            group.addTask { try await informer.run() }
            for await change in informer.changes() {
                let rules = Self.rules(in: change.new)
                faults.replace(rules)
                log.info("\(rules.count) faults for clients")
            }
            group.cancelAll()
        }
    }

    static func rules(in object: Document?) -> [ClientFaults.Rule] {
        (object?["data"]?.members ?? []).compactMap { member in
            guard let text = member.value.string, let document = try? Document(json: Array(text.utf8)) else {
                return nil
            }
            return ClientFaults.Rule(name: member.key, document)
        }
    }

    // MARK: The tool's side

    static func entry(_ request: FaultRequest, until: Timestamp?) throws(UsageError) -> Document {
        var entry: Document = ["kind": Document(request.kind)]
        guard ClientFaults.Rule.Clients(request.at) != nil else {
            throw UsageError(
                "'\(request.at ?? "")' names no client of the API", remedy: "write user/NAME or agent/BEGINNING")
        }
        if request.to != nil || request.isOneWay {
            throw UsageError("'\(request.kind)' has one side: the client", remedy: "leave out the other place")
        }
        if let at = request.at { entry["at"] = Document(at) }
        let wantsDelay = ["api-slow", "watch-lag"].contains(request.kind)
        guard wantsDelay == (request.delay != nil) else {
            throw UsageError(
                wantsDelay ? "the fault '\(request.kind)' needs a delay" : "'\(request.kind)' has no delay",
                remedy: wantsDelay ? "such as 200ms" : "leave it out")
        }
        if let delay = request.delay {
            guard delay > .zero, delay <= .seconds(60) else {
                throw UsageError("a delay of \(delay) is no delay, or for ever", remedy: "use up to 60s")
            }
            entry["delayMilliseconds"] = Document(delay.wholeMilliseconds)
        }
        if let percent = request.percent {
            guard request.kind == "api-error", (1...100).contains(percent) else {
                throw UsageError(
                    "\(percent) percent of '\(request.kind)' is nothing", remedy: "1 to 100, for api-error")
            }
            entry["percent"] = Document(percent)
        }
        if let until { entry["until"] = Document(until.rfc3339(fractionDigits: 3)) }
        return entry
    }

    func add(_ name: String, _ entry: Document) async throws {
        let change: Document = ["data": Document(members: [(name, Document(entry.jsonText))])]
        do {
            _ = try await client.patch(.configMaps, namespace: Self.namespace, name: Self.name, change)
        } catch let status as APIStatus where status.isNotFound {
            var object = change
            object["apiVersion"] = "v1"
            object["kind"] = "ConfigMap"
            object["metadata"] = ["name": Document(Self.name), "namespace": Document(Self.namespace)]
            _ = try await client.create(.configMaps, namespace: Self.namespace, object)
        }
    }

    /// Those in force; what is over is taken away on the way.
    func list(now: Timestamp) async throws -> [FaultEntry] {
        guard let object = try await read() else { return [] }
        var entries: [FaultEntry] = []
        for member in object["data"]?.members ?? [] {
            guard let text = member.value.string, let document = try? Document(json: Array(text.utf8)) else { continue }
            let until = document.text("until").flatMap { Timestamp(rfc3339: $0) }
            if let until, until <= now {
                _ = try await remove(member.key)
                continue
            }
            var kind = document.text("kind") ?? ""
            if let delay = document.number("delayMilliseconds") { kind += " \(delay)ms" }
            if let percent = document.number("percent") { kind += " \(percent)%" }
            entries.append(
                FaultEntry(name: member.key, kind: kind, at: document.text("at") ?? "(every client)", until: until))
        }
        return entries
    }

    private func read() async throws -> Document? {
        do { return try await client.get(.configMaps, namespace: Self.namespace, name: Self.name) } catch let status
            as APIStatus where status.isNotFound
        { return nil }
    }

    func remove(_ name: String) async throws -> Bool {
        guard let object = try await read(), object.at("data", name) != nil else { return false }
        guard object["data"]?.count ?? 0 > 1 else {
            _ = try await client.delete(.configMaps, namespace: Self.namespace, name: Self.name)
            return true
        }
        let change: Document = ["data": Document(members: [(name, Document.null)])]
        _ = try await client.patch(.configMaps, namespace: Self.namespace, name: Self.name, change)
        return true
    }
}
