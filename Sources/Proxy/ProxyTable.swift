import Basics

/// What a change of services means for the rule set, with nothing in it that stays as it was.
public struct ProxyChange: Sendable, Equatable {
    public struct FrontendChange: Sendable, Equatable {
        public var old: FrontendPlan?
        public var new: FrontendPlan?
    }

    public var frontends: [Frontend: FrontendChange] = [:]
    public var addedClusterAddresses: Set<IPAddress> = []
    public var removedClusterAddresses: Set<IPAddress> = []
    public var addedLocalEndpoints: Set<IPAddress> = []
    public var removedLocalEndpoints: Set<IPAddress> = []

    public init() {}

    public var isEmpty: Bool { self == ProxyChange() }
}

/// All services of one node. Where two services claim one frontend, the one whose key sorts first has it,
/// and the other gets it once the first lets go.
public struct ProxyTable: Sendable {
    private var plans: [String: ServicePlan] = [:]
    private var claims: [Frontend: [String]] = [:]
    private var clusterAddresses = Counted()
    private var localEndpoints = Counted()
    /// The few services that are answered for here or asked about, so that nobody has to look through all.
    private var balancers: [String: ServicePlan] = [:]

    public init() {}

    public var serviceCount: Int { plans.count }

    public func effective(_ frontend: Frontend) -> FrontendPlan? {
        claims[frontend]?.first.flatMap { plans[$0]?.frontends[frontend] }
    }

    public var announced: Set<IPAddress> { balancers.values.reduce(into: []) { $0.formUnion($1.announced) } }
    public var healthChecks: [HealthCheck] { balancers.values.compactMap(\.healthCheck) }

    /// Takes new plans (nil for services that are gone) and says what changes by them.
    public mutating func update(_ updates: some Collection<(key: String, plan: ServicePlan?)>) -> ProxyChange {
        var before: [Frontend: FrontendPlan?] = [:]
        clusterAddresses.mark()
        localEndpoints.mark()
        for (key, plan) in updates {
            let old = plans[key] ?? ServicePlan()
            let new = plan ?? ServicePlan()
            if old == new { continue }
            for frontend in old.frontends.keys where before[frontend] == nil {
                before[frontend] = .some(effective(frontend))
            }
            for frontend in new.frontends.keys where before[frontend] == nil {
                before[frontend] = .some(effective(frontend))
            }
            for frontend in old.frontends.keys where new.frontends[frontend] == nil { unclaim(frontend, key) }
            for frontend in new.frontends.keys where old.frontends[frontend] == nil { claim(frontend, key) }
            clusterAddresses.replace(old.clusterAddresses, by: new.clusterAddresses)
            localEndpoints.replace(old.localEndpoints, by: new.localEndpoints)
            plans[key] = new == ServicePlan() ? nil : new
            balancers[key] = new.announced.isEmpty && new.healthCheck == nil ? nil : new
        }
        var change = ProxyChange()
        for (frontend, old) in before {
            let new = effective(frontend)
            if old != new { change.frontends[frontend] = ProxyChange.FrontendChange(old: old, new: new) }
        }
        (change.addedClusterAddresses, change.removedClusterAddresses) = clusterAddresses.changes
        (change.addedLocalEndpoints, change.removedLocalEndpoints) = localEndpoints.changes
        return change
    }

    /// Everything, as a change from nothing.
    public var whole: ProxyChange {
        var change = ProxyChange()
        for frontend in claims.keys {
            change.frontends[frontend] = ProxyChange.FrontendChange(old: nil, new: effective(frontend))
        }
        change.addedClusterAddresses = clusterAddresses.members
        change.addedLocalEndpoints = localEndpoints.members
        return change
    }

    private mutating func claim(_ frontend: Frontend, _ key: String) {
        var keys = claims[frontend] ?? []
        keys.append(key)
        claims[frontend] = keys.sorted()
    }

    private mutating func unclaim(_ frontend: Frontend, _ key: String) {
        claims[frontend]?.removeAll { $0 == key }
        if claims[frontend]?.isEmpty == true { claims[frontend] = nil }
    }
}

/// A set whose members several owners hold; remembers what came and went since `mark`.
private struct Counted: Sendable {
    private var counts: [IPAddress: Int] = [:]
    private var before: [IPAddress: Bool] = [:]

    var members: Set<IPAddress> { Set(counts.keys) }

    mutating func mark() { before = [:] }

    mutating func replace(_ old: Set<IPAddress>, by new: Set<IPAddress>) {
        for address in old.symmetricDifference(new) {
            if before[address] == nil { before[address] = counts[address] != nil }
            let count = (counts[address] ?? 0) + (new.contains(address) ? 1 : -1)
            counts[address] = count == 0 ? nil : count
        }
    }

    var changes: (added: Set<IPAddress>, removed: Set<IPAddress>) {
        let added = before.filter { !$0.value && counts[$0.key] != nil }.keys
        let removed = before.filter { $0.value && counts[$0.key] == nil }.keys
        return (Set(added), Set(removed))
    }
}
