import Basics
import Synchronization

/// Several streams over one WebSocket, as Kubernetes lays them out: the first byte of each binary message is its
/// channel, or, with base64, the first letter of each text message is its channel's digit and the rest is encoded.
/// In version 5 a message on channel 255 names a channel that its sender has finished.
public final class WebSocketChannels: Sendable {
    public struct Layout: Sendable, Equatable {
        public var isBase64: Bool
        public var hasClose: Bool

        public init(isBase64: Bool = false, hasClose: Bool = false) {
            self.isBase64 = isBase64
            self.hasClose = hasClose
        }
    }

    public let socket: WebSocketConnection
    private let layout: Layout
    private let inbound: [UInt8: MemoryPipe]

    private static let closeChannel: UInt8 = 255
    private static let longestEncoded = 4 << 20

    /// `reading` are the channels on which the other side may send; what it sends on others is dropped.
    public init(_ socket: WebSocketConnection, _ layout: Layout, reading: [UInt8]) {
        self.socket = socket
        self.layout = layout
        inbound = Dictionary(
            reading.map { ($0, MemoryPipe(256 << 10)) }, uniquingKeysWith: { first, _ in first })
    }

    public func channel(_ number: UInt8) -> WebSocketChannel { WebSocketChannel(number, self, inbound[number]) }

    /// Reads for all channels until the other side closes. A channel that nobody reads holds up the others.
    public func run() async throws {
        defer { for pipe in inbound.values { pipe.finish() } }
        var current: UInt8?
        var encoded: [UInt8] = []
        while let piece = try await socket.next() {
            if layout.isBase64 {
                if piece.isFirst { encoded = [] }
                encoded += piece.bytes
                guard encoded.count <= Self.longestEncoded else {
                    throw WebSocketError(1009, "the message is too long")
                }
                if piece.isLast { try await takeEncoded(encoded) }
                continue
            }
            var bytes = piece.bytes
            if piece.isFirst { current = nil }
            if current == nil, !bytes.isEmpty { current = bytes.removeFirst() }
            if let current, !bytes.isEmpty { try await take(bytes, on: current) }
        }
    }

    private func takeEncoded(_ message: [UInt8]) async throws {
        guard let digit = message.first else { return }
        guard (48...57).contains(digit),
            let bytes = Base64.decode(String(decoding: message.dropFirst(), as: UTF8.self))
        else { throw WebSocketError(1007, "the message is not encoded as agreed") }
        if !bytes.isEmpty { try await take(bytes, on: digit - 48) }
    }

    private func take(_ bytes: [UInt8], on channel: UInt8) async throws {
        if layout.hasClose, channel == Self.closeChannel {
            for number in bytes { inbound[number]?.finish() }
            return
        }
        guard let pipe = inbound[channel] else { return }
        do { try await pipe.write(bytes) } catch is MemoryConnection.Closed {
            // Nobody reads it any more, or it was finished before.
        }
    }

    func send(_ bytes: [UInt8], on channel: UInt8) async throws {
        if layout.isBase64 {
            try await socket.send([48 + channel] + Array(Base64.encode(bytes).utf8), isText: true)
        } else {
            try await socket.send([channel] + bytes)
        }
    }

    /// Only clients say so: a server's channels end with the connection, and clients know no such message from it.
    func finish(_ channel: UInt8) async throws {
        if layout.hasClose, socket.role == .client { try await socket.send([Self.closeChannel, channel]) }
    }
}

/// One channel. Finishing it is told where the protocol has words for it.
public final class WebSocketChannel: Connection {
    private let number: UInt8
    private let owner: WebSocketChannels
    private let inbound: MemoryPipe?

    init(_ number: UInt8, _ owner: WebSocketChannels, _ inbound: MemoryPipe?) {
        self.number = number
        self.owner = owner
        self.inbound = inbound
    }

    public var peer: Endpoint? { nil }

    public func read(atMost limit: Int) async throws -> [UInt8] { try await inbound?.read(atMost: limit) ?? [] }

    /// An empty message says that the channel is there.
    public func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        repeat {
            try await owner.send(Array(rest.prefix(32 << 10)), on: number)
            rest = rest.dropFirst(32 << 10)
        } while !rest.isEmpty
    }

    public func finishWriting() async throws { try await owner.finish(number) }
    public func close() { inbound?.breakOff() }
}
