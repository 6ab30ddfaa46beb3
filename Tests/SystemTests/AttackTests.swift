import Basics
import Client
import Document
import Glibc
import Kinds
import Linux
import Testing
import Wire

/// A real server among clients that break the protocol, send rubbish, stall, or never read. It answers where HTTP
/// allows an answer, keeps its memory and its descriptors, and serves everybody else meanwhile.
@Suite(.serialized, .enabled(if: Machine.binary != nil, "\(ServerProcess.why)"))
struct AttackTests {
    private func attack(
        _ purpose: String, _ body: @escaping @Sendable (RawClient, pid_t) async throws -> Void
    ) async throws {
        let server = ServerProcess(purpose)
        defer { server.remove() }
        try server.start()
        let access = try server.access
        let pid = server.pid
        // The first request makes what stays, such as the token key.
        try await EventLoop.runOnThread { loop in
            let client = try RawClient(access, world: .live(loop))
            _ = try await client.api.list(.namespaces)
            try await client.world.clock.sleep(for: .milliseconds(200))
        }
        let files = server.openFiles
        let memory = server.resident
        try await EventLoop.runOnThread { loop in
            let client = try RawClient(access, world: .live(loop))
            try await body(client, pid)
            #expect(try await client.api.list(.namespaces).list("items").count >= 4, "still serving")
        }
        // Connections end a moment after their clients.
        for _ in 0..<300 where server.openFiles > files { usleep(100_000) }
        #expect(server.openFiles <= files, "descriptors: \(files) before, \(server.openFiles) after")
        let growth = server.resident - memory
        #expect(growth < 300, "memory: \(memory) MiB before, \(memory + growth) MiB after")
        #expect(server.isRunning)
        let outcome = server.stop()
        #expect(outcome?.code == 0, "\(String(describing: outcome))")
    }

    // MARK: Protocol

