import Client
import Synchronization

/// What a scenario made outside its namespace, to be removed in the opposite order.
final class OutsideObjects: Sendable {
    struct Entry: Sendable {
        var type: ResourceType
        var namespace: String?
        var name: String
    }

    private let entries = Mutex<[Entry]>([])

    func add(_ type: ResourceType, namespace: String?, name: String) {
        entries.withLock { $0.append(Entry(type: type, namespace: namespace, name: name)) }
    }

    var newestFirst: [Entry] { entries.withLock { $0.reversed() } }
}

/// Asks running scenarios to end early. Unlike a task's cancellation it leaves them able to clean up.
public final class StopSignal: Sendable {
    private struct State {
        var isStopped = false
        var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
        var next = 0
    }

    private let state = Mutex(State())

    public init() {}

    public var isStopped: Bool { state.withLock { $0.isStopped } }

    public func stop() {
        let waiters = state.withLock { state in
            state.isStopped = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Returns when somebody stops, or when the task is cancelled.
    func wait() async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if state.isStopped || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
