import Document
import Linux
import Testing

@testable import Scenario

@Suite("Scenario files")
struct ScenarioFileTests {
    private func read(_ text: String) throws -> Scenario {
        try Scenario(yaml: Array(text.utf8), file: "x/07-test.yaml")
    }

    @Test func everyFileOfTheSuiteIsValid() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let files = try Files.list("/\(folder)/Conformance").filter { $0.hasSuffix(".yaml") }
        #expect(files.count >= 5)
        let list = try Files.read("/\(folder)/Conformance/behaviours.txt")
        let known = Set(String(decoding: list, as: UTF8.self).split(separator: "\n").map(String.init))
        for file in files {
            let scenario = try Scenario(yaml: Files.read("/\(folder)/Conformance/\(file)"), file: file)
            #expect(!scenario.tags.isEmpty && !scenario.description.isEmpty, "\(file)")
            let unknown = scenario.behaviours.filter { !known.contains($0) }
            #expect(unknown.isEmpty, "\(file) names behaviours that behaviours.txt does not have")
        }
    }

    @Test func readsEveryKindOfStep() throws {
        let scenario = try read(
            """
            name: all
            tags: [a, b]
            timeout: 90s
            steps:
              - apply: {apiVersion: v1, kind: Pod, metadata: {name: x}}
                as: {user: jane, groups: [dev]}
                fails: {code: 403, message: "no*"}
              - create: [{apiVersion: v1, kind: Pod, metadata: {generateName: x-}}]
                save: {made: "{.metadata.name}"}
              - patch: {kind: Deployment, name: web, type: json, patch: [{op: remove, path: /spec/x}]}
              - delete: {kind: Pod, selector: a=b}
              - request: {path: /healthz, equals: ok}
              - script: kubectl get pods
              - wait: 1.5s
              - eventually: {object: {kind: Pod, name: x}, matches: {a: 1}}
              - always: {for: 2s, objects: {kind: Pod}, count: {atMost: 3}}
              - never: {log: {pod: x}, contains: oops}
              - eventually: {answer: {service: web, port: 8080, path: /x}, status: 204}
            """)
        #expect(scenario.id == "07-test" && scenario.tags == ["a", "b"] && scenario.timeout == .seconds(90))
        #expect(scenario.steps.count == 11)
        #expect(scenario.steps[4].label == "step 5 (line 12): request")
        guard case .wait(let duration) = scenario.steps[6].action else {
            Issue.record("no wait")
            return
        }
        #expect(duration == .milliseconds(1500))
    }

    @Test(arguments: [
        ("name: x\nsteps: []", 2, "steps: a scenario without steps shows nothing"),
        ("steps:\n  - wait: 1s", 1, "the field name is missing"),
        (
            "name: x\ncolour: red\nsteps: [{wait: 1s}]", 2,
            "colour: unknown field; known are behaviours, cases, cleanup, description, name, requires, steps, tags, timeout"
        ),
        (
            "name: x\nsteps:\n  - wait: 1s\n  - wait: 1 parsec", 4,
            "steps[1].wait: \"1 parsec\" is no duration like 500ms, 5s, 2m"
        ),
        ("name: x\nsteps:\n  - wait: 1s\n    wayt: 2s", 4, "steps[0].wayt: unknown field; known are"),
        (
            "name: x\nsteps:\n  - exec: {pod: x}", 3,
            "steps[0].exec: the field command is missing"
        ),
        ("name: x\nsteps:\n  - wait: 1s\n    script: x", 3, "steps[0]: more than one action: script, wait"),
        (
            "name: x\nsteps:\n  - eventually:\n      object: {kind: Pod, name: x}", 4,
            "steps[0].eventually: either matches (or cel) or absent"
        ),
        (
            "name: x\nsteps:\n  - eventually:\n      object: {kind: Pod, name: x}\n      matchs: {}", 4,
            "steps[0].eventually: either matches (or cel) or absent"
        ),
        (
            "name: x\nsteps:\n  - always:\n      within: 3s\n      objects: {kind: Pod}\n      count: 1", 4,
            "steps[0].always.within: unknown field"
        ),
        ("name: x\nsteps:\n  - create: {kind: Pod}", 3, "steps[0].create: every object needs apiVersion and kind"),
        ("name: x\nsteps:\n  - delete: {kind: Pod}", 3, "steps[0].delete: either a name or a selector"),
        (
            "name: x\nsteps:\n  - wait: 1s\n    fails: {code: 1}", 4,
            "steps[0].fails: only apply, create, patch, delete and exec"
        ),
        (
            "name: x\nsteps:\n  - never:\n      log: {pod: a}\n      pattern: a {b}\n      distinct: {c: 1}", 6,
            "steps[0].never.distinct.c: the pattern has no {c}"
        ),
        ("name: x\nname: y", 2, "key \"name\" already set in map"),
        (
            "name: x\nsteps:\n  - wait: 1s\n  - fault: {add: earthquake, at: node/a}", 4,
            "steps[1].fault.add: \"earthquake\" is no kind of fault; known are partition, loss"
        ),
    ])
    func namesThePlaceOfAnError(text: String, line: Int, message: String) {
        let error = #expect(throws: ScenarioError.self) { try read(text) }
        #expect(error?.line == line, "\(error.map(String.init) ?? "")")
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }
}

