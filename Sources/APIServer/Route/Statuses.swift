import Document
import Kinds
import Schema
import Store

// The failures of the API in the words of Kubernetes, whose clients match on reasons and show the messages.

extension ResourceInfo {
    /// `pods`, `deployments.apps`: how messages name a resource.
    var qualifiedName: String { group.isEmpty ? plural : "\(plural).\(group)" }
    /// `Pod`, `Deployment.apps`: how messages name a kind.
    var qualifiedKind: String { kindGroup.isEmpty ? kind : "\(kind).\(kindGroup)" }
    /// The group that messages about the kind name: events are the core group's in whatever group they are asked for.
    var kindGroup: String { group == "events.k8s.io" ? "" : group }
}

extension APIStatus {
    static func failure(_ code: Int, _ reason: String, _ message: String) -> APIStatus {
        APIStatus(code: code, reason: reason, message: message)
    }

    private func about(_ resource: ResourceInfo, _ name: String) -> APIStatus {
        var status = self
        status.name = name
        status.group = resource.group
        status.kind = resource.plural
        return status
    }

    static func notFound(_ resource: ResourceInfo, _ name: String) -> APIStatus {
        failure(404, "NotFound", "\(resource.qualifiedName) \"\(name)\" not found").about(resource, name)
    }

    static func alreadyExists(_ resource: ResourceInfo, _ name: String) -> APIStatus {
        failure(409, "AlreadyExists", "\(resource.qualifiedName) \"\(name)\" already exists").about(resource, name)
    }

    static func conflict(_ resource: ResourceInfo, _ name: String, _ why: String) -> APIStatus {
        failure(409, "Conflict", "Operation cannot be fulfilled on \(resource.qualifiedName) \"\(name)\": \(why)")
            .about(resource, name)
    }

    static func modified(_ resource: ResourceInfo, _ name: String) -> APIStatus {
        conflict(
            resource, name,
            "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// A precondition of a delete that does not hold; upstream names the kind here, not the resource.
    static func precondition(_ resource: ResourceInfo, _ name: String, _ why: String) -> APIStatus {
        var status = failure(
            409, "Conflict", "Operation cannot be fulfilled on \(resource.qualifiedKind) \"\(name)\": \(why)")
        status.name = name
        status.group = resource.kindGroup
        status.kind = resource.kind
        return status
    }

    static func forbidden(_ resource: ResourceInfo, _ name: String, _ why: String) -> APIStatus {
        let subject = name.isEmpty ? resource.qualifiedName : "\(resource.qualifiedName) \"\(name)\""
        return failure(403, "Forbidden", "\(subject) is forbidden: \(why)").about(resource, name)
    }

    static func badRequest(_ message: String) -> APIStatus { failure(400, "BadRequest", message) }

    static func invalid(kind: String, group: String, name: String, _ errors: [FieldError]) -> APIStatus {
        var texts: [String] = []
        for error in errors where !texts.contains(error.text) { texts.append(error.text) }
        let list = texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
        let subject = group.isEmpty ? kind : "\(kind).\(group)"
        var status = failure(422, "Invalid", "\(subject) \"\(name)\" is invalid: \(list)")
        status.name = name
        status.group = group
        status.kind = kind
        status.causes = errors.map { StatusCause(reason: $0.reason, message: $0.message, field: $0.path) }
        return status
    }

    static func invalid(_ resource: ResourceInfo, _ name: String, _ errors: [FieldError]) -> APIStatus {
        invalid(kind: resource.kind, group: resource.kindGroup, name: name, errors)
    }

    static var noSuchResource: APIStatus {
        failure(404, "NotFound", "the server could not find the requested resource")
    }
    /// A path outside of all API groups: answered as plain text.
    static var noSuchPath: APIStatus { failure(404, "", "404 page not found") }
    var isPlainNotFound: Bool { code == 404 && reason.isEmpty }

    static var methodNotAllowed: APIStatus {
        failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }
    static var notAcceptable: APIStatus { notAcceptable(MediaType.known) }
    static func notAcceptable(_ types: [String]) -> APIStatus {
        failure(
            406, "NotAcceptable",
            "406: Not Acceptable\n\nAvailable representations: " + types.joined(separator: ", "))
    }
    static func unknownBody() -> APIStatus {
        failure(
            415, "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
                + MediaType.known.joined(separator: ", "))
    }
    static func tooLarge(limit: Int) -> APIStatus {
        failure(413, "RequestEntityTooLarge", "Request entity too large: limit is \(limit)")
    }
    static func expired(_ message: String) -> APIStatus { failure(410, "Expired", message) }

    static func internalError(_ text: String) -> APIStatus {
        var status = failure(500, "InternalError", "Internal error occurred: \(text)")
        status.causes = [StatusCause(reason: "", message: text, field: "")]
        return status
    }

    static func notImplemented(_ text: String) -> APIStatus { failure(501, "NotImplemented", text) }

    /// What an error of any origin is to a client.
    static func from(_ error: any Error, _ resource: ResourceInfo? = nil, _ name: String = "") -> APIStatus {
        if let status = error as? APIStatus { return status }
        guard let error = error as? StoreError else { return internalError("\(error)") }
        switch error {
        case .exists: return resource.map { alreadyExists($0, name) } ?? internalError("\(error)")
        case .notFound: return resource.map { notFound($0, name) } ?? internalError("\(error)")
        case .conflict: return resource.map { modified($0, name) } ?? internalError("\(error)")
        case .compacted(let oldest): return tooOld(nil, oldest: oldest)
        case .future(let current): return tooLarge(current: current, asked: nil)
        case .overrun: return expired("the watcher fell too far behind")
        case .failed(let text): return internalError(text)
        }
    }

    /// The second number is the oldest that a watch can still begin after.
    static func tooOld(_ asked: Revision?, oldest: Revision) -> APIStatus {
        expired("too old resource version: " + (asked.map { "\($0) " } ?? "") + "(\(oldest))")
    }

    static func tooLarge(current: Revision, asked: Revision?) -> APIStatus {
        let text = "Too large resource version" + (asked.map { ": \($0), current: \(current)" } ?? "")
        var status = failure(504, "Timeout", "Timeout: \(text)")
        status.causes = [
            StatusCause(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")
        ]
        status.retryAfterSeconds = 1
        return status
    }

    /// The document as it goes to the wire. Failures that concern no object in particular carry empty details.
    var wireDocument: Document {
        var result = document
        if reason.isEmpty { result["reason"] = .none }
        let isGeneric =
            ["MethodNotAllowed", "NotAcceptable"].contains(reason) || message.hasPrefix("415:")
            || (reason == "Invalid" && kind.isEmpty) || (reason == "Forbidden" && kind.isEmpty)
        if result["details"] == nil, isGeneric || (code == 404 && name.isEmpty) {
            // What a webhook said goes on as it said it.
            let isOthers = message.hasPrefix("admission webhook ")
            if !message.hasPrefix("you requested"), !message.hasPrefix("only the following"), !isOthers {
                result["details"] = .emptyObject
            }
        }
        return result
    }
}
