import Basics
import Document

/// Where an HTTP probe asks, and where an answer sends it.
struct ProbeTarget: Sendable, Equatable {
    var isSecure: Bool
    var host: IPAddress
    var port: UInt16
    /// With its query; begins with a slash.
    var path: String

    var endpoint: Endpoint { .ip(host, port: port) }
    var url: String { "\(isSecure ? "https" : "http")://\(endpoint)\(path)" }

    enum Step: Equatable {
        /// `keepsHost`: a relative location leaves the `Host` field as the probe has it.
        case follow(ProbeTarget, keepsHost: Bool)
        /// To another host, whom nobody has asked to be probed.
        case away
    }

    /// Answers that name another place for the same request; others of their kind do not.
    static let redirections: Set<Int> = [301, 302, 303, 307, 308]
    static let mostRedirects = 10

    func next(_ location: String) -> Step {
        let rest = location.prefix { $0 != "#" }
        var target = self
        for (scheme, isSecure) in [("http://", false), ("https://", true)]
        where rest.lowercased().hasPrefix(scheme) {
            target.isSecure = isSecure
            return absolute(rest.dropFirst(scheme.count), target)
        }
        if rest.hasPrefix("//") { return absolute(rest.dropFirst(2), target) }
        // Any other scheme is none that can be followed.
        if let colon = rest.firstIndex(of: ":"), !rest[..<colon].contains(where: { "/?".contains($0) }) { return .away }
        let plain = path.prefix { $0 != "?" }
        if rest.hasPrefix("?") {
            target.path = "\(plain)\(rest)"
        } else {
            let base = rest.hasPrefix("/") ? "" : plain[...(plain.lastIndex(of: "/") ?? plain.startIndex)]
            target.path = Self.cleaned(rest.isEmpty ? path : "\(base)\(rest)")
        }
        return .follow(target, keepsHost: true)
    }

    private func absolute(_ rest: Substring, _ target: ProbeTarget) -> Step {
        var target = target
        let end = rest.firstIndex { "/?".contains($0) } ?? rest.endIndex
        let path = rest[end...]
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        target.port = target.isSecure ? 443 : 80
        // The colons of an IPv6 address stand inside brackets.
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            let digits = authority[authority.index(after: colon)...]
            guard let port = digits.isEmpty ? target.port : UInt16(digits) else { return .away }
            target.port = port
            authority = authority[..<colon]
        }
        if authority.hasPrefix("["), authority.hasSuffix("]") { authority = authority.dropFirst().dropLast() }
        guard IPAddress(String(authority)) == host else { return .away }
        target.path = Self.cleaned(path.hasPrefix("/") ? String(path) : "/\(path)")
        return .follow(target, keepsHost: false)
    }

    /// Without steps up and down, which only the path has, not the query.
    private static func cleaned(_ text: String) -> String {
        let path = text.prefix { $0 != "?" }
        var parts: [Substring] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
        }
        if path.hasSuffix("/.") || path.hasSuffix("/..") { parts.append("") }
        return "/" + parts.joined(separator: "/") + text[path.endIndex...]
    }
}

/// What a probe reads of an answer.
struct ProbeAnswer: Sendable, Equatable {
    var status: Int
    var location: String?
    var body: String
    /// Of the body, where the server has told.
    var length: Int?
    private var hasHead = false

    /// Nothing more will come; otherwise the server's closing tells.
    var isComplete: Bool { hasHead && length.map { body.utf8.count >= $0 } == true }

    /// The beginning of an answer in the form of HTTP/1; nil where it is none.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        func line() -> String? {
            guard let end = rest.firstIndex(of: 10) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return String(decoding: rest[..<end].filter { $0 != 13 }, as: UTF8.self)
        }
        // A server that closes after its first line has answered all the same.
        let first = line() ?? String(decoding: rest.filter { $0 != 13 }, as: UTF8.self)
        let words = first.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/"), let status = Int(words[1]) else { return nil }
        self.status = status
        while let field = line() {
            hasHead = field.isEmpty
            if hasHead { break }
            guard let colon = field.firstIndex(of: ":") else { continue }
            let value = String(field[field.index(after: colon)...].drop { $0 == " " || $0 == "\t" })
            switch field[..<colon].lowercased() {
            case "location": location = value
            case "content-length": length = Int(value)
            default: break
            }
        }
        body = String(decoding: rest, as: UTF8.self)
    }
}
