/// What a table holds, read back from the kernel.
public struct NftContent: Sendable, Equatable {
    public struct Rule: Sendable, Hashable {
        /// The expressions as they are on the wire.
        public var expressions: [UInt8]

        public init(expressions: [UInt8]) { self.expressions = expressions }
    }

    public var sets: [String: Set<NftElement>] = [:]
    /// Each chain with its rules in order.
    public var chains: [String: [Rule]] = [:]

    public init() {}
}

/// A chain that the kernel calls by itself, of any family.
public struct NftBaseChain: Sendable, Equatable {
    public var family: UInt8
    public var table: String
    public var name: String
    public var hook: UInt32
    /// Whether what no rule decides is dropped.
    public var dropsByDefault: Bool

    public init(family: UInt8, table: String, name: String, hook: UInt32, dropsByDefault: Bool) {
        self.family = family
        self.table = table
        self.name = name
        self.hook = hook
        self.dropsByDefault = dropsByDefault
    }

    public var familyName: String {
        switch family {
        case 1: "inet"
        case 2: "ip"
        case 3: "arp"
        case 5: "netdev"
        case 7: "bridge"
        case 10: "ip6"
        default: "\(family)"
        }
    }

    /// Whether IPv4 packets on their way through this machine are dropped here unless a rule says otherwise.
    public var dropsForwarded: Bool {
        dropsByDefault && hook == NftHook.Point.forward.rawValue && (family == 1 || family == 2)
    }
}

extension Nftables {
    /// Every chain of every family that the kernel calls by itself.
    public func baseChains() throws -> [NftBaseChain] {
        try socket.dump(type: Read.chains, "nftables: list chains", body: { $0.raw([0, 0, 0, 0]) })
            .compactMap { message in
                guard let family = message.body.first, let chain = message.attributes(after: 4),
                    let hook = chain[4]?.nested?[1]?.network(UInt32.self)
                else { return nil }
                return NftBaseChain(
                    family: family, table: chain[1]?.text ?? "", name: chain[3]?.text ?? "", hook: hook,
                    dropsByDefault: chain[5]?.network(UInt32.self) == 0)
            }
    }

    /// The rules of a chain of any family, in order.
    public func rules(of chain: NftBaseChain) throws -> [NftContent.Rule] {
        try socket.dump(type: Read.rules, "nftables: list rules of \(chain.name)") {
            $0.raw([chain.family, 0, 0, 0])
            $0.attribute(1, text: chain.table)
            $0.attribute(2, text: chain.name)
        }.compactMap { $0.attributes(after: 4) }
            .filter { $0[1]?.text == chain.table && $0[2]?.text == chain.name }
            .map { NftContent.Rule(expressions: $0[4].map { Array($0.payload) } ?? []) }
    }

    private enum Read {
        static let chains: UInt16 = 10 << 8 | 4
        static let rules: UInt16 = 10 << 8 | 7
        static let sets: UInt16 = 10 << 8 | 10
        static let elements: UInt16 = 10 << 8 | 13
    }

    /// The whole table. Costs as much as the table is large, so it is for looking and not for working.
    public func content(of table: String) throws -> NftContent {
        var content = NftContent()
        for chain in try list(Read.chains, table, "chains") { content.chains[chain[3]?.text ?? ""] = [] }
        for rule in try list(Read.rules, table, "rules") {
            let expressions = rule[4].map { Array($0.payload) } ?? []
            content.chains[rule[2]?.text ?? "", default: []].append(NftContent.Rule(expressions: expressions))
        }
        for set in try list(Read.sets, table, "sets") {
            let name = set[2]?.text ?? ""
            content.sets[name] = Set(try elements(table: table, set: name))
        }
        return content
    }

    /// The names of the table's sets.
    public func sets(of table: String) throws -> [String] {
        try list(Read.sets, table, "sets").compactMap { $0[2]?.text }.sorted()
    }

    /// The keys and values that a set or map holds now.
    public func elements(table: String, set: String) throws -> [NftElement] {
        let messages = try socket.dump(type: Read.elements, "nftables: list elements of \(set)") {
            $0.raw([2, 0, 0, 0])
            $0.attribute(1, text: table)
            $0.attribute(2, text: set)
        }
        return messages.flatMap { message -> [NftElement] in
            guard let list = message.attributes(after: 4)?[3]?.nested else { return [] }
            return list.all.compactMap { $0.nested.flatMap { NftElement(read: $0) } }
        }
    }

    private func list(_ type: UInt16, _ table: String, _ what: String) throws -> [NetlinkAttributes] {
        try socket.dump(type: type, "nftables: list \(what) of \(table)") {
            $0.raw([2, 0, 0, 0])
            $0.attribute(1, text: table)
        }.compactMap { $0.attributes(after: 4) }.filter { $0[1]?.text == table }
    }
}

extension NftElement {
    /// `NFTA_SET_ELEM`: key (1), data (2), flags (3); data is a value (1) or a verdict (2) of code (1) and chain (2).
    fileprivate init?(read element: NetlinkAttributes) {
        guard let key = element[1]?.nested?[1]?.payload else { return nil }
        let flags = element[3]?.network(UInt32.self) ?? 0
        let data = element[2]?.nested
        if let value = data?[1]?.payload {
            self.init(Array(key), .data(Array(value)))
        } else if let verdict = data?[2]?.nested, let code = verdict[1]?.network(Int32.self),
            let known = NftVerdict(code: code, chain: verdict[2]?.text)
        {
            self.init(Array(key), .verdict(known))
        } else {
            self.init(Array(key), endsRange: flags & 1 != 0)
        }
    }
}

extension NftVerdict {
    init?(code: Int32, chain: String?) {
        switch (code, chain) {
        case (0, _): self = .drop
        case (1, _): self = .accept
        case (-3, let chain?): self = .jump(chain)
        case (-4, let chain?): self = .goto(chain)
        case (-5, _): self = .return
        default: return nil
        }
    }
}
