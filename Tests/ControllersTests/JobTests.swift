import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

private func job(_ spec: Document = [:], status: Document = [:]) -> Document {
    let base: Document = [
        "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
        "podReplacementPolicy": "TerminatingOrFailed", "selector": ["matchLabels": ["job": "j"]],
        "template": [
            "metadata": ["labels": ["job": "j"]],
            "spec": ["restartPolicy": "Never", "containers": [["name": "main", "image": "x"]]],
        ],
    ]
    return [
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": ["name": "j", "namespace": "default", "uid": "uid-j", "resourceVersion": "5"],
        "spec": base.applyingMergePatch(spec), "status": status,
    ]
}

private func pod(
    _ name: String, _ phase: String = "Running", index: Int? = nil, tracked: Bool = true, terminating: Bool = false,
    exit: Int? = nil, failures: Int? = nil, ended ago: Int = 1_000, condition: String? = nil
) -> Document {
    var pod: Document = [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": [
            "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "labels": ["job": "j"],
            "creationTimestamp": Document((now + .seconds(-2_000)).rfc3339()),
            "ownerReferences": [
                ["apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "uid-j", "controller": true]
            ],
        ],
        "spec": ["nodeName": "n"], "status": ["phase": Document(phase)],
    ]
    if tracked { pod.set(["batch.kubernetes.io/job-tracking"], at: "metadata", "finalizers") }
    if terminating { pod.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp") }
    if let index {
        pod.set(Document(String(index)), at: "metadata", "annotations", "batch.kubernetes.io/job-completion-index")
    }
    if let failures {
        pod.set(
            Document(String(failures)), at: "metadata", "annotations", "batch.kubernetes.io/job-index-failure-count")
    }
    let code = exit ?? (phase == "Failed" ? 1 : 0)
    if ["Succeeded", "Failed"].contains(phase) {
        let end = Document((now + .seconds(-ago)).rfc3339())
        pod.set(
            [["name": "main", "state": ["terminated": ["exitCode": Document(code), "finishedAt": end]]]],
            at: "status", "containerStatuses")
    }
    if let condition { pod.set([["type": Document(condition), "status": "True"]], at: "status", "conditions") }
    return pod
}

/// What a plan comes to, in a form that tests can name.
private struct Outcome {
    var created: [Document] = []
    var deleted: [String] = []
    var released: [String] = []
    var status: Document?
    var events: [String] = []
    var lookAgain: Duration?

    init(_ plan: Plan) {
        lookAgain = plan.lookAgain
        for action in plan.actions {
            switch action {
            case .create(_, let object, _): created.append(object)
            case .delete(_, let object, _, _, _): deleted.append(object.name)
            case .strategicPatch(_, _, let name, _, _): released.append(name)
            case .update(_, let object, _): status = object["status"]
            case .event(_, _, let reason, _): events.append(reason)
            default: break
            }
        }
    }

    func condition(_ type: String) -> Document? {
        status?.list("conditions").first { $0.text("type") == type && $0.text("status") == "True" }
    }
    func reason(_ type: String) -> String? { condition(type)?.text("reason") }
    var uncountedFailed: [String] { status?.list("uncountedTerminatedPods", "failed").compactMap(\.string) ?? [] }
    var uncountedSucceeded: [String] { status?.list("uncountedTerminatedPods", "succeeded").compactMap(\.string) ?? [] }
    var indexes: [String] { created.compactMap { $0.annotations["batch.kubernetes.io/job-completion-index"] } }
}

private func decide(_ job: Document, _ pods: [Document] = [], lastFailure: String? = nil) -> Outcome {
    var backoff = JobBackoff()
    return Outcome(JobPlan.plan(job, pods: pods, backoff: &backoff, Situation(now: now, lastFailure: lastFailure)))
}

private let started: Document = ["startTime": "2023-11-14T22:00:00Z", "uncountedTerminatedPods": [:]]

@Suite struct JobTests {
    @Test func startsItsPods() {
        let outcome = decide(job(["parallelism": 3, "completions": 5]))
        #expect(outcome.created.count == 3)
        #expect(outcome.created[0].text("metadata", "generateName") == "j-")
        #expect(outcome.created[0].finalizers == ["batch.kubernetes.io/job-tracking"])
        #expect(outcome.created[0].controllerUID == "uid-j")
        #expect(outcome.status?.number("active") == 3)
        #expect(outcome.status?.number("ready") == 0)
        #expect(outcome.status?.number("terminating") == 0)
        #expect(outcome.status?.text("startTime") == now.rfc3339())
    }

    /// Parallelism, completions, what succeeded before, pods that run, and how many must be made or removed.
    @Test(
        arguments: [
            (2, 5, 0, 2, 0), (2, 5, 4, 1, 0), (2, 5, 3, 0, 2), (2, 5, 4, 2, -1), (0, 5, 0, 2, -2), (3, nil, 0, 1, 2),
            (3, nil, 1, 1, 0), (600, 600, 0, 0, 500),
        ] as [(Int, Int?, Int, Int, Int)])
    func keepsAsManyAsAreNeeded(parallelism: Int, completions: Int?, succeeded: Int, running: Int, change: Int) {
        var status = started
        status["succeeded"] = Document(succeeded)
        var spec: Document = ["parallelism": Document(parallelism)]
        spec["completions"] = completions.map { Document($0) } ?? .null
        let outcome = decide(job(spec, status: status), (0..<running).map { pod("p\($0)") })
        #expect(outcome.created.count - outcome.deleted.count == change)
        // What the job itself takes away counts as nothing.
        #expect(outcome.released.count == outcome.deleted.count)
    }

    @Test func countsOnceThoughItTakesThreeSteps() throws {
        let subject = job(status: started)
        let first = decide(subject, [pod("a", "Succeeded")])
        #expect(first.uncountedSucceeded == ["uid-a"])
        #expect(first.released == ["a"])
        #expect(first.reason("SuccessCriteriaMet") == "CompletionsReached")
        #expect(first.condition("Complete") == nil)
        #expect(first.status?.number("succeeded") == nil)
        // The finalizer could not be removed: nothing is counted, and the removal tried again.
        var again = subject
        again["status"] = first.status ?? .null
        let second = decide(again, [pod("a", "Succeeded")], lastFailure: "no")
        #expect(second.released == ["a"])
        #expect(second.status == nil)
        // It was removed: now it counts, and the job is over.
        let third = decide(again, [pod("a", "Succeeded", tracked: false)])
        #expect(third.status?.number("succeeded") == 1)
        #expect(third.uncountedSucceeded == [])
        #expect(third.reason("Complete") == "CompletionsReached")
        #expect(third.status?.text("completionTime") == now.rfc3339())
        #expect(third.events == ["Completed"])
    }

    @Test func failsBeyondTheBackOffLimit() {
        let pods = (0..<3).map { pod("p\($0)", "Failed") } + [pod("running")]
        let outcome = decide(job(["backoffLimit": 2, "parallelism": 4, "completions": 4], status: started), pods)
        #expect(outcome.reason("FailureTarget") == "BackoffLimitExceeded")
        #expect(outcome.condition("Failed") == nil)
        #expect(outcome.deleted == ["running"])
        #expect(Set(outcome.uncountedFailed) == ["uid-p0", "uid-p1", "uid-p2", "uid-running"])
        #expect(outcome.status?.number("terminating") == 1)
    }

    @Test func declaresFailureWhenNothingRunsAnyMore() {
        let target: Document = [
            "type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded", "message": "why",
        ]
        var status = started
        status["conditions"] = [target]
        status["failed"] = 3
        let waiting = decide(job(status: status), [pod("a", tracked: false, terminating: true)])
        #expect(waiting.condition("Failed") == nil)
        #expect(waiting.status?.number("terminating") == 1)
        let over = decide(job(status: status), [])
        #expect(over.reason("Failed") == "BackoffLimitExceeded")
        #expect(over.condition("Failed")?.text("message") == "why")
        #expect(over.events == ["BackoffLimitExceeded"])
    }

    @Test func waitsLongerAfterEachFailure() {
        let subject = job(["completions": 2], status: started)
        let one = decide(subject, [pod("a", "Failed", ended: 4)])
        #expect(one.created.isEmpty)
        #expect(one.lookAgain == .seconds(6))
        let three = decide(subject, ["a", "b", "c"].map { pod($0, "Failed", ended: 4) })
        #expect(three.lookAgain == .seconds(36))
        #expect(decide(subject, [pod("a", "Failed", ended: 11)]).created.count == 1)
        let healed = [pod("a", "Failed", ended: 4), pod("b", "Succeeded", ended: 3)]
        #expect(decide(subject, healed).created.count == 1)
    }

    @Test func respectsTheDeadline() {
        let late = job(["activeDeadlineSeconds": 60], status: ["startTime": Document((now + .seconds(-60)).rfc3339())])
        let outcome = decide(late, [pod("a")])
        #expect(outcome.reason("FailureTarget") == "DeadlineExceeded")
        #expect(outcome.deleted == ["a"])
        let early = job(["activeDeadlineSeconds": 60], status: ["startTime": Document((now + .seconds(-20)).rfc3339())])
        #expect(decide(early, [pod("a")]).lookAgain == .seconds(40))
    }

    @Test func suspendsAndResumes() throws {
        let suspended = decide(job(["suspend": true], status: started), [pod("a")])
        #expect(suspended.deleted == ["a"])
        #expect(suspended.released == ["a"])
        #expect(suspended.reason("Suspended") == "JobSuspended")
        #expect(suspended.events == ["Suspended"])
        #expect(suspended.status?.text("startTime") == nil)
        #expect(suspended.uncountedFailed == [])
        let resumed = decide(job(status: suspended.status ?? .null))
        #expect(resumed.created.count == 1)
        #expect(resumed.events == ["Resumed"])
        #expect(resumed.status?.text("startTime") == now.rfc3339())
        #expect(resumed.condition("Suspended") == nil)
    }

    @Test func adoptsWithTheFinalizer() {
        var stray = pod("stray", tracked: false)
        stray.set(nil, at: "metadata", "ownerReferences")
        var lost = pod("lost")
        lost.set(["job": "other"], at: "metadata", "labels")
        var backoff = JobBackoff()
        let plan = JobPlan.plan(job(), pods: [stray, lost], backoff: &backoff, Situation(now: now))
        let patches = plan.actions.compactMap { if case .patch(_, _, _, let patch, _) = $0 { patch } else { nil } }
        #expect(patches.count == 2 && plan.actions.count == 2)
        #expect(patches[0].finalizers == ["batch.kubernetes.io/job-tracking"])
        #expect(patches[1].at("metadata", "finalizers")?.isNull == true)
    }

    @Test func replacesTerminatingPodsOnlyWhenTold() {
        let going = [pod("a", terminating: true)]
        let soon = decide(job(status: started), going)
        #expect(soon.uncountedFailed == ["uid-a"])
        let patient = decide(job(["podReplacementPolicy": "Failed"], status: started), going)
        #expect(patient.created.isEmpty)
        #expect(patient.uncountedFailed == [])
        #expect(patient.status?.number("terminating") == 1)
    }

    // MARK: Failure policy

    /// The rule's action, the pod, whether it counts, and whether the job fails.
    @Test(
        arguments: [
            ("Ignore", ["onExitCodes": ["operator": "In", "values": [42]]], 42, false, false),
            ("Ignore", ["onExitCodes": ["operator": "In", "values": [41]]], 42, true, false),
            ("Count", ["onExitCodes": ["operator": "NotIn", "values": [41]]], 42, true, false),
            ("FailJob", ["onExitCodes": ["containerName": "main", "operator": "In", "values": [42]]], 42, true, true),
            (
                "FailJob", ["onExitCodes": ["containerName": "other", "operator": "In", "values": [42]]], 42, true,
                false
            ),
            ("Ignore", ["onPodConditions": [["type": "DisruptionTarget", "status": "True"]]], 42, false, false),
        ] as [(String, Document, Int, Bool, Bool)])
    func followsTheFailurePolicy(action: String, rule: Document, exit: Int, counts: Bool, fails: Bool) {
        var rule = rule
        rule["action"] = Document(action)
        let subject = job(["podFailurePolicy": ["rules": [rule]]], status: started)
        let outcome = decide(subject, [pod("a", "Failed", exit: exit, condition: "DisruptionTarget")])
        #expect(outcome.uncountedFailed == (counts ? ["uid-a"] : []))
        #expect(outcome.released == ["a"])
        #expect((outcome.reason("FailureTarget") == "PodFailurePolicy") == fails)
        if fails {
            #expect(
                outcome.condition("FailureTarget")?.text("message")
                    == "Container main for pod default/a failed with exit code 42 matching FailJob rule at index 0")
        }
    }

    // MARK: Indexes

    private let indexed: Document = ["completionMode": "Indexed", "completions": 4, "parallelism": 2]

    @Test func givesEachPodItsIndex() {
        let outcome = decide(job(indexed, status: started), [pod("a", "Succeeded", index: 0), pod("b", index: 1)])
        #expect(outcome.indexes == ["2"])
        let made = outcome.created[0]
        #expect(made.labels["batch.kubernetes.io/job-completion-index"] == "2")
        #expect(made.text("spec", "hostname") == "j-2")
        #expect(made.text("metadata", "generateName") == "j-2-")
        let variable = made.list("spec", "containers")[0].list("env").first
        #expect(variable?.text("name") == "JOB_COMPLETION_INDEX")
        #expect(
            variable?.text("valueFrom", "fieldRef", "fieldPath")
                == "metadata.labels['batch.kubernetes.io/job-completion-index']")
        #expect(outcome.status?.text("completedIndexes") == "0")
        #expect(outcome.status?.number("succeeded") == 1)
    }

    @Test func removesPodsWithoutAPlace() {
        let pods = [pod("a", index: 1), pod("b", index: 1), pod("c", index: 9), pod("d")]
        #expect(Set(decide(job(indexed, status: started), pods).deleted).isSuperset(of: ["c", "d"]))
        #expect(decide(job(indexed, status: started), pods).deleted.count == 3)
    }

    @Test func countsFailuresOfEachIndex() {
        let spec = indexed.applyingMergePatch(["backoffLimitPerIndex": 1, "backoffLimit": 2_147_483_647])
        // The first failure stays until its successor is there, which inherits the count.
        let first = decide(job(spec, status: started), [pod("a", "Failed", index: 0, failures: 0), pod("b", index: 1)])
        #expect(first.released == [])
        #expect(first.indexes == ["0"])
        #expect(first.created.first?.annotations["batch.kubernetes.io/job-index-failure-count"] == "1")
        // It is too early for that.
        let early = decide(job(spec, status: started), [pod("a", "Failed", index: 0, failures: 0, ended: 3)])
        #expect(early.indexes == ["1"])
        #expect(early.lookAgain == .seconds(7))
        // The second one is the last.
        let second = decide(
            job(spec, status: started), [pod("a", "Failed", index: 0, failures: 1), pod("b", index: 1)])
        #expect(second.status?.text("failedIndexes") == "0")
        #expect(second.released == ["a"])
        #expect(second.indexes == ["2"])
    }

    @Test func failsForItsIndexes() {
        let spec = indexed.applyingMergePatch(["backoffLimitPerIndex": 0, "completions": 2, "parallelism": 2])
        let pods = [pod("a", "Failed", index: 0), pod("b", "Succeeded", index: 1)]
        #expect(decide(job(spec, status: started), pods).reason("FailureTarget") == "FailedIndexes")
        let strict = spec.applyingMergePatch(["maxFailedIndexes": 0, "completions": 4])
        #expect(decide(job(strict, status: started), pods).reason("FailureTarget") == "MaxFailedIndexesExceeded")
        let policy = spec.applyingMergePatch([
            "backoffLimitPerIndex": 5, "completions": 4,
            "podFailurePolicy": [
                "rules": [["action": "FailIndex", "onExitCodes": ["operator": "In", "values": [1]]]]
            ],
        ])
        #expect(decide(job(policy, status: started), pods).status?.text("failedIndexes") == "0")
    }

    @Test(
        arguments: [
            (["succeededIndexes": "0,2"], [0], false), (["succeededIndexes": "0,2"], [0, 2], true),
            (["succeededIndexes": "0-3", "succeededCount": 2], [1, 3], true), (["succeededCount": 2], [1], false),
            (["succeededCount": 2], [1, 3], true),
        ] as [(Document, [Int], Bool)])
    func succeedsByPolicy(rule: Document, succeeded: [Int], isMet: Bool) {
        let spec = indexed.applyingMergePatch(["successPolicy": ["rules": [rule]], "parallelism": 4])
        let pods = succeeded.map { pod("s\($0)", "Succeeded", index: $0) } + [pod("running", index: 0)]
        let outcome = decide(job(spec, status: started), succeeded.contains(0) ? Array(pods.dropLast()) : pods)
        #expect((outcome.reason("SuccessCriteriaMet") == "SuccessPolicy") == isMet)
        if isMet, !succeeded.contains(0) {
            #expect(outcome.deleted == ["running"])
            #expect(outcome.uncountedFailed == [])
        }
    }

    @Test func indexesAreWrittenInIntervals() {
        let set = CompletionIndexes([0, 1, 2, 4, 6, 7, 9])
        #expect(set.description == "0-2,4,6,7,9")
        #expect(CompletionIndexes(parsing: "0-2,4,6,7,9", completions: 8).description == "0-2,4,6,7")
        #expect(set.count == 7 && set.contains(7) && !set.contains(3) && !set.contains(10))
        #expect(set.firstMissing(3, below: 12) == [3, 5, 8])
        #expect(set.firstMissing(9, below: 11) == [3, 5, 8, 10])
        #expect(set.union(CompletionIndexes([3, 5])).description == "0-7,9")
        #expect(set.overlap(with: CompletionIndexes(parsing: "2-6", completions: 99)) == 3)
    }

    @Test func goesWhenItsTimeIsUp() {
        let end: Document = [
            "conditions": [["type": "Failed", "status": "True", "lastTransitionTime": "2023-11-14T22:13:00Z"]]
        ]
        let waiting = TTLAfterFinished.plan(job(["ttlSecondsAfterFinished": 30], status: end), Situation(now: now))
        #expect(waiting.actions.isEmpty && waiting.lookAgain == .seconds(10))
        let due = TTLAfterFinished.plan(job(["ttlSecondsAfterFinished": 20], status: end), Situation(now: now))
        #expect(Outcome(due).deleted == ["j"])
    }
}
