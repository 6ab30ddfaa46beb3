import Basics
import Glibc

/// An address on a link.
public struct LinkAddress: Sendable, Hashable {
    public var linkIndex: Int32
    public var address: IPAddress
    public var prefix: Int
    /// Valid on this machine alone: never chosen as the sender's address of what leaves it.
    public var scopeHost: Bool

    public init(linkIndex: Int32, address: IPAddress, prefix: Int, scopeHost: Bool = false) {
        self.linkIndex = linkIndex
        self.address = address
        self.prefix = prefix
        self.scopeHost = scopeHost
    }
}

/// A route of the main table.
public struct Route: Sendable, Hashable {
    public var destination: CIDR
    public var gateway: IPAddress?
    public var linkIndex: Int32
    /// The destination is on the link itself, there is no router.
    public var scopeLink: Bool
    /// Take the gateway as reachable through the link although no address says so.
    public var onlink: Bool
    /// The address to send from.
    public var source: IPAddress?
    /// Nothing is there: senders are told at once. Such a route has no link (index 0).
    public var isUnreachable = false

    public static func unreachable(_ destination: CIDR) -> Route {
        var route = Route(destination, linkIndex: 0)
        route.isUnreachable = true
        return route
    }

    public init(
        _ destination: CIDR, via gateway: IPAddress? = nil, linkIndex: Int32, scopeLink: Bool = false,
        onlink: Bool = false, source: IPAddress? = nil
    ) {
        self.destination = destination
        self.gateway = gateway
        self.linkIndex = linkIndex
        self.scopeLink = scopeLink
        self.onlink = onlink
        self.source = source
    }
}

/// Which link address an IP address has, entered by hand and never asked for.
public struct Neighbour: Sendable, Hashable {
    public var linkIndex: Int32
    public var address: IPAddress
    public var mac: MACAddress

    public init(linkIndex: Int32, address: IPAddress, mac: MACAddress) {
        self.linkIndex = linkIndex
        self.address = address
        self.mac = mac
    }
}

/// Which VXLAN end a link address is behind.
public struct ForwardingEntry: Sendable, Hashable {
    public var linkIndex: Int32
    public var mac: MACAddress
    public var destination: IPAddress

    public init(linkIndex: Int32, mac: MACAddress, destination: IPAddress) {
        self.linkIndex = linkIndex
        self.mac = mac
        self.destination = destination
    }
}

/// Numbers of linux/rtnetlink.h, if_addr.h and neighbour.h.
enum RouteNumber {
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let deleteRoute: UInt16 = 25
    static let getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28
    static let deleteNeighbour: UInt16 = 29
    static let getNeighbour: UInt16 = 30

    static let addressAddress: UInt16 = 1
    static let addressLocal: UInt16 = 2

    static let routeDestination: UInt16 = 1
    static let routeLink: UInt16 = 4
    static let routeGateway: UInt16 = 5
    static let routeSource: UInt16 = 7
    static let tableMain: UInt8 = 254
    static let protocolStatic: UInt8 = 4
    static let scopeUniverse: UInt8 = 0
    static let scopeLink: UInt8 = 253
    static let scopeHost: UInt8 = 254
    static let scopeNowhere: UInt8 = 255
    static let typeUnicast: UInt8 = 1
    static let typeUnreachable: UInt8 = 7
    static let flagOnlink: UInt32 = 4

    static let neighbourDestination: UInt16 = 1
    static let neighbourLinkAddress: UInt16 = 2
    static let stateNoARP: UInt16 = 0x40
    static let statePermanent: UInt16 = 0x80
    static let flagSelf: UInt8 = 2
}

private func family(_ address: IPAddress) -> UInt8 { UInt8(address.isIPv6 ? AF_INET6 : AF_INET) }

extension RouteSocket {
    // MARK: Addresses

    /// Adds an address; harmless where the link has it already.
    public func replace(_ address: LinkAddress) throws {
        try socket.request(
            type: RouteNumber.newAddress, flags: NetlinkSocket.Flag.create | NetlinkSocket.Flag.replace,
            "add address", "\(address.address)/\(address.prefix)"
        ) { $0.address(address) }
    }

    public func delete(_ address: LinkAddress) throws {
        try socket.request(
            type: RouteNumber.deleteAddress, "delete address", "\(address.address)/\(address.prefix)"
        ) { $0.address(address) }
    }

