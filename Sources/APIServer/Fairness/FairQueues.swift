/// One level's seats and queues: pure bookkeeping, times handed in.
///
/// A request takes seats while it runs. Where none are free it waits in the shortest queue of its flow's hand, and queues
/// are served by start-time fair queuing: virtual time runs at the pace at which one of the busy queues would be served
/// if all got the same, every queue knows the virtual time at which its next request would begin, and the request that
/// would end first goes first. So a queue's share does not depend on how much waits in it.
struct FairQueues: Sendable {
    struct Waiting: Sendable {
        var id: UInt64
        var work: WorkEstimate
        var arrived: Double
        var virtualArrival: Double
        var schema: Int
    }

    struct Queue: Sendable {
        var waiting: [Waiting] = []
        var waitingSeats = 0
        var executing = 0
        var seatsInUse = 0
        /// The virtual time at which its next request would begin.
        var nextStart = 0.0

        var isIdle: Bool { waiting.isEmpty && executing == 0 }
    }

    /// A request that runs.
    struct Running: Sendable, Equatable {
        var id: UInt64
        /// Negative where the level has no queues.
        var queue: Int
        var work: WorkEstimate
        var started: Double
        var waited: Double
        var schema: Int
    }

    enum Decision: Sendable, Equatable {
        case run(Running)
        case wait
        case reject(Rejection)
    }

    enum Rejection: String, Sendable {
        case queueFull = "queue-full"
        case concurrencyLimit = "concurrency-limit"
        case timeOut = "time-out"
        case cancelled
    }

    private(set) var queues: [Queue] = []
    private(set) var executing = 0
    private(set) var seatsInUse = 0
    private(set) var waiting = 0
    private(set) var waitingSeats = 0
    private(set) var virtualTime = 0.0
    private var busyQueues = 0
    private var advanced = 0.0
    private var robin = 0
    private var response = PriorityLevel.Response.exempt
    private var limit = 0

    /// How long a request is thought to take before it is known, in seconds.
    private static let expectedService = 0.003

    var isIdle: Bool { executing == 0 && waiting == 0 && seatsInUse == 0 }
    /// Seats that would be used if there were enough.
    var demand: Int { seatsInUse + waitingSeats }

    mutating func configure(_ response: PriorityLevel.Response, limit: Int, now: Double) {
        advance(to: now)
        self.response = response
        self.limit = limit
        guard case .queue(let wanted, _, _) = response else { return }
        while queues.count < wanted { queues.append(Queue(nextStart: virtualTime)) }
        // Queues beyond the wanted number get no new requests, and go once they are done.
        while queues.count > wanted, queues.last?.isIdle == true { queues.removeLast() }
    }

    private mutating func advance(to now: Double) {
        let span = now - advanced
        guard span > 0 else { return }
        advanced = now
        guard busyQueues > 0 else { return }
        virtualTime += span * Double(min(demand, limit)) / Double(busyQueues)
    }

    // MARK: Arrival

    mutating func arrive(
        _ id: UInt64, _ work: WorkEstimate, hash: UInt64, schema: Int, now: Double
    ) -> Decision {
        advance(to: now)
        switch response {
        case .exempt: return .run(start(id, work, queue: -1, waited: 0, schema: schema, now: now))
        case .reject:
            guard hasRoom(for: work) else { return .reject(.concurrencyLimit) }
            return .run(start(id, work, queue: -1, waited: 0, schema: schema, now: now))
        case .queue(let count, let hand, let lengthLimit):
            let queue = shortest(hash, count, hand)
            if executing >= limit, queues[queue].waiting.count >= lengthLimit { return .reject(.queueFull) }
            // With nobody waiting and seats free the request would be the one that is chosen.
            if waiting == 0, hasRoom(for: work) {
                wake(queue)
                return .run(begin(id, work, queue: queue, waited: 0, schema: schema, now: now))
            }
            wake(queue)
            queues[queue].waiting.append(
                Waiting(id: id, work: work, arrived: now, virtualArrival: virtualTime, schema: schema))
            queues[queue].waitingSeats += work.most
            waiting += 1
            waitingSeats += work.most
            return .wait
        }
    }

