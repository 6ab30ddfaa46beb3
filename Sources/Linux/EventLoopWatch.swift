import CLinux
import Glibc

/// A descriptor in a loop's epoll: at most one task waiting for each direction.
///
/// Readiness is edge-triggered: an edge says "try again", and the flag stays up until a call finds nothing.
/// Touched by the loop's thread alone, except `fd`.
final class Watch: @unchecked Sendable {
    enum Direction { case read, write }

    private struct Side {
        var ready = true
        var waiter: UnsafeContinuation<Void, any Error>?
        /// Counts waits, so that a cancellation that comes late does not hit a later wait.
        var ticket = 0
    }

    let fd: Int32
    var token: UInt64 = 0
    private var reading = Side()
    private var writing = Side()
    /// The other side has finished or is gone. From then on no further edge may come, so nothing waits.
    private var hungUp = false
    private(set) var closed = false

    init(fd: Int32) { self.fd = fd }

    func ready(_ flags: UInt32) {
        if flags & UInt32(LAB_EVENT_HANGUP) != 0 { hungUp = true }
        if flags & UInt32(LAB_EVENT_READ) != 0 { Self.wake(&reading) }
        if flags & UInt32(LAB_EVENT_WRITE) != 0 { Self.wake(&writing) }
    }

    private static func wake(_ side: inout Side) {
        side.ready = true
        let waiter = side.waiter
        side.waiter = nil
        waiter?.resume()
    }

    func isReady(_ direction: Direction) -> Bool { direction == .read ? reading.ready : writing.ready }

    /// A call found nothing more: the next one waits for an edge.
    func exhausted(_ direction: Direction) {
        if direction == .read { reading.ready = false } else { writing.ready = false }
    }

    /// A read came back shorter than asked. The kernel's buffer is empty then, unless the end has
    /// already been announced: its edge is spent, and only another read finds it.
    func short() { if !hungUp { reading.ready = false } }

    func markClosed(_ error: SystemError) {
        closed = true
        for direction in [Direction.read, .write] { fail(direction, with: error) }
    }

    private func fail(_ direction: Direction, with error: any Error) {
        let waiter = direction == .read ? reading.waiter : writing.waiter
        if direction == .read { reading.waiter = nil } else { writing.waiter = nil }
        waiter?.resume(throwing: error)
    }

    fileprivate func beginWait(_ direction: Direction) -> Int {
        if direction == .read {
            reading.ticket += 1
            return reading.ticket
        }
        writing.ticket += 1
        return writing.ticket
    }

    fileprivate func park(_ direction: Direction, _ continuation: UnsafeContinuation<Void, any Error>) {
        if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
        if closed { return continuation.resume(throwing: SystemError("wait", "descriptor", errno: EBADF)) }
        if isReady(direction) { return continuation.resume() }
        guard (direction == .read ? reading.waiter : writing.waiter) == nil else {
            return continuation.resume(throwing: SystemError("wait", "descriptor \(fd)", errno: EBUSY))
        }
        if direction == .read { reading.waiter = continuation } else { writing.waiter = continuation }
    }

    fileprivate func cancelWait(_ direction: Direction, _ ticket: Int) {
        guard ticket == (direction == .read ? reading.ticket : writing.ticket) else { return }
        fail(direction, with: CancellationError())
    }
}

extension EventLoop {
    /// Waits for an edge in one direction. Must be called on the loop's thread.
    func wait(_ watch: Watch, _ direction: Watch.Direction) async throws {
        let ticket = watch.beginWait(direction)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { watch.park(direction, $0) }
        } onCancel: {
            perform { watch.cancelWait(direction, ticket) }
        }
    }

    /// Runs `body` on the loop's thread, whichever executor the caller has.
    @inline(__always)
    func onLoop<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        if isCurrent { return try await body() }
        return try await withTaskExecutorPreference(self) { try await body() }
    }
}

/// Readiness of any descriptor that epoll takes: netlink sockets, pidfds, inotify, cgroup events.
/// The descriptor stays the caller's, who must close it only after `close`.
public final class Pollable: Sendable {
    private let loop: EventLoop
    private let watch: Watch

    public init(_ fd: Int32, loop: EventLoop) async throws {
        let watch = Watch(fd: fd)
        watch.exhausted(.read)
        watch.exhausted(.write)
        try await loop.onLoop { try loop.add(watch) }
        self.loop = loop
        self.watch = watch
    }

    deinit { close() }

    /// Returns at the next sign of input since the last call; one sign may cover several pieces of input,
    /// so read until EAGAIN before calling again.
    public func readable() async throws {
        try await loop.onLoop { [self] in
            try await loop.wait(watch, .read)
            watch.exhausted(.read)
        }
    }

    public func writable() async throws {
        try await loop.onLoop { [self] in
            try await loop.wait(watch, .write)
            watch.exhausted(.write)
        }
    }

    public func close() {
        loop.perform { [loop, watch] in
            loop.remove(watch)
            watch.markClosed(SystemError("wait", "descriptor", errno: ECANCELED))
        }
    }
}
