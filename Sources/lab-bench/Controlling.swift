import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux

/// A control plane with much to do, and with much to look after: a large Deployment on nodes that are objects alone,
/// the end of a full namespace, and many pods at rest.
struct Controlling: Sendable {
    let binary: String
    let home: String
    let world: World
    let quick: Bool

    private static let cluster = "bench"
    private var objects: Int { quick ? 1_000 : 10_000 }
    private var atRest: Int { quick ? 5_000 : 50_000 }

    private var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": "\(home)/kubeconfig"] }

    func measure() async throws -> [Row] {
        let made = Command.run(
            [binary, "create", Self.cluster, "--workers", "0", "--egress", "false"], extra: environment)
        guard made.code == 0 else { throw Failure("\(made)") }
        defer { _ = Command.run([binary, "delete", Self.cluster], extra: environment) }
        let bytes = try Files.read("\(home)/clusters/\(Self.cluster)/kubeconfig")
        let client = try Connect.client(try Kubeconfig(yaml: bytes), world: world, userAgent: "lab-bench")
        let (manager, server) = (Meter(process: try process("manager")), Meter(process: try process("apiserver")))
        say("==> controllers: a namespace ends")
        var rows = try await namespace(client, manager, server)
        say("==> controllers: a large Deployment")
        rows += try await deployment(client, manager, server)
        say("==> controllers: at rest")
        rows += try await rest(client, manager)
        return rows
    }

    private func process(_ role: String) throws -> pid_t {
        for entry in try Files.list("/proc") {
            guard let pid = pid_t(entry), let groups = try? Files.text("/proc/\(entry)/cgroup"),
                groups.contains("/lab/\(Self.cluster)/"),
                let words = try? Files.text("/proc/\(entry)/cmdline").split(separator: "\0"),
                words.dropFirst().starts(with: ["role", Substring(role)])
            else { continue }
            return pid
        }
        throw Failure("no \(role) runs")
    }

    /// Sixteen at a time.
    private func each(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<16 {
                group.addTask { for number in stride(from: first, to: count, by: 16) { try await body(number) } }
            }
            try await group.waitForAll()
        }
    }

    /// The time that `body` takes, and what the two processes use meanwhile, in seconds.
    private func cost(
        _ manager: Meter, _ server: Meter, _ body: () async throws -> Void
    ) async throws -> (time: Double, manager: Double, server: Double) {
        let (start, before, serverBefore) = (world.clock.uptime, try manager.cpu, try server.cpu)
        try await body()
        return ((world.clock.uptime - start).inSeconds, try manager.cpu - before, try server.cpu - serverBefore)
    }

    private func rows(_ title: String, _ cost: (time: Double, manager: Double, server: Double)) -> [Row] {
        [
            Row(title, "s", [cost.time]), Row("\(title): controllers' CPU", "s", [cost.manager]),
            Row("\(title): API server's CPU", "s", [cost.server]),
        ]
    }

    private func namespace(_ client: APIClient, _ manager: Meter, _ server: Meter) async throws -> [Row] {
        _ = try await client.create(.namespaces, ["metadata": ["name": "ending"]])
        try await each(objects) { number in
            _ = try await client.create(
                .configMaps, namespace: "ending",
                ["metadata": ["name": Document("c-\(number)")], "data": ["a": "b"]])
        }
        let cost = try await cost(manager, server) {
            _ = try await client.delete(.namespaces, name: "ending")
            try await until("the namespace's end") {
                do { _ = try await client.get(.namespaces, name: "ending") } catch let status as APIStatus
                    where status.code == 404
                { return true }
                return false
            }
        }
        return rows("namespace with \(objects) objects: delete → gone", cost)
    }

    private func deployment(_ client: APIClient, _ manager: Meter, _ server: Meter) async throws -> [Row] {
        try await each(objects / 100) { number in
            let room: Document = ["cpu": "64", "memory": "256Gi", "pods": "110"]
            let name = "fake-\(number)"
            _ = try await client.create(
                .nodes,
                [
                    "metadata": ["name": Document(name), "labels": ["fake": "yes"]],
                    "status": ["capacity": room, "allocatable": room],
                ])
        }
        let labels: Document = ["app": "many"]
        let deployment: Document = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "many", "namespace": "default"],
            "spec": [
                "replicas": Document(objects), "selector": ["matchLabels": labels],
                "template": [
                    "metadata": ["labels": labels],
                    "spec": [
                        "nodeSelector": ["fake": "yes"], "tolerations": [["operator": "Exists"]],
                        "containers": [
                            [
                                "name": "main", "image": "lab.local/testbox:v1",
                                "resources": ["requests": ["cpu": "10m"]],
                            ]
                        ],
                    ],
                ],
            ],
        ]
        let list = try await client.list(.pods, namespace: "default", limit: 1)
        let watch = try await client.watch(
            .pods, namespace: "default", resourceVersion: list.text("metadata", "resourceVersion") ?? "0")
        defer { watch.cancel() }
        let wanted = objects
        let cost = try await cost(manager, server) {
            _ = try await client.create(.deployments, namespace: "default", deployment)
            var bound: Set<String> = []
            while bound.count < wanted, let event = try await watch.next() {
                if event.object.text("spec", "nodeName") != nil {
                    bound.insert(event.object.text("metadata", "name") ?? "")
                }
            }
            guard bound.count == wanted else { throw Failure("the watch ended after \(bound.count) pods") }
        }
        return rows("Deployment of \(objects) pods: create → all bound", cost)
    }

    /// Pods that no scheduler is for: nobody has anything to do.
    private func rest(_ client: APIClient, _ manager: Meter) async throws -> [Row] {
        let present = objects
        try await each(atRest - present) { number in
            _ = try await client.create(
                .pods, namespace: "default",
                [
                    "metadata": ["name": Document("rest-\(number)")],
                    "spec": [
                        "schedulerName": "nobody",
                        "containers": [["name": "main", "image": "lab.local/testbox:v1"]],
                    ],
                ])
        }
        // At rest means settled, which is also when the memory of the busy time is given back.
        try await world.clock.sleep(for: .seconds(quick ? 5 : 20))
        let seconds = quick ? 5 : 20
        let before = try manager.cpu
        try await world.clock.sleep(for: .seconds(seconds))
        let use = (try manager.cpu - before) / Double(seconds) * 100
        return [
            Row("\(atRest) pods at rest: controllers' and scheduler's part of a processor", "%", [use]),
            Row("\(atRest) pods at rest: controllers and scheduler, resident", "MiB", [try manager.resident]),
        ]
    }

    private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        let end = world.clock.uptime + .seconds(300)
        while try await !condition() {
            guard world.clock.uptime < end else { throw Failure("\(what): not within 5 minutes") }
            try await world.clock.sleep(for: .milliseconds(20))
        }
    }
}
