import Kinds
import Synchronization

/// Through it go all that create objects of a definition. A definition that is about to go closes it, and its objects
/// are removed when everybody who was inside has left: nothing can be written behind the back of the removal.
///
/// It belongs to the definition's name, not to one state of its spec: whoever began under the spec before is inside too.
final class CreationGate: Sendable {
    private struct State {
        var isClosed = false
        var inside = 0
        var waiting: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    /// False while it is closed. Whoever gets in leaves.
    func enter() -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.inside += 1
            return true
        }
    }

    func leave() {
        let waiting = state.withLock { state -> [AsyncStream<Void>.Continuation] in
            state.inside -= 1
            guard state.inside == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.finish() }
    }

    func set(closed: Bool) { state.withLock { $0.isClosed = closed } }

    /// Returns when nobody is inside.
    func emptied() async throws {
        let (left, continuation) = AsyncStream<Void>.makeStream()
        let isEmpty = state.withLock { state in
            if state.inside > 0 { state.waiting.append(continuation) }
            return state.inside == 0
        }
        if isEmpty { return }
        for await _ in left {}
        try Task.checkCancellation()
    }
}
