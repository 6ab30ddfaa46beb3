import Basics
import Document
import Runtime
import Wire

/// Which of a program's streams a client wants, from the query of `/exec` and `/attach`.
struct RemoteCommandOptions: Sendable, Equatable {
    var streams: StreamSet = []
    var terminal = false

    init(_ fields: [(name: String, value: String)]) throws(StreamRefusal) {
        for (name, value) in fields where value == "1" || value == "true" {
            switch name {
            case "input": streams.insert(.input)
            case "output": streams.insert(.output)
            case "error": streams.insert(.errors)
            case "tty": terminal = true
            default: break
            }
        }
        // A terminal has one output.
        if terminal { streams.remove(.errors) }
        guard !streams.isEmpty else {
            throw StreamRefusal(status: 400, "you must specify at least 1 of stdin, stdout, stderr")
        }
    }
}

/// A request that gets no streams, and the answer that it gets instead.
struct StreamRefusal: Error, Sendable {
    var status: Int
    var message: String
    var headers = Headers()

    init(status: Int, _ message: String, headers: Headers = Headers()) {
        self.status = status
        self.message = message
        self.headers = headers
    }
}

/// How the streams of a program travel.
///
/// Version 1 has no end of the input, 2 has, 3 has the terminal's size, 4 tells the outcome as a Status object, 5 (over
/// WebSocket alone) has an end of the input there too.
struct StreamProtocol: Sendable, Equatable {
    enum Carrier: Sendable, Equatable {
        case spdy
        case webSocket(WebSocketChannels.Layout)
    }

    var carrier: Carrier
    var version: Int
    /// What the client offered and gets back; nil where it offered nothing.
    var name: String?

    private static let spdy = [
        "v4.channel.k8s.io": 4, "v3.channel.k8s.io": 3, "v2.channel.k8s.io": 2, "channel.k8s.io": 1,
    ]
    private static let webSocket: [String: StreamProtocol] = {
        var all: [String: StreamProtocol] = [:]
        for (prefix, version) in [("v5.", 5), ("v4.", 4), ("v3.", 3), ("v2.", 2), ("", 1)] {
            for isBase64 in [false, true] {
                let name = prefix + (isBase64 ? "base64." : "") + "channel.k8s.io"
                all[name] = StreamProtocol(
                    carrier: .webSocket(.init(isBase64: isBase64, hasClose: version >= 5)), version: version,
                    name: name)
            }
        }
        return all
    }()

    /// The first of the client's offers that is spoken here, and the head of the answer that agrees to it.
    static func negotiate(_ request: Request) throws(StreamRefusal) -> (StreamProtocol, Headers) {
        if WebSocketHandshake.isAsked(request) {
            let offers = WebSocketHandshake.protocols(request)
            let chosen =
                offers.isEmpty
                ? StreamProtocol(carrier: .webSocket(.init()), version: 1, name: nil)
                : offers.lazy.compactMap { webSocket[$0] }.first
            guard let chosen else { throw disagreement(offers, webSocket.keys.sorted()) }
            return (chosen, try agree(to: request, chosen.name))
        }
        let (name, headers) = try negotiateSPDY(request, accepting: spdy.keys.sorted(by: >))
        return (StreamProtocol(carrier: .spdy, version: name.flatMap { spdy[$0] } ?? 1, name: name), headers)
    }

    static func agree(to request: Request, _ name: String?) throws(StreamRefusal) -> Headers {
        do { return try WebSocketHandshake.agree(to: request, protocol: name) } catch {
            throw StreamRefusal(status: 400, error.description)
        }
    }

    static func negotiateSPDY(_ request: Request, accepting known: [String]) throws(StreamRefusal) -> (String?, Headers)
    {
        func names(_ field: String, _ value: String) -> Bool {
            request.headers.all(field).contains { $0.lowercased().contains(value) }
        }
        guard names("Connection", "upgrade"), names("Upgrade", "spdy/3.1") else {
            throw StreamRefusal(status: 400, "unable to upgrade: missing upgrade headers in request")
        }
        let offers = request.headers.all("X-Stream-Protocol-Version").flatMap { $0.split(separator: ",") }
            .map { String($0.filter { $0 != " " }) }
        var headers = Headers([("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")])
        if offers.isEmpty { return (nil, headers) }
        guard let chosen = offers.first(where: known.contains) else { throw disagreement(offers, known) }
        headers.add("X-Stream-Protocol-Version", chosen)
        return (chosen, headers)
    }

    static func disagreement(_ offers: [String], _ known: [String]) -> StreamRefusal {
        StreamRefusal(
            status: 403,
            "unable to upgrade: unable to negotiate protocol: client supports "
                + "[\(offers.joined(separator: " "))], server accepts [\(known.joined(separator: " "))]",
            headers: Headers(known.map { ("X-Accepted-Stream-Protocol-Versions", $0) }))
    }
}

/// How a program ended, or why it did not run, as the client is told.
enum RemoteOutcome: Sendable, Equatable {
    case success
    case exit(code: Int, command: [String])
    case failure(String)

    var message: String {
        switch self {
        case .success: ""
        case .exit(let code, let command):
            "command terminated with non-zero exit code: error executing command "
                + "[\(command.joined(separator: " "))], exit code \(code)"
        case .failure(let why): "Internal error occurred: \(why)"
        }
    }

    /// A Status object; before version 4 only the words, and of a success nothing.
    func bytes(version: Int) -> [UInt8] {
        if version < 4 { return Array(message.utf8) }
        switch self {
        case .success:
            let status: Document = ["metadata": [:], "status": "Success"]
            return status.json
        case .exit(let code, _):
            let status: Document = [
                "metadata": [:], "status": "Failure", "message": Document(message), "reason": "NonZeroExitCode",
                "details": ["causes": [["reason": "ExitCode", "message": Document(String(code))]]],
            ]
            return status.json
        case .failure(let why):
            let status: Document = [
                "metadata": [:], "status": "Failure", "message": Document(message), "reason": "InternalError",
                "details": ["causes": [["message": Document(why)]]], "code": 500,
            ]
            return status.json
        }
    }
}
