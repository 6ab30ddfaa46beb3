import Basics
import Client
import Document
import Testing

@testable import Controllers

private func time(_ text: String) -> Timestamp { Timestamp(rfc3339: text) ?? Timestamp(seconds: 0) }

/// The next times of a schedule, as the clocks of the place show them.
private func times(_ schedule: String, after start: String, zone: String = "UTC", count: Int = 3) throws -> [String] {
    let schedule = try CronSchedule(schedule)
    let place = try #require(LocalZone(named: zone))
    var now = time(start).seconds
    var result: [String] = []
    for _ in 0..<count {
        guard let next = schedule.next(after: now, in: place) else { break }
        now = next
        result.append(Timestamp(seconds: next).rfc3339(in: place))
    }
    return result
}

@Suite struct CronScheduleTests {
    @Test(
        arguments: [
            ("*/20 * * * *", ["2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z", "2026-01-01T01:00:00Z"]),
            ("5,1 3 * * *", ["2026-01-01T03:01:00Z", "2026-01-01T03:05:00Z", "2026-01-02T03:01:00Z"]),
            ("0 22-23/1 * * fri", ["2026-01-02T22:00:00Z", "2026-01-02T23:00:00Z", "2026-01-09T22:00:00Z"]),
            ("0 0 31 * ?", ["2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
            ("0 0 13 * 5", ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]),
            ("0 0 */2 * 1", ["2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z"]),
            ("0 0 29 2 *", ["2028-02-29T00:00:00Z"]),
            ("30 50/5 * JAN-mar MON", []),
            ("@yearly", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"]),
            ("@weekly", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-18T00:00:00Z"]),
            ("@hourly", ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z"]),
            ("@every 1h30m", ["2026-01-01T01:30:17Z", "2026-01-01T03:00:17Z", "2026-01-01T04:30:17Z"]),
            ("0 0 31 2 *", []),
        ] as [(String, [String])])
    func comesAsItSays(schedule: String, expected: [String]) throws {
        if schedule.hasPrefix("30 50") {
            #expect(throws: CronSchedule.Problem.self) { try CronSchedule(schedule) }
            return
        }
        #expect(try times(schedule, after: "2026-01-01T00:00:17Z", count: min(3, max(1, expected.count))) == expected)
    }

    /// Clocks go forward over two o'clock in the one night and back over it in the other.
    @Test func hoursThatAreLeftOutOrComeTwice() throws {
        let spring = try times("30 2 * * *", after: "2026-03-28T00:00:00Z", zone: "Europe/Berlin", count: 2)
        #expect(spring == ["2026-03-28T02:30:00+01:00", "2026-03-30T02:30:00+02:00"])
        let autumn = try times("30 2 * * *", after: "2026-10-24T12:00:00Z", zone: "Europe/Berlin", count: 3)
        #expect(
            autumn == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"])
        let hourly = try times("0 * * * *", after: "2026-03-08T06:30:00Z", zone: "America/New_York", count: 2)
        #expect(hourly == ["2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"])
    }

    @Test(
        arguments: [
            ("2026-07-01T12:00:00Z", "Europe/London", "2026-07-01T13:00:00+01:00"),
            ("2026-07-01T12:00:00Z", "Asia/Kathmandu", "2026-07-01T17:45:00+05:45"),
            ("2026-01-01T12:00:00Z", "Australia/Lord_Howe", "2026-01-01T23:00:00+11:00"),
            ("2026-07-01T12:00:00Z", "Australia/Lord_Howe", "2026-07-01T22:30:00+10:30"),
            ("2026-01-01T12:00:00Z", "Europe/Dublin", "2026-01-01T12:00:00Z"),
            ("2026-07-01T12:00:00Z", "Europe/Dublin", "2026-07-01T13:00:00+01:00"),
            ("2026-02-20T12:00:00Z", "Africa/Casablanca", "2026-02-20T12:00:00Z"),
            ("2026-04-20T12:00:00Z", "Africa/Casablanca", "2026-04-20T13:00:00+01:00"),
            ("2026-12-31T23:30:00Z", "Pacific/Auckland", "2027-01-01T12:30:00+13:00"),
            ("2026-03-08T06:59:59Z", "US/Eastern", "2026-03-08T01:59:59-05:00"),
            ("2026-03-08T07:00:00Z", "US/Eastern", "2026-03-08T03:00:00-04:00"),
            ("2026-03-28T22:30:00Z", "America/Nuuk", "2026-03-28T20:30:00-02:00"),
            ("2026-03-29T01:00:00Z", "America/Nuuk", "2026-03-29T00:00:00-01:00"),
            ("2026-06-01T00:00:00Z", "America/Los_Angeles", "2026-05-31T17:00:00-07:00"),
        ] as [(String, String, String)])
    func clocksShow(utc: String, zone: String, local: String) throws {
        #expect(time(utc).rfc3339(in: try #require(LocalZone(named: zone))) == local)
    }

    @Test func unknownPlaces() {
        #expect(LocalZone(named: "Europe/Atlantis") == nil)
        #expect(LocalZone(rule: "nonsense") == nil)
        #expect(LocalZone(rule: "CET-1CEST,M13.5.0,M10.5.0") == nil)
    }

    @Test(arguments: [
        "* * * *", "60 * * * *", "* * * * 7", "5-1 * * * *", "*/0 * * * *", "@never", "@every soon", "x * * * *",
    ])
    func rejects(schedule: String) {
        #expect(throws: CronSchedule.Problem.self) { try CronSchedule(schedule) }
    }

    @Test func latestTimeIsFoundFromFarAway() throws {
        func latest(_ schedule: String, _ start: String, _ now: String) throws -> String? {
            try CronSchedule(schedule).latest(after: time(start).seconds, notAfter: time(now).seconds, in: .utc)
                .map { Timestamp(seconds: $0).rfc3339() }
        }
        #expect(try latest("*/5 * * * *", "2016-01-01T00:00:00Z", "2026-05-05T05:07:00Z") == "2026-05-05T05:05:00Z")
        #expect(try latest("0 0 1 1 *", "2016-01-01T00:00:00Z", "2026-05-05T05:07:00Z") == "2026-01-01T00:00:00Z")
        #expect(try latest("0 0 29 2 *", "2016-01-01T00:00:00Z", "2026-05-05T05:07:00Z") == "2024-02-29T00:00:00Z")
        #expect(try latest("0 9 * * *", "2026-05-04T09:00:00Z", "2026-05-05T05:07:00Z") == nil)
        #expect(try latest("@every 7m", "2026-05-05T05:00:00Z", "2026-05-05T05:29:00Z") == "2026-05-05T05:28:00Z")
    }
}

@Suite struct CronJobTests {
    /// Two minutes and five seconds after ten.
    private let now = time("2026-05-05T10:02:05Z")

    private func cronJob(_ spec: Document = [:], status: Document = ["lastScheduleTime": "2026-05-05T10:01:00Z"])
        -> Document
    {
        let base: Document = [
            "schedule": "* * * * *", "concurrencyPolicy": "Allow",
            "jobTemplate": ["metadata": ["labels": ["a": "b"]], "spec": ["template": [:]]],
        ]
        return [
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": [
                "name": "tick", "namespace": "default", "uid": "uid-tick", "creationTimestamp": "2026-05-05T09:00:30Z",
            ],
            "spec": base.applyingMergePatch(spec), "status": status,
        ]
    }

    private func job(_ name: String, end: String? = nil, stamp: String? = nil, start: String = "2026-05-05T09:30:00Z")
        -> Document
    {
        var status: Document = ["startTime": Document(start)]
        if let end {
            status["conditions"] = [["type": Document(end), "status": "True"]]
            if end == "Complete" { status["completionTime"] = "2026-05-05T10:00:30Z" }
        }
        var metadata: Document = [
            "name": Document(name), "namespace": "default", "uid": Document("uid-\(name)"), "resourceVersion": "3",
        ]
        if let stamp { metadata["annotations"] = ["batch.kubernetes.io/cronjob-scheduled-timestamp": Document(stamp)] }
        return ["apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "status": status]
    }

    private struct Outcome {
        var created: [Document] = []
        var deleted: [String] = []
        var events: [String] = []
        var status: Document?
        var lookAgain: Duration?
        var active: [String] { status?.list("active").compactMap { $0.text("name") } ?? [] }
    }

    private func decide(_ cronJob: Document, _ jobs: [Document] = [], changed: Timestamp? = nil) -> Outcome {
        let plan = CronJobPlan.plan(
            cronJob, jobs: jobs, existing: { name in jobs.first { $0.name == name } }, changed: changed,
            Situation(now: now))
        var outcome = Outcome(lookAgain: plan.lookAgain)
        for action in plan.actions {
            switch action {
            case .create(_, let object, _): outcome.created.append(object)
            case .delete(_, let object, _, _, _): outcome.deleted.append(object.name)
            case .update(_, let object, _): outcome.status = object["status"]
            case .event(_, _, let reason, let message): outcome.events.append("\(reason): \(message)")
            default: break
            }
        }
        return outcome
    }

    private let due = "tick-\(time("2026-05-05T10:02:00Z").seconds / 60)"

    @Test func makesTheJobOfItsMinute() {
        let outcome = decide(cronJob())
        #expect(outcome.created.map(\.name) == [due])
        #expect(outcome.created.first?.labels == ["a": "b"])
        #expect(
            outcome.created.first?.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
                == "2026-05-05T10:02:00Z")
        #expect(outcome.created.first?.controllerReference?.text("kind") == "CronJob")
        #expect(outcome.events == ["SuccessfulCreate: Created job \(due)"])
        #expect(outcome.lookAgain == .milliseconds(55_100))
    }

    @Test func listsWhatItMade() {
        let outcome = decide(cronJob(), [job(due, stamp: "2026-05-05T12:02:00+02:00")])
        #expect(outcome.created.isEmpty)
        #expect(outcome.active == [due])
        #expect(outcome.status?.text("lastScheduleTime") == "2026-05-05T10:02:00Z")
        #expect(outcome.status?.list("active").first?.text("apiVersion") == "batch/v1")
    }

    @Test func noticesTheEnd() {
        var status: Document = ["lastScheduleTime": "2026-05-05T10:02:00Z"]
        status["active"] = [["name": "done", "uid": "uid-done"], ["name": "gone", "uid": "uid-gone"]]
        let outcome = decide(cronJob(status: status), [job("done", end: "Complete"), job("foreign")])
        #expect(
            outcome.events == [
                "SawCompletedJob: Saw completed job: done, status: Complete",
                "UnexpectedJob: Saw a job that the controller did not create or forgot: foreign",
                "MissingJob: Active job went missing: gone",
            ])
        #expect(outcome.active == [])
        #expect(outcome.status?.text("lastSuccessfulTime") == "2026-05-05T10:00:30Z")
    }

    @Test func keepsItsHistoryShort() {
        let jobs =
            (0..<5).map { job("c\($0)", end: "Complete", start: "2026-05-05T09:3\(5 - $0):00Z") }
            + (0..<3).map { job("f\($0)", end: "Failed", start: "2026-05-05T09:3\($0):00Z") }
        let limits: Document = ["successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1, "suspend": true]
        #expect(decide(cronJob(limits), jobs).deleted == ["c4", "c3", "f0", "f1"])
    }

    @Test func mindsWhatStillRuns() {
        let status: Document = [
            "lastScheduleTime": "2026-05-05T10:01:00Z", "active": [["name": "run", "uid": "uid-run"]],
        ]
        let running = [job("run")]
        let forbidden = decide(cronJob(["concurrencyPolicy": "Forbid"], status: status), running)
        #expect(forbidden.created.isEmpty)
        #expect(forbidden.events.first?.hasPrefix("JobAlreadyActive") == true)
        let replaced = decide(cronJob(["concurrencyPolicy": "Replace"], status: status), running)
        #expect(replaced.deleted == ["run"])
        #expect(replaced.created.map(\.name) == [due])
        #expect(replaced.active == [])
        #expect(decide(cronJob(status: status), running).created.count == 1)
    }

    @Test func restsWhenItShould() {
        #expect(decide(cronJob(["suspend": true])).created.isEmpty)
        #expect(decide(cronJob(["suspend": true])).lookAgain == nil)
        #expect(decide(cronJob(status: ["lastScheduleTime": "2026-05-05T10:02:00Z"])).created.isEmpty)
        // Three seconds are too few for a start that is five late.
        #expect(decide(cronJob(["startingDeadlineSeconds": 3])).created.isEmpty)
        #expect(decide(cronJob(["startingDeadlineSeconds": 10])).created.count == 1)
        let unknown = decide(cronJob(["timeZone": "Nowhere"]))
        #expect(unknown.created.isEmpty)
        #expect(unknown.events == ["UnknownTimeZone: invalid timeZone: \"Nowhere\": unknown time zone Nowhere"])
        #expect(decide(cronJob(["schedule": "bad"])).events.first?.hasPrefix("UnparseableSchedule") == true)
        #expect(decide(cronJob(["schedule": "0 0 31 2 *"])).events.first?.hasPrefix("InvalidSchedule") == true)
    }

    @Test func catchesUpWithTheLatestOnly() {
        let outcome = decide(cronJob(status: ["lastScheduleTime": "2026-05-01T10:01:00Z"]))
        #expect(outcome.created.map(\.name) == [due])
        #expect(outcome.events.first?.hasPrefix("TooManyMissedTimes") == true)
        #expect(decide(cronJob(status: ["lastScheduleTime": "2026-05-05T09:00:00Z"])).events.count == 1)
    }

    @Test func newSchedulesLookForward() {
        #expect(decide(cronJob(), changed: time("2026-05-05T10:02:03Z")).created.isEmpty)
        #expect(decide(cronJob(), changed: time("2026-05-05T10:01:30Z")).created.count == 1)
    }

    @Test func stampsInItsZone() {
        let outcome = decide(cronJob(["timeZone": "America/New_York"]))
        #expect(
            outcome.created.first?.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
                == "2026-05-05T06:02:00-04:00")
    }
}
