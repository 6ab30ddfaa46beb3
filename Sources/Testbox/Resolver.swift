import Basics
import Linux
import Wire

/// Names as the pod's programs resolve them.
struct Resolver: Sendable {
    let world: World
    var overTCPOnly = false

    /// IPv4 addresses of a name, from `/etc/hosts` first.
    func addresses(of name: String) async throws -> [IPAddress] {
        let known = HostsFile.addresses(of: name, in: (try? Files.text("/etc/hosts")) ?? "").filter { !$0.isIPv6 }
        if !known.isEmpty { return Array(known.prefix(1)) }
        return try await records(of: name, .a).compactMap { record in
            if case .address(let address) = record.data { address } else { nil }
        }
    }

    /// The first answer that any of the name's candidates has; empty where the names exist without such records.
    func records(of name: String, _ type: DNSType) async throws -> [DNSRecord] {
        let configuration = ResolverConfiguration(try Files.text("/etc/resolv.conf"))
        let servers = configuration.servers.map { Endpoint.ip($0, port: 53) }
        guard !servers.isEmpty else { throw DNSClient.Failure(description: "/etc/resolv.conf names no server") }
        let resolver = StubResolver(DNSClient(world: world, patience: .seconds(2)), overTCPOnly: overTCPOnly)
        var exists = false
        for candidate in configuration.candidates(name) {
            guard let full = DNSName(candidate) else {
                throw DNSClient.Failure(description: "\"\(candidate)\" is no name")
            }
            let answer = try await resolver.ask(servers, DNSQuestion(full, type))
            if !answer.answers.isEmpty { return answer.answers }
            if answer.code == .noError { exists = true }
        }
        guard exists else { throw DNSClient.Failure(description: "\(name): no such name") }
        return []
    }
}

extension Testbox {
    private static let types: [String: DNSType] = [
        "A": .a, "AAAA": .aaaa, "CNAME": .cname, "PTR": .ptr, "SRV": .srv, "TXT": .txt, "NS": .ns, "SOA": .soa,
    ]

    /// Prints a line for each record: name, type, value.
    func lookup(_ name: String, _ type: String, overTCP: Bool) async throws -> Int32 {
        guard let type = Self.types[type] else { throw UsageError("I cannot look up \(type) records") }
        let records: [DNSRecord]
        do {
            records = try await Resolver(world: world, overTCPOnly: overTCP).records(of: name, type)
        } catch let error as DNSClient.Failure {
            Output.error("testbox: \(error)")
            return 1
        }
        for record in records { Output.line("\(record.name) \(record.data.type) \(Self.text(record.data))") }
        if records.isEmpty { Output.error("testbox: \(name): no \(type) records") }
        return records.isEmpty ? 1 : 0
    }

    private static func text(_ data: DNSData) -> String {
        switch data {
        case .address(let address): "\(address)"
        case .ns(let name), .cname(let name), .ptr(let name): "\(name)"
        case .mx(let preference, let name): "\(preference) \(name)"
        case .srv(let priority, let weight, let port, let name): "\(priority) \(weight) \(port) \(name)"
        case .txt(let strings): strings.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        case .soa(let authority): "\(authority.server) \(authority.mailbox) \(authority.serial)"
        case .other(_, let bytes): Hex.encode(bytes)
        }
    }
}
