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
        try await fabric.startImageService(binary: binary)
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

    /// Starts the process that pulls images for the nodes, which have no way to registries themselves.
    private func startImageService(binary: String) async throws {
        try Files.makeDirectories(cluster.hostServices, mode: 0o700)
        try Files.makeDirectories(cluster.logs)
        var process = ProcessSpecification(
            id: "images",
            arguments: [
                binary, "role", "images", "--listen", ImageService.socket(in: cluster.hostServices),
                "--store", cluster.images, "--home", cluster.home, "--namespace", "9",
            ])
        process.environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "SWIFT_ROOT=/"] + ImageService.inheritedEnvironment
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        process.cgroup = "\(cluster.cgroup)/images"
        process.heldDescriptors = [9: Self.hostNamespace]
        process.output = .file(path: "\(cluster.logs)/images.log")
        process.restart = .always(maximumBackoffSeconds: 5)
        _ = try await sandbox.start(process)
    }

    /// Starts the process that carries the ports of the cluster's file, until the cluster ends.
    func carryPorts() async throws {
        var process = ProcessSpecification(
            id: "ports",
            arguments: [
                cluster.binary, "role", "forward", "--ports", cluster.ports, "--control", cluster.portsControl,
                "--namespace", "9",
            ])
        process.environment = ["PATH=/bin", "SWIFT_ROOT=/"]
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        process.cgroup = "\(cluster.cgroup)/ports"
        process.heldDescriptors = [9: Self.hostNamespace]
        process.output = .file(path: "\(cluster.logs)/ports.log")
        process.restart = .always(maximumBackoffSeconds: 5)
        _ = try await sandbox.start(process)
    }
}
