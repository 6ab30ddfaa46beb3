import Basics
import Document
import Synchronization
import Testing
import Wire

@testable import Scenario

@Suite("Running scenarios")
struct RunnerTests {
    private func scenario(_ steps: String, id: String = "01-test") throws -> Scenario {
        let body = steps.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
        return try Scenario(yaml: Array("name: \(id)\nsteps:\n\(body)\n".utf8), file: "\(id).yaml")
    }

    private func run(
        _ scenarios: [Scenario], on cluster: FakeCluster, options: SuiteOptions = SuiteOptions(),
        stop: StopSignal = StopSignal(), progress: @escaping @Sendable (ScenarioEvent) -> Void = { _ in }
    ) async -> SuiteResult {
        await Suite(scenarios, options: options).run(
            on: Ground(access: ClusterAccess(transport: cluster, anonymous: cluster)), world: cluster.world, stop: stop,
            progress: progress)
    }

    @Test func stepsHappenInTheScenariosNamespaceWhichGoesAway() async throws {
        let cluster = FakeCluster()
        let result = await run(
            [
                try scenario(
                    """
                    - apply: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {image: "${image}:v1"}}
                    - apply: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {x: y}}}
                    - create: {apiVersion: v1, kind: PersistentVolume, metadata: {name: volume}}
                    - eventually: {object: {kind: Pod, name: a}, matches: {spec: {image: "lab.local/testbox:v1"}, metadata: {labels: {x: y}}}}
                      save: {pod: "{.metadata.name}"}
                    - patch: {kind: Pod, name: "${pod}", patch: {spec: {node: n}}}
                    - eventually: {objects: {kind: Pod}, each: {spec: {node: n}}, count: 1}
                    - create: {apiVersion: v1, kind: Pod, metadata: {name: a}}
                      fails: {code: 409, reason: AlreadyExists, message: "* already exists"}
                    - delete: {kind: Pod, selector: x=y}
                    - eventually: {object: {kind: Pod, name: a}, absent: true}
                    - always: {for: 1s, objects: {kind: Pod}, count: 0}
                    - request: {path: "/api/v1/namespaces/${namespace}", matches: {kind: Namespace}}
                    """)
            ], on: cluster)
        #expect(result.results.map(\.outcome) == [.passed])
        #expect(result.results[0].notes == [])
        #expect(cluster.state.withLock { $0.objects.isEmpty })
        #expect(result.isPassed && result.summary == "1 passed, 0 failed")
    }

    @Test(arguments: [
        ("- eventually: {within: 2s, object: {kind: Pod, name: a}, matches: {b: 1}}", "not found"),
        ("- never: {for: 1s, objects: {kind: Pod}, count: 0}", "it was true, and must never be"),
        ("- always: {for: 1s, objects: {kind: Pod}, count: 1}", "expected 1 objects, found 0 of 0"),
        ("- delete: {kind: Pod, name: a}", "the server refused"),
        ("- delete: {kind: Pod, selector: a=b}", "nothing was deleted"),
        ("- create: {apiVersion: v1, kind: Pod, metadata: {name: a}}\n  fails: {code: 403}", "expected a refusal"),
        ("- delete: {kind: Pod, name: a}\n  fails: {code: 403}", "expected code 403, got 404"),
        ("- request: {path: /nowhere, status: 200}", "expected HTTP status 200, got 404"),
        ("- script: ls", "scripts cannot be run here"), ("- wait: 1s\n  save: {x: .a}", "no result"),
        ("- create: {apiVersion: example.com/v1, kind: Thing, metadata: {name: a}}", "the server has no kind Thing"),
        ("- eventually: {within: 1s, log: {pod: a}, contains: x}", "HTTP status 404"),
    ])
    func failuresSayWhatIsWrongAndCleanUp(steps: String, problem: String) async throws {
        let cluster = FakeCluster()
        let result = await run([try scenario(steps)], on: cluster)
        guard case .failed(let step, let problems) = result.results[0].outcome else {
            Issue.record("\(result.results[0].outcome)")
            return
        }
        #expect(step.hasPrefix("step 1 (line 3)"))
        #expect(problems.joined(separator: "\n").contains(problem), "\(problems)")
        #expect(cluster.state.withLock { $0.objects.isEmpty })
    }

