import Basics
import Glibc

/// An Ethernet address.
public struct MACAddress: Sendable, Hashable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Nil unless there are six bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    /// A locally administered unicast address made of two bytes and an IPv4 address, so that everyone who knows
    /// the IP address knows the link address too.
    public init(prefix: (UInt8, UInt8), v4 address: IPAddress) {
        bytes = [prefix.0 & 0xFC | 0x02, prefix.1] + address.bytes.suffix(4)
    }

    public var description: String { bytes.map { Hex.encode([$0]) }.joined(separator: ":") }
}

/// A network link as the kernel lists it.
public struct Link: Sendable, Equatable {
    public var index: Int32
    public var name: String
    public var isUp: Bool
    public var mtu: Int
    public var mac: MACAddress?
    public var masterIndex: Int32?
    /// `veth`, `bridge`, `vxlan`...; empty for physical links and the loopback.
    public var kind: String
    public var vxlan: VXLAN?

    public init(
        index: Int32, name: String, isUp: Bool, mtu: Int, mac: MACAddress? = nil, masterIndex: Int32? = nil,
        kind: String = "", vxlan: VXLAN? = nil
    ) {
        self.index = index
        self.name = name
        self.isUp = isUp
        self.mtu = mtu
        self.mac = mac
        self.masterIndex = masterIndex
        self.kind = kind
        self.vxlan = vxlan
    }
}

/// A VXLAN's own settings.
public struct VXLAN: Sendable, Equatable {
    public var id: UInt32
    public var local: IPAddress
    public var port: UInt16
    public var learning: Bool

    public init(id: UInt32, local: IPAddress, port: UInt16, learning: Bool) {
        self.id = id
        self.local = local
        self.port = port
        self.learning = learning
    }
}

/// A link to be made.
public struct NewLink {
    public enum Kind {
        /// The other end gets its name, address and namespace at once, so that it never shows up on this side.
        case veth(peerName: String, peerMAC: MACAddress?, peerNamespace: NetworkNamespace?)
        case bridge
        case vxlan(VXLAN)
    }

    public var name: String
    public var kind: Kind
    public var mtu: Int?
    public var mac: MACAddress?
    public var up: Bool

    public init(_ name: String, _ kind: Kind, mtu: Int? = nil, mac: MACAddress? = nil, up: Bool = false) {
        self.name = name
        self.kind = kind
        self.mtu = mtu
        self.mac = mac
        self.up = up
    }
}

/// A change to an existing link; nil leaves as it is.
public struct LinkChange {
    public var up: Bool?
    public var mtu: Int?
    public var name: String?
    public var mac: MACAddress?
    /// 0 takes the link out of its bridge.
    public var masterIndex: Int32?
    public var namespace: NetworkNamespace?

    public init(
        up: Bool? = nil, mtu: Int? = nil, name: String? = nil, mac: MACAddress? = nil, masterIndex: Int32? = nil,
        namespace: NetworkNamespace? = nil
    ) {
        self.up = up
        self.mtu = mtu
        self.name = name
        self.mac = mac
        self.masterIndex = masterIndex
        self.namespace = namespace
    }
}

/// Numbers of linux/rtnetlink.h, if_link.h and veth.h.
enum LinkNumber {
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let setLink: UInt16 = 19
    static let flagUp: UInt32 = 1

    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let master: UInt16 = 10
    static let protectInfo: UInt16 = 12
    static let linkInfo: UInt16 = 18
    static let namespaceDescriptor: UInt16 = 28
    static let infoKind: UInt16 = 1
    static let infoData: UInt16 = 2
    static let vethPeer: UInt16 = 1
    static let bridgePortMode: UInt16 = 4

    static let vxlanID: UInt16 = 1
    static let vxlanLocal: UInt16 = 4
    static let vxlanLearning: UInt16 = 7
    static let vxlanPort: UInt16 = 15
}

/// The route family: links, addresses, routes and neighbours of one network namespace.
public final class RouteSocket {
    let socket: NetlinkSocket

    public init(_ socket: NetlinkSocket) { self.socket = socket }

    public convenience init(in namespace: NetworkNamespace? = nil) throws {
        self.init(try NetlinkSocket(.route, in: namespace))
    }

    // MARK: Links

