import Basics
import Document
import Glibc
import Linux
import Runtime
import Testing
import Wire

@testable import Kubelet

/// A node agent behind HTTP, in memory.
private struct Agent: Sendable {
    let transport: HTTPTransport

    func upgrade(_ path: String, _ headers: Headers, method: String = "GET") async throws -> (Headers, any Connection) {
        switch try await transport.upgrade(Request(method, path, headers: headers)) {
        case .switched(let headers, let connection): return (headers, connection)
        case .refused(let stream):
            let text = String(decoding: try await stream.collect(), as: UTF8.self)
            throw Refused(status: stream.status, text: text)
        }
    }

    struct Refused: Error, Equatable {
        var status: Int
        var text: String
    }

    func webSocket(
        _ path: String, _ name: String, _ layout: WebSocketChannels.Layout, reading: [UInt8]
    ) async throws -> WebSocketChannels {
        let asked = WebSocketHandshake.ask(protocols: ["nonsense", name], random: LiveRandomness())
        let (headers, connection) = try await upgrade(path, asked)
        #expect(try WebSocketHandshake.check(headers, to: asked) == name)
        return WebSocketChannels(
            WebSocketConnection(connection, role: .client, random: LiveRandomness()), layout, reading: reading)
    }

    func spdy(_ path: String, _ name: String) async throws -> SPDYConnection {
        let (headers, connection) = try await upgrade(
            path,
            Headers([
                ("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "nonsense"),
                ("X-Stream-Protocol-Version", name),
            ]), method: "POST")
        #expect(headers["Upgrade"] == "SPDY/3.1" && headers["X-Stream-Protocol-Version"] == name)
        return SPDYConnection(connection, role: .client)
    }
}

private func all(_ stream: any Connection) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while case let piece = try await stream.read(atMost: 1 << 16), !piece.isEmpty { bytes += piece }
    return bytes
}

private func text(_ stream: any Connection) async throws -> String {
    String(decoding: try await all(stream), as: UTF8.self)
}

/// Runs `body` beside the tasks that read for it, and ends those afterwards.
private func beside(
    _ reader: @escaping @Sendable () async throws -> Void, _ body: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
            try? await reader()
            return false
        }
        group.addTask {
            try await body()
            return true
        }
        defer { group.cancelAll() }
        while let isDone = try await group.next() { if isDone { return } }
    }
}

@Suite(.enabled(if: geteuid() == 0, "mounting tmpfs needs root"))
struct RemoteStreamTests {
    private func with(
        _ specification: Document = .emptyObject,
        _ body: @escaping @Sendable (TestNode<FakeRuntime>, Agent, EventLoop) async throws -> Void
    ) async throws {
        let node = try TestNode()
        defer { node.remove() }
        try await node.withKubelet { kubelet in
            node.api.put(webPath, pod(specification))
            try await node.api.wait(webPath) { $0?["status"]?.container("main")?.at("state", "running") != nil }
            let network = MemoryNetwork()
            let endpoint = Endpoint.ip(.loopback, port: 10250)
            let handler = kubelet.handler
            let loop = try #require(kubelet.loop)
            let clock = World.live(loop).clock
            let server = HTTPServer(listener: try await network.listen(on: endpoint), clock: clock) { request in
                var request = request
                request.peer.certificate = [1]
                return await handler(request)
            }
            let agent = Agent(transport: HTTPTransport(endpoint, host: "node", network: network, clock: clock))
            try await beside({ try await server.run() }) { try await body(node, agent, loop) }
        }
    }

    private static let exec = "/exec/shop/web/main?command=exit&command=3&output=1&error=1"

