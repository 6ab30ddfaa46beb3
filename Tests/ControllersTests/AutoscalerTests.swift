import Basics
import Client
import Document
import Kinds
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

private func pod(
    _ name: String, request: String? = "100m", phase: String = "Running", ready: Bool = true, age: Int = 3_000,
    readyFor: Int = 2_000
) -> Document {
    var container: Document = ["name": "main"]
    if let request { container["resources"] = ["requests": ["cpu": Document(request)]] }
    return [
        "metadata": ["name": Document(name), "namespace": "default", "labels": ["app": "web"]],
        "spec": ["containers": [container]],
        "status": [
            "phase": Document(phase), "startTime": Document((now + .seconds(-age)).rfc3339()),
            "conditions": [
                [
                    "type": "Ready", "status": ready ? "True" : "False",
                    "lastTransitionTime": Document((now + .seconds(-readyFor)).rfc3339()),
                ]
            ],
        ],
    ]
}

private func metrics(_ values: [Int?]) -> [String: PodMetric] {
    var result: [String: PodMetric] = [:]
    for (index, value) in values.enumerated() {
        guard let value else { continue }
        result["p\(index)"] = PodMetric(value: value, time: now, window: .seconds(30))
    }
    return result
}

@Suite struct ReplicaCalculatorTests {
    /// Usage of each pod in thousandths of a core where it was measured, each requesting 100; the target in percent;
    /// the replicas that follow and the percentage that is shown.
    @Test(
        arguments: [
            ([50, 50, 50], 50, 3, 50), ([100, 100, 100], 50, 6, 100), ([54, 54, 54], 50, 3, 54),
            ([56, 56, 56], 50, 4, 56),
            ([46, 46, 46], 50, 3, 46), ([10, 10, 10], 50, 1, 10), ([300, 300, 300], 200, 5, 300),
            // A pod that tells nothing counts as busy on the way down and as idle on the way up.
            ([10, 10, nil], 50, 3, 10), ([100, 100, nil], 50, 4, 100), ([60, 60, nil], 50, 3, 60),
            ([10, 10, 10, nil, nil], 60, 4, 10),
        ] as [([Int?], Int, Int, Int)])
    func utilization(values: [Int?], target: Int, replicas: Int, percent: Int) throws {
        let pods = values.indices.map { pod("p\($0)") }
        let calculator = ReplicaCalculator(pods: pods, current: values.count, now: now)
        let found = try calculator.utilization(metrics(values), target: target, resource: "cpu", container: nil)
        #expect(found.replicas == replicas)
        #expect(found.percent == percent)
    }

    @Test func podsThatWarmUpAreIdleOnTheWayUp() throws {
        let young = pod("p2", ready: true, age: 60, readyFor: 10)
        let calculator = ReplicaCalculator(pods: [pod("p0"), pod("p1"), young], current: 3, now: now)
        let found = try calculator.utilization(
            metrics([100, 100, 900]), target: 50, resource: "cpu", container: nil)
        #expect(found.replicas == 4)
        #expect(found.percent == 100)
        // Memory is no sign of warming up.
        let plain = try calculator.plain(metrics([100, 100, 100]), target: 50, resource: "memory")
        #expect(plain.replicas == 6)
    }

    @Test func pendingAndEndedPods() throws {
        let pods = [pod("p0"), pod("p1", phase: "Pending"), pod("p2", phase: "Failed")]
        let calculator = ReplicaCalculator(pods: pods, current: 3, now: now)
        let found = try calculator.utilization(metrics([200, 5, 900]), target: 50, resource: "cpu", container: nil)
        // 200 of 100 + 100: twice the target, for two pods.
        #expect(found.replicas == 4)
    }

    @Test func saysWhatIsMissing() {
        func problem(_ pods: [Document], _ metrics: [String: PodMetric]) -> String? {
            let calculator = ReplicaCalculator(pods: pods, current: 1, now: now)
            do throws(MetricProblem) {
                _ = try calculator.utilization(metrics, target: 50, resource: "cpu", container: nil)
                return nil
            } catch { return error.description }
        }
        #expect(problem([], metrics([1])) == "no pods returned by selector while calculating replica count")
        #expect(
            problem([pod("p0")], [:]) == "did not receive metrics for targeted pods (pods might be unready)")
        #expect(
            problem([pod("p0", request: nil)], metrics([1])) == "missing request for cpu in container main of Pod p0")
    }

    @Test func sharedAndDivided() throws {
        let calculator = ReplicaCalculator(pods: [pod("p0"), pod("p1")], current: 2, now: now)
        #expect(try calculator.shared(usage: 300, target: 100) == 6)
        #expect(try calculator.shared(usage: 105, target: 100) == 2)
        #expect(calculator.divided(usage: 450, target: 100, running: 2).replicas == 5)
        #expect(calculator.divided(usage: 450, target: 100, running: 2).average == 225)
    }
}

