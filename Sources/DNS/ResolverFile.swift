import Basics

/// The part of `resolv.conf` that a forwarder needs.
public struct ResolverFile: Sendable, Equatable {
    public var servers: [Endpoint] = []

    /// At most three, as the C library takes them. Addresses with a zone (`fe80::1%eth0`) are left out.
    public init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.first == "nameserver", words.count >= 2, servers.count < 3,
                let address = IPAddress(words[1])
            else { continue }
            servers.append(.ip(address, port: 53))
        }
    }
}
