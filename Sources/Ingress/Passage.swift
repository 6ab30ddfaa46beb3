import Basics
import Synchronization
import Wire

/// One request on its way to an endpoint, and the answer on its way back. Bodies pass as they come, in both
/// directions at once where the endpoint answers early.
struct Passage: Sendable {
    let session: IngressSession
    let stream: any Connection
    let head: HTTPHead
    let place: RequestPlace
    let route: IngressRoute

    /// No answer came that could be passed on; nothing was sent to the client yet.
    struct Failure: Error {
        var status: Int
        var reason: String
    }

    /// The endpoint hung up on a connection that had served before: no verdict about the request.
    private struct Stale: Error {}

    /// Endpoints that are tried for one request.
    static let attempts = 3

    private var front: IngressFront { session.front }
    private var isRepeatable: Bool { ["GET", "HEAD", "OPTIONS"].contains(head.method) }

    /// Whether the client's connection can go on.
    func run() async throws -> Bool {
        let endpoints = route.backend.next(Self.attempts)
        guard !endpoints.isEmpty else {
            throw Failure(status: 503, reason: "\(route.backend.key) has no endpoints")
        }
        let upgrade = ForwardedHeaders.upgrade(head)
        let body = try takeBuffered()
        var failure = Failure(status: 502, reason: "no endpoint")
        for endpoint in endpoints {
            // What a pooled connection may have lost can be said again only where saying it twice does no harm.
            let mayReuse = upgrade == nil && isRepeatable && body.hasEnded
            for pooled in mayReuse ? [true, false] : [false] {
                do {
                    guard let upstream = try await open(endpoint, pooled: pooled) else { continue }
                    return try await pass(upstream, body, upgrade, isPooled: pooled)
                } catch is Stale {
                    continue
                } catch let unreachable as Unreachable {
                    failure = Failure(status: unreachable.isLate ? 504 : 502, reason: unreachable.reason)
                    break
                }
            }
        }
        throw failure
    }

    // MARK: Connecting

    private struct Unreachable: Error {
        var reason: String
        var isLate: Bool
    }

    private func open(_ endpoint: Endpoint, pooled: Bool) async throws -> Upstream? {
        if pooled { return front.pool.take(endpoint, now: session.now) }
        do {
            let network = front.world.network
            let connection = try await withDeadline(
                front.limits.connectTime, front.world.clock, "connecting to \(endpoint)"
            ) { try await network.connect(to: endpoint) }
            return Upstream(endpoint, connection, front.limits.head)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw Unreachable(reason: "\(error)", isLate: error is HTTPTransport.TimedOut)
        }
    }

    // MARK: The request

    private struct BufferedBody: Sendable {
        var pieces: [[UInt8]] = []
        var hasEnded = false
        var count = 0
    }

    /// What of the body has come with the head.
    private func takeBuffered() throws -> BufferedBody {
        var body = BufferedBody()
        try session.parser.withLock { parser in
            while let event = try parser.next() {
                switch event {
                case .body(let piece):
                    body.pieces.append(piece)
                    body.count += piece.count
                case .end:
                    body.hasEnded = true
                    return
                case .head: throw HTTPError(400, "malformed request")
                }
            }
        }
        try checkLimit(body.count)
        return body
    }

    private func checkLimit(_ count: Int) throws {
        guard let limit = route.bodyLimit, count > limit else { return }
        throw HTTPError(413, "Request Entity Too Large")
    }

    private var isChunked: Bool { head.bodyLength == .unknown }

    private func framed(_ piece: [UInt8]) -> [[UInt8]] {
        isChunked ? [HTTPSerializer.chunkHead(piece.count), piece, [13, 10]] : [piece]
    }

