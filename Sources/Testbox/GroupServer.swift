import Basics
import Document
import Linux
import Synchronization
import Wire

/// The smallest API server that can extend another: one group version with the namespaced resource `flunders`, kept
/// in memory. It believes the server in front of it about who asks, and only that one. Pure: a request in, an answer
/// out.
struct FlunderGroup: Sendable {
    let group: String
    let version: String
    private(set) var objects: [String: Document] = [:]
    private var revision = 0

    init(group: String, version: String) {
        self.group = group
        self.version = version
    }

    private var apiVersion: Document { Document("\(group)/\(version)") }

    mutating func answer(_ request: Request) -> (status: Int, body: Document) {
        let path = request.target.split(separator: "?", omittingEmptySubsequences: false).first ?? ""
        let parts = path.split(separator: "/").map(String.init)
        if parts == ["openapi", "v2"] { return (200, specification) }
        guard parts.count >= 3, parts[0] == "apis", parts[1] == group, parts[2] == version else {
            return refused(404, "NotFound", "there is no \(path)")
        }
        if parts.count == 3 { return (200, list) }
        let rest = parts.dropFirst(3)
        let isPlaced = rest.count >= 3 && rest[3] == "namespaces" && rest[5] == "flunders"
        guard isPlaced || rest == ["flunders"], rest.count <= 4 else {
            return refused(404, "NotFound", "there is no \(path)")
        }
        let namespace = isPlaced ? rest[4] : ""
        let user = request.headers["X-Remote-User"] ?? ""
        guard let name = rest.count == 4 ? rest.last : nil else {
            return collection(request, namespace: namespace, user: user)
        }
        return single(request, key: "\(namespace)/\(name)", name: name)
    }

    private mutating func collection(
        _ request: Request, namespace: String, user: String
    ) -> (status: Int, body: Document) {
        let found = objects.keys.sorted().filter { namespace.isEmpty || $0.hasPrefix(namespace + "/") }
        switch request.method {
        case "GET":
            return (
                200,
                [
                    "kind": "FlunderList", "apiVersion": apiVersion,
                    "metadata": ["resourceVersion": Document("\(revision)")],
                    "items": Document(found.compactMap { objects[$0] }),
                ]
            )
        case "DELETE":
            for key in found { objects[key] = nil }
            return (200, ["kind": "Status", "apiVersion": "v1", "status": "Success"])
        case "POST":
            guard var object = try? Document(json: request.body), var metadata = object["metadata"],
                let name = metadata["name"]?.string, !namespace.isEmpty
            else { return refused(400, "BadRequest", "no object with a name in a namespace") }
            guard objects["\(namespace)/\(name)"] == nil else {
                return refused(409, "AlreadyExists", "flunders.\(group) \"\(name)\" already exists")
            }
            revision += 1
            metadata["namespace"] = Document(namespace)
            metadata["resourceVersion"] = Document("\(revision)")
            metadata["uid"] = Document("flunder-\(revision)")
            var annotations = metadata["annotations"] ?? .emptyObject
            annotations["created-by"] = Document(user)
            metadata["annotations"] = annotations
            object["metadata"] = metadata
            object["kind"] = "Flunder"
            object["apiVersion"] = apiVersion
            objects["\(namespace)/\(name)"] = object
            return (201, object)
        default: return refused(405, "MethodNotAllowed", "the server does not allow this method on the resource")
        }
    }

    private mutating func single(_ request: Request, key: String, name: String) -> (status: Int, body: Document) {
        guard let object = objects[key] else {
            return refused(404, "NotFound", "flunders.\(group) \"\(name)\" not found")
        }
        switch request.method {
        case "GET": return (200, object)
        case "DELETE":
            objects[key] = nil
            return (200, ["kind": "Status", "apiVersion": "v1", "status": "Success"])
        default: return refused(405, "MethodNotAllowed", "the server does not allow this method on the resource")
        }
    }

    func refused(_ code: Int, _ reason: String, _ message: String) -> (status: Int, body: Document) {
        (
            code,
            [
                "kind": "Status", "apiVersion": "v1", "metadata": .emptyObject, "status": "Failure",
                "message": Document(message), "reason": Document(reason), "code": Document(code),
            ]
        )
    }

    private var list: Document {
        [
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": apiVersion,
            "resources": [
                [
                    "name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder",
                    "verbs": ["create", "delete", "deletecollection", "get", "list"],
                ]
            ],
        ]
    }

    private var specification: Document {
        let name = "\(group).\(version).Flunder"
        return [
            "swagger": "2.0", "info": ["title": "flunders", "version": "v1"],
            "paths": [
                "/apis/\(group)/\(version)/namespaces/{namespace}/flunders/{name}": [
                    "get": [
                        "operationId": "readFlunder",
                        "responses": ["200": ["schema": ["$ref": Document("#/definitions/\(name)")]]],
                    ]
                ]
            ],
            "definitions": [
                name: [
                    "type": "object", "description": "Flunder is what an extension serves.",
                    "properties": ["spec": ["type": "object"]],
                    "x-kubernetes-group-version-kind": [
                        ["group": Document(group), "version": Document(version), "kind": "Flunder"]
                    ],
                ]
            ],
        ]
    }
}

extension Testbox {
    /// Serves a group to an aggregator. `authority` is the file of the authority that the aggregator's certificate
    /// must come from: whoever shows another one, or none, is refused.
    func serveGroup(_ port: UInt16, _ group: FlunderGroup, authority: String, names: [String]) async throws -> Int32 {
        let state = Mutex(group)
        return try await serveSecurely(port, names: names, clientAuthority: try Files.read(authority)) { request in
            let (status, body) = state.withLock { group in
                request.peer.certificate == nil
                    ? group.refused(401, "Unauthorized", "only the server in front may ask") : group.answer(request)
            }
            return .json(status, body.json)
        }
    }
}
