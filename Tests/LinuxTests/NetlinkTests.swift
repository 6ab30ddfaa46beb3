import Basics
import Glibc
import Testing

@testable import Linux

@Suite struct NetlinkTests {
    let mac = MACAddress(bytes: [0x0E, 0x4C, 10, 89, 0, 3])!

    /// Sends one request to a kernel that says yes, and gives back the one message that it got.
    private func message(_ body: (RouteSocket) throws -> Void) throws -> NetlinkMessage {
        let kernel = ScriptedNetlink([ScriptedNetlink.verdict(0, sequence: 1)])
        try body(RouteSocket(NetlinkSocket(transport: kernel)))
        #expect(kernel.sent.count == 1)
        return try #require(NetlinkMessage.parse(kernel.sent[0])?.first)
    }

    @Test func vxlanIsCreatedAsFlannelLaysIt() throws {
        let vxlan = VXLAN(id: 1, local: IPAddress("10.89.0.2")!, port: 8472, learning: false)
        let sent = try message {
            try $0.create(NewLink("lab-vxlan", .vxlan(vxlan), mtu: 1450, mac: mac, up: true))
        }
        #expect(sent.type == 16)
        #expect(sent.flags == 0x605)  // request, acknowledge, exclusive, create
        #expect(Array(sent.body.prefix(16)) == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
        let attributes = try #require(sent.attributes(after: 16))
        #expect(attributes.all.map(\.type) == [3, 4, 1, 18])
        #expect(attributes[3]?.text == "lab-vxlan")
        #expect(attributes[4]?.host(UInt32.self) == 1450)
        #expect(attributes[1]?.payload.elementsEqual(mac.bytes) == true)
        let info = try #require(attributes[18]?.nested)
        #expect(info[1]?.text == "vxlan")
        let data = try #require(info[2]?.nested)
        #expect(data.all.map(\.type) == [1, 4, 15, 7])
        #expect(data[1]?.host(UInt32.self) == 1)
        #expect(data[4]?.payload.elementsEqual([10, 89, 0, 2]) == true)
        #expect(data[15]?.payload.elementsEqual([0x21, 0x18]) == true)
        #expect(data[7]?.payload.elementsEqual([0]) == true)
    }

    @Test func routeIsReplacedOnlink() throws {
        let sent = try message {
            try $0.replace(
                Route(CIDR("10.244.2.0/24")!, via: IPAddress("10.244.2.1")!, linkIndex: 7, onlink: true))
        }
        #expect(sent.type == 24)
        #expect(sent.flags == 0x505)
        #expect(Array(sent.body.prefix(12)) == [2, 24, 0, 0, 254, 4, 0, 1, 4, 0, 0, 0])
        let attributes = try #require(sent.attributes(after: 12))
        #expect(attributes.all.map(\.type) == [1, 5, 4])
        #expect(attributes[1]?.payload.elementsEqual([10, 244, 2, 0]) == true)
        #expect(attributes[5]?.payload.elementsEqual([10, 244, 2, 1]) == true)
        #expect(attributes[4]?.host(Int32.self) == 7)
    }

    @Test func defaultRouteHasNoDestination() throws {
        let sent = try message {
            try $0.replace(Route(CIDR("0.0.0.0/0")!, via: IPAddress("10.244.2.1")!, linkIndex: 2))
        }
        #expect(Array(sent.body.prefix(2)) == [2, 0])
        #expect(sent.attributes(after: 12)?.all.map(\.type) == [5, 4])
    }

    @Test func neighbourAndForwardingEntryDifferInFamilyAndFlags() throws {
        let neighbour = try message {
            try $0.replace(Neighbour(linkIndex: 9, address: IPAddress("10.244.2.1")!, mac: mac))
        }
        #expect(Array(neighbour.body.prefix(12)) == [2, 0, 0, 0, 9, 0, 0, 0, 0x80, 0, 0, 0])
        #expect(neighbour.attributes(after: 12)?[1]?.payload.elementsEqual([10, 244, 2, 1]) == true)
        let entry = try message {
            try $0.replace(ForwardingEntry(linkIndex: 9, mac: mac, destination: IPAddress("10.89.0.3")!))
        }
        #expect(Array(entry.body.prefix(12)) == [7, 0, 0, 0, 9, 0, 0, 0, 0xC0, 0, 2, 0])
        #expect(entry.attributes(after: 12)?[2]?.payload.elementsEqual(mac.bytes) == true)
        #expect(entry.attributes(after: 12)?[1]?.payload.elementsEqual([10, 89, 0, 3]) == true)
    }

