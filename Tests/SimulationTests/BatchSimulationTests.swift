import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

private func job(_ name: String, _ spec: Document) -> Document {
    let base: Document = [
        "template": [
            "metadata": ["labels": ["batch": Document(name)]],
            "spec": ["restartPolicy": "Never", "containers": [["name": "main", "image": "x"]]],
        ]
    ]
    return [
        "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": Document(name), "namespace": "default"],
        "spec": base.applyingMergePatch(spec),
    ]
}

extension SimulatedCluster {
    fileprivate func running(_ name: String) async throws -> [PodView] {
        try await pods("batch=\(name)").filter { $0.phase == "Running" && !$0.metadata.isDeleting }
    }

    /// What the node would say once the pod's only container has ended.
    fileprivate func end(_ pod: PodView, code: Int) async throws {
        let now = Document(world.clock.now.rfc3339())
        let terminated: Document = [
            "exitCode": Document(code), "reason": code == 0 ? "Completed" : "Error", "startedAt": now,
            "finishedAt": now,
        ]
        let container: Document = [
            "name": "main", "image": "x", "imageID": "x", "ready": false, "restartCount": 0,
            "state": ["terminated": terminated],
        ]
        let status: Document = [
            "phase": code == 0 ? "Succeeded" : "Failed", "containerStatuses": [container],
            "conditions": [["type": "Ready", "status": "False", "lastTransitionTime": now]],
        ]
        _ = try await client.patch(
            .pods, namespace: "default", name: pod.name, ["status": status], subresource: "status")
    }

    fileprivate func job(_ name: String) async throws -> Document {
        try await client.get(.jobs, namespace: "default", name: name)
    }
}

extension Document {
    fileprivate func isTrue(_ condition: String) -> Bool {
        list("status", "conditions").contains { $0.text("type") == condition && $0.text("status") == "True" }
    }
    fileprivate func reason(_ condition: String) -> String? {
        list("status", "conditions").first { $0.text("type") == condition }?.text("reason")
    }
}

@Suite struct BatchSimulationTests {
    @Test func jobRunsItsPodsAndCountsEachOnce() throws {
        let final = try simulate(.real, seed: 21, nodes: 2) { cluster in
            _ = try await cluster.client.create(.jobs, job("work", ["parallelism": 3, "completions": 5]))
            var failures = 0
            try await cluster.eventually("it is complete", within: .seconds(600)) {
                for pod in try await cluster.running("work") {
                    failures += failures < 2 ? 1 : 0
                    try await cluster.end(pod, code: failures < 2 ? 1 : 0)
                }
                return try await cluster.job("work").isTrue("Complete")
            }
            let pods = try await cluster.pods("batch=work")
            #expect(pods.allSatisfy { $0.metadata.finalizers.isEmpty })
            #expect(pods.count(where: { $0.phase == "Succeeded" }) == 5)
            return try await cluster.job("work")
        }
        #expect(final.number("status", "succeeded") == 5)
        #expect(final.number("status", "failed") == 1)
        #expect(final.number("status", "active") == nil)
        #expect(final.at("status", "uncountedTerminatedPods")?.count == 0)
        #expect(final.reason("SuccessCriteriaMet") == "CompletionsReached")
    }

    @Test func indexesFailOnTheirOwn() throws {
        let final = try simulate(.real, seed: 22, nodes: 2) { cluster in
            _ = try await cluster.client.create(
                .jobs,
                job(
                    "indexed",
                    ["completionMode": "Indexed", "completions": 4, "parallelism": 4, "backoffLimitPerIndex": 1]))
            try await cluster.eventually("it has failed", within: .seconds(900)) {
                for pod in try await cluster.running("indexed") {
                    let index = pod.metadata.annotations["batch.kubernetes.io/job-completion-index"]
                    try await cluster.end(pod, code: index == "2" ? 1 : 0)
                }
                return try await cluster.job("indexed").isTrue("Failed")
            }
            return try await cluster.job("indexed")
        }
        #expect(final.text("status", "completedIndexes") == "0,1,3")
        #expect(final.text("status", "failedIndexes") == "2")
        #expect(final.number("status", "failed") == 2)
        #expect(final.reason("Failed") == "FailedIndexes")
    }

    @Test func suspendedJobsRest() throws {
        try simulate(.real, seed: 23, nodes: 1) { cluster in
            _ = try await cluster.client.create(.jobs, job("nap", ["parallelism": 2, "completions": 2]))
            try await cluster.eventually("it runs") { try await cluster.running("nap").count == 2 }
            @Sendable func suspend(_ value: Bool) async throws {
                _ = try await cluster.client.patch(
                    .jobs, namespace: "default", name: "nap", ["spec": ["suspend": Document(value)]])
            }
            try await suspend(true)
            try await cluster.eventually("nothing runs") {
                let job = try await cluster.job("nap")
                return try await cluster.pods("batch=nap").isEmpty && job.isTrue("Suspended")
                    && job.number("status", "terminating") == 0 && job.number("status", "failed") == nil
            }
            try await suspend(false)
            try await cluster.eventually("it runs again") {
                let job = try await cluster.job("nap")
                return try await cluster.running("nap").count == 2 && !job.isTrue("Suspended")
                    && job.text("status", "startTime") != nil
            }
        }
    }

