import Basics
import Wire

/// Finds the address behind a name: literals, and what the name servers say.
struct HostResolver: Sendable {
    let servers: [Endpoint]
    private let resolver: StubResolver

    struct NotFound: Error, CustomStringConvertible {
        let host: String
        var description: String { "dial tcp: lookup \(host): no such host" }
    }

    init(world: World, servers: [Endpoint]) {
        self.servers = servers
        resolver = StubResolver(DNSClient(world: world, patience: .seconds(3)))
    }

    func address(_ host: String) async throws -> IPAddress {
        if let address = IPAddress(host) { return address }
        if host == "localhost" { return .loopback }
        guard let name = DNSName(host), !servers.isEmpty else { throw NotFound(host: host) }
        for type in [DNSType.a, .aaaa] {
            do {
                if let found = try await resolver.ask(servers, DNSQuestion(name, type)).addresses.first { return found }
            } catch let failure as DNSClient.Failure {
                throw DNSClient.Failure(description: "dial tcp: lookup \(host): \(failure)")
            }
        }
        throw NotFound(host: host)
    }
}
