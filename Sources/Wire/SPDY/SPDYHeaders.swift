import CZlib

/// The words that both sides of SPDY/3 assume have been said already, so that the first headers compress well.
enum SPDYDictionary {
    private static let names = [
        "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
        "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection",
        "content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5",
        "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match",
        "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location",
        "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
        "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning",
        "www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url", "public",
        "set-cookie", "keep-alive", "origin",
    ]

    private static let tail =
        "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
        + "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
        + "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
        + "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
        + "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
        + "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."

    static let bytes: [UInt8] =
        names.flatMap { SPDYHeaderBlock.number(UInt32($0.utf8.count)) + Array($0.utf8) } + tail.utf8
}

/// Header fields before compression: their number, then length and text of each name and each value, all numbers of
/// 32 bits in network order. Several values of one name are joined by a NUL.
enum SPDYHeaderBlock {
    static func number(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }

    static func encode(_ headers: Headers) -> [UInt8] {
        var names: [String] = []
        for field in headers.fields where !names.contains(field.name.lowercased()) {
            names.append(field.name.lowercased())
        }
        var out = number(UInt32(names.count))
        for name in names {
            let value = headers.all(name).joined(separator: "\0")
            for text in [name, value] { out += number(UInt32(text.utf8.count)) + Array(text.utf8) }
        }
        return out
    }

    static func decode(_ bytes: [UInt8]) throws(SPDYError) -> Headers {
        var rest = bytes[...]
        func number() throws(SPDYError) -> Int {
            guard rest.count >= 4 else { throw SPDYError("a header block ends too early") }
            defer { rest = rest.dropFirst(4) }
            return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        }
        func text() throws(SPDYError) -> String {
            let count = try number()
            guard count <= rest.count else { throw SPDYError("a header is longer than its block") }
            defer { rest = rest.dropFirst(count) }
            return String(decoding: rest.prefix(count), as: UTF8.self)
        }
        let count = try number()
        guard count <= SPDYReader.mostHeaders else { throw SPDYError("too many headers") }
        var headers = Headers()
        for _ in 0..<count {
            let name = try text()
            guard !name.isEmpty else { throw SPDYError("a header without a name") }
            for value in try text().split(separator: "\0", omittingEmptySubsequences: false) {
                headers.add(name, String(value))
            }
        }
        guard rest.isEmpty else { throw SPDYError("a header block is longer than its headers") }
        return headers
    }
}

public struct SPDYError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}

/// One direction's compression, which goes on from header block to header block.
final class SPDYDeflater {
    // zlib's state points back to it, so it must not move.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init() {
        stream.initialize(to: z_stream())
        deflateInit_(stream, Z_DEFAULT_COMPRESSION, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        deflateSetDictionary(stream, SPDYDictionary.bytes, UInt32(SPDYDictionary.bytes.count))
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    func compress(_ bytes: [UInt8]) -> [UInt8] {
        var input = bytes
        var out: [UInt8] = []
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            var isDone = false
            while !isDone {
                out += [UInt8](unsafeUninitializedCapacity: 1024) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = 1024
                    deflate(stream, Z_SYNC_FLUSH)
                    count = 1024 - Int(stream.pointee.avail_out)
                    isDone = stream.pointee.avail_out > 0
                }
            }
        }
        return out
    }
}

final class SPDYInflater {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    init() {
        stream.initialize(to: z_stream())
        inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func decompress(_ bytes: [UInt8], limit: Int) throws(SPDYError) -> [UInt8] {
        var input = bytes
        var out: [UInt8] = []
        let problem = input.withUnsafeMutableBufferPointer { input -> SPDYError? in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            while true {
                var code = Z_OK
                var isFull = false
                out += [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = 4096
                    code = inflate(stream, Z_SYNC_FLUSH)
                    count = 4096 - Int(stream.pointee.avail_out)
                    isFull = stream.pointee.avail_out == 0
                }
                if code == Z_NEED_DICT {
                    let words = SPDYDictionary.bytes
                    guard inflateSetDictionary(stream, words, UInt32(words.count)) == Z_OK else {
                        return SPDYError("headers are compressed with another dictionary")
                    }
                    continue
                }
                guard code == Z_OK || code == Z_BUF_ERROR else { return SPDYError("headers cannot be decompressed") }
                guard out.count <= limit else { return SPDYError("headers are longer than \(limit) bytes") }
                if !isFull { return nil }
            }
        }
        if let problem { throw problem }
        return out
    }
}
