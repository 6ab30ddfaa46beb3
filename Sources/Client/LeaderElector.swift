import Basics
import Document
import Kinds
import Synchronization

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
    public var retryPeriod = Duration.seconds(2)

    private let client: APIClient
    private let world: World
    private let log: Log

    public init(
        _ client: APIClient, namespace: String = "kube-system", name: String, identity: String, world: World, log: Log
    ) {
        self.client = client
        self.namespace = namespace
        self.name = name
        self.identity = identity
        self.world = world
        self.log = log
    }

    public struct LeadershipLost: Error, Sendable, CustomStringConvertible {
        public let lease: String
        public var description: String { "the lease \(lease) could not be renewed in time" }
    }

    /// Waits for the lead, then runs `lead` for as long as the lease can be renewed.
    /// Throws `LeadershipLost` when it cannot: the caller starts over as a new candidate or ends.
    public func run(_ lead: @escaping @Sendable () async throws -> Void) async throws {
        var observation = LeaseObservation(identity: identity, duration: leaseDuration)
        while try await !attempt(&observation) { try await world.clock.sleep(for: jittered(retryPeriod)) }
        log.info("\(identity) leads \(namespace)/\(name)")
        let held = observation
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await lead() }
            group.addTask { try await self.keep(held) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func keep(_ held: LeaseObservation) async throws {
        var observation = held
        var lastRenewed = world.clock.uptime
        while world.clock.uptime - lastRenewed < renewDeadline {
            try await world.clock.sleep(for: retryPeriod)
            if try await attempt(&observation) { lastRenewed = world.clock.uptime }
        }
        throw LeadershipLost(lease: "\(namespace)/\(name)")
    }

    /// One try to acquire or renew; false where someone else holds the lease or the server did not answer.
    private func attempt(_ observation: inout LeaseObservation) async throws -> Bool {
        do {
            let current: Document?
            do {
                current = try await client.get(.leases, namespace: namespace, name: name)
            } catch let status as APIStatus where status.isNotFound {
                current = nil
            }
            guard let wanted = observation.claim(current, uptime: world.clock.uptime, now: world.clock.now) else {
                return false
            }
            var lease =
                current ?? [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": ["name": Document(name), "namespace": Document(namespace)],
                ]
            lease["spec"] = wanted
            let written =
                try await current == nil
                ? client.create(.leases, namespace: namespace, lease)
                : client.update(.leases, namespace: namespace, name: name, lease)
            observation.saw(written, uptime: world.clock.uptime)
            return true
        } catch {
            try Task.checkCancellation()
            log.debug("lease \(namespace)/\(name): \(error)")
            return false
        }
    }

    private func jittered(_ period: Duration) -> Duration {
        period * (1 + 0.2 * Double(world.random.below(1_000)) / 1_000)
    }
}

/// What a candidate has seen of the lease, and what it may claim.
struct LeaseObservation: Sendable {
    let identity: String
    let duration: Duration
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
