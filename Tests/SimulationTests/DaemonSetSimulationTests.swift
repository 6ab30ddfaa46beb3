import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

/// One daemon set through its life, against the API server itself.
@Suite struct DaemonSetSimulationTests {
    private static func daemonSet(_ spec: Document = [:]) -> Document {
        let base: Document = [
            "selector": ["matchLabels": ["app": "agent"]],
            "template": [
                "metadata": ["labels": ["app": "agent"]],
                "spec": ["containers": [["name": "main", "image": "agent:1"]]],
            ],
        ]
        return [
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": ["name": "agent", "namespace": "default"],
            "spec": base.applyingMergePatch(spec),
        ]
    }

    @Test func coversEveryNodeAndRollsOut() throws {
        try simulate(.real, seed: 11, nodes: 4) { cluster in
            let client = cluster.client
            _ = try await client.create(.daemonSets, Self.daemonSet())
            try await cluster.waitForDaemons { $0.number("numberAvailable") == 4 }
            var pods = try await cluster.pods("app=agent")
            #expect(Set(pods.map(\.nodeName)).count == 4)
            let history = try await client.list(.controllerRevisions, namespace: "default").list("items")
            let hash = history.first?.text("metadata", "labels", "controller-revision-hash")
            #expect(history.count == 1)
            #expect(pods.allSatisfy { $0.metadata.labels["controller-revision-hash"] == hash })
            // A cordon drives no daemon away; a failed one is replaced on its node.
            _ = try await client.patch(.nodes, name: "node-1", ["spec": ["unschedulable": true]])
            let victim = try #require(pods.first { $0.nodeName == "node-1" })
            _ = try await client.patch(
                .pods, namespace: "default", name: victim.name, ["status": ["phase": "Failed"]], subresource: "status")
            try await cluster.eventually("node-1 has another daemon") {
                try await cluster.pods("app=agent").contains {
                    $0.nodeName == "node-1" && $0.isReady && $0.uid != victim.uid
                }
            }
            // The pods follow the nodes' labels.
            _ = try await client.patch(.nodes, name: "node-2", ["metadata": ["labels": ["role": "edge"]]])
            try await cluster.changeDaemons(["template": ["spec": ["nodeSelector": ["role": "edge"]]]])
            try await cluster.waitForDaemons {
                $0.number("desiredNumberScheduled") == 1 && $0.number("updatedNumberScheduled") == 1
                    && $0.number("numberAvailable") == 1 && $0.number("numberMisscheduled") == 0
            }
            pods = try await cluster.pods("app=agent")
            #expect(pods.map(\.nodeName) == ["node-2"])
            try await cluster.changeDaemons([
                "template": ["spec": ["nodeSelector": nil, "containers": [["name": "main", "image": "agent:2"]]]]
            ])
            try await cluster.waitForDaemons {
                $0.number("updatedNumberScheduled") == 4 && $0.number("numberAvailable") == 4
            }
            _ = try await client.delete(.daemonSets, namespace: "default", name: "agent")
            try await cluster.eventually("nothing is left of it") {
                let revisions = try await client.list(.controllerRevisions, namespace: "default").list("items")
                return try await cluster.pods("app=agent").isEmpty && revisions.isEmpty
            }
        }
    }

    @Test func aSurgeKeepsEveryNodeServed() throws {
        let fewest = try simulate(.real, seed: 12, nodes: 3) { cluster in
            let strategy: Document = ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": 1, "maxUnavailable": 0]]
            _ = try await cluster.client.create(.daemonSets, Self.daemonSet(["updateStrategy": strategy]))
            try await cluster.waitForDaemons { $0.number("numberAvailable") == 3 }
            try await cluster.changeDaemons([
                "template": ["spec": ["containers": [["name": "main", "image": "agent:2"]]]]
            ])
            var fewest = 3
            try await cluster.eventually("every daemon is new") {
                let pods = try await cluster.pods("app=agent")
                fewest = min(fewest, Set(pods.filter { $0.isReady && !$0.metadata.isDeleting }.map(\.nodeName)).count)
                let set = try await cluster.client.get(.daemonSets, namespace: "default", name: "agent")
                return set.number("status", "updatedNumberScheduled") == 3 && pods.count == 3
                    && set.number("status", "numberAvailable") == 3
            }
            return fewest
        }
        #expect(fewest == 3)
    }
}

extension SimulatedCluster {
    fileprivate func waitForDaemons(_ condition: (Document) -> Bool) async throws {
        try await eventually("the set is as expected") {
            let set = try await client.get(.daemonSets, namespace: "default", name: "agent")
            return set.number("status", "observedGeneration") == set.number("metadata", "generation")
                && condition(set["status"] ?? .null)
        }
    }

    fileprivate func changeDaemons(_ spec: Document) async throws {
        _ = try await client.patch(.daemonSets, namespace: "default", name: "agent", ["spec": spec])
    }
}
