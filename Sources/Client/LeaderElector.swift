import Basics
import Document
import Kinds
import Synchronization
import Wire

/// One of several candidates does the work at a time: whoever renews the Lease.
///
/// Holders are compared by what *this* candidate saw and when it saw it, so that clocks need not agree:
/// a lease is stale once its record stayed the same for `leaseDuration` of our own time.
public struct LeaderElector: Sendable {
    public var namespace: String
    public var name: String
    public var identity: String
    public var leaseDuration = Duration.seconds(15)
    public var renewDeadline = Duration.seconds(10)
    /// How often a leader renews: seldom, for an idle cluster's sake, and often enough to fail once.
    public var renewPeriod = Duration.seconds(5)
    public var retryPeriod = Duration.seconds(2)
    /// How long a candidate waits at first when nobody refused the lease but nobody answered either, as while
    /// the server starts; each further wait is twice as long, up to `retryPeriod`.
    public var firstPause = Duration.milliseconds(10)

    private let client: APIClient
    private let world: World
    private let log: Log
    private let leadership: Leadership

    public init(
        _ client: APIClient, namespace: String = "kube-system", name: String, identity: String, world: World, log: Log
    ) {
        self.client = client
        self.namespace = namespace
        self.name = name
        self.identity = identity
        self.world = world
        self.log = log
        leadership = Leadership(lease: name, clock: world.clock)
    }

    public struct LeadershipLost: Error, Sendable, CustomStringConvertible {
        public let lease: String
        public var description: String { "the lease \(lease) could not be renewed in time" }
    }

    /// Whether this candidate leads now, to be shown to others.
    public var status: Leadership { leadership }

    /// Leads whenever it can: what loses the lead stops and becomes a candidate again.
    /// Returns when `lead` does, and when `stop` is woken: then the lease is free for the next one.
    public func runAlways(
        until stop: Wakeup = Wakeup(), _ lead: @escaping @Sendable () async throws -> Void
    ) async throws {
        while true {
            do { return try await run(until: stop, lead) } catch let lost as LeadershipLost {
                log.warning("\(identity) no longer leads: \(lost)")
            }
        }
    }

    /// Waits for the lead, then runs `lead` for as long as the lease can be renewed.
    /// Throws `LeadershipLost` when it cannot: the caller starts over as a new candidate or ends.
    public func run(
        until stop: Wakeup = Wakeup(), _ lead: @escaping @Sendable () async throws -> Void
    ) async throws {
        var observation = LeaseObservation(identity: identity, duration: leaseDuration)
        guard try await acquire(&observation, until: stop) else { return }
        log.info("\(identity) leads \(namespace)/\(name)")
        leadership.begin()
        defer { leadership.end() }
        let held = observation
        // The group ends only when all in it has ended, so nobody still works when the lease is given back.
        let isAsked = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await lead()
                return false
            }
            group.addTask {
                try await self.keep(held)
                return false
            }
            group.addTask {
                try await stop.wait(since: 0)
                return true
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        if isAsked {
            leadership.end()
            try await release()
        }
    }

    /// Answers whether it leads now; it does not when it was asked to stop before.
    private func acquire(_ observation: inout LeaseObservation, until stop: Wakeup) async throws -> Bool {
        var pause = min(firstPause, retryPeriod)
        while stop.ticket == 0 {
            switch try await attempt(&observation) {
            case .held: return true
            case .refused:
                pause = min(firstPause, retryPeriod)
                try await stop.wait(since: 0, atMost: jittered(retryPeriod), clock: world.clock)
            case .unanswered:
                try await stop.wait(since: 0, atMost: jittered(pause), clock: world.clock)
                pause = min(pause * 2, retryPeriod)
            }
        }
        return false
    }

    /// Gives the lease back, so that the next one need not wait for its end. Where that fails, it has to wait.
    private func release() async throws {
        do {
            try await withDeadline(.seconds(1), world.clock, "releasing the lease") {
                var lease = try await client.get(.leases, namespace: namespace, name: name)
                guard lease.text("spec", "holderIdentity") == identity else { return }
                let stamp = Document(world.clock.now.rfc3339(fractionDigits: 6))
                lease.set("", at: "spec", "holderIdentity")
                lease.set(1, at: "spec", "leaseDurationSeconds")
                lease.set(stamp, at: "spec", "acquireTime")
                lease.set(stamp, at: "spec", "renewTime")
                _ = try await client.update(.leases, namespace: namespace, name: name, lease)
            }
            log.info("\(identity) gave \(namespace)/\(name) back")
        } catch {
            try Task.checkCancellation()
            log.warning("\(identity) could not give \(namespace)/\(name) back: \(error)")
        }
    }

    private func keep(_ held: LeaseObservation) async throws {
        // Beside the renewals, which no slow answer to an event may hold up.
        async let announced: Void = announce(held.latest)
        try await renew(held)
        await announced
    }

    private func announce(_ lease: Document?) async {
        guard let lease else { return }
        await EventRecorder(client, component: name, world: world).record(
            lease, type: .normal, reason: "LeaderElection", message: "\(identity) became leader")
    }

    private func renew(_ held: LeaseObservation) async throws {
        var observation = held
        var lastRenewed = world.clock.uptime
        var pause = renewPeriod
        while world.clock.uptime - lastRenewed < renewDeadline {
            try await world.clock.sleep(for: pause)
            let left = renewDeadline - (world.clock.uptime - lastRenewed)
            // An answer that comes later than the deadline is none.
            if try await attempt(&observation, within: max(left, .milliseconds(1))) == .held {
                lastRenewed = world.clock.uptime
                leadership.begin()
                pause = renewPeriod
            } else {
                pause = min(retryPeriod, max(left, .milliseconds(1)))
            }
        }
        throw LeadershipLost(lease: "\(namespace)/\(name)")
    }

