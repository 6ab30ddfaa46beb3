import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay
@testable import Proxy

/// Where traffic that may go anywhere should go: nearness, and what balancers outside are told.
@Suite struct BalancerPlanTests {
    private func planner(_ node: String, zone: String? = nil) -> ServicePlanner {
        ServicePlanner(nodeName: node, nodeAddresses: [IPAddress("10.89.0.2")!], zone: zone)
    }

    private func hinted(_ address: String, node: String, nodes: [String] = [], zones: [String] = []) -> Document {
        var endpoint = endpoint(address, node: node)
        var hints: Document = [:]
        if !nodes.isEmpty { hints["forNodes"] = Document(nodes.map { ["name": Document($0)] }) }
        if !zones.isEmpty { hints["forZones"] = Document(zones.map { ["name": Document($0)] }) }
        if hints.count > 0 { endpoint["hints"] = hints }
        return endpoint
    }

    private func chosen(_ planner: ServicePlanner, _ endpoints: [Document]) -> [String] {
        let plan = planner.plan(service: service("10.96.0.5"), slices: [slice(endpoints)])
        guard case .balance(let backends, _)? = plan.frontends.values.first?.treatment else { return [] }
        return backends.map { "\($0.address)" }
    }

    @Test func hintsNarrowWhereEveryEndpointHasThem() {
        let both = [
            hinted("10.244.0.2", node: "node0", nodes: ["node0"], zones: ["a"]),
            hinted("10.244.1.2", node: "node1", nodes: ["node1"], zones: ["b"]),
        ]
        #expect(chosen(planner("node0"), both) == ["10.244.0.2"])
        #expect(chosen(planner("node2", zone: "b"), both) == ["10.244.1.2"])
        #expect(chosen(planner("node2", zone: "c"), both) == ["10.244.0.2", "10.244.1.2"])
        #expect(chosen(planner("node2"), both) == ["10.244.0.2", "10.244.1.2"])
        let mixed = both + [hinted("10.244.2.2", node: "node2")]
        #expect(chosen(planner("node0", zone: "a"), mixed).count == 3)
    }

    @Test func balancerHasAnAnnouncerAndAHealthPort() {
        var document = service("10.96.0.5", type: "LoadBalancer") {
            $0.set("Local", at: "spec", "externalTrafficPolicy")
            $0.set(32000, at: "spec", "healthCheckNodePort")
            $0.set([["ip": "198.19.0.1", "ipMode": "VIP"]], at: "status", "loadBalancer", "ingress")
            $0.set("node0", at: "metadata", "annotations", "lab.dev/announcing-node")
            $0.set("ns", at: "metadata", "namespace")
            $0.set("s", at: "metadata", "name")
        }
        let slices = [slice([endpoint("10.244.0.2", node: "node0"), endpoint("10.244.1.2", node: "node1")])]
        let plan = planner("node0").plan(service: document, slices: slices)
        #expect(plan.announced == [IPAddress("198.19.0.1")!])
        #expect(plan.healthCheck == HealthCheck(port: 32000, service: "ns/s", localEndpoints: 1))
        let frontend = Frontend(IPAddress("198.19.0.1")!, .tcp, 80)
        #expect(plan.frontends[frontend]?.inside?.endpoints == 2)
        let other = planner("node2").plan(service: document, slices: slices)
        #expect(other.announced.isEmpty && other.healthCheck?.localEndpoints == 0)
        #expect(other.frontends[frontend]?.treatment == .drop)
        // An address that is the node's own is never taken from it.
        document.set([["ip": "10.89.0.2"]], at: "status", "loadBalancer", "ingress")
        let own = planner("node0").plan(service: document, slices: slices)
        #expect(own.announced.isEmpty && own.clusterAddresses == [IPAddress("10.96.0.5")!])
    }

