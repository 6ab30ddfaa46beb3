import Basics
import Document
import Synchronization
import Testing
import Wire

@testable import APIServer

/// Requests that are handed through to a node agent.
@Suite struct ConnectTests {
    private static let pod = "/api/v1/namespaces/default/pods/p"
    private static let upgrade = [
        ("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "v4"),
    ]

    /// A node agent that tells what it was asked, on a connection that has left HTTP.
    private static func agent(_ request: Request) -> Response {
        if request.target.hasPrefix("/attach") {
            return Response(status: 500, body: .bytes(Array("no such luck".utf8)))
        }
        let fields = request.headers.fields.filter { $0.name.hasPrefix("X-") || $0.name == "Authorization" }
            .map { "\($0.name)=\($0.value)" }
        let text = "\(request.method) \(request.target) \(fields.joined(separator: ","))"
        return Response(
            status: 101, headers: Headers([("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]),
            body: .upgrade { connection in
                try await connection.write(Array(text.utf8))
                try await connection.finishWriting()
            })
    }

    private func withNode(_ body: @escaping @Sendable (Harness) async throws -> Void) async throws {
        let network = MemoryNetwork()
        let endpoint = Endpoint.ip(.loopback, port: 10250)
        let clock = ManualClock()
        let harness = try await Harness(nodeTransport: { _, _, _ in
            HTTPTransport(endpoint, host: "node", network: network, clock: clock)
        })
        let server = HTTPServer(listener: try await network.listen(on: endpoint), clock: clock) { Self.agent($0) }
        try await harness.create(
            "/api/v1/nodes",
            [
                "apiVersion": "v1", "kind": "Node", "metadata": ["name": "n"],
                "status": ["addresses": [["type": "InternalIP", "address": "10.89.0.3"]]],
            ])
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        var pod = Harness.pod("p")
        pod.set([["name": "a", "image": "i"], ["name": "b", "image": "i"]], at: "spec", "containers")
        pod.set("n", at: "spec", "nodeName")
        try await harness.create("/api/v1/namespaces/default/pods", pod)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await body(harness) }
            try await group.next()
            group.cancelAll()
        }
    }

    /// What comes over the connection that the server hands over.
    private func tunnelled(_ response: Response) async throws -> String {
        guard case .upgrade(let take) = response.body else { return "no upgrade: \(response.status)" }
        let network = MemoryNetwork()
        let listener = try await network.listen(on: .ip(.loopback, port: 1))
        let near = try await network.connect(to: .ip(.loopback, port: 1))
        let far = try await listener.accept()
        try await near.finishWriting()
        return try await withThrowingTaskGroup(of: String?.self) { group in
            group.addTask {
                try await take(far)
                return nil
            }
            group.addTask {
                var all: [UInt8] = []
                while case let bytes = try await near.read(atMost: 1000), !bytes.isEmpty { all += bytes }
                return String(decoding: all, as: UTF8.self)
            }
            var text = ""
            for try await part in group { if let part { text = part } }
            return text
        }
    }

    @Test func theConnectionIsHandedThrough() async throws {
        try await withNode { harness in
            let asked = Request(
                "POST", Self.pod + "/exec?container=b&command=echo&command=a%20b&stdin=true&stdout=true&tty=false",
                headers: Headers(Self.upgrade), peer: harness.admin)
            let exec = try await tunnelled(await harness.server.handler(asked))
            #expect(
                exec
                    == "POST /exec/default/p/b?input=1&output=1&command=echo&command=a%20b X-Stream-Protocol-Version=v4"
            )
            let forwarded = Request(
                "GET", Self.pod + "/portforward?ports=80,81", headers: Headers(Self.upgrade), peer: harness.admin)
            let forward = try await tunnelled(await harness.server.handler(forwarded))
            #expect(forward == "GET /portForward/default/p?port=80%2C81 X-Stream-Protocol-Version=v4")
        }
    }

    @Test func refusalsAreStatusesOrTheAgentsWords() async throws {
        try await withNode { harness in
            let unnamed = try await harness.send("POST", Self.pod + "/exec?command=a", headers: Self.upgrade)
            #expect(unnamed.status == 400)
            #expect(
                unnamed.body.text("message")
                    == "a container name must be specified for pod p, choose one of: [a b]")
            let unknown = try await harness.send("POST", Self.pod + "/exec?container=c", headers: Self.upgrade)
            #expect(unknown.body.text("message") == "container c is not valid for pod p")
            let plain = try await harness.send("POST", Self.pod + "/exec?container=a")
            #expect(plain.status == 400 && plain.body.text("message") == "Upgrade request required")
            let absent = try await harness.send(
                "POST", "/api/v1/namespaces/default/pods/none/exec", headers: Self.upgrade)
            #expect(absent.status == 404)
            let response = await harness.server.handler(
                Request(
                    "POST", Self.pod + "/attach?container=a", headers: Headers(Self.upgrade), peer: harness.admin))
            guard case .stream(let produce) = response.body else {
                Issue.record("the agent's answer is not passed on")
                return
            }
            let words = Words()
            try await produce(words)
            #expect(response.status == 500 && words.text == "no such luck")
        }
    }

    @Test func gettingInByGETTakesTheRightToCreate() async throws {
        try await withNode { harness in
            let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
            func role(_ verbs: Document) -> Document {
                [
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": ["name": "r"],
                    "rules": [["apiGroups": [""], "resources": ["pods/exec"], "verbs": verbs]],
                ]
            }
            try await harness.create("\(rbac)/roles", role(["get"]))
            try await harness.create(
                "\(rbac)/rolebindings",
                [
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": ["name": "r"],
                    "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"],
                    "subjects": [["apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"]],
                ])
            let path = Self.pod + "/exec?container=a"
            let reader = try await harness.send("GET", path, as: "u", headers: Self.upgrade)
            #expect(reader.status == 403)
            #expect(
                reader.body.text("message")?.hasPrefix(
                    "pods \"p\" is forbidden: User \"u\" cannot create resource \"pods/exec\"") == true)
            _ = try await harness.send("PUT", "\(rbac)/roles/r", role(["get", "create"]))
            let maker = try await harness.send("GET", path, as: "u", headers: Self.upgrade)
            #expect(maker.status == 101)
        }
    }
}

private final class Words: BodyWriter {
    private let bytes = Mutex<[UInt8]>([])
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    func write(_ piece: [UInt8]) async throws { bytes.withLock { $0 += piece } }
}
