import Basics
import Document
import Kinds
import Schema

/// `POST serviceaccounts/NAME/token`
struct TokenRequests: Sendable {
    let resources: Resources
    let tokens: ServiceAccountTokens

    func create(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "CreateOptions")
        let subresource = call.resource.subresource("token")
        var request = try BodyDecoder(registry: resources.registry, call: call).object(
            kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", type: subresource?.type,
            validation: options.fieldValidation)
        try await resources.admitBody(
            &request, call, .create, .init(group: "authentication.k8s.io", version: "v1", kind: "TokenRequest"),
            dryRun: options.dryRun)
        guard let account = try await resources.document(call.resource, namespace: call.namespace, name: call.name)
        else { throw APIStatus.notFound(call.resource, call.name) }
        let named = request.text("metadata", "name") ?? ""
        guard named.isEmpty || named == call.name else {
            throw APIStatus.invalid(
                kind: "TokenRequest", group: "authentication.k8s.io", name: call.name,
                [.invalid("metadata.name", Document(named), "must match the service account name if specified")])
        }
        let placed = request.text("metadata", "namespace") ?? ""
        guard placed.isEmpty || placed == call.namespace else {
            throw APIStatus.badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
        let seconds = request.number("spec", "expirationSeconds") ?? 3_600
        var errors: [FieldError] = []
        if seconds < 600 {
            errors.append(
                .invalid(
                    "spec.expirationSeconds", Document(seconds), "may not specify a duration less than 10 minutes"))
        }
        if seconds > 1 << 32 {
            errors.append(
                .invalid(
                    "spec.expirationSeconds", Document(seconds), "may not specify a duration larger than 2^32 seconds"))
        }
        if !errors.isEmpty {
            throw APIStatus.invalid(kind: "TokenRequest", group: "authentication.k8s.io", name: "", errors)
        }
        let bindings = try await bindings(request, call)
        var audiences = request.list("spec", "audiences").compactMap(\.string)
        if audiences.isEmpty { audiences = tokens.apiAudiences }
        let now = resources.world.clock.now
        let token = try tokens.issue(
            namespace: call.namespace, serviceAccount: call.name, uid: account.text("metadata", "uid") ?? "",
            audiences: audiences, bindings: bindings, now: now, lifetime: .seconds(seconds),
            id: Identifier.uuid(from: resources.world.random))
        request["metadata"] = [
            "name": Document(call.name), "namespace": Document(call.namespace),
            "uid": account.at("metadata", "uid") ?? "", "creationTimestamp": Document(now.description),
        ]
        request.set(Document(audiences), at: "spec", "audiences")
        request.set(Document(seconds), at: "spec", "expirationSeconds")
        if request.at("spec", "boundObjectRef") == nil { request.set(.null, at: "spec", "boundObjectRef") }
        request["status"] = [
            "token": Document(token), "expirationTimestamp": Document((now + .seconds(seconds)).description),
        ]
        return .document(request, status: 201)
    }

    private func bindings(_ request: Document, _ call: Call) async throws -> [ServiceAccountTokens.Binding] {
        guard let reference = request.at("spec", "boundObjectRef"), reference.isObject else { return [] }
        let kind = reference.text("kind") ?? ""
        let version = reference.text("apiVersion") ?? ""
        let name = reference.text("name") ?? ""
        let plurals = ["Pod": "pods", "Secret": "secrets", "Node": "nodes"]
        guard version == "v1", let plural = plurals[kind] else {
            throw APIStatus.badRequest("cannot bind token to object of type /\(version), Kind=\(kind)")
        }
        let namespace = kind == "Node" ? "" : call.namespace
        guard let object = try await resources.object(plural, namespace: namespace, name: name) else {
            var status = APIStatus.failure(404, "NotFound", "\(plural) \"\(name)\" not found")
            status.name = name
            status.kind = plural
            throw status
        }
        let uid = object.text("metadata", "uid") ?? ""
        if let wanted = reference.text("uid"), !wanted.isEmpty, wanted != uid {
            var status = APIStatus.failure(
                409, "Conflict",
                "Operation cannot be fulfilled on \(plural) \"\(name)\": the UID in the bound object reference (\(wanted)) "
                    + "does not match the UID in record. The object might have been deleted and then recreated")
            status.name = name
            status.kind = plural
            throw status
        }
        var bindings = [ServiceAccountTokens.Binding(kind: kind, name: name, uid: uid)]
        if kind == "Pod" {
            let account = object.text("spec", "serviceAccountName") ?? ""
            guard account == call.name else {
                throw APIStatus.badRequest(
                    "cannot bind token for serviceaccount \"\(call.name)\" to pod running with different serviceaccount name."
                )
            }
            // The pod's node goes into the token too, so that its reader can tell where it comes from.
            if let node = object.text("spec", "nodeName"), !node.isEmpty,
                let found = try await resources.object("nodes", name: node)
            {
                bindings.append(.init(kind: "Node", name: node, uid: found.text("metadata", "uid") ?? ""))
            }
        }
        return bindings
    }
}
