import Basics
import Document
import Testing

@testable import Scenario

@Suite("What is told of a run")
struct ReportTests {
    private func result(_ id: String, _ outcome: ScenarioResult.Outcome, begin: Int = 0) -> ScenarioResult {
        var result = ScenarioResult(id: id, name: "Name of \(id)", outcome: outcome, duration: .seconds(2))
        result.begin = .seconds(begin)
        return result
    }

    private func run(_ results: [ScenarioResult], seconds: Int64 = 100) -> SuiteResult {
        SuiteResult(results: results, skipped: [], duration: .seconds(10), begun: Timestamp(seconds: seconds))
    }

    @Test func theHistoryKnowsWhatFailedLastAndWhatIsFlaky() throws {
        var history = RunHistory()
        history.add(run([result("a", .passed), result("b", .failed(step: "s", problems: []))]))
        history.add(
            run([result("b", .passed), result("c[x]", .failed(step: "s", problems: [])), result("d", .stopped)]))
        #expect(history.failedLast == ["c[x]"])
        #expect(history.flaky.map(\.id) == ["b"] && history.flaky[0].failed == 1 && history.flaky[0].all == 2)
        #expect(history.lastOutcomes == ["a": "passed", "b": "passed", "c": "failed"])
        #expect(RunHistory(try Document(json: history.document.json)) == history)
        #expect(RunHistory(["runs": "x"]).runs.isEmpty)
        for second in 0..<50 { history.add(run([result("a", .passed)], seconds: Int64(second))) }
        #expect(history.runs.count == RunHistory.mostRuns)
    }

    @Test func theResultIsADocument() {
        let document = run([
            result("a", .passed), result("b", .failed(step: "step 1", problems: ["x: expected 1, found 2"])),
        ]).document
        #expect(document.number("passed") == 1 && document.number("failed") == 1)
        #expect(document.list("scenarios").map { $0.text("outcome") } == ["passed", "failed"])
        #expect(document.list("scenarios")[1].list("problems") == ["x: expected 1, found 2"])
    }

    @Test func theReportIsOnePageAndEscapesWhatItTells() {
        var failed = result(
            "b", .failed(step: "step <1>", problems: ["a.b: expected \"<x>\", found nothing"]), begin: 1)
        failed.evidence = ["log a/c: </pre><script>alert(1)</script>"]
        failed.steps = [StepRecord(label: "step <1>", begin: .zero, duration: .seconds(1), isPassed: false)]
        failed.timeline = [
            TimelineEntry(
                number: 1, at: .seconds(1), kind: .created, who: "lab-scenario", object: "Pod/a", what: []),
            TimelineEntry(
                number: 2, at: .seconds(2), kind: .changed, who: "scheduler", object: "Pod/a",
                what: ["spec.nodeName: nothing → \"n\""], cause: 1),
        ]
        failed.behaviours = ["[sig-x] Things should work"]
        var suite = run([result("a", .passed), failed])
        suite.skipped = []
        let table = BehaviourTable(behaviours: "[sig-x] Things should work\n[sig-x] Others\n", scenarios: [])
        let page = HTMLReport(suite, history: RunHistory(), behaviours: table, title: "cluster").text
        #expect(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"))
        #expect(page.contains("expected <ins>&quot;&lt;x&gt;&quot;</ins>, found <del>nothing</del>"))
        #expect(page.contains("href=\"#b-1-1\"") && page.contains("id=\"b-1-1\""))
        for outside in ["http://", "https://", "src=", "@import", "url("] { #expect(!page.contains(outside)) }
        #expect(page.components(of: "<details").count == page.components(of: "</details>").count)
        #expect(page.components(of: "<section").count == page.components(of: "</section>").count)
    }

    @Test func behavioursAndWhoHoldsThem() throws {
        func scenario(_ id: String, _ held: [String]) throws -> Scenario {
            var scenario = try Scenario(yaml: Array("name: x\nsteps: [{wait: 1s}]".utf8), file: "\(id).yaml")
            scenario.behaviours = held
            return scenario
        }
        let table = BehaviourTable(
            behaviours: "[sig-a] One\n[sig-a] Two\n[sig-b] Three | four\n",
            scenarios: [
                try scenario("02", ["[sig-a] One"]), try scenario("01", ["[sig-a] One", "[sig-b] Three | four"]),
            ])
        #expect(table.rows.map(\.scenarios) == [["01", "02"], [], ["01"]] && table.held == 2)
        let words = ["01": "passed", "02": "failed"]
        #expect(table.rows.map { table.verdict($0, words) } == ["failed", "not held", "passed"])
        #expect(table.verdict(table.rows[0], ["01": "passed"]) == "not run")
        #expect(
            table.markdown.contains("| sig-a | 1 | 2 |")
                && table.markdown.contains("| Three \\| four | [01](01.yaml) |"))
    }

    @Test func theTimelineTellsWhoWroteWhatInAnswerToWhat() {
        func version(
            _ kind: String, _ name: String, _ revision: Int, by manager: String, _ more: Document = .emptyObject,
            owner: String? = nil
        ) -> Chronicle.Version {
            var object = more
            object.set(Document(name), at: "metadata", "name")
            object.set(Document("uid-\(name)"), at: "metadata", "uid")
            object.set(Document("\(revision)"), at: "metadata", "resourceVersion")
            object.set("1970-01-01T00:01:41Z", at: "metadata", "creationTimestamp")
            let time = "1970-01-01T00:01:4\(revision)Z"
            object.set([["manager": Document(manager), "time": Document(time)]], at: "metadata", "managedFields")
            if let owner { object.set([["uid": Document("uid-\(owner)")]], at: "metadata", "ownerReferences") }
            return Chronicle.Version(kind: kind, object: object, isDeleted: false)
        }
        let chronicle = Chronicle(
            begun: Timestamp(seconds: 100),
            versions: [
                version("Pod", "p", 3, by: "scheduler", ["spec": ["nodeName": "n"]], owner: "r"),
                version("ReplicaSet", "r", 1, by: "kubectl"),
                version("Pod", "p", 2, by: "manager", ["spec": .emptyObject], owner: "r"),
                version("Pod", "p", 4, by: "agent", ["spec": ["nodeName": "n"]], owner: "r"),
            ])
        #expect(
            chronicle.entries.map(\.text) == [
                "+1s #1 kubectl created ReplicaSet/r", "+1s #2 manager created Pod/p (after #1)",
                "+3s #3 scheduler changed Pod/p (after #2): spec.nodeName: nothing → \"n\"",
            ])
        #expect(
            Chronicle.changes(
                from: ["status": ["conditions": [["type": "Ready", "status": "False"]]]],
                to: ["status": ["conditions": [["type": "Ready", "status": "True"]]]])
                == ["status.conditions[Ready]: False → True"])
        #expect(
            Chronicle.changes(
                from: ["status": .emptyObject],
                to: [
                    "status": [
                        "conditions": [
                            [
                                "type": "Ready", "status": "False", "reason": "NotYet", "message": "soon",
                                "lastTransitionTime": "2020-01-01T00:00:00Z",
                            ], ["type": "Initialized", "status": "True"],
                        ]
                    ]
                ])
                == [
                    "status.conditions[Initialized]: nothing → True",
                    "status.conditions[Ready]: nothing → False (NotYet: soon)",
                ])
    }
}

extension String {
    /// Where the part begins.
    fileprivate func components(of part: String) -> [Range<Index>] { ranges(of: part) }
}