    @Test func healthAnswersAsOthersDo() {
        let good = HealthCheck(port: 1, service: "ns/s", localEndpoints: 2).response(isHealthy: true)
        #expect(good.status == 200 && good.headers["X-Load-Balancing-Endpoint-Weight"] == "2")
        #expect(HealthCheck(port: 1, service: "ns/s", localEndpoints: 0).response(isHealthy: true).status == 503)
        #expect(HealthCheck(port: 1, service: "ns/s", localEndpoints: 2).response(isHealthy: false).status == 503)
    }
}

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class BalancerKernelTests {
    static let balancer = IPAddress("198.19.0.1")!
    let scratch: Scratch
    let fabric: Fabric
    let planner = ServicePlanner(nodeName: "node0", nodeAddresses: [IPAddress("10.89.0.2")!])
    var kernel: ProxyKernel
    var table = ProxyTable()
    let near: Fabric.Pod
    let far: Fabric.Pod

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        kernel = try ProxyKernel(namespace: fabric.nodes[0].namespace, podNetwork: CIDR("10.244.0.0/16")!)
        near = try await fabric.pod("ns/near", on: 0)
        far = try await fabric.pod("ns/far", on: 1)
        try kernel.rebuild(table)
        // The balancers' network is on the link that all nodes share.
        let outside = try RouteSocket(in: fabric.outside)
        try outside.replace(
            Route(CIDR("198.19.0.0/24")!, linkIndex: try outside.link(named: "br0")!.index, scopeLink: true))
    }

    private func set(_ change: (inout Document) -> Void = { _ in }, endpoints: [Document]) throws {
        let document = service("10.96.0.5", type: "LoadBalancer") {
            $0.set([["ip": "198.19.0.1"]], at: "status", "loadBalancer", "ingress")
            $0.set("node0", at: "metadata", "annotations", "lab.dev/announcing-node")
            change(&$0)
        }
        let plan = planner.plan(service: document, slices: [slice(endpoints)])
        try kernel.apply(table.update([(key: "ns/s", plan: plan)]))
    }

    private func announce(_ node: Int, _ addresses: Set<IPAddress>) throws {
        try ServiceAnnouncer(nodeAddress: fabric.nodes[node].address, namespace: fabric.nodes[node].namespace)
            .apply(addresses)
    }

    @Test func announcedAddressIsReachedFromOutsideAndMoves() throws {
        let server = try TestSocket(far.namespace)
        try server.bind(port: 8080)
        try set(endpoints: [endpoint("\(far.address)", node: "node1")])
        try announce(0, [Self.balancer])
        try announce(0, [Self.balancer])
        #expect(try meet(fabric.outside, Self.balancer, 80, server: server) == IPAddress("10.244.0.1"))
        // A port that the service does not have is refused, whatever the node listens on.
        let own = try TestSocket(fabric.nodes[0].namespace)
        try own.bind(port: 10250)
        #expect(try TestSocket(fabric.outside).connect(Self.balancer, 10250) == ECONNREFUSED)
        // The other node takes over, and the neighbours hear of it at once.
        try announce(0, [])
        try announce(1, [Self.balancer])
        let elsewhere = try TestSocket(fabric.nodes[1].namespace)
        try elsewhere.bind(port: 80)
        #expect(try TestSocket(fabric.outside).connect(Self.balancer, 80) == 0)
    }

    @Test func localPolicyTurnsOnlyOutsidersAway() throws {
        let server = try TestSocket(far.namespace)
        try server.bind(port: 8080)
        try announce(0, [Self.balancer])
        try set(
            { $0.set("Local", at: "spec", "externalTrafficPolicy") },
            endpoints: [endpoint("\(far.address)", node: "node1")])
        #expect((try? meet(near.namespace, Self.balancer, 80, server: server)) == near.address)
        #expect((try? meet(fabric.nodes[0].namespace, Self.balancer, 80, server: server)) == IPAddress("10.244.0.1"))
        let outsider = try TestSocket(fabric.outside)
        var limit = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(outsider.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        #expect(outsider.connect(Self.balancer, 80) != 0)
        // And by elements alone it is taken back.
        try set(endpoints: [endpoint("\(far.address)", node: "node1")])
        #expect((try? meet(fabric.outside, Self.balancer, 80, server: server)) == IPAddress("10.244.0.1"))
    }

    @Test func sourceRangesGuardTheAddress() throws {
        let server = try TestSocket(far.namespace)
        try server.bind(port: 8080)
        try announce(0, [Self.balancer])
        let ends = [endpoint("\(far.address)", node: "node1")]
        try set({ $0.set(["192.0.2.0/24", "10.89.0.1/32"], at: "spec", "loadBalancerSourceRanges") }, endpoints: ends)
        #expect(try meet(fabric.outside, Self.balancer, 80, server: server) != nil)
        try set({ $0.set(["192.0.2.0/24"], at: "spec", "loadBalancerSourceRanges") }, endpoints: ends)
        let outsider = try TestSocket(fabric.outside)
        var limit = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(outsider.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        #expect(outsider.connect(Self.balancer, 80) != 0)
        #expect(try meet(near.namespace, IPAddress("10.96.0.5")!, 80, server: server) == near.address)
    }
}
