import Basics
import Document
import Kinds
import Testing

@testable import APIServer

/// The decisions of priority and fairness, with times made up.
@Suite struct FairDispatcherTests {
    private static func level(
        _ name: String, shares: Int = 30, lendable: Int = 0, borrowing: Int? = 0, queues: Int? = 1, hand: Int = 1,
        length: Int = 2
    ) throws -> PriorityLevel {
        var limited: Document = [
            "nominalConcurrencyShares": Document(shares), "lendablePercent": Document(lendable),
            "limitResponse": ["type": queues == nil ? "Reject" : "Queue"],
        ]
        if let borrowing { limited["borrowingLimitPercent"] = Document(borrowing) }
        if let queues {
            limited.set(
                ["queues": Document(queues), "handSize": Document(hand), "queueLengthLimit": Document(length)],
                at: "limitResponse", "queuing")
        }
        return try #require(
            PriorityLevel([
                "metadata": ["name": Document(name), "uid": Document("uid-" + name)],
                "spec": ["type": "Limited", "limited": limited],
            ]))
    }

    /// A server whose only level of interest has `seats` seats: the catch-all gets no share.
    private static func dispatcher(seats: Int, _ level: PriorityLevel) throws -> FairDispatcher {
        var dispatcher = FairDispatcher(total: seats, now: 0)
        let rest = try Self.level("catch-all", shares: 0, queues: nil)
        dispatcher.configure([level, rest], now: 0)
        return dispatcher
    }

    private static func running(_ decision: FairDispatcher.Decision) throws -> FairDispatcher.Ticket {
        guard case .run(let ticket) = decision else {
            Issue.record("it should run: \(decision)")
            throw CancellationError()
        }
        return ticket
    }

    @Test func sharesBecomeTheLimitsThatKubernetesGives() {
        var dispatcher = FairDispatcher(total: 600, now: 0)
        dispatcher.configure(Kinds.bootstrapPriorityLevels.compactMap(PriorityLevel.init), now: 0)
        var limits: [String: [Int]] = [:]
        for level in dispatcher.levels.compactMap({ $0 }) {
            limits[level.settings.name] = [level.limits.nominal, level.limits.low, level.limits.high]
        }
        #expect(
            limits == [
                "catch-all": [13, 13, 613], "exempt": [0, 0, 600], "global-default": [49, 24, 649],
                "leader-election": [25, 25, 625], "node-high": [98, 73, 698], "system": [74, 50, 674],
                "workload-high": [98, 49, 698], "workload-low": [245, 24, 845],
            ])
        #expect(dispatcher.mostSeats(level: "workload-low") == 37)
        #expect(dispatcher.mostSeats(level: "catch-all") == nil)
        // All seats are given out, whoever has them.
        let current = dispatcher.levels.compactMap { $0?.limits.current }.reduce(0, +)
        let nominal = limits.values.reduce(0) { $0 + $1[0] }
        #expect(abs(current - nominal) <= limits.count)
    }

    @Test func whatFindsNoSeatWaitsInOrderAndThenIsTurnedAway() throws {
        var dispatcher = try Self.dispatcher(seats: 1, Self.level("l", length: 2))
        let first = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1))
        guard case .wait(let second) = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1),
            case .wait(let third) = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1)
        else {
            Issue.record("the second and third should wait")
            return
        }
        let fourth = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1)
        #expect(fourth == .reject(.queueFull))
        #expect(dispatcher.waiting == 2)
        dispatcher.finish(first, now: 2)
        let next = dispatcher.takeReady()
        #expect(next.map(\.running.id) == [second])
        #expect(next.first?.running.waited == 1)
        let abandoned = [third, third, second].map { dispatcher.abandon($0, now: 3) }
        #expect(abandoned == [true, false, false])
        #expect(dispatcher.waiting == 0)
    }

    @Test func aLevelWithoutQueuesTurnsAwayAtOnce() throws {
        var dispatcher = try Self.dispatcher(seats: 1, Self.level("l", queues: nil))
        let first = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1))
        let second = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1)
        #expect(second == .reject(.concurrencyLimit))
        dispatcher.finish(first, now: 2)
        _ = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 2))
    }

    @Test func exemptRequestsNeverWait() throws {
        var dispatcher = FairDispatcher(total: 1, now: 0)
        for _ in 0..<100 {
            _ = try Self.running(dispatcher.arrive(level: "exempt", schema: 0, hash: 0, work: .one, now: 1))
        }
    }

    @Test func requestsOfAMissingLevelAreTheCatchAlls() throws {
        var dispatcher = try Self.dispatcher(seats: 1, Self.level("l"))
        let ticket = try Self.running(
            dispatcher.arrive(level: "gone", schema: 0, hash: 0, work: .one, now: 1))
        #expect(dispatcher.levels[ticket.level]?.settings.name == "catch-all")
    }

    /// One flow floods, another sends a request now and then: the second does not wait for the first's queue.
    @Test func aFloodDoesNotHoldUpOtherFlows() throws {
        var dispatcher = try Self.dispatcher(seats: 1, Self.level("l", queues: 8, hand: 1, length: 50))
        var running = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 0))
        for _ in 0..<20 { _ = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 0) }
        guard case .wait(let other) = dispatcher.arrive(level: "l", schema: 0, hash: 1, work: .one, now: 0) else {
            Issue.record("it should wait")
            return
        }
        var order: [UInt64] = []
        var now = 0.0
        while true {
            now += 0.01
            dispatcher.finish(running, now: now)
            guard let next = dispatcher.takeReady().first else { break }
            order.append(next.running.id)
            running = next
        }
        #expect(order.count == 21)
        #expect(order.firstIndex(of: other).map { $0 <= 1 } == true)
    }

    /// Two busy flows share the seats evenly, whatever the length of their queues and the duration of their requests.
    @Test func busyFlowsGetEqualTime() throws {
        var dispatcher = try Self.dispatcher(seats: 1, Self.level("l", queues: 8, hand: 1, length: 200))
        var flowOf: [UInt64: Int] = [:]
        func send(_ flow: Int, _ dispatcher: inout FairDispatcher, _ now: Double) -> FairDispatcher.Ticket? {
            switch dispatcher.arrive(level: "l", schema: 0, hash: UInt64(flow), work: .one, now: now) {
            case .run(let ticket):
                flowOf[ticket.running.id] = flow
                return ticket
            case .wait(let id):
                flowOf[id] = flow
                return nil
            case .reject: return nil
            }
        }
        let started = send(0, &dispatcher, 0)
        var running = try #require(started)
        for _ in 0..<150 { _ = send(0, &dispatcher, 0) }
        for _ in 0..<150 { _ = send(1, &dispatcher, 0) }
        var time = [0.0, 0.0]
        var now = 0.0
        for _ in 0..<100 {
            let flow = flowOf[running.running.id] ?? 0
            // Requests of the second flow take three times as long.
            let duration = flow == 0 ? 0.01 : 0.03
            now += duration
            time[flow] += duration
            dispatcher.finish(running, now: now)
            let ready = dispatcher.takeReady()
            running = try #require(ready.first)
        }
        #expect(abs(time[0] - time[1]) < 0.1)
    }

    @Test func wideRequestsTakeSeveralSeats() throws {
        var dispatcher = try Self.dispatcher(seats: 10, Self.level("l"))
        let wide = WorkEstimate(seats: 8)
        let first = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: wide, now: 0))
        guard case .wait = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: wide, now: 0) else {
            Issue.record("there is no room for a second")
            return
        }
        // Narrow ones stay behind it, or it would never get its turn.
        guard case .wait = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 0) else {
            Issue.record("nobody overtakes")
            return
        }
        dispatcher.finish(first, now: 1)
        let ready = dispatcher.takeReady()
        #expect(ready.map(\.running.work.seats) == [8, 1])
        // What is wider than the level runs alone.
        var small = try Self.dispatcher(seats: 2, Self.level("l"))
        _ = try Self.running(small.arrive(level: "l", schema: 0, hash: 0, work: wide, now: 0))
    }

    @Test func seatsOfEventsOutliveTheirWrite() throws {
        var dispatcher = try Self.dispatcher(seats: 2, Self.level("l"))
        let write = WorkEstimate(seats: 1, lingering: 2, lingeringTime: 0.005)
        let ticket = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: write, now: 0))
        dispatcher.finish(ticket, now: 1)
        guard case .wait = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 1.001) else {
            Issue.record("the event still has the seats")
            return
        }
        #expect(dispatcher.nextRelease == 1.005)
        dispatcher.tick(now: 1.004)
        let early = dispatcher.takeReady()
        dispatcher.tick(now: 1.006)
        let due = dispatcher.takeReady()
        #expect(early.isEmpty && due.count == 1)
        #expect(dispatcher.nextRelease == nil)
    }

    @Test func idleLevelsLendTheirSeats() throws {
        var dispatcher = FairDispatcher(total: 100, now: 0)
        let busy = try Self.level("busy", shares: 50, lendable: 50, borrowing: nil, length: 50)
        let idle = try Self.level("idle", shares: 50, lendable: 50, borrowing: nil, length: 50)
        let rest = try Self.level("catch-all", shares: 0, queues: nil)
        dispatcher.configure([busy, idle, rest], now: 0)
        var tickets: [FairDispatcher.Ticket] = []
        for _ in 0..<90 {
            if case .run(let ticket) = dispatcher.arrive(level: "busy", schema: 0, hash: 0, work: .one, now: 0) {
                tickets.append(ticket)
            }
        }
        #expect(tickets.count == 50)
        dispatcher.tick(now: 10)
        let current = dispatcher.levels.compactMap { $0 }.filter { $0.settings.name != "exempt" }
        let limits = Dictionary(uniqueKeysWithValues: current.map { ($0.settings.name, $0.limits.current) })
        #expect(limits["busy"].map { $0 > 60 } == true)
        // Half of its seats it keeps.
        #expect(limits["idle"].map { $0 >= 25 } == true)
        let ready = dispatcher.takeReady()
        #expect(!ready.isEmpty)
    }

    @Test func levelsThatAreGoneFinishTheirRequests() throws {
        let level = try Self.level("l")
        let rest = try Self.level("catch-all", shares: 0, queues: nil)
        var dispatcher = try Self.dispatcher(seats: 1, level)
        let ticket = try Self.running(dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 0))
        guard case .wait = dispatcher.arrive(level: "l", schema: 0, hash: 0, work: .one, now: 0) else {
            Issue.record("it should wait")
            return
        }
        dispatcher.configure([rest], now: 1)
        #expect(dispatcher.levels[ticket.level]?.isQuiescing == true)
        dispatcher.finish(ticket, now: 2)
        let ready = dispatcher.takeReady()
        let last = try #require(ready.first)
        dispatcher.finish(last, now: 3)
        #expect(dispatcher.places["l"] == nil)
        #expect(dispatcher.levels[ticket.level] == nil)
    }

    /// Under any mixture of events the books stay straight: no seat is lost or used twice, and whatever waits gets its
    /// turn.
    @Test(arguments: [1, 2, 3, 4, 5]) func nothingIsLost(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var dispatcher = try Self.dispatcher(seats: 4, Self.level("l", queues: 16, hand: 3, length: 5))
        var running: [FairDispatcher.Ticket] = []
        var waiting: Set<UInt64> = []
        var now = 0.0
        for _ in 0..<5_000 {
            now += Double(random.next() % 1_000) / 100_000
            switch random.next() % 5 {
            case 0, 1:
                let work = WorkEstimate(
                    seats: 1 + Int(random.next() % 3), lingering: Int(random.next() % 3), lingeringTime: 0.005)
                switch dispatcher.arrive(
                    level: "l", schema: 0, hash: random.next(), work: work, now: now)
                {
                case .run(let ticket): running.append(ticket)
                case .wait(let id): waiting.insert(id)
                case .reject(let why): #expect(why == .queueFull)
                }
            case 2, 3:
                if !running.isEmpty {
                    dispatcher.finish(running.remove(at: Int(random.next() % UInt64(running.count))), now: now)
                }
            default:
                if let id = waiting.sorted().first, random.next() % 4 == 0 {
                    if dispatcher.abandon(id, now: now) { waiting.remove(id) }
                } else {
                    dispatcher.tick(now: now)
                }
            }
            for ticket in dispatcher.takeReady() {
                #expect(waiting.remove(ticket.running.id) != nil)
                running.append(ticket)
            }
            #expect(dispatcher.waiting == waiting.count)
            let seats = running.reduce(0) { $0 + $1.running.work.most }
            let level = try #require(dispatcher.levels[dispatcher.places["l"] ?? 0])
            #expect(level.queues.seatsInUse >= seats)
            #expect(level.queues.seatsInUse <= max(4, level.limits.current))
            #expect(level.queues.executing == running.count)
        }
        while !running.isEmpty || !waiting.isEmpty {
            now += 0.01
            let before = running.count + waiting.count
            if !running.isEmpty { dispatcher.finish(running.removeFirst(), now: now) }
            dispatcher.tick(now: now)
            for ticket in dispatcher.takeReady() {
                waiting.remove(ticket.running.id)
                running.append(ticket)
            }
            try #require(running.count + waiting.count < before || !running.isEmpty)
        }
        dispatcher.tick(now: now + 1)
        let level = try #require(dispatcher.levels[dispatcher.places["l"] ?? 0])
        #expect(level.queues.isIdle)
        #expect(level.queues.queues.allSatisfy { $0.seatsInUse == 0 && $0.waitingSeats == 0 })
    }
}

