import Basics
import Client
import Document
import Synchronization

struct CronJobController: Controller {
    let name = "cronjob-controller"
    let workers = 5
    private let cronJobs: Informer
    private let jobs: Informer
    private let memory = Memory()

    /// The schedule under which each cron job was last looked at, and when that one came, if it was not the first.
    private final class Memory: Sendable {
        struct Entry: Sendable {
            var uid: String
            var schedule: String
            var zone: String?
            var changed: Timestamp?
        }
        let entries = Mutex<[String: Entry]>([:])
    }

    init(_ informers: Informers) {
        cronJobs = informers(.cronJobs)
        jobs = informers(.jobs)
        jobs.addIndex("controller") { $0.controllerUID.map { [$0] } ?? [] }
    }

    var sources: [Source] {
        [
            Source(cronJobs),
            Source(jobs) { change in
                [change.old, change.new].compactMap { $0?.controllerReference }
                    .filter { $0.text("kind") == "CronJob" }
                    .map { owner in
                        let (namespace, _) = ObjectKey.split(change.key)
                        return ObjectKey.make(namespace: namespace, name: owner.text("name") ?? "")
                    }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let cronJob = cronJobs.get(key: key) else {
            memory.entries.withLock { $0[key] = nil }
            return .nothing
        }
        let changed = noteSchedule(of: cronJob, key, situation.now)
        return CronJobPlan.plan(
            cronJob, jobs: jobs.indexed("controller", cronJob.uid),
            existing: { jobs.get(namespace: cronJob.namespace, name: $0) }, changed: changed, situation)
    }

    /// A new schedule is for the time from now on: under it no earlier time was missed.
    private func noteSchedule(of cronJob: Document, _ key: String, _ now: Timestamp) -> Timestamp? {
        let schedule = cronJob.text("spec", "schedule") ?? ""
        let zone = cronJob.text("spec", "timeZone")
        return memory.entries.withLock { entries in
            var entry = Memory.Entry(uid: cronJob.uid, schedule: schedule, zone: zone)
            if let known = entries[key], known.uid == cronJob.uid {
                let isSame = known.schedule == schedule && known.zone == zone
                entry.changed = isSame ? known.changed : now
            }
            entries[key] = entry
            return entry.changed
        }
    }
}
