import Basics
import Client
import Document
import Linux
import Synchronization
import Testing
import Wire

@testable import DNS

/// A cluster of three objects, told by lists; watches only wait.
private let miniature: Handler = { request in
    if request.target.contains("watch=") {
        return Response(
            status: 200,
            body: .stream { _ in
                let (forever, _) = AsyncStream<Void>.makeStream()
                for await _ in forever {}
            })
    }
    var items: [Document] = []
    if request.target.hasPrefix("/api/v1/namespaces") {
        items = [["metadata": ["name": "default"]]]
    } else if request.target.hasPrefix("/api/v1/services") {
        items = [
            ["metadata": ["name": "web", "namespace": "default"], "spec": ["clusterIP": "10.96.0.7"]],
            ["metadata": ["name": "many", "namespace": "default"], "spec": ["clusterIP": "None"]],
            [
                "metadata": ["name": "out", "namespace": "default"],
                "spec": ["type": "ExternalName", "externalName": "outside.test"],
            ],
            [
                "metadata": ["name": "inward", "namespace": "default"],
                "spec": ["type": "ExternalName", "externalName": "web.default.svc.cluster.local"],
            ],
        ]
    } else {
        items = [
            [
                "metadata": [
                    "name": "many-1", "namespace": "default", "labels": ["kubernetes.io/service-name": "many"],
                ],
                "endpoints": Document((1...100).map { ["addresses": Document(["10.244.0.\($0)"])] as Document }),
            ]
        ]
    }
    let list: Document = ["kind": "List", "metadata": ["resourceVersion": "5"], "items": Document(items)]
    return Response(status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(list.json))
}

/// A resolver for `outside.test`; everything else does not exist. Before each answer comes a forged one.
private func serveOutside(_ socket: any DatagramSocket, _ asked: Tally) async throws {
    while true {
        let datagram = try await socket.receive()
        let query = try DNSMessage(parsing: datagram.bytes)
        asked.add()
        var answer = DNSMessage(answering: query, code: .nameError)
        answer.recursionAvailable = true
        if let question = query.questions.first, question.name == DNSName("outside.test") {
            answer.code = .noError
            answer.answers = [DNSRecord(question.name, timeToLive: 300, .address(IPAddress(v4: 0x0102_0304)))]
        }
        // A forger's answer comes first and must be passed over.
        var forged = answer
        forged.id &+= 1
        try await socket.send(Datagram(bytes: forged.serialized(), peer: datagram.peer))
        try await socket.send(Datagram(bytes: answer.serialized(), peer: datagram.peer))
    }
}

private final class Tally: Sendable {
    private let value = Atomic(0)
    func add() { value.add(1, ordering: .relaxed) }
    var count: Int { value.load(ordering: .relaxed) }
}

@Suite struct DNSServerTests {
    private struct Site: Sendable {
        let world: World
        let server: Endpoint
        let asked: Tally

        func ask(_ name: String, _ type: DNSType = .a, edns: UInt16? = nil) async throws -> DNSMessage {
            let socket = try await world.network.datagrams(on: .ip(.loopback, port: 0))
            defer { socket.close() }
            var query = DNSMessage(query: DNSQuestion(try #require(DNSName(name)), type), id: 4711)
            query.edns = edns.map { DNSExtension(datagramSize: $0) }
            try await socket.send(Datagram(bytes: query.serialized(), peer: server))
            let bytes = try await socket.receive().bytes
            #expect(bytes.count <= Int(edns ?? 512))
            let answer = try DNSMessage(parsing: bytes)
            #expect(answer.id == 4711 && answer.isResponse && answer.questions == query.questions)
            return answer
        }
    }

    private static func open(_ body: @escaping @Sendable (Site) async throws -> Void) async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let transport = InProcessTransport(handler: miniature)
            let outside = try await world.network.datagrams(on: .ip(.loopback, port: 0))
            let asked = Tally()
            let server = try DNSServer(
                addresses: [.loopback], port: 0, clusterDomain: "cluster.local",
                client: APIClient(transport: transport, userAgent: "test"), upstreams: [outside.local], world: world,
                log: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await transport.run() }
                group.addTask { try await serveOutside(outside, asked) }
                group.addTask { try await server.run() }
                while server.local.isEmpty { try await world.clock.sleep(for: .milliseconds(1)) }
                let site = Site(world: world, server: try #require(server.local.first), asked: asked)
                while try await site.ask("web.default.svc.cluster.local").code != .noError {
                    try await world.clock.sleep(for: .milliseconds(1))
                }
                try await body(site)
                group.cancelAll()
            }
        }
    }

