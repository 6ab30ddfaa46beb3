import Basics
import Synchronization

/// What a scenario has done so far: readable at any time, also when its steps do not end.
final class StepLog: Sendable {
    private struct State {
        var records: [StepRecord] = []
        var current: (label: String, begin: Duration)?
        var variables: Variables?
        var revision: String?
    }

    private let begun: Duration
    private let clock: any WorldClock
    let wallBegin: Timestamp
    private let state = Mutex(State())

    init(begun: Duration, clock: any WorldClock) {
        self.begun = begun
        self.clock = clock
        wallBegin = clock.now
    }

    /// Every step that was begun; one that has not ended has failed so far.
    var records: [StepRecord] {
        let now = clock.uptime
        return state.withLock { state in
            guard let current = state.current else { return state.records }
            return state.records + [record(current, now, false)]
        }
    }

    var current: String? { state.withLock { $0.current?.label } }

    /// Variables as the last step left them.
    var variables: Variables? {
        get { state.withLock { $0.variables } }
        set { state.withLock { $0.variables = newValue } }
    }

    /// The cluster's revision when the namespace was made.
    var revision: String? {
        get { state.withLock { $0.revision } }
        set { state.withLock { $0.revision = newValue } }
    }

    func begin(_ label: String) {
        let now = clock.uptime
        state.withLock { state in
            if let current = state.current { state.records.append(record(current, now, false)) }
            state.current = (label, now)
        }
    }

    func end(passed: Bool) {
        let now = clock.uptime
        state.withLock { state in
            guard let current = state.current else { return }
            state.records.append(record(current, now, passed))
            state.current = nil
        }
    }

    /// Ends the step that was under way; answers its label.
    func fail() -> String {
        let label = current ?? "the scenario"
        end(passed: false)
        return label
    }

    private func record(_ step: (label: String, begin: Duration), _ now: Duration, _ isPassed: Bool) -> StepRecord {
        StepRecord(label: step.label, begin: step.begin - begun, duration: now - step.begin, isPassed: isPassed)
    }
}
