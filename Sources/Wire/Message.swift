import Basics

/// Header fields in the order in which they came; names compare without case.
public struct Headers: Sendable, Equatable {
    public private(set) var fields: [(name: String, value: String)] = []

    public init() {}
    public init(_ fields: [(String, String)]) { self.fields = fields.map { (name: $0.0, value: $0.1) } }

    /// The first value of `name`. Setting replaces every value, nil removes them.
    public subscript(name: String) -> String? {
        get { fields.first { Self.same($0.name, name) }?.value }
        set {
            fields.removeAll { Self.same($0.name, name) }
            if let newValue { fields.append((name, newValue)) }
        }
    }

    public func all(_ name: String) -> [String] { fields.filter { Self.same($0.name, name) }.map(\.value) }
    public mutating func add(_ name: String, _ value: String) { fields.append((name, value)) }

    private static func same(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && zip(a.utf8, b.utf8).allSatisfy { lower($0) == lower($1) }
    }

    private static func lower(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte | 32 : byte }

    public static func == (a: Headers, b: Headers) -> Bool {
        a.fields.elementsEqual(b.fields) { $0.name == $1.name && $0.value == $1.value }
    }
}

/// Who is at the other end of the connection, as the transport can tell.
public struct PeerIdentity: Sendable, Equatable {
    public var endpoint: Endpoint?
    /// The verified client certificate in DER, where the client presented one.
    public var certificate: [UInt8]?

    public init(endpoint: Endpoint? = nil, certificate: [UInt8]? = nil) {
        self.endpoint = endpoint
        self.certificate = certificate
    }
}

/// An HTTP request with its whole body; the server bounds the body before it gets here.
public struct Request: Sendable {
    public var method: String
    /// Path and query exactly as on the wire, such as `/api/v1/pods?limit=5`.
    public var target: String
    public var headers: Headers
    public var body: [UInt8]
    /// Who took the body, where the server's intake named somebody.
    public var taker: (any BodyTaker)?
    public var peer: PeerIdentity

    public init(
        _ method: String, _ target: String, headers: Headers = Headers(), body: [UInt8] = [],
        peer: PeerIdentity = PeerIdentity()
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.peer = peer
    }
}

/// Takes the pieces of a streamed body. `write` returns when the transport has taken the piece,
/// and throws once the reader is gone.
public protocol BodyWriter: Sendable {
    func write(_ piece: [UInt8]) async throws
}

public enum Body: Sendable {
    case bytes([UInt8])
    /// Buffers sent one after the other, shared and not copied; the length is known.
    case pieces([[UInt8]])
    /// Produced while it is sent; the closure is cancelled when the reader goes away.
    case stream(@Sendable (any BodyWriter) async throws -> Void)
    /// Answered with 101; the raw connection belongs to the closure until it returns.
    case upgrade(@Sendable (any Connection) async throws -> Void)
}

/// What a server's handler answers.
public struct Response: Sendable {
    public var status: Int
    public var headers: Headers
    public var body: Body

    public init(status: Int, headers: Headers = Headers(), body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// A server's whole behaviour.
public typealias Handler = @Sendable (Request) async -> Response

/// Takes a request's body piece by piece, before the handler gets the request without it. What goes wrong is kept for
/// the handler to tell: the rest of the body is read in any case.
public protocol BodyTaker: AnyObject, Sendable {
    func take(_ piece: [UInt8]) async
}

/// Who takes the body of a request with this head.
public typealias Intake = @Sendable (Request) async -> (any BodyTaker)?

/// What a client gets: the head, and the body as it arrives.
public protocol ResponseStream: AnyObject, Sendable {
    var status: Int { get }
    var headers: Headers { get }
    /// The next bytes of the body; nil at its end.
    func next() async throws -> [UInt8]?
    /// Gives the connection up before the end.
    func cancel()
}

extension ResponseStream {
    /// The rest of the body, which must not be longer than `limit`.
    public func collect(limit: Int = 256 << 20) async throws -> [UInt8] {
        var all: [UInt8] = []
        while let piece = try await next() {
            all += piece
            guard all.count <= limit else { throw BodyTooLarge(limit: limit) }
        }
        return all
    }
}

public struct BodyTooLarge: Error, Sendable, CustomStringConvertible {
    public let limit: Int
    public init(limit: Int) { self.limit = limit }
    public var description: String { "the body is longer than \(limit) bytes" }
}

/// Anything that carries requests to a server: HTTPS, or a call in the same process.
public protocol Transport: Sendable {
    func send(_ request: Request) async throws -> any ResponseStream
}

/// What came of asking to change the protocol.
public enum Upgrade: Sendable {
    /// The server agreed: the connection is the caller's now, to close as well.
    case switched(Headers, any Connection)
    case refused(any ResponseStream)
}

/// A transport whose connections can leave HTTP.
public protocol UpgradingTransport: Transport {
    /// Sends a request that asks for an upgrade (its `Connection` and `Upgrade` fields are the caller's).
    func upgrade(_ request: Request) async throws -> Upgrade
}
