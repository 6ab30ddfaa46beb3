import Basics
import Client
import Document
import Kinds
import Simulation
import Testing

/// A Deployment as the API server would have defaulted it.
func deployment(_ name: String, replicas: Int, image: String, surge: Document = "25%", unavailable: Document = "25%")
    -> Document
{
    [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": Document(name), "namespace": "default"],
        "spec": [
            "replicas": Document(replicas), "selector": ["matchLabels": ["app": Document(name)]],
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "strategy": [
                "type": "RollingUpdate", "rollingUpdate": ["maxSurge": surge, "maxUnavailable": unavailable],
            ],
            "template": [
                "metadata": ["labels": ["app": Document(name)]],
                "spec": [
                    "containers": [
                        [
                            "name": "main", "image": Document(image),
                            "resources": ["requests": ["cpu": "100m", "memory": "64Mi"]],
                        ]
                    ],
                    "tolerations": [
                        [
                            "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
                            "tolerationSeconds": 300,
                        ],
                        [
                            "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                            "tolerationSeconds": 300,
                        ],
                    ],
                ],
            ],
        ],
    ]
}

func simulate<Value: Sendable>(
    _ server: SimulatedServer, seed: UInt64, nodes: Int,
    _ body: @escaping @Sendable (SimulatedCluster) async throws -> Value
) throws -> Value {
    try Simulation.run(seed: seed) { world in
        let cluster = try await SimulatedCluster(server: server, nodes: nodes, world: world)
        return try await cluster.run(body)
    }
}

extension SimulatedCluster {
    func waitUntilRolledOut(_ name: String, replicas: Int) async throws {
        try await eventually("\(name) has \(replicas) pods of the newest template") {
            let view = DeploymentView(try await client.get(.deployments, namespace: "default", name: name))
            return view.observedGeneration == view.metadata.generation && view.updatedReplicas == replicas
                && view.statusReplicas == replicas && view.availableReplicas == replicas
        }
    }

    func change(_ name: String, _ spec: Document) async throws {
        _ = try await client.patch(.deployments, namespace: "default", name: name, ["spec": spec])
    }
}

@Suite struct ClusterSimulationTests {
    @Test(arguments: SimulatedServer.allCases) func deploymentIsScheduledAndSpread(server: SimulatedServer) throws {
        let counts = try simulate(server, seed: 1, nodes: 10) { cluster in
            // Pods that come before the last nodes do are spread over the first ones.
            try await cluster.eventually("all nodes are there") {
                let nodes = try await cluster.client.list(.nodes).list("items").map { NodeView($0) }
                return nodes.count == 10 && nodes.allSatisfy { $0.isReady && $0.taints.isEmpty }
            }
            try await cluster.world.clock.sleep(for: .seconds(1))
            _ = try await cluster.client.create(.deployments, deployment("web", replicas: 50, image: "web:1"))
            try await cluster.waitUntilRolledOut("web", replicas: 50)
            var counts: [String: Int] = [:]
            for pod in try await cluster.pods("app=web") { counts[pod.nodeName, default: 0] += 1 }
            return counts
        }
        #expect(counts.values.reduce(0, +) == 50)
        #expect(counts.count == 10)
        #expect((counts.values.max() ?? 0) - (counts.values.min() ?? 0) <= 2)
    }

    @Test(arguments: SimulatedServer.allCases, [1, 2, 3] as [UInt64])
    func rolloutKeepsItsPromises(server: SimulatedServer, seed: UInt64) throws {
        let violations = try simulate(server, seed: seed, nodes: 10) { cluster in
            let invariants = PodInvariants()
            return try await withThrowingTaskGroup(of: [String]?.self) { group in
                group.addTask {
                    try await invariants.run(cluster.client)
                    return nil
                }
                group.addTask {
                    _ = try await cluster.client.create(.deployments, deployment("web", replicas: 50, image: "web:1"))
                    try await cluster.waitUntilRolledOut("web", replicas: 50)
                    // 25% of 50: 13 more (rounded up), 12 fewer (rounded down).
                    let selector = try LabelSelector(parsing: "app=web")
                    invariants.setBounds([.init(selector: selector, most: 63, fewestReady: 38)])
                    try await cluster.change(
                        "web", ["template": ["spec": ["containers": [["name": "main", "image": "web:2"]]]]])
                    try await cluster.waitUntilRolledOut("web", replicas: 50)
                    return invariants.violations
                }
                defer { group.cancelAll() }
                while let result = try await group.next() { if let violations = result { return violations } }
                return ["ended early"]
            }
        }
        #expect(violations == [])
    }

