/// What a request to a registry is about, read off its path and query: pure.
///
///     /v2/                                        is this a registry
///     /v2/_catalog?n=&last=                       the repositories
///     /v2/NAME/tags/list?n=&last=                 a repository's tags
///     /v2/NAME/manifests/TAG|DIGEST
///     /v2/NAME/blobs/DIGEST
///     /v2/NAME/blobs/uploads/?digest=&mount=&from=
///     /v2/NAME/blobs/uploads/ID?digest=
///     /v2/NAME/referrers/DIGEST
enum RegistryRoute: Equatable, Sendable {
    enum Manifest: Equatable, Sendable {
        case tag(String)
        case digest(Digest)
    }

    struct Page: Equatable, Sendable {
        static let most = 1_000

        var count = Self.most
        /// Names after this one are wanted.
        var last = ""
    }

    case base
    case catalog(Page)
    case tags(String, Page)
    case manifest(String, Manifest)
    case blob(String, Digest)
    /// `digest`: the request's body is the whole blob. `mount`: a blob that is there already.
    case uploads(String, digest: Digest?, mount: Digest?)
    case upload(String, id: String, digest: Digest?)
    case referrers(String, Digest)

    init(_ target: String) throws(RegistryProblem) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = Self.query(halves.count == 2 ? halves[1] : "")
        let parts = try Self.decode(halves[0]).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, parts[0].isEmpty, parts[1] == "v2" else { throw .notFound }
        var words = parts.dropFirst(2)
        // `blobs/uploads/` is written with and without its last slash.
        if words.last == "" { words.removeLast() }
        if words.isEmpty {
            self = .base
        } else if Array(words) == ["_catalog"] {
            self = .catalog(try Self.page(query))
        } else {
            self = try Self.inRepository(Array(words), query)
        }
    }

    private static func inRepository(_ words: [String], _ query: [String: String]) throws(RegistryProblem) -> Self {
        func name(_ rest: Int) throws(RegistryProblem) -> String {
            let name = words.dropLast(rest).joined(separator: "/")
            guard !name.isEmpty, (try? Reference("localhost/\(name)"))?.path == name else { throw .nameInvalid(name) }
            return name
        }
        let count = words.count
        func word(_ fromEnd: Int) -> String { count >= fromEnd ? words[count - fromEnd] : "" }
        if word(2) == "blobs", word(1) == "uploads" {
            return .uploads(
                try name(2), digest: try digest(query["digest"]), mount: query["mount"].flatMap { Digest($0) })
        }
        if word(3) == "blobs", word(2) == "uploads" {
            guard isUpload(word(1)) else { throw .uploadUnknown(word(1)) }
            return .upload(try name(3), id: word(1), digest: try digest(query["digest"]))
        }
        switch word(2) {
        case "tags" where word(1) == "list": return .tags(try name(2), try page(query))
        case "manifests":
            if word(1).contains(":") {
                guard let digest = Digest(word(1)) else { throw .digestInvalid(word(1)) }
                return .manifest(try name(2), .digest(digest))
            }
            guard Reference.isTag(word(1)) else { throw .manifestInvalid("'\(word(1))' is no tag") }
            return .manifest(try name(2), .tag(word(1)))
        case "blobs", "referrers":
            guard let digest = Digest(word(1)) else { throw .digestInvalid(word(1)) }
            return word(2) == "blobs" ? .blob(try name(2), digest) : .referrers(try name(2), digest)
        default: throw .notFound
        }
    }

    /// Ids become names of files.
    private static func isUpload(_ id: String) -> Bool {
        id.utf8.count == 32 && id.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private static func digest(_ text: String?) throws(RegistryProblem) -> Digest? {
        guard let text else { return nil }
        guard let digest = Digest(text) else { throw .digestInvalid(text) }
        return digest
    }

    private static func page(_ query: [String: String]) throws(RegistryProblem) -> Page {
        var page = Page(last: query["last"] ?? "")
        guard let text = query["n"] else { return page }
        guard let count = Int(text), count >= 0 else { throw .paginationInvalid(text) }
        page.count = min(count, Page.most)
        return page
    }

    private static func query(_ text: Substring) -> [String: String] {
        var result: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let value = try? decode(halves.count == 2 ? halves[1] : "") else { continue }
            result[String(halves[0])] = value
        }
        return result
    }

    /// `%3A` and its kin.
    private static func decode(_ text: Substring) throws(RegistryProblem) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16), bytes.count >= 2
            else {
                throw .notFound
            }
            out.append(value)
            bytes = bytes.dropFirst(2)
        }
        return String(decoding: out, as: UTF8.self)
    }
}