@Suite("Variables of scenario files")
struct VariableCheckTests {
    private func read(_ text: String) throws {
        _ = try Scenario(yaml: Array(text.utf8), file: "x/07-test.yaml")
    }

    @Test(arguments: [
        ("steps:\n  - delete: {kind: Pod,\n      name: \"a-${nope}\"}", 4, "steps[0].delete.name", "nope"),
        ("steps:\n  - script: |\n      echo ${HOME}", 3, "steps[0].script", "HOME"),
        ("steps:\n  - script: echo ${a", 3, "steps[0].script", "a"),
        (
            "steps:\n  - create: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {\"${k}\": v}}}", 3,
            "steps[0].create.metadata.labels.${k}", "k"
        ),
        ("variables:\n  a: ${b}\n  b: c\nsteps: [{wait: 1s}]", 3, "variables.a", "b"),
        // Saved only after the step; and not before the steps that come later.
        ("steps:\n  - script: x ${s}\n    save: {s: .output}", 3, "steps[0].script", "s"),
        (
            "steps:\n  - script: x ${s}\n  - script: go\n    save: {s: .output}\n  - script: ${s}", 3,
            "steps[0].script", "s"
        ),
        ("steps:\n  - script: ${i}\n  - script: ${i}\n    each: {i: 2}", 3, "steps[0].script", "i"),
        ("steps:\n  - each: {i: [\"${no}\"]}\n    script: ${i}", 3, "steps[0].each.i[0]", "no"),
        ("steps:\n  - wait: 1s\ncleanup:\n  - script: ${gone}", 5, "cleanup[0].script", "gone"),
        (
            "steps:\n  - steps:\n      - wait: 1s\n      - script: ${inner}", 5, "steps[0].steps[1].script",
            "inner"
        ),
        (
            "steps:\n  - apply: {apiVersion: v1, kind: A, metadata: {name: a}, m: \"${v|json}\"}", 3,
            "steps[0].apply.m", "v"
        ),
    ])
    func oneWithoutAValueIsToldWhereItStands(text: String, line: Int, path: String, name: String) {
        let error = #expect(throws: ScenarioError.self) { try read("name: x\n" + text) }
        #expect(error?.line == line, "\(error.map(String.init) ?? "")")
        #expect(error?.message == "\(path): the variable ${\(name)} has no value")
    }

    @Test func aCaseHasToGiveWhatTheOthersGive() {
        let text = "name: x\ncases: [{name: one, a: 1}, {name: two}]\nsteps:\n  - script: ${a}"
        let error = #expect(throws: ScenarioError.self) { try read(text) }
        #expect(error?.message == "steps[0].script: the variable ${a} has no value in the case \"two\"")
    }

    @Test func everythingThatHasAValueMayBeUsed() throws {
        try read(
            """
            name: x, and ${nothing} is filled in here
            variables: {b: "${a}-${namespace}", a: overridden}
            cases: [{name: one, a: "1"}, {name: two, a: "${image}"}]
            steps:
              - script: ${a} ${b}
                name: also ${not} here
                save: {s: .output}
              - each: [{c: "${s}", d: "${c}"}]
                steps:
                  - script: ${c} ${d}
                    save: {inner: .output}
              - fault: {add: "${a}", at: "node/${inner}"}
              - apply: {apiVersion: v1, kind: A, metadata: {name: a}, m: "${d|json}"}
            cleanup:
              - script: ${inner} ${s}
            """)
    }
}

