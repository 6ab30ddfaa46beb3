import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Scheduler
import Simulation

/// What decisions cost, on clusters of simulated nodes: first alone, then with a server that takes the bindings.
struct Scheduling: Sendable {
    let world: World
    let pods: Int
    private let sizes = [100, 1_000, 5_000]

    init(world: World, pods: Int) {
        self.world = world
        self.pods = pods
    }

    enum Workload: String, CaseIterable, Sendable {
        case plain, spreading, affinity

        /// One of ten replica sets.
        func pod(_ number: Int) -> Document {
            let set = "set-\(number % 10)"
            var spec: Document = [
                "schedulerName": "default-scheduler",
                "containers": [
                    [
                        "name": "main", "image": "registry.k8s.io/pause:3.10",
                        "resources": ["requests": ["cpu": "100m", "memory": "64Mi"]],
                    ]
                ],
            ]
            let selector: Document = ["matchLabels": ["app": Document(set)]]
            switch self {
            case .plain: break
            case .spreading:
                spec["topologySpreadConstraints"] = [
                    [
                        "maxSkew": 5, "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector,
                    ],
                    [
                        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": selector,
                    ],
                ]
            case .affinity:
                spec["affinity"] = [
                    "podAffinity": [
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            ["labelSelector": selector, "topologyKey": "topology.kubernetes.io/zone"]
                        ]
                    ],
                    "podAntiAffinity": [
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            [
                                "weight": 10,
                                "podAffinityTerm": [
                                    "labelSelector": selector, "topologyKey": "kubernetes.io/hostname",
                                ],
                            ]
                        ]
                    ],
                ]
            }
            return [
                "apiVersion": "v1", "kind": "Pod",
                "metadata": [
                    "name": Document("pod-\(number)"), "namespace": "default", "uid": Document("uid-\(number)"),
                    "labels": ["app": Document(set)],
                    "ownerReferences": [
                        [
                            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": Document(set), "uid": Document(set),
                            "controller": true,
                        ]
                    ],
                ],
                "spec": spec,
            ]
        }
    }

    func measure() throws -> [Row] {
        var rows: [Row] = []
        for size in sizes {
            for workload in Workload.allCases { rows += try decisions(size, workload) }
        }
        for size in sizes { rows += try bindings(size) }
        return rows
    }

    private func node(_ number: Int) -> Document {
        let name = "node-\(number)"
        return [
            "apiVersion": "v1", "kind": "Node",
            "metadata": [
                "name": Document(name),
                "labels": [
                    "kubernetes.io/hostname": Document(name),
                    "topology.kubernetes.io/zone": Document("zone-\(number % 10)"),
                ],
            ],
            // Room enough for every pod in any one zone: with affinity they may all want the same.
            "status": ["allocatable": ["cpu": "128", "memory": "256Gi", "pods": "1100"]],
        ]
    }

    /// The pure decisions, pod after pod, reading each pod included.
    private func decisions(_ size: Int, _ workload: Workload) throws -> [Row] {
        var trial = SchedulingTrial(random: world.random)
        trial.setNamespace("default", labels: [:])
        for number in 0..<size {
            let node = node(number)
            trial.setNode(node.text("metadata", "name") ?? "", node)
        }
        let documents = try (0..<pods).map { try Document(json: workload.pod($0).json) }
        var samples: [Double] = []
        samples.reserveCapacity(pods)
        let start = CPUTime.now
        for document in documents {
            let before = world.clock.uptime
            guard case .node = trial.decide(document) else { throw Failure("a pod found no node") }
            samples.append((world.clock.uptime - before).inSeconds * 1_000_000)
        }
        let seconds = CPUTime.now - start
        let name = "decide, \(size) nodes, \(workload.rawValue)"
        return [
            Row(name, "µs", samples),
            Row("\(name): rate by CPU", "pods/s", [Double(pods) / seconds], budget: 3_000, moreIsBetter: true),
        ]
    }

    /// The whole scheduler against a model of the server, both on one thread, in virtual time: CPU per pod.
    private func bindings(_ size: Int) throws -> [Row] {
        let pods = min(pods, 2_000)
        let start = CPUTime.now
        let bound = try Simulation.run(seed: 1) { world in
            try await Self.bindAll(world, (0..<size).map { node($0) }, pods)
        }
        let seconds = CPUTime.now - start
        guard bound == pods else { throw Failure("\(pods - bound) pods were not bound") }
        return [
            Row(
                "schedule and bind, \(size) nodes, with the server: rate by CPU", "pods/s", [Double(pods) / seconds],
                moreIsBetter: true)
        ]
    }

    private static func bindAll(_ world: World, _ nodes: [Document], _ pods: Int) async throws -> Int {
        let server = ModelServer(world: world)
        let transport = InProcessTransport(handler: server.handler)
        let client = APIClient(transport: transport, userAgent: "lab-bench")
        return try await withThrowingTaskGroup(of: Int?.self) { group in
            group.addTask {
                try await transport.run()
                return nil
            }
            _ = try await client.create(.namespaces, ["metadata": ["name": "default"]])
            for node in nodes { _ = try await client.create(.nodes, node) }
            for number in 0..<pods { _ = try await client.create(.pods, Workload.plain.pod(number)) }
            group.addTask {
                try await runScheduler(client: client, world: world, log: .silent)
                return nil
            }
            group.addTask {
                var bound = 0
                for _ in 0..<600 where bound < pods {
                    try await world.clock.sleep(for: .seconds(1))
                    bound = try await client.list(.pods).list("items").count { $0.text("spec", "nodeName") != nil }
                }
                return bound
            }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let bound = result { return bound } }
            return 0
        }
    }
}

/// CPU time of this process, in seconds.
private enum CPUTime {
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
    }
}
