import Basics
import Document
import Kinds
import Schema

/// A write in the form in which a webhook is asked about it.
struct WebhookRequest: Sendable {
    /// Nil where something is deleted.
    let object: Document?
    let old: Document?
    let context: AdmissionContext
    /// The resource as which the webhook wants to see it.
    let resource: ResourceInfo

    init(object: Document?, context: AdmissionContext, resource: ResourceInfo, resources: Resources) async throws {
        self.context = context
        self.resource = resource
        let isWhole = context.operation != .connect && context.kind.kind == context.resource.kind
        func seen(_ object: Document?) async throws -> Document? {
            guard let object, object.isObject, isWhole else { return object }
            return try await Equivalents.converted(object, from: context.resource, to: resource, resources)
        }
        self.object = context.operation == .delete ? .none : try await seen(object)
        old = try await seen(context.old)
    }

    private static func kind(_ kind: AdmissionContext.KindName) -> Document {
        ["group": Document(kind.group), "version": Document(kind.version), "kind": Document(kind.kind)]
    }

    private static func name(_ resource: ResourceInfo) -> Document {
        [
            "group": Document(resource.group), "version": Document(resource.version),
            "resource": Document(resource.plural),
        ]
    }

    /// The kind of the object as the webhook sees it.
    var kind: AdmissionContext.KindName {
        guard context.kind.kind == context.resource.kind else { return context.kind }
        return .init(group: resource.group, version: resource.version, kind: resource.kind)
    }

    /// `AdmissionReview.request`.
    func document(uid: String) -> Document {
        var request: Document = ["uid": Document(uid), "kind": Self.kind(kind), "resource": Self.name(resource)]
        if !context.subresource.isEmpty { request["subResource"] = Document(context.subresource) }
        request["requestKind"] = Self.kind(context.kind)
        request["requestResource"] = Self.name(context.resource)
        if !context.subresource.isEmpty { request["requestSubResource"] = Document(context.subresource) }
        if !context.name.isEmpty { request["name"] = Document(context.name) }
        let isNamespace = context.resource.qualifiedName == "namespaces"
        let namespace = isNamespace ? context.name : context.namespace
        if !namespace.isEmpty { request["namespace"] = Document(namespace) }
        request["operation"] = Document(context.operation.rawValue)
        request["userInfo"] = context.user.document
        request["object"] = .some(object ?? .null)
        request["oldObject"] = .some(old ?? .null)
        request["dryRun"] = Document(context.dryRun)
        request["options"] = .some(context.options())
        return request
    }

    func review(uid: String, version: String) -> Document {
        [
            "kind": "AdmissionReview", "apiVersion": Document("admission.k8s.io/" + version),
            "request": document(uid: uid),
        ]
    }
}

/// What a webhook said.
struct WebhookVerdict: Sendable {
    var isAllowed = false
    var status: Document?
    var patch: Document?
    var warnings: [String] = []

    /// What is wrong with an answer.
    struct Malformed: Error, Equatable, CustomStringConvertible { let description: String }

    init(_ review: Document, uid: String, version: String, mutating: Bool) throws(Malformed) {
        guard let response = review["response"], response.isObject else {
            throw Malformed(description: "webhook response was absent")
        }
        isAllowed = response.flag("allowed") ?? false
        status = response["status"]
        warnings = response.list("warnings").compactMap(\.string)
        let patchText = response.text("patch") ?? ""
        if version == "v1" {
            try Self.check(review, response, uid: uid, mutating: mutating, hasPatch: !patchText.isEmpty)
        } else if !mutating {
            return
        }
        guard mutating, isAllowed, !patchText.isEmpty else { return }
        guard let bytes = Base64.decode(patchText), let patch = try? Document(json: bytes), patch.isArray else {
            throw Malformed(description: "the patch of the response is no JSON patch")
        }
        self.patch = patch
    }

    private static func check(
        _ review: Document, _ response: Document, uid: String, mutating: Bool, hasPatch: Bool
    ) throws(Malformed) {
        let given = response.text("uid") ?? ""
        guard given == uid else {
            throw Malformed(description: "expected response.uid=\"\(uid)\", got \"\(given)\"")
        }
        let (version, kind) = (review.text("apiVersion") ?? "", review.text("kind") ?? "")
        guard version == "admission.k8s.io/v1", kind == "AdmissionReview" else {
            let shown = version.contains("/") ? version : "/" + version
            throw Malformed(
                description: "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got \(shown), "
                    + "Kind=\(kind)")
        }
        let type = response["patchType"]?.string
        guard mutating else {
            if hasPatch { throw Malformed(description: "validating webhook may not return response.patch") }
            if type != nil { throw Malformed(description: "validating webhook may not return response.patchType") }
            return
        }
        if hasPatch, type == nil {
            throw Malformed(description: "webhook returned response.patch but not response.patchType")
        }
        if !hasPatch, type != nil {
            throw Malformed(description: "webhook returned response.patchType but not response.patch")
        }
        if let type, type != "JSONPatch" {
            throw Malformed(description: "webhook returned invalid response.patchType of \"\(type)\"")
        }
    }

    /// The refusal as the client hears it.
    func refusal(_ webhook: String) -> APIStatus {
        let given = status ?? .emptyObject
        let code = given.number("code") ?? 0
        let deniedBy = "admission webhook \"\(webhook)\" denied the request"
        let (message, reason) = (given.text("message") ?? "", given.text("reason") ?? "")
        let text =
            !message.isEmpty
            ? "\(deniedBy): \(message)" : !reason.isEmpty ? "\(deniedBy): \(reason)" : "\(deniedBy) without explanation"
        var wrapped = given
        wrapped["kind"] = "Status"
        wrapped["status"] = "Failure"
        var result = APIStatus(wrapped) ?? APIStatus(code: code, reason: reason, message: text)
        result.message = text
        // A refusal is never a success, whatever the webhook says.
        result.code = max(code, 400)
        return result
    }
}
