/// Header compression of HTTP/2 (RFC 7541). What we send is never compressed; what we get may be.
public struct HPACKDecoder: Sendable {
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }

        /// The size that the table counts an entry with.
        var size: Int { name.utf8.count + value.utf8.count + 32 }
    }

    private static let tableLimit = 4096
    private static let blockLimit = 64 << 10

    /// The newest first.
    private var table: [Field] = []
    private var limit = Self.tableLimit

    public init() {}

    public mutating func decode(_ block: [UInt8]) throws(HTTP2Error) -> [Field] {
        guard block.count <= Self.blockLimit else { throw HTTP2Error("more headers than \(Self.blockLimit) bytes") }
        var rest = block[...]
        var fields: [Field] = []
        while let first = rest.first {
            if first & 0x80 != 0 {
                fields.append(try entry(try Self.number(&rest, bits: 7)))
            } else if first & 0x40 != 0 {
                let field = try literal(&rest, bits: 6)
                add(field)
                fields.append(field)
            } else if first & 0x20 != 0 {
                let size = try Self.number(&rest, bits: 5)
                guard size <= Self.tableLimit else { throw HTTP2Error("a header table of \(size) bytes") }
                limit = size
                shrink()
            } else {
                fields.append(try literal(&rest, bits: 4))
            }
        }
        return fields
    }

    private mutating func add(_ field: Field) {
        table.insert(field, at: 0)
        shrink()
    }

    private mutating func shrink() {
        var size = table.reduce(0) { $0 + $1.size }
        while size > limit, let last = table.popLast() { size -= last.size }
    }

    private func entry(_ index: Int) throws(HTTP2Error) -> Field {
        if index >= 1, index <= HPACKTables.fixed.count { return HPACKTables.fixed[index - 1] }
        let own = index - HPACKTables.fixed.count - 1
        guard index > 0, own < table.count else { throw HTTP2Error("there is no header number \(index)") }
        return table[own]
    }

    private func literal(_ rest: inout ArraySlice<UInt8>, bits: Int) throws(HTTP2Error) -> Field {
        let index = try Self.number(&rest, bits: bits)
        let name = index == 0 ? try Self.text(&rest) : try entry(index).name
        return Field(name, try Self.text(&rest))
    }

    /// The low bits of a byte, and where they are all ones seven bits a byte more, the lowest first.
    private static func number(_ rest: inout ArraySlice<UInt8>, bits: Int) throws(HTTP2Error) -> Int {
        guard let first = rest.popFirst() else { throw HTTP2Error("headers are cut short") }
        let full = (1 << bits) - 1
        var value = Int(first) & full
        guard value == full else { return value }
        for shift in stride(from: 0, to: 28, by: 7) {
            guard let next = rest.popFirst() else { throw HTTP2Error("headers are cut short") }
            value += Int(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
        }
        throw HTTP2Error("a number in the headers is too large")
    }

    private static func text(_ rest: inout ArraySlice<UInt8>) throws(HTTP2Error) -> String {
        let isCoded = (rest.first ?? 0) & 0x80 != 0
        let count = try number(&rest, bits: 7)
        guard count <= rest.count else { throw HTTP2Error("headers are cut short") }
        let bytes = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return String(decoding: isCoded ? try HPACKTables.huffman(bytes) : bytes, as: UTF8.self)
    }

    /// Literals that no table remembers, each preceded by its length.
    public static func encode(_ fields: [Field]) -> [UInt8] {
        var bytes: [UInt8] = []
        for field in fields {
            bytes.append(0)
            for text in [field.name, field.value] {
                bytes += length(text)
                bytes += Array(text.utf8)
            }
        }
        return bytes
    }

    private static func length(_ text: String) -> [UInt8] {
        var rest = text.utf8.count
        guard rest >= 127 else { return [UInt8(rest)] }
        rest -= 127
        var bytes: [UInt8] = [127]
        while rest >= 128 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}

enum HPACKTables {
    /// Appendix A: one entry a line, the value after a blank.
    static let fixed: [HPACKDecoder.Field] = """
        :authority
        :method GET
        :method POST
        :path /
        :path /index.html
        :scheme http
        :scheme https
        :status 200
        :status 204
        :status 206
        :status 304
        :status 400
        :status 404
        :status 500
        accept-charset
        accept-encoding gzip, deflate
        accept-language
        accept-ranges
        accept
        access-control-allow-origin
        age
        allow
        authorization
        cache-control
        content-disposition
        content-encoding
        content-language
        content-length
        content-location
        content-range
        content-type
        cookie
        date
        etag
        expect
        expires
        from
        host
        if-match
        if-modified-since
        if-none-match
        if-range
        if-unmodified-since
        last-modified
        link
        location
        max-forwards
        proxy-authenticate
        proxy-authorization
        range
        referer
        refresh
        retry-after
        server
        set-cookie
        strict-transport-security
        transfer-encoding
        user-agent
        vary
        via
        www-authenticate
        """.split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            return HPACKDecoder.Field(parts[0], parts.count == 2 ? parts[1] : "")
        }

    /// Appendix B by length of the code. Codes of one length are consecutive and in the order of their characters, and
    /// each length goes on where the one before it ended: lengths alone say all. Characters that headers do not have
    /// (controls, and all beyond ASCII) have the codes that are longer than these.
    private static let characters: [(bits: Int, text: String)] = [
        (5, "012aceiost"), (6, " %-./3456789=A_bdfghlmnpru"), (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, "&*,;XZ"),
        (10, "!\"()?"), (11, "'+|"), (12, "#>"), (13, "\u{0}$@[]~"), (14, "^}"), (15, "<`{"),
    ]

    private static let codes: [UInt32: UInt8] = {
        var table: [UInt32: UInt8] = [:]
        var code: UInt32 = 0
        var length = 0
        for (bits, text) in characters {
            code <<= UInt32(bits - length)
            length = bits
            for byte in text.utf8 {
                table[UInt32(bits) << 16 | code] = byte
                code += 1
            }
        }
        return table
    }()

    static func huffman(_ bytes: [UInt8]) throws(HTTP2Error) -> [UInt8] {
        var out: [UInt8] = []
        var code: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            for shift in stride(from: 7, through: 0, by: -1) {
                code = code << 1 | UInt32(byte >> UInt8(shift) & 1)
                bits += 1
                if let character = codes[bits << 16 | code] {
                    out.append(character)
                    (code, bits) = (0, 0)
                } else if bits > 15 {
                    throw HTTP2Error("a header has a character beyond printable ASCII")
                }
            }
        }
        // The rest of the last byte is ones.
        guard bits < 8, code == (1 << bits) - 1 else { throw HTTP2Error("a header's code is cut short") }
        return out
    }
}
