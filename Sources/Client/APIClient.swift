import Document
import Kinds
import Wire

/// How a patch's body is to be read.
public enum PatchType: Sendable, Equatable {
    case merge
    case strategic
    case json
    case apply(fieldManager: String, force: Bool)

    var contentType: String {
        switch self {
        case .merge: "application/merge-patch+json"
        case .strategic: "application/strategic-merge-patch+json"
        case .json: "application/json-patch+json"
        // The body is JSON, which is YAML too.
        case .apply: "application/apply-patch+yaml"
        }
    }
}

/// The API's verbs over any transport. Every call throws the server's `APIStatus`, or the transport's error.
public struct APIClient: Sendable {
    private let transport: any Transport
    private let userAgent: String
    private let bearerToken: String?

    /// The longest answer that is read into memory.
    private static let answerLimit = 512 << 20

    public init(transport: any Transport, userAgent: String, bearerToken: String? = nil) {
        self.transport = transport
        self.userAgent = userAgent
        self.bearerToken = bearerToken
    }

    public func get(
        _ resource: ResourceType, namespace: String? = nil, name: String, subresource: String? = nil
    ) async throws -> Document {
        let path = try path(resource, namespace, name, subresource)
        return try await call("GET", path)
    }

    public func list(
        _ resource: ResourceType, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil, resourceVersion: String? = nil, limit: Int? = nil, continueToken: String? = nil
    ) async throws -> Document {
        let query = Self.query([
            ("labelSelector", labelSelector), ("fieldSelector", fieldSelector), ("resourceVersion", resourceVersion),
            ("limit", limit.map { String($0) }), ("continue", continueToken),
        ])
        return try await call("GET", resource.path(namespace: namespace) + query)
    }

    /// Creates `object` in `namespace`, or where its metadata says.
    public func create(
        _ resource: ResourceType, namespace: String? = nil, _ object: Document, name: String? = nil,
        subresource: String? = nil
    ) async throws -> Document {
        let namespace = namespace ?? object.text("metadata", "namespace")
        if resource.namespaced, (namespace ?? "").isEmpty { throw Self.missingNamespace }
        let path = resource.path(namespace: namespace, name: name, subresource: subresource)
        return try await call("POST", path, body: object)
    }

    public func update(
        _ resource: ResourceType, namespace: String? = nil, name: String, _ object: Document,
        subresource: String? = nil
    ) async throws -> Document {
        let path = try path(resource, namespace ?? object.text("metadata", "namespace"), name, subresource)
        return try await call("PUT", path, body: object)
    }

    public func patch(
        _ resource: ResourceType, namespace: String? = nil, name: String, _ patch: Document,
        type: PatchType = .merge, subresource: String? = nil
    ) async throws -> Document {
        var path = try path(resource, namespace, name, subresource)
        if case .apply(let manager, let force) = type {
            path += Self.query([("fieldManager", manager), ("force", force ? "true" : nil)])
        }
        return try await call("PATCH", path, body: patch, contentType: type.contentType)
    }

    /// Answers the object as it was left (terminating) or the server's `Status` (gone).
    public func delete(
        _ resource: ResourceType, namespace: String? = nil, name: String, options: Document? = nil
    ) async throws -> Document {
        try await call("DELETE", try path(resource, namespace, name, nil), body: options)
    }

    /// Deletes every object that the selectors match.
    public func deleteCollection(
        _ resource: ResourceType, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil, options: Document? = nil
    ) async throws -> Document {
        if resource.namespaced, (namespace ?? "").isEmpty { throw Self.missingNamespace }
        let query = Self.query([("labelSelector", labelSelector), ("fieldSelector", fieldSelector)])
        return try await call("DELETE", resource.path(namespace: namespace) + query, body: options)
    }

    /// Events after `resourceVersion`. The server ends the stream after `timeoutSeconds`, where given.
    public func watch(
        _ resource: ResourceType, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil, resourceVersion: String, timeoutSeconds: Int? = nil
    ) async throws -> WatchStream {
        let query = Self.query([
            ("watch", "true"), ("allowWatchBookmarks", "true"), ("labelSelector", labelSelector),
            ("fieldSelector", fieldSelector), ("resourceVersion", resourceVersion),
            ("timeoutSeconds", timeoutSeconds.map { String($0) }),
        ])
        let request = Request("GET", resource.path(namespace: namespace) + query)
        return WatchStream(try await successful(request))
    }

    /// Sends `request` with this client's identity and answers whatever comes, errors included.
    public func raw(_ request: Request) async throws -> any ResponseStream {
        try await transport.send(identified(request))
    }

    /// Sends a request that asks for another protocol.
    public func upgrade(_ request: Request) async throws -> Upgrade {
        guard let transport = transport as? any UpgradingTransport else {
            throw APIStatus(
                code: 501, reason: "NotImplemented", message: "this way to the server carries no protocol upgrades")
        }
        return try await transport.upgrade(identified(request))
    }

    private func identified(_ request: Request) -> Request {
        var request = request
        request.headers["User-Agent"] = request.headers["User-Agent"] ?? userAgent
        request.headers["Accept"] = request.headers["Accept"] ?? "application/json"
        if let bearerToken, request.headers["Authorization"] == nil {
            request.headers["Authorization"] = "Bearer \(bearerToken)"
        }
        return request
    }

    // MARK: -

    private static let missingNamespace = APIStatus(
        code: 400, reason: "BadRequest", message: "an empty namespace may not be set during creation")

    func path(
        _ resource: ResourceType, _ namespace: String?, _ name: String, _ subresource: String?
    ) throws -> String {
        func refuse(_ message: String) -> APIStatus { APIStatus(code: 400, reason: "BadRequest", message: message) }
        if name.isEmpty { throw refuse("resource name may not be empty") }
        if resource.namespaced, (namespace ?? "").isEmpty {
            throw refuse("an empty namespace may not be set when a resource name is provided")
        }
        return resource.path(namespace: namespace, name: name, subresource: subresource)
    }

    static func query(_ fields: [(String, String?)]) -> String {
        let parts = fields.compactMap { name, value in value.map { "\(name)=\(URLText.escape($0))" } }
        return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
    }

    private func call(
        _ method: String, _ target: String, body: Document? = nil, contentType: String = "application/json"
    ) async throws -> Document {
        var request = Request(method, target)
        if let body {
            request.body = body.json
            request.headers["Content-Type"] = contentType
        }
        let bytes = try await successful(request).collect(limit: Self.answerLimit)
        return try Document(json: bytes)
    }

    /// The answer's stream if the server agreed, else its `Status` thrown.
    private func successful(_ request: Request) async throws -> any ResponseStream {
        let stream = try await raw(request)
        if (200..<300).contains(stream.status) { return stream }
        throw try await Self.refusal(stream, "\(request.method) \(request.target)")
    }

    /// What an answer that is no success says.
    static func refusal(_ stream: any ResponseStream, _ what: String) async throws -> APIStatus {
        let bytes = try await stream.collect(limit: 1 << 20)
        if let document = try? Document(json: bytes), let status = APIStatus(document) { return status }
        return APIStatus(
            code: stream.status, reason: stream.status == 404 ? "NotFound" : "Unknown",
            message: "\(what): HTTP \(stream.status): " + String(decoding: bytes.prefix(500), as: UTF8.self))
    }
}
