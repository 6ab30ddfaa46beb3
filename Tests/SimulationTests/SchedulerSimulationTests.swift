import Basics
import Client
import Document
import Kinds
import Scheduler
import Simulation
import Synchronization
import Testing
import Wire

/// A server's answers, of which some are lost, some refused, and some bindings come to nothing.
private final class Trouble: Transport {
    private let base: any Transport
    private let random: any Randomness
    private let clock: any WorldClock
    /// Of a thousand requests, how many go wrong.
    private let share: Int
    let isOver = Mutex(false)

    struct Lost: Error {}

    init(_ base: any Transport, _ world: World, share: Int) {
        self.base = base
        random = world.random
        clock = world.clock
        self.share = share
    }

    func send(_ request: Request) async throws -> any ResponseStream {
        let isHit = !isOver.withLock { $0 } && random.below(1_000) < share
        guard isHit, !request.target.contains("watch=true") else { return try await base.send(request) }
        switch random.below(3) {
        case 0: throw Lost()  // on the way there
        case 1:
            _ = try await base.send(request)
            throw Lost()  // on the way back
        default:
            try await clock.sleep(for: .milliseconds(random.below(3_000)))
            return try await base.send(request)
        }
    }
}

private func podDocument(_ name: String, cpu: String, priority: Int = 0) -> Document {
    [
        "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name), "namespace": "default"],
        "spec": [
            "priority": Document(priority), "terminationGracePeriodSeconds": 1,
            "containers": [
                [
                    "name": "main", "image": "app:1",
                    "resources": ["requests": ["cpu": Document(cpu), "memory": "16Mi"]],
                ]
            ],
        ],
    ]
}

private func nodeDocument(_ name: String, cpu: String = "4") -> Document {
    [
        "apiVersion": "v1", "kind": "Node",
        "metadata": ["name": Document(name), "labels": ["kubernetes.io/hostname": Document(name)]],
        "status": ["allocatable": ["cpu": Document(cpu), "memory": "8Gi", "pods": "110"]],
    ]
}

/// A model server and a scheduler whose way to it may be bad; nothing else writes.
private func withScheduler<Value: Sendable>(
    seed: UInt64, trouble: Int = 0,
    _ body: @escaping @Sendable (APIClient, World, SchedulerMetrics, Trouble) async throws -> Value
) throws -> Value {
    try Simulation.run(seed: seed) { world in
        let server = ModelServer(world: world)
        let transport = InProcessTransport(handler: server.handler)
        let client = APIClient(transport: transport, userAgent: "test")
        let bad = Trouble(transport, world, share: trouble)
        var options = SchedulerOptions()
        options.metrics = SchedulerMetrics()
        let (chosen, metrics) = (options, options.metrics)
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await transport.run()
                return nil
            }
            _ = try await client.create(.namespaces, ["metadata": ["name": "default"]])
            group.addTask {
                let unsure = APIClient(transport: bad, userAgent: "scheduler")
                try await runScheduler(client: unsure, world: world, log: .silent, options: chosen)
                return nil
            }
            group.addTask { try await body(client, world, metrics, bad) }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let value = result { return value } }
            throw CancellationError()
        }
    }
}

private func eventually(
    _ what: String, _ world: World, within limit: Duration = .seconds(900), _ condition: () async throws -> Bool
) async throws {
    let deadline = world.clock.uptime + limit
    while try await !condition() {
        if world.clock.uptime > deadline { throw NotInTime(description: "never: \(what)") }
        try await world.clock.sleep(for: .milliseconds(500))
    }
}

private struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

extension FaultScenario {
    fileprivate static let scheduling = FaultScenario(
        "four pods get their nodes", nodes: 2, component: .scheduler, controllers: ["replicaset-controller"],
        begin: { cluster in
            for number in 0..<4 { _ = try await cluster.client.create(.pods, podDocument("p\(number)", cpu: "1500m")) }
        },
        end: { cluster in
            let pods = try await cluster.pods()
            return pods.count == 4 && pods.allSatisfy { !$0.nodeName.isEmpty && $0.isReady }
        },
        result: { cluster in
            // Of a node's four processors two pods take three: two pods on each.
            let nodes = try await cluster.pods().map(\.nodeName)
            return Set(nodes).sorted().map { name in "\(name): \(nodes.count { $0 == name })" }
        })
}

