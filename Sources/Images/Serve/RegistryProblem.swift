import Document
import Wire

/// A registry's refusal, as the distribution specification words it.
struct RegistryProblem: Error, Equatable, Sendable {
    var status: Int
    var code: String
    var message: String

    static let notFound = RegistryProblem(status: 404, code: "NOT_FOUND", message: "there is nothing at this address")
    static func nameInvalid(_ name: String) -> Self { .init(400, "NAME_INVALID", "'\(name)' is no repository") }
    static func nameUnknown(_ name: String) -> Self { .init(404, "NAME_UNKNOWN", "there is no repository '\(name)'") }
    static func digestInvalid(_ text: String) -> Self { .init(400, "DIGEST_INVALID", text) }
    static func manifestInvalid(_ why: String) -> Self { .init(400, "MANIFEST_INVALID", why) }
    static func manifestUnknown(_ name: String) -> Self { .init(404, "MANIFEST_UNKNOWN", "manifest unknown: \(name)") }
    static func manifestBlobUnknown(_ digest: Digest) -> Self {
        .init(404, "MANIFEST_BLOB_UNKNOWN", "the manifest names \(digest), which is not here")
    }
    static func blobUnknown(_ digest: Digest) -> Self { .init(404, "BLOB_UNKNOWN", "blob unknown: \(digest)") }
    static func uploadUnknown(_ id: String) -> Self { .init(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown: \(id)") }
    static func uploadInvalid(_ why: String) -> Self { .init(400, "BLOB_UPLOAD_INVALID", why) }
    static func rangeInvalid(_ size: Int64) -> Self {
        .init(416, "BLOB_UPLOAD_INVALID", "the upload goes on at byte \(size)")
    }
    static func paginationInvalid(_ text: String) -> Self {
        .init(400, "PAGINATION_NUMBER_INVALID", "'\(text)' is no number of names")
    }
    static let unsupported = RegistryProblem(405, "UNSUPPORTED", "this registry does not do that")
    static func failed(_ error: any Error) -> Self { .init(500, "UNKNOWN", "\(error)") }

    private init(_ status: Int, _ code: String, _ message: String) {
        self.init(status: status, code: code, message: message)
    }

    init(status: Int, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    var response: Response {
        let body: Document = ["errors": [["code": Document(code), "message": Document(message)]]]
        return Response(
            status: status, headers: Headers([("Content-Type", "application/json")]), body: .bytes(body.json))
    }
}
