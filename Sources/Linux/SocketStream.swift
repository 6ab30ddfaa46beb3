import Basics
import CLinux
import Glibc

/// A connection over a descriptor that epoll takes: a socket, a pipe, a terminal.
/// Owns the descriptor and closes it, at the latest when it is forgotten.
public final class SocketStream: Connection {
    private let loop: EventLoop
    private let watch: Watch
    public let peer: Endpoint?

    /// Must be called on the loop's thread; `fd` must be non-blocking. Closes `fd` when it fails.
    init(fd: Int32, peer: Endpoint?, loop: EventLoop, connecting: Bool = false) throws(SystemError) {
        self.loop = loop
        self.peer = peer
        watch = Watch(fd: fd)
        if connecting { watch.exhausted(.write) }
        do {
            try loop.add(watch)
        } catch {
            Glibc.close(fd)
            throw error
        }
    }

    /// Takes over a descriptor from elsewhere, such as one end of a pipe to a process.
    public static func adopt(fd: Int32, loop: EventLoop) async throws -> SocketStream {
        guard lab_set_nonblocking(fd) == 0 else {
            let code = errno
            Glibc.close(fd)
            throw SystemError("fcntl", "descriptor \(fd)", errno: code)
        }
        return try await loop.onLoop { try SocketStream(fd: fd, peer: nil, loop: loop) }
    }

    deinit { close() }

    public func close() { Self.close(watch, loop) }

    static func close(_ watch: Watch, _ loop: EventLoop) {
        loop.perform {
            guard !watch.closed else { return }
            loop.remove(watch)
            Glibc.close(watch.fd)
            watch.markClosed(SystemError("use", "closed connection", errno: ECONNABORTED))
        }
    }

    private func failure(_ operation: String, _ code: Int32) -> SystemError {
        SystemError(operation, peer?.description ?? "descriptor", errno: code)
    }

    public func read(atMost limit: Int) async throws -> [UInt8] {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            while true {
                guard !watch.closed else { throw failure("read", ECONNABORTED) }
                guard watch.isReady(.read) else {
                    try await loop.wait(watch, .read)
                    continue
                }
                let room = min(limit, loop.scratch.count)
                let count = Glibc.read(watch.fd, loop.scratch.baseAddress, room)
                if count >= 0 {
                    if count > 0, count < room { watch.short() }
                    return Array(loop.scratch[0..<count])
                }
                switch errno {
                case EAGAIN: watch.exhausted(.read)
                case EINTR: continue
                // The far end of a terminal reports its hang-up so.
                case EIO: return []
                case let code: throw failure("read", code)
                }
            }
        }
    }

    public func write(_ bytes: [UInt8]) async throws {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            var sent = 0
            while sent < bytes.count {
                sent += try await send { [sent] fd in
                    bytes.withUnsafeBytes { lab_send(fd, $0.baseAddress! + sent, $0.count - sent) }
                }
            }
        }
    }

    public func write(pieces: [[UInt8]]) async throws {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            var first = 0
            var offset = 0
            while true {
                while first < pieces.count, offset >= pieces[first].count {
                    offset -= pieces[first].count
                    first += 1
                }
                guard first < pieces.count else { return }
                offset += try await send { [first, offset] fd in
                    Self.send(fd, pieces[first...].prefix(64), skipping: offset, gathered: [])
                }
            }
        }
    }

    /// Pins each piece in turn by recursion, so that every pointer is valid in the one call at the bottom.
    private static func send(
        _ fd: Int32, _ pieces: ArraySlice<[UInt8]>, skipping offset: Int, gathered: [iovec]
    ) -> Int {
        guard let piece = pieces.first else {
            return gathered.withUnsafeBufferPointer { lab_send_pieces(fd, $0.baseAddress, $0.count) }
        }
        return piece.withUnsafeBytes { bytes in
            var gathered = gathered
            if bytes.count > offset, let base = bytes.baseAddress {
                gathered.append(
                    iovec(iov_base: UnsafeMutableRawPointer(mutating: base + offset), iov_len: bytes.count - offset))
            }
            return send(fd, pieces.dropFirst(), skipping: 0, gathered: gathered)
        }
    }

    /// One successful call of `body`, after as much waiting as it takes.
    private func send(_ body: (Int32) -> Int) async throws -> Int {
        while true {
            guard !watch.closed else { throw failure("write", ECONNABORTED) }
            guard watch.isReady(.write) else {
                try await loop.wait(watch, .write)
                continue
            }
            let count = body(watch.fd)
            if count >= 0 { return count }
            switch errno {
            case EAGAIN: watch.exhausted(.write)
            case EINTR: continue
            case let code: throw failure("write", code)
            }
        }
    }

    public func finishWriting() async throws {
        try await loop.onLoop { [self] in
            guard !watch.closed else { throw failure("shutdown", ECONNABORTED) }
            // Pipes have one direction, and a peer that is gone needs no telling.
            if shutdown(watch.fd, Int32(SHUT_WR)) != 0, errno != ENOTSOCK, errno != ENOTCONN {
                throw failure("shutdown", errno)
            }
        }
    }

    /// Completes a connect that is under way.
    func connected() async throws {
        try await loop.wait(watch, .write)
        let code = lab_socket_error(watch.fd)
        guard code == 0 else { throw failure("connect", code) }
    }
}
