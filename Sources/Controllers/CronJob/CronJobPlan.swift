import Basics
import Client
import Document

/// Makes a job for each time of a cron job's schedule, and keeps account of the jobs.
struct CronJobPlan {
    static let stampKey = "batch.kubernetes.io/cronjob-scheduled-timestamp"
    /// Wakes a little late rather than a little early.
    private static let slack = Duration.milliseconds(100)
    private static let manyMissed: Int64 = 100

    private let cronJob: Document
    private let jobs: [Document]
    private let now: Timestamp
    private var status: Document
    private var active: [Document]
    private var plan = Plan()
    private var creation: [Action] = []

    /// - Parameters:
    ///   - jobs: those that the cron job owns.
    ///   - existing: finds any job of the namespace by its name.
    ///   - changed: when the schedule was last seen to change; it says nothing about the time before.
    static func plan(
        _ cronJob: Document, jobs: [Document], existing: (String) -> Document?, changed: Timestamp?,
        _ situation: Situation
    ) -> Plan {
        var plan = CronJobPlan(cronJob, jobs, situation.now)
        plan.removeHistory()
        plan.account()
        plan.schedule(existing, changed, situation.lastFailure)
        plan.report()
        return plan.plan
    }

    private init(_ cronJob: Document, _ jobs: [Document], _ now: Timestamp) {
        self.cronJob = cronJob
        self.jobs = jobs
        self.now = now
        status = cronJob["status"] ?? .emptyObject
        active = status.list("active")
    }

    private mutating func tell(_ reason: String, _ message: String, isWarning: Bool = false) {
        plan.then(.event(cronJob, isWarning ? .warning : .normal, reason: reason, message: message))
    }

    // MARK: Jobs that are there

    private mutating func removeHistory() {
        for (field, isComplete) in [("successfulJobsHistoryLimit", true), ("failedJobsHistoryLimit", false)] {
            guard let limit = cronJob.number("spec", field) else { continue }
            let over = jobs.filter { $0.isFinishedJob && $0.isCompleteJob == isComplete }.sorted { a, b in
                let (first, second) = (a.time("status", "startTime"), b.time("status", "startTime"))
                if first == second { return a.name < b.name }
                // What never started comes last.
                guard let second else { return true }
                return first.map { $0 < second } ?? false
            }
            for job in over.prefix(max(0, over.count - limit)) where !job.isTerminating { remove(job) }
        }
    }

    private mutating func remove(_ job: Document) {
        plan.then(
            .delete(.jobs, job, propagation: "Background"),
            .event(cronJob, .normal, reason: "SuccessfulDelete", message: "Deleted job \(job.name)"))
        active.removeAll { $0.text("uid") == job.uid }
    }

    /// Brings the status up to what the jobs tell.
    private mutating func account() {
        let known = Set(jobs.map(\.uid))
        for job in jobs {
            let isListed = active.contains { $0.text("uid") == job.uid }
            let stamp = stamp(of: job)
            if let stamp, stamp > status.time("lastScheduleTime") ?? Timestamp(seconds: 0) {
                status["lastScheduleTime"] = Document(stamp.rfc3339())
            }
            if isListed, job.isFinishedJob {
                active.removeAll { $0.text("uid") == job.uid }
                tell(
                    "SawCompletedJob",
                    "Saw completed job: \(job.name), status: \(job.jobEnd?.text("type") ?? "")")
            } else if !isListed, !job.isFinishedJob {
                // A job that carries our stamp was made by an earlier round, which ended before it could list it.
                if stamp != nil {
                    active.append(Self.reference(to: job))
                } else {
                    tell(
                        "UnexpectedJob", "Saw a job that the controller did not create or forgot: \(job.name)",
                        isWarning: true)
                }
            }
            if job.isCompleteJob, let end = job.time("status", "completionTime"),
                end > status.time("lastSuccessfulTime") ?? Timestamp(seconds: 0)
            {
                status["lastSuccessfulTime"] = Document(end.rfc3339())
            }
        }
        for reference in active where !known.contains(reference.text("uid") ?? "") {
            tell("MissingJob", "Active job went missing: \(reference.text("name") ?? "")")
        }
        active.removeAll { !known.contains($0.text("uid") ?? "") }
    }

    /// The time for which this controller made the job.
    private func stamp(of job: Document) -> Timestamp? {
        guard let text = job.annotations[Self.stampKey], let time = Timestamp(rfc3339: text),
            job.name == name(for: time)
        else { return nil }
        return time
    }

    private static func reference(to job: Document) -> Document {
        var reference: Document = ["kind": "Job", "apiVersion": "batch/v1"]
        for field in ["namespace", "name", "uid", "resourceVersion"] { reference[field] = job.at("metadata", field) }
        return reference
    }

    /// One name for each minute, so that no minute gets two jobs.
    private func name(for time: Timestamp) -> String { "\(cronJob.name)-\(time.seconds / 60)" }

    // MARK: The next job