@Suite("Claims")
struct ClaimTests {
    @Test(arguments: [
        (#"{"a":1,"b":{"c":[1,2,3]}}"#, #"{"b":{"c":[3,1]}}"#), (#"{"a":1}"#, #"{"a":1.0,"b":null,"c":[]}"#),
        (#"{"a":[{"n":"x","v":1},{"n":"y","v":2}]}"#, #"{"a":[{"n":"y"}]}"#),
        (#"{"a":"web-1"}"#, #"{"a":{"$pattern":"web-*"}}"#),
        (#"{"a":5}"#, #"{"a":{"$atLeast":5}}"#), (#"{"a":[1,2]}"#, #"{"a":{"$count":2}}"#),
        ("{}", #"{"a":{"$exists":false}}"#),
        (#"{"a":{"b":1}}"#, #"{"a":{"$not":{"b":2}}}"#), (#"{"a":{"b":1}}"#, #"{"a":{"$exactly":{"b":1}}}"#),
    ])
    func matches(actual: String, expected: String) throws {
        #expect(try Matcher.differences(Document(json: actual), expected: Document(json: expected)) == [])
    }

    @Test(arguments: [
        (#"{"a":1}"#, #"{"a":2}"#, "a: expected 2, found 1"),
        ("{}", #"{"a":{"b":1}}"#, #"a: expected {"b":1}, found nothing"#),
        (#"{"a":[1,1]}"#, #"{"a":[1,1,1]}"#, "a: no element like 1, the list is too short"),
        (#"{"a":[{"n":"x","v":1},{"n":"y"}]}"#, #"{"a":[{"n":"x","v":2}]}"#, "a[0].v: expected 2, found 1"),
        (
            #"{"a":[{"type":"x","s":1},{"type":"y","s":2}]}"#, #"{"a":[{"type":"y","s":3}]}"#,
            "a[y].s: expected 3, found 2"
        ),
        (#"{"a":1}"#, #"{"a":null}"#, "a: expected nothing, found 1"),
        (#"{"a":[1]}"#, #"{"a":[]}"#, "a: expected an empty list, found [1]"),
        (#"{"a":"x"}"#, #"{"a":{"$pattern":"y*"}}"#, #"a: expected $pattern "y*", found "x""#),
        (
            #"{"a":{"b":1,"c":2}}"#, #"{"a":{"$exactly":{"b":1}}}"#,
            #"a: expected $exactly {"b":1}, found {"b":1,"c":2}"#
        ),
        ("{}", #"{"a":{"$atLeast":1}}"#, "a: expected $atLeast 1, found nothing"),
    ])
    func differs(actual: String, expected: String, problem: String) throws {
        #expect(try Matcher.differences(Document(json: actual), expected: Document(json: expected)) == [problem])
    }

    @Test func patternsMatchWholeLinesAndCapture() {
        let pattern = TextPattern("hostname={pod} node={} *client={ip}")
        #expect(pattern?.names == ["pod", "ip"])
        #expect(pattern?.match("hostname=a node=n x y client=1.2.3.4") == ["pod": "a", "ip": "1.2.3.4"])
        #expect(pattern?.match("hostname=a b node=n client=1") == nil)
        #expect(pattern?.match("hostname=a node=n client=1 more") == nil)
        #expect(TextPattern("*a*b*")?.match("xxaxxaxbx") == [:])
        #expect(TextPattern("exact")?.match("exact ") == nil)
        #expect(TextPattern("open {brace") == nil)
        #expect(TextPattern("${v} {x}")?.text == "${v} {x}" && TextPattern("${v} {x}")?.names == ["x"])
    }

    @Test func countsAndDifferentValues() throws {
        let objects: [Document] = [
            ["metadata": ["name": "a"], "n": "1", "ok": true], ["metadata": ["name": "b"], "n": "1", "ok": true],
            ["metadata": ["name": "c"], "n": "2", "ok": false],
        ]
        var claim = Claim(subject: .objects(Target(kind: "Pod")))
        claim.matches = ["ok": true]
        claim.count = .exactly(2)
        #expect(Evaluator.problems(claim, .objects(objects)) == [])
        claim.distinct = [("{.n}", try JSONPath("{.n}"), Bound(least: 2))]
        #expect(
            Evaluator.problems(claim, .objects(objects)) == [
                "expected at least 2 different values of {.n}, found [\"1\"]"
            ])
        claim.distinct = []
        claim.count = .exactly(3)
        #expect(
            Evaluator.problems(claim, .objects(objects)) == [
                "expected 3 matching objects, found 2 of 3", "object c: ok: expected true, found false",
            ])
        claim.each = ["n": "1"]
        claim.matches = nil
        #expect(Evaluator.problems(claim, .objects(objects)) == ["object c: n: expected \"1\", found \"2\""])
        #expect(!Evaluator.problems(claim, .objects([])).isEmpty)
    }

    @Test func textsAndTheirLines() {
        let text = "hostname=a node=x\nhostname=b node=x\nhostname=a node=x\n"
        var claim = TextClaim()
        claim.pattern = TextPattern("hostname={pod} node={node}")
        claim.lines = .exactly(3)
        claim.distinct = [("pod", .exactly(2))]
        #expect(Evaluator.about(text, claim) == [])
        claim.distinct = [("node", Bound(least: 2))]
        #expect(Evaluator.about(text, claim) == ["expected at least 2 different values of {node}, found [\"x\"]"])
        #expect(Evaluator.about("hello\n", TextClaim(equals: "hello")) == [])
        #expect(Evaluator.about("hello\nworld\n", TextClaim(equals: "hello")).count == 1)
        #expect(Evaluator.about("hello", TextClaim(contains: ["ell", "x"])).count == 1)
    }

    @Test func variablesFillEveryText() throws {
        var variables = Variables(namespace: "ns", image: "img")
        variables.set("pod", "p-1")
        #expect(
            try variables.fill(["${pod}": ["x ${namespace}/${image}:v1", 3]] as Document) == [
                "p-1": ["x ns/img:v1", 3]
            ])
        #expect(throws: Variables.Unknown.self) { try variables.fill("${absent}") }
        #expect(try variables.fill("cost: $5 {x}") == "cost: $5 {x}")
    }
}