    @Test func namesOfTheCluster() async throws {
        try await Self.open { site in
            let web = try await site.ask("web.default.svc.cluster.local")
            #expect(web.isAuthoritative)
            #expect(web.answers.map(\.data) == [.address(IPAddress(v4: 0x0A60_0007))])
            let absent = try await site.ask("nobody.default.svc.cluster.local")
            #expect(absent.code == .nameError && absent.authorities.map(\.data.type) == [.soa])
            let empty = try await site.ask("web.default.svc.cluster.local", .aaaa)
            #expect(empty.code == .noError && empty.answers.isEmpty && empty.authorities.count == 1)
            let inward = try await site.ask("inward.default.svc.cluster.local")
            #expect(inward.answers.map(\.data.type) == [.cname, .a])
        }
    }

    @Test func namesOutsideAreForwardedAndRemembered() async throws {
        try await Self.open { site in
            let before = site.asked.count
            for _ in 0..<3 {
                let answer = try await site.ask("outside.test")
                #expect(answer.answers.map(\.data) == [.address(IPAddress(v4: 0x0102_0304))])
            }
            #expect(site.asked.count == before + 1)
            let chain = try await site.ask("out.default.svc.cluster.local")
            #expect(chain.answers.map(\.data.type) == [.cname, .a])
            #expect(try await site.ask("nowhere.test").code == .nameError)
        }
    }

    @Test func longAnswersAreCutAndCompleteOverAStream() async throws {
        try await Self.open { site in
            let name = "many.default.svc.cluster.local"
            let short = try await site.ask(name)
            #expect(short.isTruncated && short.answers.count < 100)
            let longer = try await site.ask(name, edns: 1232)
            #expect(longer.isTruncated && longer.answers.count > short.answers.count && longer.edns != nil)
            let connection = try await site.world.network.connect(to: site.server)
            let query = DNSMessage(query: DNSQuestion(try #require(DNSName(name)), .a), id: 1)
            var framing = DNSStreamFraming()
            var firsts: Set<DNSData> = []
            for _ in 0..<20 {
                try await DNSStreamFraming.write(query.serialized(), to: connection)
                let whole = try DNSMessage(parsing: #require(try await framing.next(from: connection)))
                #expect(!whole.isTruncated && Set(whole.answers).count == 100)
                firsts.insert(whole.answers[0].data)
            }
            #expect(firsts.count > 1)
            connection.close()
        }
    }

    @Test func whatIsNotUnderstoodIsAnswered() async throws {
        try await Self.open { site in
            #expect(try await site.ask("cluster.local", .axfr).code == .refused)
            let socket = try await site.world.network.datagrams(on: .ip(.loopback, port: 0))
            var query = DNSMessage(query: DNSQuestion(.root, .a), id: 1)
            query.opcode = 5
            try await socket.send(Datagram(bytes: [1, 2, 3], peer: site.server))
            try await socket.send(Datagram(bytes: query.serialized(), peer: site.server))
            #expect(try DNSMessage(parsing: await socket.receive().bytes).code == .notImplemented)
            query.opcode = 0
            query.edns = DNSExtension(datagramSize: 1232)
            query.edns?.version = 1
            try await socket.send(Datagram(bytes: query.serialized(), peer: site.server))
            #expect(try DNSMessage(parsing: await socket.receive().bytes).edns?.extendedCode == 1)
        }
    }

    @Test func aResolverThatLeadsBackIsNotAskedAgain() async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let forwarder = Forwarder(
                ForwardRule(from: .root, upstreams: [.ip(.loopback, port: 9)]), cache: nil, world: world,
                log: .silent)
            let other = DNSMessage(query: DNSQuestion(try #require(DNSName("a.test")), .a), id: 1)
            #expect(!forwarder.recognizes(other))
            #expect(forwarder.recognizes(forwarder.probeQuery()))
            #expect(try await forwarder.resolve(other).code == .serverFailure)
        }
    }
}
