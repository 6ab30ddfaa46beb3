import Basics
import Glibc
import Linux
import Testing

@testable import Cluster

@Suite struct NetworkTraceTests {
    @Test func targetsHaveAPlaceAndPerhapsAPort() throws {
        #expect(try NetworkTrace.Target("service/ns/web:80").port == 80)
        #expect(try NetworkTrace.Target("pod/ns/web").port == nil)
        let datagram = try NetworkTrace.Target("service/kube-system/kube-dns:53/udp")
        #expect(datagram.isDatagram && datagram.port == 53)
        #expect(datagram.place == .service(namespace: "kube-system", name: "kube-dns"))
        for text in [
            "", "web", "node/a", "service/ns/web:", "service/ns/web:0", "service/ns/web:70000", "pod/ns/p:x/udp",
        ] {
            #expect(throws: UsageError.self, "\(text)") { try NetworkTrace.Target(text) }
        }
    }

    private let syn: [UInt8] =
        [UInt8](repeating: 2, count: 12) + [8, 0]
        + [0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 244, 0, 2, 10, 244, 1, 3]
        + [0x1F, 0x90, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]

    @Test func headersAreRead() {
        let packet = CapturedPacket(syn)
        #expect(packet.text == "10.244.0.2:8080 → 10.244.1.3:80 TCP SYN, 54 bytes")
        #expect(packet.concerns(host: IPAddress("10.244.1.3"), port: 8080))
        #expect(!packet.concerns(host: IPAddress("10.244.1.4"), port: nil))
        #expect(!packet.concerns(host: nil, port: 81))
        var fragment = syn
        fragment[14 + 7] = 9
        #expect(CapturedPacket(fragment).sourcePort == nil)
        var arp = syn
        arp[12...13] = [8, 6]
        #expect(CapturedPacket(arp).text == "ARP, 54 bytes")
    }

    @Test func anyFrameCanBeLookedAt() {
        // Cut off anywhere, and with each byte at its largest.
        for length in 0...syn.count { _ = CapturedPacket(Array(syn.prefix(length))).text }
        for place in syn.indices {
            var frame = syn
            frame[place] = 255
            _ = CapturedPacket(frame).text
        }
    }

    @Test func filesAreThoseOfTcpdump() {
        #expect(
            PacketFile.header == [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0] + [UInt8](repeating: 0, count: 8) + [
                255, 255, 0, 0, 1, 0, 0, 0,
            ])
        let record = PacketFile.record([1, 2, 3], at: Timestamp(seconds: 258))
        #expect(record == [2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3])
        #expect(PacketFile.record([UInt8](repeating: 0, count: 70_000), at: Timestamp(seconds: 0)).count == 16 + 65_535)
    }
}

@Suite(.enabled(if: geteuid() == 0, "needs the right to make network namespaces"))
struct PacketSocketTests {
    @Test func framesOfALinkAreSeen() throws {
        let namespace = try NetworkNamespace.make()
        let routes = try RouteSocket(in: namespace)
        let link = try #require(try routes.link(named: "lo")).index
        try routes.change(linkIndex: link, LinkChange(up: true))
        let seen = try EventLoop.run { loop in
            let socket = try await PacketSocket(linkIndex: link, in: namespace, loop: loop)
            let sender = try namespace.run { Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) }
            defer { close(sender) }
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = UInt16(9).bigEndian
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            _ = withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(sender, "hello", 5, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            return CapturedPacket(try await socket.next())
        }
        #expect(seen.destinationPort == 9 && seen.transport == 17, "\(seen.text)")
    }
}
