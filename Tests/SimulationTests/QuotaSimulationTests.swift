import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing

extension FaultScenario {
    static let quota = FaultScenario(
        "a quota is counted", controllers: ["resourcequota-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(.configMaps, configMap("before"))
            _ = try await client.create(
                .resourceQuotas, resourceQuota("q", ["configmaps": "3", "count/secrets": "2", "pods": "1"]))
            try await cluster.eventually("it has a status") {
                let quota = try await client.get(.resourceQuotas, namespace: "default", name: "q")
                return quota.text("status", "used", "configmaps") != nil
            }
            _ = try await client.create(.configMaps, configMap("more"))
            _ = try await client.delete(.configMaps, namespace: "default", name: "before")
        },
        end: { cluster in
            let quota = try await cluster.client.get(.resourceQuotas, namespace: "default", name: "q")
            return quota.at("status", "used") == ["configmaps": "1", "count/secrets": "0", "pods": "0"]
        })

    static func resourceQuota(_ name: String, _ hard: Document, scopes: Document? = nil) -> Document {
        var spec: Document = ["hard": hard]
        if let scopes { spec["scopes"] = scopes }
        return [
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": ["name": Document(name), "namespace": "default"], "spec": spec,
        ]
    }
}

@Suite struct QuotaSimulationTests {
    @Test func everyCallMayFail() throws { try expectEveryCallMayFail(.quota) }

    @Test func aPodIsChargedAndGivenBack() throws {
        try simulate(.real, seed: 21, nodes: 1) { cluster in
            let client = cluster.client
            func used(_ name: String) async throws -> [String: String] {
                try await client.get(.resourceQuotas, namespace: "default", name: name).map("status", "used")
            }
            let hard: Document = ["pods": "2", "requests.cpu": "1", "count/replicasets.apps": "1"]
            _ = try await client.create(.resourceQuotas, FaultScenario.resourceQuota("all", hard))
            _ = try await client.create(
                .resourceQuotas, FaultScenario.resourceQuota("ending", ["pods": "2"], scopes: ["Terminating"]))
            try await cluster.eventually("both are counted", within: .seconds(10)) {
                let (all, ending) = (try await used("all"), try await used("ending"))
                return all == ["count/replicasets.apps": "0", "pods": "0", "requests.cpu": "0"]
                    && ending == ["pods": "0"]
            }
            var pod = FaultScenario.pod("one", app: "one")
            pod.set(
                [["name": "main", "image": "web:1", "resources": ["requests": ["cpu": "600m"]]]], at: "spec",
                "containers")
            _ = try await client.create(.pods, pod)
            #expect(try await used("all")["requests.cpu"] == "600m")
            pod.set("two", at: "metadata", "name")
            let second = pod
            let refusal = await #expect(throws: APIStatus.self) { try await client.create(.pods, second) }
            #expect(
                refusal?.message.hasSuffix(
                    "exceeded quota: all, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
                ) == true)
            _ = try await client.delete(.pods, namespace: "default", name: "one", options: ["gracePeriodSeconds": 0])
            try await cluster.eventually("the use is given back", within: .seconds(10)) {
                try await used("all") == ["count/replicasets.apps": "0", "pods": "0", "requests.cpu": "0"]
            }
            pod.set(60, at: "spec", "activeDeadlineSeconds")
            _ = try await client.create(.pods, pod)
            try await cluster.eventually("a pod with an end counts in both") {
                let (all, ending) = (try await used("all"), try await used("ending"))
                return all["pods"] == "1" && ending["pods"] == "1"
            }
            // A count that was right is not written again.
            try await cluster.world.clock.sleep(for: .seconds(30))
            let before = cluster.trace.count
            try await cluster.world.clock.sleep(for: .seconds(60))
            #expect(cluster.trace[before...].filter { $0.contains("resourcequotas") } == [])
        }
    }
}
