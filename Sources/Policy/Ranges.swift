import Basics

/// Ports of one protocol, or with protocol 0 every packet.
public struct PortRange: Sendable, Hashable, Comparable {
    public var transport: UInt8
    public var first: UInt16
    public var last: UInt16

    init(_ transport: UInt8, _ first: UInt16, _ last: UInt16) {
        self.transport = transport
        self.first = first
        self.last = last
    }

    static let everything = PortRange(0, 0, .max)

    var isSingle: Bool { first == last }

    public static func < (a: PortRange, b: PortRange) -> Bool {
        (a.transport, a.first, a.last) < (b.transport, b.first, b.last)
    }
}

/// Addresses from one to another, both included, of one family.
public struct AddressRange: Sendable, Hashable, Comparable {
    public var first: IPAddress
    public var last: IPAddress

    init(_ first: IPAddress, _ last: IPAddress) {
        self.first = first
        self.last = last
    }

    init(_ network: CIDR) {
        first = network.base
        if network.base.isIPv6 {
            let high: UInt64 = network.prefix >= 64 ? 0 : ~0 >> UInt64(network.prefix)
            let low: UInt64 = network.prefix <= 64 ? ~0 : network.prefix == 128 ? 0 : ~0 >> UInt64(network.prefix - 64)
            last = IPAddress(v6High: network.base.high | high, low: network.base.low | low)
        } else {
            let rest: UInt32 = network.prefix == 32 ? 0 : ~0 >> UInt32(network.prefix)
            last = IPAddress(v4: UInt32(network.base.low) | rest)
        }
    }

    public static func < (a: AddressRange, b: AddressRange) -> Bool { (a.first, a.last) < (b.first, b.last) }

    /// What is left of a network without its exceptions.
    static func ranges(of network: CIDR, without exceptions: [CIDR]) -> [AddressRange] {
        let whole = AddressRange(network)
        var result: [AddressRange] = []
        var next: IPAddress? = whole.first
        for exception in exceptions.filter({ network.contains($0) }).map(AddressRange.init).sorted() {
            guard let start = next else { break }
            if exception.first > start, let before = exception.first.previous {
                result.append(AddressRange(start, before))
            }
            if exception.last >= start { next = exception.last < whole.last ? exception.last.advanced(by: 1) : nil }
        }
        if let start = next { result.append(AddressRange(start, whole.last)) }
        return result
    }

    /// The same addresses in as few ranges as there can be, in order: none overlaps or touches another.
    static func merged(_ ranges: some Sequence<AddressRange>) -> [AddressRange] {
        var result: [AddressRange] = []
        for range in ranges.sorted() {
            if let last = result.last, last.first.isIPv6 == range.first.isIPv6,
                last.last.advanced(by: 1).map({ range.first <= $0 }) ?? true
            {
                result[result.count - 1].last = max(last.last, range.last)
            } else {
                result.append(range)
            }
        }
        return result
    }
}

extension IPAddress {
    /// The address before this one; nil before the first.
    fileprivate var previous: IPAddress? {
        if !isIPv6 { return low == 0 ? nil : IPAddress(v4: UInt32(low - 1)) }
        if low > 0 { return IPAddress(v6High: high, low: low - 1) }
        return high == 0 ? nil : IPAddress(v6High: high - 1, low: .max)
    }
}
