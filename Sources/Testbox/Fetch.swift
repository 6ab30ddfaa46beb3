import Basics
import Linux
import Wire

/// One HTTP request in full view: any method, fields and host, with TLS, with the status and the fields of the answer.
struct Fetch: Equatable {
    var isSecure: Bool
    var url: URL
    /// Whom to connect to, where it is not the URL's host.
    var address: IPAddress?
    var method = "GET"
    var fields: [(name: String, value: String)] = []
    var body = ""
    /// Words of a WebSocket conversation, in place of a body.
    var messages: [String] = []
    var timeout: Duration = .seconds(5)

    static let flags = ["to", "method", "header", "body", "say", "timeout"]

    static func == (a: Fetch, b: Fetch) -> Bool {
        a.isSecure == b.isSecure && a.url == b.url && a.address == b.address && a.method == b.method
            && a.fields.elementsEqual(b.fields) { $0 == $1 } && a.body == b.body && a.messages == b.messages
            && a.timeout == b.timeout
    }

    /// `--flag value` pairs behind the URL; `header` and `say` may be repeated.
    init(_ words: ArraySlice<String>) throws(UsageError) {
        var words = words
        guard var text = words.popFirst() else { throw UsageError("fetch takes a URL") }
        isSecure = text.hasPrefix("https://")
        if isSecure { text = "http://" + text.dropFirst("https://".count) }
        url = try URL(text)
        // The port that nobody wrote is that of the scheme.
        if isSecure, url.port == 80, !text.contains(":80") { url.port = 443 }
        while let word = words.popFirst() {
            guard word.hasPrefix("--"), Self.flags.contains(String(word.dropFirst(2))) else {
                throw UsageError("fetch has no flag \(word)")
            }
            guard let value = words.popFirst() else { throw UsageError("\(word) needs a value") }
            switch word {
            case "--to":
                guard let known = IPAddress(value) else { throw UsageError("\(value) is no address") }
                address = known
            case "--method": method = value.uppercased()
            case "--body": body = value
            case "--say": messages.append(value)
            case "--timeout":
                guard let seconds = Double(value), seconds > 0, seconds < 1e6 else {
                    throw UsageError("\(value) is no number of seconds")
                }
                timeout = .seconds(seconds)
            default:
                guard let colon = value.firstIndex(of: ":") else { throw UsageError("\(value) is no header") }
                let content = value[value.index(after: colon)...].drop { $0 == " " }
                fields.append((String(value[..<colon]), String(content)))
            }
        }
    }

    /// The `Host` field, and the name that TLS asks for.
    var host: String {
        fields.first { $0.name.lowercased() == "host" }?.value
            ?? (url.port == (isSecure ? 443 : 80) ? url.host : url.authority)
    }
}

extension Testbox {
    /// Prints `HTTP 200`, the answer's fields, an empty line and the body. Every status is a success: the reader
    /// decides.
    func fetch(_ fetch: Fetch) async throws -> Int32 {
        do {
            return try await within(fetch.timeout) { try await converse(fetch) }
        } catch let error as CancellationError {
            throw error
        } catch {
            Output.error("testbox: \(fetch.url.authority): \(error)")
            return 1
        }
    }

