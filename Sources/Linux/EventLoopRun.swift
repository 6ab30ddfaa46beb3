import CLinux
import Glibc
import Synchronization

/// What the root task came to.
private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)

    func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }

    func take() throws -> Value {
        guard let result = result.withLock({ $0 }) else { throw CancellationError() }
        return try result.get()
    }
}

extension EventLoop {
    /// A program's life: makes a loop on the calling thread, runs `body` as its root task, and returns when it is done.
    ///
    /// To be called from a synchronous `main`, which starts five times faster than an `async` one.
    /// This is the one place that makes a task outside a task group: somewhere the first one has to come from.
    public static func run<Value: Sendable>(
        _ body: @escaping @Sendable (EventLoop) async throws -> Value
    ) throws -> Value {
        let loop = try EventLoop()
        let outcome = Outcome<Value>()
        Task(executorPreference: loop) {
            do { outcome.set(.success(try await body(loop))) } catch { outcome.set(.failure(error)) }
            loop.stop()
        }
        loop.spin()
        return try outcome.take()
    }

    /// Runs `body` on a loop with a thread of its own and comes back to the caller's executor: for tests,
    /// and for work that shall not share its thread.
    public static func runOnThread<Value: Sendable>(
        _ body: @escaping @Sendable (EventLoop) async throws -> Value
    ) async throws -> Value {
        let loop = try EventLoop()
        try Threads.start("loop") { loop.spin() }
        defer { loop.stop() }
        return try await withTaskExecutorPreference(loop) { try await body(loop) }
    }
}

/// Signals as events. They are blocked in the thread that makes the source, and in every thread that this thread
/// starts later, so make it before other threads exist.
public final class SignalSource: Sendable {
    private let signals: [Int32]
    private let fd: Int32
    private let pollable: Pollable

    public init(_ signals: [Int32], loop: EventLoop) async throws {
        self.signals = signals
        (fd, pollable) = try await loop.onLoop {
            let fd = lab_signal_open(signals, signals.count)
            guard fd >= 0 else { throw SystemError("signalfd", errno: errno) }
            do {
                return (fd, try await Pollable(fd, loop: loop))
            } catch {
                Glibc.close(fd)
                throw error
            }
        }
    }

    deinit {
        pollable.close()
        Glibc.close(fd)
    }

    /// The next signal that arrives.
    public func next() async throws -> Int32 {
        while true {
            let signal = lab_signal_read(fd)
            if signal > 0 { return signal }
            guard errno == EAGAIN || errno == EINTR else { throw SystemError("read", "signalfd", errno: errno) }
            try await pollable.readable()
        }
    }
}

extension EventLoop {
    /// Waits for one of `signals` and says which came.
    public func signals(_ signals: Int32...) async throws -> Int32 {
        try await SignalSource(signals, loop: self).next()
    }
}

/// Plain threads, for the few things that need one.
enum Threads {
    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a detached thread with a small stack.
    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        let start = Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { raw in
                if let raw { Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body() }
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw SystemError("pthread_create", name, errno: code)
        }
    }
}
