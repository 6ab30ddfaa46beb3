import Basics
import Glibc
import Linux
import Testing

@testable import Cluster

@Suite struct FaultTests {
    private func place(_ text: String) throws -> Fault.Place { try Fault.Place(text) }

    @Test func placesAreNamedByKind() throws {
        #expect(try place("node/a") == .node("a"))
        #expect(try place("pod/ns/p") == .pod(namespace: "ns", name: "p"))
        #expect(try place("service/ns/s").text == "service/ns/s")
        for text in ["", "a", "node/", "node/a/b", "pod/p", "pod//p", "link/x"] {
            #expect(throws: UsageError.self, "\(text)") { try place(text) }
        }
    }

    @Test func senselessFaultsAreRefused() throws {
        let node = Fault.Place.node("a")
        let service = Fault.Place.service(namespace: "n", name: "s")
        let cases: [() throws -> Fault] = [
            { try Fault(name: "A", kind: .partition, from: node) },
            { try Fault(name: "", kind: .partition, from: node) },
            { try Fault(name: String(repeating: "a", count: 41), kind: .partition, from: node) },
            { try Fault(name: "a", kind: .loss(percent: 0), from: node) },
            { try Fault(name: "a", kind: .loss(percent: 101), from: node) },
            { try Fault(name: "a", kind: .partition, from: node, to: node) },
            { try Fault(name: "a", kind: .partition, from: service) },
            { try Fault(name: "a", kind: .partition, from: node, to: service, oneWay: true) },
            { try Fault(name: "a", kind: .dns, from: node, to: .node("b")) },
        ]
        for make in cases { #expect(throws: UsageError.self) { try make() } }
    }

    @Test func faultsAreReadAsTheyWereKept() throws {
        let faults = [
            try Fault(name: "a", kind: .partition, from: .node("x"), to: .node("y"), oneWay: true),
            try Fault(name: "b", kind: .loss(percent: 7), from: .pod(namespace: "n", name: "p")),
            try Fault(name: "c", kind: .reset, from: .node("x"), to: .service(namespace: "n", name: "s")),
            try Fault(name: "d", kind: .dns, from: .node("x"), until: Timestamp(seconds: 1_800_000_000)),
        ]
        for fault in faults { #expect(Fault(name: fault.name, comment: fault.comment) == fault) }
        for text in ["", "{}", "{\"from\":\"node/a\",\"kind\":\"fire\"}", "not json"] {
            #expect(Fault(name: "x", comment: text) == nil)
        }
    }
}

/// Two ends of a link, as a node and its neighbour.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs the right to make network namespaces"))
struct FaultKernelTests {
    private let node: NetworkNamespace
    private let peer: NetworkNamespace
    private static let nodeAddress = IPAddress("10.89.0.2")!
    private static let peerAddress = IPAddress("10.89.0.3")!

    init() throws {
        node = try NetworkNamespace.make()
        peer = try NetworkNamespace.make()
        let outside = try RouteSocket(in: node)
        try outside.create(NewLink("eth0", .veth(peerName: "eth0", peerMAC: nil, peerNamespace: peer), up: true))
        for (namespace, address) in [(node, Self.nodeAddress), (peer, Self.peerAddress)] {
            let route = try RouteSocket(in: namespace)
            for name in ["lo", "eth0"] {
                let index = try #require(try route.link(named: name)).index
                try route.change(linkIndex: index, LinkChange(up: true))
            }
            let link = try #require(try route.link(named: "eth0")).index
            try route.replace(LinkAddress(linkIndex: link, address: address, prefix: 24))
        }
    }

    /// A fresh link carries nothing until the kernel has noticed both of its ends.
    private func warm() throws {
        for _ in 0..<50 where try passes() == (true, true) { return }
        Issue.record("the link between the two namespaces carries nothing")
    }

    private func set(_ fault: Fault, from: FaultRules.Side, to: FaultRules.Side, remaining: Duration? = nil) throws {
        try Nftables(in: node).commit(
            FaultRules.batch(fault, from: from, to: to, dns: Self.nodeAddress, remaining: remaining))
    }

    private func end(_ name: String) throws {
        var batch = NftBatch(table: FaultRules.tablePrefix + name)
        batch.deleteTable()
        try Nftables(in: node).commit(batch)
    }

    /// How many of `count` datagrams arrive. A free port unless one is named: a program that another test starts at this
    /// moment may hold a copy of the last call's socket until it executes.
    private func arrived(
        from sender: NetworkNamespace, to address: IPAddress, in receiver: NetworkNamespace, port: UInt16 = 0,
        count: Int = 1
    ) throws -> Int {
        func name() -> sockaddr_in {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(address.low).bigEndian
            return name
        }
        let server = try receiver.run { socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        let client = try sender.run { socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        defer {
            close(server)
            close(client)
        }
        var limit = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var place = name()
        let bound = withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(server, $0, length) == 0 && getsockname(server, $0, &length) == 0
            }
        }
        #expect(bound, "errno \(errno)")
        for _ in 0..<count {
            _ = withUnsafePointer(to: &place) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(client, "x", 1, 0, $0, length) }
            }
        }
        var found = 0
        var byte: UInt8 = 0
        while found < count, recv(server, &byte, 1, 0) == 1 { found += 1 }
        return found
    }

