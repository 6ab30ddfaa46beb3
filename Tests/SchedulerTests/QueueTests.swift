import Testing

@testable import Scheduler

@Suite struct SchedulingQueueTests {
    private let always: (ClusterEvent, String, PodInfo) -> Bool = { _, _, _ in true }
    private let never: (ClusterEvent, String, PodInfo) -> Bool = { _, _, _ in false }

    @Test func urgentFirstThenOld() {
        var queue = SchedulingQueue()
        queue.put(pod("old"), isNews: true, now: .zero)
        queue.put(pod("new"), isNews: true, now: .zero)
        queue.put(pod("urgent", spec: ["priority": 10]), isNews: true, now: .zero)
        let order = (0..<3).compactMap { _ in queue.pop(now: .zero)?.pod.name }
        #expect(order == ["urgent", "old", "new"])
        #expect(queue.pop(now: .zero) == nil)
    }

    @Test func onlyWhatHelpsWakes() {
        var queue = SchedulingQueue()
        let one = pod("a")
        queue.put(one, isNews: true, now: .zero)
        _ = queue.pop(now: .zero)
        queue.refused(one, by: ["NodeResourcesFit"], helps: never)
        #expect(queue.happened(.nodeAdded("n"), helps: never).isEmpty)
        #expect(queue.pop(now: .seconds(20)) == nil)
        #expect(queue.happened(.nodeAdded("n"), helps: always) == ["default/a"])
        #expect(queue.moves[.init(queue: "backoff", event: "NodeAdd")] == 1)
        // Nothing else is to be done, so it need not wait for its pause.
        #expect(queue.pop(now: .seconds(20))?.pod.name == "a")
    }

    @Test func failedPodsSitTheirPauseOut() {
        var queue = SchedulingQueue()
        let one = pod("a")
        queue.put(one, isNews: true, now: .zero)
        for (attempt, pause) in [1, 2, 4, 8, 10, 10].enumerated() {
            let now = Duration.seconds(100 * attempt)
            let start = now + (attempt == 0 ? .zero : .seconds(50))
            #expect(queue.pop(now: start) != nil)
            queue.failed(one)
            #expect(queue.nextDue(now: start) == start + .seconds(pause))
            #expect(queue.pop(now: start + .seconds(pause) - .milliseconds(1)) == nil)
        }
    }

    @Test func eventsDuringTheAttemptAreNotLost() {
        var queue = SchedulingQueue()
        let one = pod("a")
        queue.put(one, isNews: true, now: .zero)
        _ = queue.pop(now: .zero)
        queue.happened(.nodeAdded("n"), helps: always)
        queue.refused(one, by: ["TaintToleration"], helps: always)
        #expect(queue.waitingCount == 1)
        #expect(queue.eventCount == 0)
    }

    @Test func nothingWaitsForever() {
        var queue = SchedulingQueue()
        let one = pod("a")
        queue.put(one, isNews: true, now: .zero)
        _ = queue.pop(now: .zero)
        queue.refused(one, by: ["NodeAffinity"], helps: never)
        #expect(queue.nextDue(now: .zero) == .seconds(300))
        #expect(queue.pop(now: .seconds(299)) == nil)
        #expect(queue.pop(now: .seconds(300))?.pod.name == "a")
    }

    @Test func gatesHoldBack() {
        var queue = SchedulingQueue()
        let gated = pod("a", spec: ["schedulingGates": [["name": "example.com/hold"]]])
        #expect(Profile.standard().gate(gated)?.reason == "waiting for scheduling gates: [example.com/hold]")
        queue.put(gated, isNews: true, gate: "SchedulingGates", now: .zero)
        #expect(queue.pop(now: .seconds(400)) == nil)
        queue.put(pod("a"), isNews: true, now: .zero)
        #expect(queue.pop(now: .zero)?.pod.name == "a")
    }

    @Test func anotherPodOfTheSameNameIsAnotherPod() {
        var queue = SchedulingQueue()
        let old = pod("a")
        queue.put(old, isNews: true, now: .zero)
        _ = queue.pop(now: .zero)
        let new = PodInfo(podDocument("a").applyingMergePatch(["metadata": ["uid": "another"]]))
        queue.put(new, isNews: true, now: .zero)
        queue.bound(old)
        queue.failed(old)
        #expect(queue.pop(now: .zero)?.pod.uid == "another")
    }

    @Test func noPodIsEverLost() {
        var queue = SchedulingQueue()
        let dice = Dice(4)
        var inFlight: [PodInfo] = []
        var alive: Set<String> = []
        var now = Duration.zero
        for turn in 0..<5_000 {
            now += .milliseconds(dice.below(700))
            switch dice.below(6) {
            case 0, 1:
                let one = pod("p\(turn)", spec: ["priority": .init(dice.below(3))])
                queue.put(one, isNews: true, now: now)
                alive.insert(one.key)
            case 2, 3: if let taken = queue.pop(now: now) { inFlight.append(taken.pod) }
            case 4:
                guard !inFlight.isEmpty else { continue }
                let one = inFlight.remove(at: dice.below(inFlight.count))
                switch dice.below(3) {
                case 0:
                    queue.bound(one)
                    alive.remove(one.key)
                case 1: queue.failed(one)
                default: queue.refused(one, by: ["A", "B"]) { _, plugin, _ in plugin == "B" }
                }
            default: queue.happened(.nodeAdded("n")) { _, plugin, _ in plugin == "B" && dice.below(2) == 0 }
            }
            let held = queue.activeCount + queue.waitingCount + queue.unschedulableCount + queue.inFlightCount
            #expect(held == alive.count, "turn \(turn)")
        }
        for one in inFlight { queue.failed(one) }
        var popped = 0
        for _ in 0..<20_000 where popped < alive.count {
            now += .seconds(1)
            while let taken = queue.pop(now: now) {
                popped += 1
                queue.bound(taken.pod)
            }
        }
        #expect(popped == alive.count)
    }
}
