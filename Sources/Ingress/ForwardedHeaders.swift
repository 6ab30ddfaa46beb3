import Basics
import Wire

/// The fields that go on to the other side, and those that we answer for.
enum ForwardedHeaders {
    /// Fields that belong to one connection and not to the message.
    private static let hop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "transfer-encoding",
        "upgrade", "expect", "content-length",
    ]
    /// What a client says about itself here is not believed.
    private static let claimed: Set<String> = [
        "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-scheme",
        "x-real-ip", "forwarded",
    ]

    /// For the endpoint. The body's framing is the client's.
    static func request(_ head: HTTPHead, _ place: RequestPlace, client: IPAddress?, isSecure: Bool, upgrade: String?)
        -> Headers
    {
        var headers = Headers()
        let named = connectionTokens(head.headers)
        for field in head.headers.fields {
            let name = field.name.lowercased()
            if hop.contains(name) || claimed.contains(name) || named.contains(name) { continue }
            headers.add(field.name, field.value)
        }
        if let client {
            headers.add("X-Real-IP", client.description)
            headers.add("X-Forwarded-For", client.description)
        }
        headers.add("X-Forwarded-Host", head.headers["Host"] ?? place.host)
        headers.add("X-Forwarded-Port", isSecure ? "443" : "80")
        headers.add("X-Forwarded-Proto", isSecure ? "https" : "http")
        headers.add("X-Forwarded-Scheme", isSecure ? "https" : "http")
        if let upgrade {
            headers.add("Connection", "Upgrade")
            headers.add("Upgrade", upgrade)
        }
        switch head.bodyLength {
        case .none: if ["POST", "PUT", "PATCH"].contains(head.method) { headers.add("Content-Length", "0") }
        case .known(let length): headers.add("Content-Length", String(length))
        case .unknown: headers.add("Transfer-Encoding", "chunked")
        }
        if headers["Host"] == nil { headers.add("Host", place.host) }
        return headers
    }

    enum Framing: Equatable { case none, asIs, chunked, untilClose }

    /// For the client, and how the body goes there.
    static func response(_ answer: HTTPHead, to head: HTTPHead, keepAlive: inout Bool) -> (Headers, Framing) {
        var headers = Headers()
        let named = connectionTokens(answer.headers)
        for field in answer.headers.fields {
            let name = field.name.lowercased()
            if hop.contains(name), name != "content-length" { continue }
            if named.contains(name) { continue }
            headers.add(field.name, field.value)
        }
        let framing: Framing
        switch answer.bodyLength {
        // HEAD and 304 tell the length of a body that does not come.
        case .none: framing = .none
        case .known: framing = .asIs
        case .unknown:
            headers["Content-Length"] = nil
            framing = head.minorVersion > 0 ? .chunked : .untilClose
        }
        if framing == .chunked { headers.add("Transfer-Encoding", "chunked") }
        if framing == .untilClose { keepAlive = false }
        if !keepAlive {
            headers.add("Connection", "close")
        } else if head.minorVersion == 0 {
            headers.add("Connection", "keep-alive")
        }
        return (headers, framing)
    }

    /// What `Connection` names belongs to the connection too.
    private static func connectionTokens(_ headers: Headers) -> Set<String> {
        let values = headers.all("Connection")
        if values.isEmpty { return [] }
        return Set(
            values.flatMap { $0.split(separator: ",") }.map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() })
    }

    /// The protocol that the client wants to change to.
    static func upgrade(_ head: HTTPHead) -> String? {
        guard let wanted = head.headers["Upgrade"], head.minorVersion > 0,
            head.headers.all("Connection").contains(where: { HTTPTokens($0).contains("upgrade") }),
            // Cleartext HTTP/2 would let a client speak to the endpoint past the rules.
            wanted.lowercased() != "h2c"
        else { return nil }
        return wanted
    }
}