    private func pass(
        _ upstream: Upstream, _ body: BufferedBody, _ upgrade: String?, isPooled: Bool
    ) async throws -> Bool {
        var isDone = false
        defer { if !isDone { upstream.connection.close() } }
        var client: IPAddress?
        if case .ip(let address, _) = session.raw.peer { client = address }
        let headers = ForwardedHeaders.request(
            head, place, client: client, isSecure: session.isSecure, upgrade: upgrade)
        let target = route.rewrite?.apply(to: place) ?? place.target
        var out = HTTPSerializer.request(head.method, target, headers)
        let pieces = body.pieces.flatMap { framed($0) } + (body.hasEnded && isChunked ? [Array("0\r\n\r\n".utf8)] : [])
        upstream.parser.withLock { $0.expect(answerTo: head.method) }
        allowUpstream(upstream)
        defer { session.upstreamTime.stop() }
        do {
            if pieces.isEmpty {
                try await upstream.connection.write(out)
            } else {
                if let first = pieces.first, pieces.count == 1, first.count < 4_096 {
                    out += first
                    try await upstream.connection.write(out)
                } else {
                    try await upstream.connection.write(pieces: [out] + pieces)
                }
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            if isPooled { throw Stale() }
            // It may have answered before it hung up.
        }
        if body.hasEnded {
            return try await respond(upstream, isPooled: isPooled, BodyEnd(true), &isDone)
        }
        return try await passBoth(upstream, body.count, &isDone)
    }

    private func allowUpstream(_ upstream: Upstream) {
        session.upstreamTime.start(route.readTime, at: session.now, closing: upstream.connection)
    }

    /// Whether the whole request was read, so that the client's connection can be used again.
    private final class BodyEnd: Sendable {
        private let gone: Mutex<Bool>
        init(_ gone: Bool) { self.gone = Mutex(gone) }
        var hasGone: Bool { gone.withLock { $0 } }
        func note() { gone.withLock { $0 = true } }
    }

    private enum Part: Sendable {
        case bodySent
        case answered(keep: Bool, isDone: Bool)
    }

    /// The rest of the body goes one way while the answer comes the other.
    private func passBoth(_ upstream: Upstream, _ sent: Int, _ isDone: inout Bool) async throws -> Bool {
        if head.expectsContinue, sent == 0 {
            try await stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        let body = BodyEnd(false)
        let end = try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                try await pump(upstream, sent)
                body.note()
                return .bodySent
            }
            group.addTask {
                var isDone = false
                let keep = try await respond(upstream, isPooled: false, body, &isDone)
                return .answered(keep: keep, isDone: isDone)
            }
            defer { group.cancelAll() }
            while let part = try await group.next() {
                if case .answered(let keep, let done) = part { return (keep: keep, isDone: done) }
            }
            return (keep: false, isDone: false)
        }
        isDone = end.isDone
        return end.keep
    }

    private func pump(_ upstream: Upstream, _ sent: Int) async throws {
        var sent = sent
        while true {
            while let event = try session.parser.withLock({ try $0.next() }) {
                switch event {
                case .body(let piece):
                    sent += piece.count
                    try checkLimit(sent)
                    allowUpstream(upstream)
                    try await write(upstream, framed(piece))
                case .end:
                    allowUpstream(upstream)
                    return try await write(upstream, isChunked ? [Array("0\r\n\r\n".utf8)] : [])
                case .head: throw HTTPError(400, "malformed request")
                }
            }
            // While the client is waited for, the endpoint is not late.
            session.upstreamTime.stop()
            session.allowClient(front.limits.clientTime)
            let bytes = try await stream.read(atMost: 64 << 10)
            if bytes.isEmpty { throw HTTPError(400, "the request ends before its body does") }
            session.clientTime.stop()
            session.parser.withLock { $0.feed(bytes) }
        }
    }

    /// An endpoint that reads no further may have answered already; the answer decides.
    private func write(_ upstream: Upstream, _ pieces: [[UInt8]]) async throws {
        do { try await upstream.connection.write(pieces: pieces) } catch let error as CancellationError {
            throw error
        } catch {
            front.log.debug("\(upstream.endpoint): \(error)")
        }
    }

    // MARK: The answer

