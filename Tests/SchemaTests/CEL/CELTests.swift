import Document
import Testing

@testable import Schema

@Suite struct CELTests {
    private func problem(_ source: String, _ environment: CEL.Environment = CEL.Environment()) -> String {
        do {
            _ = try environment.compile(source)
            return ""
        } catch { return error.description }
    }

    private func value(
        _ source: String, _ bindings: CEL.Bindings = [:], _ types: [(String, CEL.ValueType)] = []
    ) throws -> String {
        var environment = CEL.Environment(library: .all)
        for (name, type) in types { environment.declare(name, type) }
        switch try environment.compile(source).evaluate(bindings).result {
        case .success(let value): return CEL.Conversion.text(value)
        case .failure(let failure): return "error: \(failure.message)"
        }
    }

    private static let starters =
        "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

    @Test(arguments: [
        ("1 +", "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting \(starters)\n | 1 +\n | ...^"),
        ("nope == 1", "ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope == 1\n | ^"),
        (
            "nofunc(1)",
            "ERROR: <input>:1:7: undeclared reference to 'nofunc' (in container '')\n | nofunc(1)\n | ......^"
        ),
        ("'a'.", "ERROR: <input>:1:5: Syntax error: no viable alternative at input '.'\n | 'a'.\n | ....^"),
        (
            "1 == 'x'",
            "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, string)'\n | 1 == 'x'\n | ..^"
        ),
        (
            "'a'.contains('x'",
            "ERROR: <input>:1:17: Syntax error: missing ')' at '<EOF>'\n | 'a'.contains('x'\n | ................^"
        ),
        (
            "Object{",
            "ERROR: <input>:1:8: Syntax error: mismatched input '<EOF>' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}\n | Object{\n | .......^"
        ),
        ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
        ("'a'.matches('(')", "ERROR: <input>:1:13: invalid matches argument\n | 'a'.matches('(')\n | ............^"),
        (
            "1 in 2",
            "ERROR: <input>:1:3: found no matching overload for '@in' applied to '(int, int)'\n | 1 in 2\n | ..^"
        ),
        (
            "'a'.size(1)",
            "ERROR: <input>:1:9: found no matching overload for 'size' applied to 'string.(int)'\n | 'a'.size(1)\n | ........^"
        ),
        ("[1].all(2, true)", "ERROR: <input>:1:9: argument must be a simple name\n | [1].all(2, true)\n | ........^"),
    ])
    func messages(source: String, message: String) { #expect(problem(source) == message) }

    @Test(arguments: [
        ("{'a': 1}.a + 1", "2"),
        ("[1, 2, 3].map(x, x * 2).filter(y, y > 2).sum()", "10"),
        ("has({'a': 1}.b)", "false"),
        ("{'a': {'b': 2}}.?a.?c.orValue(7)", "7"),
        ("cel.bind(x, 5, x * x)", "25"),
        ("{'a': 1, 'b': 2}.transformList(k, v, k + string(v)).join(',')", "a1,b2"),
        ("1 / 0 == 1 || true", "true"),
        ("1 / 0 == 1 || false", "error: division by zero"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("'foo123'.find('[0-9]+')", "123"),
        ("'a1b22'.findAll('[0-9]+').join('-')", "1-22"),
        ("quantity('1.5Gi').isGreaterThan(quantity('1G'))", "true"),
        (
            "quantity('x')",
            "error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ),
        ("ip('10.1.2.3').family()", "4"),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"),
        ("cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')", "true"),
        ("url('https://x.example:80/a%20b?q=1').getHostname()", "x.example"),
        ("url('https://x.example:80/a?q=1').getQuery()['q'][0]", "1"),
        ("semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))", "true"),
        ("semver('v1.2', true).minor()", "2"),
        ("format.dns1123Label().validate('A-').hasValue()", "true"),
        ("jsonpatch.escapeKey('a/b~c')", "a~1b~0c"),
        ("'%s is %d'.format([dyn('x'), 3])", "x is 3"),
        ("timestamp('2024-02-29T12:00:00Z').getDayOfWeek()", "4"),
        ("duration('1h30m').getMinutes()", "90"),
        ("[3, 1, 2].sort().map(x, string(x)).join('')", "123"),
        ("['ccc', 'a', 'bb'].sortBy(x, size(x)).join(',')", "a,bb,ccc"),
        ("sets.contains([1, 2, 3], [2, 3])", "true"),
        ("{'a': null}.a == null", "true"),
        ("1u < 2 && 1.5 < 2", "true"),
    ])
    func values(source: String, result: String) throws { #expect(try value(source) == result) }

    @Test func documents() throws {
        let object = try Document(json: #"{"metadata":{"name":"x"},"spec":{"n":[1,2,3],"s":"a"}}"#)
        let bindings: CEL.Bindings = ["object": CEL.Value(object)]
        #expect(
            try value("object.spec.n.all(x, x > 0) && object.metadata.name == 'x'", bindings, [("object", .dyn)])
                == "true")
        #expect(try value("object.spec.missing", bindings, [("object", .dyn)]) == "error: no such key: missing")
        #expect(try value("object.spec.n[5]", bindings, [("object", .dyn)]) == "error: index out of bounds: 5")
    }

    @Test func schemas() throws {
        let schema = try Document(
            json: #"""
                {"type":"object","properties":{"names":{"type":"array","maxItems":10,"x-kubernetes-list-type":"set",
                "items":{"type":"string","maxLength":5}},"at":{"type":"string","format":"date-time"},
                "for":{"type":"integer"}}}
                """#)
        let type = try #require(CEL.DeclaredType.schema(schema))
        let environment = CEL.Environment().declaring("self", type)
        #expect(problem("self.nope", environment).contains("undefined field 'nope'"))
        let program = try environment.compile("self.names.all(n, n.startsWith('a')) && self.__for__ > 1")
        #expect(program.resultType == .bool)
        #expect(program.estimatedCost.max < 1000)
        let object = try Document(json: #"{"names":["ab"],"at":"2024-01-01T00:00:00Z","for":2}"#)
        #expect(try program.evaluate(["self": CEL.Value(object, as: type)]).get().bool == true)
        let time = try environment.compile("self.at.getFullYear() == 2024 && self.names == ['ab']")
        #expect(try time.evaluate(["self": CEL.Value(object, as: type)]).get().bool == true)
    }

    @Test func limits() throws {
        let environment = CEL.Environment()
        let program = try environment.compile("lists.range(1000).all(x, lists.range(1000).all(y, x >= 0))")
        let evaluation = program.evaluate([:], costLimit: 10_000)
        #expect(evaluation.cost < 20_000)
        #expect(throws: CEL.Failure.costLimit) { try evaluation.get() }
        #expect(
            problem(String(repeating: "(", count: 300) + "1" + String(repeating: ")", count: 300)).contains("recursion")
        )
        #expect(problem(String(repeating: "[", count: 300)).contains("recursion"))
    }

    /// Whatever doubles with every step must cost, or it would take all memory.
    @Test(arguments: [
        "[[1, 2]]" + String(repeating: ".map(a, a + a)", count: 60) + ".size() > 0",
        "[dyn('ab')]" + String(repeating: ".map(a, a + a)", count: 60) + ".size() > 0",
        "['ab']" + String(repeating: ".map(a, a.replace('', a))", count: 20) + ".size() > 0",
        "lists.range(1000000000).size() > 0",
        "[{1: 1}]" + String(repeating: ".map(a, {'k': {'x': a, 'y': [a]}})", count: 60) + ".size() > 0",
        "duration('1h') < duration('9223372036854775808h')", "quantity('1e-9223372036854775808').sign() > 0",
        "timestamp('2024-01-01T00:00:00Z').getHours('-9223372036854775808:00') > 0",
        "-9223372036854775808 / -1 > 0", "-(-9223372036854775808) > 0", "int(1e300) > 0",
        "[1][9223372036854775807] > 0",
        "timestamp('9999-12-31T23:59:59Z') + duration('2000000h') > timestamp(0)",
    ])
    func excessEndsInAnError(source: String) {
        let environment = CEL.Environment(library: .all)
        guard let program = try? environment.compile(source) else { return }
        _ = program.evaluate().result
    }

    /// No text makes the compiler or an evaluation trap.
    @Test func damagedExpressionsAreRefusedOrEvaluated() throws {
        let seeds = [
            "object.spec.containers.all(c, has(c.image) && c.image.matches('^a+$'))",
            "{'a': [1, 2u, 3.5e1], ?'b': optional.none()}['a'].map(x, x > 1, string(x)).join(',')",
            "'%s %.3f'.format([timestamp('2024-01-01T00:00:00Z'), 1.5]) + r'\\n' + \"\"\"x\"\"\"",
            "cidr('10.0.0.0/8').containsIP(ip('::1')) ? url('http://a/b?c').getPort() : semver('1.2.3').major()",
            "object.?a[?0].orValue(duration('1h')).getHours() - 0x1F % -3",
        ].map { Array($0.unicodeScalars) }
        var state: UInt64 = 42
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let environment = CEL.Environment(library: .all).declaring("object", .dyn)
        let object = try Document(json: #"{"spec":{"containers":[{"image":"aaa"}]},"a":[1]}"#)
        var compiled = 0
        for _ in 0..<3000 {
            var text = seeds[next(seeds.count)]
            for _ in 0...next(4) {
                let place = next(text.count)
                switch next(3) {
                case 0: text.remove(at: place)
                case 1: text.insert(seeds[next(seeds.count)][0], at: place)
                default: text.swapAt(place, next(text.count))
                }
                if text.isEmpty { text = seeds[0] }
            }
            guard let program = try? environment.compile(CEL.StringFunctions.text(text)) else { continue }
            compiled += 1
            _ = program.evaluate(["object": CEL.Value(object)]).result
        }
        #expect(compiled > 10)
    }

    @Test func loopsStayLinear() throws {
        let program = try CEL.Environment().compile("lists.range(5000).map(x, x + 1).filter(x, x > 10).size()")
        let evaluation = program.evaluate()
        guard case .int(4_990) = try evaluation.get() else {
            Issue.record("\(evaluation.result)")
            return
        }
    }

    @Test(arguments: [
        ("^a+$", "aaa", true), ("^(a|b)*c$", "ababc", true), ("a{2,3}", "a", false), (#"\d+\.\d+"#, "1.25", true),
        ("(?i)HELLO", "say hello", true), (#"^[\w-]+$"#, "a-b_c", true),
        ("(a*)*b", String(repeating: "a", count: 1000), false),
        (#"\bword\b"#, "a word.", true), ("[^a-c]", "abc", false), (#"\p{Lu}"#, "aB", true),
    ])
    func regularExpressions(pattern: String, text: String, matches: Bool) throws {
        #expect(try CEL.Regex(pattern).matches(text) == matches)
    }

    @Test(arguments: [
        ("(", "missing closing ): `(`"), ("*a", "missing argument to repetition operator: `*`"),
        ("[a", "missing closing ]: `[a`"),
    ])
    func badExpressions(pattern: String, message: String) {
        #expect(throws: CEL.Regex.SyntaxError(message: message)) { try CEL.Regex(pattern) }
    }

    @Test func authorizer() throws {
        let environment = CEL.Environment().declaring("authorizer", CEL.AuthorizerValue.authorizerType)
        let program = try environment.compile(
            "authorizer.group('').resource('secrets').namespace('a').check('list').allowed()")
        let value = CEL.AuthorizerValue { query in
            CEL.AuthorizationDecision(
                allowed: query.resource == "secrets" && query.namespace == "a" && query.verb == "list")
        }
        #expect(try program.evaluate(["authorizer": .opaque(value)]).get().bool == true)
    }
}
