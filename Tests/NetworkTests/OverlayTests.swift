import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay

private func node(_ name: String, _ address: String, _ network: String) -> OverlayNode {
    OverlayNode(name: name, address: IPAddress(address)!, podNetwork: CIDR(network)!)
}

@Suite struct OverlayPlanTests {
    let one = node("a", "10.89.0.2", "10.244.0.0/24")
    let two = node("b", "10.89.0.3", "10.244.1.0/24")

    @Test func nodesAreReadFromDocuments() {
        let document: Document = [
            "metadata": ["name": "b"], "spec": ["podCIDR": "10.244.1.0/24"],
            "status": [
                "addresses": [
                    ["type": "Hostname", "address": "b"], ["type": "InternalIP", "address": "fd00::3"],
                    ["type": "InternalIP", "address": "10.89.0.3"],
                ]
            ],
        ]
        #expect(OverlayNode(document) == two)
        #expect(two.gateway == IPAddress("10.244.1.1"))
        #expect(two.mac.description == "0e:4c:0a:59:00:03")
    }

    @Test(arguments: ["10.244.1.0/31", "fd00::/64", "nonsense", nil])
    func nodesWithoutUsablePodNetworkAreLeftOut(_ network: String?) {
        var document: Document = [
            "metadata": ["name": "b"], "status": ["addresses": [["type": "InternalIP", "address": "10.89.0.3"]]],
        ]
        document.set(network.map { Document($0) }, at: "spec", "podCIDR")
        #expect(OverlayNode(document) == nil)
    }

    @Test func entriesLeadToEveryPeer() {
        let plan = OverlayPlan(own: one, all: [two, one], uplinkMTU: 1500)
        #expect(plan.mtu == 1450)
        let entries = plan.entries(linkIndex: 5)
        #expect(entries.addresses == [LinkAddress(linkIndex: 5, address: IPAddress("10.244.0.1")!, prefix: 32)])
        #expect(
            entries.routes == [
                .unreachable(CIDR("10.244.0.0/24")!),
                Route(CIDR("10.244.1.0/24")!, via: IPAddress("10.244.1.1")!, linkIndex: 5, onlink: true),
            ])
        #expect(entries.neighbours == [Neighbour(linkIndex: 5, address: two.gateway, mac: two.mac)])
        #expect(entries.forwarding == [ForwardingEntry(linkIndex: 5, mac: two.mac, destination: two.address)])
    }

    @Test func ofClashingNodesTheFirstCounts() {
        let thief = node("c", "10.89.0.9", "10.244.1.0/25")
        let ownThief = node("0", "10.89.0.8", "10.244.0.0/24")
        let plan = OverlayPlan(own: one, all: [thief, ownThief, two, one], uplinkMTU: 1500)
        #expect(plan.peers == [two])
    }

    @Test func onlyDifferencesAreChanged() {
        let before = OverlayPlan(own: one, all: [one, two], uplinkMTU: 1500).entries(linkIndex: 5)
        let moved = node("b", "10.89.0.7", "10.244.1.0/24")
        let after = OverlayPlan(own: one, all: [one, moved], uplinkMTU: 1500).entries(linkIndex: 5)
        let change = after.difference(from: before)
        #expect(change.delete.routes.isEmpty && change.add.routes.isEmpty)
        #expect(change.delete.forwarding.map(\.destination) == [two.address])
        #expect(change.add.forwarding.map(\.destination) == [moved.address])
        #expect(change.add.neighbours == [Neighbour(linkIndex: 5, address: two.gateway, mac: moved.mac)])
        #expect(before.difference(from: before).add.isEmpty)
    }

    @Test func linkIsMadeChangedOrMadeAnew() {
        let plan = OverlayPlan(own: one, all: [one], uplinkMTU: 1500)
        #expect(plan.linkSteps(actual: nil) == [.create])
        var link = Link(
            index: 5, name: "lab-vxlan", isUp: true, mtu: 1450, mac: one.mac, kind: "vxlan", vxlan: plan.vxlan)
        #expect(plan.linkSteps(actual: link) == [])
        link.isUp = false
        link.mtu = 1500
        #expect(plan.linkSteps(actual: link) == [.change(up: true, mtu: 1450, mac: nil)])
        link.vxlan?.local = two.address
        #expect(plan.linkSteps(actual: link) == [.delete, .create])
    }
}

@Suite struct AddressPoolTests {
    let scratch: Scratch
    let network = CIDR("10.244.3.0/29")!
    init() throws { scratch = try Scratch() }

    private func pool() throws -> AddressPool { try AddressPool(directory: scratch.path, network: network) }

    @Test func addressesAreGivenOnceAndStay() throws {
        var pool = try pool()
        let first = try pool.take(for: "a")
        #expect(first == IPAddress("10.244.3.2"))
        #expect(try pool.take(for: "a") == first)
        for key in ["b", "c", "d", "e"] { _ = try pool.take(for: key) }
        #expect(pool.count == 5)
        #expect(throws: AddressPool.Exhausted.self) { try pool.take(for: "f") }
        #expect(try pool.release("c") == IPAddress("10.244.3.4"))
        #expect(try pool.take(for: "f") == IPAddress("10.244.3.4"))
    }

    @Test func ownersSurviveARestart() throws {
        var before = try pool()
        let address = try before.take(for: "a")
        _ = try before.take(for: "b")
        try before.release("b")
        var after = try pool()
        #expect(after.keys == ["a"])
        #expect(try after.take(for: "a") == address)
        #expect(try after.take(for: "c") != address)
    }

    @Test func anotherProcessCannotTakeTheSame() throws {
        var one = try pool()
        var other = try pool()
        #expect(try one.take(for: "a") != other.take(for: "b"))
    }

