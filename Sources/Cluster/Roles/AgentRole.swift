import Basics
import Client
import DNS
import Glibc
import Images
import Ingress
import Kubelet
import Linux
import Overlay
import Policy
import Proxy
import Runtime
import Wire

/// The node agent: kubelet, overlay, service proxy, network policies and DNS. Five components in one process;
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
        try shareMounts()
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
            nodeName: record.name, nodeAddresses: [record.address], podNetwork: record.networking.podSubnet,
            client: network, world: world, log: log.named("proxy"))
        let policies = NetworkPolicies(
            nodeName: record.name, client: network, world: world, log: log.named("policy"))
        let dns = try DNSServer(
            addresses: [record.networking.dnsAddress], clusterDomain: Addresses.clusterDomain,
            client: try Connect.component("dns", to: Addresses.node(0), world: world),
            upstreams: Resolvers.upstreams(), world: world, log: log.named("dns"),
            publish: { ports in
                try await blocking.run { try DNSPorts(address: record.networking.dnsAddress).publish(ports) }
            })
        let ingress = IngressServer(
            client: try Connect.component("ingress", to: Addresses.node(0), world: world),
            writesStatus: record.isControlPlane, world: world, log: log.named("ingress"))
        let kubelet = Kubelet(
            configuration: try kubeletConfiguration(), client: client, runtime: LinuxSupervisor(),
            images: StoreImages(
                store: try ImageStore(root: NodeBlueprint.Inside.images),
                owner: "\(record.cluster).\(record.name)", blocking: blocking,
                service: ImageServiceClient(
                    socket: ImageService.socket(in: NodeBlueprint.Inside.hostServices), world: world)),
            network: hasOverlay ? OverlayNetworking(overlay: overlay, policies: policies) : NoPodNetwork(),
            world: world, log: log.named("kubelet"), loop: loop)
        let http = try await kubeletServer(kubelet)
        try await withThrowingTaskGroup { group in
            if hasOverlay { group.addTask { try await overlay.run() } }
            if hasOverlay { group.addTask { try await policies.run() } }
            if record.networking.proxyMode != .none { group.addTask { try await proxy.run() } }
            group.addTask { try await dns.run() }
            group.addTask { try await ingress.run() }
            group.addTask { try await kubelet.run() }
            group.addTask { try await http.run() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private var hasOverlay: Bool { !record.networking.disableDefaultCNI }

    private func kubeletConfiguration() throws -> KubeletConfiguration {
        var configuration = KubeletConfiguration(
            nodeName: record.name, nodeIP: record.address, clusterDNS: [record.networking.dnsAddress],
            clusterDomain: Addresses.clusterDomain)
        if record.isControlPlane {
            configuration.labels = [
                "node-role.kubernetes.io/control-plane": "",
                "node.kubernetes.io/exclude-from-external-load-balancers": "",
            ]
        }
        configuration.labels.merge(record.configuration.labels) { $1 }
        configuration.taints = record.taints.map(\.document)
        configuration.cpuMillis = record.configuration.cpuMillis
        configuration.memoryBytes = record.configuration.memoryBytes
        if let most = record.configuration.maxPods { configuration.maxPods = most }
        configuration.imageDirectory = NodeBlueprint.Inside.images
        if Files.exists(KubeletSettingsFile.path) {
            try KubeletSettingsFile.apply(Files.read(KubeletSettingsFile.path, limit: 1 << 20), to: &configuration)
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

    /// Volumes are mounted while their pod's sandbox comes up, and must be seen in it too if it was faster.
    private func shareMounts() throws {
        guard mount(nil, "/", nil, UInt(MS_SHARED) | UInt(MS_REC), nil) == 0 else {
            throw SystemError("mount --make-rshared", "/", errno: errno)
        }
    }

    /// The cluster's DNS address is on every node's loopback, so that a name is looked up without leaving the node.
    private func giveAddressToDNS() throws {
        let route = try RouteSocket()
        guard let loopback = try route.link(named: "lo") else { throw Failure("this node has no loopback link") }
        try route.replace(
            LinkAddress(
                linkIndex: loopback.index, address: record.networking.dnsAddress, prefix: 32, scopeHost: true))
    }
}

/// The overlay as the kubelet asks for networks.
struct OverlayNetworking: PodNetworking {
    let overlay: Overlay
    let policies: NetworkPolicies

    /// The pod's programs start only after this, so no packet of theirs comes before the policies about it.
    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses {
        let network = try await overlay.attach(podKey: podKey, namespacePath: namespacePath)
        try await policies.attached(uid: podKey, address: network.address)
        return PodAddresses(addresses: [network.address], mtu: network.mtu)
    }

    func publish(podKey: String, ports: [PodHostPort]) async throws {
        let numbers: [String: UInt8] = ["TCP": 6, "UDP": 17, "SCTP": 132]
        try await overlay.publish(
            podKey: podKey,
            ports: ports.compactMap { port in
                numbers[port.transport].map {
                    HostPort(transport: $0, address: port.address, port: port.port, podPort: port.podPort)
                }
            })
    }

    func detach(podKey: String) async throws {
        try await overlay.detach(podKey: podKey)
        await policies.detached(uid: podKey)
    }

    func retain(only keys: Set<String>) async throws { try await overlay.retain(only: keys) }

    func readiness() async -> String? {
        await overlay.ready ? nil : "the pod network is not laid out yet: this node has no podCIDR"
    }

    func awaitReadiness() async throws { try await overlay.waitUntilReady() }
}

/// A node whose pods get their network from somebody else: until then it has none, and says so as upstream does.
struct NoPodNetwork: PodNetworking {
    struct Missing: Error, CustomStringConvertible { let description = NoPodNetwork.message }

    static let message =
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        + "message:Network plugin returns error: cni plugin not initialized"

    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses {
        throw Missing()
    }

    func detach(podKey: String) async throws {}
    func retain(only: Set<String>) async throws {}
    func readiness() async -> String? { Self.message }

    /// Nothing changes for as long as this process lives.
    func awaitReadiness() async throws {
        let (never, _) = AsyncStream.makeStream(of: Void.self)
        for await _ in never {}
        try Task.checkCancellation()
    }
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
