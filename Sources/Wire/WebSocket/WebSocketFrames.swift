// RFC 6455, section 5.2. A frame:
//
//     1 bit FIN, 3 bits that must be 0, 4 bits opcode
//     1 bit MASK, 7 bits length; 126: the length follows in 2 bytes, 127: in 8 bytes
//     4 bytes of mask where MASK is set; then the payload, XORed with the mask
//
// A client masks every frame, a server none. A message is a first frame (text or binary) and continuations up to the
// one with FIN; control frames may stand between them.

public struct WebSocketError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The code that a close frame tells the other side.
    public var code: UInt16
    public var description: String

    public init(_ code: UInt16, _ description: String) {
        self.code = code
        self.description = description
    }
}

public enum WebSocketRole: Sendable { case server, client }

/// A part of a message, handed on as it arrives, so that no message is ever held whole.
public struct WebSocketPiece: Sendable, Equatable {
    public var isText: Bool
    public var isFirst: Bool
    public var isLast: Bool
    public var bytes: [UInt8]
}

public enum WebSocketEvent: Sendable, Equatable {
    case piece(WebSocketPiece)
    case ping([UInt8])
    case pong([UInt8])
    /// The other side's last frame; 1005 stands for one without a code.
    case close(UInt16, reason: String)
}

/// Turns bytes into events, however they are cut.
public struct WebSocketReader: Sendable {
    private enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    private struct Frame {
        var opcode: Opcode
        var isFinal: Bool
        var mask: [UInt8]
        var left: UInt64
        var offset = 0
    }

    private let role: WebSocketRole
    private var input: [UInt8] = []
    private var start = 0
    private var frame: Frame?
    /// Of the message that is being received; nil between messages.
    private var messageIsText: Bool?
    private var isFirstPiece = false
    private var isClosed = false

    private static let longestControl: UInt64 = 125

    /// `role` is the reader's own.
    public init(_ role: WebSocketRole) { self.role = role }

    /// Bytes that wait: at most a head or a control frame, once `next` has answered nil.
    public var buffered: Int { input.count - start }

    public mutating func feed(_ bytes: [UInt8]) {
        if start > 0 {
            input.removeFirst(start)
            start = 0
        }
        input += bytes
    }

    /// The next event; nil until more bytes come, and for ever after the close frame.
    public mutating func next() throws(WebSocketError) -> WebSocketEvent? {
        while !isClosed {
            if frame == nil { frame = try head() }
            guard let current = frame else { return nil }
            if current.opcode.isControl {
                guard UInt64(buffered) >= current.left else { return nil }
                let payload = take(Int(current.left))
                frame = nil
                return try control(current.opcode, payload)
            }
            if let piece = piece() { return .piece(piece) }
            if frame != nil { return nil }
        }
        return nil
    }

    private mutating func head() throws(WebSocketError) -> Frame? {
        guard buffered >= 2 else { return nil }
        let first = input[start]
        let second = input[start + 1]
        guard first & 0x70 == 0 else { throw WebSocketError(1002, "reserved bits are set") }
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw WebSocketError(1002, "unknown opcode") }
        let isMasked = second & 0x80 != 0
        guard isMasked == (role == .server) else {
            throw WebSocketError(1002, isMasked ? "a server's frame is masked" : "a client's frame is not masked")
        }
        let short = second & 0x7F
        let extra = short == 126 ? 2 : short == 127 ? 8 : 0
        let size = 2 + extra + (isMasked ? 4 : 0)
        guard buffered >= size else { return nil }
        var length = UInt64(short)
        if extra > 0 { length = input[(start + 2)..<(start + 2 + extra)].reduce(0) { $0 << 8 | UInt64($1) } }
        guard length < 1 << 63, extra != 2 || length > 125, extra != 8 || length > 0xFFFF else {
            throw WebSocketError(1002, "malformed length")
        }
        let isFinal = first & 0x80 != 0
        try checkOrder(opcode, isFinal: isFinal, length)
        let mask = isMasked ? Array(input[(start + size - 4)..<(start + size)]) : []
        start += size
        return Frame(opcode: opcode, isFinal: isFinal, mask: mask, left: length)
    }

    private mutating func checkOrder(_ opcode: Opcode, isFinal: Bool, _ length: UInt64) throws(WebSocketError) {
        if opcode.isControl {
            guard isFinal, length <= Self.longestControl else {
                throw WebSocketError(1002, "a control frame is fragmented or too long")
            }
            return
        }
        guard (opcode == .continuation) == (messageIsText != nil) else {
            throw WebSocketError(1002, "a frame that does not continue its message")
        }
        if opcode != .continuation {
            messageIsText = opcode == .text
            isFirstPiece = true
        }
    }

    private mutating func take(_ count: Int) -> [UInt8] {
        guard var current = frame else { return [] }
        var bytes = Array(input[start..<(start + count)])
        start += count
        if !current.mask.isEmpty {
            for index in bytes.indices { bytes[index] ^= current.mask[(current.offset + index) & 3] }
        }
        current.offset = (current.offset + count) & 3
        current.left -= UInt64(count)
        frame = current
        return bytes
    }

    /// What is there of a data frame; nil where that is nothing.
    private mutating func piece() -> WebSocketPiece? {
        guard let current = frame else { return nil }
        let bytes = take(Int(min(UInt64(buffered), current.left)))
        let isFrameOver = frame?.left == 0
        let isLast = isFrameOver && current.isFinal
        if isFrameOver { frame = nil }
        // Empty pieces say something only where a message begins or ends.
        guard !bytes.isEmpty || isLast || (isFrameOver && isFirstPiece) else { return nil }
        let piece = WebSocketPiece(
            isText: messageIsText ?? false, isFirst: isFirstPiece, isLast: isLast, bytes: bytes)
        isFirstPiece = false
        if isLast { messageIsText = nil }
        return piece
    }

    private mutating func control(_ opcode: Opcode, _ payload: [UInt8]) throws(WebSocketError) -> WebSocketEvent {
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            isClosed = true
            guard payload.count != 1 else { throw WebSocketError(1002, "half a close code") }
            guard payload.count > 1 else { return .close(1005, reason: "") }
            return .close(
                UInt16(payload[0]) << 8 | UInt16(payload[1]),
                reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
        }
    }
}

/// Frames as bytes.
public enum WebSocketFrame {
    public enum Kind: UInt8, Sendable {
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10
    }

    /// A whole message, or a control frame. `mask` is what a client draws for every frame; a server gives none.
    public static func bytes(_ kind: Kind, _ payload: [UInt8], mask: [UInt8]? = nil) -> [UInt8] {
        var out: [UInt8] = [0x80 | kind.rawValue]
        out.reserveCapacity(payload.count + 14)
        let flag: UInt8 = mask == nil ? 0 : 0x80
        switch payload.count {
        case ..<126: out.append(flag | UInt8(payload.count))
        case ..<0x1_0000: out += [flag | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            out.append(flag | 127)
            for shift in stride(from: 56, through: 0, by: -8) { out.append(UInt8(payload.count >> shift & 0xFF)) }
        }
        guard let mask else { return out + payload }
        out += mask
        for (index, byte) in payload.enumerated() { out.append(byte ^ mask[index & 3]) }
        return out
    }

    public static func close(_ code: UInt16, _ reason: String = "", mask: [UInt8]? = nil) -> [UInt8] {
        // A control frame has 125 bytes at most, two of them for the code.
        let words = Array(reason.utf8.prefix(123))
        return bytes(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + words, mask: mask)
    }
}
