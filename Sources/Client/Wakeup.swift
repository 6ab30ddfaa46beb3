import Basics
import Synchronization

/// Lets tasks wait for a change of state that some lock guards, without ever missing one.
///
/// Protocol: take a `ticket`, look at the state, and if it is not what you want, `wait(since: ticket)`.
/// A `wake()` between the two makes the wait return at once. Waiters resume in the order in which they came.
public final class Wakeup: Sendable {
    private struct State {
        var generation: UInt64 = 0
        var nextID: UInt64 = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Void, any Error>)] = []
        /// Waits whose cancellation came before they were registered.
        var cancelledEarly: Set<UInt64> = []
    }

    private let state = Mutex(State())

    public init() {}

    public var ticket: UInt64 { state.withLock { $0.generation } }

    public func wake() {
        let waiters = state.withLock { state in
            state.generation += 1
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    /// Returns after the first `wake()` since `ticket` was taken; throws `CancellationError` when cancelled.
    public func wait(since ticket: UInt64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { state.withLock { _ = $0.cancelledEarly.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enum Answer { case wait, go, cancelled }
                let answer: Answer = state.withLock { state in
                    if state.cancelledEarly.contains(id) { return .cancelled }
                    if state.generation != ticket { return .go }
                    state.waiters.append((id, continuation))
                    return .wait
                }
                switch answer {
                case .wait: break
                case .go: continuation.resume()
                case .cancelled: continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            let continuation = state.withLock { state -> CheckedContinuation<Void, any Error>? in
                if let index = state.waiters.firstIndex(where: { $0.id == id }) {
                    return state.waiters.remove(at: index).continuation
                }
                state.cancelledEarly.insert(id)
                return nil
            }
            continuation?.resume(throwing: CancellationError())
        }
    }

    /// As `wait(since:)`, but also returns after `limit`.
    public func wait(since ticket: UInt64, atMost limit: Duration?, clock: any WorldClock) async throws {
        guard let limit else { return try await wait(since: ticket) }
        guard limit > .zero else { return try Task.checkCancellation() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.wait(since: ticket) }
            group.addTask { try await clock.sleep(for: limit) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
