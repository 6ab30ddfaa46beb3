import Basics
import Wire

/// Which proxy a request goes through, as the environment variables of most programs say it.
public struct ProxySettings: Sendable, Equatable {
    struct Proxy: Sendable, Equatable {
        var address: WebAddress
        /// The value of `Proxy-Authorization`.
        var authorization: String?
    }

    /// One entry of `NO_PROXY`.
    private enum Exception: Sendable, Equatable {
        case everything
        case network(CIDR, port: UInt16?)
        /// The name itself unless `onlyBelow`, and every name below it.
        case domain(String, onlyBelow: Bool, port: UInt16?)
    }

    /// What was wrong with a variable, to be told when it would have been used.
    private enum Setting: Sendable, Equatable {
        case none
        case proxy(Proxy)
        case unusable(String)
    }

    private var plain = Setting.none
    private var secure = Setting.none
    private var exceptions: [Exception] = []

    /// The names of the variables that count, for those who hand an environment on.
    public static let variables = [
        "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
    ]

    /// The upper-case names win over the lower-case ones.
    public init(environment: [String: String] = [:]) {
        func value(_ name: String) -> String? {
            let text = environment[name.uppercased()] ?? environment[name.lowercased()]
            return text?.isEmpty ?? true ? nil : text
        }
        plain = Self.setting(value("HTTP_PROXY") ?? value("ALL_PROXY"))
        secure = Self.setting(value("HTTPS_PROXY") ?? value("ALL_PROXY"))
        for entry in (value("NO_PROXY") ?? "").split(whereSeparator: { $0 == "," || $0 == " " }) {
            exceptions += Self.exception(entry.lowercased()).map { [$0] } ?? []
        }
    }

    private static func setting(_ text: String?) -> Setting {
        guard let text else { return .none }
        var rest = text.contains("://") ? text : "http://\(text)"
        let secret = rest
        var authorization: String?
        if let at = rest.lastIndex(of: "@"), let start = rest.range(of: "://") {
            let words = rest[start.upperBound..<at].split(
                separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let user = unescape(words[0])
            let password = words.count > 1 ? unescape(words[1]) : ""
            authorization = "Basic " + Base64.encode(Array("\(user):\(password)".utf8))
            rest.removeSubrange(start.upperBound...at)
        }
        guard let address = WebAddress(rest) else {
            // Without the user's password.
            return .unusable(secret.contains("@") ? rest : text)
        }
        return .proxy(Proxy(address: address, authorization: authorization))
    }

    private static func unescape(_ text: some StringProtocol) -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%"), bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                out.append(value)
                bytes.removeFirst(2)
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func exception(_ text: String) -> Exception? {
        if text == "*" { return .everything }
        if let network = CIDR(text), text.contains("/") { return .network(network, port: nil) }
        if let address = IPAddress(text) {
            return .network(CIDR(address, prefix: address.isIPv6 ? 128 : 32), port: nil)
        }
        guard let (host, port) = WebAddress.hostAndPort(text) else { return nil }
        if let address = IPAddress(host) {
            return .network(CIDR(address, prefix: address.isIPv6 ? 128 : 32), port: port)
        }
        if host.hasPrefix("*.") { return .domain(String(host.dropFirst(2)), onlyBelow: true, port: port) }
        if host.hasPrefix(".") { return .domain(String(host.dropFirst()), onlyBelow: true, port: port) }
        return .domain(host, onlyBelow: false, port: port)
    }

    /// Nil where the origin is reached directly, as this machine itself always is.
    func proxy(for origin: WebAddress.Origin) throws(ImageError) -> Proxy? {
        let address = IPAddress(origin.host)
        if origin.host == "localhost" || address?.isLoopback ?? false { return nil }
        for exception in exceptions where Self.holds(exception, origin, address) { return nil }
        switch origin.isSecure ? secure : plain {
        case .none: return nil
        case .proxy(let proxy): return proxy
        case .unusable(let text):
            throw ImageError(
                "the proxy \"\(text)\" of the environment", "only http:// and https:// proxies can be used")
        }
    }

    private static func holds(_ exception: Exception, _ origin: WebAddress.Origin, _ address: IPAddress?) -> Bool {
        switch exception {
        case .everything: return true
        case .network(let network, let port):
            guard let address else { return false }
            return network.contains(address) && (port ?? origin.port) == origin.port
        case .domain(let name, let onlyBelow, let port):
            guard (port ?? origin.port) == origin.port else { return false }
            return origin.host.hasSuffix(".\(name)") || !onlyBelow && origin.host == name
        }
    }
}

extension String {
    /// The place of `text`, which the standard library alone does not look up.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
