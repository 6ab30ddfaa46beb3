import Basics
import Client
import Document
import Kinds
import Synchronization
import Wire

/// What a node can do, and how long things take on it.
public struct SimulatedNodeSettings: Sendable {
    public var cpu = "4"
    public var memory = "8Gi"
    public var pods = 110
    public var labels: [String: String] = [:]
    /// Starting a pod takes between once and twice this, ending it too.
    public var latency = Duration.milliseconds(50)
    /// Keeps the taint of a new node, which the node lifecycle controller removes once the node is ready.
    public var isTainted = true

    public init() {}
}

/// A node agent without a node: it registers, renews its lease, and says of every pod that it runs.
public final class SimulatedNode: Sendable {
    public let name: String
    private let settings: SimulatedNodeSettings
    private let index: Int
    private let link: FaultyTransport
    private let client: APIClient
    private let world: World
    private let log: Log

    /// - Parameter index: distinct for each node; pods get their addresses from it.
    public init(
        name: String, index: Int, settings: SimulatedNodeSettings = SimulatedNodeSettings(),
        transport: any Transport, world: World, log: Log
    ) {
        self.name = name
        self.index = index
        self.settings = settings
        self.world = world
        self.log = log
        link = FaultyTransport(transport)
        client = APIClient(transport: link, userAgent: "simulated-node/\(name)", bearerToken: SimulatedServer.token)
    }

    /// Cut off, the node reaches nothing and nothing reaches it; its pods go on.
    public func setCutOff(_ isCutOff: Bool) { link.isDown.withLock { $0 = isCutOff } }

    public func run() async throws {
        let pods = Informer(client, .pods, fieldSelector: "spec.nodeName=\(name)", world: world, log: log)
        let queue = WorkQueue(clock: world.clock)
        let changes = pods.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.stayAlive() }
            group.addTask { try await pods.run() }
            group.addTask { for await change in changes where change.new != nil { queue.add(change.key) } }
            for _ in 0..<4 {
                group.addTask {
                    while let key = await queue.next() {
                        do {
                            if let pod = pods.get(key: key) { try await self.sync(pod) }
                            queue.forget(key)
                        } catch {
                            try Task.checkCancellation()
                            queue.addRateLimited(key)
                        }
                        queue.done(key)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: The node

    private func stayAlive() async throws {
        while true {
            do {
                try await register()
                try await renewLease()
                try await world.clock.sleep(for: .seconds(10))
            } catch {
                try Task.checkCancellation()
                try await world.clock.sleep(for: .seconds(1))
            }
        }
    }

    private func register() async throws {
        var labels = settings.labels
        labels["kubernetes.io/hostname"] = name
        let now = Document(world.clock.now.rfc3339())
        let resources: Document = [
            "cpu": Document(settings.cpu), "memory": Document(settings.memory), "pods": Document(String(settings.pods)),
        ]
        let ready: Document = [
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        ]
        do {
            let node = try await client.get(.nodes, name: name)
            if NodeView(node).isReady { return }
        } catch let status as APIStatus where status.isNotFound {
            var node: Document = [
                "apiVersion": "v1", "kind": "Node",
                "metadata": [
                    "name": Document(name),
                    "labels": Document(members: labels.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) }),
                ],
            ]
            let spec: Document = ["taints": [["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]]]
            if settings.isTainted { node["spec"] = spec }
            _ = try await client.create(.nodes, node)
            // The server itself taints a new node.
            if !settings.isTainted { _ = try await client.patch(.nodes, name: name, ["spec": ["taints": .null]]) }
        }
        _ = try await client.patch(
            .nodes, name: name,
            ["status": ["capacity": resources, "allocatable": resources, "conditions": [ready]]], subresource: "status")
    }

    private func renewLease() async throws {
        let spec: Document = [
            "holderIdentity": Document(name), "leaseDurationSeconds": 40,
            "renewTime": Document(world.clock.now.rfc3339(fractionDigits: 6)),
        ]
        do {
            _ = try await client.patch(.leases, namespace: "kube-node-lease", name: name, ["spec": spec])
        } catch let status as APIStatus where status.isNotFound {
            _ = try await client.create(
                .leases, namespace: "kube-node-lease",
                [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": Document(name)],
                    "spec": spec,
                ])
        }
    }

    // MARK: Its pods

    private func sync(_ pod: Document) async throws {
        let view = PodView(pod)
        if view.metadata.isDeleting {
            try await takeTime()
            do {
                _ = try await client.delete(
                    .pods, namespace: view.namespace, name: view.name,
                    options: ["gracePeriodSeconds": 0, "preconditions": ["uid": Document(view.uid)]])
            } catch let status as APIStatus where status.isNotFound || status.isConflict { return }
            return
        }
        if view.phase != "Pending" { return }
        try await takeTime()
        let now = Document(world.clock.now.rfc3339())
        // Made from the pod's identity, so that every pod has its own.
        let host = view.uid.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFF }
        let address = Document("10.244.\(index % 256).\(host)")
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map { type -> Document in
            ["type": Document(type), "status": "True", "lastTransitionTime": now]
        }
        let status: Document = [
            "phase": "Running", "startTime": now, "podIP": address, "podIPs": [["ip": address]],
            "conditions": Document(conditions),
        ]
        do {
            _ = try await client.patch(
                .pods, namespace: view.namespace, name: view.name,
                ["metadata": ["uid": Document(view.uid)], "status": status], subresource: "status")
        } catch let status as APIStatus where status.isNotFound || status.isConflict { return }
    }

    private func takeTime() async throws {
        let extra = Double(world.random.below(1_000)) / 1_000
        try await world.clock.sleep(for: settings.latency * (1 + extra))
    }
}

/// A way to the server that can be cut.
final class FaultyTransport: Transport {
    let isDown = Mutex(false)
    private let base: any Transport

    init(_ base: any Transport) { self.base = base }

    struct Unreachable: Error, CustomStringConvertible {
        var description: String { "no route to the server" }
    }

    func send(_ request: Request) async throws -> any ResponseStream {
        if isDown.withLock({ $0 }) { throw Unreachable() }
        return FaultyStream(try await base.send(request), self)
    }

    /// A stream that was open before the cut delivers nothing after it.
    private final class FaultyStream: ResponseStream {
        private let base: any ResponseStream
        private let transport: FaultyTransport

        init(_ base: any ResponseStream, _ transport: FaultyTransport) {
            self.base = base
            self.transport = transport
        }

        var status: Int { base.status }
        var headers: Headers { base.headers }

        func next() async throws -> [UInt8]? {
            let piece = try await base.next()
            if transport.isDown.withLock({ $0 }) { throw Unreachable() }
            return piece
        }

        func cancel() { base.cancel() }
    }
}
