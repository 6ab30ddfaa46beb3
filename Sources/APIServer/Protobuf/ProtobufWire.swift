/// The bytes of protobuf messages: what is common to all of them.
enum ProtobufWire {
    /// What every body begins with.
    static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0]

    static func varint(_ value: UInt64, to out: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(rest))
    }

    static func integer(_ number: UInt64, _ value: Int64, to out: inout [UInt8]) {
        varint(number << 3, to: &out)
        varint(UInt64(bitPattern: value), to: &out)
    }

    /// What stands before a value of so many bytes.
    static func head(_ number: UInt64, length: Int, to out: inout [UInt8]) {
        varint(number << 3 | 2, to: &out)
        varint(UInt64(length), to: &out)
    }

    static func bytes(_ number: UInt64, _ value: some Collection<UInt8>, to out: inout [UInt8]) {
        head(number, length: value.count, to: &out)
        out += value
    }

    static func text(_ number: UInt64, _ value: String, to out: inout [UInt8]) {
        head(number, length: value.utf8.count, to: &out)
        out += value.utf8
    }

    /// A message of its own: its length stands before it, and is known only once it is written.
    static func message<E: Error>(
        _ number: UInt64, to out: inout [UInt8], _ body: (inout [UInt8]) throws(E) -> Void
    ) throws(E) {
        varint(number << 3 | 2, to: &out)
        let start = out.count
        out.append(0)
        try body(&out)
        let length = out.count - start - 1
        guard length >= 0x80 else {
            out[start] = UInt8(length)
            return
        }
        var digits: [UInt8] = []
        varint(UInt64(length), to: &digits)
        out.replaceSubrange(start...start, with: digits)
    }

    /// `k8s\0` and the envelope that says what the message in it is.
    static func envelope(apiVersion: String, kind: String, message: [UInt8]) -> [UInt8] {
        opening(apiVersion: apiVersion, kind: kind, length: message.count) + message + closing
    }

    /// What stands in an envelope before a message of so many bytes.
    static func opening(apiVersion: String, kind: String, length: Int) -> [UInt8] {
        var first = magic
        message(1, to: &first) { out in
            text(1, apiVersion, to: &out)
            text(2, kind, to: &out)
        }
        head(2, length: length, to: &first)
        return first
    }

    /// What stands behind it: content encoding and type, empty, and written nevertheless.
    static let closing: [UInt8] = [3 << 3 | 2, 0, 4 << 3 | 2, 0]
}
