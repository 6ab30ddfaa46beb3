import Glibc
import Linux

/// A kernel that answers every request with the same bytes, and then that it is done.
private final class Parrot: NetlinkTransport {
    private let answer: [UInt8]
    private var pending: [[UInt8]] = []

    init(_ answer: [UInt8]) { self.answer = answer }

    func send(_ datagram: [UInt8]) throws {
        let sequence = NetlinkMessage.parse(datagram)?.first?.sequence ?? 0
        var done = NetlinkWriter()
        done.message(type: NetlinkMessage.done, flags: 0, sequence: sequence) { $0.host(Int32(0)) }
        pending = [Self.numbered(answer, sequence), done.bytes]
    }

    func receive(wait: Bool) throws -> [UInt8]? {
        if !pending.isEmpty { return pending.removeFirst() }
        if wait { throw SystemError("receive", errno: ETIMEDOUT) }
        return nil
    }

    /// What is no answer to the request is passed over, so the first messages get its number.
    private static func numbered(_ bytes: [UInt8], _ sequence: UInt32) -> [UInt8] {
        var bytes = bytes
        var place = 0
        while place + 16 <= bytes.count {
            let length = bytes[place..<place + 4].withUnsafeBytes { Int($0.loadUnaligned(as: UInt32.self)) }
            withUnsafeBytes(of: sequence) { for (index, byte) in $0.enumerated() { bytes[place + 8 + index] = byte } }
            guard length >= 16, length < bytes.count else { break }
            place += (length + 3) & ~3
        }
        return bytes
    }
}

extension ReaderTests {
    static let netlink = [
        FuzzTarget(
            "netlink", bytes: [link, address, element, refusal],
            words: [
                [16, 0, 0, 0], [4, 0, 1, 0], [8, 0, 1, 0], [0xFF, 0xFF], [0, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0],
                [0xFF, 0xFF, 0xFF, 0xFF], [12, 0, 3, 0x80], [8, 0, 1, 0x80], [5, 0, 1, 0, 7, 0, 0, 0], [0, 0x80],
            ]
        ) { input in
            try messagesStayInside(input)
            var accepted = 0
            func read(_ body: (NetlinkSocket) throws -> Int) throws {
                do {
                    let count = try body(NetlinkSocket(transport: Parrot(input)))
                    accepted += count
                } catch {
                    guard error is SystemError || error is NetlinkError else { throw error }
                }
            }
            try read { try RouteSocket($0).links().count }
            try read { try RouteSocket($0).addresses().count }
            try read { try RouteSocket($0).routes().count }
            try read { try RouteSocket($0).neighbours().count }
            try read { try RouteSocket($0).forwardingEntries(linkIndex: 1).count }
            try read { try Conntrack($0).flows().count }
            try read { try Nftables($0).tables().count }
            try read { try Nftables($0).baseChains().count }
            try read { try Nftables($0).elements(table: "t", set: "s").count }
            try read { try Nftables($0).content(of: "t").sets.count }
            return accepted > 0
        }
    ]

    private static func messagesStayInside(_ input: [UInt8]) throws {
        for message in NetlinkMessage.parse(input) ?? [] {
            guard message.body.count <= input.count else { throw Broken("a message is longer than its datagram") }
            _ = message.verdict
            var level = message.attributes(after: 4)?.all ?? []
            // Each level is shorter than the one that it lies in, so this ends.
            while !level.isEmpty {
                guard level.allSatisfy({ $0.payload.count < input.count }) else {
                    throw Broken("an attribute is longer than its message")
                }
                for attribute in level {
                    _ = (attribute.text, attribute.network(UInt32.self), attribute.host(UInt64.self))
                }
                level = level.flatMap { $0.nested?.all ?? [] }
            }
        }
    }

    private static func message(_ type: UInt16, _ body: (inout NetlinkWriter) -> Void) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.message(type: type, flags: 2, sequence: 1, body)
        return writer.bytes
    }

    private static let link = message(16) {
        $0.raw([0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0])
        $0.attribute(3, text: "eth0")
        $0.attribute(4, host: UInt32(1_500))
        $0.attribute(1, [2, 0, 0, 0, 0, 1])
        $0.nested(18) {
            $0.attribute(1, text: "vxlan")
            $0.nested(2) { $0.attribute(1, host: UInt32(1)) }
        }
    }
    private static let address = message(20) {
        $0.raw([2, 24, 0, 0, 2, 0, 0, 0])
        $0.attribute(1, [10, 89, 0, 2])
        $0.attribute(2, [10, 89, 0, 2])
    }
    private static let element = message(10 << 8 | 12) {
        $0.raw([2, 0, 0, 0])
        $0.attribute(1, text: "t")
        $0.attribute(2, text: "s")
        $0.nested(3) {
            $0.nested(1) {
                $0.nested(1) { $0.attribute(1, [10, 0, 0, 1]) }
                $0.nested(2) {
                    $0.nested(2) {
                        $0.attribute(1, network: Int32(-3))
                        $0.attribute(2, text: "chain")
                    }
                }
            }
        }
    }
    private static let refusal = message(2) {
        $0.host(Int32(-22))
        $0.raw([UInt8](repeating: 0, count: 16))
        $0.attribute(1, text: "no")
    }
}
