import Basics
import Document
import Runtime
import Synchronization
import Wire

/// A client's ends of a program's streams, whatever carries them.
struct RemoteStreams: Sendable {
    var input: (any Connection)?
    var output: (any Connection)?
    var errors: (any Connection)?
    var sizes: (any Connection)?
    var status: any Connection
    var version: Int

    /// Tells the outcome, and that nothing follows it.
    func finish(_ outcome: RemoteOutcome) async throws {
        // A stream ends after all that was written to it; the outcome comes last.
        for stream in [output, errors] { try await stream?.finishWriting() }
        let bytes = outcome.bytes(version: version)
        if !bytes.isEmpty { try await status.write(bytes) }
        try await status.finishWriting()
    }
}

/// A session over a connection that has left HTTP.
struct StreamSession: Sendable {
    let world: World
    /// Without a byte in either direction for so long the connection is given up.
    var idleTime: Duration = .seconds(4 * 3600)
    /// For the client to open the streams that it asked for.
    var creationTime: Duration = .seconds(30)
    /// For the client to hang up after the last word, so that closing does not take it away.
    var partingTime: Duration = .seconds(5)

    private enum Part { case reader, body }

    /// Runs `body` beside `reader`, which reads for all streams. When the client goes away first, `body` is cancelled;
    /// when `body` is done, `part` says so and the client is waited for.
    func run(
        over connection: IdleConnection, reader: @escaping @Sendable () async throws -> Void,
        body: @escaping @Sendable () async throws -> Void, part: @escaping @Sendable () async throws -> Void
    ) async throws {
        defer { connection.close() }
        let clock = world.clock
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                try? await reader()
                return .reader
            }
            group.addTask {
                try await body()
                try await part()
                return .body
            }
            group.addTask {
                try await connection.waitForIdleness(idleTime, clock)
                return .reader
            }
            defer { group.cancelAll() }
            guard try await group.next() == .body else { return }
            group.addTask {
                try await clock.sleep(for: partingTime)
                return .reader
            }
            _ = try await group.next()
        }
    }

    /// A program's streams.
    func remoteCommand(
        over raw: any Connection, _ spoken: StreamProtocol, _ options: RemoteCommandOptions,
        _ body: @escaping @Sendable (RemoteStreams) async throws -> Void
    ) async throws {
        let connection = IdleConnection(raw, world.clock)
        switch spoken.carrier {
        case .webSocket(let layout):
            let socket = WebSocketConnection(connection, role: .server, random: world.random)
            let channels = WebSocketChannels(
                socket, layout, reading: options.streams.contains(.input) ? [0, 4] : [4])
            func wanted(_ stream: StreamSet, _ number: UInt8) -> WebSocketChannel? {
                options.streams.contains(stream) ? channels.channel(number) : nil
            }
            let streams = RemoteStreams(
                input: wanted(.input, 0), output: wanted(.output, 1), errors: wanted(.errors, 2),
                sizes: channels.channel(4), status: channels.channel(3), version: spoken.version)
            try await run(
                over: connection, reader: { try await channels.run() },
                body: {
                    // Says that the connection stands.
                    try await (streams.output ?? streams.errors ?? streams.status).write([])
                    try await body(streams)
                }, part: { try await socket.close(1000) })
        case .spdy:
            let far = SPDYConnection(connection, role: .server)
            let arrivals = StreamArrivals(options, version: spoken.version)
            try await run(
                over: connection, reader: { try await far.run(arrivals.acceptor) },
                body: {
                    try await body(try await arrivals.all(within: creationTime, world.clock))
                }, part: { try await far.goAway() })
        }
    }
}

/// Gathers the streams that a SPDY client opens for one program.
final class StreamArrivals: Sendable {
    private let expected: Set<String>
    private let version: Int
    private let arrived: AsyncStream<SPDYStream>
    private let sink: AsyncStream<SPDYStream>.Continuation

    init(_ options: RemoteCommandOptions, version: Int) {
        var expected: Set = ["error"]
        if options.streams.contains(.input) { expected.insert("stdin") }
        if options.streams.contains(.output) { expected.insert("stdout") }
        if options.streams.contains(.errors) { expected.insert("stderr") }
        if options.terminal, version >= 3 { expected.insert("resize") }
        self.expected = expected
        self.version = version
        (arrived, sink) = AsyncStream.makeStream(of: SPDYStream.self, bufferingPolicy: .bufferingOldest(16))
    }

    var acceptor: SPDYConnection.Acceptor {
        .init(
            wants: { [expected] in expected.contains($0["streamtype"] ?? "") },
            takes: { [sink] in _ = sink.yield($0) })
    }

    struct Late: Error, CustomStringConvertible {
        var description: String { "timed out waiting for client to create streams" }
    }

    func all(within limit: Duration, _ clock: any WorldClock) async throws -> RemoteStreams {
        try await withThrowingTaskGroup(of: RemoteStreams.self) { group in
            group.addTask {
                var found: [String: SPDYStream] = [:]
                for await stream in self.arrived {
                    found[stream.headers["streamtype"] ?? ""] = stream
                    guard found.count == self.expected.count, let status = found["error"] else { continue }
                    return RemoteStreams(
                        input: found["stdin"], output: found["stdout"], errors: found["stderr"],
                        sizes: found["resize"], status: status, version: self.version)
                }
                throw CancellationError()
            }
            group.addTask {
                try await clock.sleep(for: limit)
                throw Late()
            }
            defer { group.cancelAll() }
            guard let streams = try await group.next() else { throw Late() }
            return streams
        }
    }
}

/// The sizes of a terminal as a client sends them: `{"Width":80,"Height":24}`, one behind the other.
struct TerminalSizes {
    private var rest: [UInt8] = []
    private static let longest = 1024

    mutating func take(_ bytes: [UInt8]) -> [TerminalSize] {
        rest += bytes
        var sizes: [TerminalSize] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "}")) {
            let text = Array(rest[...end])
            rest.removeFirst(text.count)
            guard let object = try? Document(json: text), let width = object.number("Width"),
                let height = object.number("Height")
            else { continue }
            sizes.append(TerminalSize(columns: UInt16(clamping: width), rows: UInt16(clamping: height)))
        }
        if rest.count > Self.longest { rest = [] }
        return sizes
    }
}

/// Notices when nothing passes for long.
final class IdleConnection: Connection {
    private let inner: any Connection
    private let clock: any WorldClock
    private let lastMove: Atomic<Int64>

    init(_ inner: any Connection, _ clock: any WorldClock) {
        self.inner = inner
        self.clock = clock
        lastMove = Atomic(clock.uptime.wholeNanoseconds)
    }

    private func moved() { lastMove.store(clock.uptime.wholeNanoseconds, ordering: .relaxed) }

    func waitForIdleness(_ limit: Duration, _ clock: any WorldClock) async throws {
        while true {
            let left = lastMove.load(ordering: .relaxed) + limit.wholeNanoseconds - clock.uptime.wholeNanoseconds
            if left <= 0 { return }
            try await clock.sleep(for: .nanoseconds(left))
        }
    }

    var peer: Endpoint? { inner.peer }

    func read(atMost limit: Int) async throws -> [UInt8] {
        let bytes = try await inner.read(atMost: limit)
        moved()
        return bytes
    }

    func write(_ bytes: [UInt8]) async throws {
        try await inner.write(bytes)
        moved()
    }

    func write(pieces: [[UInt8]]) async throws {
        try await inner.write(pieces: pieces)
        moved()
    }

    func finishWriting() async throws { try await inner.finishWriting() }
    func close() { inner.close() }
}
