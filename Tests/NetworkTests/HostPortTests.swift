import Basics
import Glibc
import Linux
import Testing

@testable import Overlay

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class HostPortTests {
    let scratch: Scratch
    let fabric: Fabric
    let pod: Fabric.Pod
    let other: Fabric.Pod
    let server: TestSocket

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        pod = try await fabric.pod("pod", on: 0)
        other = try await fabric.pod("other", on: 0)
        server = try TestSocket(pod.namespace)
        try server.bind(port: 8080)
        let lo = try RouteSocket(in: fabric.nodes[0].namespace)
        try lo.change(linkIndex: try #require(try lo.link(named: "lo")).index, LinkChange(up: true))
    }

    private var node: Fabric.Node { fabric.nodes[0] }

    @Test func portLeadsToThePodFromEverywhere() async throws {
        try await node.overlay.publish(
            podKey: "pod", ports: [HostPort(transport: 6, address: nil, port: 8888, podPort: 8080)])
        #expect(try meet(fabric.outside, node.address, 8888, server: server) == Fabric.outsideAddress)
        #expect(try meet(other.namespace, node.address, 8888, server: server) == other.address)
        #expect(try meet(pod.namespace, node.address, 8888, server: server) != nil)
        #expect(try meet(node.namespace, node.address, 8888, server: server) != nil)
        #expect(try meet(node.namespace, .loopback, 8888, server: server) != nil)
    }

    @Test func oneAddressIsOneAddress() async throws {
        try await node.overlay.publish(
            podKey: "pod", ports: [HostPort(transport: 6, address: .loopback, port: 8888, podPort: 8080)])
        #expect(try meet(node.namespace, .loopback, 8888, server: server) != nil)
        #expect(try TestSocket(fabric.outside).connect(node.address, 8888) == ECONNREFUSED)
    }

    @Test func portIsFreeWithItsPod() async throws {
        let port = HostPort(transport: 6, address: nil, port: 8888, podPort: 8080)
        try await node.overlay.publish(podKey: "pod", ports: [port])
        try await node.overlay.publish(podKey: "pod", ports: [port])
        try await node.overlay.detach(podKey: "pod")
        #expect(try TestSocket(fabric.outside).connect(node.address, 8888) == ECONNREFUSED)
        let successor = try TestSocket(other.namespace)
        try successor.bind(port: 8080)
        try await node.overlay.publish(podKey: "other", ports: [port])
        #expect(try meet(fabric.outside, node.address, 8888, server: successor) != nil)
        await #expect(throws: Overlay.NotReady.self) {
            try await node.overlay.publish(podKey: "nobody", ports: [port])
        }
    }
}
