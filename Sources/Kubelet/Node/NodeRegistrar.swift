import Basics
import Client
import Document
import Images
import Kinds

/// Keeps the Node object and its lease: registers at once, tells the API the moment the node becomes ready,
/// then sends heartbeats.
struct NodeRegistrar: Sendable {
    let configuration: KubeletConfiguration
    let client: APIClient
    let images: any ImageSource
    let network: any PodNetworking
    let machine: Machine
    let ledger: NodeLedger
    let health: NodeHealth
    let world: World
    let log: Log

    private var description: NodeDescription { NodeDescription(configuration: configuration, machine: machine) }
    private var name: String { configuration.nodeName }

    func run() async throws {
        let node = try await register()
        ledger.learn(node)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await keepStatus(node) }
            group.addTask { try await keepLease(owner: node.text("metadata", "uid") ?? "") }
            for try await _ in group {}
        }
    }

    // MARK: The Node

    private func status(previous: Document?) async -> Document {
        // The runtime is a library of ours: it answers whenever we do.
        let problem = await network.readiness()
        let all = (try? await images.list()) ?? []
        let listed = all.sorted { $0.size > $1.size }.prefix(50).map { image -> Document in
            ["names": Document(image.repoDigests + image.names), "sizeBytes": Document(image.size)]
        }
        return description.status(
            problem: problem, pressure: health.pressure, images: listed, previous: previous, now: world.clock.now)
    }

    private func register() async throws -> Document {
        var pause = Duration.milliseconds(20)
        while true {
            do {
                return try await registerOnce()
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                log.debug("registering node \(name): \(error)")
                try await world.clock.sleep(for: pause)
                pause = min(pause * 2, .seconds(2))
            }
        }
    }

    private func registerOnce() async throws -> Document {
        if configuration.registerNode {
            do {
                return try await client.create(.nodes, description.node(status: await status(previous: nil)))
            } catch let refusal as APIStatus where refusal.isAlreadyExists {}
        }
        let existing = try await client.get(.nodes, name: name)
        let labels = description.labels.filter { existing.map("metadata", "labels")[$0.key] != $0.value }
        guard !labels.isEmpty, configuration.registerNode else { return existing }
        let patch: Document = [
            "metadata": ["labels": Document(members: labels.map { ($0.key, Document($0.value)) })]
        ]
        return try await client.patch(.nodes, name: name, patch)
    }

    /// Writes what changed when the network's readiness changes, and everything as a heartbeat.
    private func keepStatus(_ node: Document) async throws {
        var written = node["status"] ?? .emptyObject
        while true {
            let pressure = health.pressure
            let wanted = await status(previous: written)
            do {
                let answer = try await client.patch(
                    .nodes, name: name, ["status": wanted], type: .strategic, subresource: "status")
                ledger.learn(answer)
                written = wanted
                // What others have brought to the node since: it is all for pods.
                if let capacity = answer.at("status", "capacity"), Self.bringsMore(capacity, than: wanted) {
                    written["capacity"] = capacity
                    continue
                }
                written["capacity"] = answer.at("status", "capacity") ?? written["capacity"]
                try await waitForChange(isReady: Self.isReady(written), pressure: pressure)
            } catch let status as APIStatus where status.isNotFound && configuration.registerNode {
                written = try await register()["status"] ?? .emptyObject
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                log.warning("status of node \(name): \(error)")
                try await world.clock.sleep(for: .milliseconds(500))
            }
        }
    }

    private static func bringsMore(_ capacity: Document, than status: Document) -> Bool {
        capacity.members.contains { $0.key.contains("/") && status.at("allocatable", $0.key) != $0.value }
    }

    private static func isReady(_ status: Document) -> Bool {
        status.list("conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" }
    }

    private func waitForChange(isReady: Bool, pressure: Set<NodePressure>) async throws {
        if !isReady, await network.readiness() == nil { return }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await world.clock.sleep(for: configuration.statusInterval) }
            group.addTask { try await health.wait(while: pressure) }
            if !isReady { group.addTask { try await network.awaitReadiness() } }
            defer { group.cancelAll() }
            _ = try await group.next()
        }
    }

    // MARK: The lease

    private static let leaseNamespace = "kube-node-lease"

    private func keepLease(owner uid: String) async throws {
        var lease: Document?
        while true {
            var pause = configuration.leaseRenewal
            do {
                lease = try await renew(lease, owner: uid)
            } catch is CancellationError {
                throw CancellationError()
            } catch let status as APIStatus where status.isConflict || status.isNotFound || status.isAlreadyExists {
                lease = nil
                pause = .milliseconds(200)
            } catch {
                log.warning("lease of node \(name): \(error)")
                pause = .seconds(1)
            }
            try await world.clock.sleep(for: pause)
        }
    }

    private func renew(_ known: Document?, owner uid: String) async throws -> Document {
        var lease = known
        if lease == nil {
            do { lease = try await client.get(.leases, namespace: Self.leaseNamespace, name: name) } catch let status
                as APIStatus where status.isNotFound
            {}
        }
        let renewTime = Document(world.clock.now.rfc3339(fractionDigits: 6))
        if var lease {
            lease.set(renewTime, at: "spec", "renewTime")
            lease.set(Document(name), at: "spec", "holderIdentity")
            lease.set(Document(configuration.leaseSeconds), at: "spec", "leaseDurationSeconds")
            return try await client.update(.leases, namespace: Self.leaseNamespace, name: name, lease)
        }
        let new: Document = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": [
                "name": Document(name), "namespace": Document(Self.leaseNamespace),
                "ownerReferences": [
                    ["apiVersion": "v1", "kind": "Node", "name": Document(name), "uid": Document(uid)]
                ],
            ],
            "spec": [
                "holderIdentity": Document(name), "leaseDurationSeconds": Document(configuration.leaseSeconds),
                "renewTime": renewTime,
            ],
        ]
        return try await client.create(.leases, namespace: Self.leaseNamespace, new)
    }
}