    /// What became of a try to acquire or renew.
    private enum Outcome {
        case held
        /// Someone else holds the lease, or was faster.
        case refused
        case unanswered
    }

    private func attempt(_ observation: inout LeaseObservation, within limit: Duration) async throws -> Outcome {
        let start = observation
        do {
            let (outcome, next) = try await withDeadline(limit, world.clock, "renewing the lease") {
                var copy = start
                return (try await attempt(&copy), copy)
            }
            if outcome == .held { observation = next } else { observation.latest = nil }
            return outcome
        } catch is HTTPTransport.TimedOut {
            observation.latest = nil
            return .unanswered
        }
    }

    private func attempt(_ observation: inout LeaseObservation) async throws -> Outcome {
        // Who wrote the lease last need not read it again: the write fails if another was faster.
        if let latest = observation.latest, try await write(latest, &observation) == .held { return .held }
        do {
            return try await write(try await client.get(.leases, namespace: namespace, name: name), &observation)
        } catch let status as APIStatus where status.isNotFound {
            return try await write(nil, &observation)
        } catch {
            return try failed(error)
        }
    }

    private func write(_ current: Document?, _ observation: inout LeaseObservation) async throws -> Outcome {
        guard let wanted = observation.claim(current, uptime: world.clock.uptime, now: world.clock.now) else {
            return .refused
        }
        var lease =
            current ?? [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["name": Document(name), "namespace": Document(namespace)],
            ]
        lease["spec"] = wanted
        do {
            let written =
                try await current == nil
                ? client.create(.leases, namespace: namespace, lease)
                : client.update(.leases, namespace: namespace, name: name, lease)
            observation.saw(written, uptime: world.clock.uptime)
            observation.latest = written
            return .held
        } catch {
            observation.latest = nil
            return try failed(error)
        }
    }

    private func failed(_ error: any Error) throws -> Outcome {
        try Task.checkCancellation()
        log.debug("lease \(namespace)/\(name): \(error)")
        let status = error as? APIStatus
        return status?.isConflict == true || status?.isAlreadyExists == true ? .refused : .unanswered
    }

    private func jittered(_ period: Duration) -> Duration {
        period * (1 + 0.2 * Double(world.random.below(1_000)) / 1_000)
    }
}

/// What a candidate has seen of the lease, and what it may claim.
struct LeaseObservation: Sendable {
    let identity: String
    let duration: Duration
    /// The lease as this candidate wrote it, while nothing speaks against it.
    var latest: Document?
    private var record: Document?
    private var seenAt = Duration.zero

    init(identity: String, duration: Duration) {
        self.identity = identity
        self.duration = duration
    }

    mutating func saw(_ lease: Document, uptime: Duration) {
        let spec = lease["spec"] ?? .emptyObject
        if spec != record {
            record = spec
            seenAt = uptime
        }
    }

    /// The spec to write in order to hold the lease; nil while another candidate's claim is good.
    mutating func claim(_ lease: Document?, uptime: Duration, now: Timestamp) -> Document? {
        if let lease { saw(lease, uptime: uptime) }
        let spec = lease?["spec"] ?? .emptyObject
        let holder = spec.text("holderIdentity") ?? ""
        let isOurs = holder == identity
        if !holder.isEmpty, !isOurs {
            let promised = spec.number("leaseDurationSeconds").map { Duration.seconds($0) } ?? duration
            if uptime - seenAt < promised { return nil }
        }
        let stamp = Document(now.rfc3339(fractionDigits: 6))
        var wanted = spec
        wanted["holderIdentity"] = Document(identity)
        wanted["leaseDurationSeconds"] = Document(Int(duration.wholeSeconds))
        wanted["renewTime"] = stamp
        if !isOurs || spec["acquireTime"] == nil { wanted["acquireTime"] = stamp }
        if !isOurs {
            wanted["leaseTransitions"] = Document(lease == nil ? 0 : (spec.number("leaseTransitions") ?? 0) + 1)
        }
        return wanted
    }
}

/// Whether a candidate leads, and whether it keeps up its lease.
public final class Leadership: MetricsSource {
    private struct State {
        var leads = false
        var renewed = Duration.zero
    }

    /// A leader that is so much later than its lease allows is ill.
    private static let tolerance = Duration.seconds(20)
    public let lease: String
    private let clock: any WorldClock
    private let state = Mutex(State())

    init(lease: String, clock: any WorldClock) {
        self.lease = lease
        self.clock = clock
    }

    public var leads: Bool { state.withLock { $0.leads } }

    /// False where it believes to lead although its lease ran out long ago: it hangs, and should be restarted.
    public func isSound(leaseDuration: Duration = .seconds(15)) -> Bool {
        let now = clock.uptime
        return state.withLock { !$0.leads || now - $0.renewed <= leaseDuration + Self.tolerance }
    }

    func begin() {
        let now = clock.uptime
        state.withLock { $0 = State(leads: true, renewed: now) }
    }

    func end() { state.withLock { $0.leads = false } }

    public func write(to text: inout MetricsText) {
        text.family(
            "leader_election_master_status", .gauge, "1 where this process holds the lease, 0 where it waits for it",
            [([(name: "name", value: lease)], leads ? 1 : 0)])
    }
}