    @Test func theOutcomeIsTold() async throws {
        try await with { _, agent, _ in
            for (name, layout) in [
                ("v5.channel.k8s.io", WebSocketChannels.Layout(hasClose: true)), ("v4.channel.k8s.io", .init()),
                ("v4.base64.channel.k8s.io", .init(isBase64: true)), ("channel.k8s.io", .init()),
            ] {
                let channels = try await agent.webSocket(Self.exec, name, layout, reading: [1, 2, 3])
                try await beside({ try await channels.run() }) {
                    let status = try await text(channels.channel(3))
                    if name == "channel.k8s.io" {
                        #expect(
                            status
                                == "command terminated with non-zero exit code: error executing command [exit 3], exit code 3"
                        )
                    } else {
                        let object = try Document(json: status)
                        #expect(object.text("reason") == "NonZeroExitCode" && object.text("status") == "Failure")
                        #expect(
                            object.list("details", "causes").first == ["reason": "ExitCode", "message": "3"],
                            "\(status)")
                    }
                }
            }
        }
    }

    @Test func spdyCarriesAProgramsStreams() async throws {
        try await with { _, agent, _ in
            for version in ["v4.channel.k8s.io", "channel.k8s.io"] {
                let connection = try await agent.spdy(Self.exec, version)
                try await beside({ try await connection.run(.init(wants: { _ in false }, takes: { _ in })) }) {
                    let status = try await connection.open(Headers([("streamType", "error")]))
                    let output = try await connection.open(Headers([("streamType", "stdout")]))
                    let errors = try await connection.open(Headers([("streamType", "stderr")]))
                    let told = try await text(status)
                    #expect(told.contains("exit code 3") && told.hasPrefix("{") == (version != "channel.k8s.io"))
                    let said = try await all(output) + all(errors)
                    #expect(said.isEmpty)
                }
            }
        }
    }

    @Test func whatGoesInComesOut() async throws {
        try await with(["containers": [["name": "main", "image": "busybox:1.36", "stdin": true, "stdinOnce": true]]]) {
            node, agent, loop in
            let large = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
            let path = "/attach/shop/web/11111111-2222-3333-4444-555555555555/main?input=1&output=1"
            let channels = try await agent.webSocket(
                path, "v5.channel.k8s.io", .init(hasClose: true), reading: [1, 3])
            try await beside({ try await channels.run() }) {
                try await beside({
                    try await channels.channel(0).write(large)
                    try await channels.channel(0).finishWriting()
                    try await World.live(loop).clock.sleep(for: .seconds(60))
                }) {
                    let output = try await all(channels.channel(1))
                    #expect(output == large)
                    let status = try await text(channels.channel(3))
                    #expect(status == #"{"metadata":{},"status":"Success"}"#)
                }
            }
            // The container's input was to end with the client's.
            try await node.api.wait(webPath) { ($0?["status"]?.container("main")?.number("restartCount") ?? 0) > 0 }
        }
    }

    @Test func refusalsSayWhy() async throws {
        try await with { _, agent, _ in
            let spdy = Headers([("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")])
            func refusal(_ path: String, _ headers: Headers, method: String = "POST") async -> Agent.Refused? {
                do {
                    _ = try await agent.upgrade(path, headers, method: method)
                    return nil
                } catch { return error as? Agent.Refused }
            }
            var answers: [Agent.Refused?] = []
            answers.append(await refusal("/exec/shop/web/other?command=a&output=1", spdy))
            answers.append(await refusal("/exec/shop/none/main?command=a&output=1", spdy))
            answers.append(await refusal("/exec/shop/web/main?command=a", spdy))
            answers.append(await refusal("/exec/shop/web/main?command=a&output=1", Headers()))
            var other = spdy
            other.add("X-Stream-Protocol-Version", "v9")
            answers.append(await refusal("/attach/shop/web/main?output=1", other))
            answers.append(await refusal("/portForward/shop/web", other))
            answers.append(await refusal("/exec/shop/web/main?command=a&output=1", spdy, method: "DELETE"))
            #expect(answers.map { $0?.status } == [500, 404, 400, 400, 403, 403, 405])
            #expect(answers[0]?.text == "container not found (\"other\")")
            #expect(answers[1]?.text == "pod does not exist")
            #expect(answers[2]?.text == "you must specify at least 1 of stdin, stdout, stderr")
            #expect(answers[5]?.text.hasSuffix("server accepts [portforward.k8s.io]") == true)
        }
    }

    // MARK: Ports

    /// A server on a real port that sends back what it gets.
    private func echo(_ loop: EventLoop, _ body: @escaping @Sendable (UInt16) async throws -> Void) async throws {
        let listener = try await LiveNetwork(loop: loop).listen(on: .ip(.loopback, port: 0))
        guard case .ip(_, let port) = listener.local else { return }
        try await beside({
            try await withThrowingDiscardingTaskGroup { group in
                while true {
                    let connection = try await listener.accept()
                    group.addTask {
                        defer { connection.close() }
                        try await connection.write(try await all(connection))
                        try await connection.finishWriting()
                    }
                }
            }
        }) { try await body(port) }
    }

    private func exchange(_ connection: SPDYConnection, _ port: UInt16, _ bytes: [UInt8]) async throws -> (
        [UInt8], String
    ) {
        func headers(_ type: String) -> Headers {
            Headers([("streamType", type), ("port", String(port)), ("requestID", "7")])
        }
        let errors = try await connection.open(headers("error"))
        try await errors.finishWriting()
        let data = try await connection.open(headers("data"))
        try await data.write(bytes)
        try await data.finishWriting()
        return (try await all(data), try await text(errors))
    }

    @Test func portsAreForwarded() async throws {
        try await with(["hostNetwork": true]) { _, agent, loop in
            try await echo(loop) { port in
                let large = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 3) }
                let direct = try await agent.spdy("/portForward/shop/web", "portforward.k8s.io")
                let asked = WebSocketHandshake.ask(
                    protocols: ["SPDY/3.1+portforward.k8s.io"], random: LiveRandomness())
                let (_, raw) = try await agent.upgrade("/portForward/shop/web", asked)
                let tunnelled = SPDYConnection(
                    WebSocketByteStream(WebSocketConnection(raw, role: .client, random: LiveRandomness())),
                    role: .client)
                for connection in [direct, tunnelled] {
                    try await beside({ try await connection.run(.init(wants: { _ in false }, takes: { _ in })) }) {
                        for _ in 0..<2 {
                            let (bytes, errors) = try await exchange(connection, port, large)
                            #expect(bytes == large && errors.isEmpty)
                        }
                        let (bytes, errors) = try await exchange(connection, 1, [1])
                        let told = try Document(json: errors)
                        #expect(bytes.isEmpty && told.flag("closeConnection") == true)
                        #expect(told.text("message")?.hasPrefix("error forwarding port 1 to pod web_shop") == true)
                    }
                }
                let channels = try await agent.webSocket(
                    "/portForward/shop/web?port=\(port)", "v4.channel.k8s.io", .init(), reading: [0, 1])
                try await beside({ try await channels.run() }) {
                    let data = channels.channel(0)
                    try await data.write([1, 2, 3])
                    let first = try await data.read(atMost: 2)
                    #expect(first == [UInt8(port & 0xFF), UInt8(port >> 8)])
                }
            }
        }
    }
}
