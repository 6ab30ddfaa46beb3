import Document
import Kinds
import Schema
import Store
import Wire

// Requests for custom resources: the same verbs as for declared ones, with the differences that clients can see.

extension APIServer {
    func customDispatch(
        _ request: Request, _ info: RequestInfo, _ user: UserInfo, _ resource: ResourceInfo, _ warnings: Warnings
    ) async throws -> Response {
        if info.hasEmptyPart || !info.rest.isEmpty { throw APIStatus.noSuchPath }
        if resource.namespaced ? info.namespace.isEmpty && !info.name.isEmpty : !info.namespace.isEmpty {
            throw APIStatus.noSuchPath
        }
        if request.body.count > Self.bodyLimit { throw APIStatus.tooLarge(limit: Self.bodyLimit) }
        let media = try MediaType.negotiate(request, protobuf: false)
        let call = Call(
            request: request, info: info, user: user, resource: resource, media: media, warnings: warnings)
        if let warning = resource.custom?.deprecationWarning { warnings.add(warning) }
        let view = custom.view(resources, of: resource)
        switch info.subresource {
        case "":
            if resource.isTerminating, info.verb == "create" {
                throw CustomResourceStore.isTerminating(resource)
            }
            return try rendered(try await object(call, view), call)
        case "status" where resource.hasStatus: return try rendered(try await status(call, view), call)
        case "scale" where resource.custom?.scale != nil:
            guard ["GET", "PUT", "PATCH"].contains(info.method) else { throw Self.unsupported(call) }
            return try rendered(try await view.scale(call), call)
        default: throw APIStatus.notFound(resource, info.name)
        }
    }

    private static func unsupported(_ call: Call) -> APIStatus {
        let text = "\(call.info.verb) is not supported on resources of kind \"\(call.resource.qualifiedName)\""
        var status = APIStatus.failure(405, "MethodNotAllowed", text)
        status.group = call.resource.group
        status.kind = call.resource.plural
        return status
    }

    private func object(_ call: Call, _ view: Resources) async throws -> Answer {
        switch (call.info.method, call.name.isEmpty) {
        case ("GET", _) where call.info.verb == "watch":
            return .response(try await WatchSession.open(call, view).response)
        case ("GET", false): return try await view.get(call)
        case ("GET", true): return try await view.list(call)
        case ("POST", true) where !call.resource.namespaced || !call.namespace.isEmpty:
            return try await view.create(call)
        case ("PUT", false): return try await view.update(call)
        case ("PATCH", false): return try await view.patch(call)
        case ("DELETE", false): return try await view.delete(call)
        case ("DELETE", true): return try await view.deleteCollection(call)
        default: throw Self.unsupported(call)
        }
    }

    private func status(_ call: Call, _ view: Resources) async throws -> Answer {
        switch call.info.method {
        case "GET": return try await view.get(call)
        case "PUT": return try await view.update(call)
        case "PATCH": return try await view.patch(call)
        default: throw Self.unsupported(call)
        }
    }

    /// Deletes every object of a definition as the server's own user; true once none is left.
    func removeObjects(of definition: Document) async throws -> Bool {
        let name = definition.text("metadata", "name") ?? ""
        guard let resource = custom.storageResource(of: name) else { return true }
        let view = custom.view(resources, of: resource)
        let page = try await view.store.list(
            prefix: ObjectCodec.prefix(resource), after: nil, limit: nil, at: nil)
        for record in page.records {
            let object = try ObjectCodec.document(record.value, resource)
            guard object.text("metadata", "deletionTimestamp") == nil else { continue }
            do {
                let call = try call("DELETE", object)
                _ = try await view.delete(call, name: call.name, DeleteOptions())
            } catch let status as APIStatus where status.isNotFound { continue }
        }
        let left = try await store.list(
            prefix: ObjectCodec.prefix(resource), after: nil, limit: 1, at: nil)
        return left.records.isEmpty
    }
}
