import Testing

@testable import Wire

@Suite struct HTTPParserTests {
    /// A message taken apart: heads with their bodies, and the error that ended it all.
    struct Outcome: Equatable {
        var messages: [(head: HTTPHead, body: [UInt8], complete: Bool)] = []
        var error: HTTPError?

        static func == (a: Outcome, b: Outcome) -> Bool {
            a.error == b.error
                && a.messages.elementsEqual(b.messages) {
                    $0.head == $1.head && $0.body == $1.body && $0.complete == $1.complete
                }
        }
    }

    static func parse(
        _ pieces: [[UInt8]], role: HTTPParser.Role = .requests, limits: HTTPLimits = HTTPLimits(),
        answering method: String = "GET"
    ) -> Outcome {
        var parser = HTTPParser(role, limits: limits)
        parser.expect(answerTo: method)
        var outcome = Outcome()
        for piece in pieces {
            parser.feed(piece)
            do throws(HTTPError) {
                while let event = try parser.next() {
                    let last = outcome.messages.count - 1
                    switch event {
                    case .head(let head): outcome.messages.append((head, [], false))
                    case .body(let bytes): outcome.messages[last].body += bytes
                    case .end: outcome.messages[last].complete = true
                    }
                }
            } catch {
                outcome.error = error
                return outcome
            }
        }
        return outcome
    }

    static func parse(_ text: String, role: HTTPParser.Role = .requests, limits: HTTPLimits = HTTPLimits()) -> Outcome {
        parse([Array(text.utf8)], role: role, limits: limits)
    }

    private static let pipelined = """
        POST /a?x=1 HTTP/1.1\r
        Host: h\r
        Content-Length: 5\r
        X-Odd:  two  words\t\r
        \r
        hello\r
        PUT /b HTTP/1.1\r
        host: h\r
        Transfer-Encoding: chunked\r
        \r
        4;ext=1\r
        wiki\r
        0a\r
        0123456789\r
        0\r
        Trailer: x\r
        \r
        GET /c HTTP/1.0\r
        \r

        """

    @Test func pipelinedRequests() throws {
        let outcome = Self.parse(Self.pipelined)
        #expect(outcome.error == nil)
        try #require(outcome.messages.count == 3)
        #expect(outcome.messages.map(\.head.target) == ["/a?x=1", "/b", "/c"])
        let bodies = outcome.messages.map { text($0.body) }
        #expect(bodies == ["hello", "wiki0123456789", ""])
        #expect(outcome.messages.map(\.head.keepAlive) == [true, true, false])
        #expect(outcome.messages.map(\.complete) == [true, true, true])
        #expect(outcome.messages[0].head.headers["x-odd"] == "two  words")
    }

    @Test func cutsMakeNoDifference() {
        let whole = Array(Self.pipelined.utf8)
        let expected = Self.parse([whole])
        #expect(Self.parse(whole.map { [$0] }) == expected)
        var random = Seeded(7)
        for _ in 0..<200 {
            var rest = whole[...]
            var pieces: [[UInt8]] = []
            while !rest.isEmpty {
                let piece = rest.prefix(1 + random.below(60))
                pieces.append(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
            #expect(Self.parse(pieces) == expected)
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET /\r\nHost: a\r\n\r\n", 400),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\u{1}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 400),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ]) func brokenRequests(_ text: String, _ status: Int) {
        #expect(Self.parse(text).error?.status == status)
    }

    @Test func limitsHold() {
        var limits = HTTPLimits()
        limits.headBytes = 100
        limits.headerFields = 3
        let endless = (0..<200).map { _ in [UInt8(ascii: "a")] }
        #expect(Self.parse(endless, limits: limits).error?.status == 431)
        #expect(
            Self.parse("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", limits: limits).error?.status == 431
        )
        let trailers = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        #expect(
            Self.parse(trailers + String(repeating: "A: b\r\n", count: 50), limits: limits).error?.status == 400)
    }

    @Test func bareNewlinesEndLines() {
        let outcome = Self.parse("\r\nGET / HTTP/1.1\nHost: a\n\n")
        #expect(outcome.messages.map(\.head.target) == ["/"])
    }

    @Test func responses() throws {
        let head = Self.parse(
            [Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".utf8)], role: .responses, answering: "HEAD")
        #expect(head.messages.first?.complete == true)
        let empty = Self.parse("HTTP/1.1 304\r\nContent-Length: 10\r\n\r\n", role: .responses)
        #expect(empty.messages.first?.complete == true)
        var parser = HTTPParser(.responses)
        parser.feed(Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8))
        var events: [HTTPParser.Event] = []
        while let event = try parser.next() { events.append(event) }
        let finished = parser.finish()
        #expect(finished)
        while let event = try parser.next(), events.count < 5 { events.append(event) }
        try #require(events.count == 3)
        guard case .head(let open) = events[0] else {
            Issue.record("no head")
            return
        }
        #expect(!open.keepAlive)
        #expect(events[1] == .body(Array("abc".utf8)))
        #expect(events[2] == .end)
        #expect(Self.parse("HTTP/1.1 xx OK\r\n\r\n", role: .responses).error?.status == 502)
        #expect(Self.parse("SSH-2.0-OpenSSH_9.2 and more\r\n\r\n", role: .responses).error != nil)
    }

    /// Whatever comes in, the parser answers with events, an error, or the wish for more.
    @Test(arguments: 0..<8) func noiseDoesNoHarm(_ seed: Int) {
        var random = Seeded(UInt64(seed) + 100)
        var limits = HTTPLimits()
        limits.bodyBytes = 1000
        let model = Array(Self.pipelined.utf8)
        var errors = 0
        for _ in 0..<1500 {
            var bytes = model
            for _ in 0..<1 + random.below(5) {
                switch random.below(3) {
                case 0: bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next() >> 9)
                case 1: bytes.remove(at: random.below(bytes.count))
                default: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count))
                }
            }
            let cut = random.below(bytes.count)
            let inTwo = Self.parse([Array(bytes[..<cut]), Array(bytes[cut...])], limits: limits)
            let inOne = Self.parse([bytes], limits: limits)
            #expect(inOne == inTwo)
            if inOne.error != nil { errors += 1 }
            for message in inOne.messages { #expect(message.body.count <= limits.bodyBytes) }
        }
        #expect(errors > 100)
    }
}
