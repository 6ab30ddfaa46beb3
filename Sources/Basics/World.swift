/// The world outside the process, as values handed down through `init`.
///
/// Nothing in the house reads the system clock, draws a random number or opens a socket by itself:
/// it asks the world it was given. Production gets the kernel's world (`Linux.LiveWorld`),
/// tests and the simulator get one that they control, and the same code runs in both.
public struct World: Sendable {
    public var clock: any WorldClock
    public var random: any Randomness
    public var network: any Network

    public init(clock: any WorldClock, random: any Randomness, network: any Network) {
        self.clock = clock
        self.random = random
        self.network = network
    }
}

/// Time: the wall clock for what people read, the monotonic clock for how long things take.
public protocol WorldClock: Sendable {
    /// Wall-clock time.
    var now: Timestamp { get }
    /// Time since an arbitrary fixed point; never steps back.
    var uptime: Duration { get }
    /// Returns after `duration`, or throws `CancellationError` as soon as the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// A source of random bytes; seeded in tests, the kernel's in production.
public protocol Randomness: Sendable {
    func next() -> UInt64
}

extension Randomness {
    /// A uniformly drawn number below `bound`, which must be positive.
    public func below(_ bound: Int) -> Int {
        precondition(bound > 0, "an empty range has no member to draw")
        // The bias of a plain remainder is below 2^-40 for every bound this code uses.
        return Int(next() % UInt64(bound))
    }

    public func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 7)
        while result.count < count {
            var word = next()
            for _ in 0..<8 {
                result.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        return Array(result.prefix(count))
    }
}

/// Where a socket listens or connects to.
public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
    case ip(IPAddress, port: UInt16)
    case unix(String)

    public var description: String {
        switch self {
        case .ip(let address, let port):
            return address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path): return "unix:\(path)"
        }
    }
}

/// Streams, listeners and datagrams.
public protocol Network: Sendable {
    func connect(to endpoint: Endpoint) async throws -> any Connection
    func listen(on endpoint: Endpoint) async throws -> any Listener
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket
}

/// A two-way stream of bytes. One task may read while another writes; `close` may come from any task,
/// makes pending reads and writes throw, and is harmless the second time.
/// Reads and writes throw `CancellationError` when their task is cancelled.
public protocol Connection: AnyObject, Sendable {
    /// Where the other side is, as far as the transport knows.
    var peer: Endpoint? { get }
    /// Some bytes, at least one and at most `limit`; empty once the other side has finished.
    func read(atMost limit: Int) async throws -> [UInt8]
    /// Returns once all of `bytes` has been handed to the transport.
    func write(_ bytes: [UInt8]) async throws
    /// Writes several buffers in order; shared buffers are not copied before the transport needs it.
    func write(pieces: [[UInt8]]) async throws
    /// Ends our direction; the other side reads the end of the stream.
    func finishWriting() async throws
    func close()
}

extension Connection {
    public func write(pieces: [[UInt8]]) async throws {
        for piece in pieces { try await write(piece) }
    }
}

public protocol Listener: AnyObject, Sendable {
    /// The address that was really bound, with the port the kernel chose where 0 was asked for.
    var local: Endpoint { get }
    func accept() async throws -> any Connection
    func close()
}

public struct Datagram: Sendable {
    public var bytes: [UInt8]
    public var peer: Endpoint

    public init(bytes: [UInt8], peer: Endpoint) {
        self.bytes = bytes
        self.peer = peer
    }
}

public protocol DatagramSocket: AnyObject, Sendable {
    var local: Endpoint { get }
    func receive() async throws -> Datagram
    func send(_ datagram: Datagram) async throws
    func close()
}
