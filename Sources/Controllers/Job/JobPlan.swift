import Basics
import Client
import Document
import Kinds

/// Runs a job's pods until enough of them have succeeded or too many have failed.
///
/// A pod is counted exactly once, although the job's status and the pod are two objects: first its uid goes into
/// `uncountedTerminatedPods`, then the pod loses the finalizer that holds it, and when no tracked pod has that uid any
/// more, it leaves the list and the counter grows. A crash between any two of these repeats only what is harmless.
struct JobPlan {
    /// No more pods than these are made or deleted in one round.
    static let burst = 500
    /// No more pods than these are named in the status.
    static let mostUncounted = 500

    private let state: JobState
    private let backoff: JobBackoff
    private let situation: Situation
    /// Actions of this round are taken for done unless the last round failed; then the status tells what is.
    private let isHopeful: Bool
    private var plan = Plan()
    private var management: [Step] = []
    private var status: Document
    private var active: Int
    private var ready: Int
    private var terminating: Int
    private var events: [Action] = []

    /// How the job ends.
    private struct Verdict {
        var isSuccess: Bool
        var reason: String
        var message: String
    }

    /// - Parameter pods: those of the namespace that the job owns or might adopt.
    static func plan(
        _ job: Document, pods: [Document], backoff: inout JobBackoff, _ situation: Situation
    ) -> Plan {
        guard let selector = job.selector else { return .nothing }
        let claim = Claim(
            pods, of: .pods, for: job, owner: JobPodTemplate.owner(job), selector: selector,
            finalizer: JobPod.finalizer)
        if !claim.actions.isEmpty {
            var plan = Plan()
            plan.then(claim.actions)
            return plan
        }
        let state = JobState(job, pods: claim.owned.map { JobPod($0) })
        backoff.observe(state.pods, waitingForTerminating: state.waitsForTerminating)
        var plan = JobPlan(state, backoff, situation)
        plan.decide()
        return plan.plan
    }

    private init(_ state: JobState, _ backoff: JobBackoff, _ situation: Situation) {
        self.state = state
        self.backoff = backoff
        self.situation = situation
        isHopeful = situation.lastFailure == nil
        status = state.job["status"] ?? .emptyObject
        active = state.active.count
        ready = state.ready
        terminating = state.terminating
    }

    private var job: Document { state.job }
    private var time: Document { Document(situation.now.rfc3339()) }

    private mutating func decide() {
        if status.text("startTime") == nil, !state.isSuspended { status["startTime"] = time }
        var verdict = recordedVerdict() ?? failure() ?? fulfilledPolicy()
        if verdict != nil {
            remove(state.active, keepingTracked: true)
            // Not over while a pod may still run.
            if !isHopeful, !state.active.isEmpty { verdict = nil }
        } else {
            if !job.isTerminating { manage() }
            let wanted = state.completions ?? 1
            if state.succeeded >= wanted, active == 0 {
                verdict = Verdict(
                    isSuccess: true, reason: "CompletionsReached",
                    message: "Reached expected number of succeeded pods")
            } else if !job.isTerminating {
                reportSuspension()
            }
        }
        track(verdict)
    }

    // MARK: The end

    private func recordedVerdict() -> Verdict? {
        for (type, isSuccess) in [("SuccessCriteriaMet", true), ("FailureTarget", false)] {
            guard let condition = job.condition(type), condition.text("status") == "True" else { continue }
            return Verdict(
                isSuccess: isSuccess, reason: condition.text("reason") ?? "", message: condition.text("message") ?? "")
        }
        return nil
    }