    private func passes() throws -> (out: Bool, back: Bool) {
        (
            try arrived(from: node, to: Self.peerAddress, in: peer) == 1,
            try arrived(from: peer, to: Self.nodeAddress, in: node) == 1
        )
    }

    @Test func partitionsGoBothWaysOrOne() throws {
        try warm()
        #expect(try passes() == (true, true))
        let other = FaultRules.Side.address(Self.peerAddress)
        try set(try Fault(name: "p", kind: .partition, from: .node("a"), to: .node("b")), from: .anybody, to: other)
        #expect(try passes() == (false, false))
        try end("p")
        #expect(try passes() == (true, true))
        try set(
            try Fault(name: "p", kind: .partition, from: .node("a"), to: .node("b"), oneWay: true), from: .anybody,
            to: other)
        #expect(try passes() == (false, true))
        try end("p")
        try set(
            try Fault(name: "p", kind: .partition, from: .node("a")), from: .uplink("eth0"), to: .anybody)
        #expect(try passes() == (false, false))
    }

    @Test func faultEndsByItself() throws {
        try warm()
        let fault = try Fault(name: "t", kind: .partition, from: .node("a"))
        try set(fault, from: .uplink("eth0"), to: .anybody, remaining: .milliseconds(300))
        #expect(try !passes().out)
        // Looks until it is over; the kernel's clock decides, and a bound ends a test that would never.
        var rounds = 0
        while try !passes().back, rounds < 100 { rounds += 1 }
        #expect(rounds < 100)
        #expect(try Nftables(in: node).tables()["lab-fault-t"] == .some(fault.comment))
    }

    @Test func lossTakesItsShare() throws {
        try warm()
        try set(
            try Fault(name: "l", kind: .loss(percent: 50), from: .node("a"), oneWay: true), from: .uplink("eth0"),
            to: .anybody)
        let count = try arrived(from: node, to: Self.peerAddress, in: peer, count: 200)
        // 50 is ten standard deviations from the middle.
        #expect((30...170).contains(count), "\(count) of 200 arrived")
        #expect(try arrived(from: peer, to: Self.nodeAddress, in: node, count: 20) == 20)
        try end("l")
        try set(try Fault(name: "l", kind: .loss(percent: 100), from: .node("a")), from: .uplink("eth0"), to: .anybody)
        #expect(try passes() == (false, false))
    }

    @Test func dnsAloneFails() throws {
        try warm()
        try set(try Fault(name: "d", kind: .dns, from: .node("a")), from: .anybody, to: .anybody)
        #expect(try arrived(from: peer, to: Self.nodeAddress, in: node, port: 53) == 0)
        #expect(try passes() == (true, true))
    }

    @Test func resetTellsTheClientAtOnce() throws {
        try warm()
        try set(
            try Fault(name: "r", kind: .reset, from: .node("a"), to: .node("b")), from: .anybody,
            to: .address(Self.peerAddress))
        let client = try node.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        defer { close(client) }
        // Bounds a wait that would else last minutes.
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = UInt16(80).bigEndian
        name.sin_addr.s_addr = UInt32(Self.peerAddress.low).bigEndian
        let error = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 ? 0 : errno
            }
        }
        #expect(error == ECONNREFUSED)
        #expect(try passes() == (true, true))
    }
}
