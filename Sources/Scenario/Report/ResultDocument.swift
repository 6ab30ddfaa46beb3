import Basics
import Document

/// A run's results as a document: what `--json` prints, what reports are made of, and what the next run reads.
extension SuiteResult {
    public var document: Document {
        var document: Document = [
            "apiVersion": "lab.dev/v1", "kind": "ConformanceResult", "begun": Document(begun.rfc3339()),
            "seconds": Self.seconds(duration), "passed": Document(results.count { $0.isPassed }),
            "failed": Document(failed.count), "stopped": Document(results.count { $0.outcome == .stopped }),
        ]
        if let seed { document["seed"] = Document("\(seed)") }
        document["flaky"] = Document(flaky)
        document["scenarios"] = Document(results.map(\.document))
        document["skipped"] = Document(
            skipped.map { ["id": Document($0.id), "name": Document($0.name), "reason": Document($0.reason)] })
        return document
    }

    static func seconds(_ duration: Duration) -> Document { Document(Double(duration.wholeMilliseconds) / 1000) }
}

extension ScenarioResult {
    /// `passed`, `failed` or `stopped`.
    public var word: String {
        switch outcome {
        case .passed: "passed"
        case .failed: "failed"
        case .stopped: "stopped"
        }
    }

    var document: Document {
        var document: Document = [
            "id": Document(id), "name": Document(name), "outcome": Document(word), "attempt": Document(attempt),
            "begin": SuiteResult.seconds(begin), "seconds": SuiteResult.seconds(duration), "tags": Document(tags),
            "behaviours": Document(behaviours),
        ]
        if case .failed(let step, let problems) = outcome {
            document["step"] = Document(step)
            document["problems"] = Document(problems)
        }
        document["steps"] = Document(
            steps.map {
                [
                    "label": Document($0.label), "begin": SuiteResult.seconds($0.begin),
                    "seconds": SuiteResult.seconds($0.duration), "passed": Document($0.isPassed),
                ]
            })
        if !evidence.isEmpty { document["evidence"] = Document(evidence) }
        if !timeline.isEmpty { document["timeline"] = Document(timeline.map(\.document)) }
        if !notes.isEmpty { document["notes"] = Document(notes) }
        return document
    }
}

extension TimelineEntry {
    var document: Document {
        var document: Document = [
            "number": Document(number), "at": SuiteResult.seconds(at), "kind": Document(kind.rawValue),
            "who": Document(who), "object": Document(object), "what": Document(what),
        ]
        if let cause { document["after"] = Document(cause) }
        return document
    }
}
