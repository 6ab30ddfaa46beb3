import Testing

@testable import Wire

@Suite struct ClientHelloTests {
    private static func vector(_ width: Int, _ bytes: [UInt8]) -> [UInt8] {
        (0..<width).reversed().map { UInt8(bytes.count >> (8 * $0) & 0xFF) } + bytes
    }

    /// A first message that wants `name`, behind an extension that nobody here knows.
    private static func message(_ name: String?, extra: [UInt8] = []) -> [UInt8] {
        var extensions: [UInt8] = [0xFA, 0xFA] + vector(2, [1, 2, 3])
        if let name { extensions += [0, 0] + vector(2, vector(2, [0] + vector(2, Array(name.utf8)))) }
        extensions += extra
        let random = [UInt8](repeating: 7, count: 32)
        let body = [3, 3] + random + vector(1, []) + vector(2, [0x13, 1]) + vector(1, [0]) + vector(2, extensions)
        return [1] + vector(3, body)
    }

    private static func records(_ message: [UInt8], size: Int) -> [UInt8] {
        stride(from: 0, to: message.count, by: size).flatMap { start in
            [22, 3, 1] + vector(2, Array(message[start..<min(start + size, message.count)]))
        }
    }

    @Test func theNameIsFoundHoweverTheMessageIsCut() {
        for size in [1, 5, 100, 10_000] {
            let bytes = Self.records(Self.message("Web.Example"), size: size)
            var hello = ClientHello.Outcome.needsMore
            for count in 0..<bytes.count where hello == .needsMore {
                hello = ClientHello.read(Array(bytes.prefix(count)))
                #expect(hello == .needsMore)
            }
            guard case .complete(let found) = ClientHello.read(bytes) else {
                Issue.record("not complete in records of \(size)")
                continue
            }
            #expect(found.serverName == "web.example")
        }
        guard case .complete(let anonymous) = ClientHello.read(Self.records(Self.message(nil), size: 500)) else {
            Issue.record("a client may name nobody")
            return
        }
        #expect(anonymous.serverName == nil)
    }

    @Test func whatIsNoHelloIsRefused() {
        let good = Self.records(Self.message("a"), size: 500)
        var cases: [[UInt8]] = [Array("GET / HTTP/1.1\r\n\r\n".utf8), [22, 3, 1, 0, 0], [22, 9, 1, 0, 1, 1], [21]]
        cases.append(Self.records([2] + Self.message("a").dropFirst(), size: 500))
        cases.append(Self.records([1, 0xFF, 0xFF, 0xFF], size: 500))
        // A name that is no name, and an extension that is longer than the message.
        cases.append(Self.records(Self.message("a b"), size: 500))
        cases.append(Self.records(Self.message("a", extra: [0, 1, 0xFF, 0xFF]), size: 500))
        for bytes in cases { #expect(ClientHello.read(bytes) == .invalid, "\(bytes)") }
        // Whatever byte is broken, reading ends.
        for index in good.indices {
            var broken = good
            broken[index] ^= 0xFF
            _ = ClientHello.read(broken)
        }
    }
}
