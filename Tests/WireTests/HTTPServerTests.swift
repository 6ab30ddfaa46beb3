import Basics
import Linux
import Synchronization
import Testing

@testable import Wire

/// The ways to reach a server that have to behave the same.
enum Path: String, CaseIterable, Sendable {
    case memory, loopback, unixSocket, tls
}

/// A server with a handler, over one of the paths, and what a client needs to reach it.
struct Bench: Sendable {
    let world: World
    let server: HTTPServer
    let endpoint: Endpoint
    let tls: TLSClientContext?

    static func run(
        _ path: Path, limits: HTTPServer.Limits = HTTPServer.Limits(), handler: @escaping Handler,
        _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        try await EventLoop.runOnThread { loop in
            var world = World.live(loop)
            if path == .memory { world.network = MemoryNetwork() }
            let endpoint: Endpoint =
                path == .unixSocket
                ? .unix("/tmp/lab-http-test-\(world.random.next())") : .ip(.loopback, port: 0)
            let listener = try await world.network.listen(on: endpoint)
            let credentials = path == .tls ? try Credentials(now: world.clock.now) : nil
            let server = HTTPServer(
                listener: listener, tls: try credentials?.server(), limits: limits, clock: world.clock,
                handler: handler)
            let bench = Bench(
                world: world, server: server, endpoint: listener.local, tls: try credentials?.client())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await body(bench)
                group.cancelAll()
            }
        }
    }

    func transport(_ limits: HTTPTransport.Limits = HTTPTransport.Limits()) -> HTTPTransport {
        HTTPTransport(
            endpoint, host: "localhost:1", tls: tls, network: world.network, clock: world.clock, limits: limits)
    }

    func connect() async throws -> any Connection {
        let plain = try await world.network.connect(to: endpoint)
        return try await tls?.connect(plain, serverName: "localhost") ?? plain
    }

    /// Sends `text` as it is and reads until the server closes.
    func raw(_ text: String) async throws -> String {
        let connection = try await connect()
        defer { connection.close() }
        try await connection.write(Array(text.utf8))
        var all: [UInt8] = []
        while true {
            let piece = try await connection.read(atMost: 4096)
            if piece.isEmpty { return String(decoding: all, as: UTF8.self) }
            all += piece
        }
    }
}

struct Credentials {
    let authority: CertificateAuthority
    let now: Timestamp

    init(now: Timestamp) throws {
        self.now = now
        authority = try CertificateAuthority.create(commonName: "test", now: now, validity: .seconds(3600))
    }

    func server() throws -> TLSServerContext {
        let pair = try authority.issue(
            commonName: "server", dnsNames: ["localhost"], ipAddresses: [.loopback], usage: .server, now: now,
            validity: .seconds(3600))
        return try TLSServerContext(
            certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM, clientCAPEM: authority.certificatePEM)
    }

