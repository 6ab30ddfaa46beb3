import Basics
import Linux

/// The policies' nftables, IPv4.
///
///     table ip lab-policy {
///         forward (filter):  ct state established,related accept
///                            saddr . daddr @self accept
///                            saddr vmap @egress    → jump out-N
///                            daddr vmap @ingress   → jump in-N
///         in-N, out-N:       what profile N allows → return; drop
///     }
///
/// Only what is forwarded passes here: a node always reaches its own pods, as its kubelet must. Translation to
/// endpoints has happened before, so rules see pods and never services. A pod always reaches itself.
///
/// A profile's chain asks, in this order, and returns at the first yes:
///
///     address @N-peers                        pods with which everything is allowed
///     address . l4proto . dport @N-peer-ports
///     l4proto . dport @N-ports                ports that are open to everybody
///     l4proto, dport in FIRST-LAST            a rule for each range of ports that is open to everybody
///     l4proto, dport, address @N-blocks-PORTS a rule for each distinct range of ports that address blocks may use
///
/// where the address is the sender's on the way in and the receiver's on the way out.
enum PolicyRules {
    static let table = "lab-policy"
    private static let forward = "forward"
    private static let own = NftSet("self", key: [.address, .address])

    static func map(_ direction: PolicyDirection) -> NftSet {
        NftSet(direction == .ingress ? "ingress" : "egress", key: [.address], value: .verdict)
    }

    // MARK: Batches

    /// The whole table, made anew.
    static func initial(_ content: PolicyChange) -> NftBatch {
        var batch = NftBatch(table: table)
        batch.resetTable()
        batch.addSet(own)
        for direction in PolicyDirection.allCases { batch.addSet(map(direction)) }
        batch.addChain(forward, NftHook(.filter, .forward, priority: 10))
        // Bits of a connection's state: 2 established, 4 related.
        batch.addRule(
            forward,
            [
                .connection(.state, nil, to: 0), .mask(from: 0, to: 0, mask: [6, 0, 0, 0], xor: [0, 0, 0, 0]),
                .compare(0, .notEqual, [0, 0, 0, 0]), .verdict(.accept),
            ])
        batch.addRule(
            forward,
            [
                .sourceAddress(to: 0), .destinationAddress(to: 1), .lookup(set: own.name, key: 0, inverted: false),
                .verdict(.accept),
            ])
        batch.addRule(
            forward, [.sourceAddress(to: 0), .lookupVerdict(map: map(.egress).name, key: 0)])
        batch.addRule(
            forward, [.destinationAddress(to: 0), .lookupVerdict(map: map(.ingress).name, key: 0)])
        append(content, to: &batch)
        return batch
    }

    static func update(_ change: PolicyChange) -> NftBatch {
        var batch = NftBatch(table: table)
        append(change, to: &batch)
        return batch
    }

    private static func append(_ change: PolicyChange, to batch: inout NftBatch) {
        for (id, content) in change.added.sorted(by: { $0.key < $1.key }) {
            let structure = Structure(content)
            batch.addChain("\(id)")
            for set in structure.sets(id) { batch.addSet(set) }
            addRules(id, structure, to: &batch)
            for (set, elements) in exact(id, content) { batch.addElements(set, elements) }
            for (ports, ranges) in content.blocks { addRanges(ranges, to: blockSet(id, ports).name, &batch) }
        }
        for (id, contents) in change.changed.sorted(by: { $0.key < $1.key }) { alter(id, contents, &batch) }
        // No address may lead to a chain that is gone, and none may be twice in its map.
        for direction in PolicyDirection.allCases {
            let gone = change.undirected.filter { $0.direction == direction && !$0.address.isIPv6 }
            let new = change.directed.filter { $0.direction == direction && !$0.address.isIPv6 }
            if !gone.isEmpty { batch.deleteElements(map(direction).name, gone.map { NftElement($0.address.bytes) }) }
            if !new.isEmpty {
                batch.addElements(
                    map(direction).name,
                    new.map {
                        let id = ProfileID(direction: direction, number: $0.profile)
                        return NftElement($0.address.bytes, .verdict(.jump("\(id)")))
                    })
            }
            // It stays: whoever has the address later may speak with itself too, and there are no more addresses
            // than the node's pod network has.
            let pairs = new.map { NftElement($0.address.bytes + $0.address.bytes) }
            if !pairs.isEmpty { batch.addElements(own.name, pairs) }
        }
        for (id, content) in change.removed.sorted(by: { $0.key < $1.key }) {
            batch.flushChain("\(id)")
            batch.deleteChain("\(id)")
            for set in Structure(content).sets(id) { batch.deleteSet(set.name) }
        }
    }

    private static func alter(_ id: ProfileID, _ contents: PolicyChange.Contents, _ batch: inout NftBatch) {
        let old = Structure(contents.old)
        let new = Structure(contents.new)
        let oldSets = old.sets(id)
        let newSets = new.sets(id)
        if old != new {
            batch.flushChain("\(id)")
            for set in oldSets where !newSets.contains(set) { batch.deleteSet(set.name) }
            for set in newSets where !oldSets.contains(set) { batch.addSet(set) }
            addRules(id, new, to: &batch)
        }
        let before = exact(id, contents.old)
        let after = exact(id, contents.new)
        for set in newSets where !set.ranges {
            let had = before[set.name] ?? []
            let has = after[set.name] ?? []
            if oldSets.contains(set), !had.subtracting(has).isEmpty {
                batch.deleteElements(set.name, had.subtracting(has))
            }
            if !has.subtracting(had).isEmpty { batch.addElements(set.name, has.subtracting(had)) }
        }
        for (ports, ranges) in contents.new.blocks.sorted(by: { $0.key < $1.key })
        where contents.old.blocks[ports] != ranges {
            let set = blockSet(id, ports)
            if oldSets.contains(set) { batch.flushSet(set.name) }
            addRanges(ranges, to: set.name, &batch)
        }
    }