    private func converse(_ fetch: Fetch) async throws -> Int32 {
        let address = try await address(of: fetch)
        var limits = HTTPTransport.Limits()
        limits.idle = 0
        // Whose certificate it is shall be seen, not judged.
        let tls = fetch.isSecure ? try TLSClientContext(caPEM: nil) : nil
        let name = String(fetch.host.prefix { $0 != ":" })
        let transport = HTTPTransport(
            .ip(address, port: fetch.url.port), host: fetch.host, tls: tls, serverName: name, network: world.network,
            clock: world.clock, limits: limits)
        var headers = Headers()
        for field in fetch.fields { headers.add(field.name, field.value) }
        if !fetch.messages.isEmpty { return try await talk(fetch, transport, headers) }
        let answer = try await transport.send(
            Request(fetch.method, fetch.url.target, headers: headers, body: Array(fetch.body.utf8)))
        show(answer.status, answer.headers)
        var text = String(decoding: try await answer.collect(limit: 16 << 20), as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        Output.line(text)
        return 0
    }

    private func address(of fetch: Fetch) async throws -> IPAddress {
        if let address = fetch.address ?? IPAddress(fetch.url.host) { return address }
        guard let found = try await Resolver(world: world).addresses(of: fetch.url.host).first else {
            throw NotFound(name: fetch.url.host)
        }
        return found
    }

    private func show(_ status: Int, _ headers: Headers) {
        Output.line("HTTP \(status)")
        for field in headers.fields { Output.line("\(field.name): \(field.value)") }
        Output.line("")
    }

    /// Says each message and prints what comes back.
    private func talk(_ fetch: Fetch, _ transport: HTTPTransport, _ headers: Headers) async throws -> Int32 {
        var asked = WebSocketHandshake.ask(protocols: [], random: world.random)
        for field in headers.fields { asked.add(field.name, field.value) }
        switch try await transport.upgrade(Request("GET", fetch.url.target, headers: asked)) {
        case .refused(let answer):
            show(answer.status, answer.headers)
            return 1
        case .switched(let answer, let connection):
            defer { connection.close() }
            _ = try WebSocketHandshake.check(answer, to: asked)
            let socket = WebSocketConnection(connection, role: .client, random: world.random)
            for message in fetch.messages {
                try await socket.send(Array(message.utf8), isText: true)
                guard let piece = try await socket.next() else { return 1 }
                Output.line(String(decoding: piece.bytes, as: UTF8.self))
            }
            try await socket.close(1000)
            return 0
        }
    }
}

/// What `serve` answers beside saying who it is.
enum Echo {
    /// - `/headers` the request's fields, a line each
    /// - `/echo` the request's body, or what comes over a WebSocket
    /// - `/slow?MILLISECONDS` an answer that takes its time
    /// - `/redirect?to=LOCATION` leads there; a `%3F` in it becomes a question mark
    static func answer(_ request: Request, world: World) async -> Response? {
        let parts = request.target.split(separator: "?", maxSplits: 1).map(String.init)
        switch parts.first {
        case "/headers":
            let lines =
                ["\(request.method) \(request.target)"] + request.headers.fields.map { "\($0.name): \($0.value)" }
            return text(lines.joined(separator: "\n"))
        case "/echo" where WebSocketHandshake.isAsked(request):
            guard let headers = try? WebSocketHandshake.agree(to: request, protocol: nil) else { return nil }
            return Response(
                status: 101, headers: headers,
                body: .upgrade { connection in
                    let socket = WebSocketConnection(connection, role: .server, random: world.random)
                    while let piece = try await socket.next() {
                        try await socket.send(piece.bytes, isText: piece.isText)
                    }
                })
        case "/echo": return Response(status: 200, body: .bytes(request.body))
        case "/slow":
            let time = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
            try? await world.clock.sleep(for: .milliseconds(min(max(0, time), 600_000)))
            return text("slow")
        case "/redirect":
            let query = parts.count > 1 ? parts[1] : ""
            guard query.hasPrefix("to=") else { return nil }
            let location = String(query.dropFirst(3)).replacing("%3F", with: "?")
            return Response(
                status: 302, headers: Headers([("Location", location)]), body: .bytes(Array("elsewhere\n".utf8)))
        default: return nil
        }
    }

    static let ill = Response(status: 500, body: .bytes(Array("ill\n".utf8)))

    private static func text(_ text: String) -> Response {
        Response(
            status: 200, headers: Headers([("Content-Type", "text/plain; charset=utf-8")]),
            body: .bytes(Array((text + "\n").utf8)))
    }
}
