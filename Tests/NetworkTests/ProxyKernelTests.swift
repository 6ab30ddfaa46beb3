import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay
@testable import Proxy

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class ProxyKernelTests {
    static let cluster = IPAddress("10.96.0.5")!
    let scratch: Scratch
    let fabric: Fabric
    let planner = ServicePlanner(nodeName: "node0", nodeAddresses: [IPAddress("10.89.0.2")!])
    /// The proxy of node 0.
    var kernel: ProxyKernel
    var table = ProxyTable()
    /// Two pods on node 0, one on node 1.
    let near: Fabric.Pod
    let other: Fabric.Pod
    let far: Fabric.Pod

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        kernel = try ProxyKernel(namespace: fabric.nodes[0].namespace)
        near = try await fabric.pod("ns/near", on: 0)
        other = try await fabric.pod("ns/other", on: 0)
        far = try await fabric.pod("ns/far", on: 1)
        try kernel.rebuild(table)
    }

    private func set(_ service: Document?, _ slices: [Document] = [], key: String = "ns/s") throws {
        let plan = service.map { planner.plan(service: $0, slices: slices) }
        try kernel.apply(table.update([(key: key, plan: plan)]))
    }

    private func at(_ pod: Fabric.Pod) -> Document {
        endpoint("\(pod.address)", node: pod.address.bytes[2] == 0 ? "node0" : "node1")
    }

    private func listener(_ pod: Fabric.Pod) throws -> TestSocket {
        let socket = try TestSocket(pod.namespace)
        try socket.bind(port: 8080)
        return socket
    }

    /// Connects once; answers which of the servers got it, and from whom.
    private func hit(
        _ client: NetworkNamespace, _ address: IPAddress, _ port: UInt16, _ servers: [TestSocket]
    ) throws -> (Int, IPAddress) {
        let socket = try TestSocket(client)
        let error = socket.connect(address, port)
        guard error == 0 else { throw SystemError("connect", "\(address):\(port)", errno: error) }
        // The handshake's last packet may still be on its way.
        var entries = servers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 3000) > 0,
            let index = entries.firstIndex(where: { $0.revents != 0 }), let accepted = servers[index].accept()
        else { throw SystemError("accept", errno: EAGAIN) }
        return (index, accepted.1)
    }

    @Test func clusterAddressIsBalancedOverNodes() throws {
        let servers = [try listener(other), try listener(far)]
        try set(service("10.96.0.5"), [slice([at(other), at(far)])])
        // One of 2^40 runs takes only one of them.
        let fromPod = try (0..<40).map { _ in try hit(near.namespace, Self.cluster, 80, servers) }
        #expect(Set(fromPod.map(\.0)) == [0, 1])
        #expect(Set(fromPod.map(\.1)) == [near.address])
        let fromNode = try (0..<40).map { _ in try hit(fabric.nodes[0].namespace, Self.cluster, 80, servers) }
        #expect(Set(fromNode.map(\.0)) == [0, 1])
        // Through the tunnel the node comes under its address among the pods, so that answers use the tunnel too.
        #expect(fromNode.filter { $0.0 == 1 }.allSatisfy { $0.1 == IPAddress("10.244.0.1") })
        // Fewer endpoints, more, none.
        try set(service("10.96.0.5"), [slice([at(far)])])
        #expect(try (0..<10).allSatisfy { _ in try hit(near.namespace, Self.cluster, 80, servers).0 == 1 })
        try set(nil)
        #expect(throws: SystemError.self) { try hit(near.namespace, Self.cluster, 80, servers) }
    }

    @Test func serviceWithoutEndpointsRefuses() throws {
        try set(service("10.96.0.5"))
        for client in [near.namespace, fabric.nodes[0].namespace] {
            #expect(try TestSocket(client).connect(Self.cluster, 80) == ECONNREFUSED)
            // A port that no service has.
            #expect(try TestSocket(client).connect(Self.cluster, 81) == ECONNREFUSED)
        }
        try set(service("10.96.0.5", protocolName: "UDP"))
        let socket = try TestSocket(near.namespace, datagrams: true)
        #expect(socket.connect(Self.cluster, 80) == 0)
        #expect(socket.send("x") == 0)
        #expect(socket.receive() == nil && errno == ECONNREFUSED)
    }

    @Test func podReachesItselfThroughItsService() throws {
        let server = try listener(near)
        try set(service("10.96.0.5"), [slice([at(near)])])
        let (_, client) = try hit(near.namespace, Self.cluster, 80, [server])
        #expect(client != near.address)
        #expect(try hit(other.namespace, Self.cluster, 80, [server]).1 == other.address)
    }

    @Test func nodePortIsReachedFromOutside() throws {
        let server = try listener(far)
        func document(_ policy: String) -> Document {
            service("10.96.0.5", type: "NodePort") {
                $0.set([["name": "p", "port": 80, "nodePort": 30080]], at: "spec", "ports")
                $0.set(Document(policy), at: "spec", "externalTrafficPolicy")
                $0.set(["192.0.2.9"], at: "spec", "externalIPs")
            }
        }
        let address = fabric.nodes[0].address
        try set(document("Cluster"), [slice([at(far)])])
        for client in [fabric.outside, near.namespace, fabric.nodes[0].namespace, fabric.nodes[1].namespace] {
            // Masqueraded, so that the answer finds back through node 0.
            let source = try hit(client, address, 30080, [server]).1
            #expect(source == IPAddress("10.244.0.1"))
        }
        #expect(try hit(near.namespace, IPAddress("192.0.2.9")!, 80, [server]).1 == IPAddress("10.244.0.1"))

        let local = try listener(other)
        try set(document("Local"), [slice([at(far), at(other)])])
        for _ in 0..<8 {
            let (index, source) = try hit(fabric.outside, address, 30080, [server, local])
            #expect(index == 1 && source == Fabric.outsideAddress)
        }
        try set(document("Cluster"))
        #expect(try TestSocket(fabric.outside).connect(address, 30080) == ECONNREFUSED)
    }

    @Test func affinityHoldsUntilTheEndpointIsGone() throws {
        let servers = [try listener(other), try listener(far)]
        let document = service("10.96.0.5") { $0.set("ClientIP", at: "spec", "sessionAffinity") }
        try set(document, [slice([at(other), at(far)])])
        let first = try hit(near.namespace, Self.cluster, 80, servers).0
        for _ in 0..<20 { #expect(try hit(near.namespace, Self.cluster, 80, servers).0 == first) }
        // Another endpoint does not move the client.
        try set(document, [slice([at(other), at(far), at(near)])])
        for _ in 0..<20 { #expect(try hit(near.namespace, Self.cluster, 80, servers).0 == first) }
        // Its own one's end does, once.
        try set(document, [slice([at(first == 0 ? far : other)])])
        for _ in 0..<5 { #expect(try hit(near.namespace, Self.cluster, 80, servers).0 == 1 - first) }
        try set(document, [slice([at(other), at(far)])])
        for _ in 0..<20 { #expect(try hit(near.namespace, Self.cluster, 80, servers).0 == 1 - first) }
    }

    @Test func datagramsFollowTheEndpoints() throws {
        let servers = try [other, far].map { pod in
            let socket = try TestSocket(pod.namespace, datagrams: true)
            try socket.bind(port: 8080, listen: nil)
            return socket
        }
        let document = service("10.96.0.5", protocolName: "UDP")
        try set(document, [slice([at(other)], protocolName: "UDP")])
        let client = try TestSocket(near.namespace, datagrams: true)
        #expect(client.connect(Self.cluster, 80) == 0)
        #expect(client.send("one") == 0)
        #expect(servers[0].receive() == "one")
        // The same socket, so the same flow, goes to the new endpoint.
        try set(document, [slice([at(far)], protocolName: "UDP")])
        #expect(client.send("two") == 0)
        #expect(servers[1].receive() == "two")
        #expect(!servers[0].hasWaiting())
    }

    @Test func rebuildingKeepsServices() throws {
        let server = try listener(other)
        try set(service("10.96.0.5"), [slice([at(other)])])
        var batch = NftBatch(table: "lab-proxy")
        batch.deleteTable()
        try Nftables(in: fabric.nodes[0].namespace).commit(batch)
        #expect(try !kernel.isInPlace())
        try kernel.rebuild(table)
        #expect(try kernel.isInPlace())
        #expect(try hit(near.namespace, Self.cluster, 80, [server]).1 == near.address)
        // And goes on by changes.
        try set(service("10.96.0.5"), [slice([at(other), at(near)])])
    }

    @Test(.enabled(if: access("/usr/sbin/nft", X_OK) == 0, "needs nft"))
    func nftReadsTheTable() throws {
        let document = service("10.96.0.5") { $0.set("ClientIP", at: "spec", "sessionAffinity") }
        try set(document, [slice([at(other), at(far)])])
        try set(service("10.96.0.6"), [slice([at(other)])], key: "ns/t")
        let text = try fabric.nodes[0].namespace.run {
            guard let pipe = popen("/usr/sbin/nft list ruleset", "r") else { throw SystemError("nft", errno: errno) }
            defer { pclose(pipe) }
            var text: [UInt8] = []
            while case let byte = fgetc(pipe), byte >= 0 { text.append(UInt8(byte)) }
            return String(decoding: text, as: UTF8.self)
        }
        for line in [
            "10.96.0.5 . tcp . 80 : goto sticky-2-10800", "10.96.0.6 . tcp . 80 : goto balance-1",
            "numgen random mod 1 map @endpoints-1", "ct status dnat ip saddr . ip daddr @hairpin masquerade",
        ] { #expect(text.contains(line), "\(line)\n\(text)") }
    }
}