    @Test func aFailureShowsEventsAndLogs() async throws {
        let cluster = FakeCluster { request in
            if request.target.contains("/pods/a/log") { return (200, "it broke\n") }
            if request.target.hasSuffix("/events") {
                return (
                    200,
                    #"{"items":[{"type":"Warning","reason":"Failed","message":"no image","involvedObject":{"kind":"Pod","name":"a"}}]}"#
                )
            }
            return nil
        }
        let result = await run(
            [
                try scenario(
                    """
                    - create: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n, containers: [{name: c}]}}
                    - eventually: {within: 1s, log: {pod: a}, equals: fine}
                    """)
            ], on: cluster)
        let evidence = result.results[0].evidence
        #expect(evidence.contains("event Warning Failed Pod/a: no image"))
        #expect(evidence.contains("log a/c: it broke"))
        #expect(evidence.contains { $0.hasPrefix("pod a ") })
        let junit = result.junit()
        #expect(junit.contains("failures=\"1\"") && junit.contains("it broke"))
    }

    @Test func othersActThroughImpersonationOrATokenOfTheirOwn() async throws {
        let cluster = FakeCluster { request in
            if request.target.hasSuffix("/token") { return (201, #"{"status":{"token":"t0k3n"}}"#) }
            if request.target == "/who" {
                let who = request.headers["Authorization"] ?? request.headers["Impersonate-User"] ?? "me"
                return (200, who + request.headers.all("Impersonate-Group").joined(separator: ","))
            }
            return nil
        }
        let result = await run(
            [
                try scenario(
                    """
                    - request: {path: /who, equals: me}
                    - request: {path: /who, equals: "janedev,ops"}
                      as: {user: jane, groups: [dev, ops]}
                    - request: {path: /who, equals: Bearer t0k3n}
                      as: {serviceAccount: reader}
                    """)
            ], on: cluster)
        #expect(result.results.map(\.outcome) == [.passed])
    }

    @Test func aStopEndsScenariosEarlyAndStillCleansUp() async throws {
        let cluster = FakeCluster()
        let stop = StopSignal()
        let result = await run(
            [
                try scenario("- wait: 30m", id: "01-long"), try scenario("- wait: 30m", id: "02-long"),
                try scenario("- wait: 1s", id: "03-late"),
            ], on: cluster, options: with { $0.parallel = 2 }, stop: stop
        ) { event in
            if case .step(let scenario, _) = event, scenario.id == "02-long" { stop.stop() }
        }
        #expect(result.results.map(\.outcome) == [.stopped, .stopped])
        #expect(result.skipped.map(\.name) == ["03-late"])
        #expect(cluster.state.withLock { $0.objects.isEmpty })
    }

    @Test func failFastStartsNoMore() async throws {
        let cluster = FakeCluster()
        let options = with {
            $0.failFast = true
            $0.parallel = 1
        }
        let result = await run(
            [try scenario("- script: x", id: "01-bad"), try scenario("- wait: 1s", id: "02-good")], on: cluster,
            options: options)
        #expect(result.results.count == 1 && result.skipped.map(\.name) == ["02-good"])
        #expect(result.summary == "0 passed, 1 failed, 1 skipped")
    }

    @Test func aScenarioHasATimeLimit() async throws {
        var slow = try scenario("- eventually: {within: 30m, objects: {kind: Pod}, count: 1}")
        slow.timeout = .seconds(3)
        let result = await run([slow], on: FakeCluster())
        #expect(
            result.results[0].outcome
                == .failed(step: "step 1 (line 3): eventually", problems: ["not done within 3.0 seconds"]))
    }

    @Test(arguments: [
        ("lab.local/testbox", "lab.local/testbox"), ("lab.local/testbox:latest", "lab.local/testbox"),
        ("host:5000/x", "host:5000/x"), ("host:5000/x:y", "host:5000/x"),
    ])
    func theImagesTagIsTheScenarios(image: String, repository: String) {
        #expect(Suite.repository(image) == repository)
    }

    @Test func namespacesAreValidNames() throws {
        let long = try scenario("- wait: 1s", id: "01_A.very-long" + String(repeating: "x", count: 80))
        let name = ScenarioRunner.namespace(for: long, random: Counting())
        #expect(name.utf8.count <= 63 && name.hasPrefix("lab-01-a-very-long"))
    }

    private func with(_ change: (inout SuiteOptions) -> Void) -> SuiteOptions {
        var options = SuiteOptions()
        change(&options)
        return options
    }
}