    private mutating func schedule(
        _ existing: (String) -> Document?, _ changed: Timestamp?, _ lastFailure: String?
    ) {
        if cronJob.isTerminating { return }
        let zoneName = cronJob.text("spec", "timeZone")
        guard let spoken = LocalZone(named: zoneName ?? "") else {
            let quoted = Document(zoneName ?? "").jsonText
            return tell(
                "UnknownTimeZone", "invalid timeZone: \(quoted): unknown time zone \(zoneName ?? "")",
                isWarning: true)
        }
        if cronJob.flag("spec", "suspend") == true { return }
        let text = cronJob.text("spec", "schedule") ?? ""
        let schedule: CronSchedule
        do { schedule = try CronSchedule(text) } catch {
            return tell(
                "UnparseableSchedule", "unparseable schedule: \(Document(text).jsonText) : \(error)", isWarning: true)
        }
        if schedule.zone != nil {
            tell(
                "UnsupportedSchedule",
                "CRON_TZ or TZ used in schedule \(Document(text).jsonText) is not officially supported, see "
                    + "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
                isWarning: true)
        }
        let zone = schedule.zone.flatMap { LocalZone(named: $0) } ?? spoken
        let begin = status.time("lastScheduleTime") ?? cronJob.created
        guard schedule.next(after: begin.seconds, in: zone) != nil else {
            return tell(
                "InvalidSchedule",
                "invalid schedule: \(text) : time difference between two schedules is less than 1 second",
                isWarning: true)
        }
        let latest = schedule.latest(after: begin.seconds, notAfter: now.seconds, in: zone)
        if let due = schedule.next(after: latest ?? begin.seconds, in: zone) {
            plan.lookAgain(after: max(.zero, Timestamp(seconds: due) - now) + Self.slack)
        }
        // What is too late to start counts neither as due nor as missed.
        let deadline = cronJob.number("spec", "startingDeadlineSeconds")
        let earliest = deadline.map { max(begin, now + .seconds(-$0)) } ?? begin
        guard let latest, latest > earliest.seconds else { return }
        let time = Timestamp(seconds: latest)
        if let changed, time <= changed { return }
        warnOfMisses(since: earliest.seconds, schedule, zone)
        makeJob(for: time, zone: zoneName == nil ? .utc : spoken, existing, lastFailure)
    }

    private mutating func warnOfMisses(since earliest: Int64, _ schedule: CronSchedule, _ zone: LocalZone) {
        guard let first = schedule.next(after: earliest, in: zone), let second = schedule.next(after: first, in: zone),
            (now.seconds - first) / (second - first) + 1 > Self.manyMissed
        else { return }
        tell(
            "TooManyMissedTimes",
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
            isWarning: true)
    }

    private mutating func makeJob(
        for time: Timestamp, zone: LocalZone, _ existing: (String) -> Document?, _ lastFailure: String?
    ) {
        let name = name(for: time)
        if active.contains(where: { $0.text("name") == name }) || status.time("lastScheduleTime") == time { return }
        // Whose it ever is, this time has its job.
        if existing(name) != nil { return }
        let policy = cronJob.text("spec", "concurrencyPolicy")
        if policy == "Forbid", !active.isEmpty {
            return tell(
                "JobAlreadyActive",
                "Not starting job because prior execution is running and concurrency policy is Forbid")
        }
        if policy == "Replace" {
            let going = Set(active.compactMap { $0.text("uid") })
            for job in jobs where going.contains(job.uid) { remove(job) }
        }
        if let lastFailure {
            creation.append(
                .event(
                    cronJob, .warning, reason: "FailedCreate", message: "Error creating job: \(lastFailure)"))
        }
        creation += [
            .create(.jobs, job(name, time, zone)),
            .event(cronJob, .normal, reason: "SuccessfulCreate", message: "Created job \(name)"),
        ]
    }

    private func job(_ name: String, _ time: Timestamp, _ zone: LocalZone) -> Document {
        let template = cronJob.at("spec", "jobTemplate") ?? .emptyObject
        var metadata: Document = ["name": Document(name)]
        metadata["namespace"] = cronJob.at("metadata", "namespace")
        metadata["labels"] = template.at("metadata", "labels")
        var annotations = template.at("metadata", "annotations") ?? .emptyObject
        annotations[Self.stampKey] = Document(time.rfc3339(in: zone))
        metadata["annotations"] = annotations
        metadata["ownerReferences"] = [cronJob.controllerReference(kind: "CronJob", apiVersion: "batch/v1")]
        return [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] ?? .emptyObject,
        ]
    }

    private mutating func report() {
        status["active"] = active.isEmpty ? .none : Document(active)
        if !status.isSame(as: cronJob["status"] ?? .emptyObject) {
            var reported = cronJob
            reported["status"] = status
            plan.then(.update(.cronJobs, reported, subresource: "status"))
        }
        plan.then(creation)
    }
}

extension Timestamp {
    /// RFC 3339 as the clocks of `zone` show it.
    func rfc3339(in zone: LocalZone) -> String {
        let offset = zone.period(at: seconds).offset
        let text = Timestamp(seconds: seconds + offset).rfc3339()
        if offset == 0 { return text }
        func pad(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = abs(offset) / 60
        return "\(text.dropLast())\(offset < 0 ? "-" : "+")\(pad(minutes / 60)):\(pad(minutes % 60))"
    }
}
