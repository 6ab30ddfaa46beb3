import Basics
import Testing

@testable import Wire

/// A small generator with a fixed seed, so that a failure repeats.
struct Seeded {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 20) } }
}

@Suite struct DNSMessageTests {
    private static func name(_ text: String) throws -> DNSName { try #require(DNSName(text)) }

    @Test func aQueryIsTheseBytes() throws {
        let query = DNSMessage(query: DNSQuestion(try Self.name("a.bc"), .a), id: 0x1234)
        let bytes: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 2, 98, 99, 0, 0, 1, 0, 1]
        #expect(query.serialized() == bytes)
        #expect(try DNSMessage(parsing: bytes) == query)
    }

    @Test func namesPointBack() throws {
        var message = DNSMessage(query: DNSQuestion(try Self.name("www.example.com"), .a), id: 1)
        message.answers = [
            DNSRecord(try Self.name("WWW.example.com"), timeToLive: 5, .cname(try Self.name("x.Example.com")))
        ]
        let bytes = message.serialized()
        // The owner points to the question; the target adds one label and points to `example.com`.
        #expect(Array(bytes[33...]) == [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 4, 1, 120, 0xC0, 16])
        #expect(try DNSMessage(parsing: bytes) == message)
    }

    private static func everyType() throws -> DNSMessage {
        var message = DNSMessage(query: DNSQuestion(try name("svc.cluster.local"), .any), id: 77)
        message.isResponse = true
        message.isAuthoritative = true
        message.recursionAvailable = true
        message.code = .nameError
        let owner = try name("svc.cluster.local")
        message.answers = [
            DNSRecord(owner, timeToLive: 1, .address(.loopback)),
            DNSRecord(owner, timeToLive: 2, .address(IPAddress(v6High: 1, low: 2))),
            DNSRecord(owner, timeToLive: 3, .mx(preference: 10, try name("mail.svc.cluster.local"))),
            DNSRecord(owner, timeToLive: 4, .txt([Array("one".utf8), [], Array("two".utf8)])),
            DNSRecord(owner, timeToLive: 5, .srv(priority: 1, weight: 2, port: 3, try name("t.cluster.local"))),
            DNSRecord(owner, timeToLive: 6, .ptr(try name("p.cluster.local"))),
            DNSRecord(owner, timeToLive: 7, .other(DNSType(rawValue: 257), [0, 5, 1, 2, 3])),
        ]
        message.authorities = [
            DNSRecord(try name("cluster.local"), timeToLive: 8, .ns(try name("ns.cluster.local"))),
            DNSRecord(
                try name("cluster.local"), timeToLive: 9,
                .soa(
                    DNSAuthority(
                        server: try name("ns.cluster.local"), mailbox: try name("h.cluster.local"), serial: 1,
                        refresh: 2, retry: 3, expire: 4, minimum: 5))),
        ]
        message.additionals = [DNSRecord(.root, timeToLive: 10, .cname(owner))]
        var edns = DNSExtension(datagramSize: 1232)
        edns.wantsSignatures = true
        edns.options = [DNSExtension.Option(code: 10, bytes: [1, 2, 3])]
        message.edns = edns
        return message
    }

    @Test func everyTypeSurvives() throws {
        let message = try Self.everyType()
        #expect(try DNSMessage(parsing: message.serialized()) == message)
    }

    @Test func whatDoesNotFitIsLeftOutAndSaidSo() throws {
        var message = DNSMessage(query: DNSQuestion(try Self.name("many.local"), .a), id: 1)
        message.isResponse = true
        message.edns = DNSExtension(datagramSize: 1232)
        message.answers = (0..<200).map {
            DNSRecord(message.questions[0].name, timeToLive: 5, .address(IPAddress(v4: UInt32($0))))
        }
        for limit in [512, 513, 1232] {
            let bytes = message.serialized(limit: limit)
            #expect(bytes.count <= limit)
            let parsed = try DNSMessage(parsing: bytes)
            #expect(parsed.isTruncated)
            #expect(parsed.edns != nil)
            #expect(parsed.answers == Array(message.answers.prefix(parsed.answers.count)))
            #expect(bytes.count + 16 > limit)
        }
        #expect(try !DNSMessage(parsing: message.serialized()).isTruncated)
    }

    @Test(
        arguments: [
            // A pointer to itself, one forward, a loop of two, one past the end.
            [0xC0, 12], [0xC0, 20], [1, 97, 0xC0, 12], [0xFF, 0xFF], [0x40, 0], [63], [5, 1, 2],
        ] as [[UInt8]]) func badNamesAreRefused(_ name: [UInt8])
    {
        let bytes: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1]
        #expect(throws: DNSFormatError.self) { try DNSMessage(parsing: bytes) }
    }

    @Test func namesHaveLimits() {
        let long = String(repeating: "a", count: 64)
        #expect(DNSName(long) == nil)
        #expect(DNSName("a..b") == nil)
        #expect(DNSName(Array(repeating: "abcdefg", count: 32).joined(separator: ".")) == nil)
        #expect(DNSName(".")?.description == ".")
        #expect(DNSName("A.b.") == DNSName("a.B"))
    }

    /// Whatever comes in, parsing ends; and what parses can be written and read again to the same value.
    @Test(arguments: 0..<8) func noiseDoesNoHarm(_ seed: Int) throws {
        var random = Seeded(UInt64(seed) + 1)
        let model = try Self.everyType().serialized()
        var parsed = 0
        for _ in 0..<4000 {
            var bytes = random.below(4) == 0 ? random.bytes(random.below(80)) : model
            for _ in 0..<random.below(6) where !bytes.isEmpty {
                switch random.below(3) {
                case 0: bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next() >> 9)
                case 1: bytes.removeLast(random.below(bytes.count))
                default: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count))
                }
            }
            guard let message = try? DNSMessage(parsing: bytes) else { continue }
            parsed += 1
            let again = try DNSMessage(parsing: message.serialized())
            #expect(again == message)
        }
        #expect(parsed > 100)
    }
}
