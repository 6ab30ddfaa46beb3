import Basics

/// One gRPC call with one message each way, as the client of a connection that carries nothing else:
/// bytes that arrive go in, bytes to send come out.
public struct GRPCCall: Sendable {
    public struct Answer: Sendable, Equatable {
        /// gRPC's own code; 0 is success.
        public var status: Int
        public var detail: String
        public var message: [UInt8]?
    }

    private static let stream: UInt32 = 1
    private static let messageLimit = 64 << 10

    /// Set once the call is over.
    public private(set) var answer: Answer?
    /// To be sent first.
    public let opening: [UInt8]

    private var reader = HTTP2FrameReader()
    private var headers = HPACKDecoder()
    private var block: [UInt8]?
    private var blockEndsStream = false
    private var data: [UInt8] = []
    private var fields: [String: String] = [:]

    /// `path` is `/PACKAGE.SERVICE/METHOD`.
    public init(_ path: String, message: [UInt8], authority: String, userAgent: String) {
        let block = HPACKDecoder.encode([
            .init(":method", "POST"), .init(":scheme", "http"), .init(":path", path), .init(":authority", authority),
            .init("content-type", "application/grpc"), .init("user-agent", userAgent), .init("te", "trailers"),
        ])
        opening =
            HTTP2Frame.preface + HTTP2Frame(.settings).encoded
            + HTTP2Frame(.headers, flags: HTTP2Frame.endHeaders, stream: Self.stream, payload: block).encoded
            + HTTP2Frame(
                .data, flags: HTTP2Frame.endStream, stream: Self.stream, payload: Self.framed(message)
            ).encoded
    }

    /// A message on the wire: one byte that says whether it is compressed, its length in four, and itself.
    public static func framed(_ message: [UInt8]) -> [UInt8] {
        [0] + HTTP2Frame.bytes(UInt32(message.count)) + message
    }

    /// Returns what has to be sent now.
    public mutating func receive(_ bytes: [UInt8]) throws(HTTP2Error) -> [UInt8] {
        reader.append(bytes)
        var out: [UInt8] = []
        while answer == nil, let frame = try reader.next() { out += try take(frame) }
        return out
    }

    /// The connection has ended.
    public mutating func finish() throws(HTTP2Error) {
        guard answer == nil else { return }
        throw HTTP2Error("the connection was closed before the answer")
    }

    private mutating func take(_ frame: HTTP2Frame) throws(HTTP2Error) -> [UInt8] {
        if block != nil, frame.kind != .continuation { throw HTTP2Error("headers are cut by another frame") }
        switch frame.kind {
        case .settings:
            return frame.has(HTTP2Frame.acknowledgement)
                ? [] : HTTP2Frame(.settings, flags: HTTP2Frame.acknowledgement).encoded
        case .ping:
            return frame.has(HTTP2Frame.acknowledgement)
                ? [] : HTTP2Frame(.ping, flags: HTTP2Frame.acknowledgement, payload: frame.payload).encoded
        case .headers where frame.stream == Self.stream:
            block = Array(try frame.content())
            blockEndsStream = frame.has(HTTP2Frame.endStream)
            if frame.has(HTTP2Frame.endHeaders) { try endBlock() }
        case .continuation:
            guard let begun = block else { throw HTTP2Error("headers go on that were not begun") }
            block = begun + frame.payload
            if frame.has(HTTP2Frame.endHeaders) { try endBlock() }
        case .data where frame.stream == Self.stream:
            data += try frame.content()
            guard data.count <= Self.messageLimit else {
                throw HTTP2Error("an answer beyond \(Self.messageLimit) bytes")
            }
            if frame.has(HTTP2Frame.endStream) { conclude() }
        case .reset where frame.stream == Self.stream: throw HTTP2Error("the server refused the request")
        case .goAway: throw HTTP2Error("the server closes the connection")
        default: break
        }
        return []
    }

    private mutating func endBlock() throws(HTTP2Error) {
        for field in try headers.decode(block ?? []) { fields[field.name] = field.value }
        block = nil
        if blockEndsStream { conclude() }
    }

    private mutating func conclude() {
        if let http = fields[":status"], http != "200" {
            answer = Answer(status: 2, detail: "unexpected HTTP status code received from server: \(http)")
            return
        }
        guard let status = fields["grpc-status"].flatMap({ Int($0) }) else {
            answer = Answer(status: 13, detail: "server closed the stream without sending trailers")
            return
        }
        answer = Answer(status: status, detail: fields["grpc-message"] ?? "", message: Self.unframed(data))
    }

    private static func unframed(_ data: [UInt8]) -> [UInt8]? {
        guard data.count >= 5, data[0] == 0 else { return nil }
        let count = data[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard data.count >= 5 + count else { return nil }
        return Array(data[5..<(5 + count)])
    }

    /// Carries the call out over a connection of its own.
    public static func run(
        _ path: String, message: [UInt8], authority: String, userAgent: String, over connection: any Connection
    ) async throws -> Answer {
        var call = GRPCCall(path, message: message, authority: authority, userAgent: userAgent)
        try await connection.write(call.opening)
        while true {
            if let answer = call.answer { return answer }
            let bytes = try await connection.read(atMost: 16 << 10)
            if bytes.isEmpty { try call.finish() }
            let out = try call.receive(bytes)
            if !out.isEmpty { try await connection.write(out) }
        }
    }
}

/// The messages of `grpc.health.v1.Health/Check`.
public enum GRPCHealth {
    public static let path = "/grpc.health.v1.Health/Check"

    /// `HealthCheckRequest`: field 1 is the service's name, left out where it is empty.
    public static func request(service: String) -> [UInt8] {
        let name = Array(service.utf8)
        guard !name.isEmpty else { return [] }
        var length = name.count
        var bytes: [UInt8] = [0x0A]
        while length >= 128 {
            bytes.append(UInt8(length & 0x7F) | 0x80)
            length >>= 7
        }
        return bytes + [UInt8(length)] + name
    }

    /// `HealthCheckResponse`: field 1 is the status. Nil where the message is none.
    public static func status(_ message: [UInt8]) -> String? {
        let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
        guard !message.isEmpty else { return names[0] }
        guard message.count >= 2, message[0] == 0x08, Int(message[1]) < names.count else { return nil }
        return names[Int(message[1])]
    }
}
