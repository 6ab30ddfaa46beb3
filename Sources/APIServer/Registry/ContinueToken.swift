import Basics
import Document
import Kinds
import Store

/// Where the next page of a list begins, and at which revision: base64 of a JSON object, opaque to clients.
struct ContinueToken: Sendable, Equatable {
    private static let version = "meta.k8s.io/v1"
    /// Stands for the revision of a list that goes on with what there is now.
    static let newest: Revision = -1

    var revision: Revision
    /// The last name of the page before, behind the list's prefix.
    var name: String

    init(revision: Revision, name: String) {
        self.revision = revision
        self.name = name
    }

    init(_ token: String) throws(APIStatus) {
        func bad(_ why: String) -> APIStatus {
            .badRequest("invalid continue token: continue key is not valid: \(why)")
        }
        let bare = token.filter { $0 != "=" }
        guard let bytes = Base64.decode(bare, url: true), let document = try? Document(json: bytes) else {
            throw bad("invalid character '\\u0081' looking for beginning of value")
        }
        guard document.text("v") == Self.version else {
            throw bad("server does not recognize this encoded version \(document.text("v") ?? "")")
        }
        guard let revision = document.number("rv"), let start = document.text("start"), start.hasSuffix("\0") else {
            throw bad("incorrect encoded start resourceVersion or key")
        }
        guard revision != 0 else {
            throw bad("incorrect encoded start resourceVersion (version \(Self.version))")
        }
        self.revision = Revision(revision)
        name = String(start.dropLast())
    }

    var text: String {
        // The key with a zero byte behind it is the first key that can follow it.
        let document: Document = [
            "v": Document(Self.version), "rv": Document(Int(revision)), "start": Document(name + "\0"),
        ]
        return Base64.encode(document.json, url: true)
    }
}
