import Basics
import Linux
import Synchronization
import Testing

@testable import Wire

@Suite struct HTTPTransportTests {
    /// A server that says what it was told to, connection by connection; nil hangs up at once.
    private static func scripted(
        _ answers: [String?], _ body: @escaping @Sendable (HTTPTransport, World) async throws -> Void
    ) async throws {
        try await EventLoop.runOnThread { loop in
            var world = World.live(loop)
            world.network = MemoryNetwork()
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            var limits = HTTPTransport.Limits()
            limits.headTime = .milliseconds(200)
            let transport = HTTPTransport(
                listener.local, host: "a", network: world.network, clock: world.clock, limits: limits)
            try await withThrowingTaskGroup(of: Void.self) { [world] group in
                group.addTask {
                    for answer in answers {
                        let connection = try await listener.accept()
                        if let answer {
                            _ = try await connection.read(atMost: 4096)
                            try await connection.write(Array(answer.utf8))
                        }
                        connection.close()
                    }
                }
                try await body(transport, world)
                group.cancelAll()
            }
        }
    }

    private static func expectOK(_ transport: HTTPTransport) async throws {
        let response = try await transport.send(Request("GET", "/"))
        let body = try await response.collect()
        #expect(body == Array("ok".utf8))
    }

    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test func aPooledConnectionThatDiedIsReplacedOnce() async throws {
        try await Self.scripted([Self.fine, Self.fine]) { transport, _ in
            try await Self.expectOK(transport)
            // The server has hung up after its answer; the pool does not know.
            try await Self.expectOK(transport)
        }
    }

    @Test func whatMayHaveHappenedIsNotRepeated() async throws {
        try await Self.scripted([Self.fine, Self.fine]) { transport, _ in
            _ = try await transport.send(Request("GET", "/")).collect()
            await #expect(throws: (any Error).self) { _ = try await transport.send(Request("POST", "/")) }
        }
    }

    @Test func aFreshConnectionThatDiesIsAnError() async throws {
        try await Self.scripted([nil]) { transport, _ in
            await #expect(throws: (any Error).self) { _ = try await transport.send(Request("GET", "/")) }
        }
    }

    @Test func aTruncatedAnswerIsAnError() async throws {
        try await Self.scripted(["HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nonly this"]) { transport, _ in
            let response = try await transport.send(Request("GET", "/"))
            await #expect(throws: HTTPError.self) { _ = try await response.collect() }
        }
        try await Self.scripted(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n"]) {
            transport, _ in
            let response = try await transport.send(Request("GET", "/"))
            #expect(try await response.next() == Array("wiki".utf8))
            await #expect(throws: HTTPError.self) { _ = try await response.next() }
        }
    }

    @Test func interimAnswersAreSkipped() async throws {
        let answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + Self.fine
        try await Self.scripted([answer]) { transport, _ in
            let response = try await transport.send(Request("GET", "/"))
            #expect(response.status == 200)
            #expect(try await response.collect() == Array("ok".utf8))
        }
    }

    @Test func silenceHasAnEnd() async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            var limits = HTTPTransport.Limits()
            limits.headTime = .milliseconds(20)
            limits.connections = 1
            let transport = HTTPTransport(
                listener.local, host: "a", network: world.network, clock: world.clock, limits: limits)
            for _ in 0..<2 {
                await #expect(throws: HTTPTransport.TimedOut.self) { _ = try await transport.send(Request("GET", "/")) }
            }
        }
    }

    @Test func waitersForAConnectionCanBeCancelled() async throws {
        let hold: Handler = { _ in
            Response(
                status: 200,
                body: .stream {
                    try await $0.write([1]); try await Task.never()
                })
        }
        try await Bench.run(.memory, handler: hold) { bench in
            var limits = HTTPTransport.Limits()
            limits.connections = 1
            let transport = bench.transport(limits)
            let first = try await transport.send(Request("GET", "/"))
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await #expect(throws: CancellationError.self) { _ = try await transport.send(Request("GET", "/")) }
                }
                try? await bench.world.clock.sleep(for: .milliseconds(2))
                group.cancelAll()
            }
            first.cancel()
            let second = try await transport.send(Request("GET", "/"))
            #expect(second.status == 200)
        }
    }
}

extension Task where Success == Never, Failure == Never {
    /// Waits until cancelled.
    static func never() async throws {
        let (forever, _) = AsyncStream<Void>.makeStream()
        for await _ in forever {}
        try Task<Never, Never>.checkCancellation()
    }
}
