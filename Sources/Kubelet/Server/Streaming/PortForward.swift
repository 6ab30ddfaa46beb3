import Basics
import Document
import Linux
import Runtime
import Synchronization
import Wire

/// Carries connections from a client to ports of a pod.
///
/// Over SPDY, also inside a WebSocket, the client opens two streams for each connection, `data` and `error`, that share
/// a request id. Over plain WebSocket channels the ports are in the query: channels 2n and 2n+1 are data and errors of
/// the nth port, and the first message on each is that port as two bytes, the low one first.
struct PortForward: Sendable {
    let session: StreamSession
    let loop: EventLoop
    let pod: String
    let uid: String
    /// Nil: the node's own.
    let namespace: Descriptor?

    static let name = "portforward.k8s.io"
    static let tunnelled = "SPDY/3.1+portforward.k8s.io"

    enum Carrier: Sendable, Equatable {
        case spdy
        case spdyInWebSocket
        case webSocket(WebSocketChannels.Layout, ports: [UInt16])
    }

    static func negotiate(
        _ request: Request, _ fields: [(name: String, value: String)]
    ) throws(StreamRefusal) -> (Carrier, Headers) {
        guard WebSocketHandshake.isAsked(request) else {
            let (_, headers) = try StreamProtocol.negotiateSPDY(request, accepting: [name])
            return (.spdy, headers)
        }
        let offers = WebSocketHandshake.protocols(request)
        if offers.contains(tunnelled) {
            return (.spdyInWebSocket, try StreamProtocol.agree(to: request, tunnelled))
        }
        let known = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"]
        guard let chosen = offers.isEmpty ? known[0] : offers.first(where: known.contains) else {
            throw StreamProtocol.disagreement(offers, known + [tunnelled])
        }
        let carrier = Carrier.webSocket(.init(isBase64: chosen == known[1]), ports: try ports(fields))
        return (carrier, try StreamProtocol.agree(to: request, offers.isEmpty ? nil : chosen))
    }

    private static func ports(_ fields: [(name: String, value: String)]) throws(StreamRefusal) -> [UInt16] {
        let words = fields.filter { $0.name == "port" || $0.name == "ports" }.flatMap { $0.value.split(separator: ",") }
        guard !words.isEmpty else { throw StreamRefusal(status: 400, "query parameter \"port\" is required") }
        var ports: [UInt16] = []
        for word in words {
            guard let port = UInt16(word), port > 0 else {
                throw StreamRefusal(status: 400, "unable to parse \"\(word)\" as a port")
            }
            ports.append(port)
        }
        guard ports.count <= 100 else { throw StreamRefusal(status: 400, "more than 100 ports") }
        return ports
    }

    func run(_ carrier: Carrier, over raw: any Connection) async throws {
        let connection = IdleConnection(raw, session.world.clock)
        switch carrier {
        case .spdy: try await spdy(over: connection, guarding: connection)
        case .spdyInWebSocket:
            let socket = WebSocketConnection(connection, role: .server, random: session.world.random)
            try await spdy(over: WebSocketByteStream(socket, peer: raw.peer), guarding: connection)
        case .webSocket(let layout, let ports): try await channels(layout, ports, connection)
        }
    }

    // MARK: SPDY

    private func spdy(over stream: any Connection, guarding connection: IdleConnection) async throws {
        let far = SPDYConnection(stream, role: .server)
        let (streams, sink) = AsyncStream.makeStream(
            of: SPDYStream.self, bufferingPolicy: .bufferingOldest(SPDYConnection.mostStreams))
        let acceptor = SPDYConnection.Acceptor(
            wants: { headers in
                ["data", "error"].contains(headers["streamtype"] ?? "")
                    && (headers["port"].flatMap { UInt16($0) } ?? 0) > 0
            }, takes: { _ = sink.yield($0) })
        try await session.run(
            over: connection,
            reader: {
                defer { sink.finish() }
                try await far.run(acceptor)
            },
            body: { await self.pairUp(streams) }, part: { try await far.goAway() })
    }