    @Test func leftoversAreCleared() throws {
        try Files.write([], to: "\(scratch.path)/10.244.3.2")
        try Files.write(Array("x".utf8), to: "\(scratch.path)/10.9.9.9")
        try Files.write(Array("y".utf8), to: "\(scratch.path)/.taking-10.244.3.3")
        let pool = try pool()
        #expect(pool.count == 0)
        #expect(try Files.list(scratch.path).isEmpty)
    }
}

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
struct OverlayKernelTests {
    let scratch: Scratch
    let fabric: Fabric
    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
    }

    @Test func podsReachEachOtherUnderTheirOwnAddresses() async throws {
        let (a, b, c) = (
            try await fabric.pod("ns/a", on: 0), try await fabric.pod("ns/b", on: 0),
            try await fabric.pod("ns/c", on: 1)
        )
        #expect(
            c.network == PodNetwork(address: IPAddress("10.244.1.2")!, gateway: IPAddress("10.244.1.1")!, mtu: 1450))
        for (from, to) in [(a, b), (a, c), (c, a)] {
            let server = try TestSocket(to.namespace)
            try server.bind(port: 80)
            #expect(try meet(from.namespace, to.address, 80, server: server) == from.address)
        }
    }

    @Test func nodesAndTheOutsideAreReached() async throws {
        let pod = try await fabric.pod("ns/a", on: 0)
        let server = try TestSocket(pod.namespace)
        try server.bind(port: 80)
        #expect(try meet(fabric.nodes[0].namespace, pod.address, 80, server: server) != nil)
        #expect(try meet(fabric.nodes[1].namespace, pod.address, 80, server: server) == IPAddress("10.244.1.1"))
        let other = try TestSocket(fabric.nodes[1].namespace)
        try other.bind(port: 81)
        #expect(try meet(pod.namespace, fabric.nodes[1].address, 81, server: other) == pod.address)
        let own = try TestSocket(fabric.nodes[0].namespace)
        try own.bind(port: 81)
        #expect(try meet(pod.namespace, fabric.nodes[0].address, 81, server: own) == pod.address)
        // Out there nobody knows pods: they come as their node.
        let outside = try TestSocket(fabric.outside)
        try outside.bind(port: 82)
        #expect(
            try meet(pod.namespace, Fabric.outsideAddress, 82, server: outside) == fabric.nodes[0].address)
    }

    @Test func damageIsRepaired() async throws {
        let (a, c) = (try await fabric.pod("ns/a", on: 0), try await fabric.pod("ns/c", on: 1))
        let server = try TestSocket(c.namespace)
        try server.bind(port: 80)
        let sockets = try RouteSocket(in: fabric.nodes[0].namespace)
        try sockets.delete(linkIndex: #require(try sockets.link(named: "lab-vxlan")).index)
        #expect(throws: SystemError.self) { try meet(a.namespace, c.address, 80, server: server) }
        await fabric.nodes[0].overlay.reconcile()
        #expect(try meet(a.namespace, c.address, 80, server: server) == a.address)
    }

    @Test func attachingTwiceIsOnceAndDetachingLeavesNothing() async throws {
        let overlay = fabric.nodes[0].overlay
        let namespace = try NetworkNamespace.make()
        let first = try await overlay.attach(podKey: "ns/a", namespace: namespace)
        #expect(try await overlay.attach(podKey: "ns/a", namespace: namespace) == first)
        // The pod's sandbox was made anew.
        let renewed = try NetworkNamespace.make()
        #expect(try await overlay.attach(podKey: "ns/a", namespace: renewed) == first)
        let other = try await fabric.pod("ns/b", on: 0)
        let server = try TestSocket(renewed)
        try server.bind(port: 80)
        #expect(try meet(other.namespace, first.address, 80, server: server) == other.address)

        try await overlay.retain(only: ["ns/b"])
        let client = try TestSocket(other.namespace)
        // The address is known to be nobody's.
        #expect(client.connect(first.address, 80) == EHOSTUNREACH)
        try await overlay.detach(podKey: "ns/b")
        try await overlay.detach(podKey: "ns/b")
        let left = try RouteSocket(in: fabric.nodes[0].namespace).links().map(\.name)
        #expect(left.filter { $0.hasPrefix("lab") } == ["lab-vxlan"])
    }

    @Test func nothingIsAttachedBeforeTheNodeHasANetwork() async throws {
        let overlay = Overlay(
            nodeName: "x", nodeIP: .loopback, client: .init(transport: NoServer(), userAgent: "test"),
            stateDirectory: scratch.path, world: stillWorld, log: .silent, namespace: try NetworkNamespace.make())
        let namespace = try NetworkNamespace.make()
        await #expect(throws: Overlay.NotReady.self) { try await overlay.attach(podKey: "a", namespace: namespace) }
        #expect(await !overlay.ready)
    }

    /// An agent that was killed knows its pods' addresses again only with the network. A pod that ends before has to
    /// wait, or its address would be taken for good.
    @Test func noAddressIsForgottenWhileTheNetworkIsUnknown() async throws {
        var earlier = try AddressPool(directory: "\(scratch.path)/addresses", network: #require(CIDR("10.244.1.0/24")))
        _ = try earlier.take(for: "held")
        let overlay = Overlay(
            nodeName: "x", nodeIP: .loopback, client: .init(transport: NoServer(), userAgent: "test"),
            stateDirectory: scratch.path, world: stillWorld, log: .silent, namespace: try NetworkNamespace.make())
        await #expect(throws: Overlay.NotReady.self) { try await overlay.detach(podKey: "held") }
        // One that never had an address goes as it came.
        try await overlay.detach(podKey: "never")
    }
}
