import Wire

/// The name of an image, as Docker understands it: `[host/]path[:tag][@digest]`.
struct Reference: Hashable, Sendable, CustomStringConvertible {
    static let longestName = 255
    static let longestTag = 128

    /// Host and path, such as `docker.io/library/nginx`.
    var repository: String
    /// The registry: what comes before the first slash.
    var host: String { String(repository.prefix { $0 != "/" }) }
    /// What the registry calls the repository.
    var path: String { String(repository.drop { $0 != "/" }.dropFirst()) }
    var tag: String?
    var digest: Digest?

    /// Fills in what people leave out: the host `docker.io`, its folder `library`, the tag `latest`.
    init(_ text: String) throws(ImageError) {
        func refuse(_ why: String) -> ImageError { ImageError("image reference \"\(text)\"", why) }
        var rest = Substring(text)
        if let at = rest.firstIndex(of: "@") {
            guard let digest = Digest(String(rest[rest.index(after: at)...])) else {
                throw refuse("after @ comes no sha256 digest")
            }
            self.digest = digest
            rest = rest[..<at]
        }
        let slash = rest.lastIndex(of: "/") ?? rest.startIndex
        if let colon = rest[slash...].firstIndex(of: ":") {
            let tag = String(rest[rest.index(after: colon)...])
            guard Self.isTag(tag) else { throw refuse("\"\(tag)\" is no tag") }
            self.tag = tag
            rest = rest[..<colon]
        }
        var host = "docker.io"
        var path = rest
        if let slash = rest.firstIndex(of: "/") {
            let first = rest[..<slash]
            if first.contains(".") || first.contains(":") || first == "localhost" || first != first.lowercased() {
                host = Self.canonicalHost(first)
                path = rest[rest.index(after: slash)...]
            }
        }
        guard Self.isHost(host) else { throw refuse("\"\(host)\" is no registry host") }
        guard Self.isPath(path) else {
            throw refuse(path.lowercased() == path ? "\"\(path)\" is no repository" : "repository must be lowercase")
        }
        guard Digest(hex: String(rest)) == nil else { throw refuse("a bare digest names no repository") }
        if host == "docker.io", !path.contains("/") { path = "library/\(path)" }
        repository = "\(host)/\(path)"
        guard repository.utf8.count <= Self.longestName else {
            throw refuse("the repository is longer than \(Self.longestName) characters")
        }
        if tag == nil, digest == nil { tag = "latest" }
    }

    var description: String {
        repository + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    static func isTag(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= longestTag, first != 45, first != 46 else { return false }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 95 || $0 == 45 || $0 == 46 }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...122).contains(byte | 32)
    }

    /// Docker's own registry has several names.
    static func canonicalHost(_ host: some StringProtocol) -> String {
        ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"].contains(host)
            ? "docker.io" : String(host)
    }

    private static func isHost(_ text: String) -> Bool {
        if text.hasPrefix("[") { return WebAddress.hostAndPort(text) != nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.count == 1 || UInt16(parts[1]) != nil else { return false }
        return parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last, first != 45, last != 45 else {
                return false
            }
            return label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 45 }
        }
    }

    /// Components of lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
    private static func isPath(_ text: Substring) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
            var separators = ""
            var afterWord = false
            for character in component {
                if character.isASCII, character.isNumber || character.isLowercase {
                    guard afterWord || separators.isEmpty else { return false }
                    guard ["", ".", "_", "__"].contains(separators) || separators.allSatisfy({ $0 == "-" }) else {
                        return false
                    }
                    separators = ""
                    afterWord = true
                } else {
                    separators.append(character)
                }
            }
            return afterWord && separators.isEmpty
        }
    }
}
