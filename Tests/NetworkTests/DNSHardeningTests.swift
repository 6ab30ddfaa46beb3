import Basics
import Client
import Document
import Glibc
import Linux
import Synchronization
import Testing
import Wire

@testable import DNS

/// An API with one namespace and nothing in it.
private let empty: Handler = { request in
    if request.target.contains("watch=") {
        return Response(
            status: 200,
            body: .stream { _ in
                let (forever, _) = AsyncStream<Void>.makeStream()
                for await _ in forever {}
            })
    }
    let items: [Document] =
        request.target.hasPrefix("/api/v1/namespaces?") || request.target == "/api/v1/namespaces"
        ? [["metadata": ["name": "default"]]] : []
    let list: Document = ["kind": "List", "metadata": ["resourceVersion": "5"], "items": Document(items)]
    return Response(status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(list.json))
}

private struct Site: Sendable {
    let world: World
    let server: DNSServer
    let place: Endpoint
    let published: Published

    /// - upstream: who is asked for names outside; it never answers.
    static func open(_ body: @escaping @Sendable (Site) async throws -> Void) async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let transport = InProcessTransport(handler: empty)
            let silent = try await world.network.datagrams(on: .ip(.loopback, port: 0))
            let published = Published()
            let server = try DNSServer(
                addresses: [.loopback], port: 0, clusterDomain: "cluster.local",
                client: APIClient(transport: transport, userAgent: "test"), upstreams: [silent.local], world: world,
                log: .silent, publish: { ports in published.set(ports) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await transport.run() }
                group.addTask { try await server.run() }
                while server.local.isEmpty || !server.isReady { try await world.clock.sleep(for: .milliseconds(1)) }
                let place = try #require(server.local.first)
                try await body(Site(world: world, server: server, place: place, published: published))
                group.cancelAll()
            }
            silent.close()
        }
    }

    func ask(_ name: String, _ type: DNSType = .a) async throws -> DNSMessage {
        let socket = try await world.network.datagrams(on: .ip(.loopback, port: 0))
        defer { socket.close() }
        let query = DNSMessage(query: DNSQuestion(try #require(DNSName(name)), type), id: 7)
        // What the kernel dropped is asked again, as any client would.
        for _ in 0..<60 {
            try await socket.send(Datagram(bytes: query.serialized(), peer: place))
            let answer = try? await withDeadline(.seconds(1), world.clock, "an answer") { try await socket.receive() }
            if let answer { return try DNSMessage(parsing: answer.bytes) }
            try Task.checkCancellation()
        }
        throw DNSFormatError("no answer about \(name)")
    }

    /// The answer to a GET on the port that stands for `port`; nil where nothing is served.
    func get(_ port: UInt16, _ path: String) async throws -> (Int, String)? {
        while published.value == nil { try await world.clock.sleep(for: .milliseconds(1)) }
        guard let real = published.value?[port] else { return nil }
        let transport = HTTPTransport(
            .ip(.loopback, port: real), host: "dns", network: world.network, clock: world.clock)
        let answer = try await transport.send(Request("GET", path))
        return (answer.status, String(decoding: try await answer.collect(), as: UTF8.self))
    }
}

/// What the server published last.
private final class Published: Sendable {
    private let ports = Mutex<[UInt16: UInt16]?>(nil)
    var value: [UInt16: UInt16]? { ports.withLock { $0 } }
    func set(_ new: [UInt16: UInt16]) { ports.withLock { $0 = new } }
}

@Suite struct DNSHardeningTests {
    @Test func aFloodForOthersLeavesTheClustersNamesAnswered() async throws {
        try await Site.open { site in
            let flood = try await site.world.network.datagrams(on: .ip(.loopback, port: 0))
            for number in 0..<3_000 {
                let name = try #require(DNSName("flood-\(number).test"))
                let query = DNSMessage(query: DNSQuestion(name, .a), id: UInt16(number))
                try await flood.send(Datagram(bytes: query.serialized(), peer: site.place))
            }
            #expect(try await site.ask("dns-version.cluster.local", .txt).answers.count == 1)
            #expect(site.server.queries.load(ordering: .relaxed) <= 1_025)
            flood.close()
        }
    }

    @Test func garbageIsPassedOver() async throws {
        try await Site.open { site in
            let socket = try await site.world.network.datagrams(on: .ip(.loopback, port: 0))
            let good = DNSMessage(
                query: DNSQuestion(try #require(DNSName("dns-version.cluster.local")), .txt), id: 9
            ).serialized()
            // A name that points to itself, one that points ahead, a count without records, an answer, an empty one.
            let header: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
            var packets: [[UInt8]] = [
                header + [0xC0, 12, 0, 1, 0, 1], header + [0xC0, 0xFF, 0, 1, 0, 1],
                [0, 1, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], [0, 1, 0x81, 0] + header.dropFirst(4), [],
                header + [UInt8](repeating: 63, count: 400),
            ]
            for index in good.indices {
                var broken = good
                broken[index] ^= UInt8(1 << site.world.random.below(8))
                packets.append(broken)
                packets.append(Array(good.prefix(index)))
            }
            for packet in packets { try await socket.send(Datagram(bytes: packet, peer: site.place)) }
            #expect(try await site.ask("dns-version.cluster.local", .txt).answers.count == 1)
            socket.close()
        }
    }

    @Test func healthReadinessAndMetricsAreToldWhereTheyAreConfigured() async throws {
        try await Site.open { site in
            let health = try #require(try await site.get(8080, "/health"))
            #expect(health == (200, "OK"))
            let ready = try #require(try await site.get(8181, "/ready"))
            #expect(ready == (200, "OK"))
            let other = try #require(try await site.get(8080, "/metrics"))
            #expect(other.0 == 404)
            _ = try await site.ask("dns-version.cluster.local", .txt)
            let metrics = try #require(try await site.get(9153, "/metrics"))
            #expect(metrics.1.contains("coredns_dns_requests_total{"))
            #expect(metrics.1.contains("rcode=\"NOERROR\"} "))
            site.server.configure(". {\n ready :9999\n kubernetes cluster.local\n}")
            while site.published.value?[9999] == nil { try await site.world.clock.sleep(for: .milliseconds(1)) }
            #expect(site.published.value?.count == 1)
        }
    }

    @Test func aNewCorefileCountsAtOnceAndAWrongOneNotAtAll() async throws {
        try await Site.open { site in
            site.server.configure(
                ". {\n hosts {\n 10.0.0.9 by.hand\n fallthrough\n }\n kubernetes cluster.local {\n ttl 7\n }\n}")
            let found = try await site.ask("by.hand")
            #expect(found.answers.map(\.data) == [.address(IPAddress(v4: 0x0A00_0009))])
            #expect(try await site.ask("other.hand").code == .refused)
            #expect(try await site.ask("absent.default.svc.cluster.local").authorities.first?.timeToLive == 7)
            site.server.configure(". {\n juggle\n}")
            #expect(try await site.ask("by.hand").answers.count == 1)
            site.server.configure(nil)
            #expect(try await site.ask("1-2-3-4.default.pod.cluster.local").answers.first?.timeToLive == 30)
        }
    }

    private static let hasDig = access("/usr/bin/dig", X_OK) == 0

    @Test(.enabled(if: hasDig, "dig is not there: install bind9-dnsutils"))
    func digUnderstandsUs() async throws {
        try await Site.open { site in
            guard case .ip(_, let port) = site.place else { return }
            for options in [["+noedns"], ["+tcp"], ["+bufsize=1232", "+dnssec"], ["+cookie"]] {
                let words = ["/usr/bin/dig", "@127.0.0.1", "-p", "\(port)", "+tries=1", "+time=5"] + options
                let ran = try await BlockingPool().run {
                    Command.run(words + ["dns-version.cluster.local", "TXT"])
                }
                #expect(ran.out.contains("status: NOERROR") && ran.out.contains("\"1.1.0\""), "\(ran)")
                for complaint in ["Malformed", "malformed", "mismatch", "extra bytes"] {
                    #expect(!ran.out.contains(complaint), "\(ran)")
                }
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0, "making a network namespace needs root"))
    func theServedPortsAreReachedByTheirKnownNumbers() async throws {
        // In a network of its own, where the rules harm nobody.
        let namespace = try NetworkNamespace.make()
        try await EventLoop.runOnThread { loop in
            let ports = DNSPorts(address: IPAddress(v4: 0x7F00_0001))
            try RouteSocket(in: namespace).change(linkIndex: 1, LinkChange(up: true))
            let network = LiveNetwork(loop: loop, namespace: namespace.descriptor)
            let listener = try await network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let real) = listener.local else { return }
            try Nftables(in: namespace).commit(ports.batch([8080: real]))
            let connection = try await network.connect(to: .ip(.loopback, port: 8080))
            connection.close()
            try Nftables(in: namespace).commit(ports.batch([:]))
            await #expect(throws: (any Error).self) { try await network.connect(to: .ip(.loopback, port: 8080)) }
            listener.close()
        }
    }
}
