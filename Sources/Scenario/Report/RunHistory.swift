import Basics
import Document

/// How scenarios went in the runs before: which are flaky, and which failed the last time.
public struct RunHistory: Sendable, Equatable {
    public struct Run: Sendable, Equatable {
        public var begun: Timestamp
        /// By the scenario's id: how often it passed and failed.
        public var outcomes: [String: Outcome]
    }

    public struct Outcome: Sendable, Equatable {
        public var passed = 0
        public var failed = 0
    }

    static let mostRuns = 30

    /// The oldest first.
    public private(set) var runs: [Run] = []

    public init() {}

    /// What is not a history is an empty one: it is nothing that anybody wrote by hand.
    public init(_ document: Document) {
        runs = document.list("runs").compactMap { entry in
            guard let begun = entry.text("begun").flatMap({ Timestamp(rfc3339: $0) }) else { return nil }
            var outcomes: [String: Outcome] = [:]
            for member in entry["outcomes"]?.members ?? [] {
                outcomes[member.key] = Outcome(
                    passed: member.value.number("passed") ?? 0, failed: member.value.number("failed") ?? 0)
            }
            return Run(begun: begun, outcomes: outcomes)
        }
    }

    public var document: Document {
        let entries = runs.map { run -> Document in
            let outcomes = run.outcomes.keys.sorted().map { id -> (String, Document) in
                let outcome = run.outcomes[id] ?? Outcome()
                var entry = Document.emptyObject
                if outcome.passed > 0 { entry["passed"] = Document(outcome.passed) }
                if outcome.failed > 0 { entry["failed"] = Document(outcome.failed) }
                return (id, entry)
            }
            return ["begun": Document(run.begun.rfc3339()), "outcomes": Document(members: outcomes)]
        }
        return ["apiVersion": "lab.dev/v1", "kind": "ConformanceHistory", "runs": Document(entries)]
    }

    public mutating func add(_ result: SuiteResult) {
        var outcomes: [String: Outcome] = [:]
        for scenario in result.results where scenario.outcome != .stopped {
            if scenario.isPassed { outcomes[scenario.id, default: Outcome()].passed += 1 }
            if scenario.isFailed { outcomes[scenario.id, default: Outcome()].failed += 1 }
        }
        runs.append(Run(begun: result.begun, outcomes: outcomes))
        runs.removeFirst(max(0, runs.count - Self.mostRuns))
    }

    /// Whose last run failed.
    public var failedLast: Set<String> {
        var failed: Set<String> = []
        for run in runs {
            for (id, outcome) in run.outcomes {
                if outcome.failed > 0 { failed.insert(id) } else { failed.remove(id) }
            }
        }
        return failed
    }

    /// A word for each scenario file: how the last run went that had it; the worst of its cases.
    public var lastOutcomes: [String: String] {
        var words: [String: String] = [:]
        for run in runs {
            var ofRun: [String: String] = [:]
            for (id, outcome) in run.outcomes {
                let file = String(id.prefix { $0 != "[" })
                if outcome.failed > 0 || ofRun[file] == nil { ofRun[file] = outcome.failed > 0 ? "failed" : "passed" }
            }
            words.merge(ofRun) { $1 }
        }
        return words
    }

    /// Of one scenario, the oldest run first; nil for a run that did not have it.
    func outcomes(of id: String) -> [Outcome?] { runs.map { $0.outcomes[id] } }

    /// Passed in some runs and failed in others, by how often they failed.
    public var flaky: [(id: String, failed: Int, all: Int)] {
        let ids = Set(runs.flatMap { $0.outcomes.keys })
        return ids.compactMap { id -> (id: String, failed: Int, all: Int)? in
            let outcomes = runs.compactMap { $0.outcomes[id] }
            let failed = outcomes.reduce(0) { $0 + $1.failed }
            let passed = outcomes.reduce(0) { $0 + $1.passed }
            return failed > 0 && passed > 0 ? (id, failed, failed + passed) : nil
        }.sorted { ($1.failed, $0.id) < ($0.failed, $1.id) }
    }
}