    private static let brokenProtocol: [(name: String, bytes: [UInt8], status: Int)] = {
        func raw(_ text: String) -> [UInt8] { Array(text.utf8) }
        let many = (0..<400).map { "X-\($0): y\r\n" }.joined()
        let long = String(repeating: "a", count: 300 << 10)
        return [
            ("no request line", raw("rubbish\r\n\r\n"), 400),
            ("binary", [0, 1, 2, 255, 254, 13, 10, 13, 10], 400),
            ("another version", raw("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505),
            ("no host", raw("GET / HTTP/1.1\r\n\r\n"), 400),
            ("two hosts", raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400),
            ("two lengths", raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400),
            ("negative length", raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), 400),
            (
                "length and chunks",
                raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400
            ),
            ("another coding", raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501),
            ("a folded line", raw("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"), 400),
            ("a blank before the colon", raw("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400),
            ("a NUL in a field", raw("GET / HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n"), 400),
            ("an unknown expectation", raw("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"), 417),
            ("many fields", raw("GET / HTTP/1.1\r\nHost: a\r\n\(many)\r\n"), 431),
            ("a long target", raw("GET /\(long) HTTP/1.1\r\nHost: a\r\n\r\n"), 431),
            ("a head without end", raw("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)"), 431),
            (
                "a length beyond all limits", raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n"),
                413
            ),
            (
                "a length of 19 digits",
                raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n"), 400
            ),
            (
                "a chunk without size", raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
                400
            ),
            (
                "a chunk beyond all limits",
                raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n"), 413
            ),
            (
                "a chunk of 16 digits",
                raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"), 400
            ),
            (
                "a chunk longer than its size",
                raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"), 400
            ),
        ]
    }()

    @Test func aBrokenProtocolIsAnswered() async throws {
        try await attack("protocol") { client, _ in
            for (name, bytes, status) in Self.brokenProtocol {
                let answer = try await client.attempt(bytes)
                #expect(answer.status == status, "\(name): \(answer.status) \(answer.text.prefix(200))")
            }
            // What ends too early gets an answer too where only the client's direction has ended.
            for text in ["POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"] {
                #expect(try await client.attempt(Array(text.utf8), finish: true).status == 400)
            }
            // Rubbish instead of TLS is no request: the connection ends.
            for bytes in [Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0x16, count: 5_000)] {
                let connection = try await client.plain()
                defer { connection.close() }
                try await connection.write(bytes)
                try await connection.finishWriting()
                _ = try await client.answersOfAnyKind(connection)
            }
        }
    }

    // MARK: Bodies

    private static func bodies() -> [(name: String, bytes: [UInt8], type: String, statuses: Set<Int>)] {
        let json = "application/json"
        let yaml = "application/yaml"
        func map(_ rest: String) -> [UInt8] {
            Array("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"}\(rest)}".utf8)
        }
        func nested(_ open: String, _ close: String, _ depth: Int) -> String {
            String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
        }
        // Ten levels of ten references each: ten thousand million values, if anybody wrote them out.
        var bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for level in 1...10 {
            let before = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            bomb += "a\(level): &a\(level) [\(before)]\n"
        }
        return [
            ("nothing", [], json, [400, 422]),
            ("half an object", map("").dropLast(5) + [], json, [400]),
            ("no object", Array("[1, 2]".utf8), json, [400]),
            ("null", Array("null".utf8), json, [400, 422]),
            ("bad UTF-8", map(",\"data\":{\"a\":\"") + [0xFF, 0xC3, 0x28] + Array("\"}}".utf8), json, [400]),
            ("a lone surrogate", map(",\"data\":{\"a\":\"\\ud800\"}"), json, [201, 400, 422]),
            ("repeated names", map(",\"metadata\":{\"name\":\"y\"}"), json, [201, 400]),
            ("nesting", Array(nested("[", "]", 200_000).utf8), json, [400]),
            ("nested objects", map(",\"data\":" + nested("{\"a\":", "}", 100_000)), json, [400]),
            ("nesting that is allowed", map(",\"data\":" + nested("{\"a\":", "}", 890)), json, [400, 422]),
            ("a huge number", map(",\"x\":1e999999999"), json, [201, 400]),
            ("a long name", map(",\"data\":{\"\(String(repeating: "k", count: 100_000))\":\"\"}"), json, [422]),
            ("3 MiB and more", map(",\"data\":{\"a\":\"\(String(repeating: "x", count: 4 << 20))\"}"), json, [413]),
            ("deep YAML", Array(String(repeating: "[", count: 100_000).utf8), yaml, [400]),
            ("deep YAML by indentation", Array(String(repeating: "- ", count: 100_000).utf8), yaml, [400]),
            ("a YAML bomb", Array(bomb.utf8), yaml, [400]),
            ("YAML rubbish", Array("a: b: c: [}".utf8), yaml, [400]),
            (
                "protobuf rubbish", Array("k8s\u{0}".utf8) + [0xFF, 0xFF, 0x03], "application/vnd.kubernetes.protobuf",
                [400]
            ),
            ("JSON as protobuf", map(""), "application/vnd.kubernetes.protobuf", [400]),
            ("another type", map(""), "text/plain", [415]),
            ("a form", Array("a=b".utf8), "application/x-www-form-urlencoded", [415]),
        ]
    }

    @Test func brokenBodiesAreAnswered() async throws {
        try await attack("bodies") { client, _ in
            for (name, bytes, type, statuses) in Self.bodies() {
                let target = "/api/v1/namespaces/default/configmaps"
                let answer = try await client.attempt(client.request("POST", target, type: type, bytes))
                #expect(statuses.contains(answer.status), "\(name): \(answer.status) \(answer.text.prefix(300))")
                if answer.status == 201 {
                    let name = try Document(json: answer.body).text("metadata", "name") ?? ""
                    _ = try await client.api.delete(.configMaps, namespace: "default", name: name)
                }
                #expect((try? Document(json: answer.body)) != nil, "\(name): \(answer.text.prefix(300))")
            }
        }
    }

    @Test func brokenPatchesAndQueriesAreAnswered() async throws {
        try await attack("patches") { client, _ in
            _ = try await client.api.create(.configMaps, KillTests.object("subject", "1"))
            let target = "/api/v1/namespaces/default/configmaps/subject"
            let operation = "{\"op\":\"add\",\"path\":\"/data/x\",\"value\":\"y\"}"
            let operations = "[" + Array(repeating: operation, count: 10_001).joined(separator: ",") + "]"
            let deep = String(repeating: "{\"data\":", count: 5_000) + "1" + String(repeating: "}", count: 5_000)
            // Each copy doubles the document.
            let copies =
                "["
                + Array(
                    repeating: "{\"op\":\"copy\",\"from\":\"/data\",\"path\":\"/data/x\"}", count: 60
                ).joined(separator: ",") + "]"
            let patches: [(String, String, Set<Int>)] = [
                ("application/json-patch+json", Self.doublingDepth, [422]),
                ("application/json-patch+json", "{}", [400]),
                ("application/json-patch+json", "[{\"op\":\"x\"}]", [400, 422]),
                ("application/json-patch+json", operations, [413]),
                ("application/json-patch+json", copies, [400, 413, 422]),
                ("application/json-patch+json", "[{\"op\":\"remove\",\"path\":\"\"}]", [400, 422, 500]),
                ("application/merge-patch+json", deep, [400]), ("application/merge-patch+json", "[]", [400, 422]),
                ("application/merge-patch+json", "{\"metadata\":null}", [400, 409, 422]),
                ("application/strategic-merge-patch+json", "{\"$patch\":\"x\"}", [400, 422, 500]),
                ("application/apply-patch+yaml", "a: [", [400]), ("text/plain", "{}", [415]),
            ]
            for (type, body, statuses) in patches {
                let query = type.contains("apply") ? "?fieldManager=m" : ""
                let answer = try await client.attempt(
                    client.request("PATCH", target + query, type: type, Array(body.utf8)))
                #expect(
                    statuses.contains(answer.status),
                    "\(type) \(body.prefix(60)): \(answer.status) \(answer.text.prefix(300))")
            }
            let queries = [
                "labelSelector=%zz", "labelSelector=a%20in%20(", "fieldSelector=%00", "limit=-1", "limit=x",
                "resourceVersion=x", "resourceVersion=99999999999999999999999", "continue=rubbish", "timeoutSeconds=x",
                "labelSelector=" + String(repeating: "a,", count: 20_000), "watch=true&resourceVersion=-5", "%=%&=&&?",
            ]
            for query in queries {
                let answer = try await client.attempt(client.request("GET", "/api/v1/configmaps?\(query)", []))
                #expect(
                    (200..<505).contains(answer.status),
                    "\(query.prefix(60)): \(answer.status) \(answer.text.prefix(200))")
            }
        }
    }

    /// An object that is taken is put into accounts of fields, lists and events. However deep it is, these must be
    /// readable: an object that cannot be read can never be changed or deleted again.
    @Test func whatIsTakenCanBeChangedAndDeleted() async throws {
        try await attack("depth") { client, _ in
            let version: Document = [
                "name": "v1", "served": true, "storage": true,
                "schema": ["openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]],
            ]
            let definition: Document = [
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": ["name": "deeps.test.io"],
                "spec": [
                    "group": "test.io", "scope": "Namespaced", "names": ["plural": "deeps", "kind": "Deep"],
                    "versions": [version],
                ],
            ]
            _ = try await client.api.create(.customResourceDefinitions, definition)
            let deeps = ResourceType(group: "test.io", plural: "deeps", kind: "Deep")
            try await client.within {
                while (try? await client.api.list(deeps, namespace: "default")) == nil {
                    try await client.world.clock.sleep(for: .milliseconds(50))
                }
            }
            var taken = 0
            for depth in [1, 500] + Array(880...1_010) {
                let value = String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
                let body =
                    "{\"apiVersion\":\"test.io/v1\",\"kind\":\"Deep\",\"metadata\":{\"name\":\"x\"},\"spec\":\(value)}"
                let target = "/apis/test.io/v1/namespaces/default/deeps?fieldManager=m"
                let made = try await client.attempt(client.request("POST", target, Array(body.utf8)))
                guard made.status == 201 else {
                    #expect(made.status == 400 && depth > 880, "\(depth): \(made.status) \(made.text.prefix(300))")
                    continue
                }
                taken += 1
                let deep = "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"more\":\(value)}"
                let patched = try await client.attempt(
                    client.request(
                        "PATCH", "/apis/test.io/v1/namespaces/default/deeps/x?fieldManager=n",
                        type: "application/merge-patch+json", Array(deep.utf8)))
                #expect(patched.status == 200, "\(depth): \(patched.status) \(patched.text.prefix(300))")
                let list = try await client.api.list(deeps, namespace: "default", labelSelector: "a=b")
                #expect(list.list("items").count == 1)
                _ = try await client.api.delete(deeps, namespace: "default", name: "x")
            }
            #expect(taken > 10)
        }
    }

    /// What a client names comes back in warnings: they neither end the header's line nor fill the head.
    @Test func warningsStayWithinTheirHeader() async throws {
        try await attack("warnings") { client, _ in
            for name in ["a\\r\\nX-Injected: yes\\r\\n\\r\\nrubbish", String(repeating: "n", count: 200_000)] {
                let body = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"w\"},\"\(name)\":1}"
                let request = client.request(
                    "POST", "/api/v1/namespaces/default/configmaps?dryRun=All", Array(body.utf8))
                let connection = try await client.open()
                defer { connection.close() }
                try await connection.write(request)
                var parser = HTTPParser(.responses)
                var head: HTTPHead?
                while head == nil {
                    parser.feed(try await connection.read(atMost: 64 << 10))
                    if case .head(let found)? = try parser.next() { head = found }
                }
                #expect(head?.status == 201)
                #expect(head?.headers["X-Injected"] == nil)
                let warning = head?.headers["Warning"] ?? ""
                #expect(warning.hasPrefix("299 - \"unknown field") && warning.count < 5_000, "\(warning.prefix(300))")
            }
        }
    }

    /// Each copy puts the value into its own deepest place.
    private static var doublingDepth: String {
        var path = "/metadata/annotations"
        var operations = ["{\"op\":\"add\",\"path\":\"\(path)\",\"value\":{\"a\":{}}}"]
        for _ in 0..<14 {
            operations.append("{\"op\":\"copy\",\"from\":\"/metadata/annotations\",\"path\":\"\(path)/a\"}")
            path += path.dropFirst("/metadata/annotations".count) + "/a"
        }
        return "[" + operations.joined(separator: ",") + "]"
    }

    // MARK: Connections

    @Test func stalledConnectionsHoldUpNobody() async throws {
        try await attack("stalled") { client, _ in
            let beginnings = [
                "", "GET ", "GET / HTTP/1.1\r\nHost: a\r\nX: ",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            ]
            var stalled: [any Connection] = []
            for number in 0..<150 {
                let connection = try await client.open()
                try await connection.write(Array(beginnings[number % beginnings.count].utf8))
                stalled.append(connection)
            }
            // Byte by byte is slow, and not wrong.
            let slow = try await client.open()
            for byte in "GET /version HTTP/1.1\r\nHost: a\r\n\r\n".utf8 { try await slow.write([byte]) }
            #expect(try await client.answers(on: slow).first?.status == 200)
            stalled.append(slow)
            for number in 0..<20 {
                _ = try await client.within(.seconds(20)) {
                    try await client.api.create(.configMaps, KillTests.object("meanwhile-\(number)", "x"))
                }
            }
            for connection in stalled { connection.close() }
        }
    }

    @Test func thousandsOfIdleConnectionsAreServed() async throws {
        try await attack("idle") { client, pid in
            var limit = rlimit()
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            getrlimit(resource, &limit)
            limit.rlim_cur = limit.rlim_max
            setrlimit(resource, &limit)
            var idle: [any Connection] = []
            defer { for connection in idle { connection.close() } }
            for _ in 0..<1_900 { idle.append(try await client.plain()) }
            for _ in 0..<100 { idle.append(try await client.open()) }
            for _ in 0..<5 { _ = try await client.within(.seconds(20)) { try await client.api.list(.namespaces) } }
            // One of the idle ones wakes up.
            let last = idle[1_999]
            try await last.write(Array("GET /version HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            #expect(try await client.answers(on: last).first?.status == 200)
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await attack("pipelined") { client, _ in
            let connection = try await client.open()
            defer { connection.close() }
            var bytes: [UInt8] = []
            for number in 0..<200 {
                bytes += client.request("GET", "/api/v1/namespaces/default/configmaps/none-\(number)", [])
            }
            try await connection.write(bytes)
            let answers = try await client.answers(200, on: connection)
            #expect(answers.count == 200)
            for (number, answer) in answers.enumerated() where !answer.text.contains("none-\(number)\\\"") {
                Issue.record("answer \(number) is \(answer.status) \(answer.text)")
            }
            // A client that has said all it wants still gets its answer.
            let half = try await client.open()
            defer { half.close() }
            try await half.write(client.request("GET", "/version", []))
            try await half.finishWriting()
            #expect(try await client.answers(on: half).first?.status == 200)
        }
    }

    @Test func readersThatDoNotReadCostLittle() async throws {
        try await attack("readers") { client, _ in
            // 12 MiB of objects, asked for by clients that never read a byte.
            var large = KillTests.object("x", "1")
            large.set(Document(String(repeating: "x", count: 200_000)), at: "data", "large")
            for number in 0..<60 {
                large.set(Document("large-\(number)"), at: "metadata", "name")
                _ = try await client.api.create(.configMaps, large)
            }
            var stuck: [any Connection] = []
            defer { for connection in stuck { connection.close() } }
            for number in 0..<40 {
                let connection = try await client.open()
                let query = number % 2 == 0 ? "" : "?watch=true&resourceVersion=1"
                try await connection.write(client.request("GET", "/api/v1/configmaps\(query)", []))
                stuck.append(connection)
            }
            // 60 MiB of events pass the watchers that do not read.
            for number in 0..<300 {
                let patch: Document = ["data": ["value": Document("\(number)")]]
                _ = try await client.within(.seconds(30)) {
                    try await client.api.patch(.configMaps, namespace: "default", name: "large-\(number % 60)", patch)
                }
            }
        }
    }
}

extension RawClient {
    /// Reads until the server closes, whatever it says.
    func answersOfAnyKind(_ connection: any Connection) async throws -> [UInt8] {
        try await within {
            var all: [UInt8] = []
            while let bytes = try? await connection.read(atMost: 64 << 10), !bytes.isEmpty { all += bytes }
            return all
        }
    }
}
