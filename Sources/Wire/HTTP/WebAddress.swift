import Basics

/// An `http` or `https` URL, taken apart as far as a client needs it.
public struct WebAddress: Hashable, Sendable, CustomStringConvertible {
    /// What a connection is made to; addresses with the same origin share connections.
    public struct Origin: Hashable, Sendable, CustomStringConvertible {
        public var isSecure: Bool
        /// Lower case; an IPv6 address without its brackets.
        public var host: String
        public var port: UInt16

        public init(isSecure: Bool, host: String, port: UInt16) {
            self.isSecure = isSecure
            self.host = host
            self.port = port
        }

        public var scheme: String { isSecure ? "https" : "http" }

        /// The `Host` field: a port that the scheme implies is left out.
        public var authority: String {
            let name = host.contains(":") ? "[\(host)]" : host
            return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
        }

        public var description: String { "\(scheme)://\(authority)" }
    }

    public var origin: Origin
    /// Path and query, beginning with a slash; the empty path is kept empty.
    public var target: String

    public init(_ origin: Origin, _ target: String) {
        self.origin = origin
        self.target = target
    }

    /// Nil for everything else: other schemes, user names, bytes that would break a request line.
    public init?(_ text: some StringProtocol) {
        let isSecure: Bool
        let rest: Substring
        if text.lowercased().hasPrefix("https://") {
            isSecure = true
            rest = Substring(text.dropFirst(8))
        } else if text.lowercased().hasPrefix("http://") {
            isSecure = false
            rest = Substring(text.dropFirst(7))
        } else {
            return nil
        }
        guard rest.utf8.allSatisfy({ (33...126).contains($0) }) else { return nil }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let (host, port) = Self.hostAndPort(authority) else { return nil }
        origin = Origin(isSecure: isSecure, host: host, port: port ?? (isSecure ? 443 : 80))
        let path = rest.dropFirst(authority.count).prefix { $0 != "#" }
        target = path.hasPrefix("?") ? "/\(path)" : String(path)
    }

    /// `host`, `host:port`, `[address]`, `[address]:port`.
    public static func hostAndPort(_ text: some StringProtocol) -> (host: String, port: UInt16?)? {
        guard !text.contains("@") else { return nil }
        var host = Substring(text)
        var port: UInt16?
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            host = host[host.index(after: host.startIndex)..<end]
            guard IPAddress(host)?.isIPv6 ?? false else { return nil }
            if !rest.isEmpty {
                guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = host.firstIndex(of: ":") {
            guard let number = UInt16(host[host.index(after: colon)...]) else { return nil }
            port = number
            host = host[..<colon]
        }
        return host.isEmpty ? nil : (host.lowercased(), port)
    }

    public var description: String { "\(origin)\(target)" }

    /// What a `Location` field means that came with the answer to a request for this address.
    public func resolving(_ location: String) -> WebAddress? {
        if let absolute = WebAddress(location) { return absolute }
        guard location.utf8.allSatisfy({ (33...126).contains($0) }) else { return nil }
        if location.hasPrefix("//") { return WebAddress("\(origin.scheme):\(location)") }
        if location.hasPrefix("/") { return WebAddress(origin, location) }
        if location.hasPrefix("?") { return WebAddress(origin, String(target.prefix { $0 != "?" }) + location) }
        guard !location.contains("://"), !location.isEmpty else { return nil }
        let path = target.prefix { $0 != "?" }
        let directory = path.lastIndex(of: "/").map { path[...$0] } ?? "/"
        return WebAddress(origin, "\(directory)\(location)")
    }

    public func adding(query: [(String, String)]) -> WebAddress {
        guard !query.isEmpty else { return self }
        let text = query.map { "\(Self.escape($0.0))=\(Self.escape($0.1))" }.joined(separator: "&")
        return WebAddress(origin, target + (target.contains("?") ? "&" : "?") + text)
    }

    /// Percent-encodes all but the characters that RFC 3986 never reserves, and those that registries read better bare.
    public static func escape(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 47, 58, 95, 126: out.unicodeScalars.append(Unicode.Scalar(byte))
            default: out += "%" + Hex.encode([byte]).uppercased()
            }
        }
        return out
    }
}
