import Basics
import Client
import Document
import Kinds
import Synchronization
import Wire

/// As much of an API server as a node agent speaks to: collections, names, watches, status patches, tokens.
final class FakeAPI: Sendable {
    private struct State {
        var version = 1
        /// By path, such as `/api/v1/namespaces/shop/pods/web`.
        var objects: [String: Document] = [:]
        var history: [(version: Int, type: String, path: String, object: Document)] = []
        var requests: [String] = []
    }

    private let state = Mutex(State())
    private let change = Wakeup()

    var requests: [String] { state.withLock { $0.requests } }
    subscript(path: String) -> Document? { state.withLock { $0.objects[path] } }

    func events(_ reason: String) -> [Document] {
        state.withLock { state in
            state.objects.values.filter { $0.text("kind") == "Event" && $0.text("reason") == reason }
        }
    }

    @discardableResult
    func put(_ path: String, _ object: Document) -> Document {
        let stored = state.withLock { Self.store(path, object, in: &$0) }
        change.wake()
        return stored
    }

    func remove(_ path: String) {
        state.withLock { state in
            guard let object = state.objects.removeValue(forKey: path) else { return }
            state.version += 1
            state.history.append((state.version, "DELETED", path, object))
        }
        change.wake()
    }

    /// Returns once `condition` holds for the object at `path`.
    func wait(_ path: String, _ condition: @Sendable (Document?) -> Bool) async throws {
        while true {
            let ticket = change.ticket
            if condition(self[path]) { return }
            try await change.wait(since: ticket)
        }
    }

    func waitForEvent(_ reason: String) async throws {
        while true {
            let ticket = change.ticket
            if !events(reason).isEmpty { return }
            try await change.wait(since: ticket)
        }
    }

    private static func store(_ path: String, _ object: Document, in state: inout State) -> Document {
        state.version += 1
        var object = object
        object.set(Document(String(state.version)), at: "metadata", "resourceVersion")
        if object.text("metadata", "uid") == nil { object.set(Document("uid-\(state.version)"), at: "metadata", "uid") }
        let type = state.objects[path] == nil ? "ADDED" : "MODIFIED"
        state.objects[path] = object
        state.history.append((state.version, type, path, object))
        return object
    }

    var handler: Handler { { request in await self.handle(request) } }

    private func handle(_ request: Request) async -> Response {
        let parts = request.target.split(separator: "?", maxSplits: 1).map(String.init)
        let query = parts.count == 2 ? parts[1] : ""
        state.withLock { $0.requests.append("\(request.method) \(parts[0])") }
        let body = (try? Document(json: request.body)) ?? .emptyObject
        switch request.method {
        case "GET" where query.contains("watch=true"): return watch(parts[0], query)
        case "GET":
            if let object = self[parts[0]] { return Self.answer(200, object) }
            if Self.isCollection(parts[0]) { return list(parts[0], query) }
            return Self.notFound
        case "POST":
            if parts[0].hasSuffix("/token") {
                return Self.answer(
                    201, ["status": ["token": "a-token", "expirationTimestamp": "2030-01-01T00:00:00Z"]])
            }
            if let answer = Self.review(body) { return Self.answer(201, answer) }
            let path = "\(parts[0])/\(body.text("metadata", "name") ?? "")"
            if self[path] != nil {
                return Self.answer(409, APIStatus(code: 409, reason: "AlreadyExists", message: "there").document)
            }
            return Self.answer(201, put(path, body))
        case "PUT": return Self.answer(200, put(parts[0], body))
        case "PATCH": return patch(parts[0].hasSuffix("/status") ? String(parts[0].dropLast(7)) : parts[0], body)
        case "DELETE":
            guard let object = self[parts[0]] else { return Self.notFound }
            if let uid = body.text("preconditions", "uid"), uid != object.text("metadata", "uid") {
                return Self.answer(409, APIStatus(code: 409, reason: "Conflict", message: "uid").document)
            }
            remove(parts[0])
            return Self.answer(200, object)
        default: return Self.notFound
        }
    }

