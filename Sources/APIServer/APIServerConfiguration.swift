import Basics
import Kinds
import Wire

/// What a server has to know about its cluster.
public struct APIServerConfiguration: Sendable {
    /// Where Services get their addresses from.
    public var serviceCIDR: CIDR
    /// Where clients inside the cluster reach this server: behind the Service `kubernetes`.
    public var advertiseAddress: IPAddress
    public var advertisePort: UInt16
    /// The address of the cluster's DNS Service; nil makes none.
    public var dnsAddress: IPAddress?
    /// The authority of the clients' certificates in PEM, published for servers that check them too.
    public var clientCA: [UInt8]
    /// Gives the key in PEM that signs service account tokens; asked once, when the first token needs it.
    public var serviceAccountKey: @Sendable () throws -> [UInt8]
    public var serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local"
    /// Requests without a credential come from `system:anonymous`, or are refused.
    public var anonymousAuth = true
    /// Secrets of type `bootstrap.kubernetes.io/token` in kube-system let machines join.
    public var bootstrapTokenAuth = true
    /// Bearer tokens with their users, besides those of service accounts.
    public var staticTokens: [String: UserInfo] = [:]
    /// Who is asked for the addresses of servers outside that are given by name, such as webhooks.
    public var nameServers: [Endpoint] = []
    /// Which admission plug-ins run, and how.
    public var admission = AdmissionConfiguration()
    /// Requests that are carried out at once, divided among the priority levels; those of exempt levels come on top.
    public var concurrencyLimit = 600
    /// For logs, exec and node proxying; without it those answer 501.
    public var nodeTransport: NodeTransport?
    /// Whether this server tells what nodes and pods use, by asking the node agents: the group `metrics.k8s.io`.
    public var offersUsage = false
    /// What `/version` tells of the program.
    public var build = BuildOrigin.unknown
    /// What the process uses of its machine, for its metrics.
    public var processStatistics: (@Sendable () -> ProcessStatistics?)?
    /// What goes wrong on purpose for some clients.
    public var clientFaults: ClientFaults?
    /// With which this server shows the servers that extend it that it is the one to be believed about users.
    public var proxyClient: ProxyClient?
    /// How long events stay.
    public var eventLifetime = Duration.seconds(3_600)
    /// How long the past stays for watches and pages that began in it.
    public var historyWindow = Duration.seconds(300)

    public struct ProxyClient: Sendable {
        /// In PEM, like the rest. It issues nothing but these certificates: who has another client certificate of the
        /// cluster must not pass for this server.
        public var authority: [UInt8]
        public var certificatePEM: [UInt8]
        public var keyPEM: [UInt8]
        /// The certificate's common name.
        public static let name = "front-proxy-client"

        public init(authority: [UInt8], certificatePEM: [UInt8], keyPEM: [UInt8]) {
            self.authority = authority
            self.certificatePEM = certificatePEM
            self.keyPEM = keyPEM
        }
    }

    public init(
        serviceCIDR: CIDR, advertiseAddress: IPAddress, advertisePort: UInt16 = 6443, clientCA: [UInt8],
        serviceAccountKey: @escaping @Sendable () throws -> [UInt8]
    ) {
        self.serviceCIDR = serviceCIDR
        self.advertiseAddress = advertiseAddress
        self.advertisePort = advertisePort
        self.clientCA = clientCA
        self.serviceAccountKey = serviceAccountKey
    }
}
