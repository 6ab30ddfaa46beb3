/// Which request runs, waits or is turned away, over all priority levels. Pure: events and times come in, decisions go
/// out; whoever drives it carries them out.
struct FairDispatcher: Sendable {
    struct Level: Sendable {
        var settings: PriorityLevel
        var limits = SeatLimits()
        var queues = FairQueues()
        var demand = SeatDemand()
        var statistics = SeatDemandStatistics()
        /// Its object is gone; it goes when its last request has.
        var isQuiescing = false
        /// The most seats that one request may be given; nil where only the general bound holds.
        var mostSeats: Int?
        /// What the last adjustment aimed at.
        var target = 0.0
    }

    /// A running request, to be handed back to `finish`.
    struct Ticket: Sendable, Equatable {
        var level: Int
        var running: FairQueues.Running
    }

    enum Decision: Sendable, Equatable {
        case run(Ticket)
        /// Waits under this number; it will turn up among the ready, unless it is abandoned.
        case wait(UInt64)
        case reject(FairQueues.Rejection)
    }

    private struct Lingering: Sendable {
        var until: Double
        var ticket: Ticket
    }

    /// Seats of the whole server.
    let total: Int
    /// Levels by their place, which stays while a level has requests.
    private(set) var levels: [Level?] = []
    private(set) var places: [String: Int] = [:]
    private(set) var proportion = 0.0
    /// Requests that waited and may run now.
    private var ready: [Ticket] = []
    private var lingering: [Lingering] = []
    private var lastID: UInt64 = 0
    private var adjusted = 0.0
    private(set) var waiting = 0

    private static let adjustmentPeriod = 10.0

    init(total: Int, now: Double) {
        self.total = total
        adjusted = now
        configure(PriorityLevel.mandatory, now: now)
    }

    // MARK: Configuration

    /// Takes over the levels that there are now; the mandatory ones are always there.
    mutating func configure(_ given: [PriorityLevel], now: Double) {
        var wanted = given
        for level in PriorityLevel.mandatory where !given.contains(where: { $0.name == level.name }) {
            wanted.append(level)
        }
        let names = Set(wanted.map(\.name))
        for settings in wanted {
            if let place = places[settings.name] {
                levels[place]?.settings = settings
                levels[place]?.isQuiescing = false
            } else {
                add(settings, now: now)
            }
        }
        for (name, place) in places where !names.contains(name) {
            levels[place]?.isQuiescing = true
            dropIfDone(place)
        }
        divideSeats(now: now)
    }

    private mutating func add(_ settings: PriorityLevel, now: Double) {
        var level = Level(settings: settings)
        // Its limits are new, so that the first division sets where it begins.
        level.demand.set(0, now: now)
        _ = level.demand.take(now: now)
        if let free = levels.firstIndex(where: { $0 == nil }) {
            levels[free] = level
            places[settings.name] = free
        } else {
            places[settings.name] = levels.count
            levels.append(level)
        }
    }

    private mutating func dropIfDone(_ place: Int) {
        guard let level = levels[place], level.isQuiescing, level.queues.isIdle else { return }
        guard !lingering.contains(where: { $0.ticket.level == place }) else { return }
        levels[place] = nil
        places[level.settings.name] = nil
    }

    private mutating func divideSeats(now: Double) {
        let shareSum = levels.reduce(0) { $0 + ($1?.settings.shares ?? 0) }
        for place in levels.indices {
            guard let level = levels[place] else { continue }
            let isNew = level.limits == SeatLimits()
            let current = level.limits.current
            var limits = SeatLimits(level.settings, total: total, shareSum: shareSum)
            if !isNew { limits.current = current }
            levels[place]?.limits = limits
            if case .queue(_, let hand, _) = level.settings.response {
                // A fair part of the level, so that one wide request cannot fill it.
                let part = min(Int((Double(limits.nominal) * 0.15).rounded(.up)), limits.nominal / hand)
                levels[place]?.mostSeats = max(1, part)
            } else {
                levels[place]?.mostSeats = nil
            }
        }
        adjust(now: now)
    }

    // MARK: Borrowing

