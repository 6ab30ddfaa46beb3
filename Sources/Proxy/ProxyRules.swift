import Basics
import Linux

/// The proxy's nftables.
///
///     table ip lab-proxy {
///         guard (filter, before):    daddr . l4proto . dport vmap @guarded    → jump sources-HASH
///         prerouting (nat), from pods, and output (nat):
///                                    daddr . l4proto . dport vmap @inside-services   → goto inside-N
///         prerouting, output (nat):  daddr . l4proto . dport vmap @services   → goto balance-N or sticky-N-SECONDS
///         inside-N:                  dnat to (daddr . l4proto . dport map @inside) . random mod N map @endpoints-N
///         balance-N:                 dnat to daddr . l4proto . dport . random mod N map @endpoints-N
///         forward, output, input:    daddr . l4proto . dport vmap @no-endpoints; daddr @cluster-addresses → reject
///         postrouting (nat):         ct status dnat saddr . daddr @hairpin masquerade
///                                    ct status dnat saddr @cluster-addresses masquerade
///                                    ct status dnat, original daddr . l4proto . dport @masquerade masquerade
///     }
///
/// No service has a chain of its own: one lookup finds the number of its endpoints, a second one the endpoint.
/// So connections cost the same however many services there are, and a change of endpoints is a few elements.
///
/// With affinity, `affinity` remembers the endpoint's number for each client and frontend:
///
///     sticky-N-SECONDS:
///         known client:  mark := saddr . daddr . l4proto . dport map @affinity; refresh;
///                        dnat to daddr . l4proto . dport . mark map @chosen   (fails where that endpoint is gone)
///         others:        mark := daddr . l4proto . dport . random mod N map @choices-N; remember; dnat as above
///
/// The mark is only a register that `nft list` can read, and is 0 again before the packet goes on.
/// Nothing is marked for masquerading: the connection's original destination tells whether it matched a node port,
/// so no mark of another node can be taken for one of ours.
struct ProxyRules {
    static let table = "lab-proxy"
    static let rejectChain = "reject"
    private static let servicesChain = "services"

    /// The chains that are there; they stay, empty of use, when no service has their number of endpoints.
    private var shapes: Set<BalanceShape> = []
    private var countsOfEndpoints: Set<Int> = []
    private var countsOfChoices: Set<Int> = []
    private var sourceLists: Set<SourceList> = []
    /// Where pods' addresses are; nil where only the node itself counts as inside.
    private let podNetwork: CIDR?

    init(podNetwork: CIDR? = nil) { self.podNetwork = podNetwork }

    /// The whole table, made anew, holding `content`. Pieces after the first one only add elements, and there is
    /// more than one only where the whole is larger than `limit` bytes.
    mutating func initial(_ content: ProxyChange, limit: Int) -> [NftBatch] {
        self = ProxyRules(podNetwork: podNetwork)
        var batch = NftBatch(table: Self.table)
        batch.resetTable()
        for set in ProxySet.fixed { batch.addSet(set) }
        addFixedChains(to: &batch)
        addShapes(of: content, to: &batch)
        var finished: [NftBatch] = []
        for (set, elements) in Self.additions(content).sorted(by: { $0.key < $1.key }) {
            var rest = elements[...]
            while !rest.isEmpty {
                if batch.byteCount > limit {
                    finished.append(batch)
                    batch = NftBatch(table: Self.table)
                }
                batch.addElements(set, rest.prefix(512))
                rest = rest.dropFirst(512)
            }
        }
        return finished + [batch]
    }

    /// The elements that change, and the chains that the change is the first to need.
    mutating func update(_ change: ProxyChange) -> NftBatch {
        var batch = NftBatch(table: Self.table)
        addShapes(of: change, to: &batch)
        var removed: [String: Set<NftElement>] = [:]
        var added: [String: Set<NftElement>] = [:]
        for (frontend, plans) in change.frontends {
            let old = plans.old.map { ProxyElements.elements(frontend, $0) } ?? [:]
            let new = plans.new.map { ProxyElements.elements(frontend, $0) } ?? [:]
            for (set, elements) in old { removed[set, default: []].formUnion(elements.subtracting(new[set] ?? [])) }
            for (set, elements) in new { added[set, default: []].formUnion(elements.subtracting(old[set] ?? [])) }
        }
        removed[ProxySet.clusterAddresses.name] = Set(change.removedClusterAddresses.map { NftElement($0.bytes) })
        added[ProxySet.clusterAddresses.name] = Set(change.addedClusterAddresses.map { NftElement($0.bytes) })
        removed[ProxySet.hairpin.name] = Set(change.removedLocalEndpoints.map(Self.hairpin))
        added[ProxySet.hairpin.name] = Set(change.addedLocalEndpoints.map(Self.hairpin))
        // A key's value cannot be changed, so it is deleted and added within the one transaction.
        for (set, elements) in removed.sorted(by: { $0.key < $1.key }) { batch.deleteElements(set, elements) }
        for (set, elements) in added.sorted(by: { $0.key < $1.key }) { batch.addElements(set, elements) }
        return batch
    }

