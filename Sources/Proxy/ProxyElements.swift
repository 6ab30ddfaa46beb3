import Basics
import Linux

/// Which set elements stand for a frontend.
///
/// A frontend's key is `address . transport . port`. Its elements are
/// - in `services`: where to go on, by the number of endpoints;
/// - in `endpoints-N`, or with affinity in `choices-N` and `chosen`: one for each endpoint, see `ProxyRules`;
/// - in `no-endpoints`: what to do with connections that nobody can take;
/// - in `masquerade`: nothing more than being there;
/// - in `inside-services` and `inside`: where the cluster's own clients go on, and which frontend they get instead;
/// - in `guarded`: the chain that turns away who may not connect.
enum ProxyElements {
    static func elements(_ frontend: Frontend, _ plan: FrontendPlan) -> [String: Set<NftElement>] {
        let key = frontend.key
        var result: [String: Set<NftElement>] = [:]
        if let inside = plan.inside {
            result[ProxySet.insideServices.name] = [
                NftElement(key, .verdict(.goto(BalanceShape(inside: inside.endpoints).chain)))
            ]
            result[ProxySet.inside.name] = [NftElement(key, .data(inside.frontend.key))]
        }
        if let sources = plan.sources {
            result[ProxySet.guarded.name] = [NftElement(key, .verdict(.jump(SourceList(sources).chain)))]
        }
        switch plan.treatment {
        case .reject: result[ProxySet.unserved.name] = [NftElement(key, .verdict(.goto(ProxyRules.rejectChain)))]
        case .drop: result[ProxySet.unserved.name] = [NftElement(key, .verdict(.drop))]
        case .balance(let backends, let sticky):
            let shape = BalanceShape(count: backends.count, stickySeconds: sticky)
            result[ProxySet.services.name] = [NftElement(key, .verdict(.goto(shape.chain)))]
            let numbered = backends.enumerated()
            if sticky == nil {
                result[ProxySet.endpoints(backends.count).name] = Set(
                    numbered.map { NftElement(key + mark(UInt32($0)), .data($1.value)) })
            } else {
                let names = names(of: backends)
                result[ProxySet.choices(backends.count).name] = Set(
                    numbered.map { index, _ in NftElement(key + mark(UInt32(index)), .data(mark(names[index]))) })
                result[ProxySet.chosen.name] = Set(
                    numbered.map { index, backend in NftElement(key + mark(names[index]), .data(backend.value)) })
            }
            if plan.masquerade { result[ProxySet.masquerade.name] = [NftElement(key)] }
        }
        return result
    }

    /// A number for each endpoint that stays with it when others come and go: a hash (FNV-1a) of the address,
    /// moved on where two are the same.
    private static func names(of backends: [Backend]) -> [UInt32] {
        var taken: Set<UInt32> = []
        return backends.map { backend in
            var name = backend.value.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
            while name == 0 || !taken.insert(name).inserted { name &+= 1 }
            return name
        }
    }

    /// Numbers of the packet path are in host byte order.
    private static func mark(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }
}

extension Frontend {
    /// `address . transport . port`, each part padded to 4 bytes.
    var key: [UInt8] {
        address.bytes + [transport.rawValue, 0, 0, 0] + [UInt8(port >> 8), UInt8(port & 255), 0, 0]
    }
}

extension Backend {
    /// `address . port`
    var value: [UInt8] { address.bytes + [UInt8(port >> 8), UInt8(port & 255), 0, 0] }
}

/// What tells one balancing chain from another.
struct BalanceShape: Hashable, Comparable {
    var count: Int
    var stickySeconds: UInt32?
    /// Whether another frontend's endpoints are meant, see `ProxySet.inside`.
    var isInside = false

    var chain: String {
        isInside ? "inside-\(count)" : stickySeconds.map { "sticky-\(count)-\($0)" } ?? "balance-\(count)"
    }

    init(inside count: Int) {
        self.count = count
        isInside = true
    }

    init(count: Int, stickySeconds: UInt32?) {
        self.count = count
        self.stickySeconds = stickySeconds
    }

    init?(_ plan: FrontendPlan) {
        guard case .balance(let backends, let sticky) = plan.treatment else { return nil }
        self.init(count: backends.count, stickySeconds: sticky)
    }

    static func < (a: BalanceShape, b: BalanceShape) -> Bool {
        (a.isInside ? 1 : 0, a.count, a.stickySeconds ?? 0) < (b.isInside ? 1 : 0, b.count, b.stickySeconds ?? 0)
    }
}

/// Who may connect to some load balancers. Those with the same list share a chain.
struct SourceList: Hashable {
    var ranges: [CIDR]

    init(_ ranges: [CIDR]) { self.ranges = ranges.filter { !$0.base.isIPv6 } }

    /// Named by a hash (FNV-1a) of the list, so that the name is the same wherever the list is met.
    var chain: String {
        let hash = "\(ranges)".utf8.reduce(UInt64(14_695_981_039_346_656_037)) {
            ($0 ^ UInt64($1)) &* 1_099_511_628_211
        }
        return "sources-\(Hex.encode((0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64(8 * $0)) }))"
    }
}

/// The sets of the table.
enum ProxySet {
    static let frontendKey: [NftType] = [.address, .protocolNumber, .port]

    static let services = NftSet("services", key: frontendKey, value: .verdict)
    static let unserved = NftSet("no-endpoints", key: frontendKey, value: .verdict)
    static let masquerade = NftSet("masquerade", key: frontendKey)
    static let clusterAddresses = NftSet("cluster-addresses", key: [.address])
    static let hairpin = NftSet("hairpin", key: [.address, .address])
    static let chosen = NftSet("chosen", key: frontendKey + [.mark], value: .data([.address, .port]))
    /// Who was sent where: the client, the frontend, and the endpoint's number. Bounded, as clients fill it.
    static let affinity = NftSet(
        "affinity", key: [.address] + frontendKey, value: .data([.mark]), dynamic: true, size: 1 << 20)
    static let insideServices = NftSet("inside-services", key: frontendKey, value: .verdict)
    static let inside = NftSet("inside", key: frontendKey, value: .data(frontendKey))
    static let guarded = NftSet("guarded", key: frontendKey, value: .verdict)
    static let fixed = [
        services, unserved, masquerade, clusterAddresses, hairpin, chosen, affinity, insideServices, inside, guarded,
    ]

    static func endpoints(_ count: Int) -> NftSet {
        NftSet("endpoints-\(count)", key: frontendKey + [.mark], value: .data([.address, .port]))
    }

    static func choices(_ count: Int) -> NftSet {
        NftSet("choices-\(count)", key: frontendKey + [.mark], value: .data([.mark]))
    }
}
