import Basics
import Synchronization

/// SPDY/3.1 over a connection that has left HTTP: many two-way streams side by side.
///
/// `run` reads for all of them. A stream that nobody reads fills its buffer and then holds up the whole connection:
/// the protocol as Kubernetes speaks it has no other way to slow down a sender.
public final class SPDYConnection: Sendable {
    public enum Role: Sendable { case server, client }

    private struct State {
        var streams: [UInt32: SPDYStream] = [:]
        var lastAccepted: UInt32 = 0
        var nextOwn: UInt32
        var isOver = false
    }

    private let connection: any Connection
    private let role: Role
    private let state: Mutex<State>
    private let turns = Turns()
    private let writer = Mutex(SPDYWriter())

    public static let mostStreams = 1024
    static let longestData = 32 << 10

    public init(_ connection: any Connection, role: Role) {
        self.connection = connection
        self.role = role
        state = Mutex(State(nextOwn: role == .server ? 2 : 1))
    }

    /// What becomes of the streams that the other side opens.
    public struct Acceptor: Sendable {
        /// A stream that is not wanted is reset.
        var wants: @Sendable (Headers) -> Bool
        /// Called once the other side has been told.
        var takes: @Sendable (SPDYStream) -> Void

        public init(
            wants: @escaping @Sendable (Headers) -> Bool, takes: @escaping @Sendable (SPDYStream) -> Void
        ) {
            self.wants = wants
            self.takes = takes
        }
    }

    /// Reads until the other side ends the connection.
    public func run(_ acceptor: Acceptor) async throws {
        defer { end() }
        var reader = SPDYReader()
        while true {
            while let event = try reader.next() { try await handle(event, acceptor) }
            let bytes = try await connection.read(atMost: 64 << 10)
            if bytes.isEmpty { return }
            reader.feed(bytes)
        }
    }

    /// Opens a stream; the other side's consent is not waited for.
    public func open(_ headers: Headers) async throws -> SPDYStream {
        // Streams go out in the order of their numbers.
        let opened: SPDYStream? = try await turns.run { [self] in
            let stream = state.withLock { state -> SPDYStream? in
                guard !state.isOver, state.streams.count < Self.mostStreams else { return nil }
                let stream = SPDYStream(state.nextOwn, headers, self)
                state.nextOwn += 2
                state.streams[stream.id] = stream
                return stream
            }
            guard let stream else { return nil }
            try await connection.write(writer.withLock { $0.bytes(.open(stream.id, headers, isLast: false)) })
            return stream
        }
        guard let opened else { throw SPDYError("no more streams on this connection") }
        return opened
    }

    /// Says that no further stream will be looked at.
    public func goAway() async throws {
        try await send(.goAway(lastStream: state.withLock { $0.lastAccepted }))
        try await connection.finishWriting()
    }

    public func close() {
        connection.close()
        end()
    }

    func send(_ event: SPDYEvent) async throws {
        try await turns.run { [self] in try await connection.write(writer.withLock { $0.bytes(event) }) }
    }

    func forget(_ id: UInt32) { state.withLock { _ = $0.streams.removeValue(forKey: id) } }

    private func end() {
        let streams = state.withLock { state in
            state.isOver = true
            defer { state.streams = [:] }
            return Array(state.streams.values)
        }
        for stream in streams { stream.farEnd() }
    }

    private func handle(_ event: SPDYEvent, _ acceptor: Acceptor) async throws {
        switch event {
        case .open(let id, let headers, let isLast): try await opened(id, headers, isLast: isLast, acceptor)
        case .reply(let id, _, let isLast), .headers(let id, _, let isLast):
            if isLast { state.withLock { $0.streams[id] }?.farFinished() }
        case .reset(let id, _): state.withLock { $0.streams.removeValue(forKey: id) }?.farEnd()
        case .ping(let id):
            // An answer to a ping of ours has our parity.
            if (id % 2 == 1) == (role == .server) { try await send(.ping(id)) }
        case .goAway: break
        case .data(let id, let bytes, let isLast):
            guard let stream = state.withLock({ $0.streams[id] }) else { return }
            if !bytes.isEmpty { try await stream.arrived(bytes) }
            if isLast { stream.farFinished() }
        }
    }

    private func opened(_ id: UInt32, _ headers: Headers, isLast: Bool, _ acceptor: Acceptor) async throws {
        let stream = SPDYStream(id, headers, self)
        let isWanted = acceptor.wants(headers)
        let refusal = state.withLock { state -> UInt32? in
            guard (id % 2 == 1) == (role == .server), id > state.lastAccepted else { return SPDYStatus.protocolError }
            state.lastAccepted = id
            guard isWanted, state.streams.count < Self.mostStreams else { return SPDYStatus.refused }
            state.streams[id] = stream
            return nil
        }
        if let refusal { return try await send(.reset(id, status: refusal)) }
        if isLast { stream.farFinished() }
        // The consent goes out before whoever takes the stream can write to it.
        try await send(.reply(id, Headers(), isLast: false))
        acceptor.takes(stream)
    }
}

/// One stream of a connection. `close` resets it unless both sides have finished.
public final class SPDYStream: Connection {
    private struct State {
        var hasFinished = false
        var farHasFinished = false
        var isGone = false
    }

    public let id: UInt32
    public let headers: Headers
    private let owner: SPDYConnection
    private let inbound = MemoryPipe(256 << 10)
    private let state = Mutex(State())

    init(_ id: UInt32, _ headers: Headers, _ owner: SPDYConnection) {
        self.id = id
        self.headers = headers
        self.owner = owner
    }

    public var peer: Endpoint? { nil }

    public func read(atMost limit: Int) async throws -> [UInt8] { try await inbound.read(atMost: limit) }

    public func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard state.withLock({ !$0.hasFinished && !$0.isGone }) else { throw SPDYError("the stream is closed") }
            try await owner.send(.data(id, Array(rest.prefix(SPDYConnection.longestData)), isLast: false))
            rest = rest.dropFirst(SPDYConnection.longestData)
        }
    }

    public func finishWriting() async throws {
        let (sends, isOver) = state.withLock { state in
            let sends = !state.hasFinished && !state.isGone
            state.hasFinished = true
            return (sends, state.farHasFinished)
        }
        if sends { try await owner.send(.data(id, [], isLast: true)) }
        if isOver { owner.forget(id) }
    }

    /// Ends both directions; the other side sees a reset where it has not finished by itself.
    public func reset() async throws {
        let sends = state.withLock { state in
            defer { state.isGone = true }
            return !state.isGone && !(state.hasFinished && state.farHasFinished)
        }
        inbound.breakOff()
        owner.forget(id)
        if sends { try await owner.send(.reset(id, status: SPDYStatus.cancelled)) }
    }

    /// Forgets the stream: what still arrives for it is dropped.
    public func close() {
        state.withLock { $0.isGone = true }
        inbound.breakOff()
        owner.forget(id)
    }

    // MARK: The far side

    func arrived(_ bytes: [UInt8]) async throws {
        do { try await inbound.write(bytes) } catch is MemoryConnection.Closed {
            // Nobody reads it any more.
        }
    }

    func farFinished() {
        inbound.finish()
        let isOver = state.withLock { state in
            state.farHasFinished = true
            return state.hasFinished
        }
        if isOver { owner.forget(id) }
    }

    func farEnd() {
        state.withLock { $0.isGone = true }
        inbound.finish()
    }
}
