import Basics
import Linux

/// Answers for load balancers' addresses on the node's own link.
///
/// The addresses lie on a link of their own that leads nowhere: the kernel answers for any address that it has, on
/// whatever link it is asked. So the link shows exactly what this node answers for, also to the agent after this one.
struct ServiceAnnouncer {
    static let link = "lab-services"

    let nodeAddress: IPAddress
    let namespace: NetworkNamespace?

    func apply(_ wanted: Set<IPAddress>) throws {
        let routes = try RouteSocket(in: namespace)
        if wanted.isEmpty, try routes.link(named: Self.link) == nil { return }
        if try routes.link(named: Self.link) == nil { try routes.create(NewLink(Self.link, .bridge, up: true)) }
        guard let link = try routes.link(named: Self.link) else { return }
        let all = try routes.addresses()
        let present = Set(all.filter { $0.linkIndex == link.index && !$0.address.isIPv6 }.map(\.address))
        for address in present.subtracting(wanted).sorted() {
            try routes.delete(LinkAddress(linkIndex: link.index, address: address, prefix: 32, scopeHost: true))
        }
        let added = wanted.subtracting(present).sorted()
        for address in added {
            try routes.replace(LinkAddress(linkIndex: link.index, address: address, prefix: 32, scopeHost: true))
        }
        guard !added.isEmpty, let uplink = all.first(where: { $0.address == nodeAddress })?.linkIndex,
            let mac = try routes.links().first(where: { $0.index == uplink })?.mac
        else { return }
        for address in added {
            try RouteSocket.announce(address, linkIndex: uplink, mac: mac, in: namespace)
        }
    }
}
