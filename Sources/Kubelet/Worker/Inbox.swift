import Client
import Document
import Synchronization

/// What has happened to a pod since its worker last looked.
///
/// Bounded by what it holds: the newest version of the pod, the newest status of each process, and the answers
/// to actions, of which each is given at most once.
final class Inbox: Sendable {
    private struct State {
        var desired: Document?
        var answers: [PodInput] = []
        var processes: [String: ObservedProcess] = [:]
        var needsRefresh = false
    }

    struct Contents: Sendable {
        var inputs: [PodInput] = []
        /// An object that one of the pod's volumes shows has changed.
        var needsRefresh = false
    }

    private let state = Mutex(State())
    let arrival = Wakeup()

    func update(_ pod: Document) {
        state.withLock { $0.desired = pod }
        arrival.wake()
    }

    func answer(_ input: PodInput) {
        state.withLock { $0.answers.append(input) }
        arrival.wake()
    }

    func observe(_ processes: [ObservedProcess]) {
        state.withLock { state in
            for process in processes { state.processes[process.status.id] = process }
        }
        arrival.wake()
    }

    func refresh() {
        state.withLock { $0.needsRefresh = true }
        arrival.wake()
    }

    /// Answers come before what was observed: an exit follows the start that it belongs to.
    func take() -> Contents {
        state.withLock { state in
            var contents = Contents(needsRefresh: state.needsRefresh)
            if let desired = state.desired { contents.inputs.append(.desired(desired)) }
            contents.inputs += state.answers
            if !state.processes.isEmpty {
                contents.inputs.append(.processes(state.processes.values.sorted { $0.status.id < $1.status.id }))
            }
            state = State()
            return contents
        }
    }
}