    private mutating func failure() -> Verdict? {
        func failed(_ reason: String, _ message: String) -> Verdict {
            Verdict(isSuccess: false, reason: reason, message: message)
        }
        if state.failurePolicy != nil {
            for pod in state.pods where state.hasFailed(pod) {
                if let message = state.verdict(on: pod).jobFailure { return failed("PodFailurePolicy", message) }
            }
        }
        if state.failed > state.backoffLimit || hasRestartedTooOften {
            return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        }
        if let limit = job.number("spec", "activeDeadlineSeconds"), !state.isSuspended,
            let start = status.time("startTime")
        {
            let rest = start + .seconds(limit) - situation.now
            if rest <= .zero { return failed("DeadlineExceeded", "Job was active longer than specified deadline") }
            plan.lookAgain(after: rest)
        }
        guard let lost = state.failedIndexes, let completions = state.completions else { return nil }
        if let most = job.number("spec", "maxFailedIndexes"), lost.count > most {
            return failed(
                "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
        }
        if !lost.isEmpty, lost.count + state.succeededIndexes.count >= completions {
            return failed("FailedIndexes", "Job has failed indexes")
        }
        return nil
    }

    /// Containers that are restarted in place count their restarts themselves.
    private var hasRestartedTooOften: Bool {
        guard job.text("spec", "template", "spec", "restartPolicy") == "OnFailure" else { return false }
        let restarts = state.pods.filter { ["Running", "Pending"].contains($0.phase) }.reduce(0) { sum, pod in
            let statuses =
                pod.document.list("status", "initContainerStatuses") + pod.document.list("status", "containerStatuses")
            return sum + statuses.reduce(0) { $0 + ($1.number("restartCount") ?? 0) }
        }
        return state.backoffLimit == 0 ? restarts > 0 : restarts >= state.backoffLimit
    }

    private func fulfilledPolicy() -> Verdict? {
        guard state.isIndexed, let completions = state.completions,
            let rule = SuccessPolicy.fulfilled(
                job.at("spec", "successPolicy"), completions: completions, succeeded: state.succeededIndexes)
        else { return nil }
        return Verdict(isSuccess: true, reason: "SuccessPolicy", message: "Matched rules at index \(rule)")
    }

    // MARK: Pods

    private mutating func manage() {
        if state.isSuspended { return remove(state.active) }
        let wanted: Int
        if let completions = state.completions {
            wanted = max(0, min(completions - state.succeeded, state.parallelism))
        } else {
            // One success is the sign for all to come to an end.
            wanted = state.succeeded > 0 ? active : state.parallelism
        }
        let surplus = surplus(max(0, active - wanted))
        if !surplus.isEmpty { return remove(Array(surplus.prefix(Self.burst))) }
        let missing = wanted - active - (state.waitsForTerminating ? terminating : 0)
        if missing > 0 { create(min(missing, Self.burst)) }
    }

    /// The pods that must go: of an index all but one, all without a valid index, and so many others that at least
    /// `count` go.
    private func surplus(_ count: Int) -> [JobPod] {
        let order = DeletionOrder(neighbours: [:], now: situation.now)
        func sorted(_ pods: [JobPod]) -> [JobPod] { order.sort(pods.map(\.document)).map { JobPod($0) } }
        var going: [JobPod] = []
        var staying = state.active
        if state.isIndexed {
            staying = []
            let groups = Dictionary(grouping: state.active) { state.index(of: $0) ?? -1 }
            for (index, pods) in groups.sorted(by: { $0.key < $1.key }) {
                let sorted = pods.count > 1 ? sorted(pods) : pods
                going += index < 0 ? sorted[...] : sorted.dropLast()
                if index >= 0 { staying += sorted.suffix(1) }
            }
        }
        if going.count < count { going += sorted(staying).prefix(count - going.count) }
        return going
    }

    /// Deletes pods. Unless they are kept tracked they are let go first, and so count as nothing.
    private mutating func remove(_ pods: [JobPod], keepingTracked: Bool = false) {
        if pods.isEmpty { return }
        let tracked = keepingTracked ? [] : pods.filter(\.isTracked)
        if !tracked.isEmpty { management.append(.together(tracked.map { Self.release($0.document) })) }
        management.append(.together(pods.map { .delete(.pods, $0.document, owner: job) }))
        if isHopeful {
            active -= pods.count
            terminating += pods.count
            ready -= pods.count { $0.document.isReadyPod }
        }
    }

    private mutating func create(_ count: Int) {
        let template = JobPodTemplate(job, isIndexed: state.isIndexed)
        let hasLimits = state.backoffLimitPerIndex != nil
        let wait = hasLimits ? .zero : backoff.remaining(at: situation.now)
        if wait > .zero { return plan.lookAgain(after: wait) }
        var pods: [Document] = []
        if state.isIndexed {
            for index in pendingIndexes(count) {
                let predecessor = state.awaitingSuccessor[index]
                if let predecessor {
                    let failures = predecessor.failureCount + predecessor.ignoredFailureCount + 1
                    let wait = JobBackoff.remaining(
                        failures: failures, last: predecessor.finished, now: situation.now)
                    if wait > .zero {
                        plan.lookAgain(after: wait)
                        continue
                    }
                }
                pods.append(
                    template.pod(
                        index: index, replacing: predecessor, countsFailures: hasLimits, policy: state.failurePolicy))
            }
        } else {
            pods = template.pods(count)
        }
        if pods.isEmpty { return }
        management.append(.slowStart(pods.map { .create(.pods, $0, owner: job) }))
        if isHopeful { active += pods.count }
    }

    private func pendingIndexes(_ count: Int) -> [Int] {
        var taken = state.active
        if state.waitsForTerminating { taken += state.pods.filter(\.isOnItsWayOut) }
        var settled = state.succeededIndexes.union(CompletionIndexes(taken.compactMap(\.index)))
        if let lost = state.failedIndexes { settled = settled.union(lost) }
        return settled.firstMissing(count, below: state.completions ?? 0)
    }

    /// Lets a pod go: from here on it may vanish.
    static func release(_ pod: Document) -> Action {
        .strategicPatch(
            .pods, namespace: pod.namespace, name: pod.name,
            [
                "metadata": [
                    "uid": Document(pod.uid), "$deleteFromPrimitiveList/finalizers": [Document(JobPod.finalizer)],
                ]
            ])
    }

    // MARK: Status

    private mutating func reportSuspension() {
        if state.isSuspended {
            if setCondition("Suspended", "True", "JobSuspended", "Job suspended") {
                // A job has its deadline for each time that it runs.
                status["startTime"] = .none
                events.append(.event(job, .normal, reason: "Suspended", message: "Job suspended"))
            }
        } else if job.condition("Suspended") != nil, setCondition("Suspended", "False", "JobResumed", "Job resumed") {
            events.append(.event(job, .normal, reason: "Resumed", message: "Job resumed"))
        }
    }

    /// Answers whether that changed anything.
    private mutating func setCondition(_ type: String, _ value: String, _ reason: String, _ message: String) -> Bool {
        var conditions = status.list("conditions")
        var condition: Document = [
            "type": Document(type), "status": Document(value), "lastProbeTime": time, "lastTransitionTime": time,
        ]
        if !reason.isEmpty { condition["reason"] = Document(reason) }
        if !message.isEmpty { condition["message"] = Document(message) }
        if let index = conditions.firstIndex(where: { $0.text("type") == type }) {
            let old = conditions[index]
            if old.text("status") == value, (old.text("reason") ?? "") == reason,
                (old.text("message") ?? "") == message
            {
                return false
            }
            conditions[index] = condition
        } else {
            conditions.append(condition)
        }
        status["conditions"] = Document(conditions)
        return true
    }

    /// Counts what has ended, lets go of it, and ends the job once nothing is left to count.
    private mutating func track(_ verdict: Verdict?) {
        let tracked = Set(state.pods.filter(\.isTracked).map(\.uid))
        var succeeded = state.uncountedSucceeded.filter(tracked.contains)
        var failed = state.uncountedFailed.filter(tracked.contains)
        set("failed", (job.number("status", "failed") ?? 0) + state.uncountedFailed.count - failed.count)
        set(
            "succeeded",
            state.isIndexed
                ? state.succeeded
                : (job.number("status", "succeeded") ?? 0) + state.uncountedSucceeded.count - succeeded.count)
        let knownFailed = Set(failed)
        let knownSucceeded = Set(succeeded)
        var going: [JobPod] = []
        var newIndexes: Set<Int> = []
        var isFull = false
        for pod in state.pods where pod.isTracked {
            let hasFailed = state.hasFailed(pod)
            guard mayGo(pod, hasFailed, verdict) else { continue }
            going.append(pod)
            if pod.hasSucceeded, !knownFailed.contains(pod.uid) {
                if !state.isIndexed {
                    if !knownSucceeded.contains(pod.uid) { succeeded.append(pod.uid) }
                } else if let index = state.index(of: pod), !state.countedIndexes.contains(index) {
                    newIndexes.insert(index)
                }
            } else if hasFailed || verdict?.isSuccess == false {
                // What still runs when a job fails counts as failed.
                let isIts = !state.isIndexed || state.index(of: pod) != nil
                if isIts, !knownFailed.contains(pod.uid), state.verdict(on: pod).counts { failed.append(pod.uid) }
            }
            if newIndexes.count + succeeded.count + failed.count >= Self.mostUncounted {
                isFull = true
                break
            }
        }
        var uncounted = Document.emptyObject
        if !succeeded.isEmpty { uncounted["succeeded"] = Document(succeeded) }
        if !failed.isEmpty { uncounted["failed"] = Document(failed) }
        status["uncountedTerminatedPods"] = uncounted
        reportCounts()
        let isSettled = going.isEmpty && succeeded.isEmpty && failed.isEmpty && !isFull && terminating == 0
        if let verdict { report(verdict, isFinal: isSettled) }
        assemble(releasing: going)
    }

    private func mayGo(_ pod: JobPod, _ hasFailed: Bool, _ verdict: Verdict?) -> Bool {
        if job.isTerminating || verdict != nil || pod.hasSucceeded { return true }
        guard hasFailed else { return false }
        return pod.index.flatMap { state.awaitingSuccessor[$0]?.uid } != pod.uid
    }

    private mutating func set(_ field: String, _ count: Int) { status[field] = count == 0 ? .none : Document(count) }

    private mutating func reportCounts() {
        set("active", active)
        status["ready"] = Document(ready)
        status["terminating"] = Document(terminating)
        guard state.isIndexed else { return }
        status["completedIndexes"] =
            state.succeededIndexes.isEmpty ? .none : Document(state.succeededIndexes.description)
        if let lost = state.failedIndexes { status["failedIndexes"] = Document(lost.description) }
    }

    /// The end is announced before any pod is let go, and declared when all are.
    private mutating func report(_ verdict: Verdict, isFinal: Bool) {
        _ = setCondition(
            verdict.isSuccess ? "SuccessCriteriaMet" : "FailureTarget", "True", verdict.reason, verdict.message)
        guard isFinal else { return }
        _ = setCondition(verdict.isSuccess ? "Complete" : "Failed", "True", verdict.reason, verdict.message)
        guard verdict.isSuccess else {
            return events.append(.event(job, .warning, reason: verdict.reason, message: verdict.message))
        }
        status["completionTime"] = time
        if let completions = state.completions, (status.number("succeeded") ?? 0) > completions {
            events.append(
                .event(
                    job, .warning, reason: "TooManySucceededPods",
                    message: "Too many succeeded pods running after completion count reached"))
        }
        events.append(.event(job, .normal, reason: "Completed", message: "Job completed"))
    }

    private mutating func assemble(releasing going: [JobPod]) {
        var tracking: [Step] = []
        if !status.isSame(as: job["status"] ?? .emptyObject) {
            var reported = job
            reported["status"] = status
            tracking.append(.inOrder([.update(.jobs, reported, subresource: "status")] + events))
        }
        if !going.isEmpty { tracking.append(.together(going.map { Self.release($0.document) })) }
        // After a failure what is certain comes first, so that what fails again does not hold it up.
        plan.steps = isHopeful ? management + tracking : tracking + management
    }
}
