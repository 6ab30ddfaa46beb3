import Basics
import Linux
import Wire

/// A stub resolver over the world's network: `/etc/hosts`, then the servers of `/etc/resolv.conf`. The C library's
/// loads modules at run time, which a static program must not count on.
struct HostResolver: Sendable {
    static let attempts = 2
    static let patience: Duration = .seconds(3)
    static let mostServers = 3

    let network: any Network
    let clock: any WorldClock
    let random: any Randomness
    var hostsFile = "/etc/hosts"
    var resolverFile = "/etc/resolv.conf"

    /// Addresses in the order in which to try them: IPv4 first, since where both are there it is the one that works.
    func addresses(of name: String) async throws -> [IPAddress] {
        if let address = IPAddress(name) { return [address] }
        if name == "localhost" || name.hasSuffix(".localhost") { return [.loopback, IPAddress(v6High: 0, low: 1)] }
        let known = Self.known(name, (try? Files.text(hostsFile)) ?? "")
        if !known.isEmpty { return known }
        let configuration = (try? Files.text(resolverFile)) ?? ""
        let (servers, searched) = Self.configuration(configuration)
        guard !servers.isEmpty else { throw ImageError(name, "cannot be looked up: \(resolverFile) names no server") }
        let candidates = name.contains(".") ? [name] : searched.map { "\(name).\($0)" } + [name]
        for candidate in candidates {
            guard let full = DNSName(candidate) else { throw ImageError(name, "is no name of a machine") }
            async let six = ask(servers, DNSQuestion(full, .aaaa))
            let four = try await ask(servers, DNSQuestion(full, .a))
            // A server that chokes on the newer type shall not hide the older one's answer.
            let found = four + ((try? await six) ?? [])
            if !found.isEmpty { return found }
        }
        throw ImageError(name, "no such host")
    }

    static func known(_ name: String, _ hosts: String) -> [IPAddress] {
        hosts.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.dropFirst().contains(where: { $0.lowercased() == name }) else { return nil }
            return IPAddress(words[0])
        }
    }

    static func configuration(_ text: String) -> (servers: [IPAddress], search: [String]) {
        var servers: [IPAddress] = []
        var search: [String] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": servers += words.dropFirst().prefix(1).compactMap { IPAddress($0) }
            case "search", "domain": search = Array(words.dropFirst())
            default: break
            }
        }
        return (Array(servers.prefix(mostServers)), search)
    }

    /// Addresses of the answer; none where the name or the type does not exist.
    private func ask(_ servers: [IPAddress], _ question: DNSQuestion) async throws -> [IPAddress] {
        var problem = "no server answered"
        for _ in 0..<Self.attempts {
            for server in servers {
                let query = DNSMessage(query: question, id: UInt16(truncatingIfNeeded: random.next()))
                do {
                    var answer = try await withDeadline(Self.patience, clock, "asking \(server)") {
                        try await overUDP(query, server)
                    }
                    if answer.isTruncated {
                        answer = try await withDeadline(Self.patience, clock, "asking \(server)") {
                            try await overTCP(query, server)
                        }
                    }
                    if answer.code == .noError || answer.code == .nameError {
                        return answer.answers.compactMap { record in
                            if case .address(let address) = record.data { address } else { nil }
                        }
                    }
                    problem = "\(server) answered with code \(answer.code.rawValue)"
                } catch let error as CancellationError {
                    throw error
                } catch {
                    problem = "\(server): \(error)"
                }
            }
        }
        throw ImageError("\(question.name)", "cannot be looked up: \(problem)")
    }

    private func overUDP(_ query: DNSMessage, _ server: IPAddress) async throws -> DNSMessage {
        let any = server.isIPv6 ? IPAddress(v6High: 0, low: 0) : .any
        let socket = try await network.datagrams(on: .ip(any, port: 0))
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
        let connection = try await network.connect(to: .ip(server, port: 53))
        defer { connection.close() }
        let bytes = query.serialized()
        try await connection.write([UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes)
        var input: [UInt8] = []
        while input.count < 2 || input.count < 2 + (Int(input[0]) << 8 | Int(input[1])) {
            let piece = try await connection.read(atMost: 65_536)
            guard !piece.isEmpty else { throw ImageError("\(server)", "the answer ended too early") }
            input += piece
        }
        return try DNSMessage(parsing: Array(input[2..<2 + (Int(input[0]) << 8 | Int(input[1]))]))
    }
}
