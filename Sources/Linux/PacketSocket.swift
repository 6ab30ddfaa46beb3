import CLinux
import Glibc

/// Sees every frame that passes a link, in both directions, and changes none.
public final class PacketSocket: Sendable {
    public static let mostBytes = 65_535

    private let descriptor: Int32
    private let pollable: Pollable

    public init(linkIndex: Int32, in namespace: NetworkNamespace?, loop: EventLoop) async throws {
        let open = { net_open_packets(linkIndex) }
        let opened = try namespace?.run(open) ?? open()
        guard opened >= 0 else { throw SystemError("open packet socket", "link \(linkIndex)", errno: -opened) }
        descriptor = opened
        do { pollable = try await Pollable(opened, loop: loop) } catch {
            close(opened)
            throw error
        }
    }

    deinit {
        pollable.close()
        close(descriptor)
    }

    /// The next frame, whole.
    public func next() async throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Self.mostBytes)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count >= 0 { return Array(buffer.prefix(count)) }
            guard errno == EAGAIN || errno == EINTR else { throw SystemError("read packet", errno: errno) }
            try await pollable.readable()
        }
    }
}
