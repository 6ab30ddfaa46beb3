import Wire

/// What a parser made of some bytes: its events with the body's pieces joined, and how it ended.
private struct Reading: Equatable {
    var heads: [HTTPHead] = []
    var bodies: [[UInt8]] = []
    var failure: HTTPError?
    private static let longestChunkLine = 4_096

    /// Feeds the bytes in pieces of `size`.
    init(_ role: HTTPParser.Role, _ bytes: [UInt8], size: Int, limits: HTTPLimits) throws {
        var parser = HTTPParser(role, limits: limits)
        var rest = bytes[...]
        do {
            while !rest.isEmpty {
                parser.feed(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let event = try parser.next() {
                    switch event {
                    case .head(let head):
                        heads.append(head)
                        bodies.append([])
                    case .body(let piece): bodies[bodies.count - 1] += piece
                    case .end: break
                    }
                }
                guard parser.buffered <= max(limits.headBytes, Self.longestChunkLine) + size else {
                    throw Broken("\(parser.buffered) bytes wait in the parser")
                }
            }
        } catch let error as HTTPError {
            failure = error
        }
        guard bodies.allSatisfy({ $0.count <= limits.bodyBytes }) || role == .responses else {
            throw Broken("a body is longer than allowed")
        }
    }
}

private func http(_ name: String, _ role: HTTPParser.Role, corpus: [String]) -> FuzzTarget {
    let words = [
        "\r\n", "\n", "\r", " ", ":", "GET ", "POST ", "/", " HTTP/1.1", " HTTP/1.0", "HTTP/1.1 200 OK\r\n", "\r\n\r\n",
        "Host: a\r\n", "Content-Length: 5\r\n", "Content-Length: 05\r\n", "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Connection: close\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n", "ffffffffffffffff\r\n", "7fffffffffffffff\r\n", "5;x=y\r\n", "X: \r\n", "\t",
        "Expect: 100-continue\r\n",
        "Connection: keep-alive, upgrade\r\n", "\u{0}", "é", " folded\r\n", "HTTP/1.1 304 \r\n", "HTTP/1.1 101 S\r\n",
    ]
    return FuzzTarget(name, corpus: corpus, words: words) { input in
        var limits = HTTPLimits()
        limits.headBytes = 2_048
        limits.headerFields = 16
        limits.bodyBytes = 4_096
        let whole = try Reading(role, input, size: max(1, input.count), limits: limits)
        for size in [1, 7, 100] where input.count <= 4_096 {
            let pieces = try Reading(role, input, size: size, limits: limits)
            // How the bytes are cut is chance: it must not decide what they mean.
            guard pieces == whole else {
                throw Broken("in pieces of \(size): \(pieces)\nas a whole: \(whole)")
            }
        }
        return whole.failure == nil && !whole.heads.isEmpty
    }
}

extension ReaderTests {
    static let wire = [
        http(
            "request", .requests,
            corpus: [
                "GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: a:6443\r\nAccept: application/json\r\n\r\n",
                "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
                "PUT / HTTP/1.0\r\n\r\n",
            ]),
        http(
            "response", .responses,
            corpus: [
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 200\r\n\r\nuntil the end",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            ]),
        FuzzTarget(
            "dns", bytes: [dnsQuery, dnsAnswer],
            words: [
                [0xC0, 0x0C], [0xC0, 0x00], [0], [1, 97], [63], [64], [0, 1, 0, 1], [0, 28, 0, 1], [0, 41],
                [0xFF, 0xFF],
                [0, 5], [0, 33], [0, 16], [0, 6], [0, 12],
            ]
        ) { input in
            guard let message = try? DNSMessage(parsing: input) else { return false }
            let written = message.serialized()
            guard written.count <= 65_535 else { throw Broken("written in \(written.count) bytes") }
            let again = try DNSMessage(parsing: written)
            guard again.isTruncated || again.serialized() == written else { throw Broken("does not read back") }
            return true
        },
    ]

    private static let dnsQuery: [UInt8] = [
        0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 97, 3, 99, 111, 109, 0, 0, 1, 0, 1, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0,
    ]
    private static let dnsAnswer: [UInt8] = [
        0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, 97, 3, 99, 111, 109, 0, 0, 1, 0, 1, 0xC0, 0x0C, 0, 1, 0, 1, 0, 0,
        0,
        60, 0, 4, 1, 2, 3, 4,
    ]
}
