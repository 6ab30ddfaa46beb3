import Basics
import Client
import Document
import Linux
import Synchronization
import Testing
import Wire

@testable import Ingress

/// An API of a few objects: lists tell what is there, and a watch of ingresses brings what the test sends.
private final class MiniatureAPI: Sendable {
    private let objects: [String: [Document]]
    private let events = AsyncStream<[UInt8]>.makeStream()
    let patches = Mutex<[String]>([])

    init(_ objects: [String: [Document]]) { self.objects = objects }

    func send(_ type: String, _ object: Document) {
        var object = object
        object.set("9", at: "metadata", "resourceVersion")
        events.continuation.yield((["type": Document(type), "object": object] as Document).json + [10])
    }

    var handler: Handler {
        { request in
            let plural = String(request.target.prefix { $0 != "?" }.split(separator: "/").last ?? "")
            if request.method == "PATCH" {
                self.patches.withLock {
                    $0.append("\(request.target) \(String(decoding: request.body, as: UTF8.self))")
                }
                return Response(status: 200, body: .bytes(Array("{}".utf8)))
            }
            if request.target.contains("watch=") {
                let stream = plural == "ingresses" ? self.events.stream : AsyncStream<[UInt8]>.makeStream().stream
                return Response(
                    status: 200, body: .stream { writer in for await line in stream { try await writer.write(line) } })
            }
            let list: Document = [
                "kind": "List", "metadata": ["resourceVersion": "5"], "items": Document(self.objects[plural] ?? []),
            ]
            return Response(
                status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(list.json))
        }
    }
}

@Suite struct IngressServerTests {
    private static func objects(backend: UInt16, certificate: IssuedCertificate) -> [String: [Document]] {
        func secret(_ name: String, _ bytes: [UInt8]) -> Document {
            [
                "metadata": ["name": Document(name), "namespace": "default", "resourceVersion": "1"],
                "data": [
                    "tls.crt": Document(Base64.encode(bytes)), "tls.key": Document(Base64.encode(certificate.keyPEM)),
                ],
            ]
        }
        func node(_ name: String, _ address: String, _ ready: String) -> Document {
            [
                "metadata": ["name": Document(name)],
                "status": [
                    "addresses": [["type": "InternalIP", "address": Document(address)]],
                    "conditions": [["type": "Ready", "status": Document(ready)]],
                ],
            ]
        }
        return [
            "ingressclasses": [["metadata": ["name": "lab"], "spec": ["controller": "lab.dev/ingress"]]],
            "services": [
                ["metadata": ["name": "s", "namespace": "default"], "spec": ["ports": [["port": 80, "name": "web"]]]]
            ],
            "endpointslices": [
                [
                    "metadata": ["name": "s-1", "namespace": "default", "labels": ["kubernetes.io/service-name": "s"]],
                    "ports": [["name": "web", "port": Document(Int(backend))]],
                    "endpoints": [["addresses": ["127.0.0.1"]]],
                ]
            ],
            "secrets": [secret("good", certificate.certificatePEM), secret("bad", [1, 2, 3])],
            "nodes": [node("b", "10.0.0.2", "True"), node("a", "10.0.0.1", "True"), node("c", "10.0.0.3", "False")],
        ]
    }

    @Test func itServesWhileThereIsSomethingToServe() async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let backend) = listener.local else { return }
            let behind = HTTPServer(listener: listener, clock: world.clock) { text(200, "\($0.target)") }
            let year = Duration.seconds(365 * 86_400)
            let authority = try CertificateAuthority.create(commonName: "ca", now: world.clock.now, validity: year)
            let issued = try authority.issue(
                commonName: "h.example", dnsNames: ["h.example"], usage: [.server], now: world.clock.now,
                validity: year)
            let trust = try TLSClientContext(caPEM: authority.certificatePEM)
            let api = MiniatureAPI(Self.objects(backend: backend, certificate: issued))
            let transport = InProcessTransport(handler: api.handler)
            var ports = IngressServer.Ports()
            (ports.http, ports.https) = (0, 0)
            let server = IngressServer(
                client: APIClient(transport: transport, userAgent: "test"), address: .loopback, ports: ports,
                writesStatus: true, world: world, log: .silent)
            let pause = Duration.milliseconds(1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await transport.run() }
                group.addTask { try await behind.run() }
                group.addTask { try await server.run() }
                let ingress = RouteTests.ingress(
                    "a", [("h.example", [RouteTests.path("/", "Prefix", "s")])],
                    tls: [["hosts": ["h.example"], "secretName": "good"], ["hosts": ["i"], "secretName": "bad"]])
                for _ in 0..<2 {
                    api.send("ADDED", ingress)
                    while server.local(isSecure: true) == nil || server.local(isSecure: false) == nil {
                        try await world.clock.sleep(for: pause)
                    }
                    let secure = try #require(server.local(isSecure: true))
                    // The certificate comes a moment after the rules.
                    while server.front.table.certificates["h.example"] == nil {
                        try await world.clock.sleep(for: pause)
                    }
                    let client = HTTPTransport(
                        secure, host: "h.example", tls: trust, network: world.network, clock: world.clock)
                    let answer = try await client.send(Request("GET", "/x"))
                    #expect(answer.status == 200)
                    #expect(try await answer.collect() == Array("/x".utf8))
                    #expect(server.front.table.certificates["i"] == nil)
                    while api.patches.withLock({ $0.isEmpty }) { try await world.clock.sleep(for: pause) }
                    let patch = api.patches.withLock { $0[0] }
                    #expect(patch.hasPrefix("/apis/networking.k8s.io/v1/namespaces/default/ingresses/a/status "))
                    #expect(patch.hasSuffix("[{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]}}}"))
                    api.send("DELETED", ingress)
                    while server.local(isSecure: true) != nil || server.local(isSecure: false) != nil {
                        try await world.clock.sleep(for: pause)
                    }
                    #expect(server.front.table.hosts.isEmpty)
                }
                group.cancelAll()
            }
        }
    }
}