    @Test func refusalCarriesTheKernelsWords() throws {
        let kernel = ScriptedNetlink([ScriptedNetlink.verdict(EINVAL, sequence: 1, text: "Invalid VNI")])
        let socket = RouteSocket(NetlinkSocket(transport: kernel))
        let error = #expect(throws: NetlinkError.self) { try socket.delete(linkIndex: 3) }
        #expect(error?.description == "delete link 3: Invalid argument (Invalid VNI)")
    }

    @Test func answersToOtherRequestsArePassedOver() throws {
        let kernel = ScriptedNetlink([
            ScriptedNetlink.verdict(EPERM, sequence: 77), ScriptedNetlink.verdict(0, sequence: 1),
        ])
        try RouteSocket(NetlinkSocket(transport: kernel)).delete(linkIndex: 3)
    }

    @Test func silenceIsAnError() {
        let socket = RouteSocket(NetlinkSocket(transport: ScriptedNetlink()))
        #expect(throws: SystemError.self) { try socket.links() }
    }

    @Test(arguments: [
        [UInt8](repeating: 0, count: 16),  // claims a length of 0
        [200, 0, 0, 0] + [UInt8](repeating: 0, count: 12),  // claims more than there is
        [UInt8](repeating: 1, count: 15),  // shorter than a header
    ])
    func malformedDatagramIsRefused(_ datagram: [UInt8]) {
        let socket = RouteSocket(NetlinkSocket(transport: ScriptedNetlink([datagram])))
        #expect(throws: SystemError.self) { try socket.delete(linkIndex: 1) }
    }

    @Test(arguments: [[3, 0, 1, 0] as [UInt8], [9, 0, 1, 0, 0, 0, 0, 0]])
    func malformedAttributesAreRefused(_ bytes: [UInt8]) {
        #expect(NetlinkAttributes(bytes[...]) == nil)
    }

    @Test func interruptedDumpIsRepeated() throws {
        func answer(_ sequence: UInt32, flags: UInt16) -> [UInt8] {
            var writer = NetlinkWriter()
            writer.message(type: 20, flags: flags, sequence: sequence) {
                $0.raw([2, 24, 0, 0])
                $0.host(UInt32(4))
                $0.attribute(2, [10, 0, 0, UInt8(sequence)])
            }
            writer.message(type: NetlinkMessage.done, flags: flags, sequence: sequence) { $0.host(UInt32(0)) }
            return writer.bytes
        }
        let kernel = ScriptedNetlink([answer(1, flags: 0x12), answer(2, flags: 2)])
        let addresses = try RouteSocket(NetlinkSocket(transport: kernel)).addresses()
        #expect(addresses == [LinkAddress(linkIndex: 4, address: IPAddress("10.0.0.2")!, prefix: 24)])
        #expect(kernel.sent.count == 2)
    }
}

