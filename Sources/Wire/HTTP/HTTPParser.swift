import Glibc

/// What a message may cost before it is refused.
public struct HTTPLimits: Sendable {
    /// Request line or status line, and all header fields together.
    public var headBytes = 256 << 10
    public var headerFields = 256
    public var bodyBytes = 32 << 20

    public init() {}
}

/// A message that breaks the protocol or a limit; a server answers with `status` and closes.
public struct HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    public var status: Int
    public var reason: String

    public init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    public var description: String { reason }
}

/// The start of a request or a response.
public struct HTTPHead: Sendable, Equatable {
    /// Requests.
    public var method = ""
    public var target = ""
    /// Responses.
    public var status = 0
    public var headers = Headers()
    /// The `x` of HTTP/1.x.
    public var minorVersion = 1
    public var keepAlive = true
    /// The sender waits for `100 Continue` before it sends the body.
    public var expectsContinue = false
    var framing = HTTPFraming.none

    /// How much of a body follows, as far as the head tells.
    public enum BodyLength: Sendable, Equatable { case none, known(Int), unknown }

    public var bodyLength: BodyLength {
        switch framing {
        case .none: .none
        case .length(let length): .known(length)
        case .chunked, .untilClose: .unknown
        }
    }
}

/// How the end of a body is found.
enum HTTPFraming: Equatable {
    case none, length(Int), chunked, untilClose
}

/// HTTP/1.x as a state machine: bytes in, events out, no I/O.
///
///     head ─▶ body* ─▶ end ─▶ head …      one message after the other
///
/// A request ends with its framing. A response needs to know what was asked (`expect`), since the answer
/// to HEAD has a length but no body. After an error the parser must not be used any more.
public struct HTTPParser: Sendable {
    public enum Role: Sendable { case requests, responses }

    public enum Event: Sendable, Equatable {
        case head(HTTPHead)
        case body([UInt8])
        case end
    }

    enum State: Equatable {
        case head
        case fixed(left: Int)
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailers
        case untilClose
        case end
    }

    let role: Role
    let limits: HTTPLimits
    var state = State.head
    private var asked = "GET"

    private var buffer: [UInt8] = []
    private var start = 0
    /// Bytes before this index hold no end of the head, so a head that comes byte by byte is searched once.
    private var searched = 0
    private var bodyLength = 0
    private var trailerLength = 0

    public init(_ role: Role, limits: HTTPLimits = HTTPLimits()) {
        self.role = role
        self.limits = limits
    }

    /// The method that the next response answers.
    public mutating func expect(answerTo method: String) { asked = method }

    /// Bytes that were fed and not yet consumed.
    public var buffered: Int { buffer.count - start }
    /// Nothing of a message has come since the last one ended.
    public var isBetweenMessages: Bool { state == .head && buffered == 0 }

    /// Takes all unconsumed bytes, for a connection that changes its protocol.
    public mutating func takeRest() -> [UInt8] {
        defer { consume(buffered) }
        return Array(buffer[start...])
    }

    public mutating func feed(_ bytes: [UInt8]) {
        if start == buffer.count {
            buffer = bytes
            start = 0
            searched = 0
        } else {
            if start > 0 {
                buffer.removeFirst(start)
                searched -= start
                start = 0
            }
            buffer += bytes
        }
    }

    private mutating func consume(_ count: Int) {
        start += count
        if start == buffer.count {
            buffer = []
            start = 0
        }
        searched = start
    }

    /// The next event, or nil when more bytes are needed.
    public mutating func next() throws(HTTPError) -> Event? {
        while true {
            switch state {
            case .head:
                guard let head = try parseHead() else { return nil }
                return .head(head)
            case .fixed(let left):
                guard let piece = takePiece(left) else { return nil }
                state = piece.count == left ? .end : .fixed(left: left - piece.count)
                return .body(piece)
            case .untilClose:
                guard let piece = takePiece(.max) else { return nil }
                return .body(piece)
            case .chunkSize:
                guard let size = try parseChunkSize() else { return nil }
                trailerLength = 0
                state = size == 0 ? .trailers : .chunk(left: size)
            case .chunk(let left):
                guard let piece = takePiece(left) else { return nil }
                state = piece.count == left ? .chunkEnd : .chunk(left: left - piece.count)
                return .body(piece)
            case .chunkEnd:
                guard let line = try takeLine(limit: 2) else { return nil }
                guard line.isEmpty else { throw HTTPError(400, "a chunk does not end where its size says") }
                state = .chunkSize
            case .trailers:
                // Trailers are read and forgotten: nothing here uses them.
                guard let line = try takeLine(limit: limits.headBytes - trailerLength) else { return nil }
                trailerLength += line.count + 2
                if line.isEmpty { state = .end }
            case .end:
                state = .head
                return .end
            }
        }
    }

