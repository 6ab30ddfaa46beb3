import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

@Suite struct ReplicationControllerSimulationTests {
    private static func controller(replicas: Int) -> Document {
        [
            "apiVersion": "v1", "kind": "ReplicationController",
            "metadata": ["name": "old", "namespace": "default"],
            "spec": [
                "replicas": Document(replicas), "selector": ["app": "old"],
                "template": [
                    "metadata": ["labels": ["app": "old"]],
                    "spec": ["containers": [["name": "main", "image": "old:1"]]],
                ],
            ],
        ]
    }

    @Test func aQuotaShowsAsAConditionUntilItIsKept() throws {
        try simulate(.real, seed: 21, nodes: 2) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .resourceQuotas,
                ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "few", "namespace": "default"]])
            try await cluster.setQuota("2")
            _ = try await client.create(.replicationControllers, Self.controller(replicas: 3))
            func conditions() async throws -> [Document] {
                try await client.get(.replicationControllers, namespace: "default", name: "old")
                    .list("status", "conditions")
            }
            try await cluster.eventually("the failure shows") { try await !conditions().isEmpty }
            let failure = try await conditions()[0]
            #expect(failure.text("type") == "ReplicaFailure")
            #expect(failure.text("reason") == "FailedCreate")
            #expect(failure.text("message")?.contains("exceeded quota: few") == true)
            _ = try await client.patch(
                .replicationControllers, namespace: "default", name: "old", ["spec": ["replicas": 2]],
                subresource: "scale")
            try await cluster.eventually("the failure is over") { try await conditions().isEmpty }
            try await cluster.eventually("two pods are ready") {
                let pods = try await cluster.pods("app=old")
                return pods.count == 2 && pods.allSatisfy(\.isReady)
            }
            // Whose labels change is let go, and replaced.
            try await cluster.setQuota("9")
            let pod = try await cluster.pods("app=old")[0]
            _ = try await client.patch(
                .pods, namespace: "default", name: pod.name, ["metadata": ["labels": ["app": "free"]]])
            try await cluster.eventually("the pod is free, and another one took its place") {
                let free = try await client.get(.pods, namespace: "default", name: pod.name)
                let pods = try await cluster.pods("app=old")
                return free.list("metadata", "ownerReferences").isEmpty && pods.count == 2
            }
            let events = try await client.list(.events, namespace: "default").list("items").filter {
                $0.text("involvedObject", "kind") == "ReplicationController"
            }
            #expect(events.contains { $0.text("reason") == "FailedCreate" && $0.text("type") == "Warning" })
            #expect(events.allSatisfy { $0.text("source", "component") == "replication-controller" })
        }
    }
}

extension SimulatedCluster {
    /// The quota's status too, by which requests are judged.
    fileprivate func setQuota(_ pods: Document) async throws {
        let hard: Document = ["hard": ["pods": pods]]
        _ = try await client.patch(.resourceQuotas, namespace: "default", name: "few", ["spec": hard])
        let used = Document(String(try await self.pods().count))
        _ = try await client.patch(
            .resourceQuotas, namespace: "default", name: "few",
            ["status": hard.applyingMergePatch(["used": ["pods": used]])], subresource: "status")
    }
}
