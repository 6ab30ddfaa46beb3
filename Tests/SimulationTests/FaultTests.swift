import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing

// Whatever single call of a controller fails, and however it fails, the same end is reached.
//
// A controller takes part with one value: in its own test file, write
//
//     extension FaultScenario {
//         static let job = FaultScenario("a job runs to its end", controllers: ["job-controller"], …)
//     }
//     @Test func jobOutlivesFaults() throws { try expectEveryCallMayFail(.job) }
//
// `end` should be exact (this many, not at least as many), because what is done twice is the usual mistake.
// A failing run names the call and the fault; `FaultScenario.everyCallFailsOnce` with a larger `most` tries more.

func expectEveryCallMayFail(_ scenario: FaultScenario, fewestCalls: Int = 3, most: Int = 12) throws {
    let report = try scenario.everyCallFailsOnce(most: most)
    #expect(report.calls.count >= fewestCalls, "the scenario gives its controllers no work")
    #expect(report.runs > 0)
    #expect(report.failures == [])
}

extension FaultScenario {
    static let deployment = FaultScenario(
        "a deployment of three pods", controllers: ["deployment-controller", "replicaset-controller"],
        begin: { cluster in
            _ = try await cluster.client.create(.deployments, simulated("web", replicas: 3, image: "web:1"))
        },
        end: { cluster in
            let pods = try await cluster.pods("app=web")
            let sets = try await cluster.client.list(.replicaSets, namespace: "default").list("items")
            let view = DeploymentView(try await cluster.client.get(.deployments, namespace: "default", name: "web"))
            return pods.count == 3 && pods.allSatisfy(\.isReady) && sets.count == 1 && view.availableReplicas == 3
                && view.observedGeneration == view.metadata.generation
        },
        result: { cluster in
            try await cluster.client.list(.replicaSets, namespace: "default").list("items")
                .compactMap { $0.text("metadata", "name") }
        })

    static let collection = FaultScenario(
        "what lost its owner goes, and the owner waits for it", controllers: ["garbage-collector-controller"],
        begin: { cluster in
            let client = cluster.client
            let owner = try await client.create(.configMaps, configMap("owner"))
            _ = try await client.create(.configMaps, configMap("blocking", ownedBy: owner))
            _ = try await client.create(.configMaps, configMap("free"))
            _ = try await client.delete(
                .configMaps, namespace: "default", name: "owner", options: ["propagationPolicy": "Foreground"])
        },
        end: { cluster in
            let left = try await cluster.client.list(.configMaps, namespace: "default").list("items")
            return left.compactMap { $0.text("metadata", "name") } == ["free"]
        })

    static let namespace = FaultScenario(
        "a namespace is emptied", controllers: ["namespace-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(
                .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
            _ = try await client.create(.configMaps, configMap("one", namespace: "team"))
            _ = try await client.create(.configMaps, configMap("other"))
            _ = try await client.delete(.namespaces, name: "team")
        },
        end: { cluster in
            let spaces = try await cluster.client.list(.namespaces).list("items")
            let left = try await cluster.client.list(.configMaps, namespace: "default").list("items")
            return !spaces.contains { $0.text("metadata", "name") == "team" } && left.count == 1
        })