    /// The other side has finished. True when that ends the message in hand or comes between messages.
    public mutating func finish() -> Bool {
        guard state == .untilClose else { return isBetweenMessages }
        state = .end
        return true
    }

    private mutating func takePiece(_ limit: Int) -> [UInt8]? {
        guard buffered > 0 else { return nil }
        if start == 0, buffer.count <= limit {
            defer { consume(buffer.count) }
            return buffer
        }
        let count = min(limit, buffered)
        defer { consume(count) }
        return Array(buffer[start..<start + count])
    }

    /// A line without its end; a bare LF ends a line too.
    private mutating func takeLine(limit: Int) throws(HTTPError) -> [UInt8]? {
        guard let end = buffer[start...].firstIndex(of: 10) else {
            guard buffered <= limit else { throw HTTPError(400, "a line of the chunked body is too long") }
            return nil
        }
        guard end - start <= limit else { throw HTTPError(400, "a line of the chunked body is too long") }
        var line = buffer[start..<end]
        if line.last == 13 { line.removeLast() }
        defer { consume(end + 1 - start) }
        return Array(line)
    }

    private mutating func parseChunkSize() throws(HTTPError) -> Int? {
        guard let line = try takeLine(limit: 4096) else { return nil }
        let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 32 && $0 != 9 }
        guard (1...15).contains(digits.count) else { throw HTTPError(400, "a chunk has no valid size") }
        var size = 0
        for digit in digits {
            guard let value = Self.hexValue(digit) else { throw HTTPError(400, "a chunk has no valid size") }
            size = size << 4 | value
        }
        bodyLength += size
        if role == .requests, bodyLength > limits.bodyBytes { throw Self.tooLarge(limits) }
        return size
    }

    private static func hexValue(_ byte: UInt8) -> Int? {
        switch byte {
        case 48...57: Int(byte) - 48
        case 65...70: Int(byte) - 55
        case 97...102: Int(byte) - 87
        default: nil
        }
    }

    static func tooLarge(_ limits: HTTPLimits) -> HTTPError {
        HTTPError(413, "the request's body is longer than \(limits.bodyBytes) bytes")
    }

    // MARK: Head

    private mutating func parseHead() throws(HTTPError) -> HTTPHead? {
        // Empty lines before a request line are forgiven, as RFC 9112 asks.
        while role == .requests, buffered > 0, buffer[start] == 13 || buffer[start] == 10 { consume(1) }
        // Clients try TLS first where they do not know: they shall hear at once that it is not spoken here.
        if role == .requests, buffered > 0, buffer[start] == 0x16 {
            throw HTTPError(400, "a TLS handshake, and this server speaks plain HTTP")
        }
        guard let end = findHeadEnd() else {
            guard buffered <= limits.headBytes else { throw tooLongHead() }
            return nil
        }
        guard end - start <= limits.headBytes else { throw tooLongHead() }
        var reader = HTTPHeadReader(role: role, fieldLimit: limits.headerFields)
        var head = try reader.read(buffer, start..<end)
        consume(end - start)
        bodyLength = 0
        head.framing = try HTTPFraming(of: head, role: role, asked: asked)
        switch head.framing {
        case .none, .length(0): state = .end
        case .length(let length):
            if role == .requests, length > limits.bodyBytes { throw Self.tooLarge(limits) }
            state = .fixed(left: length)
        case .chunked: state = .chunkSize
        case .untilClose:
            state = .untilClose
            head.keepAlive = false
        }
        return head
    }

    private func tooLongHead() -> HTTPError {
        HTTPError(431, "the message's head is longer than \(limits.headBytes) bytes")
    }

    /// The index after the empty line that ends the head.
    private mutating func findHeadEnd() -> Int? {
        var from = max(searched, start)
        while let newline = buffer.withUnsafeBytes({ Self.index(of: 10, in: $0, from: from) }) {
            // A line is empty when only its CR, or nothing, lies between two newlines.
            if newline > start, buffer[newline - 1] == 10 { return newline + 1 }
            if newline > start + 1, buffer[newline - 1] == 13, buffer[newline - 2] == 10 { return newline + 1 }
            from = newline + 1
        }
        searched = buffer.count
        return nil
    }

    private static func index(of byte: Int32, in bytes: UnsafeRawBufferPointer, from: Int) -> Int? {
        guard from < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + from, byte, bytes.count - from)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