    public func create(_ link: NewLink) throws {
        try socket.request(
            type: LinkNumber.newLink, flags: NetlinkSocket.Flag.create | NetlinkSocket.Flag.exclusive, "create link",
            link.name
        ) { message in
            message.linkHeader(index: 0, up: link.up ? true : nil)
            message.attribute(LinkNumber.name, text: link.name)
            if let mtu = link.mtu { message.attribute(LinkNumber.mtu, host: UInt32(mtu)) }
            if let mac = link.mac { message.attribute(LinkNumber.address, mac.bytes) }
            message.nested(LinkNumber.linkInfo) { info in
                switch link.kind {
                case .bridge:
                    info.attribute(LinkNumber.infoKind, text: "bridge")
                case .vxlan(let vxlan):
                    info.attribute(LinkNumber.infoKind, text: "vxlan")
                    info.nested(LinkNumber.infoData) { data in
                        data.attribute(LinkNumber.vxlanID, host: vxlan.id)
                        data.attribute(LinkNumber.vxlanLocal, vxlan.local.bytes)
                        data.attribute(LinkNumber.vxlanPort, network: vxlan.port)
                        data.attribute(LinkNumber.vxlanLearning, host: UInt8(vxlan.learning ? 1 : 0))
                    }
                case .veth(let peerName, let peerMAC, let namespace):
                    info.attribute(LinkNumber.infoKind, text: "veth")
                    info.nested(LinkNumber.infoData) { data in
                        data.nested(LinkNumber.vethPeer) { peer in
                            // The peer is described by a link message of its own.
                            peer.linkHeader(index: 0, up: nil)
                            peer.attribute(LinkNumber.name, text: peerName)
                            if let mtu = link.mtu { peer.attribute(LinkNumber.mtu, host: UInt32(mtu)) }
                            if let peerMAC { peer.attribute(LinkNumber.address, peerMAC.bytes) }
                            if let namespace {
                                peer.attribute(LinkNumber.namespaceDescriptor, host: UInt32(namespace.descriptor))
                            }
                        }
                    }
                }
            }
        }
    }

    public func delete(linkIndex index: Int32) throws {
        try socket.request(type: LinkNumber.deleteLink, "delete link", "\(index)") {
            $0.linkHeader(index: index, up: nil)
        }
    }

    public func change(linkIndex index: Int32, _ change: LinkChange) throws {
        try socket.request(type: LinkNumber.newLink, "change link", "\(index)") { message in
            message.linkHeader(index: index, up: change.up)
            if let mtu = change.mtu { message.attribute(LinkNumber.mtu, host: UInt32(mtu)) }
            if let name = change.name { message.attribute(LinkNumber.name, text: name) }
            if let mac = change.mac { message.attribute(LinkNumber.address, mac.bytes) }
            if let master = change.masterIndex { message.attribute(LinkNumber.master, host: UInt32(master)) }
            if let namespace = change.namespace {
                message.attribute(LinkNumber.namespaceDescriptor, host: UInt32(namespace.descriptor))
            }
        }
    }

    /// Lets a bridge send a frame back through the port that it came in by.
    public func setHairpin(portIndex index: Int32, _ on: Bool) throws {
        try socket.request(type: LinkNumber.setLink, "set hairpin mode", "\(index)") { message in
            message.linkHeader(index: index, up: nil, family: UInt8(AF_BRIDGE))
            message.nested(LinkNumber.protectInfo) {
                $0.attribute(LinkNumber.bridgePortMode, host: UInt8(on ? 1 : 0))
            }
        }
    }

    public func links() throws -> [Link] {
        try socket.dump(type: LinkNumber.getLink, "list links") { $0.linkHeader(index: 0, up: nil) }
            .compactMap(Link.init(message:))
    }

    /// Nil where there is no link of that name.
    public func link(named name: String) throws -> Link? {
        do {
            return try socket.request(type: LinkNumber.getLink, "get link", name) { message in
                message.linkHeader(index: 0, up: nil)
                message.attribute(LinkNumber.name, text: name)
            }.first.flatMap(Link.init(message:))
        } catch let error as NetlinkError where error.errno == ENODEV {
            return nil
        }
    }
}

extension NetlinkWriter {
    /// struct ifinfomsg: family (1), padding (1), device type (2), index (4), flags (4), mask of flags to change (4).
    mutating func linkHeader(index: Int32, up: Bool?, family: UInt8 = 0) {
        raw([family, 0, 0, 0])
        host(index)
        host(up == true ? LinkNumber.flagUp : 0)
        host(up == nil ? 0 : LinkNumber.flagUp)
    }
}

extension Link {
    init?(message: NetlinkMessage) {
        guard message.type == LinkNumber.newLink, let index = message.host(at: 4, Int32.self),
            let flags = message.host(at: 8, UInt32.self), let attributes = message.attributes(after: 16),
            let name = attributes[LinkNumber.name]?.text
        else { return nil }
        let info = attributes[LinkNumber.linkInfo]?.nested
        let kind = info?[LinkNumber.infoKind]?.text ?? ""
        var vxlan: VXLAN?
        if kind == "vxlan", let data = info?[LinkNumber.infoData]?.nested,
            let id = data[LinkNumber.vxlanID]?.host(UInt32.self),
            let local = data[LinkNumber.vxlanLocal].flatMap({ IPAddress(bytes: $0.payload) })
        {
            vxlan = VXLAN(
                id: id, local: local, port: data[LinkNumber.vxlanPort]?.network(UInt16.self) ?? 0,
                learning: data[LinkNumber.vxlanLearning]?.host(UInt8.self) != 0)
        }
        self.init(
            index: index, name: name, isUp: flags & LinkNumber.flagUp != 0,
            mtu: attributes[LinkNumber.mtu]?.host(UInt32.self).map(Int.init) ?? 0,
            mac: attributes[LinkNumber.address].flatMap { MACAddress(bytes: $0.payload) },
            masterIndex: attributes[LinkNumber.master]?.host(Int32.self), kind: kind, vxlan: vxlan)
    }
}
