import Basics
import Client
import Document
import Testing

@testable import Controllers

@Suite struct ReplicationControllerTests {
    private func controller(replicas: Int = 2, selector: Document = ["app": "web"]) -> Document {
        [
            "kind": "ReplicationController",
            "metadata": ["name": "rc", "namespace": "default", "uid": "uid-rc", "generation": 1],
            "spec": [
                "replicas": Document(replicas), "selector": selector,
                "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "main"]]]],
            ],
        ]
    }

    private func pod(_ name: String, labels: Document = ["app": "web"], deleting: Bool = false) -> Document {
        var pod: Document = [
            "metadata": [
                "name": Document(name), "namespace": "default", "uid": Document(name), "labels": labels,
                "ownerReferences": [["kind": "ReplicationController", "uid": "uid-rc", "controller": true]],
            ], "status": ["phase": "Running"],
        ]
        if deleting { pod.set("2024-01-01T00:00:00Z", at: "metadata", "deletionTimestamp") }
        return pod
    }

    private func plan(_ object: Document, _ pods: [Document], failure: String? = nil) -> Plan {
        ReplicaSetPlan.plan(
            object, .replicationController, pods: pods, neighbours: [:],
            Situation(now: Timestamp(seconds: 1_700_000_000), lastFailure: failure))
    }

    private func status(_ plan: Plan) -> Document? {
        plan.actions.lazy.compactMap { if case .update(_, let object, "status") = $0 { object["status"] } else { nil } }
            .first
    }

    @Test func makesPodsInItsOwnName() {
        let plan = plan(controller(), [])
        guard case .create(.pods, let pod, _) = plan.actions.first else {
            Issue.record("no pod was made")
            return
        }
        #expect(pod.controllerReference?.text("apiVersion") == "v1")
        #expect(pod.controllerReference?.text("kind") == "ReplicationController")
        guard case .update(let resource, _, _) = plan.actions.last else {
            Issue.record("no status was reported")
            return
        }
        #expect(resource == .replicationControllers)
    }

    @Test func letsGoOfWhatNoLongerMatches() {
        let plan = plan(controller(replicas: 1), [pod("a"), pod("b", labels: ["app": "other"])])
        guard case .patch(.pods, _, "b", let patch, _) = plan.actions.first else {
            Issue.record("b was not released")
            return
        }
        #expect(patch.at("metadata", "ownerReferences")?.isNull == true)
    }

    @Test func anEmptySelectorSelectsNothing() {
        #expect(plan(controller(selector: [:]), [pod("a")]) == .nothing)
    }

    @Test func failuresShowUntilTheyAreOver() {
        let failed = status(plan(controller(), [pod("a")], failure: "exceeded quota"))
        let condition = failed?.list("conditions").first
        #expect(condition?.text("type") == "ReplicaFailure")
        #expect(condition?.text("status") == "True")
        #expect(condition?.text("reason") == "FailedCreate")
        #expect(condition?.text("message") == "exceeded quota")
        var later = controller(replicas: 1)
        later["status"] = failed
        #expect(status(plan(later, [pod("a")]))?.list("conditions").isEmpty == true)
    }

    @Test func onlyReplicaSetsCountPodsOnTheirWayOut() {
        let pods = [pod("a"), pod("b", deleting: true)]
        #expect(status(plan(controller(), pods))?["terminatingReplicas"] == nil)
        var set = controller()
        set.set(["matchLabels": ["app": "web"]], at: "spec", "selector")
        let plan = ReplicaSetPlan.plan(
            set, pods: pods, neighbours: [:], Situation(now: Timestamp(seconds: 1_700_000_000)))
        #expect(status(plan)?.number("terminatingReplicas") == 1)
    }
}