    private static func additions(_ content: ProxyChange) -> [String: [NftElement]] {
        var added: [String: [NftElement]] = [:]
        for (frontend, plans) in content.frontends {
            guard let plan = plans.new else { continue }
            for (set, elements) in ProxyElements.elements(frontend, plan) { added[set, default: []] += elements }
        }
        added[ProxySet.clusterAddresses.name] = content.addedClusterAddresses.map { NftElement($0.bytes) }
        added[ProxySet.hairpin.name] = content.addedLocalEndpoints.map(hairpin)
        return added
    }

    private static func hairpin(_ address: IPAddress) -> NftElement { NftElement(address.bytes + address.bytes) }

    private mutating func addShapes(of change: ProxyChange, to batch: inout NftBatch) {
        addSourceLists(of: change, to: &batch)
        let plans = change.frontends.values.compactMap(\.new)
        let needed =
            plans.compactMap { BalanceShape($0) } + plans.compactMap { $0.inside.map { .init(inside: $0.endpoints) } }
        for shape in Set(needed).sorted() {
            guard shapes.insert(shape).inserted else { continue }
            batch.addChain(shape.chain)
            if shape.isInside {
                if countsOfEndpoints.insert(shape.count).inserted { batch.addSet(ProxySet.endpoints(shape.count)) }
                batch.addRule(
                    shape.chain,
                    Self.frontendKey(at: 8, 9, 10) + [
                        .lookupValue(map: ProxySet.inside.name, key: 8, to: 0),
                        .random(modulus: UInt32(shape.count), to: 3),
                        .lookupValue(map: ProxySet.endpoints(shape.count).name, key: 0, to: 4),
                        .destinationNAT(address: 4, port: 5),
                    ])
            } else if let seconds = shape.stickySeconds {
                if countsOfChoices.insert(shape.count).inserted { batch.addSet(ProxySet.choices(shape.count)) }
                Self.addStickyRules(shape, seconds, to: &batch)
            } else {
                if countsOfEndpoints.insert(shape.count).inserted { batch.addSet(ProxySet.endpoints(shape.count)) }
                batch.addRule(
                    shape.chain,
                    Self.frontendKey(at: 0, 1, 2) + [
                        .random(modulus: UInt32(shape.count), to: 3),
                        .lookupValue(map: ProxySet.endpoints(shape.count).name, key: 0, to: 4),
                        .destinationNAT(address: 4, port: 5),
                    ])
            }
        }
    }

    private mutating func addSourceLists(of change: ProxyChange, to batch: inout NftBatch) {
        let lists = Set(change.frontends.values.compactMap { $0.new?.sources.map(SourceList.init) })
        for list in lists.sorted(by: { $0.chain < $1.chain }) where !sourceLists.contains(list) {
            if sourceLists.isEmpty {
                // Before the translation, while the packet still shows what its sender asked for.
                batch.addChain("guard", NftHook(.filter, .prerouting, priority: -110))
                batch.addRule(
                    "guard", Self.frontendKey(at: 0, 1, 2) + [.lookupVerdict(map: ProxySet.guarded.name, key: 0)])
            }
            sourceLists.insert(list)
            batch.addChain(list.chain)
            for range in list.ranges { batch.addRule(list.chain, Self.isFrom(range) + [.verdict(.return)]) }
            batch.addRule(list.chain, [.verdict(.drop)])
        }
    }

    private static func isFrom(_ network: CIDR) -> [NftExpression] {
        let mask = CIDR(IPAddress(v4: ~0), prefix: network.prefix).base.bytes
        return [
            .sourceAddress(to: 0), .mask(from: 0, to: 0, mask: mask, xor: [0, 0, 0, 0]),
            .compare(0, .equal, network.base.bytes),
        ]
    }

    private static func frontendKey(
        at address: NftRegister, _ transport: NftRegister, _ port: NftRegister
    ) -> [NftExpression] {
        [.destinationAddress(to: address), .meta(.protocolNumber, to: transport), .destinationPort(to: port)]
    }

    // MARK: Affinity

