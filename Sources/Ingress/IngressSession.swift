import Basics
import Synchronization
import Wire

/// One client's connection: request after request, each to where the table of its moment says.
final class IngressSession: Sendable {
    let raw: any Connection
    let front: IngressFront
    let isSecure: Bool
    let parser: Mutex<HTTPParser>
    /// For what the client, and what an endpoint has to do.
    let clientTime = Deadline()
    let upstreamTime = Deadline()

    init(_ connection: any Connection, _ front: IngressFront, isSecure: Bool) {
        raw = connection
        self.front = front
        self.isSecure = isSecure
        parser = Mutex(HTTPParser(.requests, limits: front.limits.head))
    }

    var now: Duration { front.world.clock.uptime }

    func check(_ now: Duration) {
        clientTime.check(now)
        upstreamTime.check(now)
    }

    func allowClient(_ time: Duration) { clientTime.start(time, at: now, closing: raw) }

    func run() async {
        defer { raw.close() }
        do {
            let stream = isSecure ? try await secured() : raw
            do {
                while try await exchange(stream) {}
            } catch let error as HTTPError {
                _ = try await answer(error.status, error.reason, stream, keepAlive: false)
            }
            // The last answer must not be cut off by what the client still sends.
            try await stream.finishWriting()
            allowClient(.seconds(2))
            for _ in 0..<64 where try await stream.read(atMost: 16 << 10).isEmpty { break }
        } catch is CancellationError {
        } catch {
            front.log.debug("\(raw.peer?.description ?? "client"): \(error)")
        }
    }

    /// Reads whom the client wants, and shakes hands with that name's certificate.
    private func secured() async throws -> any Connection {
        allowClient(front.limits.handshakeTime)
        var early: [UInt8] = []
        while true {
            let bytes = try await raw.read(atMost: 16 << 10)
            if bytes.isEmpty { throw HTTPError(400, "no TLS handshake") }
            early += bytes
            switch ClientHello.read(early) {
            case .needsMore: continue
            case .invalid: throw HTTPError(400, "no TLS handshake")
            case .complete(let hello):
                guard let context = front.table.certificate(for: hello.serverName) else {
                    throw HTTPError(503, "no certificate")
                }
                return try await context.accept(raw, early: early)
            }
        }
    }

    // MARK: Requests

    /// One request and its answer. False when the connection shall end.
    private func exchange(_ stream: any Connection) async throws -> Bool {
        guard let head = try await nextHead(stream) else { return false }
        clientTime.stop()
        guard let place = RequestPlace(target: head.target, host: head.headers["Host"]) else {
            return try await answer(400, "Bad Request", stream, keepAlive: false)
        }
        // A body that nobody wants is not read: the connection ends instead.
        let keep = head.keepAlive && head.bodyLength == .none
        guard let route = front.table.route(place) else {
            return try await answer(404, "Not Found", stream, keepAlive: keep, head)
        }
        if route.redirectsToTLS, !isSecure {
            let host = RequestPlace.host(head.headers["Host"] ?? "")
            let location = "https://\(host.contains(":") ? "[\(host)]" : host)\(place.target)"
            return try await answer(308, "Permanent Redirect", stream, keepAlive: keep, head, location: location)
        }
        if let limit = route.bodyLimit, case .known(let length) = head.bodyLength, length > limit {
            return try await answer(413, "Request Entity Too Large", stream, keepAlive: false, head)
        }
        let passage = Passage(session: self, stream: stream, head: head, place: place, route: route)
        do {
            return try await passage.run()
        } catch let failure as Passage.Failure {
            front.log.debug("\(route.ingress): \(failure.reason)")
            return try await answer(
                failure.status, HTTPSerializer.reason(failure.status), stream, keepAlive: keep, head)
        }
    }

    private func nextHead(_ stream: any Connection) async throws -> HTTPHead? {
        var isIdle = parser.withLock { $0.buffered == 0 }
        allowClient(isIdle ? front.limits.idleTime : front.limits.headTime)
        while true {
            if let event = try parser.withLock({ try $0.next() }) {
                guard case .head(let head) = event else { continue }
                return head
            }
            let bytes = try await stream.read(atMost: 64 << 10)
            if bytes.isEmpty { return nil }
            if isIdle {
                isIdle = false
                allowClient(front.limits.headTime)
            }
            parser.withLock { $0.feed(bytes) }
        }
    }

    // MARK: Answers of our own

    func answer(
        _ status: Int, _ reason: String, _ stream: any Connection, keepAlive: Bool, _ head: HTTPHead? = nil,
        location: String? = nil
    ) async throws -> Bool {
        let text = Array("\(status) \(reason)\n".utf8)
        var headers = Headers([
            ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", String(text.count)),
        ])
        if let location { headers.add("Location", location) }
        if status == 503 { headers.add("Retry-After", "1") }
        if !keepAlive { headers.add("Connection", "close") }
        allowClient(front.limits.clientTime)
        let out = HTTPSerializer.response(status, headers)
        try await stream.write(head?.method == "HEAD" ? out : out + text)
        return keepAlive
    }
}
