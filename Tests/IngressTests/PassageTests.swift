import Basics
import Linux
import Synchronization
import Testing
import Wire

@testable import Ingress

@Suite struct PassageTests {
    @Test func requestsAndAnswersPass() async throws {
        try await Site.open { site in
            try await site.behind({ request in
                let fields = request.headers.fields.map { "\($0.name): \($0.value)" }.sorted()
                return text(200, "\(request.method) \(request.target)\n\(fields.joined(separator: "\n"))\n")
            }) { endpoint in
                site.lead(to: [endpoint])
                let answer = try await site.raw(
                    """
                    GET /a/../b?c=%20 HTTP/1.1\r
                    Host: Web.Example:81\r
                    X-Forwarded-For: 1.2.3.4\r
                    X-Real-IP: 1.2.3.4\r
                    Forwarded: for=1.2.3.4\r
                    Keep-Alive: 5\r
                    X-Own: kept\r
                    X-Drop: me\r
                    Connection: close, x-drop\r
                    \r

                    """)
                let lines = answer.split(whereSeparator: \.isNewline).map { String($0) }
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                for line in [
                    // The path goes on as it was written; only rules see its one form.
                    "GET /a/../b?c=%20", "Host: Web.Example:81", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1",
                    "X-Forwarded-Proto: http", "X-Forwarded-Host: Web.Example:81", "X-Forwarded-Port: 80",
                    "X-Own: kept", "Connection: close",
                ] { #expect(lines.contains(line), "\(line)") }
                for word in ["1.2.3.4", "X-Drop", "Keep-Alive"] { #expect(!answer.contains(word)) }
            }
        }
    }

    @Test func bodiesPassInBothDirectionsAsTheyCome() async throws {
        try await Site.open { site in
            try await site.behind({ request in
                if request.target == "/stream" {
                    return Response(
                        status: 200,
                        body: .stream { writer in
                            for index in 0..<50 { try await writer.write(Array("piece \(index)\n".utf8)) }
                        })
                }
                return Response(status: 200, body: .bytes(request.body))
            }) { endpoint in
                site.lead(to: [endpoint])
                let transport = site.transport()
                let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                for body in [[], [1], large] {
                    let answer = try await transport.send(Request("POST", "/echo", body: body))
                    #expect(try await answer.collect() == body)
                }
                let stream = try await transport.send(Request("GET", "/stream"))
                #expect(try await stream.collect().split(separator: 10).count == 50)
                let chunked = try await site.raw(
                    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                        + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
                #expect(chunked.hasSuffix("hello world"))
                let old = try await site.raw("GET /stream HTTP/1.0\r\n\r\n")
                #expect(old.contains("piece 49") && !old.contains("Transfer-Encoding"))
                // Two at once on one connection come back in order.
                let two = try await site.raw(
                    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
                        + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo")
                #expect(two.split(separator: "HTTP/1.1 200 OK").count == 2)
                #expect(two.hasSuffix("two"))
            }
        }
    }

    @Test func aClientThatWaitsToSendIsToldToGoOn() async throws {
        try await Site.open { site in
            try await site.behind({ Response(status: 200, body: .bytes($0.body)) }) { endpoint in
                site.lead(to: [endpoint])
                let connection = try await site.world.network.connect(to: site.plain)
                try await connection.write(
                    Array(
                        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".utf8))
                let first = String(decoding: try await connection.read(atMost: 4096), as: UTF8.self)
                #expect(first == "HTTP/1.1 100 Continue\r\n\r\n")
                try await connection.write(Array("ok".utf8))
                let second = String(decoding: try await connection.read(atMost: 4096), as: UTF8.self)
                #expect(second.hasPrefix("HTTP/1.1 200 OK") && second.hasSuffix("ok"))
                connection.close()
            }
        }
    }

    @Test func whatGoesWrongHasItsStatus() async throws {
        var limits = IngressFront.Limits()
        limits.head.headBytes = 2_048
        try await Site.open(limits: limits) { site in
            #expect(try await site.get("/").0 == 404)
            site.lead(to: [])
            #expect(try await site.get("/").0 == 503)
            // Nobody listens there.
            let gone = try await site.world.network.listen(on: .ip(.loopback, port: 0))
            gone.close()
            site.lead(to: [gone.local])
            #expect(try await site.get("/").0 == 502)
            for (request, status) in [
                ("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400),
                ("juggle\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
                ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 3_000))\r\n\r\n", 431),
                ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ] {
                let answer = try await site.raw(request)
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(request.prefix(30)): \(answer.prefix(40))")
            }
        }
    }

    @Test func anEndpointThatIsGoneIsPassedOver() async throws {
        try await Site.open { site in
            let gone = try await site.world.network.listen(on: .ip(.loopback, port: 0))
            gone.close()
            try await site.behind({ _ in text(200, "here") }) { endpoint in
                site.lead(to: [gone.local, endpoint])
                for _ in 0..<4 {
                    let seen = try await site.get("/")
                    #expect(seen == (200, "here"))
                }
            }
        }
    }

    @Test func aSilentEndpointIsNotWaitedForForever() async throws {
        try await Site.open { site in
            let silent = try await site.world.network.listen(on: .ip(.loopback, port: 0))
            site.lead(to: [silent.local]) { $0.readTime = .milliseconds(1) }
            #expect(try await site.get("/").0 == 504)
            silent.close()
        }
    }

    @Test func aSlowClientIsCutOff() async throws {
        var limits = IngressFront.Limits()
        limits.headTime = .milliseconds(1)
        try await Site.open(limits: limits) { site in
            let connection = try await site.world.network.connect(to: site.plain)
            try await connection.write(Array("GET / HT".utf8))
            // Its end comes, as an end or as a reset.
            if let rest = try? await connection.read(atMost: 100) { #expect(rest.isEmpty) }
            connection.close()
        }
    }

    @Test func bodiesHaveTheLimitOfTheirRoute() async throws {
        try await Site.open { site in
            try await site.behind({ text(200, "\($0.body.count)") }) { endpoint in
                site.lead(to: [endpoint]) { $0.bodyLimit = 10 }
                let short = try await site.transport().send(
                    Request("POST", "/", body: [UInt8](repeating: 1, count: 10)))
                #expect(short.status == 200)
                short.cancel()
                let long = try await site.transport().send(Request("POST", "/", body: [UInt8](repeating: 1, count: 11)))
                #expect(long.status == 413)
                long.cancel()
                let chunked = try await site.raw(
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")
                #expect(chunked.hasPrefix("HTTP/1.1 413 "))
            }
        }
    }

    @Test func otherProtocolsPassWhenBothSidesAgree() async throws {
        try await Site.open { site in
            try await site.behind({ request in
                guard request.headers["Upgrade"] == "echo" else { return text(400, "no") }
                return Response(
                    status: 101, headers: Headers([("Connection", "Upgrade"), ("Upgrade", "echo")]),
                    body: .upgrade { connection in
                        while case let bytes = try await connection.read(atMost: 4096), !bytes.isEmpty {
                            try await connection.write(bytes)
                        }
                    })
            }) { endpoint in
                site.lead(to: [endpoint])
                let headers = Headers([("Connection", "keep-alive, Upgrade"), ("Upgrade", "echo")])
                guard
                    case .switched(_, let connection) = try await site.transport().upgrade(
                        Request("GET", "/", headers: headers))
                else {
                    Issue.record("the upgrade was refused")
                    return
                }
                for word in ["one", "two"] {
                    try await connection.write(Array(word.utf8))
                    #expect(try await connection.read(atMost: 100) == Array(word.utf8))
                }
                connection.close()
                let other = Headers([("Connection", "Upgrade"), ("Upgrade", "other")])
                guard
                    case .refused(let refusal) = try await site.transport().upgrade(Request("GET", "/", headers: other))
                else {
                    Issue.record("the upgrade was not refused")
                    return
                }
                #expect(refusal.status == 400)
                refusal.cancel()
            }
        }
    }

    @Test func rewritesAndRedirects() async throws {
        try await Site.open { site in
            try await site.behind({ text(200, $0.target) }) { endpoint in
                site.lead(to: [endpoint]) { $0.rewrite = IngressRoute.Rewrite(path: "/", keepsRest: true, matched: 4) }
                let seen1 = try await site.get("/app/x?y=1")
                #expect(seen1 == (200, "/x?y=1"))
                site.lead(to: [endpoint]) { $0.redirectsToTLS = true }
                let answer = try await site.raw(
                    "GET /a?b HTTP/1.1\r\nHost: web.example:8080\r\nConnection: close\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 308 ") && answer.contains("Location: https://web.example/a?b\r\n"))
            }
        }
    }

    @Test func everyNameShowsItsOwnCertificate() async throws {
        try await Site.open { site in
            let year = Duration.seconds(365 * 86_400)
            @Sendable func make(_ name: String) throws -> (TLSServerContext, TLSClientContext) {
                let authority = try CertificateAuthority.create(
                    commonName: "ca \(name)", now: site.world.clock.now, validity: year)
                let issued = try authority.issue(
                    commonName: name, dnsNames: [name], usage: [.server], now: site.world.clock.now, validity: year)
                return (
                    try TLSServerContext(certificatePEM: issued.certificatePEM, keyPEM: issued.keyPEM),
                    try TLSClientContext(caPEM: authority.certificatePEM)
                )
            }
            let (one, trustsOne) = try make("one.example")
            let (wild, trustsWild) = try make("*.wild.example")
            let (standard, trustsStandard) = try make("standard.example")
            try await site.behind({ text(200, $0.headers["X-Forwarded-Proto"] ?? "") }) { endpoint in
                site.lead(to: [endpoint]) { $0.redirectsToTLS = true }
                var table = site.front.table
                table.certificates["one.example"] = one
                table.wildcardCertificates["wild.example"] = wild
                table.defaultCertificate = standard
                site.front.use(table)
                for (name, trust) in [
                    ("one.example", trustsOne), ("a.wild.example", trustsWild), ("standard.example", trustsStandard),
                ] {
                    let seen = try await site.get("/", tls: trust, name: name)
                    #expect(seen == (200, "https"), "\(name)")
                }
                await #expect(throws: (any Error).self) { try await site.get("/", tls: trustsOne, name: "two.example") }
                // A new certificate counts from the next connection on.
                let (renewed, trustsRenewed) = try make("one.example")
                table.certificates["one.example"] = renewed
                site.front.use(table)
                #expect(try await site.get("/", tls: trustsRenewed, name: "one.example").0 == 200)
                #expect(try await site.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n", to: site.secure).isEmpty)
            }
        }
    }
}
