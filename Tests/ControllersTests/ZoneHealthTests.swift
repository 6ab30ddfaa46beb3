import Basics
import Document
import Testing

@testable import Controllers

@Suite struct ZoneHealthTests {
    private static func nodes(_ zone: String, ready: Int, lost: Int) -> [Document] {
        (0..<ready + lost).map { index in
            [
                "metadata": [
                    "name": Document("\(zone)-\(index)"), "labels": ["topology.kubernetes.io/zone": Document(zone)],
                ],
                "status": ["conditions": [["type": "Ready", "status": index < ready ? "True" : "Unknown"]]],
            ]
        }
    }

    private static let a = ":a"

    @Test(arguments: [
        (10, 0, ZoneHealth.State.normal), (0, 1, .fullDisruption), (1, 2, .normal), (2, 3, .partialDisruption),
        (5, 5, .normal), (0, 0, .normal),
    ]) func aZoneIsAsWellAsItsNodes(ready: Int, lost: Int, state: ZoneHealth.State) {
        #expect(ZoneHealth.state(ready: ready, lost: lost, .init()) == state)
    }

    @Test func nodesAreGivenUpOneByOne() {
        var health = ZoneHealth()
        _ = health.look(at: { Self.nodes("a", ready: 8, lost: 2) }, now: .seconds(100))
        #expect(health.admit(Self.a, now: .seconds(100)) == .zero)
        #expect(health.admit(Self.a, now: .seconds(104)) == .seconds(6))
        #expect(health.admit(Self.a, now: .seconds(110)) == .zero)
    }

    @Test func unwellSmallZonesKeepTheirNodes() {
        var health = ZoneHealth()
        let others = Self.nodes("b", ready: 5, lost: 0)
        _ = health.look(at: { Self.nodes("a", ready: 2, lost: 8) + others }, now: .seconds(100))
        #expect(health.admit(Self.a, now: .seconds(100)) == nil)
        #expect(health.admit(":b", now: .seconds(100)) == .zero)
        var large = ZoneHealth()
        _ = large.look(at: { Self.nodes("a", ready: 20, lost: 80) + others }, now: .seconds(100))
        #expect(large.admit(Self.a, now: .seconds(100)) == .zero)
        #expect(large.admit(Self.a, now: .seconds(100)) == .seconds(100))
    }

    @Test func whoHearsNobodyGivesUpNobody() {
        var health = ZoneHealth()
        let all = Self.nodes("a", ready: 0, lost: 3) + Self.nodes("b", ready: 0, lost: 3)
        #expect(health.look(at: { all }, now: .seconds(100)) == false)
        #expect(health.isCutOff)
        #expect(health.admit(Self.a, now: .seconds(100)) == nil)
        let back = Self.nodes("a", ready: 3, lost: 0) + Self.nodes("b", ready: 0, lost: 3)
        let isOver = health.look(at: { back }, now: .seconds(102))
        #expect(isOver)
        #expect(!health.isCutOff)
        // A zone that is lost while others are well is given up at the ordinary rate.
        #expect(health.admit(":b", now: .seconds(102)) == .zero)
    }
}