    @Test(arguments: SimulatedServer.allCases) func scalesHealsAndGoesAway(server: SimulatedServer) throws {
        try simulate(server, seed: 7, nodes: 5) { cluster in
            let client = cluster.client
            _ = try await client.create(.deployments, deployment("web", replicas: 10, image: "web:1"))
            try await cluster.waitUntilRolledOut("web", replicas: 10)
            try await cluster.change("web", ["replicas": 25])
            try await cluster.waitUntilRolledOut("web", replicas: 25)
            let victim = try await cluster.pods("app=web")[3]
            _ = try await client.delete(.pods, namespace: "default", name: victim.name)
            try await cluster.eventually("another pod takes its place") {
                let pods = try await cluster.pods("app=web")
                return pods.count == 25 && pods.allSatisfy { $0.uid != victim.uid && $0.isReady }
            }
            try await cluster.change("web", ["replicas": 4])
            try await cluster.waitUntilRolledOut("web", replicas: 4)
            _ = try await client.delete(.deployments, namespace: "default", name: "web")
            try await cluster.eventually("nothing is left of it") {
                let sets = try await client.list(.replicaSets, namespace: "default").list("items")
                let pods = try await cluster.pods("app=web")
                return sets.isEmpty && pods.isEmpty
            }
        }
    }

    @Test(arguments: SimulatedServer.allCases) func sameSeedSameTrace(server: SimulatedServer) throws {
        func trace() throws -> [String] {
            try simulate(server, seed: 42, nodes: 4) { cluster in
                _ = try await cluster.client.create(.deployments, deployment("web", replicas: 12, image: "web:1"))
                try await cluster.waitUntilRolledOut("web", replicas: 12)
                try await cluster.change(
                    "web", ["template": ["spec": ["containers": [["name": "main", "image": "web:2"]]]]])
                try await cluster.waitUntilRolledOut("web", replicas: 12)
                return cluster.trace
            }
        }
        let first = try trace()
        #expect(first.count > 100)
        for _ in 0..<4 {
            let again = try trace()
            // The first line that differs says more than the whole.
            let place = zip(first, again).enumerated().first { $1.0 != $1.1 }
            #expect(place.map { "\($0.offset): \($0.element)" } == nil)
            #expect(again.count == first.count)
        }
    }

    @Test(arguments: SimulatedServer.allCases) func lostNodeLosesItsPodsAfterTheyTolerate(server: SimulatedServer)
        throws
    {
        try simulate(server, seed: 9, nodes: 3) { cluster in
            _ = try await cluster.client.create(.deployments, deployment("web", replicas: 6, image: "web:1"))
            try await cluster.waitUntilRolledOut("web", replicas: 6)
            // A node that came late may have got none of them.
            let busy = Set(try await cluster.pods("app=web").map(\.nodeName))
            let lost = try #require(cluster.nodes.first { busy.contains($0.name) })
            let there = try await cluster.pods("app=web").filter { $0.nodeName == lost.name }.map(\.uid)
            #expect(!there.isEmpty)
            let cut = cluster.world.clock.uptime
            lost.setCutOff(true)
            try await cluster.eventually("the node counts as unreachable") {
                let node = NodeView(try await cluster.client.get(.nodes, name: lost.name))
                return node.condition("Ready")?.text("status") == "Unknown"
                    && node.taints.contains { $0.text("key") == "node.kubernetes.io/unreachable" }
            }
            let noticed = cluster.world.clock.uptime - cut
            #expect(noticed > .seconds(40) && noticed < .seconds(61), "\(noticed)")
            try await cluster.eventually("its pods are marked for deletion", within: .seconds(400)) {
                try await cluster.pods("app=web").filter { there.contains($0.uid) }
                    .allSatisfy { $0.metadata.isDeleting }
            }
            let evicted = cluster.world.clock.uptime - cut - noticed
            #expect(evicted > .seconds(298) && evicted < .seconds(302), "\(evicted)")
            try await cluster.eventually("others run in their place") {
                try await cluster.pods("app=web").filter { !$0.metadata.isDeleting && $0.isReady }.count == 6
            }
            lost.setCutOff(false)
            try await cluster.eventually("the node is back, and ends what it was told to end") {
                let node = NodeView(try await cluster.client.get(.nodes, name: lost.name))
                let pods = try await cluster.pods("app=web")
                return node.isReady && node.taints.isEmpty && pods.count == 6
            }
        }
    }

