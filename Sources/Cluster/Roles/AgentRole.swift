import Basics
import Client
import DNS
import Images
import Ingress
import Kubelet
import Linux
import Overlay
import Proxy
import Runtime
import Wire

/// The node agent: kubelet, overlay, service proxy and DNS. Four components in one process;
/// they meet only where a node's own parts must (the kubelet asks the overlay for a pod's address).
public struct AgentRole: Sendable {
    let record: NodeRecord
    let loop: EventLoop
    let world: World
    let log: Log

    public init(record: NodeRecord, loop: EventLoop, world: World, log: Log) {
        self.record = record
        self.loop = loop
        self.world = world
        self.log = log
    }

    public func run() async throws {
        // The API server's address is the control plane's, and that is node 0.
        let client = try Connect.component("kubelet-client", to: Addresses.node(0), world: world)
        let blocking = BlockingPool()
        try giveAddressToDNS()
        // A kubelet sees its own node alone; the network has to know all of them.
        let network = try Connect.component("kube-proxy", to: Addresses.node(0), world: world)
        let overlay = Overlay(
            nodeName: record.name, nodeIP: record.address, client: network, stateDirectory: "/var/lib/overlay",
            world: world, log: log.named("overlay"))
        let proxy = Proxy(
            nodeName: record.name, nodeAddresses: [record.address],
            client: network, world: world,
            log: log.named("proxy"))
        let dns = try DNSServer(
            addresses: [Addresses.dns], clusterDomain: Addresses.clusterDomain,
            client: try Connect.component("dns", to: Addresses.node(0), world: world),
            upstreams: Resolvers.upstreams(), world: world, log: log.named("dns"),
            publish: { ports in
                try await blocking.run { try DNSPorts(address: Addresses.dns).publish(ports) }
            })
        let ingress = IngressServer(
            client: try Connect.component("ingress", to: Addresses.node(0), world: world),
            writesStatus: record.isControlPlane, world: world, log: log.named("ingress"))
        let kubelet = Kubelet(
            configuration: kubeletConfiguration, client: client, runtime: LinuxSupervisor(),
            images: StoreImages(
                store: try ImageStore(root: NodeBlueprint.Inside.images), blocking: blocking),
            network: OverlayNetworking(overlay: overlay), world: world, log: log.named("kubelet"), loop: loop)
        let http = try await kubeletServer(kubelet)
        try await withThrowingTaskGroup { group in
            group.addTask { try await overlay.run() }
            group.addTask { try await proxy.run() }
            group.addTask { try await dns.run() }
            group.addTask { try await ingress.run() }
            group.addTask { try await kubelet.run() }
            group.addTask { try await http.run() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private var kubeletConfiguration: KubeletConfiguration {
        var configuration = KubeletConfiguration(
            nodeName: record.name, nodeIP: record.address, clusterDNS: [Addresses.dns],
            clusterDomain: Addresses.clusterDomain)
        if record.isControlPlane {
            configuration.labels = [
                "node-role.kubernetes.io/control-plane": "",
                "node.kubernetes.io/exclude-from-external-load-balancers": "",
            ]
            configuration.taints = [["key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"]]
        }
        return configuration
    }

    private func kubeletServer(_ kubelet: Kubelet) async throws -> HTTPServer {
        let pki = "\(NodeBlueprint.Inside.configuration)/pki"
        let tls = try TLSServerContext(
            certificatePEM: try Files.read("\(pki)/kubelet-server.crt"),
            keyPEM: try Files.read("\(pki)/kubelet-server.key"), clientCAPEM: try Files.read("\(pki)/ca.crt"))
        let listener = try await world.network.listen(on: .ip(.any, port: Addresses.kubeletPort))
        return HTTPServer(
            listener: listener, tls: tls, clock: world.clock, log: log.named("kubelet-http"), handler: kubelet.handler)
    }

    /// The cluster's DNS address is on every node's loopback, so that a name is looked up without leaving the node.
    private func giveAddressToDNS() throws {
        let route = try RouteSocket()
        guard let loopback = try route.link(named: "lo") else { throw Failure("this node has no loopback link") }
        try route.replace(LinkAddress(linkIndex: loopback.index, address: Addresses.dns, prefix: 32))
    }
}

/// The content store as the kubelet asks for images. Registries are not reached from here yet, and it says so.
struct StoreImages: ImageSource {
    let store: ImageStore
    let blocking: BlockingPool

    func resolve(_ reference: String) async throws -> Image? {
        try await blocking.run { try store.resolve(reference) }
    }

    func list() async throws -> [Image] { try await blocking.run { try store.list() } }

    func pull(_ reference: String) async throws -> Image {
        if let image = try await resolve(reference) { return image }
        throw Failure(
            "\(reference) is not in the content store, and pulling from registries is not supported yet",
            remedy: "load it with 'lab load ARCHIVE'")
    }
}

/// The overlay as the kubelet asks for networks.
struct OverlayNetworking: PodNetworking {
    let overlay: Overlay

    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses {
        let network = try await overlay.attach(podKey: podKey, namespacePath: namespacePath)
        return PodAddresses(addresses: [network.address], mtu: network.mtu)
    }

    func detach(podKey: String) async throws { try await overlay.detach(podKey: podKey) }
    func retain(only keys: Set<String>) async throws { try await overlay.retain(only: keys) }

    func readiness() async -> String? {
        await overlay.ready ? nil : "the pod network is not laid out yet: this node has no podCIDR"
    }

    func awaitReadiness() async throws { try await overlay.waitUntilReady() }
}

enum Resolvers {
    /// Servers of the node's `resolv.conf` that can be reached from here: not those on the host's own loopback.
    static func upstreams() -> [Endpoint] {
        let text = (try? Files.text("/etc/resolv.conf")) ?? ""
        return text.split(separator: "\n").compactMap { line -> Endpoint? in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, words[0] == "nameserver", let address = IPAddress(words[1]),
                address.isIPv6 || address.low >> 24 != 127
            else { return nil }
            return .ip(address, port: 53)
        }
    }
}
