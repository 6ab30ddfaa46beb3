import Basics
import Linux

/// Names as this machine knows them: `/etc/hosts`, then the servers of `/etc/resolv.conf`. The C library's resolver
/// loads modules at run time, which a static program must not count on.
public struct MachineNames: Sendable {
    /// No address, or none that answers.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        public let host: String
        public let problem: String
        public var description: String { "\(host): \(problem)" }
    }

    /// For each address that is tried.
    static let patience: Duration = .seconds(10)
    static let mostAddresses = 8

    public let network: any Network
    public let clock: any WorldClock
    private let random: any Randomness
    private let hostsFile: String
    private let resolverFile: String

    public init(world: World, hostsFile: String = "/etc/hosts", resolverFile: String = "/etc/resolv.conf") {
        network = world.network
        clock = world.clock
        random = world.random
        self.hostsFile = hostsFile
        self.resolverFile = resolverFile
    }

    /// Addresses in the order in which to try them: IPv4 first, since where both are there it is the one that works.
    public func addresses(of name: String) async throws -> [IPAddress] {
        if let address = IPAddress(name) { return [address] }
        if name == "localhost" || name.hasSuffix(".localhost") { return [.loopback, IPAddress(v6High: 0, low: 1)] }
        let known = HostsFile.addresses(of: name, in: (try? Files.text(hostsFile)) ?? "")
        if !known.isEmpty { return known }
        let configuration = ResolverConfiguration((try? Files.text(resolverFile)) ?? "")
        let servers = configuration.servers.map { Endpoint.ip($0, port: 53) }
        guard !servers.isEmpty else {
            throw Failure(host: name, problem: "cannot be looked up: \(resolverFile) names no server")
        }
        let resolver = StubResolver(
            DNSClient(network: network, clock: clock, random: random, patience: .seconds(3)))
        for candidate in configuration.candidates(name) {
            guard let full = DNSName(candidate) else { throw Failure(host: name, problem: "is no name of a machine") }
            async let six = resolver.ask(servers, DNSQuestion(full, .aaaa))
            let four: DNSMessage
            do {
                four = try await resolver.ask(servers, DNSQuestion(full, .a))
            } catch let failure as DNSClient.Failure {
                throw Failure(host: name, problem: "cannot be looked up: \(failure)")
            }
            // A server that chokes on the newer type shall not hide the older one's answer.
            let found = four.addresses + ((try? await six)?.addresses ?? [])
            if !found.isEmpty { return found }
        }
        throw Failure(host: name, problem: "no such host")
    }

    /// A connection to the first address of the name that takes one; where none does, what each said.
    public func connect(to host: String, port: UInt16) async throws -> any Connection {
        var problems: [String] = []
        for address in try await addresses(of: host).prefix(Self.mostAddresses) {
            do {
                return try await withDeadline(Self.patience, clock, "connecting to \(address)") {
                    try await network.connect(to: .ip(address, port: port))
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                problems.append("\(error)")
            }
        }
        throw Failure(host: host, problem: problems.isEmpty ? "no such host" : problems.joined(separator: "; "))
    }
}

/// The way to one server by its name, whatever endpoint is asked for: the name is looked up for every connection, since
/// its addresses change.
public struct NamedServer: Network {
    private let host: String
    private let port: UInt16
    private let names: MachineNames

    public init(_ host: String, port: UInt16, names: MachineNames) {
        self.host = host
        self.port = port
        self.names = names
    }

    public func connect(to endpoint: Endpoint) async throws -> any Connection {
        try await names.connect(to: host, port: port)
    }
    public func listen(on endpoint: Endpoint) async throws -> any Listener {
        try await names.network.listen(on: endpoint)
    }
    public func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        try await names.network.datagrams(on: endpoint)
    }
}
