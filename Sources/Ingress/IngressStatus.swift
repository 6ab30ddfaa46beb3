import Basics
import Client
import Document
import Kinds

/// Tells in every Ingress of ours where it is served: at every node that is ready.
struct IngressStatus: Sendable {
    let client: APIClient
    let ingresses: Informer
    let world: World
    let log: Log

    func run(changed: Wakeup, own: @escaping @Sendable () -> Set<String>) async throws {
        let nodes = Informer(client, .nodes, world: world, log: log, transform: Self.reduced)
        let changes = nodes.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await nodes.run() }
            group.addTask { for await _ in changes { changed.wake() } }
            group.addTask {
                try await nodes.waitForSync()
                var pause = Duration.seconds(1)
                while true {
                    let ticket = changed.ticket
                    do {
                        try await write(Self.addresses(nodes.all), own())
                        pause = .seconds(1)
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        log.warning("an ingress's status is not written: \(error)")
                        try await world.clock.sleep(for: pause)
                        pause = min(pause * 2, .seconds(30))
                        continue
                    }
                    try await changed.wait(since: ticket)
                }
            }
            try await group.waitForAll()
        }
    }

    /// Name, addresses and readiness: a node's status is long and changes often.
    private static func reduced(_ node: Document) -> Document {
        let ready = node.list("status", "conditions").filter { $0.text("type") == "Ready" }
            .map { ["type": "Ready", "status": Document($0.text("status") ?? "")] as Document }
        return [
            "kind": "Node", "apiVersion": "v1", "metadata": ["name": Document(node.text("metadata", "name") ?? "")],
            "status": ["addresses": Document(node.list("status", "addresses")), "conditions": Document(ready)],
        ]
    }

    static func addresses(_ nodes: [Document]) -> [IPAddress] {
        nodes.filter { node in
            node.list("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" }
        }.flatMap { node in
            node.list("status", "addresses").filter { $0.text("type") == "InternalIP" }
                .compactMap { $0.text("address").flatMap { IPAddress($0) } }
        }.sorted()
    }

    private func write(_ addresses: [IPAddress], _ own: Set<String>) async throws {
        let wanted = addresses.map { $0.description }
        for ingress in ingresses.all where own.contains(ObjectKey.of(ingress)) {
            let present = ingress.list("status", "loadBalancer", "ingress").compactMap { $0.text("ip") }
            if present == wanted { continue }
            let entries = wanted.map { ["ip": Document($0)] as Document }
            do {
                _ = try await client.patch(
                    .ingresses, namespace: ingress.text("metadata", "namespace"),
                    name: ingress.text("metadata", "name") ?? "",
                    ["status": ["loadBalancer": ["ingress": Document(entries)]]], subresource: "status")
            } catch let status as APIStatus where status.isNotFound {
                continue
            }
        }
    }
}
