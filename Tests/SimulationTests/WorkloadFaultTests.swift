import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing

extension SimulatedCluster {
    /// Lets every pod that runs succeed until so many have.
    fileprivate func succeed(_ selector: String, times: Int) async throws {
        try await eventually("\(times) pods have succeeded", within: .seconds(600), every: .seconds(1)) {
            let pods = try await self.pods(selector)
            for pod in pods where pod.phase == "Running" {
                _ = try await client.patch(
                    .pods, namespace: "default", name: pod.name,
                    [
                        "status": [
                            "phase": "Succeeded",
                            "containerStatuses": [
                                ["name": "main", "state": ["terminated": ["exitCode": 0]], "image": "a", "imageID": ""]
                            ],
                        ]
                    ], subresource: "status")
            }
            return pods.count(where: { $0.phase == "Succeeded" }) >= times
        }
    }
}

extension FaultScenario {
    static let job = FaultScenario(
        "a job runs to its end", controllers: ["job-controller"], limit: .seconds(900),
        begin: { cluster in
            _ = try await cluster.client.create(.jobs, batchJob("work", ["parallelism": 2, "completions": 3]))
            try await cluster.succeed("app=work", times: 3)
        },
        end: { cluster in
            let job = try await cluster.client.get(.jobs, namespace: "default", name: "work")
            let pods = try await cluster.pods("app=work")
            return job.number("status", "succeeded") == 3 && job.at("status", "uncountedTerminatedPods")?.count == 0
                && job.list("status", "conditions").contains { $0.text("type") == "Complete" } && pods.count == 3
                && pods.allSatisfy(\.metadata.finalizers.isEmpty)
        })

    static let finishedJob = FaultScenario(
        "a job that is over goes after its time",
        controllers: ["job-controller", "ttl-after-finished-controller", "garbage-collector-controller"],
        limit: .seconds(900),
        begin: { cluster in
            _ = try await cluster.client.create(.jobs, batchJob("brief", ["ttlSecondsAfterFinished": 5]))
            _ = try await cluster.client.create(.jobs, batchJob("kept", [:]))
            try await cluster.succeed("app in (brief,kept)", times: 2)
        },
        end: { cluster in
            let jobs = try await cluster.client.list(.jobs, namespace: "default").list("items")
            return jobs.map { $0.text("metadata", "name") } == ["kept"]
                && jobs[0].list("status", "conditions").contains { $0.text("type") == "Complete" }
        })