@Suite(.enabled(if: Need.namespaces, "needs the right to make network namespaces"))
struct NetlinkKernelTests {
    @Test func vethJoinsTwoNamespaces() throws {
        let (left, right) = (try NetworkNamespace.make(), try NetworkNamespace.make())
        #expect(try !left.isSame(as: right))
        let (here, there) = (try RouteSocket(in: left), try RouteSocket(in: right))
        let mac = MACAddress(bytes: [2, 0, 0, 0, 0, 9])!
        try here.create(
            NewLink("a", .veth(peerName: "eth0", peerMAC: mac, peerNamespace: right), mtu: 1400, up: true))
        let near = try #require(try here.link(named: "a"))
        let far = try #require(try there.link(named: "eth0"))
        #expect(near.kind == "veth" && near.isUp && near.mtu == 1400)
        #expect(far.mac == mac && !far.isUp && far.mtu == 1400)
        #expect(try here.link(named: "eth0") == nil)

        try there.change(linkIndex: far.index, LinkChange(up: true, mtu: 1300, name: "net1"))
        #expect(try there.link(named: "net1")?.mtu == 1300)

        let address = LinkAddress(linkIndex: near.index, address: IPAddress("10.1.0.1")!, prefix: 24)
        try here.replace(address)
        try here.replace(address)
        #expect(try here.addresses().contains(address))
        let route = Route(
            CIDR("10.2.0.0/16")!, via: IPAddress("192.0.2.1")!, linkIndex: near.index, onlink: true,
            source: address.address)
        try here.replace(route)
        let direct = Route(CIDR("10.3.0.4/32")!, linkIndex: near.index, scopeLink: true)
        try here.replace(direct)
        let nothing = Route.unreachable(CIDR("10.4.0.0/24")!)
        try here.replace(nothing)
        #expect(Set(try here.routes()).isSuperset(of: [route, direct, nothing]))
        try here.delete(route)
        #expect(try !here.routes().contains(route))

        let neighbour = Neighbour(linkIndex: near.index, address: IPAddress("10.1.0.7")!, mac: mac)
        try here.replace(neighbour)
        #expect(try here.neighbours() == [neighbour])
        try here.delete(neighbour)
        #expect(try here.neighbours().isEmpty)
        try here.delete(linkIndex: near.index)
        #expect(try there.link(named: "net1") == nil)
        #expect(throws: NetlinkError.self) { try here.delete(linkIndex: near.index) }
    }

    @Test func bridgePortsAndVXLANForwarding() throws {
        let namespace = try NetworkNamespace.make()
        let sockets = try RouteSocket(in: namespace)
        try sockets.create(NewLink("br", .bridge, up: true))
        try sockets.create(NewLink("p", .veth(peerName: "q", peerMAC: nil, peerNamespace: nil), up: true))
        let bridge = try #require(try sockets.link(named: "br"))
        let port = try #require(try sockets.link(named: "p"))
        try sockets.change(linkIndex: port.index, LinkChange(masterIndex: bridge.index))
        #expect(try sockets.link(named: "p")?.masterIndex == bridge.index)
        try sockets.setHairpin(portIndex: port.index, true)
        #expect(try namespace.run { try Files.text("/proc/thread-self/net/dev") }.contains("br:"))

        let settings = VXLAN(id: 1, local: IPAddress("10.89.0.2")!, port: 8472, learning: false)
        try sockets.create(NewLink("vx", .vxlan(settings), mtu: 1450))
        let vxlan = try #require(try sockets.links().first { $0.name == "vx" })
        #expect(vxlan.vxlan == settings)
        let mac = MACAddress(prefix: (0x0E, 0x4C), v4: IPAddress("10.89.0.3")!)
        #expect(mac.description == "0e:4c:0a:59:00:03")
        let entry = ForwardingEntry(linkIndex: vxlan.index, mac: mac, destination: IPAddress("10.89.0.3")!)
        try sockets.replace(entry)
        try sockets.replace(entry)
        #expect(try sockets.forwardingEntries(linkIndex: vxlan.index) == [entry])
        try sockets.delete(entry)
        #expect(try sockets.forwardingEntries(linkIndex: vxlan.index).isEmpty)
    }

    @Test func settingsBelongToTheNamespace() throws {
        let namespace = try NetworkNamespace.make()
        let outside = try NetworkSetting.read("ipv4/ip_forward")
        let other = outside == "1" ? "0" : "1"
        try NetworkSetting.write("ipv4/ip_forward", other, in: namespace)
        #expect(try NetworkSetting.read("ipv4/ip_forward", in: namespace) == other)
        #expect(try NetworkSetting.read("ipv4/ip_forward") == outside)
    }

    @Test func errorsInsideComeOutAndTheThreadStays() throws {
        let before = try NetworkNamespace.current()
        let namespace = try NetworkNamespace.make()
        #expect(throws: SystemError("probe", errno: EBUSY)) {
            try namespace.run { throw SystemError("probe", errno: EBUSY) }
        }
        #expect(try before.isSame(as: NetworkNamespace.current()))
    }
}
