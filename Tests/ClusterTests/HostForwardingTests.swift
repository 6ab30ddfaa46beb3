import Basics
import Glibc
import Linux
import Testing

@testable import Cluster

@Suite struct HostForwardingTests {
    private func chain(_ family: UInt8, _ table: String, hook: UInt32 = 2, drops: Bool = true) -> NftBaseChain {
        NftBaseChain(family: family, table: table, name: "FORWARD", hook: hook, dropsByDefault: drops)
    }

    @Test func onlyAChainThatDropsWhatIsForwardedIsNamed() {
        let chains = [
            chain(2, "filter"), chain(2, "open", drops: false), chain(1, "firewall"), chain(2, "in", hook: 1),
            chain(10, "six"), chain(7, "bridge"),
        ]
        let findings = Doctor.findings(chains) { _ in [] }
        #expect(findings.map(\.verdict) == [.warning, .warning])
        #expect(findings.contains { $0.detail.contains("'ip filter FORWARD'") })
        #expect(
            findings.contains { $0.remedy.contains("nft insert rule inet firewall FORWARD iifname 'lab-host*' accept") }
        )
    }

    @Test func aRuleAboutOurLinksIsEnough() {
        let rule = NftContent.Rule(expressions: [1, 2] + Array("lab-host".utf8) + [0, 0])
        #expect(Doctor.findings([chain(2, "filter")]) { _ in [rule] }.isEmpty)
        #expect(Doctor.findings([chain(2, "filter")]) { _ in [NftContent.Rule(expressions: [1, 2, 3])] }.count == 1)
    }
}

@Suite(.enabled(if: geteuid() == 0, "needs the right to make network namespaces"))
struct HostForwardingKernelTests {
    private static let path = "ipv4/conf/up0/forwarding"

    private func host() throws -> NetworkNamespace {
        let host = try NetworkNamespace.make()
        let routes = try RouteSocket(in: host)
        try routes.create(NewLink("up0", .bridge, up: true))
        let up = try #require(try routes.link(named: "up0")).index
        try routes.replace(LinkAddress(linkIndex: up, address: IPAddress("192.0.2.2")!, prefix: 24))
        try routes.replace(Route(CIDR("0.0.0.0/0")!, via: IPAddress("192.0.2.1")!, linkIndex: up))
        try NetworkSetting.write(Self.path, "0", in: host)
        return host
    }

    private func fabric() throws -> NetworkNamespace {
        let fabric = try NetworkNamespace.make()
        let routes = try RouteSocket(in: fabric)
        try routes.create(NewLink(Fabric.bridge, .bridge, up: true))
        let bridge = try #require(try routes.link(named: Fabric.bridge)).index
        try routes.replace(LinkAddress(linkIndex: bridge, address: Addresses.gateway, prefix: 24))
        return fabric
    }

