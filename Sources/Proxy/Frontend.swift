import Basics

/// An address that clients connect to: a cluster IP, an external one, or a node's with a node port.
public struct Frontend: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var address: IPAddress
    public var transport: ServiceTransport
    public var port: UInt16

    public init(_ address: IPAddress, _ transport: ServiceTransport, _ port: UInt16) {
        self.address = address
        self.transport = transport
        self.port = port
    }

    public static func < (a: Frontend, b: Frontend) -> Bool {
        (a.address, a.transport.rawValue, a.port) < (b.address, b.transport.rawValue, b.port)
    }

    public var description: String { "\(address):\(port)/\(transport)" }
}

public enum ServiceTransport: UInt8, Sendable, Hashable {
    case tcp = 6
    case udp = 17
    case sctp = 132

    init?(_ name: String) {
        switch name {
        case "TCP": self = .tcp
        case "UDP": self = .udp
        case "SCTP": self = .sctp
        default: return nil
        }
    }
}

/// An address that answers: an endpoint's.
public struct Backend: Sendable, Hashable, Comparable {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    public static func < (a: Backend, b: Backend) -> Bool { (a.address, a.port) < (b.address, b.port) }
}

/// What happens to a new connection to a frontend.
public enum Treatment: Sendable, Hashable {
    /// To one of these, sorted and never empty; with `stickySeconds` to the same as the client's last one,
    /// unless that is longer ago.
    case balance([Backend], stickySeconds: UInt32?)
    /// Nobody is there, and the client is told at once.
    case reject
    /// There are endpoints, but the policy keeps them from this client.
    case drop
}

public struct FrontendPlan: Sendable, Hashable {
    public var treatment: Treatment
    /// The endpoint sees a node's address instead of the client's, so that its answer comes back this way.
    public var masquerade: Bool
    /// What the cluster's own clients use in place of this frontend: what keeps outside traffic on its node is no
    /// reason to turn them away. With the number of endpoints behind it.
    public var inside: Inside?
    /// Who may connect; nil for everybody.
    public var sources: [CIDR]?

    public struct Inside: Sendable, Hashable {
        public var frontend: Frontend
        public var endpoints: Int

        public init(_ frontend: Frontend, endpoints: Int) {
            self.frontend = frontend
            self.endpoints = endpoints
        }
    }

    public init(
        _ treatment: Treatment, masquerade: Bool = false, inside: Inside? = nil, sources: [CIDR]? = nil
    ) {
        self.treatment = treatment
        self.masquerade = masquerade
        self.inside = inside
        self.sources = sources
    }
}

/// Everything that one service wants of one node.
public struct ServicePlan: Sendable, Equatable {
    public var frontends: [Frontend: FrontendPlan] = [:]
    /// Cluster IPs; what is sent to other ports of theirs is refused.
    public var clusterAddresses: Set<IPAddress> = []
    /// Endpoints that are on this node, or may be; one of them may talk to itself through the service.
    public var localEndpoints: Set<IPAddress> = []
    /// Load balancers' addresses that this node answers for.
    public var announced: Set<IPAddress> = []
    public var healthCheck: HealthCheck?

    public init() {}
}
