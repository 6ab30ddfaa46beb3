import Basics
import Synchronization
import Wire

/// Asks the resolvers outside, one after the other, and remembers their answers for a while.
final class Forwarder: Sendable {
    private let rule: ForwardRule
    private let world: World
    private let client: DNSClient
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
        client = DNSClient(world: world, patience: Self.patience)
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
                let answer = try await ask(upstream, query)
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
        outgoing.edns?.datagramSize = 1232
        outgoing.edns?.options = []
        metrics.countForward(to: upstream)
        return try await client.ask(upstream, outgoing, overStream: rule.usesStreams)
    }
}