    func client() throws -> TLSClientContext {
        let pair = try authority.issue(
            commonName: "alice", organizations: ["a", "b"], usage: .client, now: now, validity: .seconds(3600))
        return try TLSClientContext(
            caPEM: authority.certificatePEM, certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

@Suite struct HTTPServerTests {
    private static let echo: Handler = { request in
        var head = "\(request.method) \(request.target) \(request.body.count)"
        for name in ["x-one", "x-two"] { if let value = request.headers[name] { head += " \(value)" } }
        if let der = request.peer.certificate, let certificate = try? X509Certificate(der: der) {
            head += " \(certificate.commonName ?? "") \(certificate.organizations)"
        }
        return Response(status: 200, headers: Headers([("X-Echo", head)]), body: .bytes(request.body))
    }

    @Test(arguments: Path.allCases) func requestsAndAnswers(_ path: Path) async throws {
        try await Bench.run(path, handler: Self.echo) { bench in
            let transport = bench.transport()
            for size in [0, 1, 20_000, 3_000_000] {
                let body = [UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })
                let response = try await transport.send(
                    Request("POST", "/p?q=\(size)", headers: Headers([("X-One", "1"), ("X-Two", "2")]), body: body))
                #expect(response.status == 200)
                let identity = path == .tls ? " alice [\"a\", \"b\"]" : ""
                #expect(response.headers["x-echo"] == "POST /p?q=\(size) \(size) 1 2" + identity)
                #expect(try await response.collect() == body)
            }
        }
    }

    @Test(arguments: Path.allCases) func manyAtOnce(_ path: Path) async throws {
        try await Bench.run(path, handler: Self.echo) { bench in
            var limits = HTTPTransport.Limits()
            limits.connections = 8
            let transport = bench.transport(limits)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<100 {
                    group.addTask {
                        let body = Array(repeating: UInt8(index), count: index * 100)
                        let response = try await transport.send(Request("PUT", "/\(index)", body: body))
                        #expect(try await response.collect() == body)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: Path.allCases) func streams(_ path: Path) async throws {
        let handler: Handler = { _ in
            Response(
                status: 200,
                body: .stream { writer in
                    for index in 0..<50 { try await writer.write(Array("line \(index)\n".utf8)) }
                    try await writer.write([])
                    try await writer.write([UInt8](repeating: 120, count: 200_000))
                })
        }
        try await Bench.run(path, handler: handler) { bench in
            let transport = bench.transport()
            for _ in 0..<3 {
                let response = try await transport.send(Request("GET", "/"))
                let body = try await response.collect()
                #expect(body.count == 200_390)
                #expect(text(Array(body.prefix(14))) == "line 0\nline 1\n")
            }
        }
    }

    @Test(arguments: Path.allCases) func piecesArriveInOrder(_ path: Path) async throws {
        let pieces = (0..<500).map { index in [UInt8](repeating: UInt8(index % 251), count: index * 3) }
        try await Bench.run(path, handler: { _ in Response(status: 200, body: .pieces(pieces)) }) { bench in
            let response = try await bench.transport().send(Request("GET", "/"))
            #expect(response.headers["content-length"] == String(pieces.joined().count))
            #expect(try await response.collect() == Array(pieces.joined()))
        }
    }

    /// A counter that tests can wait on.
    final class Flag: Sendable {
        private let value = Atomic(0)
        func raise() { value.add(1, ordering: .relaxed) }
        func wait(_ world: World, for count: Int = 1) async throws {
            while value.load(ordering: .relaxed) < count { try await world.clock.sleep(for: .milliseconds(1)) }
        }
    }

    @Test(arguments: Path.allCases) func aReaderThatLeavesCancelsTheStream(_ path: Path) async throws {
        let cancelled = Flag()
        let handler: Handler = { _ in
            Response(
                status: 200,
                body: .stream { writer in
                    try await writer.write([1])
                    let (forever, _) = AsyncStream<Void>.makeStream()
                    for await _ in forever {}
                    if Task.isCancelled { cancelled.raise() }
                })
        }
        try await Bench.run(path, handler: handler) { bench in
            let transport = bench.transport()
            for round in 1...3 {
                let response = try await transport.send(Request("GET", "/"))
                #expect(try await response.next() == [1])
                response.cancel()
                try await cancelled.wait(bench.world, for: round)
            }
        }
    }

    @Test(arguments: Path.allCases) func upgradesHandOverTheConnection(_ path: Path) async throws {
        let handler: Handler = { _ in
            Response(
                status: 101, headers: Headers([("Connection", "Upgrade"), ("Upgrade", "shout")]),
                body: .upgrade { connection in
                    while true {
                        let bytes = try await connection.read(atMost: 100)
                        if bytes.isEmpty { break }
                        try await connection.write(Array(text(bytes).uppercased().utf8))
                    }
                    try await connection.finishWriting()
                })
        }
        try await Bench.run(path, handler: handler) { bench in
            let request = Request(
                "GET", "/exec", headers: Headers([("Connection", "Upgrade"), ("Upgrade", "shout")]))
            guard case .switched(let headers, let connection) = try await bench.transport().upgrade(request) else {
                Issue.record("no upgrade")
                return
            }
            #expect(headers["upgrade"] == "shout")
            try await connection.write(Array("hello".utf8))
            #expect(try await connection.read(atMost: 100) == Array("HELLO".utf8))
            connection.close()
            // Bytes that come right behind the request belong to the new protocol.
            let raw = try await bench.connect()
            try await raw.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\nearly".utf8))
            var all = ""
            while !all.hasSuffix("EARLY") { all += text(try await raw.read(atMost: 100)) }
            #expect(all.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            raw.close()
        }
    }

    @Test(arguments: [Path.memory, .loopback, .tls]) func rawConversations(_ path: Path) async throws {
        try await Bench.run(path, handler: Self.echo) { bench in
            let two = try await bench.raw(
                "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(two.components(of: "HTTP/1.1 200 OK\r\n") == 2)
            #expect(two.contains("X-Echo: GET /1 0") && two.contains("X-Echo: HEAD /2 0"))
            #expect(two.hasSuffix("Connection: close\r\n\r\n"))
            let old = try await bench.raw("GET / HTTP/1.0\r\n\r\n")
            #expect(old.contains("Connection: close\r\n"))
            let broken = try await bench.raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\n")
            #expect(broken.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(broken.components(of: "HTTP/1.1") == 1)
        }
    }

    @Test(arguments: Path.allCases) func bodiesAreAskedForWhereTheClientWaits(_ path: Path) async throws {
        try await Bench.run(path, handler: Self.echo) { bench in
            let client = try await bench.connect()
            try await client.write(
                Array("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".utf8))
            #expect(try await client.read(atMost: 100) == Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            try await client.write(Array("hi".utf8))
            var answer = ""
            while !answer.hasSuffix("hi") { answer += text(try await client.read(atMost: 100)) }
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            client.close()
        }
    }

    @Test func headersCannotBeInjected() async throws {
        let handler: Handler = { _ in
            Response(status: 200, headers: Headers([("X", "a\r\nSet-Cookie: b")]), body: .bytes([]))
        }
        try await Bench.run(.memory, handler: handler) { bench in
            let response = try await bench.transport().send(Request("GET", "/"))
            #expect(response.headers["set-cookie"] == nil)
            #expect(response.headers["x"] == "a  Set-Cookie: b")
        }
    }

    @Test(arguments: [Path.memory, .loopback]) func largeBodiesAreRefusedWithAnAnswer(_ path: Path) async throws {
        var limits = HTTPServer.Limits()
        limits.message.bodyBytes = 1000
        try await Bench.run(path, limits: limits, handler: Self.echo) { bench in
            let response = try await bench.transport().send(
                Request("POST", "/", body: [UInt8](repeating: 0, count: 1_000_000)))
            #expect(response.status == 413)
            _ = try await response.collect()
        }
    }

    @Test func drainingFinishesWhatHasBegun() async throws {
        let entered = Flag()
        let release = Flag()
        try await EventLoop.runOnThread { loop in
            let live = World.live(loop)
            let listener = try await live.network.listen(on: .ip(.loopback, port: 0))
            let server = HTTPServer(listener: listener, clock: live.clock) { _ in
                entered.raise()
                try? await release.wait(live)
                return Response(status: 200, body: .bytes([1]))
            }
            let transport = HTTPTransport(listener.local, host: "a", network: live.network, clock: live.clock)
            let idle = try await live.network.connect(to: listener.local)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let response = try await transport.send(Request("GET", "/"))
                    #expect(try await response.collect() == [1])
                    #expect(response.headers["connection"] == "close")
                }
                group.addTask {
                    try await entered.wait(live)
                    server.drain()
                    release.raise()
                }
                try await server.run()
                try await group.waitForAll()
            }
            #expect(try await idle.read(atMost: 1) == [])
        }
    }

    @Test func slowClientsAreLetGo() async throws {
        var limits = HTTPServer.Limits()
        limits.requestTime = .milliseconds(10)
        limits.idleTime = .milliseconds(10)
        try await Bench.run(.loopback, limits: limits, handler: Self.echo) { bench in
            let half = try await bench.connect()
            try await half.write(Array("GET / HT".utf8))
            #expect(try await half.read(atMost: 1) == [])
            let silent = try await bench.connect()
            #expect(try await silent.read(atMost: 1) == [])
        }
    }

    @Test func moreClientsThanAllowedWait() async throws {
        var limits = HTTPServer.Limits()
        limits.connections = 1
        try await Bench.run(.loopback, limits: limits, handler: Self.echo) { bench in
            let first = try await bench.connect()
            try await first.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            _ = try await first.read(atMost: 100)
            let second = try await bench.connect()
            try await second.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let answer = try await second.read(atMost: 100)
                    #expect(!answer.isEmpty)
                }
                try await bench.world.clock.sleep(for: .milliseconds(5))
                first.close()
                try await group.waitForAll()
            }
        }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: part) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}