    public func addresses() throws -> [LinkAddress] {
        try socket.dump(type: RouteNumber.getAddress, "list addresses") { $0.raw([UInt8](repeating: 0, count: 8)) }
            .compactMap { message in
                guard message.type == RouteNumber.newAddress, let prefix = message.host(at: 1, UInt8.self),
                    let index = message.host(at: 4, Int32.self), let attributes = message.attributes(after: 8),
                    let payload = (attributes[RouteNumber.addressLocal] ?? attributes[RouteNumber.addressAddress])?
                        .payload,
                    let address = IPAddress(bytes: payload)
                else { return nil }
                return LinkAddress(
                    linkIndex: index, address: address, prefix: Int(prefix),
                    scopeHost: message.host(at: 3, UInt8.self) == RouteNumber.scopeHost)
            }
    }

    // MARK: Routes

    /// Adds a route or replaces the one to the same destination.
    public func replace(_ route: Route) throws {
        try socket.request(
            type: RouteNumber.newRoute, flags: NetlinkSocket.Flag.create | NetlinkSocket.Flag.replace,
            "set route", "\(route.destination)"
        ) { $0.route(route) }
    }

    public func delete(_ route: Route) throws {
        try socket.request(type: RouteNumber.deleteRoute, "delete route", "\(route.destination)") { $0.route(route) }
    }

    /// Unicast routes of the main table through one link each, and unreachable ones.
    public func routes() throws -> [Route] {
        try socket.dump(type: RouteNumber.getRoute, "list routes") { $0.raw([UInt8](repeating: 0, count: 12)) }
            .compactMap(Route.init(message:))
    }

    // MARK: Neighbours

    public func replace(_ neighbour: Neighbour) throws {
        try socket.request(
            type: RouteNumber.newNeighbour, flags: NetlinkSocket.Flag.create | NetlinkSocket.Flag.replace,
            "set neighbour", "\(neighbour.address)"
        ) { $0.neighbour(neighbour) }
    }

    public func delete(_ neighbour: Neighbour) throws {
        try socket.request(type: RouteNumber.deleteNeighbour, "delete neighbour", "\(neighbour.address)") {
            $0.neighbour(neighbour)
        }
    }

    /// The permanent entries only.
    public func neighbours() throws -> [Neighbour] {
        try socket.dump(type: RouteNumber.getNeighbour, "list neighbours") { $0.raw([UInt8](repeating: 0, count: 12)) }
            .compactMap { message in
                guard let entry = NeighbourMessage(message), entry.state & RouteNumber.statePermanent != 0 else {
                    return nil
                }
                return Neighbour(linkIndex: entry.linkIndex, address: entry.address, mac: entry.mac)
            }
    }

    // MARK: Forwarding entries of a VXLAN

    public func replace(_ entry: ForwardingEntry) throws {
        try socket.request(
            type: RouteNumber.newNeighbour, flags: NetlinkSocket.Flag.create | NetlinkSocket.Flag.replace,
            "set forwarding entry", "\(entry.mac)"
        ) { $0.forwarding(entry) }
    }

    public func delete(_ entry: ForwardingEntry) throws {
        try socket.request(type: RouteNumber.deleteNeighbour, "delete forwarding entry", "\(entry.mac)") {
            $0.forwarding(entry)
        }
    }

    public func forwardingEntries(linkIndex: Int32) throws -> [ForwardingEntry] {
        try socket.dump(type: RouteNumber.getNeighbour, "list forwarding entries") { message in
            // struct ndmsg: family (1), padding (3), link (4), state (2), flags (1), type (1)
            message.raw([UInt8(AF_BRIDGE), 0, 0, 0])
            message.host(linkIndex)
            message.raw([0, 0, 0, 0])
        }.compactMap { message in
            guard let entry = NeighbourMessage(message), entry.linkIndex == linkIndex else { return nil }
            return ForwardingEntry(linkIndex: linkIndex, mac: entry.mac, destination: entry.address)
        }
    }
}

/// What neighbours and forwarding entries have in common on the wire.
private struct NeighbourMessage {
    var linkIndex: Int32
    var state: UInt16
    var address: IPAddress
    var mac: MACAddress

