import Basics
import Document
import Kinds
import Schema
import Synchronization
import Wire

/// One request on its way through the server, once it is known who asks and what for.
struct Call: Sendable {
    let request: Request
    private(set) var info: RequestInfo
    let user: UserInfo
    let resource: ResourceInfo
    let media: MediaType
    let warnings: Warnings
    /// The server's own: what it makes and keeps by itself waits for nobody outside.
    var isInternal = false

    init(
        request: Request, info: RequestInfo, user: UserInfo, resource: ResourceInfo, media: MediaType,
        warnings: Warnings = Warnings()
    ) {
        self.request = request
        self.info = info
        self.user = user
        self.resource = resource
        self.media = media
        self.warnings = warnings
    }

    /// The same call, about an object of another namespace: for collections over all of them.
    mutating func place(namespace: String) { info.namespace = namespace }

    /// The same request, read as one about another object.
    func about(_ resource: ResourceInfo, name: String, subresource: String) -> Call {
        var info = info
        info.resource = resource.plural
        info.name = name
        info.subresource = subresource
        var call = Call(
            request: request, info: info, user: user, resource: resource, media: media, warnings: warnings)
        call.isInternal = isInternal
        return call
    }

    /// The query as it came.
    var rawQuery: String {
        request.target.split(separator: "?", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
    }

    /// What follows `…/proxy`, as it came and with its slash; empty where the path ends there.
    var rawRest: String {
        // /api/v1/nodes/NAME/proxy, or with namespaces/NAMESPACE before that, or in the old form with watch.
        var left = info.subresource == "proxy" ? (resource.namespaced ? 7 : 5) : 0
        guard left > 0 else { return "" }
        var index = info.path.startIndex
        while index < info.path.endIndex {
            if info.path[index] == "/" {
                if left == 0 { return String(info.path[index...]) }
                left -= 1
            }
            info.path.formIndex(after: &index)
        }
        return ""
    }

    var name: String { info.name }
    /// Empty for cluster-wide resources, where the path's namespace may be the object itself.
    var namespace: String { resource.namespaced ? info.namespace : "" }
    var subresource: String { info.subresource }

    /// Options of a write, from the query.
    func writeOptions(kind: String) throws(APIStatus) -> WriteOptions {
        var options = WriteOptions()
        var errors: [FieldError] = []
        checkFieldManager(kind, &options, &errors)
        let dryRun = info.query.all("dryRun")
        if !dryRun.isEmpty {
            if dryRun.contains(where: { $0 != "All" }) {
                errors.append(.notSupported("dryRun", Document(dryRun), ["All"]))
            }
            options.dryRun = true
        }
        let validation = info.query["fieldValidation"] ?? ""
        switch validation {
        case "", "Warn": options.fieldValidation = .warn
        case "Ignore": options.fieldValidation = .ignore
        case "Strict": options.fieldValidation = .strict
        default:
            errors.append(.notSupported("fieldValidation", Document(validation), ["", "Ignore", "Strict", "Warn"]))
        }
        if !errors.isEmpty { throw .invalid(kind: kind, group: "meta.k8s.io", name: "", errors) }
        return options
    }

    /// An applier must name itself; only an applier can insist.
    private func checkFieldManager(_ kind: String, _ options: inout WriteOptions, _ errors: inout [FieldError]) {
        let manager = info.query["fieldManager"] ?? ""
        let force = info.query["force"]
        if kind == "PatchOptions" {
            if !isApply, force != nil {
                errors.append(.forbidden("force", "may not be specified for non-apply patch"))
            }
            if isApply, manager.isEmpty { errors.append(.required("fieldManager", "is required for apply patch")) }
        }
        if manager.utf8.count > FieldManagerName.limit {
            errors.append(.tooLong("fieldManager", limit: FieldManagerName.limit))
        }
        if let error = FieldManagerName.unprintable(manager) { errors.append(error) }
        options.force = force.map { !["false", "0"].contains($0.lowercased()) } ?? false
    }

    var isApply: Bool {
        let type = request.headers["Content-Type"] ?? ""
        return info.method == "PATCH" && type.split(separator: ";").first == "application/apply-patch+yaml"
    }

    /// Under which name the caller owns the fields that it writes.
    var fieldManager: String {
        if let name = info.query["fieldManager"], !name.isEmpty { return name }
        return FieldManagerName.standard(userAgent: request.headers["User-Agent"] ?? "")
    }
}

/// The names under which writers own fields.
enum FieldManagerName {
    static let limit = 128

