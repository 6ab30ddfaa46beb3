import Basics
import CLinux
import Glibc

extension World {
    /// The kernel's own clock, randomness and network, driven by `loop`.
    public static func live(_ loop: EventLoop) -> World {
        World(clock: LiveClock(loop), random: LiveRandomness(), network: LiveNetwork(loop: loop))
    }
}

public struct LiveClock: WorldClock {
    private let loop: EventLoop

    public init(_ loop: EventLoop) { self.loop = loop }

    public var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    public var uptime: Duration { .nanoseconds(lab_monotonic_nanoseconds()) }

    public func sleep(for duration: Duration) async throws { try await loop.sleep(for: duration) }
}

public struct LiveRandomness: Randomness {
    public init() {}

    public func next() -> UInt64 {
        var word: UInt64 = 0
        // Eight bytes come whole or not at all; only the first moments after boot make the call wait.
        while lab_random(&word, 8) != 8 {}
        return word
    }
}

/// The kernel's sockets, in this process's network namespace or in the one behind a descriptor.
/// A socket belongs to a namespace from its birth, so only the call that makes it visits the other one.
public struct LiveNetwork: Network {
    private let loop: EventLoop
    private let namespace: Int32

    /// `namespace` is an open `/proc/PID/ns/net` or bind mount of one; it must outlive this value.
    public init(loop: EventLoop, namespace: Int32? = nil) {
        self.loop = loop
        self.namespace = namespace ?? -1
    }

    private func socket(_ endpoint: Endpoint, _ type: __socket_type) throws(SystemError) -> Int32 {
        let fd = lab_socket(endpoint.family, Int32(type.rawValue), namespace)
        guard fd >= 0 else { throw SystemError("socket", "\(endpoint)", errno: errno) }
        return fd
    }

    /// Cancel the task to bound the wait.
    public func connect(to endpoint: Endpoint) async throws -> any Connection {
        try await loop.onLoop {
            try Task.checkCancellation()
            var address = try SocketAddress(endpoint)
            let fd = try socket(endpoint, SOCK_STREAM)
            if case .ip = endpoint { lab_tune_tcp(fd) }
            var code: Int32 = 0
            repeat {
                code = lab_connect(fd, &address.storage, address.length) == 0 ? 0 : errno
            } while code == EINTR
            guard code == 0 || code == EINPROGRESS else {
                close(fd)
                throw SystemError("connect", "\(endpoint)", errno: code)
            }
            let stream = try SocketStream(fd: fd, peer: endpoint, loop: loop, connecting: code == EINPROGRESS)
            if code == EINPROGRESS {
                do { try await stream.connected() } catch {
                    stream.close()
                    throw error
                }
            }
            return stream
        }
    }

    public func listen(on endpoint: Endpoint) async throws -> any Listener {
        try await loop.onLoop {
            var fd = try socket(endpoint, SOCK_STREAM)
            lab_tune_listener(fd, endpoint.family)
            var code = bind(fd, endpoint)
            if code == EADDRINUSE, case .unix(let path) = endpoint, isStale(endpoint) {
                unlink(path)
                code = bind(fd, endpoint)
            }
            if code == 0, Glibc.listen(fd, 1024) != 0 { code = errno }
            guard code == 0 else {
                close(fd)
                fd = -1
                throw SystemError("listen", "\(endpoint)", errno: code)
            }
            let local = SocketAddress.local(of: fd).endpoint ?? endpoint
            return try SocketListener(fd: fd, local: local, loop: loop)
        }
    }

    private func bind(_ fd: Int32, _ endpoint: Endpoint) -> Int32 {
        do {
            var address = try SocketAddress(endpoint)
            return lab_bind(fd, &address.storage, address.length) == 0 ? 0 : errno
        } catch {
            return error.errno
        }
    }

    /// Whether the socket file was left behind by a process that is gone.
    private func isStale(_ endpoint: Endpoint) -> Bool {
        guard var address = try? SocketAddress(endpoint), let fd = try? socket(endpoint, SOCK_STREAM) else {
            return false
        }
        defer { close(fd) }
        return lab_connect(fd, &address.storage, address.length) != 0 && errno == ECONNREFUSED
    }

    public func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        try await loop.onLoop {
            let fd = try socket(endpoint, SOCK_DGRAM)
            lab_tune_datagrams(fd, endpoint.family)
            let code = bind(fd, endpoint)
            guard code == 0 else {
                close(fd)
                throw SystemError("bind", "\(endpoint)", errno: code)
            }
            return try SocketDatagrams(fd: fd, local: SocketAddress.local(of: fd).endpoint ?? endpoint, loop: loop)
        }
    }
}
