import Basics
import Synchronization

/// One client's connection: request after request until either side has enough.
final class HTTPServerSession: Sendable {
    /// The transport below TLS; closing it ends everything.
    let connection: any Connection
    private let server: HTTPServer
    /// Nanoseconds of uptime after which the reaper closes the connection; `.max` for never.
    private let deadline = Atomic(Int64.max)
    private let idle = Atomic(true)

    init(_ connection: any Connection, server: HTTPServer) {
        self.connection = connection
        self.server = server
        allow(server.limits.handshakeTime)
    }

    var isIdle: Bool { idle.load(ordering: .relaxed) }
    func isLate(_ now: Int64) -> Bool { deadline.load(ordering: .relaxed) < now }

    func allow(_ time: Duration) {
        deadline.store(server.clock.uptime.wholeNanoseconds + time.wholeNanoseconds, ordering: .relaxed)
    }

    func allowForever() { deadline.store(.max, ordering: .relaxed) }

    func run(tls: TLSServerContext?) async throws {
        var peer = PeerIdentity(endpoint: connection.peer)
        var stream = connection
        if let tls {
            let secure = try await tls.accept(connection)
            peer.certificate = secure.peerCertificate
            stream = secure
        }
        var parser = HTTPParser(.requests, limits: server.limits.message)
        do {
            while try await exchange(stream, &parser, peer) {}
            if stream !== connection { try await stream.finishWriting() }
        } catch let error as HTTPError {
            try await refuse(error, stream)
        }
    }

    // MARK: Request

