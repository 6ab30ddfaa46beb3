import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

private func budget(_ spec: Document, status: Document = [:]) -> Document {
    [
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": ["name": "b", "namespace": "default", "uid": "uid-b", "generation": 3], "spec": spec,
        "status": status,
    ]
}

private func pods(_ count: Int, ready: Int) -> [Document] {
    (0..<count).map { index in
        [
            "metadata": ["name": Document("p\(index)"), "namespace": "default", "uid": Document("uid-p\(index)")],
            "status": [
                "phase": "Running", "conditions": [["type": "Ready", "status": index < ready ? "True" : "False"]],
            ],
        ]
    }
}

@Suite struct DisruptionTests {
    /// The budget, what the owners want, how many pods there are and are ready: desired, expected, allowed.
    @Test(
        arguments: [
            (["minAvailable": 2], 5, 5, 5, [2, 5, 3]), (["minAvailable": 2], 5, 2, 2, [2, 2, 0]),
            (["minAvailable": "50%"], 5, 5, 5, [3, 5, 2]), (["maxUnavailable": 1], 5, 5, 5, [4, 5, 1]),
            (["maxUnavailable": 1], 5, 5, 4, [4, 5, 0]), (["maxUnavailable": "30%"], 10, 10, 10, [7, 10, 3]),
            (["maxUnavailable": "34%"], 2, 2, 2, [1, 2, 1]), (["maxUnavailable": 9], 5, 5, 5, [0, 5, 5]),
            (["minAvailable": 0], 0, 0, 0, [0, 0, 0]),
        ] as [(Document, Int, Int, Int, [Int])])
    func counts(spec: Document, scale: Int, count: Int, ready: Int, expected: [Int]) throws {
        let subject = budget(spec)
        let expectation = try DisruptionPlan.expectation(subject, pods: count) { (scale, false) }
        let plan = DisruptionPlan.plan(
            subject, pods: pods(count, ready: ready), expectation: .success(expectation), Situation(now: now))
        let status = try #require(
            plan.actions.lazy.compactMap { if case .update(_, let object, _) = $0 { object } else { nil } }.first)
        #expect(
            ["desiredHealthy", "expectedPods", "disruptionsAllowed"].map { status.number("status", $0) } == expected)
        #expect(status.number("status", "observedGeneration") == 3)
        #expect(status.condition("DisruptionAllowed")?.text("status") == (expected[2] > 0 ? "True" : "False"))
    }

    @Test func evictedPodsDoNotCountUntilTheyAreGone() throws {
        let recently = Document((now + .seconds(-30)).rfc3339())
        let longAgo = Document((now + .seconds(-200)).rfc3339())
        let subject = budget(
            ["minAvailable": 2], status: ["disruptedPods": ["p0": recently, "p1": longAgo, "gone": recently]])
        let plan = DisruptionPlan.plan(
            subject, pods: pods(4, ready: 4), expectation: .success(.init(expected: 4, desired: 2)),
            Situation(now: now))
        let status = try #require(
            plan.actions.lazy.compactMap { if case .update(_, let object, _) = $0 { object } else { nil } }.first)
        #expect(status.number("status", "currentHealthy") == 3)
        #expect(status.map("status", "disruptedPods").keys.sorted() == ["p0"])
        #expect(plan.lookAgain == .milliseconds(90_001))
        let told = plan.actions.contains {
            if case .event(let pod, _, "NotDeleted", _) = $0 { pod.name == "p1" } else { false }
        }
        #expect(told)
    }

    @Test func allowsNothingWhereItCannotTell() throws {
        let subject = budget(["maxUnavailable": 1], status: ["disruptionsAllowed": 2, "observedGeneration": 2])
        let problem = DisruptionPlan.Unknown(description: "found no controllers for pod \"p\"")
        let plan = DisruptionPlan.plan(
            subject, pods: pods(2, ready: 2), expectation: .failure(problem), Situation(now: now))
        let status = try #require(
            plan.actions.lazy.compactMap { if case .update(_, let object, _) = $0 { object } else { nil } }.first)
        #expect(status.number("status", "disruptionsAllowed") == 0)
        #expect(status.condition("DisruptionAllowed")?.text("reason") == "SyncFailed")
        #expect(status.condition("DisruptionAllowed")?.number("observedGeneration") == 2)
    }

    @Test func settledBudgetsAreLeftAlone() {
        let first = DisruptionPlan.plan(
            budget(["minAvailable": 1]), pods: pods(2, ready: 2), expectation: .success(.init(expected: 2, desired: 1)),
            Situation(now: now))
        guard case .update(_, let settled, _) = first.actions.first else {
            Issue.record("no status")
            return
        }
        let second = DisruptionPlan.plan(
            settled, pods: pods(2, ready: 2), expectation: .success(.init(expected: 2, desired: 1)),
            Situation(now: now + .seconds(60)))
        #expect(second == .nothing)
    }

    @Test func announcementsThatCameToNothingAreTakenBack() {
        func pod(_ seconds: Int, phase: String = "Running") -> Document {
            [
                "metadata": ["name": "p", "namespace": "default", "uid": "u"],
                "status": [
                    "phase": Document(phase),
                    "conditions": [
                        [
                            "type": "DisruptionTarget", "status": "True",
                            "lastTransitionTime": Document((now + .seconds(-seconds)).rfc3339()),
                        ]
                    ],
                ],
            ]
        }
        #expect(DisruptionPlan.withdraw(pod(30), Situation(now: now)).lookAgain == .seconds(90))
        #expect(DisruptionPlan.withdraw(pod(120), Situation(now: now)).actions.count == 1)
        #expect(DisruptionPlan.withdraw(pod(500, phase: "Failed"), Situation(now: now)) == .nothing)
    }

    @Test func scaleIsFoundStepByStep() {
        var answers = Answers()
        func find() -> ScaleLookup.Finding {
            ScaleLookup.find(
                apiVersion: "shop.io/v1", kind: "Till", namespace: "default", name: "t", answers)
        }
        guard case .question("/apis/shop.io/v1") = find() else {
            Issue.record("asks for something else")
            return
        }
        answers["/apis/shop.io/v1"] = .success([
            "resources": [
                ["name": "tills", "kind": "Till", "namespaced": true],
                ["name": "tills/scale", "kind": "Scale", "namespaced": true],
            ]
        ])
        guard case .question("/apis/shop.io/v1/namespaces/default/tills/t/scale") = find() else {
            Issue.record("asks for something else")
            return
        }
        answers["/apis/shop.io/v1/namespaces/default/tills/t/scale"] = .success(["spec": ["replicas": 4]])
        if case .scale(let scale, _) = find() {
            #expect(scale.number("spec", "replicas") == 4)
        } else {
            Issue.record("no scale")
        }
        answers["/apis/shop.io/v1"] = .success(["resources": [["name": "tills", "kind": "Till", "namespaced": true]]])
        if case .unscalable(let resource) = find() {
            #expect(resource.description == "tills.shop.io")
        } else {
            Issue.record("scales what cannot be scaled")
        }
    }
}
