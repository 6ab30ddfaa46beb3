import Basics
import Linux
import Wire

/// `/etc/resolv.conf`: whom to ask, and which names to try for a short one.
struct ResolverConfiguration: Equatable {
    static let mostServers = 3
    static let mostSearched = 32

    var servers: [IPAddress] = []
    var search: [String] = []
    /// A name with at least this many dots is tried as it stands first.
    var dots = 1

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": servers += words.dropFirst().prefix(1).compactMap { IPAddress($0) }
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
    func candidates(_ name: String) -> [String] {
        if name.hasSuffix(".") { return [name] }
        let searched = search.map { "\(name).\($0)" }
        let dotted = name.utf8.count { $0 == UInt8(ascii: ".") } >= dots
        return dotted ? [name] + searched : searched + [name]
    }
}

/// A stub resolver over the world's network.
struct Resolver: Sendable {
    static let attempts = 2
    static let patience: Duration = .seconds(2)

    let world: World
    /// Asks over TCP from the start, and not only where an answer was too long.
    var overTCPOnly = false

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// IPv4 addresses of a name, from `/etc/hosts` first.
    func addresses(of name: String) async throws -> [IPAddress] {
        let hosts = (try? Files.text("/etc/hosts")) ?? ""
        for line in hosts.split(whereSeparator: \.isNewline) {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.dropFirst().contains(where: { $0 == name }), let address = IPAddress(words[0]), !address.isIPv6 {
                return [address]
            }
        }
        return try await records(of: name, .a).compactMap { record in
            if case .address(let address) = record.data { address } else { nil }
        }
    }

    /// The first answer that any of the name's candidates has; empty where the names exist without such records.
    func records(of name: String, _ type: DNSType) async throws -> [DNSRecord] {
        let configuration = ResolverConfiguration(try Files.text("/etc/resolv.conf"))
        guard !configuration.servers.isEmpty else { throw Failure(description: "/etc/resolv.conf names no server") }
        var exists = false
        for candidate in configuration.candidates(name) {
            guard let full = DNSName(candidate) else { throw Failure(description: "\"\(candidate)\" is no name") }
            let answer = try await ask(configuration.servers, DNSQuestion(full, type))
            if !answer.answers.isEmpty { return answer.answers }
            if answer.code == .noError { exists = true }
        }
        guard exists else { throw Failure(description: "\(name): no such name") }
        return []
    }

    private func ask(_ servers: [IPAddress], _ question: DNSQuestion) async throws -> DNSMessage {
        var problem = "no server answered"
        for _ in 0..<Self.attempts {
            for server in servers {
                let id = UInt16(truncatingIfNeeded: world.random.next())
                let query = DNSMessage(query: question, id: id)
                do {
                    var answer = try await overTCPOnly ? nil : limited { try await overUDP(query, server) }
                    if answer?.isTruncated != false {
                        answer = try await limited { try await overTCP(query, server) }
                    }
                    guard let answer else { continue }
                    if answer.code == .noError || answer.code == .nameError { return answer }
                    problem = "\(server) answered with code \(answer.code.rawValue)"
                } catch let error as CancellationError {
                    throw error
                } catch {
                    problem = "\(server): \(error)"
                }
            }
        }
        throw Failure(description: "\(question.name): \(problem)")
    }

    private func limited(_ body: @escaping @Sendable () async throws -> DNSMessage) async throws -> DNSMessage {
        try await Testbox(world: world, signals: nil).within(Self.patience, body)
    }

    private func overUDP(_ query: DNSMessage, _ server: IPAddress) async throws -> DNSMessage {
        let socket = try await world.network.datagrams(on: .ip(IPAddress.any, port: 0))
        defer { socket.close() }
        let endpoint = Endpoint.ip(server, port: 53)
        try await socket.send(Datagram(bytes: query.serialized(), peer: endpoint))
        while true {
            let datagram = try await socket.receive()
            // Whatever else arrives is not what was asked for.
            guard datagram.peer == endpoint, let answer = try? DNSMessage(parsing: datagram.bytes),
                answer.id == query.id, answer.isResponse, answer.questions == query.questions
            else { continue }
            return answer
        }
    }

    private func overTCP(_ query: DNSMessage, _ server: IPAddress) async throws -> DNSMessage {
        let connection = try await world.network.connect(to: .ip(server, port: 53))
        defer { connection.close() }
        let bytes = query.serialized()
        try await connection.write([UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes)
        var input: [UInt8] = []
        while input.count < 2 || input.count < 2 + (Int(input[0]) << 8 | Int(input[1])) {
            let piece = try await connection.read(atMost: 65_536)
            guard !piece.isEmpty else { throw Failure(description: "the answer ended too early") }
            input += piece
        }
        let answer = try DNSMessage(parsing: Array(input[2..<2 + (Int(input[0]) << 8 | Int(input[1]))]))
        guard answer.id == query.id else { throw Failure(description: "an answer to another question") }
        return answer
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
        } catch let error as Resolver.Failure {
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
