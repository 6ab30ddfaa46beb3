import Synchronization

/// Lets one task at a time through, in the order in which they came: for writes to a connection that several tasks share.
///
/// A turn that fails may have left half of a message behind, so it is the last.
/// Bounded by the tasks of one connection, each of which waits for one turn at most.
final class Turns: Sendable {
    private struct State {
        var isTaken = false
        var isBroken = false
        var waiters: [(id: UInt64, continuation: UnsafeContinuation<Void, any Error>)] = []
        var nextID: UInt64 = 0
    }

    private let state = Mutex(State())

    func run<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        try await take()
        defer { leave() }
        if state.withLock({ $0.isBroken }) { throw Broken() }
        do { return try await body() } catch {
            state.withLock { $0.isBroken = true }
            throw error
        }
    }

    struct Broken: Error, CustomStringConvertible {
        var description: String { "an earlier write to the connection failed" }
    }

    private func take() async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                let answer: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    guard state.isTaken else {
                        state.isTaken = true
                        return .success(())
                    }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    private func leave() {
        let next = state.withLock { state -> UnsafeContinuation<Void, any Error>? in
            if !state.waiters.isEmpty { return state.waiters.removeFirst().continuation }
            state.isTaken = false
            return nil
        }
        next?.resume()
    }
}