    static let cronJob = FaultScenario(
        "a run that is due gets one job", controllers: ["cronjob-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(
                .cronJobs,
                [
                    "apiVersion": "batch/v1", "kind": "CronJob",
                    "metadata": ["name": "yearly", "namespace": "default"],
                    "spec": ["schedule": "0 0 1 1 *", "jobTemplate": ["spec": batchJob("a", [:])["spec"] ?? .null]],
                ])
            _ = try await client.patch(
                .cronJobs, namespace: "default", name: "yearly",
                ["status": ["lastScheduleTime": "2010-06-01T00:00:00Z"]], subresource: "status")
        },
        end: { cluster in
            let jobs = try await cluster.client.list(.jobs, namespace: "default").list("items")
            let cronJob = try await cluster.client.get(.cronJobs, namespace: "default", name: "yearly")
            return jobs.count == 1
                && cronJob.list("status", "active").map { $0.text("uid") } == jobs.map { $0.text("metadata", "uid") }
        },
        result: { cluster in
            try await cluster.client.list(.jobs, namespace: "default").list("items")
                .compactMap { $0.text("metadata", "name") }
        })

    static let statefulSet = FaultScenario(
        "a stateful set comes up and is rolled out", controllers: ["statefulset-controller"], limit: .seconds(900),
        begin: { cluster in
            let client = cluster.client
            var set = workload("apps/v1", "StatefulSet", "db", replicas: 2)
            set.set("db", at: "spec", "serviceName")
            _ = try await client.create(.statefulSets, set)
            try await cluster.eventually("it is up", within: .seconds(600)) {
                try await cluster.pods("app=db").count(where: \.isReady) == 2
            }
            _ = try await client.patch(
                .statefulSets, namespace: "default", name: "db",
                ["spec": ["template": ["metadata": ["annotations": ["version": "two"]]]]])
        },
        end: { cluster in
            let set = try await cluster.client.get(.statefulSets, namespace: "default", name: "db")
            let pods = try await cluster.pods("app=db")
            let history = try await cluster.client.list(.controllerRevisions, namespace: "default").list("items")
            return pods.map(\.name) == ["db-0", "db-1"] && history.count == 2
                && pods.allSatisfy { $0.isReady && $0.metadata.annotations["version"] == "two" }
                && set.number("status", "updatedReplicas") == 2 && set.number("status", "readyReplicas") == 2
                && set.text("status", "currentRevision") == set.text("status", "updateRevision")
        })

    static let daemonSet = FaultScenario(
        "a daemon set covers the nodes and is rolled out", nodes: 2, controllers: ["daemonset-controller"],
        limit: .seconds(900),
        begin: { cluster in
            _ = try await cluster.client.create(
                .daemonSets, workload("apps/v1", "DaemonSet", "agent", replicas: nil))
            try await cluster.eventually("it is up", within: .seconds(600)) {
                try await cluster.pods("app=agent").count(where: \.isReady) == 2
            }
            _ = try await cluster.client.patch(
                .daemonSets, namespace: "default", name: "agent",
                ["spec": ["template": ["metadata": ["annotations": ["version": "two"]]]]])
        },
        end: { cluster in
            let set = try await cluster.client.get(.daemonSets, namespace: "default", name: "agent")
            let pods = try await cluster.pods("app=agent")
            return pods.count == 2 && Set(pods.map(\.nodeName)).count == 2
                && pods.allSatisfy { $0.isReady && $0.metadata.annotations["version"] == "two" }
                && set.number("status", "numberAvailable") == 2 && set.number("status", "updatedNumberScheduled") == 2
        })

    static let replicationController = FaultScenario(
        "a replication controller keeps its number", controllers: ["replicationcontroller-controller"],
        begin: { cluster in
            var controller = workload("v1", "ReplicationController", "old", replicas: 3)
            controller.set(["app": "old"], at: "spec", "selector")
            _ = try await cluster.client.create(.replicationControllers, controller)
        },
        end: { cluster in
            let controller = try await cluster.client.get(.replicationControllers, namespace: "default", name: "old")
            let pods = try await cluster.pods("app=old")
            return pods.count == 3 && pods.allSatisfy(\.isReady)
                && controller.number("status", "readyReplicas") == 3
        })

    static let disruption = FaultScenario(
        "a budget says what may go", controllers: ["disruption-controller"],
        begin: { cluster in
            for number in 1...2 { _ = try await cluster.client.create(.pods, pod("web-\(number)", app: "web")) }
            _ = try await cluster.client.create(
                .podDisruptionBudgets,
                [
                    "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                    "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]],
                ])
        },
        end: { cluster in
            let status = try await cluster.client.get(.podDisruptionBudgets, namespace: "default", name: "web")[
                "status"]
            return status?.number("disruptionsAllowed") == 1 && status?.number("currentHealthy") == 2
                && status?.number("expectedPods") == 2
        })

    static let autoscaler = FaultScenario(
        "what is below its least size is scaled", controllers: ["horizontal-pod-autoscaler-controller"],
        begin: { cluster in
            _ = try await cluster.client.create(.deployments, workload("apps/v1", "Deployment", "web", replicas: 1))
            _ = try await cluster.client.create(
                .horizontalPodAutoscalers,
                [
                    "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                    "metadata": ["name": "web", "namespace": "default"],
                    "spec": [
                        "minReplicas": 2, "maxReplicas": 3,
                        "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "web"],
                    ],
                ])
        },
        end: { cluster in
            let target = try await cluster.client.get(.deployments, namespace: "default", name: "web")
            let scaler = try await cluster.client.get(.horizontalPodAutoscalers, namespace: "default", name: "web")
            return target.number("spec", "replicas") == 2 && target.number("metadata", "generation") == 2
                && scaler.number("status", "currentReplicas") != nil
        })

    static let workloads: [FaultScenario] = [
        job, finishedJob, cronJob, statefulSet, daemonSet, replicationController, disruption, autoscaler,
    ]

    // MARK: Objects

    private static func batchJob(_ name: String, _ spec: Document) -> Document {
        let base: Document = [
            "template": [
                "metadata": ["labels": ["app": Document(name)]],
                "spec": ["restartPolicy": "Never", "containers": [["name": "main", "image": "job:1"]]],
            ]
        ]
        return [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": Document(name), "namespace": "default"],
            "spec": base.applyingMergePatch(spec),
        ]
    }

    private static func workload(_ version: String, _ kind: String, _ name: String, replicas: Int?) -> Document {
        var object: Document = [
            "apiVersion": Document(version), "kind": Document(kind),
            "metadata": ["name": Document(name), "namespace": "default"],
            "spec": [
                "selector": ["matchLabels": ["app": Document(name)]],
                "template": [
                    "metadata": ["labels": ["app": Document(name)]],
                    "spec": ["containers": [["name": "main", "image": "web:1"]]],
                ],
            ],
        ]
        if let replicas { object.set(Document(replicas), at: "spec", "replicas") }
        return object
    }
}

@Suite struct WorkloadFaultTests {
    @Test(arguments: FaultScenario.workloads) func everyCallMayFail(_ scenario: FaultScenario) throws {
        try expectEveryCallMayFail(scenario, most: 6)
    }
}