@Suite struct ScalingRulesTests {
    private func rules(_ behavior: Document?, least: Int = 1, most: Int = 100) -> ScalingRules {
        ScalingRules(least: least, most: most, behavior: behavior)
    }

    /// Current, wanted, outcome, reason; without rules of its own.
    @Test(
        arguments: [
            (3, 3, 3, "DesiredWithinRange"), (3, 9, 6, "ScaleUpLimit"), (1, 9, 4, "ScaleUpLimit"),
            (60, 130, 100, "TooManyReplicas"), (5, 0, 1, "TooFewReplicas"), (5, 4, 4, "DesiredWithinRange"),
        ] as [(Int, Int, Int, String)])
    func withoutBehavior(current: Int, wanted: Int, outcome: Int, reason: String) {
        var history = ScalingHistory()
        let decision = rules(nil).decide(current: current, wanted: wanted, history: &history, now: .seconds(1_000))
        #expect(decision.replicas == outcome)
        #expect(decision.limit.reason == reason)
        #expect(decision.isLimited == (outcome != wanted))
    }

    @Test func goesDownOnlyAfterTheWindow() {
        var history = ScalingHistory()
        func decide(_ wanted: Int, _ second: Int) -> ScalingRules.Decision {
            rules(nil).decide(current: 8, wanted: wanted, history: &history, now: .seconds(second))
        }
        #expect(decide(8, 0).replicas == 8)
        let held = decide(2, 100)
        #expect(held.replicas == 8)
        #expect(held.ability.reason == "ScaleDownStabilized")
        #expect(decide(3, 290).replicas == 8)
        #expect(decide(2, 395).replicas == 3)
    }

    private let policies: Document = [
        "scaleUp": [
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [
                ["type": "Pods", "value": 4, "periodSeconds": 60],
                ["type": "Percent", "value": 50, "periodSeconds": 60],
            ],
        ],
        "scaleDown": [
            "stabilizationWindowSeconds": 0, "selectPolicy": "Min",
            "policies": [
                ["type": "Pods", "value": 2, "periodSeconds": 60],
                ["type": "Percent", "value": 50, "periodSeconds": 60],
            ],
        ],
    ]

    /// Current, wanted, changes in the last minute, outcome, reason.
    @Test(
        arguments: [
            (4, 20, 0, 8, "ScaleUpLimit"), (20, 90, 0, 30, "ScaleUpLimit"), (20, 90, 10, 20, "ScaleUpLimit"),
            (20, 25, 0, 25, "DesiredWithinRange"), (90, 120, 0, 100, "TooManyReplicas"),
            (20, 5, 0, 18, "ScaleDownLimit"), (3, 1, 0, 1, "DesiredWithinRange"), (2, 0, 0, 1, "TooFewReplicas"),
            (20, 5, -2, 20, "ScaleDownLimit"),
        ] as [(Int, Int, Int, Int, String)])
    func withPolicies(current: Int, wanted: Int, changed: Int, outcome: Int, reason: String) {
        var history = ScalingHistory()
        history.recordChange(from: current - changed, to: current, at: .seconds(970))
        let decision = rules(policies).decide(
            current: current, wanted: wanted, history: &history, now: .seconds(1_000))
        #expect(decision.replicas == outcome)
        #expect(decision.limit.reason == reason)
        // A minute later nothing of that counts.
        history.recommendations = []
        let later = rules(policies).decide(
            current: current, wanted: wanted, history: &history, now: .seconds(1_031))
        #expect(changed == 0 || later.replicas != outcome)
    }

    @Test func directionsCanBeClosed() {
        var closed = policies
        closed.set("Disabled", at: "scaleDown", "selectPolicy")
        var history = ScalingHistory()
        let decision = rules(closed).decide(current: 9, wanted: 2, history: &history, now: .seconds(0))
        #expect(decision.replicas == 9)
        #expect(decision.limit.reason == "ScaleDownLimit")
    }

    @Test func growsOnlyWhenItIsSure() {
        var careful = policies
        careful.set(120, at: "scaleUp", "stabilizationWindowSeconds")
        var history = ScalingHistory()
        func decide(_ wanted: Int, _ second: Int) -> ScalingRules.Decision {
            rules(careful).decide(current: 4, wanted: wanted, history: &history, now: .seconds(second))
        }
        _ = decide(4, 0)
        #expect(decide(6, 60).replicas == 4)
        #expect(decide(6, 61).ability.reason == "ScaleUpStabilized")
        #expect(decide(7, 125).replicas == 6)
    }
}

