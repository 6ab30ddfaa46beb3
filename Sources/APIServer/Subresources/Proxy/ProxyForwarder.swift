import Basics
import Kinds
import Wire

/// Passes a request on and brings its answer back, as a reverse proxy under a path of the API does: what points to a
/// place of the far server is made to point below the proxy's path.
struct ProxyForwarder: Sendable {
    let target: ProxyTarget
    /// The request's path up to `…/proxy`.
    let prefix: String

    /// Fields that belong to one connection and not to the message, and the credentials that were meant for this
    /// server.
    private static let hopFields: Set = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "authorization", "content-length",
    ]
    /// The far server must not open this server's origin to others.
    private static let originFields: Set = [
        "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
        "access-control-allow-origin", "access-control-expose-headers", "access-control-max-age",
    ]
    /// Pages longer than this go through as they are.
    private static let pageLimit = 16 << 20

    init(_ target: ProxyTarget, _ call: Call) {
        self.target = target
        let path = call.info.path
        let rest = call.rawRest
        prefix = rest.isEmpty ? path : String(path.dropLast(rest.utf8.count))
    }

    /// What the far server is asked for: an empty path where the request ends with `proxy`.
    private func farPath(_ call: Call) -> String { call.rawRest }

    func forward(_ call: Call) async throws -> Answer {
        let path = farPath(call)
        let query = call.rawQuery
        let request = call.request
        if let upgrade = request.headers["Upgrade"], !upgrade.isEmpty {
            return try await tunnel(call, path: path.isEmpty ? "/" : path, query, upgrade)
        }
        if path.isEmpty, ["GET", "HEAD"].contains(request.method) {
            // Links that are relative to the root of the far server work only below a slash.
            let place = call.info.path + "/" + (query.isEmpty ? "" : "?\(query)")
            return .response(Response(status: 301, headers: Headers([("Location", place)])))
        }
        var headers = passed(request.headers)
        addForwarded(&headers, call, path: path)
        let far = path.isEmpty ? "/" : path
        let stream: any ResponseStream
        do {
            stream = try await target.transport.send(
                Request(
                    request.method, query.isEmpty ? far : "\(far)?\(query)", headers: headers, body: request.body))
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIStatus.unreachable("\(error)")
        }
        return .response(try await answer(stream, host: request.headers["Host"] ?? ""))
    }

    private func passed(_ fields: Headers) -> Headers {
        // What `Connection` names belongs to the connection too.
        let named = fields.all("Connection").flatMap { $0.split(separator: ",") }
            .map { $0.filter { $0 != " " }.lowercased() }
        var headers = Headers()
        for field in fields.fields {
            let name = field.name.lowercased()
            if Self.hopFields.contains(name) || named.contains(name) || name.hasPrefix("impersonate-") { continue }
            headers.add(field.name, field.value)
        }
        return headers
    }

    private func addForwarded(_ headers: inout Headers, _ call: Call, path: String) {
        headers["X-Forwarded-Uri"] = prefix + path
        guard case .ip(let address, _) = call.request.peer.endpoint else { return }
        let before = call.request.headers.all("X-Forwarded-For").joined(separator: ", ")
        headers["X-Forwarded-For"] = before.isEmpty ? "\(address)" : "\(before), \(address)"
    }

    // MARK: The answer

    private func answer(_ stream: any ResponseStream, host: String) async throws -> Response {
        var headers = Headers()
        for field in stream.headers.fields {
            let name = field.name.lowercased()
            if Self.hopFields.contains(name) || Self.originFields.contains(name) { continue }
            headers.add(field.name, field.value)
        }
        let links = ProxyLinks(prefix: prefix, farHost: target.host, nearHost: host)
        if let place = headers["Location"], !place.isEmpty {
            headers["Location"] = links.rewritten(place)
        } else if Self.isPage(stream.headers) {
            return try await page(stream, headers, links)
        }
        return Response(status: stream.status, headers: headers, body: Self.streamed(stream, after: []))
    }

    private static func streamed(_ stream: any ResponseStream, after start: [UInt8]) -> Body {
        .stream { writer in
            defer { stream.cancel() }
            if !start.isEmpty { try await writer.write(start) }
            while let piece = try await stream.next() { try await writer.write(piece) }
        }
    }

    private static func isPage(_ headers: Headers) -> Bool {
        let type = headers["Content-Type"]?.split(separator: ";").first.map { $0.filter { $0 != " " } }
        return type == "text/html" && (headers["Content-Encoding"] ?? "").isEmpty
    }

    private func page(_ stream: any ResponseStream, _ headers: Headers, _ links: ProxyLinks) async throws -> Response {
        var text: [UInt8] = []
        do {
            while let piece = try await stream.next() {
                text += piece
                if text.count > Self.pageLimit {
                    return Response(
                        status: stream.status, headers: headers, body: Self.streamed(stream, after: text))
                }
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIStatus.unreachable("\(error)")
        }
        return Response(status: stream.status, headers: headers, body: .bytes(links.rewritten(page: text)))
    }

    // MARK: Other protocols

    private func tunnel(_ call: Call, path: String, _ query: String, _ upgrade: String) async throws -> Answer {
        guard let transport = target.transport as? any UpgradingTransport else {
            throw APIStatus.notImplemented("this server's way there carries no protocol upgrades")
        }
        var headers = passed(call.request.headers)
        addForwarded(&headers, call, path: path)
        Tunnel.dropToken(&headers)
        headers.add("Connection", "Upgrade")
        headers.add("Upgrade", upgrade)
        let target = query.isEmpty ? path : "\(path)?\(query)"
        do {
            return try await Tunnel.open(Request(call.request.method, target, headers: headers), over: transport)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw APIStatus.unreachable("\(error)")
        }
    }
}

