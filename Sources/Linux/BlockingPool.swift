import Basics
import Glibc
import Synchronization

/// Threads for calls that block: disk writes, `fsync`, decompression, waiting for a child in an old kernel.
///
/// At most `threads` run at once; at most `queued` calls wait for one, and what comes on top is refused.
/// A thread that has found nothing to do for some seconds goes away.
public final class BlockingPool: Sendable {
    public struct Full: Error, CustomStringConvertible {
        public let limit: Int
        public var description: String { "\(limit) blocking calls are waiting for a thread already" }
    }

    private let shared: Shared

    public init(threads: Int = 4, queued: Int = 16_384) {
        shared = Shared(limit: max(1, threads), queueLimit: queued)
    }

    deinit { shared.close() }

    /// Runs `body` on one of the pool's threads. A call that has begun cannot be cancelled;
    /// one that still waits is skipped when its task is cancelled.
    public func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        let cancelled = Atomic(false)
        return try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                do {
                    try shared.submit {
                        if cancelled.load(ordering: .relaxed) {
                            return continuation.resume(throwing: CancellationError())
                        }
                        continuation.resume(with: Result { try body() })
                    }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            cancelled.store(true, ordering: .relaxed)
        }
    }
}

/// The queue and its threads, kept alive by the threads themselves.
private final class Shared: @unchecked Sendable {
    private let limit: Int
    private let queueLimit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    // Guarded by `mutex`.
    private var queue: [@Sendable () -> Void] = []
    private var head = 0
    private var threads = 0
    private var idle = 0
    private var closed = false

    private static let idleSeconds = 5

    init(limit: Int, queueLimit: Int) {
        self.limit = limit
        self.queueLimit = queueLimit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func submit(_ body: @escaping @Sendable () -> Void) throws {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let waiting = queue.count - head
        guard waiting < queueLimit else { throw BlockingPool.Full(limit: queueLimit) }
        if waiting >= idle, threads < limit {
            do {
                try Threads.start("blocking") { self.work() }
                threads += 1
            } catch {
                // With one thread left the call is served, only later.
                if threads == 0 { throw error }
            }
        }
        queue.append(body)
        pthread_cond_signal(condition)
    }

    func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    private func work() {
        pthread_mutex_lock(mutex)
        while let body = next() {
            pthread_mutex_unlock(mutex)
            body()
            pthread_mutex_lock(mutex)
        }
        threads -= 1
        pthread_mutex_unlock(mutex)
    }

    /// The next call, or nil when this thread shall end. Called with the mutex held.
    private func next() -> (@Sendable () -> Void)? {
        while head == queue.count {
            if closed { return nil }
            var deadline = timespec()
            clock_gettime(CLOCK_REALTIME, &deadline)
            deadline.tv_sec += Self.idleSeconds
            idle += 1
            let code = pthread_cond_timedwait(condition, mutex, &deadline)
            idle -= 1
            if code == ETIMEDOUT, head == queue.count { return nil }
        }
        let body = queue[head]
        head += 1
        if head == queue.count || head > 1024 {
            queue.removeFirst(head)
            head = 0
        }
        return body
    }
}
