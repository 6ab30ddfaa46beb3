import Basics

/// `/etc/resolv.conf`: whom to ask, and which names to try for a short one.
public struct ResolverConfiguration: Sendable, Equatable {
    public static let mostServers = 3
    public static let mostSearched = 32

    public var servers: [IPAddress] = []
    public var search: [String] = []
    /// A name with at least this many dots is tried as it stands first.
    public var dots = 1

    public init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            // An address may name the link that it belongs to: `fe80::1%eth0`.
            case "nameserver": servers += words.dropFirst().prefix(1).compactMap { IPAddress($0.prefix { $0 != "%" }) }
            case "search", "domain": search = Array(words.dropFirst())
            case "options":
                for word in words where word.hasPrefix("ndots:") { dots = min(15, Int(word.dropFirst(6)) ?? dots) }
            default: break
            }
        }
        servers = Array(servers.prefix(Self.mostServers))
        search = Array(search.prefix(Self.mostSearched))
    }

    /// The full names to ask for, in order. A final dot says that the name is full already.
    public func candidates(_ name: String) -> [String] {
        if name.hasSuffix(".") { return [name] }
        let searched = search.map { "\(name).\($0)" }
        let dotted = name.utf8.count { $0 == UInt8(ascii: ".") } >= dots
        return dotted ? [name] + searched : searched + [name]
    }
}

/// `/etc/hosts`.
public enum HostsFile {
    /// The addresses that `text` gives a name, in its order.
    public static func addresses(of name: String, in text: String) -> [IPAddress] {
        let name = name.lowercased()
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.dropFirst().contains(where: { $0.lowercased() == name }) else { return nil }
            return IPAddress(words[0])
        }
    }
}