@Suite struct SchedulerSimulationTests {
    @Test func everyCallMayFail() throws { try expectEveryCallMayFail(.scheduling, most: 8) }

    /// Calls fail at random, pods and nodes come and go: in the end every pod that fits has one node, no node has more
    /// than it can bear, and no pod ever changed its node.
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func noPodIsLostAndNoneBoundTwice(seed: UInt64) throws {
        let problems = try withScheduler(seed: seed, trouble: 150) { client, world, _, trouble in
            let invariants = PodInvariants()
            return try await withThrowingTaskGroup(of: [String]?.self) { group in
                group.addTask {
                    try await invariants.run(client)
                    return nil
                }
                group.addTask {
                    for number in 0..<6 { _ = try await client.create(.nodes, nodeDocument("n\(number)")) }
                    for number in 0..<80 {
                        _ = try await client.create(.pods, podDocument("p\(number)", cpu: "250m"))
                        if number % 3 == 0 { try await world.clock.sleep(for: .milliseconds(world.random.below(400))) }
                        if number % 9 == 4 {
                            let victim = "p\(world.random.below(number))"
                            _ = try? await client.delete(
                                .pods, namespace: "default", name: victim, options: ["gracePeriodSeconds": 0])
                        }
                        if number == 40 { _ = try await client.delete(.nodes, name: "n5") }
                    }
                    try await world.clock.sleep(for: .seconds(60))
                    trouble.isOver.withLock { $0 = true }
                    try await eventually("every pod has a node", world) {
                        try await client.list(.pods).list("items").allSatisfy { !PodView($0).nodeName.isEmpty }
                    }
                    var used: [String: Int] = [:]
                    for pod in try await client.list(.pods).list("items") {
                        used[PodView(pod).nodeName, default: 0] += 250
                    }
                    let full = used.filter { $0.value > 4_000 }.map { "\($0.key) has \($0.value)" }
                    return invariants.violations + full
                }
                defer { group.cancelAll() }
                while let result = try await group.next() { if let problems = result { return problems } }
                return ["ended early"]
            }
        }
        #expect(problems == [])
    }

    @Test func roomIsMadeForTheImportant() throws {
        let (pod, events, victims) = try withScheduler(seed: 1) { client, world, _, _ in
            _ = try await client.create(.nodes, nodeDocument("n1"))
            for number in 0..<4 { _ = try await client.create(.pods, podDocument("low\(number)", cpu: "1")) }
            try await eventually("the node is full", world) {
                try await client.list(.pods).list("items").allSatisfy { !PodView($0).nodeName.isEmpty }
            }
            _ = try await client.create(.pods, podDocument("high", cpu: "1500m", priority: 100))
            try await eventually("room is being made", world) {
                PodView(try await client.get(.pods, namespace: "default", name: "high")).nominatedNodeName == "n1"
            }
            let victims = try await client.list(.pods).list("items").filter { PodView($0).metadata.isDeleting }
            for victim in victims {
                _ = try await client.delete(
                    .pods, namespace: "default", name: PodView(victim).name, options: ["gracePeriodSeconds": 0])
            }
            try await eventually("high has its node", world) {
                !PodView(try await client.get(.pods, namespace: "default", name: "high")).nodeName.isEmpty
            }
            try await world.clock.sleep(for: .seconds(1))
            return (
                try await client.get(.pods, namespace: "default", name: "high"),
                try await client.list(.events).list("items"), victims
            )
        }
        #expect(victims.count == 2)
        let disruption = victims.first.flatMap { PodView($0).condition("DisruptionTarget") }
        #expect(disruption?.text("reason") == "PreemptionByScheduler")
        #expect(disruption?.text("message") == "default-scheduler: preempting to accommodate a higher priority pod")
        let told = Set(events.map { "\($0.text("reason") ?? ""): \($0.text("message") ?? "")" })
        #expect(told.contains("Preempted: Preempted by pod \(PodView(pod).uid) on node n1"))
        #expect(told.contains("Scheduled: Successfully assigned default/high to n1"))
        #expect(told.contains("FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu."))
    }

