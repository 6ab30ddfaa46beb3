import Basics

/// What a user asks of one node.
public struct NodeConfiguration: Sendable, Equatable {
    public enum Role: String, Sendable, CaseIterable {
        case controlPlane = "control-plane"
        case worker
    }

    public struct Taint: Sendable, Equatable {
        public var key: String
        public var value: String
        public var effect: String

        public init(key: String, value: String = "", effect: String) {
            self.key = key
            self.value = value
            self.effect = effect
        }

        public static let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
    }

    /// A file or directory of the host that the node sees.
    public struct ExtraMount: Sendable, Equatable {
        public enum Propagation: String, Sendable, CaseIterable {
            case none = "None"
            case hostToContainer = "HostToContainer"
            case bidirectional = "Bidirectional"
        }

        public var hostPath: String
        public var containerPath: String
        public var readOnly = false
        public var propagation = Propagation.none

        public init(hostPath: String, containerPath: String) {
            self.hostPath = hostPath
            self.containerPath = containerPath
        }
    }

    public var role: Role
    public var labels: [String: String] = [:]
    /// Nil: those that nodes of its role usually have.
    public var taints: [Taint]?
    public var extraMounts: [ExtraMount] = []
    public var portMappings: [PublishedPort] = []
    /// What the node may use and reports as its capacity; nil: all that the machine has.
    public var cpuMillis: Int64?
    public var memoryBytes: Int64?
    public var maxPods: Int?

    public init(role: Role) { self.role = role }

    public static let controlPlaneTaint = Taint(key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule")

    /// Enough for the processes of a node itself.
    public static let leastMemory: Int64 = 64 << 20
    /// The kernel enforces no less: a quota of 1 ms in each 100 ms.
    public static let leastMillis: Int64 = 10
    /// What upstream's kubelet takes for an unreasonable number, on a node with a /24 of addresses.
    public static let mostPods = 250
}

/// The cluster's addresses, and what carries its traffic.
public struct Networking: Sendable, Equatable {
    public enum ProxyMode: String, Sendable, CaseIterable {
        case nftables, iptables, none
    }

    /// The host's address on which the API is published.
    public var apiServerAddress = IPAddress.loopback
    public var podSubnet = Addresses.pods
    public var serviceSubnet = Addresses.services
    /// Nodes stay without a pod network, and so not ready, until somebody else gives them one.
    public var disableDefaultCNI = false
    public var proxyMode = ProxyMode.nftables
    /// The search domains of the nodes' resolver; nil: as on the host.
    public var dnsSearch: [String]?

    public init() {}

    public var dnsAddress: IPAddress { serviceSubnet.address(at: 10) ?? Addresses.dns }
    public var kubernetesService: IPAddress { serviceSubnet.address(at: 1) ?? Addresses.kubernetesService }
}

/// What the control plane's parts are told beyond their usual settings.
public struct Components: Sendable, Equatable {
    public var enabledAdmission: [String] = []
    public var disabledAdmission: [String] = []
    /// Further names and addresses under which clients reach the API server.
    public var certificateNames: [String] = []
    /// A `KubeSchedulerConfiguration`, as its text.
    public var schedulerConfiguration: String?

    public init() {}
}
