import Basics

extension CEL {
    struct AddressValue: OpaqueValue, CustomStringConvertible {
        let address: IPAddress
        var typeName: String { "net.IP" }
        var size: Int? { address.isIPv6 ? 16 : 4 }
        var description: String { address.description }
        func isEqual(to other: any OpaqueValue) -> Bool { (other as? AddressValue)?.address == address }
    }

    struct NetworkValue: OpaqueValue, CustomStringConvertible {
        /// As given, host bits included.
        let address: IPAddress
        let prefix: Int
        var network: CIDR { CIDR(address, prefix: prefix) }
        var typeName: String { "net.CIDR" }
        var size: Int? { (prefix + 7) / 8 }
        var description: String { "\(address)/\(prefix)" }
        func isEqual(to other: any OpaqueValue) -> Bool {
            (other as? NetworkValue).map { $0.address == address && $0.prefix == prefix } ?? false
        }
    }

    /// IP addresses, networks and URLs.
    enum NetworkFunctions {
        static func add(to table: inout FunctionTable) {
            table["isIP"] = { (a) throws(Failure) in .bool(address(try StringFunctions.one("isIP", a)) != nil) }
            table["ip"] = { (a) throws(Failure) in
                if a.count == 1, case .opaque(let value) = a[0], let network = value as? NetworkValue {
                    return .opaque(AddressValue(address: network.address))
                }
                return .opaque(AddressValue(address: try parsedAddress(try StringFunctions.one("ip", a))))
            }
            table["ip.isCanonical"] = { (a) throws(Failure) in
                let text = try StringFunctions.one("ip.isCanonical", a)
                return .bool(try parsedAddress(text).description == text)
            }
            let tests: [(String, @Sendable (IPAddress) -> Bool)] = [
                ("isUnspecified", { $0.high == 0 && $0.low == 0 }),
                ("isLoopback", { $0.isIPv6 ? $0.high == 0 && $0.low == 1 : $0.low >> 24 == 127 }),
                ("isLinkLocalMulticast", { $0.isIPv6 ? $0.high >> 48 & 0xFF0F == 0xFF02 : $0.low >> 8 == 0xE00000 }),
                ("isLinkLocalUnicast", { isLinkLocal($0) }), ("isGlobalUnicast", { isGlobal($0) }),
            ]
            for (name, test) in tests {
                table[name] = { (a) throws(Failure) in .bool(test(try addressArgument(name, a))) }
            }
            table["family"] = { (a) throws(Failure) in .int(try addressArgument("family", a).isIPv6 ? 6 : 4) }
            addNetworks(to: &table)
            URLFunctions.add(to: &table)
        }

        private static func isLinkLocal(_ address: IPAddress) -> Bool {
            address.isIPv6 ? address.high >> 54 == 0x3FA : address.low >> 16 == 0xA9FE
        }

        private static func isGlobal(_ address: IPAddress) -> Bool {
            if address.high == 0, address.low == 0 || (address.isIPv6 && address.low == 1) { return false }
            if isLinkLocal(address) { return false }
            if address.isIPv6 { return address.high >> 56 != 0xFF }
            return address.low != 0xFFFF_FFFF && address.low >> 24 != 127 && address.low >> 28 != 0xE
        }

        /// Neither zones nor IPv4 in IPv6's clothes.
        static func address(_ text: String) -> IPAddress? {
            guard let address = IPAddress(text) else { return nil }
            return address.isIPv6 && address.high == 0 && address.low >> 32 == 0xFFFF ? nil : address
        }

        private static func parsedAddress(_ text: String) throws(Failure) -> IPAddress {
            if let address = address(text) { return address }
            if IPAddress(text) != nil {
                throw Failure("IPv4-mapped IPv6 address \(Conversion.quoted(text)) is not allowed")
            }
            throw Failure(
                "IP Address \(Conversion.quoted(text)) parse error during conversion from string: ParseAddr(\(Conversion.quoted(text))): unable to parse IP"
            )
        }

        private static func addressArgument(_ name: String, _ a: [Value]) throws(Failure) -> IPAddress {
            guard a.count == 1, case .opaque(let value) = a[0], let address = value as? AddressValue else {
                throw .noSuchOverload(name, a)
            }
            return address.address
        }

        // MARK: Networks

        private static func network(_ text: String) -> NetworkValue? {
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let address = address(String(parts[0])), let prefix = Int(parts[1]),
                String(prefix) == parts[1], (0...(address.isIPv6 ? 128 : 32)).contains(prefix)
            else { return nil }
            return NetworkValue(address: address, prefix: prefix)
        }

        private static func parsedNetwork(_ text: String) throws(Failure) -> NetworkValue {
            guard let network = network(text) else {
                throw Failure(
                    "network address parse error during conversion from string: netip.ParsePrefix(\(Conversion.quoted(text))): no '/'"
                )
            }
            return network
        }

        private static func addNetworks(to table: inout FunctionTable) {
            table["isCIDR"] = { (a) throws(Failure) in .bool(network(try StringFunctions.one("isCIDR", a)) != nil) }
            table["cidr"] = { (a) throws(Failure) in .opaque(try parsedNetwork(try StringFunctions.one("cidr", a))) }
            @Sendable func receiver(_ name: String, _ a: [Value]) throws(Failure) -> NetworkValue {
                guard case .opaque(let value) = a.first, let network = value as? NetworkValue else {
                    throw .noSuchOverload(name, a)
                }
                return network
            }
            table["prefixLength"] = { (a) throws(Failure) in .int(Int64(try receiver("prefixLength", a).prefix)) }
            table["masked"] = { (a) throws(Failure) in
                let network = try receiver("masked", a)
                return .opaque(NetworkValue(address: network.network.base, prefix: network.prefix))
            }
            table["containsIP"] = { (a) throws(Failure) in
                let network = try receiver("containsIP", a)
                guard a.count == 2 else { throw .noSuchOverload("containsIP", a) }
                if case .string(let text) = a[1] { return .bool(network.network.contains(try parsedAddress(text))) }
                return .bool(network.network.contains(try addressArgument("containsIP", [a[1]])))
            }
            table["containsCIDR"] = { (a) throws(Failure) in
                let network = try receiver("containsCIDR", a)
                guard a.count == 2 else { throw .noSuchOverload("containsCIDR", a) }
                var other: NetworkValue
                if case .string(let text) = a[1] {
                    other = try parsedNetwork(text)
                } else {
                    other = try receiver("containsCIDR", [a[1]])
                }
                return .bool(network.network.contains(other.network))
            }
        }
    }
}
