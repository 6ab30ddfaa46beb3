import Basics
import Linux

/// The overlay's nftables: who appears under another address when leaving this node.
///
/// - The node's own traffic to pods elsewhere: it leaves through the tunnel, so it must come from the node's
///   address inside of it, or the answers would take another way.
/// - Pods' traffic to anywhere that is neither a pod nor a node: nobody out there knows pod addresses.
public struct OverlayRules: Sendable, Equatable {
    public static let table = "lab-overlay"
    private static let nodes = "nodes"
    private static let chain = "postrouting"

    public var own: OverlayNode
    public var nodeAddresses: Set<IPAddress>

    public init(_ plan: OverlayPlan) {
        own = plan.own
        nodeAddresses = Set(plan.peers.map(\.address) + [plan.own.address])
    }

    /// The whole table, made anew.
    public func batch() -> NftBatch {
        var batch = NftBatch(table: Self.table)
        batch.resetTable()
        batch.addSet(NftSet(Self.nodes, key: [.address]))
        batch.addElements(Self.nodes, nodeAddresses.sorted().map { NftElement($0.bytes) })
        batch.addChain(Self.chain, NftHook(.nat, .postrouting, priority: 100))
        let name = Array(OverlayPlan.linkName.utf8)
        batch.addRule(
            Self.chain,
            [
                .meta(.outputName, to: 0),
                .compare(0, .equal, name + [UInt8](repeating: 0, count: 16 - name.count)),
                .sourceAddress(to: 0), .compare(0, .equal, own.address.bytes), .masquerade,
            ])
        let prefix = own.podNetwork.prefix
        let mask = CIDR(IPAddress(v4: ~0), prefix: prefix).base.bytes
        batch.addRule(
            Self.chain,
            [
                .sourceAddress(to: 0), .mask(from: 0, to: 0, mask: mask, xor: [0, 0, 0, 0]),
                .compare(0, .equal, own.podNetwork.base.bytes),
                // The tunnel and every pod's link begin with this.
                .meta(.outputName, to: 0), .compare(0, .notEqual, Array(PodLink.namePrefix.utf8)),
                .destinationAddress(to: 0), .lookup(set: Self.nodes, key: 0, inverted: true), .masquerade,
            ])
        return batch
    }
}
