import Basics
import Client
import Synchronization

/// Streams and datagrams between parts of one process.
public final class MemoryNetwork: Network {
    private struct State {
        var listeners: [Endpoint: MemoryListener] = [:]
        var sockets: [Endpoint: MemoryDatagramSocket] = [:]
        var nextPort: UInt16 = 40_000
    }

    private let state = Mutex(State())
    private let clock: any WorldClock

    public init(clock: any WorldClock) { self.clock = clock }

    public func connect(to endpoint: Endpoint) async throws -> any Connection {
        try Task.checkCancellation()
        guard let listener = state.withLock({ $0.listeners[endpoint] }) else {
            throw MemoryNetworkError.refused(endpoint)
        }
        let (there, back) = (MemoryPipe(), MemoryPipe())
        try listener.arrived(MemoryConnection(peer: nil, input: there, output: back))
        return MemoryConnection(peer: endpoint, input: back, output: there)
    }

    public func listen(on endpoint: Endpoint) async throws -> any Listener {
        try state.withLock { state in
            let endpoint = Self.withPort(endpoint, &state)
            if state.listeners[endpoint] != nil { throw MemoryNetworkError.inUse(endpoint) }
            let listener = MemoryListener(local: endpoint) { [weak self] in
                self?.state.withLock { $0.listeners[endpoint] = nil }
            }
            state.listeners[endpoint] = listener
            return listener
        }
    }

    public func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        try state.withLock { state in
            let endpoint = Self.withPort(endpoint, &state)
            if state.sockets[endpoint] != nil { throw MemoryNetworkError.inUse(endpoint) }
            let socket = MemoryDatagramSocket(local: endpoint, network: self)
            state.sockets[endpoint] = socket
            return socket
        }
    }

    /// Datagrams to nobody are lost, as they are on a real network.
    fileprivate func deliver(_ datagram: Datagram, to endpoint: Endpoint) {
        state.withLock { $0.sockets[endpoint] }?.arrived(datagram)
    }

    fileprivate func remove(_ socket: MemoryDatagramSocket) {
        state.withLock { $0.sockets[socket.local] = nil }
    }

    private static func withPort(_ endpoint: Endpoint, _ state: inout State) -> Endpoint {
        guard case .ip(let address, port: 0) = endpoint else { return endpoint }
        state.nextPort += 1
        return .ip(address, port: state.nextPort)
    }
}

public enum MemoryNetworkError: Error, Sendable, CustomStringConvertible {
    case refused(Endpoint)
    case inUse(Endpoint)
    case closed

    public var description: String {
        switch self {
        case .refused(let endpoint): "connecting to \(endpoint): connection refused"
        case .inUse(let endpoint): "listening on \(endpoint): address in use"
        case .closed: "the connection is closed"
        }
    }
}

private final class MemoryListener: Listener {
    /// Connections that nobody has accepted yet; more are refused.
    private static let backlog = 128

    let local: Endpoint
    private let waiting = Mutex<(connections: [MemoryConnection], isClosed: Bool)>(([], false))
    private let arrival = Wakeup()
    private let onClose: @Sendable () -> Void

    init(local: Endpoint, onClose: @escaping @Sendable () -> Void) {
        self.local = local
        self.onClose = onClose
    }

    func arrived(_ connection: MemoryConnection) throws {
        try waiting.withLock { waiting in
            if waiting.isClosed || waiting.connections.count >= Self.backlog { throw MemoryNetworkError.refused(local) }
            waiting.connections.append(connection)
        }
        arrival.wake()
    }

    func accept() async throws -> any Connection {
        while true {
            let ticket = arrival.ticket
            let connection = try waiting.withLock { waiting -> MemoryConnection? in
                if waiting.isClosed { throw MemoryNetworkError.closed }
                return waiting.connections.isEmpty ? nil : waiting.connections.removeFirst()
            }
            if let connection { return connection }
            try await arrival.wait(since: ticket)
        }
    }

    func close() {
        let orphans = waiting.withLock { waiting in
            waiting.isClosed = true
            defer { waiting.connections = [] }
            return waiting.connections
        }
        for orphan in orphans { orphan.close() }
        arrival.wake()
        onClose()
    }
}

/// One direction of a connection, bounded.
private final class MemoryPipe: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isFinished = false
        var isClosed = false
    }

    private static let capacity = 256 << 10
    private let state = Mutex(State())
    private let change = Wakeup()

    func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            let ticket = change.ticket
            let piece = try state.withLock { state -> [UInt8]? in
                if state.isClosed { throw MemoryNetworkError.closed }
                if state.bytes.isEmpty { return state.isFinished ? [] : nil }
                let piece = Array(state.bytes.prefix(limit))
                state.bytes.removeFirst(piece.count)
                return piece
            }
            if let piece {
                change.wake()
                return piece
            }
            try await change.wait(since: ticket)
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let ticket = change.ticket
            let taken = try state.withLock { state in
                if state.isClosed || state.isFinished { throw MemoryNetworkError.closed }
                let taken = min(rest.count, Self.capacity - state.bytes.count)
                state.bytes += rest.prefix(taken)
                return taken
            }
            rest = rest.dropFirst(taken)
            if taken > 0 { change.wake() } else { try await change.wait(since: ticket) }
        }
    }

    func finish() {
        state.withLock { $0.isFinished = true }
        change.wake()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        change.wake()
    }
}

private final class MemoryConnection: Connection {
    let peer: Endpoint?
    private let input: MemoryPipe
    private let output: MemoryPipe

    init(peer: Endpoint?, input: MemoryPipe, output: MemoryPipe) {
        self.peer = peer
        self.input = input
        self.output = output
    }

    func read(atMost limit: Int) async throws -> [UInt8] { try await input.read(atMost: limit) }
    func write(_ bytes: [UInt8]) async throws { try await output.write(bytes) }
    func finishWriting() async throws { output.finish() }

    func close() {
        input.close()
        // The other side still reads what was written before.
        output.finish()
    }
}

private final class MemoryDatagramSocket: DatagramSocket {
    /// More are dropped, as by a real socket's buffer.
    private static let capacity = 1_024

    let local: Endpoint
    private let network: MemoryNetwork
    private let received = Mutex<(datagrams: [Datagram], isClosed: Bool)>(([], false))
    private let arrival = Wakeup()

    init(local: Endpoint, network: MemoryNetwork) {
        self.local = local
        self.network = network
    }

    func arrived(_ datagram: Datagram) {
        received.withLock { if $0.datagrams.count < Self.capacity { $0.datagrams.append(datagram) } }
        arrival.wake()
    }

    func receive() async throws -> Datagram {
        while true {
            let ticket = arrival.ticket
            let datagram = try received.withLock { received -> Datagram? in
                if received.isClosed { throw MemoryNetworkError.closed }
                return received.datagrams.isEmpty ? nil : received.datagrams.removeFirst()
            }
            if let datagram { return datagram }
            try await arrival.wait(since: ticket)
        }
    }

    func send(_ datagram: Datagram) async throws {
        try Task.checkCancellation()
        network.deliver(Datagram(bytes: datagram.bytes, peer: local), to: datagram.peer)
    }

    func close() {
        received.withLock { $0.isClosed = true }
        arrival.wake()
        network.remove(self)
    }
}
