import Basics
import COpenSSL

/// RFC 6455, section 4: how an HTTP/1.1 connection becomes a WebSocket.
public enum WebSocketHandshake {
    private static let suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    public struct Refused: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// Whether the request asks for a WebSocket.
    public static func isAsked(_ request: Request) -> Bool {
        request.headers.all("Connection").contains { HTTPTokens($0).contains("upgrade") }
            && request.headers.all("Upgrade").contains { HTTPTokens($0).contains("websocket") }
    }

    /// The protocols that the client offers, in its order of preference.
    public static func protocols(_ request: Request) -> [String] {
        request.headers.all("Sec-WebSocket-Protocol").flatMap { $0.split(separator: ",") }
            .map { String($0.filter { $0 != " " && $0 != "\t" }) }.filter { !$0.isEmpty }
    }

    /// The head of the answer that agrees.
    public static func agree(to request: Request, protocol chosen: String?) throws(Refused) -> Headers {
        guard let key = request.headers["Sec-WebSocket-Key"], Base64.decode(key)?.count == 16 else {
            throw Refused(description: "the request has no valid Sec-WebSocket-Key")
        }
        guard request.headers["Sec-WebSocket-Version"] == "13" else {
            throw Refused(description: "only version 13 of the WebSocket protocol is spoken here")
        }
        var headers = Headers([
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", proof(of: key)),
        ])
        if let chosen { headers.add("Sec-WebSocket-Protocol", chosen) }
        return headers
    }

    /// What a client adds to its request.
    public static func ask(protocols: [String], random: any Randomness) -> Headers {
        var headers = Headers([
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", Base64.encode(random.bytes(16))),
        ])
        if !protocols.isEmpty { headers.add("Sec-WebSocket-Protocol", protocols.joined(separator: ", ")) }
        return headers
    }

    /// Checks the server's answer against what was asked; the protocol that it chose.
    public static func check(_ answer: Headers, to asked: Headers) throws(Refused) -> String? {
        guard let key = asked["Sec-WebSocket-Key"], answer["Sec-WebSocket-Accept"] == proof(of: key) else {
            throw Refused(description: "the server's answer proves no WebSocket")
        }
        return answer["Sec-WebSocket-Protocol"]
    }

    static func proof(of key: String) -> String {
        let text = Array((key + suffix).utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        SHA1(text, text.count, &digest)
        return Base64.encode(digest)
    }
}
