import Glibc

/// Runs blocking calls beside the cooperative threads: one thread per call, gone with it.
/// Calls are rare (a container's start, a status batch), so there is no pool to bound or to tune.
enum Blocking {
    private final class Job: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job = Job { continuation.resume(with: Result { try body() }) }
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            defer { pthread_attr_destroy(&attributes) }
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            pthread_attr_setstacksize(&attributes, 256 << 10)
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(job)
            let result = pthread_create(
                &thread, &attributes,
                { raw in
                    if let raw { Unmanaged<Job>.fromOpaque(raw).takeRetainedValue().body() }
                    return nil
                }, argument.toOpaque())
            if result != 0 {
                argument.release()
                continuation.resume(throwing: StageError(step: "thread", object: "", errno: result, detail: ""))
            }
        }
    }
}