    // MARK: A profile

    /// What decides which rules a chain has and which sets it asks.
    private struct Structure: Equatable {
        var allowsEverything: Bool
        var hasPeers: Bool
        var hasPeerPorts: Bool
        var hasPorts: Bool
        var ranges: [PortRange]
        var blocks: [PortRange]

        init(_ content: PolicyContent) {
            allowsEverything = content.allowsEverything
            hasPeers = !content.peers.isEmpty
            hasPeerPorts = !content.peerPorts.isEmpty
            hasPorts = content.ports.contains { $0.isSingle }
            ranges = content.ports.filter { !$0.isSingle }.sorted()
            blocks = content.blocks.keys.sorted()
        }

        func sets(_ id: ProfileID) -> [NftSet] {
            (hasPeers ? [peerSet(id)] : []) + (hasPeerPorts ? [peerPortSet(id)] : []) + (hasPorts ? [portSet(id)] : [])
                + blocks.map { blockSet(id, $0) }
        }
    }

    private static func peerSet(_ id: ProfileID) -> NftSet { NftSet("\(id)-peers", key: [.address]) }
    private static func peerPortSet(_ id: ProfileID) -> NftSet {
        NftSet("\(id)-peer-ports", key: [.address, .protocolNumber, .port])
    }
    private static func portSet(_ id: ProfileID) -> NftSet { NftSet("\(id)-ports", key: [.protocolNumber, .port]) }
    private static func blockSet(_ id: ProfileID, _ ports: PortRange) -> NftSet {
        NftSet("\(id)-\(ports.transport)-\(ports.first)-\(ports.last)", key: [.address], ranges: true)
    }

    private static func addRules(_ id: ProfileID, _ structure: Structure, to batch: inout NftBatch) {
        let chain = "\(id)"
        func address(to register: NftRegister) -> NftExpression {
            id.direction == .ingress ? .sourceAddress(to: register) : .destinationAddress(to: register)
        }
        func permit(_ match: [NftExpression]) { batch.addRule(chain, match + [.verdict(.return)]) }
        if structure.allowsEverything { return permit([]) }
        if structure.hasPeers { permit([address(to: 0), .lookup(set: peerSet(id).name, key: 0, inverted: false)]) }
        if structure.hasPeerPorts {
            permit([
                address(to: 0), .meta(.protocolNumber, to: 1), .destinationPort(to: 2),
                .lookup(set: peerPortSet(id).name, key: 0, inverted: false),
            ])
        }
        if structure.hasPorts {
            permit([
                .meta(.protocolNumber, to: 0), .destinationPort(to: 1),
                .lookup(set: portSet(id).name, key: 0, inverted: false),
            ])
        }
        for range in structure.ranges { permit(matching(range)) }
        for range in structure.blocks {
            permit(
                matching(range) + [
                    address(to: 0), .lookup(set: blockSet(id, range).name, key: 0, inverted: false),
                ])
        }
        batch.addRule(chain, [.verdict(.drop)])
    }

    /// Matches packets to the ports, or with protocol 0 every packet.
    private static func matching(_ range: PortRange) -> [NftExpression] {
        if range.transport == 0 { return [] }
        func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 255)] }
        let transport: [NftExpression] = [.meta(.protocolNumber, to: 0), .compare(0, .equal, [range.transport])]
        if range.first == 0, range.last == .max { return transport }
        return transport + [
            .destinationPort(to: 0), .compare(0, .atLeast, bytes(range.first)), .compare(0, .atMost, bytes(range.last)),
        ]
    }

    private static func exact(_ id: ProfileID, _ content: PolicyContent) -> [String: Set<NftElement>] {
        func port(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255), 0, 0] }
        var result: [String: Set<NftElement>] = [:]
        let peers = content.peers.filter { !$0.isIPv6 }
        if !peers.isEmpty { result[peerSet(id).name] = Set(peers.map { NftElement($0.bytes) }) }
        let pairs = content.peerPorts.filter { !$0.address.isIPv6 }
        if !pairs.isEmpty {
            result[peerPortSet(id).name] = Set(
                pairs.map { NftElement($0.address.bytes + [$0.transport, 0, 0, 0] + port($0.port)) })
        }
        let ports = content.ports.filter(\.isSingle)
        if !ports.isEmpty {
            result[portSet(id).name] = Set(ports.map { NftElement([$0.transport, 0, 0, 0] + port($0.first)) })
        }
        return result
    }

    private static func addRanges(_ ranges: [AddressRange], to set: String, _ batch: inout NftBatch) {
        var elements: [NftElement] = []
        for range in ranges where !range.first.isIPv6 {
            elements.append(NftElement(range.first.bytes))
            // A range up to the last address there is has no end.
            if let end = range.last.advanced(by: 1) { elements.append(NftElement(end.bytes, endsRange: true)) }
        }
        if !elements.isEmpty { batch.addElements(set, elements) }
    }
}
