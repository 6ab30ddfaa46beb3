import Basics
import Document
import Kinds
import Synchronization
import Testing
import Wire

@testable import APIServer

/// Time that passes by sleeping alone.
private final class Hours: WorldClock {
    private let elapsed = Mutex(Duration.zero)
    var now: Timestamp { Timestamp(seconds: 1_000) + uptime }
    var uptime: Duration { elapsed.withLock { $0 } }

    func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        elapsed.withLock { $0 += duration }
        await Task.yield()
    }
}

private struct Always: Randomness {
    var value: UInt64
    func next() -> UInt64 { value }
}

private final class Reader: BodyWriter {
    let pieces = Mutex<[[UInt8]]>([])
    func write(_ piece: [UInt8]) async throws { pieces.withLock { $0.append(piece) } }
}

@Suite("Faults for some clients")
struct ClientFaultTests {
    private let clock = Hours()

    private func faults(_ rules: [ClientFaults.Rule], random: UInt64 = 0) -> ClientFaults {
        let faults = ClientFaults(clock: clock, random: Always(value: random))
        faults.replace(rules)
        return faults
    }

    @Test func onlyTheClientThatIsMeantWaits() async throws {
        let faults = faults([.init(name: "f", effect: .slow(.seconds(2)), clients: .user("jane"))])
        try await faults.disturb(user: "joe", agent: "kubectl/1")
        #expect(clock.uptime == .zero)
        try await faults.disturb(user: "jane", agent: "kubectl/1")
        #expect(clock.uptime == .seconds(2))
        try await faults.disturb(user: "jane", agent: ClientFaults.sparedAgent)
        #expect(clock.uptime == .seconds(2))
    }

    @Test func errorsComeAsOftenAsTheyAreAskedFor() async throws {
        let rule = ClientFaults.Rule(name: "f", effect: .error(percent: 30), clients: .agent("kubectl"))
        let status = await #expect(throws: APIStatus.self) {
            try await faults([rule], random: 29).disturb(user: "a", agent: "kubectl/v1.32")
        }
        #expect(status?.code == 500 && status?.message.contains("\"f\"") == true)
        try await faults([rule], random: 30).disturb(user: "a", agent: "kubectl/v1.32")
        try await faults([rule], random: 0).disturb(user: "a", agent: "other")
    }

    @Test func aRuleIsOverInTime() async throws {
        let rule = ClientFaults.Rule(
            name: "f", effect: .error(percent: 100), clients: .everybody, until: clock.now + .seconds(1))
        let faults = faults([rule])
        await #expect(throws: APIStatus.self) { try await faults.disturb(user: "a", agent: "") }
        try await clock.sleep(for: .seconds(1))
        try await faults.disturb(user: "a", agent: "")
    }

    private func told(_ faults: ClientFaults, _ change: @escaping @Sendable () -> Void = {}) async throws -> Int {
        let answer = Response(
            status: 200,
            body: .stream { writer in
                try await writer.write([1])
                change()
                try await writer.write([2])
            })
        let reader = Reader()
        guard case .stream(let produce) = faults.watching(answer, user: "jane", agent: "x").body else { return -1 }
        do { try await produce(reader) } catch is ClientFaults.Dropped {}
        return reader.pieces.withLock { $0.count }
    }

    @Test func watchesEndLagOrStandStill() async throws {
        @Sendable func rule(_ effect: ClientFaults.Rule.Effect, until: Timestamp? = nil) -> ClientFaults.Rule {
            .init(name: "f", effect: effect, clients: .user("jane"), until: until)
        }
        #expect(try await told(faults([])) == 2)
        #expect(try await told(faults([rule(.watchDrop)])) == 0)
        #expect(clock.uptime == .zero)
        #expect(try await told(faults([rule(.watchLag(.seconds(3)))])) == 2)
        #expect(clock.uptime == .seconds(6))
        // A watch that stands still goes on when the fault is over, and has lost nothing.
        #expect(try await told(faults([rule(.watchStale, until: clock.now + .seconds(5))])) == 2)
        #expect(clock.uptime >= .seconds(11))
        // A watch that runs is concerned by a fault that comes.
        let later = faults([])
        #expect(try await told(later) { later.replace([rule(.watchDrop)]) } == 1)
    }

    @Test func rulesAreReadFromTheirDescription() {
        let rule = ClientFaults.Rule(
            name: "f", ["kind": "watch-lag", "delayMilliseconds": 200, "at": "user/system:node:a/b"])
        #expect(rule == .init(name: "f", effect: .watchLag(.milliseconds(200)), clients: .user("system:node:a/b")))
        #expect(ClientFaults.Rule(name: "f", ["kind": "api-error"])?.clients == .everybody)
        #expect(ClientFaults.Rule(name: "f", ["kind": "earthquake"]) == nil)
        #expect(ClientFaults.Rule(name: "f", ["kind": "api-error", "at": "planet/earth"]) == nil)
    }
}
