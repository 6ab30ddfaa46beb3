// SPDY/3.1, as much of it as Kubernetes' clients speak. All numbers are in network order.
//
//     control frame: 1 bit 1, 15 bits version 3, 16 bits type; 8 bits flags, 24 bits length; then by type
//       SYN_STREAM 1:  stream, associated stream, 16 bits priority and slot, header block; flags FIN 1, UNIDIRECTIONAL 2
//       SYN_REPLY 2, HEADERS 8:  stream, header block; flag FIN 1
//       RST_STREAM 3:  stream, status
//       PING 6:        id, odd where the client began it; sent back as it came
//       GOAWAY 7:      last stream that was looked at, status
//       WINDOW_UPDATE 9:  stream, bytes
//     data frame:    1 bit 0, 31 bits stream; 8 bits flags (FIN 1), 24 bits length; the bytes
//
// Kubernetes' implementation neither sends window updates nor heeds them, so flow is held back by the connection alone.

public enum SPDYEvent: Sendable, Equatable {
    case open(UInt32, Headers, isLast: Bool)
    case reply(UInt32, Headers, isLast: Bool)
    case headers(UInt32, Headers, isLast: Bool)
    case reset(UInt32, status: UInt32)
    case ping(UInt32)
    case goAway(lastStream: UInt32)
    case data(UInt32, [UInt8], isLast: Bool)
}

public enum SPDYStatus {
    public static let protocolError: UInt32 = 1
    public static let invalidStream: UInt32 = 2
    public static let refused: UInt32 = 3
    public static let cancelled: UInt32 = 5
    public static let alreadyClosed: UInt32 = 9
}

/// Turns bytes into events, however they are cut. Frames that mean nothing here are skipped.
public struct SPDYReader {
    public static let longestControl = 64 << 10
    public static let longestHeaders = 64 << 10
    public static let mostHeaders = 256

    private enum Kind: UInt16 {
        case open = 1
        case reply = 2
        case reset = 3
        case settings = 4
        case ping = 6
        case goAway = 7
        case headers = 8
        case windowUpdate = 9
    }

    private var input: [UInt8] = []
    private var start = 0
    /// The data frame whose bytes are arriving.
    private var data: (stream: UInt32, left: Int, isLast: Bool)?
    private let inflater = SPDYInflater()

    public init() {}

    /// Bytes that wait: less than one control frame, once `next` has answered nil.
    public var buffered: Int { input.count - start }

    public mutating func feed(_ bytes: [UInt8]) {
        if start > 0 {
            input.removeFirst(start)
            start = 0
        }
        input += bytes
    }

    private func number(at offset: Int) -> UInt32 {
        input[(start + offset)..<(start + offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    public mutating func next() throws(SPDYError) -> SPDYEvent? {
        while true {
            if let data { return piece(of: data) }
            guard buffered >= 8 else { return nil }
            let first = number(at: 0)
            let second = number(at: 4)
            let flags = second >> 24
            let length = Int(second & 0xFF_FFFF)
            if first & 0x8000_0000 == 0 {
                start += 8
                data = (first, length, flags & 1 != 0)
                // An empty frame says something only where it ends its stream.
                if length == 0 {
                    data = nil
                    if flags & 1 != 0 { return .data(first, [], isLast: true) }
                }
                continue
            }
            guard first >> 16 & 0x7FFF == 3 else { throw SPDYError("a frame of another version of SPDY") }
            guard length <= Self.longestControl else { throw SPDYError("a control frame of \(length) bytes") }
            guard buffered >= 8 + length else { return nil }
            defer { start += 8 + length }
            if let event = try control(UInt16(first & 0xFFFF), flags, length) { return event }
        }
    }

    private mutating func piece(of frame: (stream: UInt32, left: Int, isLast: Bool)) -> SPDYEvent? {
        guard buffered > 0 else { return nil }
        let count = min(buffered, frame.left)
        let bytes = Array(input[start..<(start + count)])
        start += count
        data = count == frame.left ? nil : (frame.stream, frame.left - count, frame.isLast)
        return .data(frame.stream, bytes, isLast: frame.isLast && data == nil)
    }

    private func control(_ type: UInt16, _ flags: UInt32, _ length: Int) throws(SPDYError) -> SPDYEvent? {
        guard let kind = Kind(rawValue: type) else { return nil }
        let needed =
            switch kind {
            case .open: 10
            case .reply, .headers, .settings, .ping: 4
            case .reset, .goAway, .windowUpdate: 8
            }
        guard length >= needed else { throw SPDYError("a control frame of type \(type) is too short") }
        let id = number(at: 8) & 0x7FFF_FFFF
        let isLast = flags & 1 != 0
        switch kind {
        case .open: return .open(id, try headers(10, length), isLast: isLast)
        case .reply: return .reply(id, try headers(4, length), isLast: isLast)
        case .headers: return .headers(id, try headers(4, length), isLast: isLast)
        case .reset: return .reset(id, status: number(at: 12))
        case .ping: return .ping(number(at: 8))
        case .goAway: return .goAway(lastStream: id)
        case .settings, .windowUpdate: return nil
        }
    }

    private func headers(_ offset: Int, _ length: Int) throws(SPDYError) -> Headers {
        let block = Array(input[(start + 8 + offset)..<(start + 8 + length)])
        return try SPDYHeaderBlock.decode(try inflater.decompress(block, limit: Self.longestHeaders))
    }
}

/// Events as bytes. Frames with headers must go out in the order in which they were made.
public struct SPDYWriter {
    private let deflater = SPDYDeflater()

    public init() {}

    public func bytes(_ event: SPDYEvent) -> [UInt8] {
        func number(_ value: UInt32) -> [UInt8] { SPDYHeaderBlock.number(value) }
        func control(_ type: UInt32, _ isLast: Bool = false, _ payload: [UInt8]) -> [UInt8] {
            number(0x8003_0000 | type) + number((isLast ? 1 << 24 : 0) | UInt32(payload.count)) + payload
        }
        func block(_ headers: Headers) -> [UInt8] { deflater.compress(SPDYHeaderBlock.encode(headers)) }
        switch event {
        case .open(let id, let headers, let isLast):
            return control(1, isLast, number(id) + number(0) + [0, 0] + block(headers))
        case .reply(let id, let headers, let isLast): return control(2, isLast, number(id) + block(headers))
        case .headers(let id, let headers, let isLast): return control(8, isLast, number(id) + block(headers))
        case .reset(let id, let status): return control(3, false, number(id) + number(status))
        case .ping(let id): return control(6, false, number(id))
        case .goAway(let last): return control(7, false, number(last) + number(0))
        case .data(let id, let bytes, let isLast):
            return number(id) + number((isLast ? 1 << 24 : 0) | UInt32(bytes.count)) + bytes
        }
    }
}
