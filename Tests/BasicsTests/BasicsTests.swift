import Testing

@testable import Basics

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("2026-01-02T03:04:05Z", 1_767_323_045),
        ("2024-02-29T23:59:59Z", 1_709_251_199), ("1969-12-31T23:59:59Z", -1),
    ])
    func wholeSecondsGoBothWays(text: String, seconds: Int64) throws {
        let time = try #require(Timestamp(rfc3339: text))
        #expect(time.seconds == seconds)
        #expect(time.description == text)
    }

    @Test func zonesAndFractionsAreRead() throws {
        let time = try #require(Timestamp(rfc3339: "2026-01-02T03:04:05.123456789+02:00"))
        #expect(time.rfc3339(fractionDigits: 9) == "2026-01-02T01:04:05.123456789Z")
        #expect(time.rfc3339(fractionDigits: 6) == "2026-01-02T01:04:05.123456Z")
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+2:00",
    ])
    func garbageIsRefused(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    /// Anybody may write these into an object.
    @Test func whatLiesBeyondIsTheFirstOrTheLast() throws {
        let last = try #require(Timestamp(rfc3339: "9999-12-31T23:59:59Z"))
        let first = try #require(Timestamp(rfc3339: "0001-01-01T00:00:00Z"))
        #expect(last == Timestamp(nanoseconds: .max) && first == Timestamp(nanoseconds: .min))
        #expect(first < last && first < Timestamp(seconds: 0))
        #expect(last - first == .nanoseconds(Int64.max) && first - last == .nanoseconds(Int64.min))
        #expect(last + .seconds(1) == last && first + .seconds(-1) == first)
        #expect(Timestamp(rfc3339: first.rfc3339(fractionDigits: 9)) == first)
        #expect((last - first + .seconds(1)).wholeNanoseconds == .max)
        let parts = try #require(Timestamp.parts(rfc3339: "9999-12-31T23:59:59.5Z"))
        #expect(parts == (253_402_300_799, 500_000_000))
        #expect(
            Timestamp.rfc3339(seconds: parts.seconds, nanoseconds: parts.nanoseconds, fractionDigits: 1)
                == "9999-12-31T23:59:59.5Z")
    }

    @Test func everyDayOfFourCenturiesComesBack() {
        for day in stride(from: Int64(-73_000), to: 73_000, by: 1) {
            let time = Timestamp(seconds: day * 86_400 + 12_345)
            #expect(Timestamp(rfc3339: time.description) == time)
        }
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        ("10.89.0.2", "10.89.0.2"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"),
        ("FD00:0:0::1", "fd00::1"), ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"), ("::ffff:1.2.3.4", "::ffff:102:304"),
        ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"), ("1::", "1::"),
    ])
    func addressesAreReadAndWrittenCanonically(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(bytes: address.bytes) == address)
        #expect(IPAddress(canonical) == address)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.x", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", ":1:2:3:4:5:6:7", "::1.2.3", "+1::", "1.2.3.4::",
    ])
    func garbageIsRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func networksContainAndDivide() throws {
        let pods = try #require(CIDR("10.244.0.0/16"))
        let third = try #require(pods.subnet(at: 2, length: 24))
        #expect(third.description == "10.244.2.0/24")
        #expect(pods.contains(third))
        #expect(pods.contains(try #require(IPAddress("10.244.255.255"))))
        #expect(!pods.contains(try #require(IPAddress("10.245.0.0"))))
        #expect(pods.subnet(at: 256, length: 24) == nil)
        #expect(third.address(at: 255)?.description == "10.244.2.255")
        #expect(third.address(at: 256) == nil)
        #expect(CIDR("10.244.1.7/24")?.description == "10.244.1.0/24")
        #expect(CIDR("fd00::/48")?.subnet(at: 65_535, length: 64)?.description == "fd00:0:0:ffff::/64")
    }

    @Test(arguments: ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "x/8", "::/129"])
    func brokenNetworksAreRefused(text: String) {
        #expect(CIDR(text) == nil)
    }
}

@Suite struct TextEncodingTests {
    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")])
    func base64GoesBothWays(plain: String, encoded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(plain.utf8))
        let unpadded = String(encoded.prefix { $0 != "=" })
        #expect(Base64.encode(Array(plain.utf8), url: true) == unpadded)
        #expect(Base64.decode(unpadded, url: true) == Array(plain.utf8))
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Z=g=", "Zh==", "Zg==Zg==", "Zm9v!"])
    func brokenBase64IsRefused(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func everyByteSurvives() {
        let all = (0...255).map { UInt8($0) }
        #expect(Base64.decode(Base64.encode(all)) == all)
        #expect(Base64.decode(Base64.encode(all, url: true), url: true) == all)
        #expect(Hex.encode(all.prefix(17)) == "000102030405060708090a0b0c0d0e0f10")
    }
}

@Suite struct IdentifierTests {
    struct Counter: Randomness {
        func next() -> UInt64 { 0x0123_4567_89AB_CDEF }
    }

    @Test func identifiersHaveTheirForm() {
        let uuid = Identifier.uuid(from: Counter())
        #expect(uuid.count == 36)
        #expect(Array(uuid)[14] == "4")
        #expect("89ab".contains(Array(uuid)[19]))
        #expect(Identifier.suffix(from: Counter()).count == 5)
    }
}
