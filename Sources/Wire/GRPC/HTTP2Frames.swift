/// Frames of HTTP/2 (RFC 9113): a head of nine bytes, then the payload.
///
///     length: 3 bytes | type: 1 | flags: 1 | stream: 4, of which the first bit means nothing
public struct HTTP2Frame: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        case data, headers, priority, reset, settings, push, ping, goAway, windowUpdate, continuation
    }

    public static let endStream: UInt8 = 0x1
    public static let endHeaders: UInt8 = 0x4
    static let acknowledgement: UInt8 = 0x1
    static let padded: UInt8 = 0x8
    static let withPriority: UInt8 = 0x20

    /// What every peer takes without having said so.
    static let largestPayload = 16_384
    public static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// As sent; kinds that nobody knows are to be ignored.
    public var type: UInt8
    public var flags: UInt8
    public var stream: UInt32
    public var payload: [UInt8]

    public init(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) {
        type = kind.rawValue
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    init(type: UInt8, flags: UInt8, stream: UInt32, payload: [UInt8]) {
        (self.type, self.flags, self.stream, self.payload) = (type, flags, stream, payload)
    }

    public var kind: Kind? { Kind(rawValue: type) }
    public func has(_ flag: UInt8) -> Bool { flags & flag != 0 }

    public var encoded: [UInt8] {
        let count = payload.count
        return [
            UInt8(truncatingIfNeeded: count >> 16), UInt8(truncatingIfNeeded: count >> 8),
            UInt8(truncatingIfNeeded: count), type, flags,
        ] + Self.bytes(stream) + payload
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
    }

    /// The payload without padding and priority.
    func content() throws(HTTP2Error) -> ArraySlice<UInt8> {
        var rest = payload[...]
        if has(Self.padded) {
            guard let count = rest.popFirst(), Int(count) <= rest.count else {
                throw HTTP2Error("padding is longer than its frame")
            }
            rest = rest.dropLast(Int(count))
        }
        if kind == .headers, has(Self.withPriority) {
            guard rest.count >= 5 else { throw HTTP2Error("a HEADERS frame is cut short") }
            rest = rest.dropFirst(5)
        }
        return rest
    }
}

public struct HTTP2Error: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = "HTTP/2: \(description)" }
}

/// Cuts a stream of bytes into frames.
public struct HTTP2FrameReader: Sendable {
    private var buffer: [UInt8] = []

    public init() {}

    public mutating func append(_ bytes: [UInt8]) { buffer += bytes }

    /// Nil until a whole frame is there.
    public mutating func next() throws(HTTP2Error) -> HTTP2Frame? {
        guard buffer.count >= 9 else { return nil }
        let length = Int(buffer[0]) << 16 | Int(buffer[1]) << 8 | Int(buffer[2])
        guard length <= HTTP2Frame.largestPayload else {
            throw HTTP2Error("a frame of \(length) bytes, where \(HTTP2Frame.largestPayload) are the most")
        }
        guard buffer.count >= 9 + length else { return nil }
        let stream = buffer[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        defer { buffer.removeFirst(9 + length) }
        return HTTP2Frame(
            type: buffer[3], flags: buffer[4], stream: stream, payload: Array(buffer[9..<(9 + length)]))
    }
}
