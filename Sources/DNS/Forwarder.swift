import Basics
import Synchronization
import Wire

/// Asks the resolvers outside, one after the other, and remembers their answers for a while.
final class Forwarder: Sendable {
    private let rule: ForwardRule
    private let world: World
    private let log: Log
    private let metrics: DNSMetrics
    /// Nil where answers are not kept.
    private let cache: Mutex<AnswerCache?>
    private let inFlight = Atomic(0)
    private let turn = Atomic(0)
    private let looping = Atomic(false)
    /// A name nobody else asks for: whoever sees it come in is being asked by itself.
    private let probe: DNSName

    private static let patience: Duration = .seconds(2)

    init(_ rule: ForwardRule, cache limits: CacheLimits?, metrics: DNSMetrics = DNSMetrics(), world: World, log: Log) {
        self.rule = rule
        self.world = world
        self.log = log
        self.metrics = metrics
        cache = Mutex(
            limits.map {
                AnswerCache(
                    capacity: $0.capacity, longest: .seconds($0.found), longestAbsent: .seconds($0.absent))
            })
        let token = (0..<2).map { _ in String(world.random.next(), radix: 36) }.joined(separator: "-")
        probe = DNSName(labels: [Array(token.utf8), Array("lab-loop-probe".utf8), Array("invalid".utf8)]) ?? .root
    }

    private var upstreams: [Endpoint] { rule.upstreams }

    func isFor(_ name: DNSName) -> Bool {
        name.isWithin(rule.from) && !rule.except.contains { name.isWithin($0) }
    }

    /// What is known already; no one is asked.
    func remembered(_ query: DNSMessage) -> DNSMessage? {
        let (known, isKept) = cache.withLock { ($0?.answer(query, now: world.clock.uptime), $0 != nil) }
        if isKept { metrics.countCache(hit: known != nil) }
        return known
    }

    func probeQuery() -> DNSMessage {
        DNSMessage(query: DNSQuestion(probe, .hinfo), id: UInt16(truncatingIfNeeded: world.random.next()))
    }

    /// Sends the probe once. A resolver that forwards to us sends it back, and forwarding stops.
    func probeForLoops() async throws {
        guard !upstreams.isEmpty else { return }
        let query = probeQuery()
        for upstream in upstreams {
            do { _ = try await ask(upstream, query) } catch let error as CancellationError { throw error } catch {}
        }
    }

    /// Whether this query is the probe, which means that the upstream resolvers lead back here.
    func recognizes(_ query: DNSMessage) -> Bool {
        guard query.questions.first?.name == probe else { return false }
        if !looping.exchange(true, ordering: .relaxed) {
            log.error("the resolvers \(upstreams) forward to this server; names outside the cluster cannot be resolved")
        }
        return true
    }

    /// The outside world's answer. Never throws except when cancelled: failure is an answer too.
    func resolve(_ query: DNSMessage) async throws -> DNSMessage {
        if let known = cache.withLock({ $0?.answer(query, now: world.clock.uptime) }) { return known }
        guard !upstreams.isEmpty, !looping.load(ordering: .relaxed) else {
            return DNSMessage(answering: query, code: upstreams.isEmpty ? .refused : .serverFailure)
        }
        guard inFlight.add(1, ordering: .relaxed).newValue <= rule.mostConcurrent else {
            inFlight.subtract(1, ordering: .relaxed)
            return DNSMessage(answering: query, code: .serverFailure)
        }
        defer { inFlight.subtract(1, ordering: .relaxed) }
        let first: Int
        switch rule.policy {
        case .random: first = world.random.below(upstreams.count)
        case .round_robin: first = (turn.add(1, ordering: .relaxed).newValue & .max) % upstreams.count
        case .sequential: first = 0
        }
        var last = DNSMessage(answering: query, code: .serverFailure)
        for attempt in 0..<2 * upstreams.count {
            let upstream = upstreams[(first + attempt) % upstreams.count]
            do {
                var answer = try await ask(upstream, query)
                answer.id = query.id
                // Only a resolver in trouble says this; the next one may do better.
                if answer.code == .serverFailure || answer.code == .refused {
                    last = answer
                    continue
                }
                cache.withLock { $0?.store(answer, now: world.clock.uptime) }
                return answer
            } catch let error as CancellationError {
                throw error
            } catch {
                log.debug("\(upstream): \(error)")
            }
        }
        return last
    }

    private func ask(_ upstream: Endpoint, _ query: DNSMessage) async throws -> DNSMessage {
        var outgoing = query
        // A fresh id and, from the fresh socket, a fresh port: what a forger would have to guess.
        outgoing.id = UInt16(truncatingIfNeeded: world.random.next())
        outgoing.edns?.datagramSize = 1232
        outgoing.edns?.options = []
        let message = outgoing
        metrics.countForward(to: upstream)
        if rule.usesStreams { return try await withPatience { try await self.askByStream(upstream, message) } }
        let answer = try await withPatience { try await self.askByDatagram(upstream, message) }
        guard answer.isTruncated else { return answer }
        return try await withPatience { try await self.askByStream(upstream, message) }
    }

    private func matches(_ answer: DNSMessage, _ query: DNSMessage) -> Bool {
        answer.isResponse && answer.id == query.id && answer.questions == query.questions
    }

    private func askByDatagram(_ upstream: Endpoint, _ query: DNSMessage) async throws -> DNSMessage {
        guard case .ip(let address, _) = upstream else { throw DNSFormatError("\(upstream) is no resolver") }
        let any: IPAddress = address.isIPv6 ? IPAddress(v6High: 0, low: 0) : .any
        let socket = try await world.network.datagrams(on: .ip(any, port: 0))
        defer { socket.close() }
        try await socket.send(Datagram(bytes: query.serialized(), peer: upstream))
        while true {
            let datagram = try await socket.receive()
            guard datagram.peer == upstream, let answer = try? DNSMessage(parsing: datagram.bytes),
                matches(answer, query)
            else { continue }
            return answer
        }
    }

    private func askByStream(_ upstream: Endpoint, _ query: DNSMessage) async throws -> DNSMessage {
        let connection = try await world.network.connect(to: upstream)
        defer { connection.close() }
        try await StreamFraming.write(query.serialized(), to: connection)
        var framing = StreamFraming()
        while let bytes = try await framing.next(from: connection) {
            let answer = try DNSMessage(parsing: bytes)
            if matches(answer, query) { return answer }
        }
        throw DNSFormatError("\(upstream) hung up without an answer")
    }

    struct NoAnswer: Error, CustomStringConvertible {
        var description: String { "no answer within \(Forwarder.patience.inSeconds) seconds" }
    }

    private func withPatience(_ body: @escaping @Sendable () async throws -> DNSMessage) async throws -> DNSMessage {
        try await withThrowingTaskGroup(of: DNSMessage.self) { [world] group in
            group.addTask { try await body() }
            group.addTask {
                try await world.clock.sleep(for: Self.patience)
                throw NoAnswer()
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() else { throw NoAnswer() }
            return answer
        }
    }
}

/// DNS over a stream: each message behind its length in two bytes.
struct StreamFraming {
    private var buffer: [UInt8] = []

    /// The next message; nil at the end of the stream.
    mutating func next(from connection: any Connection) async throws -> [UInt8]? {
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

    static func write(_ message: [UInt8], to connection: any Connection) async throws {
        try await connection.write([UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message)
    }
}