    init?(_ message: NetlinkMessage) {
        guard message.type == RouteNumber.newNeighbour, let linkIndex = message.host(at: 4, Int32.self),
            let state = message.host(at: 8, UInt16.self), let attributes = message.attributes(after: 12),
            let address = attributes[RouteNumber.neighbourDestination].flatMap({ IPAddress(bytes: $0.payload) }),
            let mac = attributes[RouteNumber.neighbourLinkAddress].flatMap({ MACAddress(bytes: $0.payload) })
        else { return nil }
        self.linkIndex = linkIndex
        self.state = state
        self.address = address
        self.mac = mac
    }
}

extension Route {
    init?(message: NetlinkMessage) {
        // struct rtmsg: family, destination length, source length, tos, table, protocol, scope, type (1 each), flags (4)
        guard message.type == RouteNumber.newRoute, message.host(at: 4, UInt8.self) == RouteNumber.tableMain,
            let type = message.host(at: 7, UInt8.self), let length = message.host(at: 1, UInt8.self),
            let family = message.host(at: 0, UInt8.self), let attributes = message.attributes(after: 12)
        else { return nil }
        let any = family == UInt8(AF_INET6) ? IPAddress(v6High: 0, low: 0) : .any
        let base = attributes[RouteNumber.routeDestination].flatMap { IPAddress(bytes: $0.payload) } ?? any
        if type == RouteNumber.typeUnreachable {
            self = .unreachable(CIDR(base, prefix: Int(length)))
            return
        }
        guard type == RouteNumber.typeUnicast, let link = attributes[RouteNumber.routeLink]?.host(Int32.self) else {
            return nil
        }
        self.init(
            CIDR(base, prefix: Int(length)),
            via: attributes[RouteNumber.routeGateway].flatMap { IPAddress(bytes: $0.payload) }, linkIndex: link,
            scopeLink: message.host(at: 6, UInt8.self) == RouteNumber.scopeLink,
            onlink: (message.host(at: 8, UInt32.self) ?? 0) & RouteNumber.flagOnlink != 0,
            source: attributes[RouteNumber.routeSource].flatMap { IPAddress(bytes: $0.payload) })
    }
}

extension NetlinkWriter {
    mutating func address(_ value: LinkAddress) {
        // struct ifaddrmsg: family, prefix length, flags, scope (1 each), link (4)
        let scope = value.scopeHost ? RouteNumber.scopeHost : RouteNumber.scopeUniverse
        raw([family(value.address), UInt8(value.prefix), 0, scope])
        host(UInt32(bitPattern: value.linkIndex))
        attribute(RouteNumber.addressLocal, value.address.bytes)
        attribute(RouteNumber.addressAddress, value.address.bytes)
    }

    mutating func route(_ value: Route) {
        raw([
            family(value.destination.base), UInt8(value.destination.prefix), 0, 0, RouteNumber.tableMain,
            RouteNumber.protocolStatic, value.scopeLink ? RouteNumber.scopeLink : RouteNumber.scopeUniverse,
            value.isUnreachable ? RouteNumber.typeUnreachable : RouteNumber.typeUnicast,
        ])
        host(value.onlink ? RouteNumber.flagOnlink : 0)
        if value.destination.prefix > 0 { attribute(RouteNumber.routeDestination, value.destination.base.bytes) }
        if let gateway = value.gateway { attribute(RouteNumber.routeGateway, gateway.bytes) }
        if !value.isUnreachable { attribute(RouteNumber.routeLink, host: value.linkIndex) }
        if let source = value.source { attribute(RouteNumber.routeSource, source.bytes) }
    }

    mutating func neighbour(_ value: Neighbour) {
        raw([family(value.address), 0, 0, 0])
        host(value.linkIndex)
        host(RouteNumber.statePermanent)
        raw([0, 0])
        attribute(RouteNumber.neighbourDestination, value.address.bytes)
        attribute(RouteNumber.neighbourLinkAddress, value.mac.bytes)
    }

    mutating func forwarding(_ value: ForwardingEntry) {
        raw([UInt8(AF_BRIDGE), 0, 0, 0])
        host(value.linkIndex)
        host(RouteNumber.statePermanent | RouteNumber.stateNoARP)
        raw([RouteNumber.flagSelf, 0])
        attribute(RouteNumber.neighbourLinkAddress, value.mac.bytes)
        attribute(RouteNumber.neighbourDestination, value.destination.bytes)
    }
}
