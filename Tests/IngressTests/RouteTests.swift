import Basics
import Document
import Testing

@testable import Ingress

@Suite struct RouteTests {
    static func path(_ path: String, _ type: String, _ service: String) -> Document {
        [
            "path": Document(path), "pathType": Document(type),
            "backend": ["service": ["name": Document(service), "port": ["number": 80]]],
        ]
    }

    static func ingress(
        _ name: String, className: String? = "lab", created: String = "2026-01-01T00:00:00Z",
        annotations: Document = [:], _ rules: [(host: String, paths: [Document])], fallback: String? = nil,
        tls: Document = []
    ) -> Document {
        var spec: Document = ["tls": tls]
        if let className { spec["ingressClassName"] = Document(className) }
        spec["rules"] = Document(
            rules.map { rule in
                var entry: Document = ["http": ["paths": Document(rule.paths)]]
                if !rule.host.isEmpty { entry["host"] = Document(rule.host) }
                return entry
            })
        if let fallback {
            spec["defaultBackend"] = ["service": ["name": Document(fallback), "port": ["name": "web"]]]
        }
        return [
            "metadata": [
                "namespace": "default", "name": Document(name), "creationTimestamp": Document(created),
                "annotations": annotations,
            ],
            "spec": spec,
        ]
    }

    static func state(_ ingresses: Document...) -> IngressState {
        var state = IngressState()
        state.setClass("lab", ["spec": ["controller": "lab.dev/ingress"]], controller: "lab.dev/ingress")
        state.setClass("nginx", ["spec": ["controller": "k8s.io/ingress-nginx"]], controller: "lab.dev/ingress")
        for ingress in ingresses { state.setIngress("default/\(ingress.text("metadata", "name") ?? "")", ingress) }
        return state
    }

    private static func service(_ table: RouteTable, _ host: String, _ path: String) -> String? {
        RequestPlace(target: path, host: host).flatMap { table.route($0)?.backend.key.service }
    }

