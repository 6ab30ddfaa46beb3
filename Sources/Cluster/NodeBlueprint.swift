import Basics
import Runtime

/// How a node is made: a nested container whose root is the `lab` binary and a few directories.
/// Pure: a layout and a name in, the runtime's specifications out.
public struct NodeBlueprint: Sendable {
    public let name: String
    public let layout: NodeLayout
    public let address: IPAddress
    public let isControlPlane: Bool
    /// The copy of the binary that this cluster runs.
    public let binary: String
    public let images: String
    public var extraMounts: [NodeConfiguration.ExtraMount] = []
    public var limits = ResourceLimits()

    /// Paths inside a node.
    public enum Inside {
        public static let binary = "/bin/lab"
        public static let configuration = "/etc/lab"
        public static let images = "/var/lib/lab-images"
        public static let state = "/run/lab"
        public static let logs = "/var/log/lab"
        public static let hostServices = "/run/lab-host"
    }

    /// Directories of the node's root, empty but for mount points.
    public static let skeleton = [
        "bin", "dev", "etc/lab", "proc", "root", "run", "sys", "tmp", "var",
    ]

    /// Directories of the node's writable data, which becomes `/var`.
    public static let dataSkeleton = [
        "lib/lab-images", "lib/kubelet", "lib/store", "log/pods", "log/lab", "tmp", "lib/overlay", NodeLayout.volumes,
    ]

    /// The node's own supervisor, as the first process of a nested container.
    public func process() throws -> ProcessSpecification {
        var sandbox = SandboxSpecification(id: name, stateDirectory: Inside.state)
        sandbox.root = .directory(layout.root, readOnly: false)
        sandbox.namespaces = [.mount: .new, .network: .new, .pid: .new, .ipc: .new, .uts: .new, .cgroup: .new]
        sandbox.hostname = name
        sandbox.cgroup = layout.cgroup
        sandbox.privileges.capabilities = nil
        sandbox.privileges.allDevices = true
        sandbox.mounts = mounts + extraMounts.map(Self.mount)
        sandbox.limits = limits
        var process = try LinuxSupervisor.supervisorProcess(for: sandbox, binary: Inside.binary)
        process.environment = Self.environment
        process.output = .file(path: "\(layout.directory)/supervisor.log")
        return process
    }

    private static func mount(_ extra: NodeConfiguration.ExtraMount) -> Mount {
        let propagation =
            switch extra.propagation {
            case .none: "rprivate"
            case .hostToContainer: "rslave"
            case .bidirectional: "rshared"
            }
        return Mount(
            source: extra.hostPath, target: extra.containerPath, type: "bind",
            options: ["rbind", propagation] + (extra.readOnly ? ["ro"] : []))
    }

    static let environment = ["PATH=/bin", "HOME=/root", "SWIFT_ROOT=/"]

    private var mounts: [Mount] {
        [
            Mount(source: "proc", target: "/proc", type: "proc", options: ["nosuid", "noexec", "nodev"]),
            Mount(source: "sysfs", target: "/sys", type: "sysfs", options: ["nosuid", "noexec", "nodev"]),
            Mount(source: "/dev", target: "/dev", type: "bind", options: ["rbind", "rslave"]),
            Mount(source: "tmpfs", target: "/run", type: "tmpfs", options: ["nosuid", "nodev", "mode=755"]),
            Mount(source: "tmpfs", target: "/tmp", type: "tmpfs", options: ["nosuid", "nodev", "mode=1777"]),
            Mount(source: "cgroup", target: "/sys/fs/cgroup", type: "cgroup", options: ["nosuid", "noexec", "nodev"]),
            Mount(source: binary, target: Inside.binary, type: "bind", options: ["bind", "ro"]),
            Mount(source: layout.configuration, target: Inside.configuration, type: "bind", options: ["bind"]),
            Mount(source: layout.data, target: "/var", type: "bind", options: ["bind"]),
            Mount(source: images, target: "/var/lib/lab-images", type: "bind", options: ["bind"]),
            Mount(source: layout.state, target: Inside.state, type: "bind", options: ["bind"]),
            Mount(source: layout.hostServices, target: Inside.hostServices, type: "bind", options: ["bind"]),
        ]
    }

    /// The services that the node's supervisor keeps running, in the order in which they are started.
    public var services: [ProcessSpecification] {
        let control = isControlPlane ? [service("apiserver"), service("manager")] : []
        return control + [service("agent")]
    }

    private func service(_ role: String) -> ProcessSpecification {
        var process = ProcessSpecification(
            id: role, arguments: [Inside.binary, "role", role, "--config", "\(Inside.configuration)/node.json"])
        process.environment = Self.environment
        process.cgroup = "services/\(role)"
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        process.output = .file(path: "\(Inside.logs)/\(role).log")
        process.restart = .always(maximumBackoffSeconds: 10)
        return process
    }
}

extension NodeBlueprint {
    init(_ node: ClusterNode, cluster: ClusterLayout, images: String) {
        self.init(
            name: node.name, layout: cluster.node(node.name), address: node.address,
            isControlPlane: node.isControlPlane, binary: cluster.binary, images: images)
        extraMounts = node.configuration.extraMounts
        limits.memoryBytes = node.configuration.memoryBytes
        limits.cpuQuota = node.configuration.cpuMillis.map { $0 * limits.cpuPeriod / 1_000 }
    }
}