    @Test func deletedJobsLetTheirPodsGo() throws {
        try simulate(.real, seed: 24, nodes: 1) { cluster in
            _ = try await cluster.client.create(.jobs, job("gone", ["parallelism": 2, "completions": 2]))
            try await cluster.eventually("it runs") { try await cluster.running("gone").count == 2 }
            _ = try await cluster.client.delete(
                .jobs, namespace: "default", name: "gone", options: ["propagationPolicy": "Background"])
            try await cluster.eventually("nothing is left") { try await cluster.pods("batch=gone").isEmpty }
        }
    }

    @Test func finishedJobsGoAfterTheirTime() throws {
        try simulate(.real, seed: 25, nodes: 1) { cluster in
            _ = try await cluster.client.create(.jobs, job("brief", ["ttlSecondsAfterFinished": 60]))
            try await cluster.eventually("it is complete") {
                for pod in try await cluster.running("brief") { try await cluster.end(pod, code: 0) }
                return try await cluster.job("brief").isTrue("Complete")
            }
            let end = cluster.world.clock.uptime
            try await cluster.eventually("it is gone, with its pods") {
                let jobs = try await cluster.client.list(.jobs).list("items")
                let pods = try await cluster.pods("batch=brief")
                return jobs.isEmpty && pods.isEmpty
            }
            let life = cluster.world.clock.uptime - end
            #expect(life > .seconds(58) && life < .seconds(63), "\(life)")
        }
    }

    @Test func cronJobTicks() throws {
        let names = try simulate(.real, seed: 26, nodes: 1) { cluster in
            let template: Document = job("tick", [:])["spec"] ?? .null
            _ = try await cluster.client.create(
                .cronJobs,
                [
                    "apiVersion": "batch/v1", "kind": "CronJob",
                    "metadata": ["name": "tick", "namespace": "default"],
                    "spec": [
                        "schedule": "*/2 * * * *", "successfulJobsHistoryLimit": 2, "jobTemplate": ["spec": template],
                    ],
                ])
            var seen: Set<String> = []
            try await cluster.eventually("four jobs have come, two are kept", within: .seconds(900)) {
                for pod in try await cluster.running("tick") { try await cluster.end(pod, code: 0) }
                let jobs = try await cluster.client.list(.jobs).list("items")
                seen.formUnion(jobs.compactMap { $0.text("metadata", "name") })
                return seen.count == 4 && jobs.count == 2 && jobs.allSatisfy { $0.isTrue("Complete") }
            }
            let cronJob = try await cluster.client.get(.cronJobs, namespace: "default", name: "tick")
            #expect(cronJob.list("status", "active").isEmpty)
            #expect(cronJob.text("status", "lastScheduleTime") == "2023-11-14T22:20:00Z")
            #expect(cronJob.text("status", "lastSuccessfulTime") != nil)
            return seen.sorted()
        }
        // 2023-11-14T22:14Z is minute 28333334.
        #expect(names == ["tick-28333334", "tick-28333336", "tick-28333338", "tick-28333340"])
    }

    @Test func budgetsHoldEvictionsBack() throws {
        try simulate(.real, seed: 27, nodes: 2) { cluster in
            let client = cluster.client
            _ = try await client.create(.deployments, deployment("web", replicas: 3, image: "web:1"))
            _ = try await client.create(
                .podDisruptionBudgets,
                [
                    "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                    "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["maxUnavailable": 1, "selector": ["matchLabels": ["app": "web"]]],
                ])
            @Sendable func budget() async throws -> Document {
                try await client.get(.podDisruptionBudgets, namespace: "default", name: "web")
            }
            try await cluster.eventually("one may go") {
                try await budget().number("status", "disruptionsAllowed") == 1
            }
            @Sendable func evict(_ name: String) async throws {
                _ = try await client.create(
                    .pods, namespace: "default",
                    ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": Document(name)]], name: name,
                    subresource: "eviction")
            }
            let names = try await cluster.pods("app=web").map(\.name)
            try await evict(names[0])
            let refusal = await #expect(throws: APIStatus.self) { try await evict(names[1]) }
            #expect(refusal?.code == 429)
            try await cluster.eventually("another runs in its place, and one may go again") {
                let status = try await budget()["status"] ?? .null
                return status.number("disruptionsAllowed") == 1 && status.number("currentHealthy") == 3
                    && status.number("expectedPods") == 3 && (status["disruptedPods"]?.count ?? 0) == 0
            }
            try await evict(names[1])
        }
    }

    @Test func autoscalerKeepsBoundsWithoutMetrics() throws {
        try simulate(.real, seed: 28, nodes: 1) { cluster in
            let client = cluster.client
            _ = try await client.create(.deployments, deployment("web", replicas: 1, image: "web:1"))
            _ = try await client.create(
                .horizontalPodAutoscalers,
                [
                    "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                    "metadata": ["name": "web", "namespace": "default"],
                    "spec": [
                        "minReplicas": 3, "maxReplicas": 5,
                        "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "web"],
                    ],
                ])
            try await cluster.waitUntilRolledOut("web", replicas: 3)
            try await cluster.eventually("it says what it lacks") {
                let autoscaler = try await client.get(
                    .horizontalPodAutoscalers, namespace: "default", name: "web")
                return autoscaler.number("status", "currentReplicas") == 3
                    && autoscaler.reason("AbleToScale") == "SucceededGetScale"
                    && autoscaler.reason("ScalingActive") == "FailedGetResourceMetric"
            }
            let events = try await client.list(.events, namespace: "default").list("items")
                .filter { $0.text("involvedObject", "kind") == "HorizontalPodAutoscaler" }
            #expect(
                events.contains {
                    $0.text("message") == "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
                        && $0.text("source", "component") == "horizontal-pod-autoscaler"
                })
        }
    }
}
