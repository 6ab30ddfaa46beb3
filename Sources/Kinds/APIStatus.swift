import Document

/// One field that is wrong, or one fact about the object that is.
public struct StatusCause: Sendable, Equatable {
    public var reason: String
    public var message: String
    public var field: String

    public init(reason: String, message: String, field: String) {
        self.reason = reason
        self.message = message
        self.field = field
    }
}

/// A failed API call. The API path throws it, and it goes to the wire unchanged as `metav1.Status`.
public struct APIStatus: Error, Sendable, Equatable {
    public var code: Int
    public var reason: String
    public var message: String
    /// `details.name`, `.group`, `.kind` and `.uid`; empty ones are left out.
    public var name = ""
    public var group = ""
    public var kind = ""
    public var uid = ""
    public var causes: [StatusCause] = []
    public var retryAfterSeconds: Int?
    /// Where a list goes on that cannot go on as it began.
    public var `continue` = ""

    public init(code: Int, reason: String, message: String) {
        self.code = code
        self.reason = reason
        self.message = message
    }

    public var isNotFound: Bool { reason == "NotFound" }
    public var isConflict: Bool { reason == "Conflict" }
    public var isAlreadyExists: Bool { reason == "AlreadyExists" }
    /// The watch or continue token is too old; list again.
    public var isExpired: Bool { code == 410 }
}

extension APIStatus: CustomStringConvertible {
    public var description: String { message }

    public var document: Document {
        var details = Document.emptyObject
        if !name.isEmpty { details["name"] = Document(name) }
        if !group.isEmpty { details["group"] = Document(group) }
        if !kind.isEmpty { details["kind"] = Document(kind) }
        if !uid.isEmpty { details["uid"] = Document(uid) }
        if !causes.isEmpty {
            details["causes"] = Document(
                causes.map { cause in
                    var entry = Document.emptyObject
                    if !cause.reason.isEmpty { entry["reason"] = Document(cause.reason) }
                    if !cause.message.isEmpty { entry["message"] = Document(cause.message) }
                    if !cause.field.isEmpty { entry["field"] = Document(cause.field) }
                    return entry
                })
        }
        if let retryAfterSeconds { details["retryAfterSeconds"] = Document(retryAfterSeconds) }
        var status: Document = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": Document(message), "reason": Document(reason),
        ]
        if !`continue`.isEmpty { status["metadata"] = ["continue": Document(`continue`)] }
        if details.count > 0 { status["details"] = details }
        status["code"] = Document(code)
        return status
    }

    /// Reads a `Status` that a server sent; nil when the document is none.
    public init?(_ document: Document) {
        guard document.text("kind") == "Status", document.text("status") != "Success" else { return nil }
        self.init(
            code: document.number("code") ?? 500, reason: document.text("reason") ?? "",
            message: document.text("message") ?? "")
        name = document.text("details", "name") ?? ""
        group = document.text("details", "group") ?? ""
        kind = document.text("details", "kind") ?? ""
        uid = document.text("details", "uid") ?? ""
        causes = document.list("details", "causes").map {
            StatusCause(
                reason: $0.text("reason") ?? "", message: $0.text("message") ?? "", field: $0.text("field") ?? "")
        }
        retryAfterSeconds = document.number("details", "retryAfterSeconds")
    }
}
