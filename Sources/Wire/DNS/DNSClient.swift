import Basics

/// Asks one DNS server: over UDP, and over TCP where the answer is too long for that.
public struct DNSClient: Sendable {
    private let network: any Network
    private let clock: any WorldClock
    private let random: any Randomness
    /// For one attempt; the second, over TCP, gets as long again.
    private let patience: Duration

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        public init(description: String) { self.description = description }
    }

    public init(network: any Network, clock: any WorldClock, random: any Randomness, patience: Duration) {
        self.network = network
        self.clock = clock
        self.random = random
        self.patience = patience
    }

    public init(world: World, patience: Duration) {
        self.init(network: world.network, clock: world.clock, random: world.random, patience: patience)
    }

    /// - overStream: asks over TCP from the start.
    public func ask(_ server: Endpoint, _ query: DNSMessage, overStream: Bool = false) async throws -> DNSMessage {
        var outgoing = query
        // A fresh id and, from the fresh socket, a fresh port: what a forger would have to guess.
        outgoing.id = UInt16(truncatingIfNeeded: random.next())
        let message = outgoing
        var answer: DNSMessage?
        if !overStream { answer = try await limited(server) { try await byDatagram(server, message) } }
        if answer?.isTruncated != false { answer = try await limited(server) { try await byStream(server, message) } }
        guard var answer else { throw Failure(description: "\(server) did not answer") }
        answer.id = query.id
        return answer
    }

    private func limited(
        _ server: Endpoint, _ body: @escaping @Sendable () async throws -> DNSMessage
    ) async throws -> DNSMessage {
        try await withDeadline(patience, clock, "asking \(server)", body)
    }

    private func byDatagram(_ server: Endpoint, _ query: DNSMessage) async throws -> DNSMessage {
        guard case .ip(let address, _) = server else { throw Failure(description: "\(server) is no DNS server") }
        let any: IPAddress = address.isIPv6 ? IPAddress(v6High: 0, low: 0) : .any
        let socket = try await network.datagrams(on: .ip(any, port: 0))
        defer { socket.close() }
        try await socket.send(Datagram(bytes: query.serialized(), peer: server))
        while true {
            let datagram = try await socket.receive()
            // Whatever else arrives is not what was asked for.
            guard datagram.peer == server, let answer = try? DNSMessage(parsing: datagram.bytes),
                Self.answers(answer, query)
            else { continue }
            return answer
        }
    }

    private func byStream(_ server: Endpoint, _ query: DNSMessage) async throws -> DNSMessage {
        let connection = try await network.connect(to: server)
        defer { connection.close() }
        try await DNSStreamFraming.write(query.serialized(), to: connection)
        var framing = DNSStreamFraming()
        while let bytes = try await framing.next(from: connection) {
            let answer = try DNSMessage(parsing: bytes)
            if Self.answers(answer, query) { return answer }
        }
        throw Failure(description: "\(server) hung up without an answer")
    }

    private static func answers(_ answer: DNSMessage, _ query: DNSMessage) -> Bool {
        answer.id == query.id && answer.isResponse && answer.questions == query.questions
    }
}

/// DNS over a stream: each message behind its length in two bytes.
public struct DNSStreamFraming {
    private var buffer: [UInt8] = []

    public init() {}

    /// The next message; nil at the end of the stream.
    public mutating func next(from connection: any Connection) async throws -> [UInt8]? {
        while true {
            if buffer.count >= 2 {
                let length = Int(buffer[0]) << 8 | Int(buffer[1])
                if buffer.count >= 2 + length {
                    defer { buffer.removeFirst(2 + length) }
                    return Array(buffer[2..<2 + length])
                }
            }
            let bytes = try await connection.read(atMost: 16 << 10)
            if bytes.isEmpty { return nil }
            buffer += bytes
        }
    }

    public static func write(_ message: [UInt8], to connection: any Connection) async throws {
        try await connection.write([UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message)
    }
}