    /// The examples of the Kubernetes documentation on path matching.
    @Test(arguments: [
        ("Prefix", "/", "/any", true), ("Exact", "/foo", "/foo", true), ("Exact", "/foo", "/bar", false),
        ("Exact", "/foo", "/foo/", false), ("Exact", "/foo/", "/foo", false), ("Prefix", "/foo", "/foo", true),
        ("Prefix", "/foo", "/foo/", true), ("Prefix", "/foo/", "/foo", true), ("Prefix", "/foo/", "/foo/", true),
        ("Prefix", "/aaa/bb", "/aaa/bbb", false), ("Prefix", "/aaa/bbb", "/aaa/bbb", true),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", true), ("Prefix", "/aaa/bbb", "/aaa/bbb/", true),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", true), ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", false),
        ("ImplementationSpecific", "/foo", "/foo/bar", true), ("Prefix", "/foo", "/FOO", false),
        ("Prefix", "/private", "/public/../private", true), ("Exact", "/admin", "/%61dmin", true),
    ])
    func pathsMatchAsDocumented(_ type: String, _ rule: String, _ path: String, _ matches: Bool) {
        var state = Self.state(Self.ingress("a", [("", [Self.path(rule, type, "s")])]))
        #expect((Self.service(state.table(), "x", path) == "s") == matches)
    }

    @Test func theMostSpecificRuleWins() {
        var state = Self.state(
            Self.ingress(
                "a",
                [
                    (
                        "web.example",
                        [
                            Self.path("/", "Prefix", "root"), Self.path("/aaa", "Prefix", "aaa"),
                            Self.path("/aaa/bbb", "Prefix", "bbb"), Self.path("/aaa/bbb", "Exact", "exact"),
                        ]
                    ), ("*.example", [Self.path("/", "Prefix", "wild")]), ("", [Self.path("/", "Prefix", "any")]),
                    ("narrow.example", [Self.path("/only", "Prefix", "narrow")]),
                ]))
        let table = state.table()
        let expected = [
            ("web.example", "/", "root"), ("web.example", "/aaa/ccc", "aaa"), ("web.example", "/aaa/bbb", "exact"),
            ("web.example", "/aaa/bbb/", "bbb"), ("WEB.example:8080", "/ccc", "root"), ("x.example", "/", "wild"),
            // A wildcard stands for one label, and not for none.
            ("a.b.example", "/", "any"), ("example", "/", "any"), ("elsewhere", "/", "any"),
        ]
        for (host, path, service) in expected { #expect(Self.service(table, host, path) == service, "\(host)\(path)") }
        #expect(Self.service(table, "narrow.example", "/only/a") == "narrow")
        #expect(Self.service(table, "narrow.example", "/other") == nil)
    }

    @Test func theOlderOfTwoThatSayTheSameCounts() {
        let younger = Self.ingress("a", created: "2026-02-01T00:00:00Z", [("h", [Self.path("/", "Prefix", "younger")])])
        let older = Self.ingress("b", created: "2026-01-01T00:00:00Z", [("h", [Self.path("/", "Prefix", "older")])])
        var state = Self.state(younger, older)
        #expect(Self.service(state.table(), "h", "/") == "older")
        state.setIngress("default/b", nil)
        #expect(Self.service(state.table(), "h", "/") == "younger")
    }

    @Test func onlyOurClassesCount() {
        let rules = [(host: "h", paths: [Self.path("/", "Prefix", "s")])]
        #expect(Self.state(Self.ingress("a", className: "nginx", rules)).own.isEmpty)
        #expect(Self.state(Self.ingress("a", className: nil, rules)).own.isEmpty)
        #expect(Self.state(Self.ingress("a", rules)).own.count == 1)
        let old = Self.ingress("a", className: nil, annotations: ["kubernetes.io/ingress.class": "lab"], rules)
        #expect(Self.state(old).own.count == 1)
        var state = Self.state(Self.ingress("a", rules))
        state.setClass("lab", nil, controller: "lab.dev/ingress")
        #expect(state.own.isEmpty && !state.isEmpty)
    }

    @Test func defaultBackendsTakeWhatNoRuleTakes() {
        var state = Self.state(
            Self.ingress("rules", [("h", [Self.path("/a", "Prefix", "a")])], fallback: "own"),
            Self.ingress("bare", [("g", [Self.path("/a", "Prefix", "a")])]),
            Self.ingress("catch", [], fallback: "all"))
        let table = state.table()
        #expect(Self.service(table, "h", "/a") == "a")
        #expect(Self.service(table, "h", "/b") == "own")
        #expect(Self.service(table, "g", "/b") == "all")
        #expect(Self.service(table, "elsewhere", "/") == "all")
    }

    private static let slice: Document = [
        "metadata": ["namespace": "default", "name": "s-1", "labels": ["kubernetes.io/service-name": "s"]],
        "addressType": "IPv4", "ports": [["name": "web", "port": 8080, "protocol": "TCP"]],
        "endpoints": [
            ["addresses": ["10.244.0.1"]], ["addresses": ["10.244.0.2"], "conditions": ["ready": true]],
            ["addresses": ["10.244.0.3"], "conditions": ["ready": false, "serving": true]],
            ["addresses": ["10.244.0.4"], "conditions": ["ready": false, "serving": false]],
        ],
    ]

    @Test func backendsFollowTheirEndpoints() throws {
        var state = Self.state(Self.ingress("a", [("h", [Self.path("/", "Prefix", "s")])], fallback: "s"))
        let table = state.table()
        let place = try #require(RequestPlace(target: "/", host: "h"))
        let route = try #require(table.route(place))
        #expect(route.backend.all.isEmpty)
        state.setSlice("default/s-1", Self.slice)
        #expect(route.backend.all.isEmpty, "without the service nobody knows which port is meant")
        state.setService("default/s", ["spec": ["ports": [["port": 80, "name": "web"], ["port": 81, "name": "x"]]]])
        // The table that was made before sees it.
        #expect(route.backend.all.map(\.description) == ["10.244.0.1:8080", "10.244.0.2:8080"])
        #expect(Set(route.backend.next(3)).count == 2)
        #expect(route.backend.next(1) != route.backend.next(1))
        // A new table keeps the same backends.
        let again = try #require(state.table().route(place))
        #expect(again.backend === route.backend)
        var ending = Self.slice
        ending["endpoints"] = Document(Self.slice.list("endpoints").suffix(2))
        state.setSlice("default/s-1", ending)
        #expect(route.backend.all.map(\.description) == ["10.244.0.3:8080"], "who still serves is better than nobody")
        state.setSlice("default/s-1", nil)
        #expect(route.backend.all.isEmpty)
    }

    @Test func optionsOfAnIngress() throws {
        let idiom = Self.path("/app(/|$)(.*)", "ImplementationSpecific", "s")
        let secure: Document = [["hosts": ["h", "*.wild"], "secretName": "cert"]]
        var state = Self.state(
            Self.ingress(
                "a",
                annotations: [
                    "nginx.ingress.kubernetes.io/rewrite-target": "/$2",
                    "nginx.ingress.kubernetes.io/proxy-body-size": "8m", "lab.dev/proxy-read-timeout": "5",
                    "nginx.ingress.kubernetes.io/canary": "true", "unrelated": "x",
                ], [("h", [idiom]), ("a.wild", [Self.path("/", "Prefix", "s")]), ("plain", [idiom])], tls: secure))
        let table = state.table()
        func route(_ host: String, _ path: String) throws -> IngressRoute {
            let place = try #require(RequestPlace(target: path, host: host))
            return try #require(table.route(place))
        }
        let found = try route("h", "/app/x/y?z=1")
        #expect(found.redirectsToTLS && found.bodyLimit == 8 << 20 && found.readTime == .seconds(5))
        for (path, rewritten) in [
            ("/app/x/y?z=1", "/x/y?z=1"), ("/app", "/"), ("/app/", "/"), ("/app/a%20b", "/a%20b"),
        ] {
            let place = try #require(RequestPlace(target: path, host: "h"))
            #expect(try route("h", path).rewrite?.apply(to: place) == rewritten)
        }
        #expect(try route("a.wild", "/").redirectsToTLS)
        #expect(try !route("plain", "/app").redirectsToTLS)
        #expect(state.secrets == ["default/cert"])
        #expect(state.own[0].remarks == ["annotation nginx.ingress.kubernetes.io/canary has no effect here"])
        for (text, size) in [("0", 0), ("10", 10), ("1k", 1024), ("2M", 2 << 20)] {
            #expect(IngressRules.size(text) == size)
        }
        for text in ["", "m", "-1", "1x", "99999999999999"] { #expect(IngressRules.size(text) == nil) }
    }
}