    /// A queue that nobody used starts at the present, whatever it was owed.
    private mutating func wake(_ queue: Int) {
        guard queues[queue].isIdle else { return }
        queues[queue].nextStart = virtualTime
        busyQueues += 1
    }

    private func shortest(_ hash: UInt64, _ count: Int, _ hand: Int) -> Int {
        var best = -1
        var least = Int.max
        ShuffleSharding.deal(hash, deck: count, hand: hand) { queue in
            let load = queues[queue].waitingSeats + queues[queue].seatsInUse
            if load < least {
                least = load
                best = queue
            }
        }
        return best
    }

    /// A request wider than the whole level runs alone.
    private func hasRoom(for work: WorkEstimate) -> Bool {
        let seats = work.most
        return seats > limit ? seatsInUse == 0 : seatsInUse + seats <= limit
    }

    private mutating func begin(
        _ id: UInt64, _ work: WorkEstimate, queue: Int, waited: Double, schema: Int, now: Double
    ) -> Running {
        queues[queue].nextStart += Self.expectedService * Double(work.seats)
        queues[queue].executing += 1
        queues[queue].seatsInUse += work.most
        return start(id, work, queue: queue, waited: waited, schema: schema, now: now)
    }

    private mutating func start(
        _ id: UInt64, _ work: WorkEstimate, queue: Int, waited: Double, schema: Int, now: Double
    ) -> Running {
        executing += 1
        seatsInUse += work.most
        return Running(id: id, queue: queue, work: work, started: now, waited: waited, schema: schema)
    }

    // MARK: End

    /// The request is done; what its effects still need is released by `release`.
    mutating func finish(_ running: Running, now: Double) {
        advance(to: now)
        executing -= 1
        if running.queue >= 0 {
            // The guess at its duration gives way to the truth.
            let excess = (now - running.started) - Self.expectedService
            queues[running.queue].nextStart += excess * Double(running.work.seats)
            queues[running.queue].executing -= 1
            if queues[running.queue].isIdle { busyQueues -= 1 }
        }
        release(running.work.most - running.work.lingering, queue: running.queue)
    }

    /// The seats that outlived their request are free again.
    mutating func release(lingering running: Running, now: Double) {
        advance(to: now)
        release(running.work.lingering, queue: running.queue)
    }

    private mutating func release(_ seats: Int, queue: Int) {
        seatsInUse -= seats
        if queue >= 0 { queues[queue].seatsInUse -= seats }
    }

    /// The next request that may run; nil where none waits or the one whose turn it is needs more seats than are free.
    mutating func next(now: Double) -> Running? {
        guard waiting > 0, seatsInUse < limit || seatsInUse == 0 else { return nil }
        advance(to: now)
        guard let chosen = chosenQueue(), let first = queues[chosen].waiting.first, hasRoom(for: first.work) else {
            return nil
        }
        queues[chosen].waiting.removeFirst()
        leave(chosen, first)
        queues[chosen].nextStart = max(queues[chosen].nextStart, first.virtualArrival)
        robin = chosen + 1
        return begin(
            first.id, first.work, queue: chosen, waited: now - first.arrived, schema: first.schema, now: now)
    }

    private mutating func leave(_ queue: Int, _ request: Waiting) {
        queues[queue].waitingSeats -= request.work.most
        waiting -= 1
        waitingSeats -= request.work.most
    }

    /// The queue whose first request would end first; among equals they take turns.
    private func chosenQueue() -> Int? {
        var best: Int?
        var earliest = Double.infinity
        for step in queues.indices {
            let index = (robin + step) % queues.count
            guard let first = queues[index].waiting.first else { continue }
            let end = queues[index].nextStart + Self.expectedService * Double(first.work.most)
            if end < earliest {
                earliest = end
                best = index
            }
        }
        return best
    }

    /// Takes a request that waits out of its queue; nil where it does not wait any more.
    mutating func abandon(_ id: UInt64, now: Double) -> Waiting? {
        advance(to: now)
        for index in queues.indices {
            guard let place = queues[index].waiting.firstIndex(where: { $0.id == id }) else { continue }
            let request = queues[index].waiting.remove(at: place)
            leave(index, request)
            if queues[index].isIdle { busyQueues -= 1 }
            return request
        }
        return nil
    }
}