    private static func addStickyRules(_ shape: BalanceShape, _ seconds: UInt32, to batch: inout NftBatch) {
        let client = [.sourceAddress(to: 8)] + frontendKey(at: 9, 10, 11)
        let affinity = ProxySet.affinity.name
        let remember = NftExpression.update(
            .update, set: affinity, key: 8, data: 12, timeoutMilliseconds: UInt64(seconds) * 1000)
        let deliver: [NftExpression] =
            frontendKey(at: 0, 1, 2) + [
                .meta(.mark, to: 3), .immediate([0, 0, 0, 0], to: 4), .setMark(from: 4),
                .lookupValue(map: ProxySet.chosen.name, key: 0, to: 4), .destinationNAT(address: 4, port: 5),
            ]
        // Refreshed only where that endpoint is still there; a client of one that is gone falls to the second rule.
        let known = [.meta(.mark, to: 12)] + client + [remember]
        batch.addRule(
            shape.chain,
            client + [.lookupValue(map: affinity, key: 8, to: 12), .setMark(from: 12)]
                + frontendKey(at: 0, 1, 2) + [
                    .meta(.mark, to: 3), .lookup(set: ProxySet.chosen.name, key: 0, inverted: false),
                ]
                + known + deliver)
        batch.addRule(
            shape.chain,
            frontendKey(at: 0, 1, 2) + [
                .random(modulus: UInt32(shape.count), to: 3),
                .lookupValue(map: ProxySet.choices(shape.count).name, key: 0, to: 4), .setMark(from: 4),
            ] + client + [
                .meta(.mark, to: 12),
                // An update leaves the value of an element that is there as it is.
                .update(.delete, set: affinity, key: 8, data: 12, timeoutMilliseconds: nil), remember,
            ] + deliver)
    }

    // MARK: The frame

    private func addFixedChains(to batch: inout NftBatch) {
        let frontendKey = Self.frontendKey
        let (servicesChain, rejectChain) = (Self.servicesChain, Self.rejectChain)
        let balance = frontendKey(0, 1, 2) + [.lookupVerdict(map: ProxySet.services.name, key: 0)]
        batch.addChain(servicesChain)
        batch.addRule(servicesChain, balance)
        for (name, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
            batch.addChain(name, NftHook(.nat, point, priority: -100))
            let isInside = point == .output ? [] : podNetwork.map(Self.isFrom)
            if let isInside {
                batch.addRule(
                    name,
                    isInside + frontendKey(0, 1, 2) + [.lookupVerdict(map: ProxySet.insideServices.name, key: 0)])
            }
            batch.addRule(name, [.verdict(.goto(servicesChain))])
        }

        batch.addChain(rejectChain)
        batch.addRule(rejectChain, [.meta(.protocolNumber, to: 0), .compare(0, .equal, [6]), .reject(.tcpReset)])
        batch.addRule(rejectChain, [.reject(.icmpPortUnreachable)])
        // Translated packets have another destination by now, so what still matches found no endpoint.
        for (name, point) in [
            ("filter-input", NftHook.Point.input), ("filter-forward", .forward), ("filter-output", .output),
        ] {
            batch.addChain(name, NftHook(.filter, point, priority: 0))
            batch.addRule(name, frontendKey(0, 1, 2) + [.lookupVerdict(map: ProxySet.unserved.name, key: 0)])
            batch.addRule(
                name,
                // Nor is it an answer to a node that speaks from a balancer's address of its own.
                [
                    .connection(.status, nil, to: 0), .mask(from: 0, to: 0, mask: [32, 0, 0, 0], xor: [0, 0, 0, 0]),
                    .compare(0, .equal, [0, 0, 0, 0]),
                    .destinationAddress(to: 0), .lookup(set: ProxySet.clusterAddresses.name, key: 0, inverted: false),
                    .verdict(.goto(rejectChain)),
                ])
        }

        batch.addChain("postrouting", NftHook(.nat, .postrouting, priority: 100))
        // IPS_DST_NAT is bit 5 of the connection's status.
        let translated: [NftExpression] = [
            .connection(.status, nil, to: 0), .mask(from: 0, to: 0, mask: [32, 0, 0, 0], xor: [0, 0, 0, 0]),
            .compare(0, .notEqual, [0, 0, 0, 0]),
        ]
        batch.addRule(
            "postrouting",
            translated + [
                .sourceAddress(to: 0), .destinationAddress(to: 1),
                .lookup(set: ProxySet.hairpin.name, key: 0, inverted: false), .masquerade,
            ])
        // A node that answers for a balancer's address speaks to it from that very address.
        batch.addRule(
            "postrouting",
            translated + [
                .sourceAddress(to: 0), .lookup(set: ProxySet.clusterAddresses.name, key: 0, inverted: false),
                .masquerade,
            ])
        batch.addRule(
            "postrouting",
            translated + [
                .connection(.destinationAddress, .original, to: 0), .meta(.protocolNumber, to: 1),
                .connection(.destinationPort, .original, to: 2),
                .lookup(set: ProxySet.masquerade.name, key: 0, inverted: false), .masquerade,
            ])
    }
}
