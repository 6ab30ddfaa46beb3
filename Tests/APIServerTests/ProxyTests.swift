import Basics
import Document
import Testing
import Wire

@testable import APIServer

/// Requests that go through the server to pods and Services.
@Suite struct ProxyTests {
    private let links = ProxyLinks(
        prefix: "/api/v1/namespaces/n/pods/p/proxy", farHost: "10.0.0.1:80", nearHost: "localhost:8001")

    @Test func linksOfTheFarServerPointBelowTheProxy() {
        let cases = [
            ("/x/y", links.prefix + "/x/y"), ("x/y", "x/y"), ("http://10.0.0.1:80/x", links.prefix + "/x"),
            ("//10.0.0.1:80/x", links.prefix + "/x"), ("https://other/x", "https://other/x"),
            ("mailto:a@b", "mailto:a@b"), ("http://localhost:8001/x", "http://localhost:8001\(links.prefix)/x"),
            (links.prefix + "/x", links.prefix + "/x"), ("#part", "#part"), ("", ""),
        ]
        for (link, expected) in cases { #expect(links.rewritten(link) == expected, "\(link)") }
    }

    @Test func onlyLinksInTagsAreRewritten() {
        let page = """
            <!-- <a href="/no"> --><A class=x HREF='/yes'>/text</A><img src=/pic.png><p href="/no">
            <script src="/s.js">var a = '<a href="/no">'</script><a>
            """
        let expected = """
            <!-- <a href="/no"> --><A class=x HREF='\(links.prefix)/yes'>/text</A><img src=\(links.prefix)/pic.png><p \
            href="/no">
            <script src="\(links.prefix)/s.js">var a = '<a href="/no">'</script><a>
            """
        #expect(String(decoding: links.rewritten(page: Array(page.utf8)), as: UTF8.self) == expected)
        for broken in ["<", "<a", "<a href", "<a href=", "<a href='/x", "<!--", "<script>"] {
            _ = links.rewritten(page: Array(broken.utf8))
        }
    }

    @Test func namesMaySayPortAndScheme() {
        #expect(ProxyTarget.Reference("p")?.port == "")
        #expect(ProxyTarget.Reference("p:80")?.port == "80")
        #expect(ProxyTarget.Reference("https:p:80")?.scheme == "https")
        #expect(ProxyTarget.Reference("https:p:")?.port == "")
        for text in ["ftp:p:1", ":80", "a:b:c:d", "http::80"] { #expect(ProxyTarget.Reference(text) == nil, "\(text)") }
        for text in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "224.0.0.1", "0.0.0.0"] {
            #expect(!ProxyTarget.isAllowed(IPAddress(text) ?? .loopback), "\(text)")
        }
        #expect(ProxyTarget.isAllowed(IPAddress("10.244.0.7") ?? .loopback))
    }

    /// A pod's server that tells what it was asked.
    private static func echo(_ request: Request) -> Response {
        if request.target == "/moved" {
            return Response(status: 302, headers: Headers([("Location", "/there"), ("X-Own", "1")]))
        }
        let text = [
            request.method, request.target, request.headers["X-Forwarded-Uri"] ?? "",
            request.headers["Authorization"] ?? "",
        ]
        return Response(
            status: 200, headers: Headers([("Content-Type", "text/plain")]),
            body: .bytes(Array(text.joined(separator: " ").utf8) + request.body))
    }

    private func withPod(_ body: @escaping @Sendable (Harness) async throws -> Void) async throws {
        let network = MemoryNetwork()
        let harness = try await Harness(network: network)
        let address = try #require(IPAddress("10.244.0.7"))
        let listener = try await network.listen(on: .ip(address, port: 8080))
        let server = HTTPServer(listener: listener, clock: harness.clock, log: .silent) { Self.echo($0) }
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        var pod = Harness.pod("p")
        pod.set([["name": "c", "image": "i", "ports": [["containerPort": 8080]]]], at: "spec", "containers")
        try await harness.create("/api/v1/namespaces/default/pods", pod)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await body(harness) }
            try await group.next()
            group.cancelAll()
        }
    }

    @Test func podsAnswerThroughTheServer() async throws {
        try await withPod { harness in
            let path = "/api/v1/namespaces/default/pods/p/proxy"
            #expect(try await harness.stream("GET", path + "/x").text.contains("address not allowed"))
            let patched = try await harness.send(
                "PATCH", "/api/v1/namespaces/default/pods/p/status",
                ["status": ["podIPs": [["ip": "10.244.0.7"]], "podIP": "10.244.0.7"]],
                type: "application/merge-patch+json")
            #expect(patched.status == 200)
            let answer = try await harness.stream("GET", path + "/a%20b?q=1&r")
            #expect(answer.status == 200)
            #expect(answer.text == "GET /a%20b?q=1&r \(path)/a%20b ")
            let posted = try await harness.stream("POST", path + "/", bytes: Array("body".utf8))
            #expect(posted.text == "POST / \(path)/ body")
            let bare = try await harness.stream("GET", path + "?x")
            #expect(bare.status == 301)
            #expect(bare.headers["Location"] == path + "/?x")
            let moved = try await harness.stream("GET", path + "/moved")
            #expect(moved.status == 302)
            #expect(moved.headers["Location"] == path + "/there")
            #expect(moved.headers["X-Own"] == "1")
            let closed = try await harness.stream("GET", "/api/v1/namespaces/default/pods/p:81/proxy/")
            #expect(closed.status == 503)
            #expect(closed.text.contains("error trying to reach service: "))
        }
    }
}
