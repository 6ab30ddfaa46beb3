import Basics
import Linux
import Wire

/// The names of registries: `/etc/hosts`, then the servers of `/etc/resolv.conf`. The C library's resolver loads
/// modules at run time, which a static program must not count on.
struct HostResolver: Sendable {
    let network: any Network
    let clock: any WorldClock
    let random: any Randomness
    var hostsFile = "/etc/hosts"
    var resolverFile = "/etc/resolv.conf"

    /// Addresses in the order in which to try them: IPv4 first, since where both are there it is the one that works.
    func addresses(of name: String) async throws -> [IPAddress] {
        if let address = IPAddress(name) { return [address] }
        if name == "localhost" || name.hasSuffix(".localhost") { return [.loopback, IPAddress(v6High: 0, low: 1)] }
        let known = HostsFile.addresses(of: name, in: (try? Files.text(hostsFile)) ?? "")
        if !known.isEmpty { return known }
        let configuration = ResolverConfiguration((try? Files.text(resolverFile)) ?? "")
        let servers = configuration.servers.map { Endpoint.ip($0, port: 53) }
        guard !servers.isEmpty else { throw ImageError(name, "cannot be looked up: \(resolverFile) names no server") }
        let resolver = StubResolver(
            DNSClient(network: network, clock: clock, random: random, patience: .seconds(3)))
        for candidate in configuration.candidates(name) {
            guard let full = DNSName(candidate) else { throw ImageError(name, "is no name of a machine") }
            async let six = resolver.ask(servers, DNSQuestion(full, .aaaa))
            let four: DNSMessage
            do {
                four = try await resolver.ask(servers, DNSQuestion(full, .a))
            } catch let failure as DNSClient.Failure {
                throw ImageError(name, "cannot be looked up: \(failure)")
            }
            // A server that chokes on the newer type shall not hide the older one's answer.
            let found = four.addresses + ((try? await six)?.addresses ?? [])
            if !found.isEmpty { return found }
        }
        throw ImageError(name, "no such host")
    }
}
