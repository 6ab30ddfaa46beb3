import Basics
import Linux
import Wire

/// The host's resolver configuration, as a cluster's nodes can use it.
///
/// A server on the host's loopback (systemd-resolved's, dnsmasq's) is not reached from a node: there its address is the
/// node's own, and a DNS server that forwards to it asks itself. systemd-resolved keeps the real servers in a file.
struct HostResolver: Sendable, Equatable {
    static let paths = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]

    var text: String
    var servers: [IPAddress]

    init(_ text: String) {
        self.text = text
        servers = ResolverConfiguration(text).servers
    }

    /// Those that are reached from a node.
    var usable: [IPAddress] { servers.filter { !$0.isLoopback } }

    /// The first file with a server that can be used; the first of all where none has.
    static func choose(_ texts: [String?]) -> HostResolver {
        let found = texts.compactMap { $0.map { HostResolver($0) } }
        return found.first { !$0.usable.isEmpty } ?? found.first ?? HostResolver("")
    }

    static func ofThisMachine() -> HostResolver { choose(paths.map { try? Files.text($0) }) }

    /// What `lab doctor` says of it.
    func finding(services: CIDR) -> Finding {
        let list = servers.map(\.description).joined(separator: ", ")
        if servers.isEmpty {
            return Finding(
                "DNS", .warning, "/etc/resolv.conf names no server: pods resolve the cluster's own names only",
                remedy: "add a line 'nameserver ADDRESS'")
        }
        if let own = servers.first(where: { services.contains($0) }) {
            return Finding(
                "DNS", .warning,
                "the server \(own) is among the addresses of a cluster's Services: it would ask itself",
                remedy: "choose another serviceSubnet, or another server in /etc/resolv.conf")
        }
        guard !usable.isEmpty else {
            return Finding(
                "DNS", .warning,
                "\(list) is on this machine's loopback, where a node finds itself: pods resolve the "
                    + "cluster's own names only", remedy: "name a server in /etc/resolv.conf that others reach, too")
        }
        return Finding("DNS", .ok, "upstream \(usable.map(\.description).joined(separator: ", "))")
    }
}