    /// The token `right` is prober's, who may read metrics and the list of pods; admins may do anything.
    private static func review(_ body: Document) -> Document? {
        var answer = body
        switch body.text("kind") {
        case "TokenReview":
            let isRight = body.text("spec", "token") == "right"
            answer["status"] =
                isRight
                ? ["authenticated": true, "user": ["username": "prober", "groups": ["probers"]]]
                : ["authenticated": false]
        case "SubjectAccessReview":
            let isAdmin = body.list("spec", "groups").contains("admins")
            let part = body.text("spec", "resourceAttributes", "subresource") ?? ""
            let reads = body.text("spec", "resourceAttributes", "verb") == "get" && ["metrics", "pods"].contains(part)
            let isAbout =
                body.text("spec", "resourceAttributes", "resource") == "nodes"
                && body.text("spec", "resourceAttributes", "name") == "n1"
            answer["status"] = ["allowed": Document(isAbout && (isAdmin || reads))]
        default: return nil
        }
        return answer
    }

    private static let notFound = answer(404, APIStatus(code: 404, reason: "NotFound", message: "not found").document)

    private static func answer(_ status: Int, _ document: Document) -> Response {
        Response(status: status, body: .bytes(document.json))
    }

    /// `/api/v1/pods`, `/api/v1/namespaces/NS/pods`, `/api/v1/namespaces/NS/pods/NAME`: told apart by their length.
    private static func isCollection(_ path: String) -> Bool {
        var parts = path.split(separator: "/").drop { $0 == "api" || $0 == "apis" }
        if path.hasPrefix("/apis") { parts = parts.dropFirst() }
        parts = parts.dropFirst()
        if parts.first == "namespaces", parts.count > 2 { parts = parts.dropFirst(2) }
        return parts.count == 1
    }

    private static func belongs(_ path: String, to collection: String, _ query: String, _ object: Document) -> Bool {
        let plural = collection.split(separator: "/").last ?? ""
        let parts = path.split(separator: "/")
        guard parts.count >= 2, parts[parts.count - 2] == plural else { return false }
        if collection.contains("/namespaces/"), !path.hasPrefix(collection + "/") { return false }
        if let range = query.firstRange(of: "metadata.name%3D") {
            return object.text("metadata", "name") == String(query[range.upperBound...].prefix { $0 != "&" })
        }
        return true
    }

    private func list(_ collection: String, _ query: String) -> Response {
        let (items, version) = state.withLock { state in
            (
                state.objects.filter { Self.belongs($0.key, to: collection, query, $0.value) }
                    .sorted { $0.key < $1.key }.map(\.value), state.version
            )
        }
        return Self.answer(
            200,
            ["kind": "List", "metadata": ["resourceVersion": Document(String(version))], "items": Document(items)])
    }

    private func watch(_ collection: String, _ query: String) -> Response {
        let from =
            query.split(separator: "&").first { $0.hasPrefix("resourceVersion=") }
            .flatMap { Int($0.dropFirst(16)) } ?? 0
        return Response(
            status: 200,
            body: .stream { writer in
                var seen = from
                while true {
                    let ticket = self.change.ticket
                    let new = self.state.withLock { state in
                        state.history.filter {
                            $0.version > seen && Self.belongs($0.path, to: collection, query, $0.object)
                        }
                    }
                    for event in new {
                        let document: Document = ["type": Document(event.type), "object": event.object]
                        try await writer.write(document.json + [10])
                        seen = event.version
                    }
                    if new.isEmpty { try await self.change.wait(since: ticket) }
                }
            })
    }

    private static func merged(_ old: [Document], _ patch: [Document]) -> Document {
        var result = old
        for condition in patch {
            let index = result.firstIndex { $0.text("type") == condition.text("type") }
            var merged = index.map { result[$0] } ?? .emptyObject
            for member in condition.members { merged[member.key] = member.value.isNull ? Document?.none : member.value }
            if let index { result[index] = merged } else { result.append(merged) }
        }
        return Document(result)
    }

    /// A strategic merge as far as pods and nodes need it: conditions by type, lists else replaced.
    private func patch(_ path: String, _ patch: Document) -> Response {
        let result = state.withLock { state -> Document? in
            guard var object = state.objects[path] else { return nil }
            if let uid = patch.text("metadata", "uid"), uid != object.text("metadata", "uid") { return nil }
            for member in patch.members where member.key != "metadata" {
                var part = object[member.key] ?? .emptyObject
                for field in member.value.members {
                    if field.key == "conditions" {
                        part["conditions"] = Self.merged(part.list("conditions"), field.value.elements)
                    } else {
                        part[field.key] = field.value.isNull ? Document?.none : field.value
                    }
                }
                object[member.key] = part
            }
            return Self.store(path, object, in: &state)
        }
        change.wake()
        return result.map { Self.answer(200, $0) } ?? Self.notFound
    }
}
