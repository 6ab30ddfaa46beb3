import Basics

/// What became of one scenario.
public struct ScenarioResult: Sendable {
    public enum Outcome: Sendable, Equatable {
        case passed
        /// The step, and what is wrong.
        case failed(step: String, problems: [String])
        /// Ended early because somebody stopped the run.
        case stopped
    }

    public var id: String
    public var name: String
    public var outcome: Outcome
    public var duration: Duration
    /// When it began, since the run did.
    public var begin: Duration = .zero
    /// Which repetition of it, from 1 on.
    public var attempt = 1
    public var tags: [String] = []
    public var behaviours: [String] = []
    /// Every step that was begun.
    public var steps: [StepRecord] = []
    /// After a failure: events and logs of the namespace, a line each.
    public var evidence: [String] = []
    /// After a failure: what happened in the namespace, by whom, in order.
    public var timeline: [TimelineEntry] = []
    /// What could not be cleaned up.
    public var notes: [String] = []

    public var isPassed: Bool { outcome == .passed }
    public var isFailed: Bool { if case .failed = outcome { true } else { false } }
}

/// One step as it went.
public struct StepRecord: Sendable, Equatable {
    public var label: String
    /// Since the scenario's begin.
    public var begin: Duration
    public var duration: Duration
    public var isPassed: Bool
}

/// One thing that happened in a scenario's namespace.
public struct TimelineEntry: Sendable, Equatable {
    public enum Kind: String, Sendable { case created, changed, deleted, event }

    public var number: Int
    /// Since the scenario's begin, in whole seconds of the cluster's clock.
    public var at: Duration
    public var kind: Kind
    /// Who did it: a field manager, or an event's source.
    public var who: String
    /// What it was done to, such as `Pod/web-1`.
    public var object: String
    public var what: [String]
    /// The number of the entry that this one answers.
    public var cause: Int?

    /// `+3s #12 scheduler changed Pod/web-1 (after #9): spec.nodeName: nothing → "worker"`.
    public var text: String {
        let verb = kind == .event ? "tells of" : kind.rawValue
        let after = cause.map { " (after #\($0))" } ?? ""
        let what = what.isEmpty ? "" : ": " + what.joined(separator: "; ")
        return "+\(at.components.seconds)s #\(number) \(who) \(verb) \(object)\(after)\(what)"
    }
}

public struct SuiteResult: Sendable {
    /// In the order in which they were planned.
    public var results: [ScenarioResult]
    /// Those that were left out or never begun.
    public var skipped: [Skipped]
    public var duration: Duration
    /// When the run began.
    public var begun = Timestamp(seconds: 0)
    /// What fixed the order.
    public var seed: UInt64?

    public var isPassed: Bool { results.allSatisfy(\.isPassed) && !results.isEmpty }
    public var failed: [ScenarioResult] { results.filter(\.isFailed) }

    /// Scenarios that both passed and failed in this run.
    public var flaky: [String] {
        let passed = Set(results.filter(\.isPassed).map(\.id))
        return Set(failed.map(\.id)).filter(passed.contains).sorted()
    }

    /// One line for the end of a report.
    public var summary: String {
        let passed = results.count { $0.isPassed }
        let stopped = results.count - passed - failed.count
        var text = "\(passed) passed, \(failed.count) failed"
        if stopped > 0 { text += ", \(stopped) stopped" }
        if !skipped.isEmpty { text += ", \(skipped.count) skipped" }
        if !flaky.isEmpty { text += ", \(flaky.count) flaky" }
        return text
    }
}
