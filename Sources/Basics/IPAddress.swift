/// An IPv4 or IPv6 address. IPv4 uses the low 32 bits.
public struct IPAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let isIPv6: Bool
    public let high: UInt64
    public let low: UInt64

    public init(v4 value: UInt32) {
        isIPv6 = false
        high = 0
        low = UInt64(value)
    }

    public init(v6High high: UInt64, low: UInt64) {
        isIPv6 = true
        self.high = high
        self.low = low
    }

    public static let loopback = IPAddress(v4: 0x7F00_0001)
    public static let any = IPAddress(v4: 0)

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : low >> 24 == 127 }

    /// The address's bytes in network order, 4 or 16 of them.
    public var bytes: [UInt8] {
        func split(_ word: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * (count - 1 - $0))) }
        }
        return isIPv6 ? split(high, 8) + split(low, 8) : split(low, 4)
    }

    public init?(bytes: some Collection<UInt8>) {
        func join(_ part: some Sequence<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(v4: UInt32(join(bytes)))
        case 16: self.init(v6High: join(bytes.prefix(8)), low: join(bytes.dropFirst(8)))
        default: return nil
        }
    }

    /// Parses dotted IPv4 (no leading zeros, as Kubernetes insists) or any RFC 4291 form of IPv6.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self.init(v6Text: text)
        } else {
            self.init(v4Text: text)
        }
    }

    private init?(v4Text text: some StringProtocol) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
            if part.count > 1, part.first == 48 { return nil }
            let number = part.reduce(0) { $0 * 10 + UInt32($1 - 48) }
            guard number < 256 else { return nil }
            value = value << 8 | number
        }
        self.init(v4: value)
    }

    private init?(v6Text text: some StringProtocol) {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var seenGap = false
        let parts = Array(text.utf8).split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 9 else { return nil }
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                // An empty first or last part belongs to a leading or trailing "::".
                if index == 0 {
                    guard parts[1].isEmpty else { return nil }
                    continue
                }
                if index == parts.count - 1 {
                    guard parts[index - 1].isEmpty else { return nil }
                    continue
                }
                if seenGap { return nil }
                seenGap = true
                continue
            }
            var groups: [UInt16] = []
            if part.contains(UInt8(ascii: ".")) {
                guard index == parts.count - 1, let v4 = IPAddress(String(decoding: part, as: UTF8.self)), !v4.isIPv6
                else { return nil }
                groups = [UInt16(v4.low >> 16), UInt16(v4.low & 0xFFFF)]
            } else {
                guard part.count <= 4, let value = UInt16(String(decoding: part, as: UTF8.self), radix: 16),
                    part.first != UInt8(ascii: "+")
                else { return nil }
                groups = [value]
            }
            if seenGap { tail += groups } else { head += groups }
        }
        let count = head.count + tail.count
        guard seenGap ? count <= 7 : count == 8 else { return nil }
        let all = head + [UInt16](repeating: 0, count: 8 - count) + tail
        self.init(
            v6High: all[0..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: all[4..<8].reduce(0) { $0 << 16 | UInt64($1) })
    }

    public var description: String {
        if !isIPv6 { return bytes.map(String.init).joined(separator: ".") }
        let groups = (0..<8).map { index -> UInt16 in
            let word = index < 4 ? high : low
            return UInt16(truncatingIfNeeded: word >> UInt64(16 * (3 - index % 4)))
        }
        // RFC 5952: the longest run of at least two zero groups becomes "::".
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count, end - start >= 2 { best = start..<end }
            start = max(end, start) + 1
        }
        func hex(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.isEmpty ? hex(0..<8) : "\(hex(0..<best.lowerBound))::\(hex(best.upperBound..<8))"
    }

    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        (a.isIPv6 ? 1 : 0, a.high, a.low) < (b.isIPv6 ? 1 : 0, b.high, b.low)
    }

    /// The address `offset` further on, nil past the end of the address space.
    public func advanced(by offset: UInt64) -> IPAddress? {
        let (sum, overflow) = low.addingReportingOverflow(offset)
        if !isIPv6 { return !overflow && sum <= UInt64(UInt32.max) ? IPAddress(v4: UInt32(sum)) : nil }
        if !overflow { return IPAddress(v6High: high, low: sum) }
        return high == .max ? nil : IPAddress(v6High: high + 1, low: sum)
    }
}

/// A network: an address whose bits past `prefix` are zero, and the prefix length.
public struct CIDR: Sendable, Hashable, CustomStringConvertible {
    public let base: IPAddress
    public let prefix: Int

    public init(_ address: IPAddress, prefix: Int) {
        self.prefix = prefix
        if !address.isIPv6 {
            let mask: UInt32 = prefix == 0 ? 0 : ~0 << UInt32(32 - prefix)
            base = IPAddress(v4: UInt32(address.low) & mask)
        } else {
            let highMask: UInt64 = prefix == 0 ? 0 : prefix >= 64 ? ~0 : ~0 << UInt64(64 - prefix)
            let lowMask: UInt64 = prefix <= 64 ? 0 : prefix == 128 ? ~0 : ~0 << UInt64(128 - prefix)
            base = IPAddress(v6High: address.high & highMask, low: address.low & lowMask)
        }
    }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let prefix = Int(parts[1]), prefix >= 0,
            prefix <= (address.isIPv6 ? 128 : 32), String(prefix) == parts[1]
        else { return nil }
        self.init(address, prefix: prefix)
    }

    public var description: String { "\(base)/\(prefix)" }

    public func contains(_ address: IPAddress) -> Bool {
        address.isIPv6 == base.isIPv6 && CIDR(address, prefix: prefix).base == base
    }

    public func contains(_ other: CIDR) -> Bool { other.prefix >= prefix && contains(other.base) }

    /// The member at `index`, nil where the network is smaller than that.
    public func address(at index: UInt64) -> IPAddress? {
        base.advanced(by: index).flatMap { contains($0) ? $0 : nil }
    }

    /// The `index`-th subnetwork of prefix length `length` (no more than 64 bits below this one's).
    public func subnet(at index: UInt64, length: Int) -> CIDR? {
        let bits = base.isIPv6 ? 128 : 32
        guard length >= prefix, length <= bits, length - prefix < 64, index >> UInt64(length - prefix) == 0 else {
            return nil
        }
        let shift = bits - length
        let offsetLow = shift >= 64 ? 0 : index << UInt64(shift)
        let offsetHigh = shift >= 64 ? index << UInt64(shift - 64) : shift == 0 ? 0 : index >> UInt64(64 - shift)
        let address =
            base.isIPv6
            ? IPAddress(v6High: base.high | offsetHigh, low: base.low | offsetLow)
            : IPAddress(v4: UInt32(base.low | offsetLow))
        return CIDR(address, prefix: length)
    }
}
