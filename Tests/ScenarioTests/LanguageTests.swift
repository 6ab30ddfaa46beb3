import Basics
import Document
import Synchronization
import Testing
import Wire

@testable import Scenario

/// A machine that only remembers what was asked of it.
final class RecordingMachinery: Machinery {
    let deeds = Mutex<[String]>([])

    private func note(_ deed: String) { deeds.withLock { $0.append(deed) } }

    func add(_ fault: FaultDeed) async throws -> String {
        note("add \(fault.what) \(fault.at ?? "")")
        return fault.name ?? "\(fault.what)-1"
    }
    func remove(fault name: String) async throws { note("remove \(name)") }
    func takeSnapshot(_ name: String) async throws { note("snapshot \(name)") }
    func dropSnapshot(_ name: String) async throws { note("drop \(name)") }
    func restore(_ name: String) async throws { note("restore \(name)") }
    func change(_ deed: NodeDeed) async throws -> [String] {
        note("\(deed.verb.rawValue) \(deed.what)")
        return deed.verb == .add ? ["new"] : [deed.what]
    }
}

@Suite("What the language can say")
struct LanguageTests {
    private func run(
        _ text: String, on cluster: FakeCluster = FakeCluster(), machinery: RecordingMachinery? = nil,
        scripts: ScriptRunner? = nil, fork: Forker? = nil
    ) async throws -> SuiteResult {
        let scenario = try Scenario(yaml: Array(text.utf8), file: "01-x.yaml")
        let access = ClusterAccess(transport: cluster, anonymous: cluster)
        return await Suite([scenario]).run(
            on: Ground(access: access, scripts: scripts, machinery: machinery), world: cluster.world, fork: fork)
    }

    private func problems(_ result: SuiteResult) -> String {
        guard case .failed(_, let problems)? = result.results.first?.outcome else { return "" }
        return problems.joined(separator: "\n")
    }

