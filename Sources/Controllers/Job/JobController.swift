import Client
import Document
import Kinds
import Synchronization

struct JobController: Controller {
    let name = "job-controller"
    let workers = 5
    private let jobs: Informer
    private let pods: Informer
    private let memory = Memory()

    /// What is known of each job's failures, by key.
    private final class Memory: Sendable {
        struct Entry {
            var uid: String
            var backoff = JobBackoff()
        }
        let entries = Mutex<[String: Entry]>([:])
    }

    /// Marks the keys of pods whose job cannot let them go any more. No name contains a colon.
    private static let podPrefix = "pod:"

    init(_ informers: Informers) {
        jobs = informers(.jobs)
        pods = informers(.pods)
        pods.addIndex(PodIndex.controller, PodIndex.byController)
        jobs.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] {
        let (jobs, pods) = (jobs, pods)
        return [
            Source(jobs) { change in
                guard let job = change.new, !job.isFinishedJob else {
                    let held = change.old.map { pods.indexed(PodIndex.controller, $0.uid) } ?? []
                    return [change.key] + held.filter(\.isTrackedByJob).map { Self.podPrefix + ObjectKey.of($0) }
                }
                return [change.key]
            },
            Source(pods) { change in
                var keys: [String] = []
                for pod in [change.old, change.new].compactMap({ $0 }) { keys += Self.jobs(concernedBy: pod, jobs) }
                if let pod = change.new, pod.isTrackedByJob, pod.isTerminating || pod.controllerReference == nil {
                    keys.append(Self.podPrefix + change.key)
                }
                return keys
            },
        ]
    }

    private static func jobs(concernedBy pod: Document, _ jobs: Informer) -> [String] {
        if let owner = pod.controllerReference {
            guard owner.text("kind") == "Job" else { return [] }
            return [ObjectKey.make(namespace: pod.namespace, name: owner.text("name") ?? "")]
        }
        return adopters(of: pod, jobs).map { ObjectKey.of($0) }
    }

    private static func adopters(of pod: Document, _ jobs: Informer) -> [Document] {
        let labels = pod.labels
        return jobs.indexed("namespace", pod.namespace ?? "").filter {
            !$0.isFinishedJob && $0.selector?.matches(labels) ?? false
        }
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        if key.hasPrefix(Self.podPrefix) { return abandoned(String(key.dropFirst(Self.podPrefix.count))) }
        guard let job = jobs.get(key: key), !job.isFinishedJob, !job.isJobOfOthers else {
            memory.entries.withLock { $0[key] = nil }
            return .nothing
        }
        let candidates =
            pods.indexed(PodIndex.controller, job.uid)
            + pods.indexed(PodIndex.controller, PodIndex.orphans(in: job.namespace))
        var entry = memory.entries.withLock { $0[key] } ?? Memory.Entry(uid: job.uid)
        if entry.uid != job.uid { entry = Memory.Entry(uid: job.uid) }
        let plan = JobPlan.plan(job, pods: candidates, backoff: &entry.backoff, situation)
        memory.entries.withLock { $0[key] = entry }
        return plan
    }

    /// Lets go of a pod that no job counts any more.
    private func abandoned(_ key: String) -> Plan {
        guard let pod = pods.get(key: key), pod.isTrackedByJob else { return .nothing }
        if let owner = pod.controllerReference {
            guard owner.text("kind") == "Job", owner.text("apiVersion") == "batch/v1" else { return .nothing }
            let job = jobs.get(namespace: pod.namespace, name: owner.text("name") ?? "")
            if let job, job.uid == owner.text("uid"), job.isJobOfOthers || !job.isFinishedJob { return .nothing }
        } else if !pod.isTerminating, !Self.adopters(of: pod, jobs).isEmpty {
            return .nothing
        }
        var plan = Plan()
        plan.then(JobPlan.release(pod))
        return plan
    }
}

extension Document {
    fileprivate var isTrackedByJob: Bool { finalizers.contains(JobPod.finalizer) }
}