@Suite struct AutoscalerTests {
    private func autoscaler(_ spec: Document = [:], status: Document = [:]) -> Document {
        let base: Document = [
            "minReplicas": 2, "maxReplicas": 6,
            "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "web"],
            "metrics": [
                [
                    "type": "Resource",
                    "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 50]],
                ]
            ],
        ]
        return [
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": ["name": "web", "namespace": "default", "uid": "uid-a"], "spec": base.applyingMergePatch(spec),
            "status": status,
        ]
    }

    private func scale(_ replicas: Int, selector: String = "app=web") -> ScaleLookup.Finding {
        .scale(
            [
                "metadata": ["name": "web", "namespace": "default"], "spec": ["replicas": Document(replicas)],
                "status": ["replicas": Document(replicas), "selector": Document(selector)],
            ], .deployments)
    }

    private static let metricsPath = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb"

    private func answer(_ usage: [Int]) -> Result<Document, APIStatus> {
        .success([
            "items": Document(
                usage.enumerated().map { index, value -> Document in
                    [
                        "metadata": ["name": Document("p\(index)"), "namespace": "default"],
                        "timestamp": Document(now.rfc3339()), "window": "30s",
                        "containers": [["name": "main", "usage": ["cpu": Document("\(value)m")]]],
                    ]
                })
        ])
    }

    private struct Outcome {
        var scaled: Int?
        var events: [String] = []
        var status: Document?
        func condition(_ type: String) -> String? {
            status?.list("conditions").first { $0.text("type") == type }.map {
                "\($0.text("status") ?? "") \($0.text("reason") ?? "")"
            }
        }
    }

    private func decide(
        _ autoscaler: Document, _ scale: ScaleLookup.Finding, _ answers: [String: Result<Document, APIStatus>],
        pods: Int = 3, rivals: [String] = ["default/web"], lastFailure: String? = nil,
        memory: inout AutoscalerMemory
    ) -> Outcome {
        var situation = Situation(now: now, uptime: .seconds(5_000), lastFailure: lastFailure)
        situation.answers = Answers(answers)
        let plan = AutoscalerPlan.plan(
            autoscaler, scale: scale, pods: (0..<pods).map { pod("p\($0)") }, rivals: rivals, memory: &memory, situation
        )
        #expect(plan.lookAgain == .seconds(15))
        var outcome = Outcome()
        for action in plan.actions {
            switch action {
            case .update(_, let object, "scale"): outcome.scaled = object.number("spec", "replicas")
            case .update(_, let object, _): outcome.status = object["status"]
            case .event(_, _, let reason, let message): outcome.events.append("\(reason): \(message)")
            default: break
            }
        }
        return outcome
    }

    private func decide(
        _ autoscaler: Document, _ scale: ScaleLookup.Finding, _ answers: [String: Result<Document, APIStatus>],
        rivals: [String] = ["default/web"]
    ) -> Outcome {
        var memory = AutoscalerMemory()
        return decide(autoscaler, scale, answers, rivals: rivals, memory: &memory)
    }

