import Basics
import Kinds
import Wire

/// A streamed answer as messages of a WebSocket: `binary.k8s.io` as they are, `base64.binary.k8s.io` encoded.
/// An empty message comes first and says that the connection stands.
struct LogSocket: Sendable {
    let isBase64: Bool
    let headers: Headers
    let world: World

    /// For the client to hang up after the last message.
    private static let partingTime = Duration.seconds(5)

    /// Nil where the request asks for no WebSocket.
    init?(_ call: Call, _ world: World) throws {
        guard WebSocketHandshake.isAsked(call.request) else { return nil }
        let known = ["binary.k8s.io", "base64.binary.k8s.io"]
        let offers = WebSocketHandshake.protocols(call.request)
            .filter { !$0.hasPrefix(Authenticator.tokenProtocolPrefix) }
        let chosen = offers.first(where: known.contains)
        guard chosen != nil || offers.isEmpty else {
            throw APIStatus.badRequest("none of the protocols [\(offers.joined(separator: " "))] is spoken here")
        }
        isBase64 = chosen == known[1]
        self.world = world
        do { headers = try WebSocketHandshake.agree(to: call.request, protocol: chosen) } catch {
            throw APIStatus.badRequest(error.description)
        }
    }

    func response(_ stream: any ResponseStream) -> Response {
        Response(status: 101, headers: headers, body: .upgrade { try await send(stream, over: $0) })
    }

    private enum Part { case hungUp, sent }

    private func send(_ stream: any ResponseStream, over connection: any Connection) async throws {
        let socket = WebSocketConnection(connection, role: .server, random: world.random)
        defer {
            stream.cancel()
            connection.close()
        }
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                // Nothing that a client says here means anything but its end.
                while try await socket.next() != nil {}
                return .hungUp
            }
            group.addTask {
                try await socket.send([], isText: isBase64)
                while let piece = try await stream.next() {
                    try await socket.send(isBase64 ? Array(Base64.encode(piece).utf8) : piece, isText: isBase64)
                }
                try await socket.close(1000)
                return .sent
            }
            defer { group.cancelAll() }
            guard try await group.next() == .sent else { return }
            group.addTask {
                try await world.clock.sleep(for: Self.partingTime)
                return .hungUp
            }
            _ = try await group.next()
        }
    }
}