    static let namespaceDefaults = FaultScenario(
        "a namespace gets its account and certificate",
        controllers: ["serviceaccount-controller", "root-ca-certificate-publisher-controller"],
        begin: { cluster in
            _ = try await cluster.client.create(
                .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
        },
        end: { cluster in
            let accounts = try await cluster.client.list(.serviceAccounts, namespace: "team").list("items")
            let maps = try await cluster.client.list(.configMaps, namespace: "team").list("items")
            return accounts.count == 1 && maps.count == 1
        })

    static let endpointSlices = FaultScenario(
        "a service lists its pods", controllers: ["endpointslice-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(
                .services,
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["selector": ["app": "web"], "ports": [["port": 80]]],
                ])
            for number in 1...2 { _ = try await client.create(.pods, pod("web-\(number)", app: "web")) }
        },
        end: { cluster in
            let slices = try await cluster.client.list(
                .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=web"
            ).list("items").map { EndpointSliceView($0) }
            return slices.count == 1 && slices[0].endpoints.filter(\.ready).count == 2
        })

    static let lostNode = FaultScenario(
        "a node that vanishes is tainted, and its pods go", nodes: 2,
        controllers: ["node-lifecycle-controller", "taint-eviction-controller", "pod-garbage-collector-controller"],
        limit: .seconds(900),
        begin: { cluster in
            _ = try await cluster.client.create(.pods, pod("web-1", app: "web"))
            try await cluster.eventually("it runs") { try await cluster.pods("app=web").first?.isReady == true }
            let host = try await cluster.pods("app=web").first?.nodeName
            guard let lost = cluster.nodes.first(where: { $0.name == host }) else { return }
            lost.setCutOff(true)
            try await cluster.eventually("it is to end", within: .seconds(600), every: .seconds(2)) {
                try await cluster.pods("app=web").allSatisfy(\.metadata.isDeleting)
            }
            _ = try await cluster.client.delete(.nodes, name: lost.name)
        },
        end: { cluster in
            let pods = try await cluster.pods("app=web")
            let nodes = try await cluster.client.list(.nodes).list("items")
            return pods.isEmpty && nodes.count == 1
        })

    static let nodeNetworks = FaultScenario(
        "every node gets a network of its own", nodes: 3, controllers: ["node-ipam-controller"],
        begin: { _ in },
        end: { cluster in
            let networks = try await cluster.client.list(.nodes).list("items").compactMap { $0.text("spec", "podCIDR") }
            return networks.count == 3 && Set(networks).count == 3
        })

    static let aggregation = FaultScenario(
        "a cluster role sums up others", controllers: ["clusterrole-aggregation-controller"],
        begin: { cluster in
            func role(_ name: String) -> Document {
                [
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                    "metadata": ["name": Document(name), "labels": ["part": "of-sum"]],
                    "rules": [["apiGroups": [""], "resources": [Document(name)], "verbs": ["get"]]],
                ]
            }
            var sum = role("sum")
            sum["rules"] = nil
            sum["metadata"] = ["name": "sum"]
            sum["aggregationRule"] = ["clusterRoleSelectors": [["matchLabels": ["part": "of-sum"]]]]
            for role in [sum, role("pods"), role("nodes")] { _ = try await cluster.client.create(.clusterRoles, role) }
        },
        end: { cluster in
            try await cluster.client.get(.clusterRoles, name: "sum").list("rules").count == 2
        })

    static let all: [FaultScenario] = [
        deployment, collection, namespace, namespaceDefaults, endpointSlices, lostNode, nodeNetworks, aggregation,
    ]

    // MARK: Objects

    static func configMap(_ name: String, namespace: String = "default", ownedBy owner: Document? = nil) -> Document {
        var map: Document = [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": Document(name), "namespace": Document(namespace)],
        ]
        if let owner {
            map.set(
                [
                    [
                        "apiVersion": "v1", "kind": "ConfigMap", "name": owner.at("metadata", "name") ?? .null,
                        "uid": owner.at("metadata", "uid") ?? .null, "blockOwnerDeletion": true,
                    ]
                ], at: "metadata", "ownerReferences")
        }
        return map
    }

    static func pod(_ name: String, app: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": Document(name), "namespace": "default", "labels": ["app": Document(app)]],
            "spec": ["containers": [["name": "main", "image": "web:1"]]],
        ]
    }

    private static func simulated(_ name: String, replicas: Int, image: String) -> Document {
        SimulationTests.deployment(name, replicas: replicas, image: image)
    }
}

@Suite struct FaultTests {
    @Test(arguments: FaultScenario.all) func everyCallMayFail(_ scenario: FaultScenario) throws {
        try expectEveryCallMayFail(scenario)
    }

    /// The harness itself must notice a controller that does not come back to its work.
    @Test func failuresAreNoticed() throws {
        var impossible = FaultScenario.nodeNetworks
        impossible.controllers = ["-node-ipam-controller"]
        impossible.limit = .seconds(5)
        #expect(throws: SimulatedCluster.NeverHappened.self) { try impossible.everyCallFailsOnce() }
    }
}
