import Basics
import Document
import Linux

/// A node as the overlay sees it: where it is, and which pods are on it.
public struct OverlayNode: Sendable, Hashable {
    public var name: String
    public var address: IPAddress
    public var podNetwork: CIDR

    public init(name: String, address: IPAddress, podNetwork: CIDR) {
        self.name = name
        self.address = address
        self.podNetwork = podNetwork
    }

    /// Nil while the node lacks an IPv4 address or pod network, or has a network too small for a pod.
    public init?(_ node: Document) {
        guard let name = node.text("metadata", "name"),
            let podNetwork = node.text("spec", "podCIDR").flatMap({ CIDR($0) }), !podNetwork.base.isIPv6,
            podNetwork.prefix <= 30,
            let address = node.list("status", "addresses").lazy
                .filter({ $0.text("type") == "InternalIP" })
                .compactMap({ $0.text("address").flatMap { IPAddress($0) } }).first(where: { !$0.isIPv6 })
        else { return nil }
        self.init(name: name, address: address, podNetwork: podNetwork)
    }

    /// The node's own address among its pods: the network's first.
    public var gateway: IPAddress { podNetwork.address(at: 1) ?? podNetwork.base }

    /// Made of the node's address, so that every node knows every other's without being told.
    public var mac: MACAddress { MACAddress(prefix: (0x0E, 0x4C), v4: address) }
}

/// What the overlay wants the kernel to hold on one node.
///
/// Every node has one VXLAN link with the gateway address on it. The pods of another node are behind a route
/// through that node's gateway; a neighbour entry gives the gateway's link address, a forwarding entry tells
/// which machine that link address is behind. Nothing is learned and nobody is asked.
public struct OverlayPlan: Sendable, Equatable {
    public static let linkName = "lab-vxlan"
    /// What VXLAN adds to a packet: Ethernet 14, VXLAN 8, UDP 8, IPv4 20.
    public static let overhead = 50

    public var own: OverlayNode
    public var peers: [OverlayNode]
    public var mtu: Int

    /// Of nodes that claim the same network or address only the first by name counts.
    public init(own: OverlayNode, all: [OverlayNode], uplinkMTU: Int) {
        self.own = own
        mtu = uplinkMTU - Self.overhead
        var taken = [own]
        for node in all.sorted(by: { $0.name < $1.name }) where node.name != own.name {
            let clashes = taken.contains {
                $0.address == node.address || $0.podNetwork.contains(node.podNetwork)
                    || node.podNetwork.contains($0.podNetwork)
            }
            if !clashes { taken.append(node) }
        }
        peers = Array(taken.dropFirst())
    }

    public var vxlan: VXLAN { VXLAN(id: 1, local: own.address, port: 8472, learning: false) }

    public enum LinkStep: Sendable, Equatable {
        case delete
        case create
        case change(up: Bool?, mtu: Int?, mac: MACAddress?)
    }

    /// The steps that make the link right. A VXLAN's own settings cannot be changed, so it is made anew for them.
    public func linkSteps(actual: Link?) -> [LinkStep] {
        guard let actual else { return [.create] }
        guard actual.vxlan == vxlan else { return [.delete, .create] }
        let isRight = actual.isUp && actual.mtu == mtu && actual.mac == own.mac
        if isRight { return [] }
        return [
            .change(
                up: actual.isUp ? nil : true, mtu: actual.mtu == mtu ? nil : mtu,
                mac: actual.mac == own.mac ? nil : own.mac)
        ]
    }

    /// Everything that hangs on the link (and, for pods that do not exist, on no link).
    public func entries(linkIndex: Int32) -> OverlayEntries {
        var entries = OverlayEntries()
        entries.addresses = [LinkAddress(linkIndex: linkIndex, address: own.gateway, prefix: 32)]
        // Without it, packets to a pod that is gone would leave by the default route.
        entries.routes = [.unreachable(own.podNetwork)]
        for peer in peers {
            entries.routes.insert(Route(peer.podNetwork, via: peer.gateway, linkIndex: linkIndex, onlink: true))
            entries.neighbours.insert(Neighbour(linkIndex: linkIndex, address: peer.gateway, mac: peer.mac))
            entries.forwarding.insert(
                ForwardingEntry(linkIndex: linkIndex, mac: peer.mac, destination: peer.address))
        }
        return entries
    }
}

/// Addresses, routes, neighbours and forwarding entries, wanted or found.
public struct OverlayEntries: Sendable, Equatable {
    public var addresses: Set<LinkAddress> = []
    public var routes: Set<Route> = []
    public var neighbours: Set<Neighbour> = []
    public var forwarding: Set<ForwardingEntry> = []

    public init() {}

    public var isEmpty: Bool {
        addresses.isEmpty && routes.isEmpty && neighbours.isEmpty && forwarding.isEmpty
    }

    /// What to delete from `actual` and what to add to it. Deleting comes first: two entries may share a key.
    public func difference(from actual: OverlayEntries) -> (delete: OverlayEntries, add: OverlayEntries) {
        (actual.subtracting(self), subtracting(actual))
    }

    private func subtracting(_ other: OverlayEntries) -> OverlayEntries {
        var rest = OverlayEntries()
        rest.addresses = addresses.subtracting(other.addresses)
        rest.routes = routes.subtracting(other.routes)
        rest.neighbours = neighbours.subtracting(other.neighbours)
        rest.forwarding = forwarding.subtracting(other.forwarding)
        return rest
    }
}
