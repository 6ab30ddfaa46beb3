import Basics
import Linux

/// Where a node's kernel sends packets to an address, read from its routes.
public enum Way: Sendable, Equatable {
    /// The pod is on this node, behind this link.
    case pod(link: String)
    /// Through the tunnel to the node at `node`, which is `gateway` inside of it.
    case tunnel(network: CIDR, gateway: IPAddress, node: IPAddress)
    /// A route says that nobody is there.
    case unreachable(CIDR)
    /// Anywhere else: by the route to this network.
    case out(network: CIDR, gateway: IPAddress?, link: String)
    case noRoute

    public static func read(to address: IPAddress, in namespace: NetworkNamespace) throws -> Way {
        let routes = try RouteSocket(in: namespace)
        let candidates = try routes.routes().filter { $0.destination.contains(address) }
        guard let route = candidates.max(by: { $0.destination.prefix < $1.destination.prefix }) else { return .noRoute }
        if route.isUnreachable { return .unreachable(route.destination) }
        guard let link = try routes.links().first(where: { $0.index == route.linkIndex }) else { return .noRoute }
        if link.name == OverlayPlan.linkName, let gateway = route.gateway {
            let mac = try routes.neighbours().first { $0.linkIndex == link.index && $0.address == gateway }?.mac
            let entry = try routes.forwardingEntries(linkIndex: link.index).first { $0.mac == mac }
            guard let entry else { return .unreachable(route.destination) }
            return .tunnel(network: route.destination, gateway: gateway, node: entry.destination)
        }
        if route.destination.prefix == 32, link.name.hasPrefix(PodLink.namePrefix) { return .pod(link: link.name) }
        return .out(network: route.destination, gateway: route.gateway, link: link.name)
    }

    /// The node's end of a pod's link.
    public static func linkName(ofPodAt address: IPAddress) -> String { PodLink.name(for: address) }
}