    @Test func scalesUp() {
        let outcome = decide(autoscaler(), scale(3), [Self.metricsPath: answer([80, 80, 80])])
        #expect(outcome.scaled == 5)
        #expect(
            outcome.events == [
                "SuccessfulRescale: New size: 5; reason: cpu resource utilization (percentage of request) above target"
            ])
        #expect(outcome.condition("AbleToScale") == "True SucceededRescale")
        #expect(outcome.condition("ScalingActive") == "True ValidMetricFound")
        #expect(outcome.condition("ScalingLimited") == "False DesiredWithinRange")
        #expect(outcome.status?.number("currentReplicas") == 3)
        #expect(outcome.status?.number("desiredReplicas") == 5)
        let current = outcome.status?.list("currentMetrics").first?.at("resource", "current")
        #expect(current?.number("averageUtilization") == 80)
        #expect(current?.text("averageValue") == "80m")
    }

    @Test func staysWithinItsBounds() {
        #expect(decide(autoscaler(), scale(9), [:]).scaled == 6)
        #expect(decide(autoscaler(), scale(1), [:]).scaled == 2)
        let off = decide(autoscaler(), scale(0), [:])
        #expect(off.scaled == nil)
        #expect(off.condition("ScalingActive") == "False ScalingDisabled")
        let high = decide(autoscaler(), scale(4), [Self.metricsPath: answer([99, 99, 99])])
        #expect(high.scaled == 6 || high.scaled == nil)
    }

    @Test func tellsThatThereAreNoMetrics() {
        let missing = APIStatus(code: 404, reason: "NotFound", message: "404 page not found")
        let outcome = decide(autoscaler(), scale(3), [Self.metricsPath: .failure(missing)])
        let problem =
            "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource "
            + "metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
        #expect(outcome.scaled == nil)
        #expect(outcome.condition("ScalingActive") == "False FailedGetResourceMetric")
        #expect(
            outcome.events == [
                "FailedGetResourceMetric: \(problem)",
                "FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu "
                    + "resource metric value: \(problem)",
            ])
        #expect(outcome.condition("AbleToScale") == "True SucceededGetScale")
    }

    @Test(arguments: [
        (
            "Pods", "pods", "FailedGetPodsMetric",
            "unable to get metric load: unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
        ),
        (
            "Object", "object", "FailedGetObjectMetric",
            "unable to get metric load: Service on default front/unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
        ),
        (
            "External", "external", "FailedGetExternalMetric",
            "failed to get load external metric: unable to get external metric default/load/nil: unable to fetch metrics from external metrics API: the server could not find the requested resource (get load.external.metrics.k8s.io)"
        ),
    ])
    func otherMetricsNeedTheirAPI(type: String, field: String, reason: String, problem: String) throws {
        let metric: Document = [
            "metric": ["name": "load"], "target": ["type": "AverageValue", "averageValue": "10"],
            "describedObject": ["apiVersion": "v1", "kind": "Service", "name": "front"],
        ]
        let subject = autoscaler(["metrics": [["type": Document(type), field: metric] as Document]])
        let path = try #require(AutoscalerPlan.sources(subject, selector: "app=web").first?.path)
        let missing = APIStatus(code: 404, reason: "NotFound", message: "nothing here")
        let outcome = decide(subject, scale(3), [path: .failure(missing)])
        #expect(outcome.condition("ScalingActive") == "False \(reason)")
        #expect(outcome.events.first == "\(reason): \(problem)")
        // And scales where it is served.
        let value: Document = [
            "describedObject": ["name": "p0"], "value": "60", "timestamp": Document(now.rfc3339()), "windowSeconds": 60,
        ]
        let items =
            type == "Pods"
            ? ["p0", "p1", "p2"].map { name -> Document in
                var item = value
                item["describedObject"] = ["name": Document(name)]
                return item
            } : [value]
        #expect(decide(subject, scale(3), [path: .success(["items": Document(items)])]).scaled == 6)
    }

    @Test func tellsWhatCannotBeScaled() {
        let missing = APIStatus(code: 404, reason: "NotFound", message: "deployments.apps \"web\" not found")
        let outcome = decide(autoscaler(), .missing(missing), [:])
        #expect(outcome.condition("AbleToScale") == "False FailedGetScale")
        #expect(outcome.events == ["FailedGetScale: deployments.apps \"web\" not found"])
        let bare = decide(autoscaler(), scale(3, selector: ""), [:])
        #expect(bare.condition("ScalingActive") == "False InvalidSelector")
        let twice = decide(
            autoscaler(), scale(3), [Self.metricsPath: answer([80, 80, 80])], rivals: ["default/a", "default/web"])
        #expect(twice.condition("ScalingActive") == "False AmbiguousSelector")
        #expect(
            twice.events.first
                == "AmbiguousSelector: pods by selector app=web are controlled by multiple HPAs: [{a default} {web default}]"
        )
    }

    @Test func remembersOnlyWhatCameAbout() {
        var memory = AutoscalerMemory()
        let answers = [Self.metricsPath: answer([80, 80, 80])]
        _ = decide(autoscaler(), scale(3), answers, memory: &memory)
        #expect(memory.history.additions.isEmpty)
        let failed = decide(autoscaler(), scale(3), answers, lastFailure: "no", memory: &memory)
        #expect(failed.condition("AbleToScale") == "False FailedUpdateScale")
        #expect(failed.scaled == nil)
        #expect(memory.history.additions.isEmpty)
        _ = decide(autoscaler(), scale(3), answers, memory: &memory)
        _ = decide(autoscaler(), scale(5), [Self.metricsPath: answer([50, 50, 50])], memory: &memory)
        #expect(memory.history.additions.map(\.count) == [2])
    }

    @Test func settledAutoscalersAreLeftAlone() {
        let answers = [Self.metricsPath: answer([50, 50, 50])]
        let first = decide(autoscaler(), scale(3), answers)
        let second = decide(autoscaler(status: first.status ?? .null), scale(3), answers)
        #expect(second.status == nil && second.events.isEmpty && second.scaled == nil)
    }
}
