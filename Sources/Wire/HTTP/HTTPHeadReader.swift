/// Reads a complete head: the start line and the fields, each line ended by CRLF or LF.
struct HTTPHeadReader {
    let role: HTTPParser.Role
    let fieldLimit: Int

    mutating func read(_ buffer: [UInt8], _ range: Range<Int>) throws(HTTPError) -> HTTPHead {
        var head = HTTPHead()
        var lines = Lines(buffer: buffer, position: range.lowerBound, end: range.upperBound)
        guard let first = lines.next() else { throw HTTPError(400, "the message has no start line") }
        switch role {
        case .requests: try readRequestLine(buffer[first], into: &head)
        case .responses: try readStatusLine(buffer[first], into: &head)
        }
        var fields = 0
        while let line = lines.next(), !line.isEmpty {
            fields += 1
            guard fields <= fieldLimit else { throw HTTPError(431, "there are more than \(fieldLimit) header fields") }
            try readField(buffer, line, into: &head)
        }
        try interpret(&head)
        return head
    }

    private struct Lines {
        let buffer: [UInt8]
        var position: Int
        let end: Int

        mutating func next() -> Range<Int>? {
            guard position < end else { return nil }
            let first = position
            var index = first
            while index < end, buffer[index] != 10 { index += 1 }
            position = index + 1
            return first..<(index > first && buffer[index - 1] == 13 ? index - 1 : index)
        }
    }

    private func readRequestLine(_ line: ArraySlice<UInt8>, into head: inout HTTPHead) throws(HTTPError) {
        guard let first = line.firstIndex(of: 32), let last = line.lastIndex(of: 32), first < last else {
            throw HTTPError(400, "malformed request line")
        }
        let method = line[..<first]
        let target = line[(first + 1)..<last]
        guard !method.isEmpty, method.count <= 32, method.allSatisfy(Self.isToken) else {
            throw HTTPError(400, "malformed method")
        }
        guard !target.isEmpty, target.allSatisfy({ $0 > 32 && $0 != 127 }) else {
            throw HTTPError(400, "malformed request target")
        }
        head.minorVersion = try version(line[(last + 1)...])
        head.method = String(decoding: method, as: UTF8.self)
        head.target = String(decoding: target, as: UTF8.self)
    }

    private func readStatusLine(_ line: ArraySlice<UInt8>, into head: inout HTTPHead) throws(HTTPError) {
        guard line.count >= 12, line[line.startIndex + 8] == 32,
            line.count == 12 || line[line.startIndex + 12] == 32
        else { throw HTTPError(502, "malformed status line") }
        head.minorVersion = try version(line.prefix(8))
        for digit in line.dropFirst(9).prefix(3) {
            guard digit >= 48, digit <= 57 else { throw HTTPError(502, "malformed status line") }
            head.status = head.status * 10 + Int(digit - 48)
        }
        guard head.status >= 100 else { throw HTTPError(502, "malformed status line") }
    }

    private func version(_ text: ArraySlice<UInt8>) throws(HTTPError) -> Int {
        if text.elementsEqual("HTTP/1.1".utf8) { return 1 }
        if text.elementsEqual("HTTP/1.0".utf8) { return 0 }
        if text.starts(with: "HTTP/".utf8) { throw HTTPError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here") }
        throw HTTPError(400, "malformed HTTP version")
    }

    private func readField(_ buffer: [UInt8], _ line: Range<Int>, into head: inout HTTPHead) throws(HTTPError) {
        var colon = line.lowerBound
        while colon < line.upperBound, Self.isToken(buffer[colon]) { colon += 1 }
        // This also refuses folded lines and blanks before the colon, both of which smuggle.
        guard colon > line.lowerBound, colon < line.upperBound, buffer[colon] == UInt8(ascii: ":") else {
            throw HTTPError(400, "malformed header field")
        }
        var first = colon + 1
        var last = line.upperBound
        while first < last, buffer[first] == 32 || buffer[first] == 9 { first += 1 }
        while last > first, buffer[last - 1] == 32 || buffer[last - 1] == 9 { last -= 1 }
        for index in first..<last {
            let byte = buffer[index]
            guard byte >= 32 && byte != 127 || byte == 9 else { throw HTTPError(400, "malformed header value") }
        }
        head.headers.add(
            String(decoding: buffer[line.lowerBound..<colon], as: UTF8.self),
            String(decoding: buffer[first..<last], as: UTF8.self))
    }

    private func interpret(_ head: inout HTTPHead) throws(HTTPError) {
        if role == .requests {
            let hosts = head.headers.all("host").count
            guard hosts == 1 || hosts == 0 && head.minorVersion == 0 else {
                throw HTTPError(400, "a request needs exactly one Host field")
            }
            if let expect = head.headers["expect"] {
                guard HTTPTokens(expect).contains("100-continue") else {
                    throw HTTPError(417, "cannot meet the expectation \(expect)")
                }
                head.expectsContinue = head.minorVersion > 0
            }
        }
        let connection = head.headers.all("connection").map { HTTPTokens($0) }
        if head.minorVersion == 0 {
            head.keepAlive = connection.contains { $0.contains("keep-alive") }
        } else {
            head.keepAlive = !connection.contains { $0.contains("close") }
        }
    }

    private static let tokenTable: [Bool] = (0..<256).map { value in
        let byte = UInt8(value)
        switch byte {
        case 48...57, 65...90, 97...122: return true
        default: return "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    static func isToken(_ byte: UInt8) -> Bool { tokenTable[Int(byte)] }
}

/// The members of a comma-separated field, compared without case.
public struct HTTPTokens {
    private let members: [String]

    public init(_ text: String) {
        members = text.utf8.split(separator: UInt8(ascii: ",")).map { member in
            let trimmed = member.drop { $0 == 32 || $0 == 9 }
            let end = trimmed.lastIndex { $0 != 32 && $0 != 9 }.map { trimmed.index(after: $0) } ?? trimmed.startIndex
            return String(decoding: trimmed[..<end], as: UTF8.self).lowercased()
        }
    }

    public func contains(_ member: String) -> Bool { members.contains(member) }
    var only: String? { members.count == 1 ? members[0] : nil }
}

extension HTTPFraming {
    /// RFC 9112, section 6: anything that two readers could understand differently is refused.
    init(of head: HTTPHead, role: HTTPParser.Role, asked: String) throws(HTTPError) {
        let bad = role == .requests ? 400 : 502
        let encodings = head.headers.all("transfer-encoding")
        let lengths = head.headers.all("content-length")
        if role == .responses {
            if asked == "HEAD" || head.status / 100 == 1 || head.status == 204 || head.status == 304 {
                self = .none
                return
            }
        }
        if !encodings.isEmpty {
            guard lengths.isEmpty else { throw HTTPError(bad, "both Content-Length and Transfer-Encoding are given") }
            guard head.minorVersion > 0 else { throw HTTPError(bad, "HTTP/1.0 knows no Transfer-Encoding") }
            guard encodings.count == 1, HTTPTokens(encodings[0]).only == "chunked" else {
                throw HTTPError(role == .requests ? 501 : 502, "the only transfer coding understood here is chunked")
            }
            self = .chunked
            return
        }
        if let first = lengths.first {
            guard lengths.allSatisfy({ $0 == first }), (1...18).contains(first.utf8.count),
                first.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let length = Int(first)
            else { throw HTTPError(bad, "malformed Content-Length") }
            self = .length(length)
            return
        }
        self = role == .requests ? .none : .untilClose
    }
}
