import Basics
import Linux
import Runtime

/// A cluster's network: its own namespace with a bridge that every node hangs on,
/// owned by the cluster's supervisor and gone with it.
public struct Fabric: Sendable {
    static let bridge = "lab0"
    static let hostNamespace = "host-net"

    let cluster: ClusterLayout
    let sandbox: any Sandbox

    /// Starts the supervisor at the root of the cluster's process tree. It has a pid namespace of its own:
    /// when it ends, the kernel ends every node, pod and container below it.
    static func start(cluster: ClusterLayout, binary: String) async throws -> Fabric {
        var specification = SandboxSpecification(id: cluster.name, stateDirectory: cluster.state)
        specification.namespaces = [.pid: .new, .network: .new, .mount: .new]
        specification.mounts = [
            Mount(source: "proc", target: "/proc", type: "proc", options: ["nosuid", "noexec", "nodev"])
        ]
        specification.cgroup = "\(cluster.cgroup)/supervisor"
        specification.privileges.capabilities = nil
        specification.privileges.allDevices = true
        specification.heldNamespaces = [hostNamespace: "/proc/self/ns/net"]
        // From the cluster's own copy of the binary, which stays when the user's is rebuilt or removed.
        let sandbox = try await LinuxSupervisor(selfPath: binary).launch(specification)
        let fabric = Fabric(cluster: cluster, sandbox: sandbox)
        try fabric.layBridge()
        return fabric
    }

    private func layBridge() throws {
        let route = try RouteSocket(in: try NetworkNamespace(processID: sandbox.pid))
        try Self.setUp("lo", route)
        try route.create(NewLink(Self.bridge, .bridge, up: true))
        let bridge = try Self.index(of: Self.bridge, route)
        try route.replace(
            LinkAddress(linkIndex: bridge, address: Addresses.gateway, prefix: Addresses.nodes.prefix))
    }

    /// Makes the way to the host, without which the cluster is an island.
    func linkToHost(egress: Bool) throws -> HostLink {
        try HostLink.lay(fabric: try NetworkNamespace(processID: sandbox.pid), egress: egress, cluster: cluster)
    }

    /// Gives a node its `eth0` on the bridge. The peer is born in the node's namespace, under its final name.
    func connect(nodeSupervisor pid: Int32, address: IPAddress, index: Int) throws {
        let route = try RouteSocket(in: try NetworkNamespace(processID: sandbox.pid))
        let nodeNamespace = try NetworkNamespace(processID: pid)
        let port = "node\(index)"
        try route.create(
            NewLink(port, .veth(peerName: "eth0", peerMAC: nil, peerNamespace: nodeNamespace), up: true))
        let bridge = try Self.index(of: Self.bridge, route)
        try route.change(linkIndex: try Self.index(of: port, route), LinkChange(masterIndex: bridge))

        let inside = try RouteSocket(in: nodeNamespace)
        try Self.setUp("lo", inside)
        try Self.setUp("eth0", inside)
        let link = try Self.index(of: "eth0", inside)
        try inside.replace(LinkAddress(linkIndex: link, address: address, prefix: Addresses.nodes.prefix))
        try inside.replace(Route(CIDR(.any, prefix: 0), via: Addresses.gateway, linkIndex: link))
    }

    private static func index(of link: String, _ route: RouteSocket) throws -> Int32 {
        guard let found = try route.link(named: link) else {
            throw Failure("the network link \(link) is missing right after it was made")
        }
        return found.index
    }

    private static func setUp(_ link: String, _ route: RouteSocket) throws {
        try route.change(linkIndex: try index(of: link, route), LinkChange(up: true))
    }

    /// Publishes an address of the cluster's network on a port of the host, until the cluster ends.
    func publish(listen: Endpoint, target: Endpoint) async throws {
        guard case .ip(_, let port) = listen else { return }
        var process = ProcessSpecification(
            id: "port-\(port)",
            arguments: [
                cluster.binary, "role", "forward", "--listen", "\(listen)", "--target", "\(target)", "--namespace", "9",
            ])
        process.environment = ["PATH=/bin", "SWIFT_ROOT=/"]
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        process.cgroup = "\(cluster.cgroup)/ports"
        process.heldDescriptors = [9: Self.hostNamespace]
        process.output = .file(path: "\(cluster.logs)/port-\(port).log")
        process.restart = .always(maximumBackoffSeconds: 5)
        _ = try await sandbox.start(process)
    }
}
