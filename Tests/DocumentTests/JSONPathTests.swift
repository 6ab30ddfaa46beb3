import Document
import Testing

@Suite("JSONPath")
struct JSONPathTests {
    static let pods: Document = [
        "kind": "List",
        "items": [
            ["metadata": ["name": "a", "labels": ["app.kubernetes.io/name": "web"]], "spec": ["n": 1]],
            ["metadata": ["name": "b"], "spec": ["n": 2]],
            ["metadata": ["name": "c"], "spec": ["n": 3], "on": true],
        ],
    ]

    @Test(arguments: [
        ("{.kind}", "List"), (".kind", "List"), ("kind", "List"), ("{$.kind}", "List"),
        ("{.items[*].metadata.name}", "a b c"), ("{.items[0].metadata.name}", "a"),
        ("{.items[-1].metadata.name}", "c"), ("{.items[0:2].metadata.name}", "a b"),
        ("{.items[1:].metadata.name}", "b c"), ("{.items[::2].metadata.name}", "a c"),
        ("{.items[0,2].metadata.name}", "a c"), ("{.items[7].metadata.name}", ""),
        ("{..name}", "a b c"), ("{.items[0]['metadata']['name']}", "a"),
        ("{.items[0].metadata['name','labels']}", #"a {"app.kubernetes.io/name":"web"}"#),
        (#"{.items[0].metadata.labels.app\.kubernetes\.io/name}"#, "web"),
        (#"{.items[?(@.metadata.name=="b")].spec.n}"#, "2"), ("{.items[?(@.spec.n>=2)].metadata.name}", "b c"),
        ("{.items[?(@.spec.n!=2)].metadata.name}", "a c"), ("{.items[?(@.on)].metadata.name}", "c"),
        ("{.items[?(@.on==true)].metadata.name}", "c"),
        (#"{range .items[*]}{.metadata.name}={.spec.n}{"\n"}{end}"#, "a=1\nb=2\nc=3\n"),
        ("n: {.items[0].spec.n}, kind: {.kind}", "n: 1, kind: List"), ("{.absent.field}", ""),
        ("{.items[0].spec}", #"{"n":1}"#), ("{.items[0].spec.*}", "1"),
    ])
    func renders(path: String, text: String) throws {
        #expect(try JSONPath(path).render(on: Self.pods) == text)
    }

    @Test(arguments: ["{", "{.a", "{range .a}", "{end}", "{.a[}", "{.a[?(@.b]}", "{.a[::0]}", "{.a['x}", "{foo bar}"])
    func refuses(path: String) {
        #expect(throws: DocumentError.self) { try JSONPath(path) }
    }

    @Test func evaluatesToValues() throws {
        #expect(try JSONPath("{.items[*].spec.n}").evaluate(on: Self.pods) == [1, 2, 3])
    }
}
