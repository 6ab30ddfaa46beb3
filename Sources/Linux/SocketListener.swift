import Basics
import CLinux
import Glibc

/// A listening socket of the kernel.
final class SocketListener: Listener {
    let local: Endpoint
    private let loop: EventLoop
    private let watch: Watch

    /// Must be called on the loop's thread. Closes `fd` when it fails.
    init(fd: Int32, local: Endpoint, loop: EventLoop) throws(SystemError) {
        self.local = local
        self.loop = loop
        watch = Watch(fd: fd)
        do {
            try loop.add(watch)
        } catch {
            Glibc.close(fd)
            throw error
        }
    }

    deinit { close() }

    func close() {
        if case .unix(let path) = local, !path.isEmpty {
            loop.perform { [watch] in if !watch.closed { unlink(path) } }
        }
        SocketStream.close(watch, loop)
    }

    func accept() async throws -> any Connection {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            while true {
                guard !watch.closed else { throw SystemError("accept", "\(local)", errno: ECONNABORTED) }
                guard watch.isReady(.read) else {
                    try await loop.wait(watch, .read)
                    continue
                }
                var peer = SocketAddress()
                let fd = lab_accept(watch.fd, &peer.storage, &peer.length)
                if fd >= 0 {
                    if case .ip = local { lab_tune_tcp(fd) }
                    return try SocketStream(fd: fd, peer: peer.endpoint, loop: loop)
                }
                switch errno {
                case EAGAIN: watch.exhausted(.read)
                // The connection was there and has gone; the next one is not to blame.
                case EINTR, ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH, EPERM: continue
                // Out of descriptors or memory: the connection stays queued, and asking again at once would spin.
                case EMFILE, ENFILE, ENOBUFS, ENOMEM: try await loop.sleep(for: .milliseconds(100))
                case let code: throw SystemError("accept", "\(local)", errno: code)
                }
            }
        }
    }
}

/// A UDP socket of the kernel.
final class SocketDatagrams: DatagramSocket {
    let local: Endpoint
    private let family: Int32
    private let loop: EventLoop
    private let watch: Watch

    /// Must be called on the loop's thread. Closes `fd` when it fails.
    init(fd: Int32, local: Endpoint, loop: EventLoop) throws(SystemError) {
        self.local = local
        self.loop = loop
        family = local.family
        watch = Watch(fd: fd)
        do {
            try loop.add(watch)
        } catch {
            Glibc.close(fd)
            throw error
        }
    }

    deinit { close() }

    func close() { SocketStream.close(watch, loop) }

    func receive() async throws -> Datagram {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            while true {
                guard !watch.closed else { throw SystemError("receive", "\(local)", errno: ECONNABORTED) }
                guard watch.isReady(.read) else {
                    try await loop.wait(watch, .read)
                    continue
                }
                var peer = SocketAddress()
                let count = lab_receive_from(
                    watch.fd, loop.scratch.baseAddress, loop.scratch.count, &peer.storage, &peer.length)
                if count >= 0 {
                    guard let endpoint = peer.endpoint else { continue }
                    return Datagram(bytes: Array(loop.scratch[0..<count]), peer: endpoint)
                }
                switch errno {
                case EAGAIN: watch.exhausted(.read)
                // An earlier datagram was refused at its destination. That is no fault of this socket.
                case EINTR, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH: continue
                case let code: throw SystemError("receive", "\(local)", errno: code)
                }
            }
        }
    }

    func send(_ datagram: Datagram) async throws {
        try await loop.onLoop { [self] in
            try Task.checkCancellation()
            var peer = try SocketAddress(datagram.peer, family: family)
            while true {
                guard !watch.closed else { throw SystemError("send", "\(local)", errno: ECONNABORTED) }
                guard watch.isReady(.write) else {
                    try await loop.wait(watch, .write)
                    continue
                }
                let count = datagram.bytes.withUnsafeBytes {
                    lab_send_to(watch.fd, $0.baseAddress, $0.count, &peer.storage, peer.length)
                }
                if count >= 0 { return }
                switch errno {
                case EAGAIN: watch.exhausted(.write)
                case EINTR, ECONNREFUSED: continue
                case let code: throw SystemError("send", "\(datagram.peer)", errno: code)
                }
            }
        }
    }
}