    /// Moves seats from levels that do not need them to levels that do, within the bounds of each.
    private mutating func adjust(now: Double) {
        adjusted = now
        var claims: [FairDivision.Claim] = []
        var sum = 0
        let present = levels.indices.filter { levels[$0] != nil }
        for place in present {
            if let seen = levels[place]?.demand.take(now: now) { levels[place]?.statistics.update(seen) }
            guard let level = levels[place] else { continue }
            sum += level.limits.nominal
            let low = max(
                Double(level.limits.low), min(Double(level.limits.nominal), level.statistics.highest))
            let target = max(low, level.statistics.smoothed)
            levels[place]?.target = target
            claims.append(.init(low: low, high: Double(level.limits.high), target: target))
        }
        if let (parts, proportion) = FairDivision.divide(Double(sum), claims) {
            self.proportion = proportion
            for (place, part) in zip(present, parts) { levels[place]?.limits.current = Int(part.rounded()) }
        }
        for place in present {
            guard let level = levels[place] else { continue }
            levels[place]?.queues.configure(
                level.settings.response, limit: level.limits.current, now: now)
            dispatch(place, now: now)
        }
    }

    // MARK: Requests

    func mostSeats(level name: String) -> Int? { places[name].flatMap { levels[$0]?.mostSeats } }

    /// A request for a level that exists.
    mutating func arrive(
        level name: String, schema: Int, hash: UInt64, work: WorkEstimate, now: Double
    ) -> Decision {
        tick(now: now)
        // Without its level a request is the catch-all's, which always exists.
        guard let place = places[name] ?? places["catch-all"] else { return .reject(.concurrencyLimit) }
        lastID += 1
        let id = lastID
        guard
            let decision = levels[place]?.queues.arrive(id, work, hash: hash, schema: schema, now: now)
        else { return .reject(.concurrencyLimit) }
        noteDemand(place, now: now)
        switch decision {
        case .run(let running): return .run(Ticket(level: place, running: running))
        case .reject(let why): return .reject(why)
        case .wait:
            waiting += 1
            return .wait(id)
        }
    }

    mutating func finish(_ ticket: Ticket, now: Double) {
        tick(now: now)
        levels[ticket.level]?.queues.finish(ticket.running, now: now)
        if ticket.running.work.lingering > 0 {
            lingering.append(Lingering(until: now + ticket.running.work.lingeringTime, ticket: ticket))
        }
        settle(ticket.level, now: now)
    }

    /// The request will not be carried out: its client is gone, or it has waited too long. False where it no longer
    /// waits, because its turn has come.
    mutating func abandon(_ id: UInt64, now: Double) -> Bool {
        for place in levels.indices {
            guard levels[place]?.queues.abandon(id, now: now) != nil else { continue }
            waiting -= 1
            settle(place, now: now)
            return true
        }
        return false
    }

    private mutating func settle(_ place: Int, now: Double) {
        dispatch(place, now: now)
        noteDemand(place, now: now)
        if levels[place]?.isQuiescing == true { dropIfDone(place) }
    }

    private mutating func noteDemand(_ place: Int, now: Double) {
        guard let demand = levels[place]?.queues.demand else { return }
        levels[place]?.demand.set(demand, now: now)
    }

    private mutating func dispatch(_ place: Int, now: Double) {
        while let running = levels[place]?.queues.next(now: now) {
            waiting -= 1
            ready.append(Ticket(level: place, running: running))
        }
    }

    // MARK: Time

    /// When something has to happen although no request comes or ends; nil where nothing does.
    var nextRelease: Double? { waiting > 0 ? lingering.map(\.until).min() : nil }

    /// What is due by now.
    mutating func tick(now: Double) {
        if !lingering.isEmpty {
            let due = lingering.filter { $0.until <= now }
            lingering.removeAll { $0.until <= now }
            for entry in due {
                levels[entry.ticket.level]?.queues.release(lingering: entry.ticket.running, now: now)
                settle(entry.ticket.level, now: now)
            }
        }
        if now - adjusted >= Self.adjustmentPeriod { adjust(now: now) }
    }

    /// The requests whose turn has come since the last call.
    mutating func takeReady() -> [Ticket] {
        if ready.isEmpty { return [] }
        defer { ready = [] }
        return ready
    }
}