/// A small generator, so that a failing case repeats.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

@Suite struct FairnessPartsTests {
    @Test func handsAreDistinctAndComplete() {
        // Every pair of distinct queues comes up for some hash, and no other.
        var hands: Set<[Int]> = []
        for hash in 0..<UInt64(12) {
            var hand: [Int] = []
            ShuffleSharding.deal(hash, deck: 4, hand: 2) { hand.append($0) }
            #expect(Set(hand).count == 2 && hand.allSatisfy { (0..<4).contains($0) })
            hands.insert(hand)
        }
        #expect(hands.count == 12)
        var whole: [Int] = []
        ShuffleSharding.deal(.max, deck: 6, hand: 6) { whole.append($0) }
        #expect(whole.sorted() == Array(0..<6))
    }

    @Test func divisionKeepsToTheBounds() throws {
        typealias Claim = FairDivision.Claim
        let free = try #require(
            FairDivision.divide(30, [Claim(low: 0, high: 100, target: 10), Claim(low: 0, high: 100, target: 20)]))
        #expect(free.parts == [10, 20])
        #expect(free.proportion == 1)
        let bounded = try #require(
            FairDivision.divide(
                100,
                [
                    Claim(low: 0, high: 20, target: 50), Claim(low: 30, high: 100, target: 1),
                    Claim(low: 0, high: 100, target: 10),
                ]))
        #expect(bounded.parts[0] == 20)
        #expect(bounded.parts[1] == 30)
        #expect(abs(bounded.parts[2] - 50) < 1e-6)
        #expect(FairDivision.divide(10, [Claim(low: 20, high: 30, target: 25)]) == nil)
        #expect(FairDivision.divide(100, [Claim(low: 0, high: 30, target: 25)]) == nil)
        // Nobody wants anything, and yet everything is given out.
        let idle = try #require(
            FairDivision.divide(10, [Claim(low: 1, high: 9, target: 0), Claim(low: 1, high: 9, target: 0)]))
        #expect(abs(idle.parts.reduce(0, +) - 10) < 1e-6)
    }

    @Test func demandIsRememberedSlowly() throws {
        var demand = SeatDemand()
        demand.set(0, now: 0)
        demand.set(10, now: 5)
        let taken = demand.take(now: 10)
        let seen = try #require(taken)
        #expect(seen.average == 5)
        #expect(seen.deviation == 5)
        #expect(seen.highest == 10)
        let nothing = demand.take(now: 10)
        #expect(nothing == nil)
        var statistics = SeatDemandStatistics()
        statistics.update(seen)
        #expect(statistics.smoothed == 10)
        statistics.update((average: 0, deviation: 0, highest: 0))
        #expect(abs(statistics.smoothed - 9.77) < 1e-9)
    }

    @Test func clientsStayAwayLongerTheMoreAreTurnedAway() {
        var retry = RetryAfter()
        for second in 100..<106 {
            for _ in 0..<50 { retry.note(second: second) }
        }
        #expect(retry.seconds > 1)
        let high = retry.seconds
        for second in stride(from: 200, to: 400, by: 40) { retry.note(second: second) }
        #expect(retry.seconds < high)
        for second in 1_000..<1_200 {
            for _ in 0..<500 { retry.note(second: second) }
        }
        #expect(retry.seconds == 32)
    }

    @Test func listsAreAsWideAsWhatTheyLoad() {
        let objects = ObjectStatistics(count: 5_000, bytes: 5_000 * 2_000)
        func seats(_ query: String, most: Int? = nil, single: Bool = false) -> Int {
            WorkEstimator.list(Query(query[...]), objects, single: single, mostSeats: most).seats
        }
        // From memory at most a megabyte is held at once.
        #expect(seats("") == 10)
        #expect(seats("limit=100") == 2)
        #expect(seats("limit=100", single: true) == 1)
        #expect(seats("resourceVersionMatch=Exact&resourceVersion=5") == 100)
        #expect(seats("resourceVersionMatch=Exact&resourceVersion=5", most: 7) == 7)
        #expect(seats("continue=x&limit=10&labelSelector=a") == 50)
        #expect(WorkEstimator.write(watchers: 9, mostSeats: nil) == .one)
        #expect(WorkEstimator.write(watchers: 25, mostSeats: nil).lingering == 3)
        let many = WorkEstimator.write(watchers: 1_000, mostSeats: nil)
        #expect(many.lingering == 10)
        #expect(abs(many.lingeringTime - 0.05) < 1e-9)
    }
}
