import Basics
import Document

enum ProbeKind: String, Sendable, CaseIterable, Hashable {
    case startup, liveness, readiness

    var member: String { "\(rawValue)Probe" }
    var title: String {
        switch self {
        case .startup: "Startup"
        case .liveness: "Liveness"
        case .readiness: "Readiness"
        }
    }
}

enum ProbeResult: Sendable, Equatable {
    case success
    /// A success that its owner should hear of.
    case warning(String)
    case failure(String)
}

/// One probe of one running process: when it is due and what its last answers add up to.
struct ProbeState: Sendable, Equatable {
    let period: Duration
    let successThreshold: Int
    let failureThreshold: Int
    var due: Timestamp
    var inFlight = false
    var successes = 0
    var failures = 0
    /// Nil until a threshold was reached for the first time. Liveness counts as passing until it fails.
    var verdict: Bool?

    /// `now` is the start of the process. One whose first bad answer can end the process lets it begin, for a second
    /// or a period: a program that does not listen yet is not ill.
    init(_ kind: ProbeKind, _ specification: Document, now: Timestamp) {
        period = .seconds(max(1, specification.number("periodSeconds") ?? 10))
        successThreshold = max(1, specification.number("successThreshold") ?? 1)
        failureThreshold = max(1, specification.number("failureThreshold") ?? 3)
        let mayEndTheProcess = kind == .liveness || (kind == .startup && failureThreshold == 1)
        let delay = Duration.seconds(specification.number("initialDelaySeconds") ?? 0)
        due = now + max(delay, mayEndTheProcess ? min(period, .seconds(1)) : .zero)
    }

    /// Counts one answer; true when the verdict changed.
    mutating func count(_ result: ProbeResult, now: Timestamp) -> Bool {
        inFlight = false
        due = now + period
        let before = verdict
        switch result {
        case .success, .warning:
            successes += 1
            failures = 0
            if successes >= successThreshold { verdict = true }
        case .failure:
            failures += 1
            successes = 0
            if failures >= failureThreshold { verdict = false }
        }
        return verdict != before
    }
}