    @Test func waitingPodsAreLeftAlone() throws {
        let (before, after, condition) = try withScheduler(seed: 1) { client, world, _, _ in
            _ = try await client.create(.nodes, nodeDocument("n1"))
            _ = try await client.create(.pods, podDocument("large", cpu: "9"))
            try await world.clock.sleep(for: .seconds(5))
            let before = try await client.list(.pods).text("metadata", "resourceVersion")
            // Nothing that happens here can help.
            _ = try await client.patch(.nodes, name: "n1", ["metadata": ["labels": ["a": "b"]]])
            _ = try await client.patch(.nodes, name: "n1", ["metadata": ["labels": ["a": nil]]])
            try await world.clock.sleep(for: .seconds(200))
            let list = try await client.list(.pods)
            let pod = PodView(list.list("items")[0])
            return (before, list.text("metadata", "resourceVersion"), pod.condition("PodScheduled"))
        }
        #expect(Int(after ?? "") == Int(before ?? "").map { $0 + 2 })
        #expect(condition?.text("reason") == "Unschedulable")
        #expect(
            condition?.text("message")
                == "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
                + "1 Preemption is not helpful for scheduling.")
    }

    @Test func volumesAreBoundBeforeTheirPods() throws {
        let (pod, volume) = try withScheduler(seed: 1) { client, world, _, _ in
            for number in 1...3 { _ = try await client.create(.nodes, nodeDocument("n\(number)")) }
            _ = try await client.create(
                .storageClasses,
                [
                    "metadata": ["name": "local"], "provisioner": "kubernetes.io/no-provisioner",
                    "volumeBindingMode": "WaitForFirstConsumer",
                ])
            _ = try await client.create(
                .persistentVolumes,
                [
                    "metadata": ["name": "v"],
                    "spec": [
                        "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                        "nodeAffinity": [
                            "required": [
                                "nodeSelectorTerms": [
                                    [
                                        "matchExpressions": [
                                            ["key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]]
                                        ]
                                    ]
                                ]
                            ]
                        ],
                    ],
                ])
            _ = try await client.patch(
                .persistentVolumes, name: "v", ["status": ["phase": "Available"]], subresource: "status")
            _ = try await client.create(
                .persistentVolumeClaims, namespace: "default",
                [
                    "metadata": ["name": "data"],
                    "spec": [
                        "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                        "resources": ["requests": ["storage": "1Gi"]],
                    ],
                ])
            var pod = podDocument("p", cpu: "1")
            pod.set([["name": "d", "persistentVolumeClaim": ["claimName": "data"]]], at: "spec", "volumes")
            _ = try await client.create(.pods, pod)
            // What the volume controller does, once it sees whom the volume is for.
            try await eventually("the volume is given to the claim", world) {
                try await client.get(.persistentVolumes, name: "v").at("spec", "claimRef") != nil
            }
            let early = PodView(try await client.get(.pods, namespace: "default", name: "p")).nodeName
            #expect(early.isEmpty)
            _ = try await client.patch(
                .persistentVolumeClaims, namespace: "default", name: "data", ["status": ["phase": "Bound"]],
                subresource: "status")
            try await eventually("the pod has its node", world) {
                !PodView(try await client.get(.pods, namespace: "default", name: "p")).nodeName.isEmpty
            }
            return (
                PodView(try await client.get(.pods, namespace: "default", name: "p")),
                try await client.get(.persistentVolumes, name: "v")
            )
        }
        #expect(pod.nodeName == "n2")
        #expect(volume.text("spec", "claimRef", "name") == "data")
        #expect(volume.text("metadata", "annotations", "pv.kubernetes.io/bound-by-controller") == "yes")
    }

    @Test func figuresTellWhatHappened() throws {
        let text = try withScheduler(seed: 1) { client, world, metrics, _ in
            _ = try await client.create(.nodes, nodeDocument("n1"))
            for number in 0..<5 { _ = try await client.create(.pods, podDocument("p\(number)", cpu: "1")) }
            try await world.clock.sleep(for: .seconds(10))
            var text = MetricsText()
            metrics.write(to: &text)
            return text.text
        }
        let lines = Set(text.split(separator: "\n").map(String.init))
        for line in [
            "scheduler_schedule_attempts_total{result=\"scheduled\",profile=\"default-scheduler\"} 4",
            "scheduler_pending_pods{queue=\"unschedulable\"} 1",
            "scheduler_unschedulable_pods{plugin=\"NodeResourcesFit\",profile=\"default-scheduler\"} 1",
            "scheduler_cache_size{type=\"nodes\"} 1",
            "scheduler_queue_incoming_pods_total{queue=\"active\",event=\"PodAdd\"} 5",
            "scheduler_pod_scheduling_attempts_count 4",
        ] { #expect(lines.contains(line), "\(line)") }
    }
}