    /// One request and its response. False when the connection shall end.
    private func exchange(_ stream: any Connection, _ parser: inout HTTPParser, _ peer: PeerIdentity) async throws
        -> Bool
    {
        guard let head = try await readHead(stream, &parser) else { return false }
        if head.expectsContinue, parser.buffered == 0 {
            try await stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        var request = Request(head.method, head.target, headers: head.headers, peer: peer)
        var reserved = 0
        defer { if reserved > 0 { server.bodyBytes.subtract(reserved, ordering: .relaxed) } }
        if let taker = await server.intake?(request) {
            try await passBody(stream, &parser, to: taker)
            request.taker = taker
        } else {
            request.body = try await readBody(stream, &parser, &reserved)
        }
        allowForever()
        let response = await server.handler(request)
        return try await respond(to: head, with: response, stream, &parser)
    }

    private func readHead(_ stream: any Connection, _ parser: inout HTTPParser) async throws -> HTTPHead? {
        allow(parser.buffered == 0 ? server.limits.idleTime : server.limits.requestTime)
        idle.store(parser.buffered == 0, ordering: .relaxed)
        // Whoever drains sets the flag first and looks for idle connections then; this is the other half.
        if isIdle, server.isDraining { return nil }
        while true {
            if let event = try parser.next() {
                guard case .head(let head) = event else { throw HTTPError(400, "malformed request") }
                return head
            }
            let bytes = try await stream.read(atMost: 64 << 10)
            if bytes.isEmpty { return nil }
            if isIdle {
                idle.store(false, ordering: .relaxed)
                allow(server.limits.requestTime)
            }
            parser.feed(bytes)
        }
    }

    /// `reserved` is what the body takes of the memory for all bodies, also where this throws.
    private func readBody(
        _ stream: any Connection, _ parser: inout HTTPParser, _ reserved: inout Int
    ) async throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            switch try parser.next() {
            case .body(let piece):
                reserved += piece.count
                let all = server.bodyBytes.add(piece.count, ordering: .relaxed).newValue
                guard all <= server.limits.allBodies else {
                    throw HTTPError(503, "too many large requests at once, try again later")
                }
                if body.isEmpty { body = piece } else { body += piece }
            case .end: return body
            case .head: throw HTTPError(400, "malformed request")
            case nil:
                let bytes = try await stream.read(atMost: 64 << 10)
                if bytes.isEmpty { throw HTTPError(400, "the request ends before its body does") }
                parser.feed(bytes)
            }
        }
    }

    /// Time is given by piece: a long body is not a stuck one.
    private func passBody(
        _ stream: any Connection, _ parser: inout HTTPParser, to taker: any BodyTaker
    ) async throws {
        while true {
            switch try parser.next() {
            case .body(let piece):
                allowForever()
                await taker.take(piece)
                allow(server.limits.requestTime)
            case .end: return
            case .head: throw HTTPError(400, "malformed request")
            case nil:
                let bytes = try await stream.read(atMost: 256 << 10)
                if bytes.isEmpty { throw HTTPError(400, "the request ends before its body does") }
                parser.feed(bytes)
            }
        }
    }

    /// Answers a broken request. What the client still sends is read for a moment and thrown away,
    /// because closing with unread input would reset the connection and take the answer with it.
    private func refuse(_ error: HTTPError, _ stream: any Connection) async throws {
        allow(.seconds(5))
        var response = server.renderError(error)
        response.headers["Connection"] = "close"
        guard case .bytes(let bytes) = response.body else { return }
        response.headers["Content-Length"] = String(bytes.count)
        try await stream.write(
            HTTPSerializer.response(response.status, response.headers, extra: dateLine(response.headers)) + bytes)
        try await stream.finishWriting()
        for _ in 0..<64 where try await stream.read(atMost: 64 << 10).isEmpty { return }
    }

    // MARK: Response

    private func respond(
        to head: HTTPHead, with response: Response, _ stream: any Connection, _ parser: inout HTTPParser
    ) async throws -> Bool {
        var headers = response.headers
        let asked = headers["Connection"].map { HTTPTokens($0).contains("close") } ?? false
        var keep = head.keepAlive && !asked && !server.isDraining
        let bodiless = head.method == "HEAD" || response.status == 204 || response.status == 304
        headers["Transfer-Encoding"] = nil
        switch response.body {
        case .bytes(let bytes):
            try await sendWhole([bytes], response.status, &headers, head, keep: keep, bodiless: bodiless, stream)
        case .pieces(let pieces):
            try await sendWhole(pieces, response.status, &headers, head, keep: keep, bodiless: bodiless, stream)
        case .stream(let produce):
            let chunked = head.minorVersion > 0
            headers["Content-Length"] = nil
            if chunked { headers.add("Transfer-Encoding", "chunked") } else { keep = false }
            note(keep, head, &headers)
            allow(server.limits.writeTime)
            try await stream.write(HTTPSerializer.response(response.status, headers, extra: dateLine(headers)))
            if bodiless { break }
            allowForever()
            keep = try await self.stream(produce, over: stream, chunked: chunked, &parser) && keep
        case .upgrade(let take):
            try await stream.write(HTTPSerializer.response(101, headers, extra: dateLine(headers)))
            allowForever()
            try await take(PrefixedConnection(parser.takeRest(), before: stream))
            return false
        }
        return keep
    }

    /// An answer that is passed on for somebody else has its date already.
    private func dateLine(_ headers: Headers) -> String { headers["Date"] == nil ? server.dateLine() : "" }

    private func note(_ keep: Bool, _ head: HTTPHead, _ headers: inout Headers) {
        if !keep {
            headers["Connection"] = "close"
        } else if head.minorVersion == 0 {
            headers["Connection"] = "keep-alive"
        }
    }

    private func sendWhole(
        _ pieces: [[UInt8]], _ status: Int, _ headers: inout Headers, _ head: HTTPHead, keep: Bool, bodiless: Bool,
        _ stream: any Connection
    ) async throws {
        let length = pieces.reduce(0) { $0 + $1.count }
        // The answer to HEAD keeps the length that its handler gave, having no body to count.
        if status == 204 || status / 100 == 1 {
            headers["Content-Length"] = nil
        } else if !(bodiless && length == 0 && headers["Content-Length"] != nil) {
            headers["Content-Length"] = String(length)
        }
        note(keep, head, &headers)
        var out = HTTPSerializer.response(status, headers, extra: dateLine(headers))
        if bodiless {
            allow(server.limits.writeTime)
            return try await stream.write(out)
        }
        // Time is given by size: a slow reader of a long list is not a stuck one.
        allow(server.limits.writeTime + .seconds(length >> 17))
        if length <= 16 << 10 {
            for piece in pieces { out += piece }
            try await stream.write(out)
        } else {
            // A copy of the list of pieces would touch every one of them once more.
            try await stream.write(out)
            try await stream.write(pieces: pieces)
        }
    }

    private enum StreamEnd { case produced, readerGone, inputFull }

    /// Runs the producer beside a read that notices when the client goes away. True when the whole body went out.
    private func stream(
        _ produce: @escaping @Sendable (any BodyWriter) async throws -> Void, over stream: any Connection,
        chunked: Bool, _ parser: inout HTTPParser
    ) async throws -> Bool {
        let writer = ServerBodyWriter(stream, session: self, chunked: chunked, time: server.limits.writeTime)
        let early = EarlyInput(parser.takeRest())
        let whole = try await withThrowingTaskGroup(of: StreamEnd.self) { group in
            group.addTask {
                try await produce(writer)
                try await writer.finish()
                return .produced
            }
            group.addTask { try await early.fill(from: stream) }
            defer { group.cancelAll() }
            while let end = try await group.next() {
                switch end {
                case .produced: return true
                case .readerGone: return false
                // A client that pipelines this much is not watched any more; a write will tell.
                case .inputFull: continue
                }
            }
            return false
        }
        parser.feed(early.take())
        return whole
    }

    /// What the client sends while a response is streaming: the next requests, or its end.
    private final class EarlyInput: Sendable {
        private let bytes: Mutex<[UInt8]>
        private static let limit = 64 << 10

        init(_ bytes: [UInt8]) { self.bytes = Mutex(bytes) }

        func take() -> [UInt8] { bytes.withLock { $0 } }

        func fill(from stream: any Connection) async throws -> StreamEnd {
            while bytes.withLock({ $0.count < Self.limit }) {
                let piece: [UInt8]
                do {
                    piece = try await stream.read(atMost: 16 << 10)
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    return .readerGone
                }
                if piece.isEmpty { return .readerGone }
                bytes.withLock { $0 += piece }
            }
            return .inputFull
        }
    }
}