    /// - isDone: whether the endpoint's connection was given back.
    private func respond(
        _ upstream: Upstream, isPooled: Bool, _ body: BodyEnd, _ isDone: inout Bool
    ) async throws -> Bool {
        let answer = try await answerHead(upstream, isPooled: isPooled)
        if answer.status == 101 { return try await tunnel(upstream, answer) }
        var keep = head.keepAlive && body.hasGone
        let (headers, framing) = ForwardedHeaders.response(answer, to: head, keepAlive: &keep)
        var out = [HTTPSerializer.response(answer.status, headers)]
        while true {
            let event: HTTPParser.Event?
            do { event = try upstream.parser.withLock { try $0.next() } } catch {
                // Half of the answer is with the client; only its end can say that the rest is missing.
                try await flush(&out)
                return false
            }
            switch event {
            case .body(let piece):
                if framing == .chunked {
                    out += [HTTPSerializer.chunkHead(piece.count), piece, [13, 10]]
                } else {
                    out.append(piece)
                }
            case .end:
                if framing == .chunked { out.append(Array("0\r\n\r\n".utf8)) }
                try await flush(&out)
                if answer.keepAlive, body.hasGone, upstream.parser.withLock({ $0.isBetweenMessages }) {
                    session.upstreamTime.stop()
                    front.pool.put(upstream, now: session.now)
                    isDone = true
                }
                return keep
            case .head: return false
            case nil:
                try await flush(&out)
                guard try await more(upstream) else { return false }
            }
        }
    }

    private func flush(_ out: inout [[UInt8]]) async throws {
        if out.isEmpty { return }
        session.allowClient(front.limits.clientTime)
        if out.count > 1, out.reduce(0, { $0 + $1.count }) <= 16 << 10 {
            try await stream.write(out.flatMap { $0 })
        } else {
            try await stream.write(pieces: out)
        }
        session.clientTime.stop()
        out.removeAll(keepingCapacity: true)
    }

    /// Feeds what comes next; false where the answer broke off.
    private func more(_ upstream: Upstream) async throws -> Bool {
        allowUpstream(upstream)
        do {
            let bytes = try await upstream.connection.read(atMost: 64 << 10)
            if !bytes.isEmpty {
                upstream.parser.withLock { $0.feed(bytes) }
                return true
            }
            return upstream.parser.withLock { $0.finish() }
        } catch let error as CancellationError {
            throw error
        } catch {
            return false
        }
    }

    private func answerHead(_ upstream: Upstream, isPooled: Bool) async throws -> HTTPHead {
        var hasRead = false
        while true {
            do {
                if let event = try upstream.parser.withLock({ try $0.next() }) {
                    if case .head(let head) = event, head.status >= 200 || head.status == 101 { return head }
                    continue
                }
                let bytes = try await upstream.connection.read(atMost: 64 << 10)
                if bytes.isEmpty { throw HTTPError(502, "\(upstream.endpoint) hung up without an answer") }
                hasRead = true
                upstream.parser.withLock { $0.feed(bytes) }
            } catch let error as CancellationError {
                throw error
            } catch {
                if session.upstreamTime.hasExpired {
                    throw Failure(status: 504, reason: "\(upstream.endpoint) took too long")
                }
                if isPooled, !hasRead { throw Stale() }
                throw Failure(status: 502, reason: "\(upstream.endpoint): \(error)")
            }
        }
    }

    // MARK: Other protocols

    /// Carries bytes both ways until both sides have finished or one breaks.
    private func tunnel(_ upstream: Upstream, _ answer: HTTPHead) async throws -> Bool {
        var headers = Headers()
        for field in answer.headers.fields where field.name.lowercased() != "content-length" {
            headers.add(field.name, field.value)
        }
        session.upstreamTime.stop()
        let fromEndpoint = upstream.parser.withLock { $0.takeRest() }
        let fromClient = session.parser.withLock { $0.takeRest() }
        try await stream.write(HTTPSerializer.response(101, headers) + fromEndpoint)
        if !fromClient.isEmpty { try await upstream.connection.write(fromClient) }
        defer {
            session.raw.close()
            upstream.connection.close()
        }
        session.allowClient(front.limits.tunnelTime)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (from, to) in [(stream, upstream.connection), (upstream.connection, stream)] {
                group.addTask {
                    while case let bytes = try await from.read(atMost: 64 << 10), !bytes.isEmpty {
                        session.allowClient(front.limits.tunnelTime)
                        try await to.write(bytes)
                    }
                    try await to.finishWriting()
                }
            }
            try await group.waitForAll()
        }
        return false
    }
}
