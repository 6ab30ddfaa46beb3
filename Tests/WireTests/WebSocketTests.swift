import Basics
import Testing

@testable import Wire

/// Numbers for masks and keys; the same in every run.
final class CountingRandomness: Randomness {
    func next() -> UInt64 { 0x0102_0304_0506_0708 }
}

/// Two ends of one connection in memory.
func memoryPair() async throws -> (any Connection, any Connection) {
    let network = MemoryNetwork()
    let listener = try await network.listen(on: .ip(.loopback, port: 1))
    let near = try await network.connect(to: .ip(.loopback, port: 1))
    return (near, try await listener.accept())
}

struct WebSocketTests {
    @Test func theHandshakeIsTheOneOfTheStandard() throws {
        let request = Request(
            "GET", "/",
            headers: Headers([
                ("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Protocol", "a, b"), ("Sec-WebSocket-Protocol", "c"),
            ]))
        #expect(WebSocketHandshake.isAsked(request))
        #expect(WebSocketHandshake.protocols(request) == ["a", "b", "c"])
        let answer = try WebSocketHandshake.agree(to: request, protocol: "b")
        #expect(answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(try WebSocketHandshake.check(answer, to: request.headers) == "b")
        var old = request
        old.headers["Sec-WebSocket-Version"] = "8"
        #expect(throws: WebSocketHandshake.Refused.self) { try WebSocketHandshake.agree(to: old, protocol: nil) }
        old = request
        old.headers["Sec-WebSocket-Key"] = "short"
        #expect(throws: WebSocketHandshake.Refused.self) { try WebSocketHandshake.agree(to: old, protocol: nil) }
    }

    /// The pieces of each message joined, and everything else.
    private func events(_ bytes: [UInt8], _ role: WebSocketRole, size: Int) throws -> [WebSocketEvent] {
        var reader = WebSocketReader(role)
        var result: [WebSocketEvent] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let event = try reader.next() {
                if case .piece(let piece) = event, !piece.isFirst, case .piece(var last)? = result.last {
                    last.bytes += piece.bytes
                    last.isLast = piece.isLast
                    result[result.count - 1] = .piece(last)
                } else {
                    result.append(event)
                }
            }
        }
        return result
    }

    @Test func framesReadBackHoweverTheyAreCut() throws {
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        // The masked "Hello" of RFC 6455, section 5.7.
        let hello = WebSocketFrame.bytes(.text, Array("Hello".utf8), mask: mask)
        #expect(hello == [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        let long = [UInt8](repeating: 7, count: 70_000)
        let bytes =
            hello + WebSocketFrame.bytes(.ping, [1, 2], mask: mask) + WebSocketFrame.bytes(.binary, long, mask: mask)
            + WebSocketFrame.bytes(.binary, [UInt8](repeating: 1, count: 200), mask: mask)
            + WebSocketFrame.bytes(.binary, [], mask: mask) + WebSocketFrame.close(1000, "bye", mask: mask)
        func whole(_ bytes: [UInt8], isText: Bool = false) -> WebSocketEvent {
            .piece(WebSocketPiece(isText: isText, isFirst: true, isLast: true, bytes: bytes))
        }
        for size in [1, 3, 1000, bytes.count] {
            let read = try events(bytes, .server, size: size)
            #expect(
                read == [
                    whole(Array("Hello".utf8), isText: true), .ping([1, 2]), whole(long),
                    whole([UInt8](repeating: 1, count: 200)), whole([]), .close(1000, reason: "bye"),
                ])
        }
    }

    @Test func brokenFramesAreRefused() {
        let broken: [[UInt8]] = [
            [0x81, 0x05], [0xC1, 0x80, 0, 0, 0, 0], [0x83, 0x80, 0, 0, 0, 0], [0x80, 0x80, 0, 0, 0, 0],
            [0x09, 0x80, 0, 0, 0, 0], [0x89, 0xFE, 0, 126, 0, 0, 0, 0], [0x82, 0xFE, 0, 5, 0, 0, 0, 0],
            [0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], [0x88, 0x81, 0, 0, 0, 0, 3],
        ]
        for bytes in broken {
            #expect(throws: WebSocketError.self, "\(bytes)") { _ = try events(bytes, .server, size: bytes.count) }
        }
    }

    @Test func channelsGoOverOneSocket() async throws {
        for layout in [
            WebSocketChannels.Layout(), .init(isBase64: true), .init(hasClose: true),
        ] {
            let (near, far) = try await memoryPair()
            let random = CountingRandomness()
            let client = WebSocketChannels(
                WebSocketConnection(near, role: .client, random: random), layout, reading: [1])
            let server = WebSocketChannels(
                WebSocketConnection(far, role: .server, random: random), layout, reading: [0, 4])
            let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.run() }
                group.addTask { try await server.run() }
                group.addTask {
                    try await client.channel(0).write(large)
                    try await client.channel(4).write([9])
                    if layout.hasClose { try await client.channel(0).finishWriting() }
                }
                group.addTask {
                    let input = server.channel(0)
                    var all: [UInt8] = []
                    while all.count < large.count { all += try await input.read(atMost: 5000) }
                    if layout.hasClose { all += try await input.read(atMost: 1) }
                    #expect(all == large)
                    let sizes = try await server.channel(4).read(atMost: 10)
                    #expect(sizes == [9])
                    try await server.channel(1).write([5, 6])
                    try await server.socket.close(1000)
                }
                group.addTask {
                    let output = client.channel(1)
                    let bytes = try await output.read(atMost: 10)
                    let end = try await output.read(atMost: 10)
                    #expect(bytes == [5, 6] && end.isEmpty)
                }
                try await group.waitForAll()
            }
        }
    }
}
