import Basics
import Synchronization

/// A network inside the process: connections are bounded pipes in memory, addresses are only names.
/// For tests and the simulator, where the same code that talks to sockets must run without any.
public final class MemoryNetwork: Network {
    private struct State {
        var listeners: [Endpoint: MemoryListener] = [:]
        var nextPort: UInt16 = 49_152
    }

    private let state = Mutex(State())

    public init() {}

    public struct Refused: Error, CustomStringConvertible {
        public let endpoint: Endpoint
        public var description: String { "connect \(endpoint): Connection refused" }
    }

    public struct Unsupported: Error, CustomStringConvertible {
        public let description: String
    }

    public func connect(to endpoint: Endpoint) async throws -> any Connection {
        guard let listener = state.withLock({ $0.listeners[endpoint] }) else { throw Refused(endpoint: endpoint) }
        let (near, far) = MemoryConnection.pair(nearPeer: endpoint)
        try listener.offer(far)
        return near
    }

    public func listen(on endpoint: Endpoint) async throws -> any Listener {
        try state.withLock { state in
            let bound: Endpoint
            if case .ip(let address, 0) = endpoint {
                bound = .ip(address, port: state.nextPort)
                state.nextPort &+= 1
            } else {
                bound = endpoint
            }
            guard state.listeners[bound] == nil else {
                throw Unsupported(description: "listen \(bound): Address already in use")
            }
            let listener = MemoryListener(bound) { [weak self] in
                _ = self?.state.withLock { $0.listeners.removeValue(forKey: bound) }
            }
            state.listeners[bound] = listener
            return listener
        }
    }

    public func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        throw Unsupported(description: "the network in memory carries no datagrams")
    }
}

final class MemoryListener: Listener {
    let local: Endpoint
    private let onClose: @Sendable () -> Void
    private let queue = MemoryChannel<MemoryConnection>(limit: 1024)

    init(_ local: Endpoint, onClose: @escaping @Sendable () -> Void) {
        self.local = local
        self.onClose = onClose
    }

    func offer(_ connection: MemoryConnection) throws {
        guard queue.offer(connection) else { throw MemoryNetwork.Refused(endpoint: local) }
    }

    func accept() async throws -> any Connection {
        guard let connection = try await queue.take() else { throw MemoryConnection.Closed() }
        return connection
    }

    func close() {
        onClose()
        queue.close()
    }
}

/// One end of a two-way stream in memory.
public final class MemoryConnection: Connection {
    public struct Closed: Error, CustomStringConvertible {
        public var description: String { "the connection is closed" }
    }

    public let peer: Endpoint?
    private let inbound: MemoryPipe
    private let outbound: MemoryPipe

    private init(_ peer: Endpoint?, _ inbound: MemoryPipe, _ outbound: MemoryPipe) {
        self.peer = peer
        self.inbound = inbound
        self.outbound = outbound
    }

    deinit { close() }

    /// Two ends of one stream, each direction holding at most `capacity` bytes.
    public static func pair(nearPeer: Endpoint? = nil, farPeer: Endpoint? = nil, capacity: Int = 64 << 10)
        -> (MemoryConnection, MemoryConnection)
    {
        let (a, b) = (MemoryPipe(capacity), MemoryPipe(capacity))
        return (MemoryConnection(nearPeer, a, b), MemoryConnection(farPeer, b, a))
    }

    public func read(atMost limit: Int) async throws -> [UInt8] { try await inbound.read(atMost: limit) }
    public func write(_ bytes: [UInt8]) async throws { try await outbound.write(bytes) }
    public func finishWriting() async throws { outbound.finish() }

    public func close() {
        inbound.breakOff()
        outbound.finish()
        outbound.breakOff(writer: true)
    }
}
