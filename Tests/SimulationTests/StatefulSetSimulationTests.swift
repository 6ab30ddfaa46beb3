import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

/// One stateful set through its life, against the API server itself.
@Suite struct StatefulSetSimulationTests {
    private static func statefulSet(_ spec: Document = [:]) -> Document {
        let base: Document = [
            "replicas": 3, "serviceName": "db", "selector": ["matchLabels": ["app": "db"]],
            "template": [
                "metadata": ["labels": ["app": "db"]], "spec": ["containers": [["name": "main", "image": "db:1"]]],
            ],
        ]
        return [
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": ["name": "db", "namespace": "default"],
            "spec": base.applyingMergePatch(spec),
        ]
    }

    @Test func comesUpInOrderRollsOutAndGoes() throws {
        try simulate(.real, seed: 3, nodes: 3) { cluster in
            let client = cluster.client
            let claim: Document = [
                "metadata": ["name": "data"],
                "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]],
            ]
            _ = try await client.create(
                .statefulSets,
                Self.statefulSet([
                    "volumeClaimTemplates": [claim],
                    "persistentVolumeClaimRetentionPolicy": ["whenDeleted": "Delete", "whenScaled": "Delete"],
                ]))
            try await cluster.waitForSet { $0.number("status", "availableReplicas") == 3 }
            let starts = try await cluster.pods("app=db").sorted { $0.name < $1.name }
            #expect(starts.map(\.name) == ["db-0", "db-1", "db-2"])
            let claims = try await client.list(.persistentVolumeClaims, namespace: "default").list("items")
            #expect(claims.map { $0.text("metadata", "name") } == ["data-db-0", "data-db-1", "data-db-2"])
            let set = try await client.get(.statefulSets, namespace: "default", name: "db")
            #expect(
                claims.allSatisfy {
                    $0.list("metadata", "ownerReferences").first?.text("uid") == set.text("metadata", "uid")
                })
            // A new template replaces every pod under its name.
            let first = set.text("status", "currentRevision")
            try await cluster.changeSet(["template": ["spec": ["containers": [["name": "main", "image": "db:2"]]]]])
            try await cluster.waitForSet {
                $0.text("status", "currentRevision") != first && $0.number("status", "updatedReplicas") == 3
                    && $0.text("status", "currentRevision") == $0.text("status", "updateRevision")
            }
            let second = try await cluster.pods("app=db").sorted { $0.name < $1.name }
            #expect(second.map(\.name) == ["db-0", "db-1", "db-2"])
            #expect(Set(second.map(\.uid)).isDisjoint(with: starts.map(\.uid)))
            // Evicted pods come back.
            _ = try await client.patch(
                .pods, namespace: "default", name: "db-1", ["status": ["phase": "Failed", "reason": "Evicted"]],
                subresource: "status")
            try await cluster.eventually("db-1 is another pod") {
                let pods = try await cluster.pods("app=db")
                return pods.contains { $0.name == "db-1" && $0.isReady && $0.uid != second[1].uid }
            }
            // Scaled away, a pod takes its claim along; the scale subresource says so.
            _ = try await client.patch(
                .statefulSets, namespace: "default", name: "db", ["spec": ["replicas": 1]], subresource: "scale")
            try await cluster.eventually("one pod and one claim are left") {
                let claims = try await cluster.lastingClaims()
                return try await cluster.pods("app=db").map(\.name) == ["db-0"] && claims == ["data-db-0"]
            }
            let messages = try await client.list(.events, namespace: "default").list("items").filter {
                $0.text("involvedObject", "kind") == "StatefulSet"
            }.compactMap { $0.text("message") }
            for expected in [
                "create Claim data-db-0 Pod db-0 in StatefulSet db success",
                "create Pod db-0 in StatefulSet db successful", "delete Pod db-2 in StatefulSet db successful",
            ] { #expect(messages.contains(expected)) }
            _ = try await client.delete(.statefulSets, namespace: "default", name: "db")
            try await cluster.eventually("nothing is left of it") {
                let claims = try await cluster.lastingClaims()
                let revisions = try await client.list(.controllerRevisions, namespace: "default").list("items")
                return try await cluster.pods("app=db").isEmpty && claims.isEmpty && revisions.isEmpty
            }
        }
    }

    @Test func whatItMayNotMakeIsToldAndTriedAgain() throws {
        try simulate(.real, seed: 6, nodes: 2) { cluster in
            let client = cluster.client
            let hard: Document = ["hard": ["pods": "1"]]
            _ = try await client.create(
                .resourceQuotas,
                [
                    "apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "few", "namespace": "default"],
                    "spec": hard,
                ])
            _ = try await client.patch(
                .resourceQuotas, namespace: "default", name: "few",
                ["status": hard.applyingMergePatch(["used": ["pods": "0"]])], subresource: "status")
            _ = try await client.create(.statefulSets, Self.statefulSet())
            let start =
                "create Pod db-1 in StatefulSet db failed error: pods \"db-1\" is forbidden: exceeded quota: few"
            try await cluster.eventually("the failure is told") {
                try await client.list(.events, namespace: "default").list("items").contains {
                    $0.text("reason") == "FailedCreate" && $0.text("type") == "Warning"
                        && $0.text("message")?.hasPrefix(start) == true
                }
            }
            _ = try await client.delete(.resourceQuotas, namespace: "default", name: "few")
            try await cluster.waitForSet { $0.number("status", "availableReplicas") == 3 }
        }
    }

    @Test func aPartitionHoldsBackTheLowerPods() throws {
        try simulate(.real, seed: 5, nodes: 2) { cluster in
            let client = cluster.client
            let strategy: Document = ["type": "RollingUpdate", "rollingUpdate": ["partition": 1]]
            _ = try await client.create(
                .statefulSets,
                Self.statefulSet(["podManagementPolicy": "Parallel", "updateStrategy": strategy, "replicas": 2]))
            try await cluster.waitForSet { $0.number("status", "availableReplicas") == 2 }
            try await cluster.changeSet(["template": ["spec": ["containers": [["name": "main", "image": "db:2"]]]]])
            try await cluster.waitForSet {
                $0.number("status", "updatedReplicas") == 1 && $0.number("status", "availableReplicas") == 2
            }
            let images = try await cluster.pods("app=db").sorted { $0.name < $1.name }
                .map { $0.document.list("spec", "containers").first?.text("image") }
            #expect(images == ["db:1", "db:2"])
        }
    }
}

extension SimulatedCluster {
    /// Those that nobody has deleted; how long the others linger is a matter of whether they are in use.
    fileprivate func lastingClaims() async throws -> [String] {
        try await client.list(.persistentVolumeClaims, namespace: "default").list("items")
            .filter { $0.text("metadata", "deletionTimestamp") == nil }.compactMap { $0.text("metadata", "name") }
    }

    fileprivate func waitForSet(_ condition: (Document) -> Bool) async throws {
        try await eventually("the set is as expected") {
            condition(try await client.get(.statefulSets, namespace: "default", name: "db"))
        }
    }

    fileprivate func changeSet(_ spec: Document) async throws {
        _ = try await client.patch(.statefulSets, namespace: "default", name: "db", ["spec": spec])
    }
}