    /// Starts a connection for each pair, until no more streams come.
    private func pairUp(_ streams: AsyncStream<SPDYStream>) async {
        let halves = Halves()
        await withDiscardingTaskGroup { group in
            for await stream in streams {
                let type = stream.headers["streamtype"]
                // Old clients number only the streams: the error stream comes right before its data stream.
                let request = stream.headers["requestid"] ?? String(type == "error" ? stream.id : stream.id &- 2)
                guard let other = halves.match(stream, request) else {
                    group.addTask {
                        // One whose other half never comes is given up.
                        try? await self.session.world.clock.sleep(for: self.session.creationTime)
                        if halves.take(stream, request) { try? await stream.reset() }
                    }
                    continue
                }
                guard other.headers["streamtype"] != type else {
                    group.addTask { for stream in [stream, other] { try? await stream.reset() } }
                    continue
                }
                let (data, errors) = type == "data" ? (stream, other) : (other, stream)
                let port = data.headers["port"].flatMap { UInt16($0) } ?? 0
                group.addTask { await self.forward(data, errors, port, asObject: true) }
            }
            group.cancelAll()
        }
    }

    // MARK: Channels

    private func channels(
        _ layout: WebSocketChannels.Layout, _ ports: [UInt16], _ connection: IdleConnection
    ) async throws {
        let socket = WebSocketConnection(connection, role: .server, random: session.world.random)
        let channels = WebSocketChannels(socket, layout, reading: ports.indices.map { UInt8($0 * 2) })
        try await session.run(
            over: connection, reader: { try await channels.run() },
            body: {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (index, port) in ports.enumerated() {
                        let data = channels.channel(UInt8(index * 2))
                        let errors = channels.channel(UInt8(index * 2 + 1))
                        for channel in [data, errors] {
                            try await channel.write([UInt8(port & 0xFF), UInt8(port >> 8)])
                        }
                        group.addTask { await self.forward(data, errors, port, asObject: false) }
                    }
                    try await group.waitForAll()
                }
            }, part: { try await socket.close(1000) })
    }

    // MARK: One connection

    private func forward(
        _ data: any Connection, _ errors: any Connection, _ port: UInt16, asObject: Bool
    ) async {
        do {
            let far = try await dial(port)
            defer { far.close() }
            try await join(data, far)
        } catch is CancellationError {
            return
        } catch {
            let message = "error forwarding port \(port) to pod \(pod), uid \(uid): \(error)"
            let object: Document = ["closeConnection": true, "message": Document(message)]
            try? await errors.write(asObject ? object.json + [10] : Array(message.utf8))
        }
        try? await data.finishWriting()
        try? await errors.finishWriting()
    }

    struct Unreachable: Error, CustomStringConvertible { var description: String }

    private func dial(_ port: UInt16) async throws -> any Connection {
        let network: any Network =
            namespace.map { LiveNetwork(loop: loop, namespace: $0.number) } ?? session.world.network
        do { return try await network.connect(to: .ip(.loopback, port: port)) } catch let first {
            do { return try await network.connect(to: .ip(IPAddress("::1") ?? .loopback, port: port)) } catch let second
            {
                throw Unreachable(
                    description: "failed to connect to localhost:\(port) inside the pod's network, "
                        + "IPv4: \(first) IPv6: \(second)")
            }
        }
    }

    /// Until the pod's program has said all it has to say. A client that has nothing more to send still listens; but one
    /// that waits for the end of the errors before it closes would wait for ever, if its own end were waited for.
    private func join(_ near: any Connection, _ far: any Connection) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for (from, to, isAnswer) in [(near, far, false), (far, near, true)] {
                group.addTask {
                    while case let bytes = try await from.read(atMost: 32 << 10), !bytes.isEmpty {
                        try await to.write(bytes)
                    }
                    try await to.finishWriting()
                    return isAnswer
                }
            }
            while let isAnswer = try await group.next(), !isAnswer {}
            group.cancelAll()
        }
    }
}

/// Streams that wait for their other half, by request.
private final class Halves: Sendable {
    private let waiting = Mutex<[String: SPDYStream]>([:])

    /// The half that waits already; else this one waits.
    func match(_ stream: SPDYStream, _ request: String) -> SPDYStream? {
        waiting.withLock { waiting in
            if let other = waiting.removeValue(forKey: request) { return other }
            waiting[request] = stream
            return nil
        }
    }

    /// True where the stream still waited.
    func take(_ stream: SPDYStream, _ request: String) -> Bool {
        waiting.withLock { waiting in
            guard waiting[request] === stream else { return false }
            waiting[request] = nil
            return true
        }
    }
}