    /// Whoever came first is not whoever goes last, and they may know nothing of each other's homes.
    @Test func theLastClusterTakesTheLeaveBackThatTheFirstOneGave() throws {
        var template = Array("/tmp/lab-forwarding-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let scratch = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? Files.removeTree(scratch) }
        let host = try host()
        let fabrics = [try fabric(), try fabric()]
        let links = try ["a", "b"].enumerated().map { number, name in
            let cluster = Layout(home: "\(scratch)/\(name)").cluster(name)
            try Files.makeDirectories(cluster.directory)
            return try HostLink.lay(fabric: fabrics[number], egress: true, cluster: cluster, host: host)
        }
        #expect(links[0].forwarding.contains("up0") && !links[1].forwarding.contains("up0"))
        #expect(try HostLink.remembered(host: host) == ["up0"])
        try links[0].remove(host: host)
        #expect(try NetworkSetting.read(Self.path, in: host) == "1", "the second one relies on it")
        try links[1].remove(host: host)
        #expect(try NetworkSetting.read(Self.path, in: host) == "0")
        #expect(try Nftables(in: host).tables().isEmpty)
    }

    @Test func chainsOfEveryFamilyAreSeen() throws {
        let host = try host()
        var batch = NftBatch(table: "filter")
        batch.addTable()
        batch.addChain("FORWARD", NftHook(.filter, .forward, priority: 0))
        batch.addRule(
            "FORWARD", [.meta(.inputName, to: 0), .compare(0, .equal, Array("lab-host".utf8)), .verdict(.accept)])
        batch.addChain("other")
        let tables = try Nftables(in: host)
        try tables.commit(batch)
        let chains = try tables.baseChains()
        #expect(chains == [NftBaseChain(family: 2, table: "filter", name: "FORWARD", hook: 2, dropsByDefault: false)])
        let rules = try tables.rules(of: chains[0])
        #expect(rules.count == 1)
        let closed = NftBaseChain(family: 2, table: "filter", name: "FORWARD", hook: 2, dropsByDefault: true)
        #expect(Doctor.findings([closed]) { _ in rules }.isEmpty, "the rule is found in what the kernel tells")
    }
}

@Suite(.serialized, .enabled(if: geteuid() == 0, "needs the right to make network namespaces"))
struct RateFaultTests {
    @Test func ratesAreReadAndBounded() throws {
        #expect(try Fault.kilobits("64kbit") == 64)
        #expect(try Fault.kilobits("10mbit") == 10_000)
        #expect(try Fault.kilobits("1gbit") == 1_000_000)
        for text in ["", "kbit", "10", "-1mbit", "0kbit", "1tbit", "99999999999999999999gbit", "100gbit", "1 mbit"] {
            #expect(throws: UsageError.self, "\(text)") { try Fault.kilobits(text) }
        }
        #expect(throws: UsageError.self) { try Fault(name: "a", kind: .rate(kilobits: 1), from: .node("x")) }
        let fault = try Fault(name: "a", kind: .rate(kilobits: 64), from: .node("x"), to: .node("y"))
        #expect(Fault(name: "a", comment: fault.comment) == fault)
        #expect(fault.summary == "rate 64kbit")
    }

    /// A loopback of its own: what is sent beyond the rate never arrives, and all of it does once the fault is gone.
    @Test func whatIsBeyondTheRateIsLost() throws {
        let node = try NetworkNamespace.make()
        let routes = try RouteSocket(in: node)
        try routes.change(linkIndex: try #require(try routes.link(named: "lo")).index, LinkChange(up: true))
        #expect(try arrived(in: node) == 200)
        let fault = try Fault(name: "slow", kind: .rate(kilobits: 64), from: .node("x"))
        let tables = try Nftables(in: node)
        try tables.commit(
            FaultRules.batch(fault, from: .address(.loopback), to: .anybody, dns: .loopback, remaining: nil))
        let limited = try arrived(in: node)
        #expect(limited >= 5 && limited < 100, "\(limited)")
        var batch = NftBatch(table: FaultRules.tablePrefix + "slow")
        batch.deleteTable()
        try tables.commit(batch)
        #expect(try arrived(in: node) == 200)
    }

    /// How many of 200 datagrams of 1,000 bytes, sent as fast as they can be, arrive.
    private func arrived(in namespace: NetworkNamespace) throws -> Int {
        let sockets = try namespace.run {
            (socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0), socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
        }
        defer {
            close(sockets.0)
            close(sockets.1)
        }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(sockets.0, $0, length) == 0 && getsockname(sockets.0, $0, &length) == 0
                    && connect(sockets.1, $0, length) == 0
            }
        }
        try #require(bound)
        var room: Int32 = 1 << 20
        setsockopt(sockets.0, SOL_SOCKET, SO_RCVBUF, &room, 4)
        var found = 0
        var buffer = [UInt8](repeating: 7, count: 1_000)
        for _ in 0..<200 {
            _ = send(sockets.1, buffer, buffer.count, 0)
            while recv(sockets.0, &buffer, buffer.count, 0x40) == 1_000 { found += 1 }
        }
        return found
    }
}
