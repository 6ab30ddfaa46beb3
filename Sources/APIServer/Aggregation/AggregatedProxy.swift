import Basics
import Document
import Kinds
import Wire

/// Passes requests on to the server that answers for their group version. Who asks was found out here; the other
/// server believes this one, whose certificate it knows, and reads the user from the request's head.
struct AggregatedProxy: Sendable {
    let connector: ServiceConnector

    private static let timeout = Duration.seconds(60)
    static let aggregatorUser = UserInfo(name: "system:kube-aggregator", groups: ["system:masters"])

    private static let hopFields: Set = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "authorization", "content-length",
    ]

    /// The head fields that tell who asks.
    static func identity(_ user: UserInfo) -> Headers {
        var headers = Headers([("X-Remote-User", user.name)])
        if !user.uid.isEmpty { headers.add("X-Remote-Uid", user.uid) }
        for group in user.groups { headers.add("X-Remote-Group", group) }
        for (key, values) in user.extra.sorted(by: { $0.key < $1.key }) {
            for value in values { headers.add("X-Remote-Extra-" + escaped(key), value) }
        }
        return headers
    }

    /// Keys may hold what names of head fields may not.
    private static func escaped(_ key: String) -> String {
        var out = ""
        for byte in key.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122: out.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where "!#$&'*+-.^_`|~".utf8.contains(byte): out.unicodeScalars.append(Unicode.Scalar(byte))
            default: out += "%" + Hex.encode([byte]).uppercased()
            }
        }
        return out
    }

    static var unavailable: Response { text("service unavailable\n") }

    private static func text(_ text: String) -> Response {
        Response(
            status: 503,
            headers: Headers([
                ("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"),
            ]), body: .bytes(Array(text.utf8)))
    }

    func forward(_ request: Request, as user: UserInfo, to remote: Aggregator.Remote) async throws -> Response {
        guard remote.finding.isAvailable else { return Self.unavailable }
        let transport: HTTPTransport
        do {
            transport = try connector.transport(try await connector.target(spec: remote.spec, timeout: Self.timeout))
        } catch let error as CancellationError {
            throw error
        } catch { return Self.unavailable }
        var headers = Headers()
        for field in request.headers.fields {
            let name = field.name.lowercased()
            // Nobody but us says who asks.
            if Self.hopFields.contains(name) || name.hasPrefix("x-remote-") || name.hasPrefix("impersonate-") {
                continue
            }
            headers.add(field.name, field.value)
        }
        for field in Self.identity(user).fields { headers.add(field.name, field.value) }
        if case .ip(let address, _) = request.peer.endpoint { headers.add("X-Forwarded-For", "\(address)") }
        do {
            if let upgrade = request.headers["Upgrade"], !upgrade.isEmpty {
                headers.add("Connection", "Upgrade")
                headers.add("Upgrade", upgrade)
                let answer = try await Tunnel.open(
                    Request(request.method, request.target, headers: headers, body: request.body), over: transport)
                if case .response(let response) = answer.content { return response }
            }
            return Self.relayed(
                try await transport.send(
                    Request(request.method, request.target, headers: headers, body: request.body)))
        } catch let error as CancellationError {
            throw error
        } catch {
            return Self.text("error trying to reach service: \(error)\n")
        }
    }

    private static func relayed(_ stream: any ResponseStream) -> Response {
        var headers = Headers()
        for field in stream.headers.fields where !hopFields.contains(field.name.lowercased()) {
            headers.add(field.name, field.value)
        }
        return Response(
            status: stream.status, headers: headers,
            body: .stream { writer in
                defer { stream.cancel() }
                while let piece = try await stream.next() { try await writer.write(piece) }
            })
    }
}
