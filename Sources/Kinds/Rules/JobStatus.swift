import Basics
import Document
import Schema

/// What must hold for a change of a job's status, which other controllers than the built-in one may write too.
///
/// Most of it is demanded only where the fields concerned have changed: an old mistake must not hold up other changes.
struct JobStatus {
    private let new: Document
    private let old: Document
    private let status: Document
    private let before: Document
    private let spec: Document

    init(new: Document, old: Document) {
        self.new = new
        self.old = old
        status = new["status"] ?? .emptyObject
        before = old["status"] ?? .emptyObject
        spec = new["spec"] ?? .emptyObject
    }

    var errors: [FieldError] {
        counts() + terminated() + completion() + finish() + indexes() + readiness() + criteria() + transitions()
    }

    // MARK: What it is about

    private static func has(_ condition: String, _ status: Document) -> Bool {
        status.list("conditions").contains { $0.text("type") == condition && $0.text("status") == "True" }
    }

    private func has(_ condition: String) -> Bool { Self.has(condition, status) }
    private func had(_ condition: String) -> Bool { Self.has(condition, before) }
    private func turned(_ condition: String) -> Bool { has(condition) != had(condition) }

    private func changed(_ field: String) -> Bool {
        !Equality.semantic(status[field] ?? .null, before[field] ?? .null)
    }

    private var isFinished: Bool { has("Complete") || has("Failed") }
    private var finishTurned: Bool { isFinished != (had("Complete") || had("Failed")) }
    private var isIndexed: Bool { spec.text("completionMode") == "Indexed" }

    private func wrong(_ field: String, _ detail: String) -> FieldError { .wrong("status." + field, detail) }

    private func invalid(_ field: String, _ detail: String) -> FieldError {
        .invalid("status." + field, status[field], detail)
    }

    // MARK: The parts, in the order in which they are reported

    private func counts() -> [FieldError] {
        ["active", "succeeded", "failed", "ready", "terminating"].compactMap { field in
            guard let number = status.number(field), number < 0 else { return nil }
            return invalid(field, "must be greater than or equal to 0")
        }
    }