    @Test func variablesCasesAndRounds() async throws {
        let said = Mutex<[String]>([])
        let result = try await run(
            """
            name: x
            variables: {greeting: hello, whole: "${greeting}, ${who}"}
            cases: [{name: one, who: you}]
            steps:
              - script: "say ${i} ${whole}"
                each: {i: 3}
              - each: [{a: x, b: 1}, {a: z, b: 2}]
                steps:
                  - script: "${a} ${b}"
                  - script: "${a}"
                    each: {c: [p, q]}
            """,
            scripts: { text, _ in
                said.withLock { $0.append(text) }
                return (0, "")
            })
        #expect(result.isPassed)
        let all = said.withLock { $0 }
        #expect(
            all == [
                "say 1 hello, you", "say 2 hello, you", "say 3 hello, you", "x 1", "x", "x", "z 2", "z", "z",
            ])
    }

    @Test func aVariableCanBeANumber() async throws {
        let text = """
            name: x
            cases: [{name: two, count: 2}]
            steps:
              - create: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {as: "${count|json}", text: "${count}"}}
              - eventually: {within: 1s, object: {kind: Pod, name: a}, cel: "object.spec['as'] == 2 && object.spec.text == '2'"}
            """
        #expect(try await run(text).isPassed)
        let wrong = try await run(text.replacing("count: 2}", with: "count: two}"))
        #expect(problems(wrong).contains("which is no JSON"))
    }

    @Test func aRoundThatFailsSaysWhichOne() async throws {
        let result = try await run(
            "name: x\nsteps:\n  - each: {i: [a, b]}\n    steps: [{name: inner, script: \"${i}\"}]",
            scripts: { text, _ in (text == "b" ? 1 : 0, "no") })
        guard case .failed(let step, let problems) = result.results[0].outcome else {
            Issue.record("\(result.results[0].outcome)")
            return
        }
        #expect(step == "step 1.1 (line 4): inner" && problems.first == "in the round i=b:")
    }

    @Test func aNameThatYAMLTakesForABooleanIsToldSo() {
        let error = #expect(throws: ScenarioError.self) {
            try Scenario(yaml: Array("name: x\nsteps:\n  - each: {n: 3}\n    wait: 1s".utf8), file: "x")
        }
        #expect(error?.message.contains("YAML") == true)
    }

    @Test func cleanupHappensInAnyCaseAndItsFailuresCount() async throws {
        let said = Mutex<[String]>([])
        let scripts: ScriptRunner = { text, _ in
            said.withLock { $0.append(text) }
            return (text.hasPrefix("bad") ? 1 : 0, "")
        }
        let tail = "cleanup:\n  - script: bad cleanup\n  - script: good cleanup"
        let failed = try await run("name: x\nsteps:\n  - script: bad\n  - script: never\n\(tail)", scripts: scripts)
        #expect(said.withLock { $0 } == ["bad", "bad cleanup", "good cleanup"])
        #expect(failed.results[0].isFailed && failed.results[0].notes.first?.contains("code 1") == true)
        #expect(failed.results[0].steps.map(\.isPassed) == [true, false, false, true])
        let passed = try await run("name: x\nsteps:\n  - script: good\n\(tail)", scripts: scripts)
        guard case .failed(let step, _) = passed.results[0].outcome else {
            Issue.record("\(passed.results[0].outcome)")
            return
        }
        #expect(step.hasPrefix("cleanup 1 (line 5)"))
    }

    @Test func aStepHasATimeOfItsOwn() async throws {
        let result = try await run(
            "name: x\nsteps:\n  - eventually: {within: 30m, objects: {kind: Pod}, count: 1}\n    timeout: 2s")
        #expect(problems(result) == "not done within 2.0 seconds")
    }

    @Test(arguments: [
        ("object.spec.replicas == object.status.ready", ""),
        ("object.spec.replicas > 2", "\"object.spec.replicas > 2\" is false"),
        ("object.spec.absent > 2", "has no value: no such key: absent"),
    ])
    func expressionsAboutObjects(cel: String, problem: String) async throws {
        let result = try await run(
            """
            name: x
            steps:
              - create: {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {replicas: 2}, status: {ready: 2}}
              - always: {for: 1s, objects: {kind: Pod}, cel: "objects.all(o, o.spec.replicas == 2)"}
              - eventually: {within: 1s, object: {kind: Pod, name: a}, cel: "\(cel)"}
            """)
        #expect(result.isPassed == problem.isEmpty && problems(result).contains(problem))
    }

    @Test func expressionsAboutAnswersAndWhatIsNoExpression() async throws {
        let cluster = FakeCluster { $0.target == "/version" ? (200, #"{"major":"1","n":[1,2]}"#) : nil }
        let text =
            "name: x\nsteps:\n  - request: {path: /version, cel: [\"answer.n.size() == 2\", \"answer.major == '${v}'\"]}"
        #expect(try await run("variables: {v: 1}\n" + text, on: cluster).isPassed)
        #expect(try await !run("variables: {v: 2}\n" + text, on: cluster).isPassed)
        for wrong in ["answer.n.(", "1 + 1"] {
            #expect(throws: ScenarioError.self) {
                try Scenario(
                    yaml: Array("name: x\nsteps:\n  - request: {path: /, cel: \"\(wrong)\"}".utf8), file: "x")
            }
        }
    }

    @Test func eventsAreCountedByWhatTheySay() async throws {
        let cluster = FakeCluster { request in
            guard request.target.hasSuffix("/events") else { return nil }
            let about = #""involvedObject":{"kind":"Pod","name":"a"},"source":{"component":"kubelet"}"#
            return (
                200,
                #"{"items":[{"reason":"BackOff","type":"Warning","message":"again and again","count":3,\#(about)},"#
                    + #"{"reason":"Started","type":"Normal","message":"c",\#(about)}]}"#
            )
        }
        let passed = try await run(
            """
            name: x
            steps:
              - eventually: {events: {reason: BackOff, kind: Pod, name: a, from: kubelet, message: "again*"}, count: 3}
              - eventually: {events: {type: Normal}}
              - never: {for: 1s, events: {reason: Killed}}
            """, on: cluster)
        #expect(passed.isPassed, "\(problems(passed))")
        let failed = try await run(
            "name: x\nsteps:\n  - eventually: {within: 1s, events: {reason: BackOff}, count: 1}", on: cluster)
        #expect(problems(failed).contains("expected 1 events, found 3"))
    }

    @Test func metricsAreSummed() async throws {
        let text = """
            # HELP requests_total Requests.
            # TYPE requests_total counter
            requests_total{code="200",verb="GET"} 5
            requests_total{code="500",verb="GET",note="a \\"b\\" }"} 2.5 1700000000
            requests_total_other 9
            up 1

            """
        let cluster = FakeCluster { $0.target == "/metrics" ? (200, text) : nil }
        let passed = try await run(
            """
            name: x
            steps:
              - eventually: {metrics: {name: requests_total}, value: 7.5, count: 2}
              - eventually: {metrics: {name: requests_total, labels: {code: "5*"}}, value: {atLeast: 2, atMost: 3}}
              - eventually: {metrics: {name: absent}, count: 0}
            """, on: cluster)
        #expect(passed.isPassed, "\(problems(passed))")
        let failed = try await run(
            "name: x\nsteps:\n  - eventually: {within: 1s, metrics: {name: up}, value: {atLeast: 2}}", on: cluster)
        #expect(problems(failed).contains("expected a sum of at least 2.0, found 1.0"))
    }

    @Test func theMachineIsPutBack() async throws {
        let machinery = RecordingMachinery()
        let result = try await run(
            """
            name: x
            steps:
              - fault: {add: loss, at: node/worker, percent: 20}
                save: {fault: "{.name}"}
              - fault: {add: partition, at: node/worker, name: cut}
              - fault: {remove: "${fault}"}
              - node: {stop: worker}
              - node: {add: 1}
              - snapshot: before
              - restore: before
            """, machinery: machinery)
        #expect(result.isPassed)
        #expect(
            machinery.deeds.withLock { $0 } == [
                "add loss node/worker", "add partition node/worker", "remove loss-1", "stop worker", "add 1",
                "snapshot before", "restore before", "remove cut", "start worker", "remove new", "drop before",
            ])
    }

    @Test func whatIsMissingSkipsWithTheReason() async throws {
        let machine = try await run("name: x\nsteps:\n  - snapshot: a")
        #expect(machine.skipped.map(\.reason) == ["needs a cluster of lab on this machine, and root"])
        let nodes = try await run("name: x\nrequires: [\"nodes>=2\"]\nsteps:\n  - wait: 1s")
        #expect(nodes.skipped.map(\.reason) == ["needs 2 nodes, there are 0"])
        let program = try await run(
            "name: x\nrequires: [program:flute]\nsteps:\n  - wait: 1s", scripts: { _, _ in (1, "") })
        #expect(program.skipped.map(\.reason) == ["needs the program flute"])
    }

    @Test func serialScenariosGetAClusterOfTheirOwn() async throws {
        let other = FakeCluster()
        let removed = Mutex(0)
        let text = "name: x\ntags: [serial]\nsteps:\n  - create: {apiVersion: v1, kind: Pod, metadata: {name: a}}"
        let first = FakeCluster()
        let fork: Forker = { _ in
            Ground(
                access: ClusterAccess(transport: other),
                discard: {
                    removed.withLock { $0 += 1 }
                    return nil
                })
        }
        let result = try await run(text, on: first, fork: fork)
        #expect(result.isPassed && removed.withLock { $0 } == 1)
        #expect(first.state.withLock { $0.requests.isEmpty } && !other.state.withLock { $0.requests.isEmpty })
        struct Full: Error {}
        let failed = try await run(text, fork: { _ in throw Full() })
        #expect(failed.results[0].isFailed)
    }

    @Test func theGrammarIsWhole() throws {
        let names = Grammar.shapes.map(\.name)
        #expect(Set(names).count == names.count)
        func used(_ kind: Grammar.Kind) -> [String] {
            switch kind {
            case .shape(let name), .list(let name): [name]
            case .choice(let names): names
            default: []
            }
        }
        for shape in Grammar.shapes {
            for field in shape.fields {
                #expect(used(field.kind).allSatisfy(names.contains), "\(shape.name).\(field.name)")
            }
            #expect(shape.oneOf.allSatisfy { name in shape.fields.contains { $0.name == name } }, "\(shape.name)")
        }
        #expect(
            Grammar.schema.at("definitions", "step", "properties")?.members.count == Grammar.shape("step")?.fields.count
        )
        for shape in Grammar.shapes { #expect(Grammar.reference.contains("## \(shape.name)\n")) }
        #expect(try Document(json: Array(ScenarioLanguage.schema.utf8)) == Grammar.schema)
    }
}