    /// The first part of what the client calls itself.
    static func standard(userAgent: String) -> String {
        var name = ""
        for scalar in userAgent.unicodeScalars {
            if scalar == "/" { break }
            guard isPrintable(scalar) else { continue }
            if name.utf8.count + UTF8.width(scalar) > limit { break }
            name.unicodeScalars.append(scalar)
        }
        return name.isEmpty ? "unknown" : name
    }

    static func unprintable(_ name: String) -> FieldError? {
        var position = 0
        for scalar in name.unicodeScalars {
            if !isPrintable(scalar) {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                let code = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
                return .invalid(
                    "fieldManager", Document(name), "invalid character \(code) (at position \(position))")
            }
            position += UTF8.width(scalar)
        }
        return nil
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}

struct WriteOptions: Sendable {
    enum FieldValidation: Sendable { case ignore, warn, strict }

    var dryRun = false
    /// An apply takes from others what it changes.
    var force = false
    var fieldValidation = FieldValidation.warn
}

/// What the client is told besides the answer, in `Warning` headers; each text once.
final class Warnings: Sendable {
    private let texts = Mutex<[String]>([])
    private static let limit = 256
    /// A server with many findings must not fill the head of its answer with them: beyond so many scalars altogether,
    /// each is cut, and those that still find no room are left out.
    private static let mostScalars = 4_096
    private static let mostScalarsWhereCut = 256

    func add(_ text: String) {
        texts.withLock { texts in
            if texts.count < Self.limit, !texts.contains(text) { texts.append(text) }
        }
    }

    var headers: [(String, String)] {
        let texts = texts.withLock { $0 }
        guard !texts.isEmpty else { return [] }
        let cuts = texts.reduce(0) { $0 + $1.unicodeScalars.count } > Self.mostScalars
        var headers: [(String, String)] = []
        var written = 0
        for text in texts {
            let scalars = cuts ? text.unicodeScalars.prefix(Self.mostScalarsWhereCut) : text.unicodeScalars[...]
            written += scalars.count
            if written > Self.mostScalars { break }
            headers.append(("Warning", "299 - \(Self.quoted(scalars))"))
        }
        return headers
    }

    /// Clients choose the names in these texts: by scalars, for a line end of two is one character, and whatever could
    /// end a header's line is a space.
    private static func quoted(_ scalars: Substring.UnicodeScalarView) -> String {
        var quoted = "\""
        for scalar in scalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.properties.generalCategory == .control: quoted += " "
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// What a call answers, before it is brought into the form that the client wants.
struct Answer: Sendable {
    enum Content: Sendable {
        /// An object as the store holds it.
        case object([UInt8])
        /// Objects as the store holds them, and the list's own metadata.
        case list([[UInt8]], metadata: Document)
        /// A whole document with its kind.
        case document(Document)
        case response(Response)
    }

    var status = 200
    var content: Content
    /// What `content` is of: the call's resource unless a subresource answers something else.
    var resource: ResourceInfo?

    static func object(_ bytes: [UInt8], status: Int = 200) -> Answer {
        Answer(status: status, content: .object(bytes))
    }
    static func document(_ document: Document, status: Int = 200) -> Answer {
        Answer(status: status, content: .document(document))
    }
    static func response(_ response: Response) -> Answer { Answer(content: .response(response)) }
}