    private func terminated() -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for field in ["succeeded", "failed"] {
            for (index, uid) in status.list("uncountedTerminatedPods", field).enumerated() {
                let path = "status.uncountedTerminatedPods.\(field)[\(index)]"
                let text = uid.string ?? ""
                if text.isEmpty {
                    errors.append(.invalid(path, uid, "must not be empty"))
                } else if !seen.insert(text).inserted {
                    errors.append(.duplicate(path, uid))
                }
            }
        }
        return errors
    }

    private func completion() -> [FieldError] {
        var errors: [FieldError] = []
        let completeTurned = turned("Complete")
        if completeTurned || turned("Failed"), has("Complete"), has("Failed") {
            errors.append(wrong("conditions", "cannot set Complete=True and Failed=true conditions"))
        }
        if completeTurned || turned("FailureTarget"), has("Complete"), has("FailureTarget") {
            errors.append(wrong("conditions", "cannot set Complete=True and FailureTarget=true conditions"))
        }
        let time = status.time("completionTime")
        let timeChanged = changed("completionTime")
        if completeTurned || timeChanged {
            if time != nil, !has("Complete") {
                errors.append(
                    invalid(
                        "completionTime", "cannot set completionTime when there is no Complete=True condition"))
            }
            if time == nil, has("Complete") {
                errors.append(
                    .required("status.completionTime", "completionTime is required for Complete jobs"))
            }
        }
        if timeChanged || changed("startTime"), let time, let start = status.time("startTime"), time < start {
            errors.append(invalid("completionTime", "must be equal to or after `startTime`"))
        }
        if turned("Failed") || changed("failedIndexes"), has("Failed"), !has("FailureTarget") {
            errors.append(
                wrong("conditions", "cannot set Failed=True condition without the FailureTarget=true condition"))
        }
        if completeTurned || turned("SuccessCriteriaMet"), has("Complete"), !has("SuccessCriteriaMet") {
            errors.append(
                wrong(
                    "conditions", "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
        }
        return errors
    }

    private func finish() -> [FieldError] {
        guard isFinished else { return [] }
        var errors: [FieldError] = []
        if finishTurned || changed("active"), status.number("active") ?? 0 > 0 {
            errors.append(invalid("active", "active>0 is invalid for finished job"))
        }
        let isEmptyAndSuspended = spec.flag("suspend") == true && spec.number("completions") == 0
        if finishTurned || changed("startTime"), !isEmptyAndSuspended, status.time("startTime") == nil {
            errors.append(.required("status.startTime", "startTime is required for finished job"))
        }
        let uncounted =
            status.list("uncountedTerminatedPods", "failed").count
            + status.list("uncountedTerminatedPods", "succeeded").count
        if finishTurned || changed("uncountedTerminatedPods"), uncounted > 0 {
            errors.append(
                .invalid(
                    "status.uncountedTerminatedPods",
                    [
                        "Succeeded": status.at("uncountedTerminatedPods", "succeeded") ?? .null,
                        "Failed": status.at("uncountedTerminatedPods", "failed") ?? .null,
                    ], "uncountedTerminatedPods needs to be empty for finished job"))
        }
        return errors
    }

    private func indexes() -> [FieldError] {
        let completions = spec.number("completions")
        let completed = status.text("completedIndexes") ?? ""
        let failed = status.text("failedIndexes")
        let hasLimit = spec["backoffLimitPerIndex"] != nil
        let (completedChanged, failedChanged) = (changed("completedIndexes"), changed("failedIndexes"))
        var errors: [FieldError] = []
        if completedChanged, let completions,
            case .failure(let problem) = JobIndexes.parse(completed, completions: completions)
        {
            errors.append(invalid("completedIndexes", "error parsing completedIndexes: \(problem.text)"))
        }
        if failedChanged, let completions, hasLimit, let failed,
            case .failure(let problem) = JobIndexes.parse(failed, completions: completions)
        {
            errors.append(invalid("failedIndexes", "error parsing failedIndexes: \(problem.text)"))
        }
        if completedChanged, !completed.isEmpty, !isIndexed {
            errors.append(
                invalid("completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode"))
        }
        if failedChanged, failed != nil, !hasLimit {
            errors.append(
                invalid("failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
        }
        if failedChanged || completedChanged, let completions, let failed,
            let index = JobIndexes.overlap(completed, failed, completions: completions)
        {
            errors.append(
                invalid("failedIndexes", "failedIndexes and completedIndexes overlap at index: \(index)"))
        }
        return errors
    }

    private func readiness() -> [FieldError] {
        var errors: [FieldError] = []
        if finishTurned || changed("terminating"), isFinished, status.number("terminating") ?? 0 > 0 {
            errors.append(invalid("terminating", "terminating>0 is invalid for finished job"))
        }
        if changed("ready") || changed("active"), let ready = status.number("ready"),
            ready > status.number("active") ?? 0
        {
            errors.append(invalid("ready", "cannot set more ready pods than active"))
        }
        return errors
    }

    private func criteria() -> [FieldError] {
        var errors: [FieldError] = []
        if has("SuccessCriteriaMet") {
            for other in ["Failed", "FailureTarget"] where has(other) {
                errors.append(
                    wrong("conditions", "cannot set SuccessCriteriaMet=True and \(other)=true conditions"))
            }
        } else if spec["successPolicy"] != nil, has("Complete") {
            errors.append(
                wrong(
                    "conditions", "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"))
        }
        return errors
    }

    private func transitions() -> [FieldError] {
        var errors: [FieldError] = []
        for condition in ["Failed", "Complete", "FailureTarget"] where had(condition) && !has(condition) {
            errors.append(wrong("conditions", "cannot disable the terminal \(condition)=True condition"))
        }
        if status.number("failed") ?? 0 < before.number("failed") ?? 0 {
            errors.append(.invalid("status.failed", status["failed"] ?? 0, "cannot decrease the failed counter"))
        }
        // Jobs that shrink with their parallelism may lose indexes that had succeeded.
        let shrinks = isIndexed && spec.number("completions") == spec.number("parallelism")
        if !shrinks, status.number("succeeded") ?? 0 < before.number("succeeded") ?? 0 {
            errors.append(
                .invalid("status.succeeded", status["succeeded"] ?? 0, "cannot decrease the succeeded counter"))
        }
        if let time = status.time("completionTime"), let earlier = before.time("completionTime"), time != earlier {
            errors.append(invalid("completionTime", "field is immutable once set"))
        }
        if before.time("startTime") != nil, changed("startTime"), spec.flag("suspend") != true {
            errors.append(invalid("startTime", "field is immutable for unsuspended job once set"))
        }
        if had("SuccessCriteriaMet"), !has("SuccessCriteriaMet") {
            errors.append(wrong("conditions", "cannot disable the SuccessCriteriaMet=True condition"))
        }
        if had("Complete"), !had("SuccessCriteriaMet"), has("SuccessCriteriaMet") {
            errors.append(
                wrong(
                    "conditions",
                    "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"))
        }
        return errors
    }
}
