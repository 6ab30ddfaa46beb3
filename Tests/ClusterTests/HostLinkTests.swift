import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Cluster

/// A host, a fabric and the world behind the host, each a namespace of its own.
@Suite(.enabled(if: geteuid() == 0, "needs the right to make network namespaces"))
struct HostLinkTests {
    private let host: NetworkNamespace
    private let world: NetworkNamespace
    private let scratch: String

    init() throws {
        host = try NetworkNamespace.make()
        world = try NetworkNamespace.make()
        var template = Array("/tmp/lab-host-link-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno: errno) }
        scratch = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let outside = try RouteSocket(in: host)
        try outside.create(NewLink("up0", .veth(peerName: "eth0", peerMAC: nil, peerNamespace: world), up: true))
        let up = try #require(try outside.link(named: "up0")).index
        try outside.replace(LinkAddress(linkIndex: up, address: IPAddress("192.0.2.2")!, prefix: 24))
        try outside.replace(Route(CIDR("0.0.0.0/0")!, via: IPAddress("192.0.2.1")!, linkIndex: up))
        let inside = try RouteSocket(in: world)
        let link = try #require(try inside.link(named: "eth0")).index
        try inside.change(linkIndex: link, LinkChange(up: true))
        try inside.replace(LinkAddress(linkIndex: link, address: IPAddress("192.0.2.1")!, prefix: 24))
    }

    private func cluster(_ name: String) throws -> ClusterLayout {
        let layout = Layout(home: scratch).cluster(name)
        try Files.makeDirectories(layout.directory)
        return layout
    }

    /// A fabric with its bridge and one node behind it.
    private func fabric() throws -> (fabric: NetworkNamespace, node: NetworkNamespace) {
        let fabric = try NetworkNamespace.make()
        let node = try NetworkNamespace.make()
        let route = try RouteSocket(in: fabric)
        try route.create(NewLink(Fabric.bridge, .bridge, up: true))
        let bridge = try #require(try route.link(named: Fabric.bridge)).index
        try route.replace(LinkAddress(linkIndex: bridge, address: Addresses.gateway, prefix: 24))
        try route.create(NewLink("node0", .veth(peerName: "eth0", peerMAC: nil, peerNamespace: node), up: true))
        try route.change(
            linkIndex: try #require(try route.link(named: "node0")).index, LinkChange(masterIndex: bridge))
        let inside = try RouteSocket(in: node)
        let link = try #require(try inside.link(named: "eth0")).index
        try inside.change(linkIndex: link, LinkChange(up: true))
        try inside.replace(LinkAddress(linkIndex: link, address: Addresses.node(0), prefix: 24))
        try inside.replace(Route(CIDR("0.0.0.0/0")!, via: Addresses.gateway, linkIndex: link))
        return (fabric, node)
    }

    /// What the other side of a datagram takes its sender for; nil where it does not arrive.
    private func sender(
        from: NetworkNamespace, to address: IPAddress, in receiver: NetworkNamespace
    ) throws -> IPAddress? {
        func make(_ namespace: NetworkNamespace) throws -> Int32 {
            let descriptor = try namespace.run { socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
            var limit = timeval(tv_sec: 0, tv_usec: 400_000)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
        func name(_ address: IPAddress) -> sockaddr_in {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = UInt16(9000).bigEndian
            name.sin_addr.s_addr = UInt32(address.low).bigEndian
            return name
        }
        let (server, client) = (try make(receiver), try make(from))
        defer {
            close(server)
            close(client)
        }
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var local = name(.any)
        let bound = withUnsafePointer(to: &local) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(server, $0, length) }
        }
        #expect(bound == 0)
        var target = name(address)
        _ = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(client, "x", 1, 0, $0, length) }
        }
        var from = sockaddr_in()
        var size = length
        var byte: UInt8 = 0
        let count = withUnsafeMutablePointer(to: &from) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(server, &byte, 1, 0, $0, &size) }
        }
        return count == 1 ? IPAddress(v4: UInt32(bigEndian: from.sin_addr.s_addr)) : nil
    }

    @Test func nodesReachTheWorldAsTheHost() throws {
        defer { try? Files.removeTree(scratch) }
        let cluster = try cluster("a")
        let (fabric, node) = try fabric()
        try NetworkSetting.write("ipv4/conf/up0/forwarding", "0", in: host)
        let link = try HostLink.lay(fabric: fabric, egress: true, cluster: cluster, host: host)
        #expect(link.number == 0 && link.forwarding.contains("up0"))
        #expect(HostLink.read(cluster) == link)
        #expect(try sender(from: node, to: IPAddress("192.0.2.1")!, in: world) == IPAddress("192.0.2.2"))
        // A balancer's address leads from the host to the node that has it.
        let inside = try RouteSocket(in: node)
        let balancer = try #require(link.balancers.address(at: 1))
        try inside.replace(
            LinkAddress(linkIndex: try #require(try inside.link(named: "eth0")).index, address: balancer, prefix: 32))
        #expect(try sender(from: host, to: balancer, in: node) == link.hostAddress)

        try link.remove(host: host)
        try link.remove(host: host)
        #expect(try RouteSocket(in: host).links().allSatisfy { !$0.name.hasPrefix("lab") })
        #expect(try Nftables(in: host).tables().isEmpty)
        #expect(try NetworkSetting.read("ipv4/conf/up0/forwarding", in: host) == "0")
        #expect(try sender(from: node, to: IPAddress("192.0.2.1")!, in: world) == nil)
    }

    @Test func withoutEgressOnlyTheHostIsReached() throws {
        defer { try? Files.removeTree(scratch) }
        let (fabric, node) = try fabric()
        let link = try HostLink.lay(fabric: fabric, egress: false, cluster: try cluster("a"), host: host)
        #expect(try Nftables(in: host).tables().isEmpty)
        #expect(try sender(from: node, to: IPAddress("192.0.2.1")!, in: world) == nil)
        try link.remove(host: host)
    }

    @Test func clustersTakeDifferentNumbersAndLeaveTraces() throws {
        defer { try? Files.removeTree(scratch) }
        let first = try fabric()
        let second = try fabric()
        // Somebody else's network is left alone.
        let outside = try RouteSocket(in: host)
        let up = try #require(try outside.link(named: "up0")).index
        try outside.replace(Route(CIDR("198.19.1.0/24")!, via: IPAddress("192.0.2.1")!, linkIndex: up))
        let a = try HostLink.lay(fabric: first.fabric, egress: true, cluster: try cluster("a"), host: host)
        let b = try HostLink.lay(fabric: second.fabric, egress: true, cluster: try cluster("b"), host: host)
        #expect([a.number, b.number] == [0, 2])
        #expect(try HostLink.leftovers(host: host).isEmpty)
        // As where the fabric was killed: the link is gone, the table is not, and the number comes back.
        try outside.delete(linkIndex: try #require(try outside.link(named: b.linkName)).index)
        #expect(try HostLink.leftovers(host: host).map(\.number) == [2])
        let again = try HostLink.lay(fabric: second.fabric, egress: true, cluster: try cluster("b"), host: host)
        #expect(again.number == 2)
        try a.remove(host: host)
        try again.remove(host: host)
        #expect(try Nftables(in: host).tables().isEmpty)
    }
}
