import Basics
import Synchronization

/// A WebSocket over a connection that has left HTTP. One task reads; any task may write.
public final class WebSocketConnection: Sendable {
    private let connection: any Connection
    let role: WebSocketRole
    private let random: any Randomness
    private let reader: Mutex<WebSocketReader>
    private let turns = Turns()
    private let hasSentClose = Mutex(false)

    /// `random` gives the masks of a client's frames.
    public init(_ connection: any Connection, role: WebSocketRole, random: any Randomness) {
        self.connection = connection
        self.role = role
        self.random = random
        reader = Mutex(WebSocketReader(role))
    }

    private var mask: [UInt8]? { role == .client ? random.bytes(4) : nil }

    /// The next part of a message; nil once the other side has closed. Pings are answered here.
    public func next() async throws -> WebSocketPiece? {
        while true {
            let event: WebSocketEvent?
            do { event = try reader.withLock { try $0.next() } } catch let error as WebSocketError {
                try? await close(error.code, error.description)
                throw error
            }
            switch event {
            case .piece(let piece): return piece
            case .ping(let payload): try await write(WebSocketFrame.bytes(.pong, payload, mask: mask))
            case .pong: break
            case .close:
                try? await close(1000)
                return nil
            case nil:
                let bytes = try await connection.read(atMost: 64 << 10)
                if bytes.isEmpty { return nil }
                reader.withLock { $0.feed(bytes) }
            }
        }
    }

    /// Sends one message.
    public func send(_ payload: [UInt8], isText: Bool = false) async throws {
        try await write(WebSocketFrame.bytes(isText ? .text : .binary, payload, mask: mask))
    }

    /// Sends the last frame; what the other side still sends can be read on.
    public func close(_ code: UInt16, _ reason: String = "") async throws {
        let isFirst = hasSentClose.withLock { sent in
            defer { sent = true }
            return !sent
        }
        if isFirst { try await write(WebSocketFrame.close(code, reason, mask: mask)) }
    }

    private func write(_ bytes: [UInt8]) async throws {
        try await turns.run { [connection] in try await connection.write(bytes) }
    }

    /// Ends everything at once.
    public func abort() { connection.close() }
}

/// The bytes of binary messages as one stream, whatever the messages' borders: another protocol inside a WebSocket.
public final class WebSocketByteStream: Connection {
    private let socket: WebSocketConnection
    private let rest = Mutex<[UInt8]>([])
    public let peer: Endpoint?

    public init(_ socket: WebSocketConnection, peer: Endpoint? = nil) {
        self.socket = socket
        self.peer = peer
    }

    public func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            let early = rest.withLock { rest in
                let part = Array(rest.prefix(limit))
                rest.removeFirst(part.count)
                return part
            }
            if !early.isEmpty { return early }
            guard let piece = try await socket.next() else { return [] }
            rest.withLock { $0 = piece.bytes }
        }
    }

    public func write(_ bytes: [UInt8]) async throws { try await socket.send(bytes) }
    public func write(pieces: [[UInt8]]) async throws { try await socket.send(Array(pieces.joined())) }
    public func finishWriting() async throws { try await socket.close(1000) }
    public func close() { socket.abort() }
}