/// Connections that have left HTTP: bytes go both ways, whatever they mean.
enum Tunnel {
    /// A token that came as one of a WebSocket's protocols was meant for this server alone.
    static func dropToken(_ headers: inout Headers) {
        let name = "Sec-WebSocket-Protocol"
        let protocols = headers.all(name).flatMap { $0.split(separator: ",") }
            .map { String($0.drop { $0 == " " }) }
        guard protocols.contains(where: { $0.hasPrefix(Authenticator.tokenProtocolPrefix) }) else { return }
        let kept = protocols.filter { !$0.hasPrefix(Authenticator.tokenProtocolPrefix) }
        headers[name] = kept.isEmpty ? nil : kept.joined(separator: ", ")
    }

    /// Asks for the upgrade. A refusal is passed on as it is.
    static func open(_ request: Request, over transport: any UpgradingTransport) async throws -> Answer {
        switch try await transport.upgrade(request) {
        case .refused(let stream):
            var headers = Headers()
            let own: Set = ["connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"]
            for field in stream.headers.fields where !own.contains(field.name.lowercased()) {
                headers.add(field.name, field.value)
            }
            return .response(
                Response(
                    status: stream.status, headers: headers,
                    body: .stream { writer in
                        defer { stream.cancel() }
                        while let piece = try await stream.next() { try await writer.write(piece) }
                    }))
        case .switched(let headers, let far):
            return .response(
                Response(status: 101, headers: headers, body: .upgrade { near in try await join(near, far) }))
        }
    }

    /// Carries bytes both ways until both sides have finished or one breaks.
    static func join(_ near: any Connection, _ far: any Connection) async throws {
        defer {
            near.close()
            far.close()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (from, to) in [(near, far), (far, near)] {
                group.addTask {
                    while true {
                        let bytes = try await from.read(atMost: 64 << 10)
                        if bytes.isEmpty { break }
                        try await to.write(bytes)
                    }
                    try await to.finishWriting()
                }
            }
            try await group.waitForAll()
        }
    }
}
