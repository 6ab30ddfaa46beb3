/// Netlink's wire format.
///
/// A message is a 16-byte header (length, type, flags, sequence, port; host byte order), a fixed part that the
/// message type defines, and attributes. An attribute is a 4-byte header (length without padding, type) and its
/// payload, padded to 4 bytes. Route attributes hold host byte order, netfilter attributes network byte order.
public struct NetlinkWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func raw(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    public mutating func host<Number: FixedWidthInteger>(_ value: Number) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    public mutating func attribute(_ type: UInt16, _ payload: some Collection<UInt8>) {
        host(UInt16(4 + payload.count))
        host(type)
        raw(payload)
        pad()
    }

    /// A text with its terminating zero.
    public mutating func attribute(_ type: UInt16, text: String) { attribute(type, Array(text.utf8) + [0]) }

    public mutating func attribute<Number: FixedWidthInteger>(_ type: UInt16, host value: Number) {
        host(UInt16(4 + MemoryLayout<Number>.size))
        host(type)
        host(value)
        pad()
    }

    public mutating func attribute<Number: FixedWidthInteger>(_ type: UInt16, network value: Number) {
        attribute(type, host: value.bigEndian)
    }

    /// An attribute that holds attributes. Its payload must stay below 64 KiB; callers that add lists bound them.
    public mutating func nested(_ type: UInt16, flag: Bool = true, _ body: (inout NetlinkWriter) throws -> Void)
        rethrows
    {
        let start = bytes.count
        host(UInt16(0))
        host(flag ? type | 0x8000 : type)
        try body(&self)
        patch(UInt16(bytes.count - start), at: start)
    }

    private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }

    mutating func patch<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        withUnsafeBytes(of: value) { source in
            for (index, byte) in source.enumerated() { bytes[offset + index] = byte }
        }
    }

    /// Appends one whole message and fills in its length.
    public mutating func message(
        type: UInt16, flags: UInt16, sequence: UInt32, _ body: (inout NetlinkWriter) throws -> Void
    ) rethrows {
        let start = bytes.count
        host(UInt32(0))
        host(type)
        host(flags)
        host(sequence)
        host(UInt32(0))
        try body(&self)
        patch(UInt32(bytes.count - start), at: start)
    }
}

/// One attribute as it was received.
public struct NetlinkAttribute: Sendable, Equatable {
    /// Without the nested and byte-order flags.
    public let type: UInt16
    public let payload: ArraySlice<UInt8>

    public func host<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number? {
        guard payload.count >= MemoryLayout<Number>.size else { return nil }
        return payload.withUnsafeBytes { $0.loadUnaligned(as: Number.self) }
    }

    public func network<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number? {
        host(Number.self).map { Number(bigEndian: $0) }
    }

    public var text: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
    public var nested: NetlinkAttributes? { NetlinkAttributes(payload) }
}

/// The attributes of a message. Parsing fails as a whole where one of them claims more bytes than there are.
public struct NetlinkAttributes: Sendable, Equatable {
    public let all: [NetlinkAttribute]

    public init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        var found: [NetlinkAttribute] = []
        while rest.count >= 4 {
            let (length, type) = rest.withUnsafeBytes {
                (Int($0.loadUnaligned(as: UInt16.self)), $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            }
            guard length >= 4, length <= rest.count else { return nil }
            found.append(
                NetlinkAttribute(type: type & 0x3FFF, payload: rest[rest.startIndex + 4..<rest.startIndex + length]))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        all = found
    }

    public subscript(type: UInt16) -> NetlinkAttribute? { all.first { $0.type == type } }
}

/// One received message.
public struct NetlinkMessage: Sendable, Equatable {
    public static let error: UInt16 = 2
    public static let done: UInt16 = 3

    public var type: UInt16
    public var flags: UInt16
    public var sequence: UInt32
    /// What follows the header.
    public var body: ArraySlice<UInt8>

    /// Attributes after a fixed part of `offset` bytes.
    public func attributes(after offset: Int) -> NetlinkAttributes? {
        body.count >= offset ? NetlinkAttributes(body.dropFirst(offset)) : nil
    }

    public func host<Number: FixedWidthInteger>(at offset: Int, _: Number.Type = Number.self) -> Number? {
        guard offset >= 0, body.count >= offset + MemoryLayout<Number>.size else { return nil }
        return body.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    }

    /// Cuts a datagram into its messages; nil where a length leads outside of it.
    public static func parse(_ datagram: [UInt8]) -> [NetlinkMessage]? {
        var rest = datagram[...]
        var messages: [NetlinkMessage] = []
        while rest.count >= 16 {
            let message = rest.withUnsafeBytes { raw in
                (
                    length: Int(raw.loadUnaligned(as: UInt32.self)),
                    type: raw.loadUnaligned(fromByteOffset: 4, as: UInt16.self),
                    flags: raw.loadUnaligned(fromByteOffset: 6, as: UInt16.self),
                    sequence: raw.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
                )
            }
            guard message.length >= 16, message.length <= rest.count else { return nil }
            messages.append(
                NetlinkMessage(
                    type: message.type, flags: message.flags, sequence: message.sequence,
                    body: rest[rest.startIndex + 16..<rest.startIndex + message.length]))
            rest = rest.dropFirst((message.length + 3) & ~3)
        }
        return rest.isEmpty ? messages : nil
    }

    /// The kernel's verdict in an error message (0 is an acknowledgement), and its explanation.
    /// Layout: error (4), the failed request's header (16) and, unless the flag says it was left out, its body;
    /// then attributes, of which 1 is the text.
    public var verdict: (errno: Int32, text: String)? {
        guard type == NetlinkMessage.error, let code = host(at: 0, Int32.self) else { return nil }
        let capped = flags & 0x100 != 0
        let hasText = flags & 0x200 != 0
        guard hasText, let length = host(at: 4, UInt32.self) else { return (-code, "") }
        let offset = 4 + (capped ? 16 : (Int(length) + 3) & ~3)
        return (-code, attributes(after: offset)?[1]?.text ?? "")
    }
}
