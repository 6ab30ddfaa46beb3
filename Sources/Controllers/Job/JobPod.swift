import Basics
import Document

/// A pod as its job looks at it.
struct JobPod: Sendable {
    /// Keeps a finished pod until the job has counted it.
    static let finalizer = "batch.kubernetes.io/job-tracking"
    static let indexKey = "batch.kubernetes.io/job-completion-index"
    static let failureCountKey = "batch.kubernetes.io/job-index-failure-count"
    static let ignoredFailureCountKey = "batch.kubernetes.io/job-index-ignored-failure-count"

    let document: Document
    let uid: String
    let phase: String
    let isTerminating: Bool
    /// The job has not counted the pod yet, or not let it go.
    let isTracked: Bool
    /// Nil where there is none that can be read.
    let index: Int?

    init(_ document: Document) {
        self.document = document
        uid = document.uid
        phase = document.phase
        isTerminating = document.isTerminating
        isTracked = document.finalizers.contains(Self.finalizer)
        index = document.annotations[Self.indexKey].flatMap { Int($0) }.flatMap { $0 < 0 ? nil : $0 }
    }

    var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
    var isActive: Bool { !isFinished && !isTerminating }
    var isOnItsWayOut: Bool { !isFinished && isTerminating }
    var hasSucceeded: Bool { phase == "Succeeded" }

    /// Counts as a failure. A pod that is being deleted never reaches its end where nobody runs it any more, so it
    /// counts at once, unless the job waits for it before it makes another.
    func hasFailed(waitingForTerminating waits: Bool) -> Bool {
        phase == "Failed" || (!waits && isTerminating && !hasSucceeded)
    }

    /// Failures of this index before this pod, and those that the failure policy ignored.
    var failureCount: Int { count(Self.failureCountKey) }
    var ignoredFailureCount: Int { count(Self.ignoredFailureCountKey) }

    private func count(_ key: String) -> Int {
        let value = document.annotations[key].flatMap { Int($0) } ?? 0
        return (0...Int(Int32.max)).contains(value) ? value : 0
    }

    /// When it ended, as well as can be told: by its containers, its readiness, or its deletion.
    var finished: Timestamp {
        let statuses = document.list("status", "containerStatuses")
        let ends = statuses.compactMap { $0.time("state", "terminated", "finishedAt") }
        if let last = ends.max(), ends.count == statuses.count { return last }
        if let ready = document.condition("Ready"), ready.text("status") == "False",
            let time = ready.time("lastTransitionTime")
        {
            return time
        }
        if let deletion = document.time("metadata", "deletionTimestamp") {
            return deletion + .seconds(-(document.number("metadata", "deletionGracePeriodSeconds") ?? 0))
        }
        return document.created
    }
}

/// How long a job waits before it replaces pods that failed: 10 s, doubled with each failure in a row, at most 10 min.
struct JobBackoff: Sendable, Equatable {
    private static let first = Duration.seconds(10)
    private static let longest = Duration.seconds(600)
    /// More failures in a row than these change nothing.
    private static let mostFailures = 8

    /// The end of each failed pod since the last success, by uid; the newest ones.
    private(set) var failures: [String: Timestamp] = [:]
    private(set) var lastSuccess: Timestamp?

    /// Takes note of `pods`; those that it knows change nothing.
    mutating func observe(_ pods: [JobPod], waitingForTerminating waits: Bool) {
        for pod in pods {
            if pod.hasSucceeded {
                lastSuccess = max(lastSuccess ?? pod.finished, pod.finished)
            } else if pod.hasFailed(waitingForTerminating: waits), pod.isTracked || !pod.isTerminating {
                // What the job itself takes away is let go first, and is no failure.
                failures[pod.uid] = pod.finished
            }
        }
        if let lastSuccess { failures = failures.filter { $0.value > lastSuccess } }
        if failures.count > Self.mostFailures {
            let newest = failures.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(Self.mostFailures)
            failures = Dictionary(uniqueKeysWithValues: newest.map { ($0.key, $0.value) })
        }
    }

    func remaining(at now: Timestamp) -> Duration {
        guard let last = failures.values.max() else { return .zero }
        return Self.remaining(failures: failures.count, last: last, now: now)
    }

    static func remaining(failures: Int, last: Timestamp, now: Timestamp) -> Duration {
        guard failures > 0 else { return .zero }
        let span = min(first * (1 << min(failures - 1, mostFailures)), longest)
        return max(.zero, span - (now - last))
    }
}
