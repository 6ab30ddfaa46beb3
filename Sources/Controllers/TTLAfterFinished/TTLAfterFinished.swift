import Basics
import Client
import Document

/// Deletes jobs that ended a while ago and were told to go then.
struct TTLAfterFinished: Controller {
    let name = "ttl-after-finished-controller"
    private let jobs: Informer

    init(_ informers: Informers) { jobs = informers(.jobs) }

    var sources: [Source] {
        [
            Source(jobs) { change in
                guard let job = change.new, job.number("spec", "ttlSecondsAfterFinished") != nil, job.isFinishedJob
                else { return [] }
                return [change.key]
            }
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        jobs.get(key: key).map { Self.plan($0, situation) } ?? .nothing
    }

    static func plan(_ job: Document, _ situation: Situation) -> Plan {
        guard let seconds = job.number("spec", "ttlSecondsAfterFinished"), !job.isTerminating,
            let end = job.jobEnd?.time("lastTransitionTime")
        else { return .nothing }
        var plan = Plan()
        let rest = end + .seconds(seconds) - situation.now
        if rest > .zero {
            plan.lookAgain(after: rest)
        } else {
            plan.then(.delete(.jobs, job, propagation: "Foreground"))
        }
        return plan
    }
}
