import Basics
import Document

/// Reads the `networking` of kind's files and ours.
enum NetworkingReader {
    private static let fields = [
        "ipFamily", "apiServerAddress", "apiServerPort", "podSubnet", "serviceSubnet", "disableDefaultCNI",
        "kubeProxyMode", "dnsSearch",
    ]

    static func read(
        _ field: ConfigurationField, into configuration: inout ClusterConfiguration
    ) throws(UsageError) {
        for (key, value) in try field.members(fields) {
            switch key {
            case "ipFamily":
                guard try value.string() == "ipv4" else {
                    throw value.refuse(
                        "ipFamily \(value.value.jsonText) is not supported", allowed: "use 'ipv4', or leave it out")
                }
            case "apiServerAddress": configuration.networking.apiServerAddress = try NodeReader.address(value)
            case "apiServerPort":
                // 0 and kind's -1 both take a free one.
                let port = try value.number(-1...65_535)
                configuration.apiPort = port > 0 ? UInt16(port) : nil
            case "podSubnet": configuration.networking.podSubnet = try podSubnet(value)
            case "serviceSubnet": configuration.networking.serviceSubnet = try serviceSubnet(value)
            case "disableDefaultCNI": configuration.networking.disableDefaultCNI = try value.bool()
            case "kubeProxyMode": try proxyMode(value, into: &configuration)
            default: configuration.networking.dnsSearch = try value.strings("domains")
            }
        }
        try checkOverlap(field, configuration.networking)
    }

    private static func subnet(_ field: ConfigurationField) throws(UsageError) -> CIDR {
        let text = try field.string()
        guard let subnet = CIDR(text) else {
            throw field.refuse("'\(text)' is no subnet", allowed: "write it like 10.244.0.0/16")
        }
        guard !subnet.base.isIPv6 else {
            throw field.refuse("'\(text)': IPv6 is not supported", allowed: "use an IPv4 subnet")
        }
        return subnet
    }

    /// Each node gets a /24 of it.
    private static func podSubnet(_ field: ConfigurationField) throws(UsageError) -> CIDR {
        let subnet = try subnet(field)
        guard (8...24).contains(subnet.prefix) else {
            throw field.refuse(
                "the pod subnet \(subnet) cannot be divided into a /24 for each node",
                allowed: "use a prefix from /8 to /24")
        }
        return subnet
    }

    private static func serviceSubnet(_ field: ConfigurationField) throws(UsageError) -> CIDR {
        let subnet = try subnet(field)
        // Upstream's limits: at most 20 bits, and room for the DNS server's address, the tenth.
        guard (12...27).contains(subnet.prefix) else {
            throw field.refuse("the service subnet \(subnet) has a wrong size", allowed: "use a prefix from /12 to /27")
        }
        return subnet
    }

    private static func proxyMode(
        _ field: ConfigurationField, into configuration: inout ClusterConfiguration
    ) throws(UsageError) {
        let text = try field.string()
        guard let mode = Networking.ProxyMode(rawValue: text) else {
            throw field.refuse(
                "kubeProxyMode '\(text)' is not supported",
                allowed: "use 'nftables' (what this proxy does), 'iptables' (the same rules), or 'none'")
        }
        configuration.networking.proxyMode = mode
        if mode == .iptables {
            configuration.notes.append("kubeProxyMode iptables: the rules are nftables' own, with the same effect")
        }
    }

    private static func checkOverlap(_ field: ConfigurationField, _ networking: Networking) throws(UsageError) {
        let all = [
            ("the nodes' network", Addresses.nodes), ("the pod subnet", networking.podSubnet),
            ("the service subnet", networking.serviceSubnet),
        ]
        for (index, one) in all.enumerated() {
            for other in all[(index + 1)...] where one.1.contains(other.1) || other.1.contains(one.1) {
                throw field.refuse(
                    "\(other.0) \(other.1) overlaps \(one.0) \(one.1)", allowed: "choose networks apart")
            }
        }
    }
}
