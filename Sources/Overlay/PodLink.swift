import Basics
import Linux

/// What a pod got.
public struct PodNetwork: Sendable, Equatable {
    public var address: IPAddress
    public var gateway: IPAddress
    public var mtu: Int

    public init(address: IPAddress, gateway: IPAddress, mtu: Int) {
        self.address = address
        self.gateway = gateway
        self.mtu = mtu
    }
}

/// A pod's link to its node: a pair of virtual Ethernet ends, routed and not bridged.
///
/// The pod has its address as /32 and reaches everything through the gateway; the node has a route to each pod.
/// Both ends' link addresses follow from the pod's address and are entered as neighbours, so nobody asks.
/// Without a bridge every packet between pods passes the node's routing, where services and policies act.
struct PodLink {
    /// Every link of ours begins with this, and no other link of the node does.
    static let namePrefix = "lab"
    static let podLinkName = "eth0"

    let network: PodNetwork
    /// How the link is called in the pod.
    var interface = PodLink.podLinkName

    var name: String { Self.name(for: network.address) }
    var podMAC: MACAddress { MACAddress(prefix: (0x0A, 0x58), v4: network.address) }
    var nodeMAC: MACAddress { MACAddress(prefix: (0x0A, 0x59), v4: network.address) }
    private var podAsNetwork: CIDR { CIDR(network.address, prefix: 32) }

    static func name(for address: IPAddress) -> String { namePrefix + Hex.encode(address.bytes) }

    /// Makes the link, or completes one that was left unfinished.
    /// `nodeNamespace` is where `node` works; nil for the one that this process is in.
    func establish(
        node: RouteSocket, nodeNamespace: NetworkNamespace?, namespace: NetworkNamespace
    ) throws {
        let pod = try RouteSocket(in: namespace)
        if let loopback = try pod.link(named: "lo"), !loopback.isUp {
            try pod.change(linkIndex: loopback.index, LinkChange(up: true))
        }
        // A link whose other end is in an older namespace of the pod goes with it.
        if let old = try node.link(named: name), try !isOther(end: pod) {
            try node.delete(linkIndex: old.index)
        }
        if try node.link(named: name) == nil {
            try node.create(
                NewLink(
                    name,
                    .veth(peerName: interface, peerMAC: podMAC, peerNamespace: namespace),
                    mtu: network.mtu, mac: nodeMAC, up: true))
        }
        try configurePod(pod)
        try configureNode(node)
        // A packet whose answer would take another way did not come from this pod: its sender's address is not true.
        try NetworkSetting.write("ipv4/conf/\(name)/rp_filter", "1", in: nodeNamespace)
    }

    /// Whether the pod's namespace has the other end of this very link.
    private func isOther(end pod: RouteSocket) throws -> Bool {
        try pod.link(named: interface)?.mac == podMAC
    }

    private func configurePod(_ pod: RouteSocket) throws {
        guard let link = try pod.link(named: interface) else {
            throw SystemErrors.missingLink(interface)
        }
        try pod.replace(LinkAddress(linkIndex: link.index, address: network.address, prefix: 32))
        try pod.change(linkIndex: link.index, LinkChange(up: true, mtu: network.mtu))
        try pod.replace(Neighbour(linkIndex: link.index, address: network.gateway, mac: nodeMAC))
        try pod.replace(Route(CIDR(network.gateway, prefix: 32), linkIndex: link.index, scopeLink: true))
        try pod.replace(Route(CIDR(.any, prefix: 0), via: network.gateway, linkIndex: link.index))
    }

    /// What is not as `establish` makes it; nil where all is.
    func problem(node: RouteSocket, namespace: NetworkNamespace) throws -> String? {
        let pod = try RouteSocket(in: namespace)
        guard let inside = try pod.link(named: interface) else { return "the container has no link \(interface)" }
        if inside.mac != podMAC { return "the container's link \(interface) is another one" }
        if !inside.isUp { return "the container's link \(interface) is down" }
        guard try pod.addresses().contains(where: { $0.linkIndex == inside.index && $0.address == network.address })
        else { return "the container's link has lost the address \(network.address)" }
        guard try pod.routes().contains(where: { $0.destination.prefix == 0 && $0.gateway == network.gateway })
        else { return "the container has lost its way out" }
        guard let outside = try node.link(named: name), outside.isUp else { return "the node's link \(name) is gone" }
        guard try node.routes().contains(where: { $0.destination == podAsNetwork && $0.linkIndex == outside.index })
        else { return "the node has lost its way to \(network.address)" }
        return nil
    }

    private func configureNode(_ node: RouteSocket) throws {
        guard let link = try node.link(named: name) else { throw SystemErrors.missingLink(name) }
        try node.change(linkIndex: link.index, LinkChange(up: true, mtu: network.mtu))
        try node.replace(Neighbour(linkIndex: link.index, address: network.address, mac: podMAC))
        try node.replace(Route(podAsNetwork, linkIndex: link.index, scopeLink: true))
    }

    /// Takes the link away if it is there. The pod's end goes with it.
    static func remove(for address: IPAddress, node: RouteSocket) throws {
        guard let link = try node.link(named: name(for: address)) else { return }
        do {
            try node.delete(linkIndex: link.index)
        } catch let error as NetlinkError where error.isMissing {
            return  // it went together with the pod's namespace
        }
    }
}