    @Test(arguments: SimulatedServer.allCases) func namespaceIsEmptied(server: SimulatedServer) throws {
        try simulate(server, seed: 11, nodes: 2) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
            try await cluster.eventually("it has its defaults") {
                let account = try? await client.get(.serviceAccounts, namespace: "team", name: "default")
                let map = try? await client.get(.configMaps, namespace: "team", name: "kube-root-ca.crt")
                return account != nil && map != nil
            }
            var web = deployment("web", replicas: 3, image: "web:1")
            web.set("team", at: "metadata", "namespace")
            _ = try await client.create(.deployments, web)
            try await cluster.eventually("its pods run") {
                let pods = try await cluster.pods("app=web")
                return pods.count == 3 && pods.allSatisfy(\.isReady)
            }
            _ = try await client.delete(.namespaces, name: "team")
            try await cluster.eventually("it is gone with everything in it") {
                let spaces = try await client.list(.namespaces).list("items").compactMap { $0.text("metadata", "name") }
                let pods = try await cluster.pods("app=web")
                return !spaces.contains("team") && pods.isEmpty
            }
        }
    }

    @Test(arguments: SimulatedServer.allCases) func idleClustersAreQuiet(server: SimulatedServer) throws {
        let writes = try simulate(server, seed: 13, nodes: 2) { cluster in
            _ = try await cluster.client.create(.deployments, deployment("web", replicas: 4, image: "web:1"))
            try await cluster.waitUntilRolledOut("web", replicas: 4)
            try await cluster.world.clock.sleep(for: .seconds(30))
            let before = cluster.trace.count
            try await cluster.world.clock.sleep(for: .seconds(100))
            return Array(cluster.trace[before...])
        }
        // Each node renews its lease every ten seconds; nothing else has a reason to write.
        let others = writes.filter { !$0.contains("/leases/") }
        #expect(others == [])
        #expect(writes.count <= 22)
    }

    @Test(arguments: SimulatedServer.allCases) func everyNodeGetsItsOwnNetwork(server: SimulatedServer) throws {
        let networks = try simulate(server, seed: 3, nodes: 30) { cluster in
            try await cluster.eventually("all nodes have one") {
                let nodes = try await cluster.client.list(.nodes).list("items")
                return nodes.count == 30 && nodes.allSatisfy { $0.text("spec", "podCIDR") != nil }
            }
            return try await cluster.client.list(.nodes).list("items").compactMap { $0.text("spec", "podCIDR") }
        }
        #expect(Set(networks).count == 30)
        #expect(networks.allSatisfy { CIDR($0)?.prefix == 24 })
    }

    @Test(arguments: SimulatedServer.allCases) func servicesListTheirPods(server: SimulatedServer) throws {
        try simulate(server, seed: 5, nodes: 3) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .services,
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default"],
                    "spec": [
                        "selector": ["app": "web"], "clusterIP": "10.96.0.7", "ipFamilies": ["IPv4"],
                        "ports": [["name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"]],
                    ],
                ])
            @Sendable func slices() async throws -> [EndpointSliceView] {
                try await client.list(
                    .endpointSlices, namespace: "default", labelSelector: "kubernetes.io/service-name=web"
                ).list("items").map { EndpointSliceView($0) }
            }
            _ = try await client.create(.deployments, deployment("web", replicas: 120, image: "web:1"))
            try await cluster.eventually("two slices hold all 120", within: .seconds(300)) {
                let slices = try await slices()
                let ready = slices.flatMap(\.endpoints).filter(\.ready)
                return slices.count == 2 && ready.count == 120
                    && slices.allSatisfy { $0.serviceName == "web" && $0.ports.first?.number("port") == 8080 }
            }
            _ = try await client.delete(.services, namespace: "default", name: "web")
            try await cluster.eventually("the slices go with the service") {
                try await slices().isEmpty
            }
        }
    }
}

@Suite struct SimulatedWorldTests {
    @Test func timeJumpsToTheNextSleeper() throws {
        let order = try Simulation.run(seed: 1) { world in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for hours in [3, 1, 2] {
                    group.addTask {
                        try await world.clock.sleep(for: .seconds(hours * 3600))
                        return hours
                    }
                }
                var order: [Int] = []
                for try await hours in group { order.append(hours) }
                return order
            }
        }
        #expect(order == [1, 2, 3])
    }

    @Test func waitingForeverIsAnError() {
        #expect(throws: SimulationError.self) {
            try Simulation.run(seed: 1) { _ in
                let wakeup = Wakeup()
                try await wakeup.wait(since: wakeup.ticket)
            }
        }
    }

    @Test func connectionsCarryBytesBothWays() throws {
        let answer = try Simulation.run(seed: 2) { world in
            let listener = try await world.network.listen(on: .ip(.loopback, port: 80))
            return try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask {
                    let connection = try await listener.accept()
                    let request = try await connection.read(atMost: 100)
                    try await connection.write(request.reversed())
                    connection.close()
                    return []
                }
                let connection = try await world.network.connect(to: .ip(.loopback, port: 80))
                try await connection.write([1, 2, 3])
                var answer: [UInt8] = []
                while true {
                    let piece = try await connection.read(atMost: 2)
                    if piece.isEmpty { break }
                    answer += piece
                }
                try await group.waitForAll()
                return answer
            }
        }
        #expect(answer == [3, 2, 1])
    }
}
