import Basics
import Client
import Document

/// What controllers ask about jobs.
extension Document {
    /// The condition that says that this job is over.
    var jobEnd: Document? {
        list("status", "conditions").first {
            ["Complete", "Failed"].contains($0.text("type") ?? "") && $0.text("status") == "True"
        }
    }
    var isFinishedJob: Bool { jobEnd != nil }
    var isCompleteJob: Bool { jobEnd?.text("type") == "Complete" }
    /// Somebody else looks after this job.
    var isJobOfOthers: Bool { text("spec", "managedBy").map { $0 != "kubernetes.io/job-controller" } ?? false }
}

/// A job and its pods, counted.
struct JobState: Sendable {
    let job: Document
    let pods: [JobPod]
    let active: [JobPod]
    let isIndexed: Bool
    let isSuspended: Bool
    let completions: Int?
    let parallelism: Int
    let backoffLimit: Int
    let backoffLimitPerIndex: Int?
    let failurePolicy: Document?
    /// A pod is replaced only when it has failed, not while it is going.
    let waitsForTerminating: Bool
    /// By uid, the pods that the status names as ended but does not count yet.
    let uncountedSucceeded: [String]
    let uncountedFailed: [String]
    private(set) var succeeded = 0
    private(set) var failed = 0
    private(set) var countedIndexes = CompletionIndexes()
    private(set) var succeededIndexes = CompletionIndexes()
    /// Nil where indexes have no limits of their own.
    private(set) var failedIndexes: CompletionIndexes?
    /// By index, the failed pod that stays until it is replaced, because its successor inherits its count of failures.
    private(set) var awaitingSuccessor: [Int: JobPod] = [:]

    init(_ job: Document, pods: [JobPod]) {
        self.job = job
        let spec = job["spec"] ?? .emptyObject
        isIndexed = spec.text("completionMode") == "Indexed"
        isSuspended = spec.flag("suspend") ?? false
        completions = spec.number("completions")
        parallelism = spec.number("parallelism") ?? 1
        backoffLimit = spec.number("backoffLimit") ?? 6
        backoffLimitPerIndex = isIndexed ? spec.number("backoffLimitPerIndex") : nil
        let policy = spec["podFailurePolicy"].flatMap { $0.isObject ? $0 : Optional.none }
        failurePolicy = policy
        waitsForTerminating = spec.text("podReplacementPolicy") == "Failed" || policy != nil
        uncountedSucceeded = job.list("status", "uncountedTerminatedPods", "succeeded").compactMap(\.string)
        uncountedFailed = job.list("status", "uncountedTerminatedPods", "failed").compactMap(\.string)
        // In the order of indexes, so that they are counted in order.
        self.pods = isIndexed ? pods.sorted { ($0.index ?? -1, $0.uid) < ($1.index ?? -1, $1.uid) } : pods
        active = self.pods.filter(\.isActive)
        count()
    }

    var terminating: Int { pods.count(where: \.isOnItsWayOut) }
    var ready: Int { active.count { $0.document.isReadyPod } }

    func hasFailed(_ pod: JobPod) -> Bool { pod.hasFailed(waitingForTerminating: waitsForTerminating) }
    func verdict(on pod: JobPod) -> PodFailureVerdict { PodFailureVerdict(failurePolicy, pod: pod.document) }

    /// Its index, where it is one of the job's.
    func index(of pod: JobPod) -> Int? { pod.index.flatMap { $0 < (completions ?? 0) ? $0 : Optional.none } }

    private mutating func count() {
        let new = pods.filter { $0.isTracked && (!isIndexed || index(of: $0) != nil) }
        let (knownSucceeded, knownFailed) = (Set(uncountedSucceeded), Set(uncountedFailed))
        let newlyFailed = new.filter { !knownFailed.contains($0.uid) && hasFailed($0) }
        failed =
            (job.number("status", "failed") ?? 0) + uncountedFailed.count
            + newlyFailed.count { verdict(on: $0).counts }
        guard isIndexed, let completions else {
            let newlySucceeded = new.count { $0.hasSucceeded && !knownSucceeded.contains($0.uid) }
            succeeded = (job.number("status", "succeeded") ?? 0) + uncountedSucceeded.count + newlySucceeded
            return
        }
        countedIndexes = CompletionIndexes(
            parsing: job.text("status", "completedIndexes") ?? "", completions: completions)
        succeededIndexes = countedIndexes.union(
            CompletionIndexes(new.filter(\.hasSucceeded).compactMap { index(of: $0) }))
        succeeded = succeededIndexes.count
        if let limit = backoffLimitPerIndex {
            let before = CompletionIndexes(
                parsing: job.text("status", "failedIndexes") ?? "", completions: completions)
            let failed = before.union(
                CompletionIndexes(new.filter { isIndexLost($0, limit) }.compactMap { index(of: $0) }))
            failedIndexes = failed
            awaitingSuccessor = successors(new, failed)
        }
    }

    /// The failure of this pod is its index's last.
    private func isIndexLost(_ pod: JobPod, _ limit: Int) -> Bool {
        guard hasFailed(pod) else { return false }
        let verdict = verdict(on: pod)
        return verdict.action == "FailIndex" || (verdict.counts && pod.failureCount >= limit)
    }

    private func successors(_ new: [JobPod], _ failedIndexes: CompletionIndexes) -> [Int: JobPod] {
        let running = Set(active.compactMap(\.index))
        var result: [Int: JobPod] = [:]
        for pod in new where hasFailed(pod) {
            guard let index = index(of: pod), !succeededIndexes.contains(index), !failedIndexes.contains(index),
                !running.contains(index)
            else { continue }
            func rank(_ pod: JobPod) -> (Int, Timestamp) {
                (pod.failureCount + pod.ignoredFailureCount, pod.finished)
            }
            if let other = result[index], rank(pod) < rank(other) { continue }
            result[index] = pod
        }
        return result
    }
}
