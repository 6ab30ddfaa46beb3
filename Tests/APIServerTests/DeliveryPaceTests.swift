import Testing

@testable import APIServer

@Suite struct DeliveryPaceTests {
    /// Times of the deliveries of a stream of events that come `spacing` apart, each delivered as soon as it may.
    private func deliveries(spacing: Duration, until end: Duration) -> [Duration] {
        var pace = DeliveryPace()
        var times: [Duration] = []
        var now = Duration.seconds(5)
        let end = now + end
        while now < end {
            if let delay = pace.delay(at: now) { now += delay }
            pace.delivered(at: now)
            times.append(now)
            now += spacing
        }
        return times
    }

    @Test func slowStreamsAreNeverHeldBack() {
        let times = deliveries(spacing: .milliseconds(20), until: .seconds(2))
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == .milliseconds(20) })
    }

    @Test func fastStreamsBecomeAHundredASecond() {
        let times = deliveries(spacing: .microseconds(100), until: .seconds(1))
        #expect(times.count == 100 + DeliveryPace.burst)
        #expect(zip(times, times.dropFirst()).prefix(7).allSatisfy { $1 - $0 == .microseconds(100) })
        #expect(zip(times, times.dropFirst()).dropFirst(10).allSatisfy { $1 - $0 == .milliseconds(10) })
    }

    @Test func aPauseGivesTheBurstBack() {
        var pace = DeliveryPace()
        for _ in 0..<DeliveryPace.burst { pace.delivered(at: .seconds(1)) }
        #expect(pace.delay(at: .seconds(1)) == .milliseconds(10))
        #expect(pace.delay(at: .milliseconds(1_004)) == .milliseconds(6))
        for _ in 0..<DeliveryPace.burst {
            #expect(pace.delay(at: .seconds(3)) == nil)
            pace.delivered(at: .seconds(3))
        }
        #expect(pace.delay(at: .seconds(3)) == .milliseconds(10))
    }
}