/// Writes a streamed body, in chunks where the client understands them.
private final class ServerBodyWriter: BodyWriter {
    private let stream: any Connection
    private let session: HTTPServerSession
    private let chunked: Bool
    private let time: Duration
    private static let lineEnd: [UInt8] = [13, 10]

    init(_ stream: any Connection, session: HTTPServerSession, chunked: Bool, time: Duration) {
        self.stream = stream
        self.session = session
        self.chunked = chunked
        self.time = time
    }

    func write(_ piece: [UInt8]) async throws {
        // An empty chunk would end the body.
        guard !piece.isEmpty else { return }
        session.allow(time)
        if chunked {
            try await stream.write(pieces: [HTTPSerializer.chunkHead(piece.count), piece, Self.lineEnd])
        } else {
            try await stream.write(piece)
        }
        session.allowForever()
    }

    func finish() async throws {
        session.allow(time)
        if chunked { try await stream.write(Array("0\r\n\r\n".utf8)) }
    }
}

/// A connection whose first bytes have been read already.
final class PrefixedConnection: Connection {
    private let prefix: Mutex<[UInt8]>
    private let rest: any Connection

    init(_ prefix: [UInt8], before rest: any Connection) {
        self.prefix = Mutex(prefix)
        self.rest = rest
    }

    var peer: Endpoint? { rest.peer }

    func read(atMost limit: Int) async throws -> [UInt8] {
        let early = prefix.withLock { prefix in
            let part = Array(prefix.prefix(limit))
            prefix.removeFirst(part.count)
            return part
        }
        return early.isEmpty ? try await rest.read(atMost: limit) : early
    }

    func write(_ bytes: [UInt8]) async throws { try await rest.write(bytes) }
    func write(pieces: [[UInt8]]) async throws { try await rest.write(pieces: pieces) }
    func finishWriting() async throws { try await rest.finishWriting() }
    func close() { rest.close() }
}
