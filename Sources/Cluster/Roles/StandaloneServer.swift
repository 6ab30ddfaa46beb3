import APIServer
import Basics
import Client
import DNS
import Kinds
import Linux
import Store
import Wire

/// An API server by itself, without controllers and nodes: what tests of a client or an operator want.
public struct StandaloneServer: Sendable {
    public enum Storage: Sendable, Equatable {
        case memory
        /// A directory that keeps the objects and the keys.
        case directory(String)
    }

    public struct Options: Sendable, Equatable {
        public var storage: Storage
        public var address = IPAddress.loopback
        /// 0 takes a free one.
        public var port: UInt16 = 6443
        public var kubeconfig: String
        public var services = Addresses.services
        /// Admission plug-ins to run besides the usual ones, and usual ones not to run.
        public var enabledPlugins: Set<String> = []
        public var disabledPlugins: Set<String> = []

        public init(storage: Storage, kubeconfig: String) {
            self.storage = storage
            self.kubeconfig = kubeconfig
        }
    }

    let options: Options
    let build: BuildOrigin
    let world: World
    let log: Log

    public init(options: Options, build: BuildOrigin, world: World, log: Log) {
        self.options = options
        self.build = build
        self.world = world
        self.log = log
    }

    /// Serves until cancelled. `ready` hears the server's address once requests are answered.
    public func run(ready: @Sendable (Endpoint) -> Void) async throws {
        OpenFiles.raiseLimit()
        let listener = try await listen()
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        let keys = try authority()
        let identities = try Identities(authority: keys, options: options, now: world.clock.now)
        let server = try APIServer(
            configuration: try configuration(listener.local, identities, authority: keys), store: try store(),
            world: world, log: log)
        try await server.bootstrap()
        let tls = try TLSServerContext(
            certificatePEM: identities.server.certificatePEM, keyPEM: identities.server.keyPEM,
            clientCAPEM: keys.certificatePEM)
        let http = HTTPServer(
            listener: listener, tls: tls, clock: world.clock, log: log.named("http"), handler: server.handler)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            group.addTask { try await http.run() }
            defer { group.cancelAll() }
            // Written last: whoever waits for the file finds a server that answers.
            let kubeconfig = Kubeconfig(
                name: "lab-apiserver", server: "https://\(listener.local)", authority: keys.certificatePEM,
                certificate: identities.admin.certificatePEM, key: identities.admin.keyPEM)
            try Files.write(kubeconfig.yaml, to: options.kubeconfig, mode: 0o600)
            ready(listener.local)
            try await group.next()
        }
    }

    private func lock() throws -> FileLock? {
        guard case .directory(let path) = options.storage else { return nil }
        try Files.makeDirectories(path, mode: 0o700)
        return try DataDirectory(path).lock()
    }

    private func listen() async throws -> any Listener {
        do { return try await world.network.listen(on: .ip(options.address, port: options.port)) } catch {
            throw Failure(
                "cannot listen on \(Endpoint.ip(options.address, port: options.port)): \(error)",
                remedy: "name another port with --port, or --port 0 for a free one")
        }
    }

    private func store() throws -> any Store {
        switch options.storage {
        case .memory: return MemoryStore()
        case .directory(let path): return try SQLiteStore(path: DataDirectory(path).database)
        }
    }

    private func configuration(
        _ local: Endpoint, _ identities: Identities, authority: CertificateAuthority
    ) throws -> APIServerConfiguration {
        guard case .ip(let address, let port) = local else { throw Failure("\(local) is no address of the network") }
        let storage = options.storage
        var configuration = APIServerConfiguration(
            serviceCIDR: options.services, advertiseAddress: address, advertisePort: port,
            clientCA: authority.certificatePEM,
            serviceAccountKey: {
                switch storage {
                case .memory: try PrivateKey.generateRSA().pem
                case .directory(let path):
                    try Self.kept(DataDirectory(path).tokenKey) { try PrivateKey.generateRSA().pem }
                }
            })
        configuration.build = build
        configuration.processStatistics = { ProcessUsage.statistics() }
        configuration.admission.enabled = options.enabledPlugins
        configuration.admission.disabled = options.disabledPlugins
        let unknown = configuration.admission.unknownNames
        guard unknown.isEmpty else {
            throw Failure(
                "there is no admission plug-in \(unknown.joined(separator: ", "))",
                remedy: "choose among \(AdmissionConfiguration.knownNames.joined(separator: ", "))")
        }
        configuration.nameServers = ResolverFile.ofThisMachine
        let network = world.network
        let clock = world.clock
        let toKubelets = try TLSClientContext(
            caPEM: authority.certificatePEM, certificatePEM: identities.kubeletClient.certificatePEM,
            keyPEM: identities.kubeletClient.keyPEM)
        configuration.nodeTransport = { _, addresses, port in
            let address = addresses.first ?? .loopback
            return HTTPTransport(
                .ip(address, port: port), host: "\(address):\(port)", tls: toKubelets, network: network, clock: clock)
        }
        return configuration
    }

    /// The authority outlives the process where the objects do, so that kubeconfigs stay good.
    private func authority() throws -> CertificateAuthority {
        let now = world.clock.now
        func made() throws -> CertificateAuthority {
            try .create(commonName: "lab-apiserver", now: now, validity: ClusterAuthority.authorityValidity)
        }
        guard case .directory(let path) = options.storage else { return try made() }
        // One file for both halves: a crash leaves a pair or nothing.
        let file = try Self.kept(DataDirectory(path).authority) {
            let authority = try made()
            return authority.keyPEM + authority.certificatePEM
        }
        return try CertificateAuthority(certificatePEM: file, keyPEM: file)
    }

    private static func kept(_ path: String, _ make: () throws -> [UInt8]) throws -> [UInt8] {
        if Files.exists(path) { return try Files.read(path) }
        let bytes = try make()
        try Files.write(bytes, to: path, mode: 0o600, durable: true)
        return bytes
    }
}

/// The certificates of one run of a server.
private struct Identities {
    let server: IssuedCertificate
    let admin: IssuedCertificate
    let kubeletClient: IssuedCertificate

    init(authority: CertificateAuthority, options: StandaloneServer.Options, now: Timestamp) throws {
        let validity = ClusterAuthority.leafValidity
        server = try authority.issue(
            commonName: "kube-apiserver", organizations: [],
            dnsNames: [
                "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.\(Addresses.clusterDomain)",
            ],
            ipAddresses: [options.address, .loopback] + [options.services.address(at: 1)].compactMap(\.self),
            usage: [.server], now: now, validity: validity)
        admin = try authority.issue(
            commonName: "admin", organizations: ["system:masters"], usage: [.client], now: now,
            validity: validity)
        kubeletClient = try authority.issue(
            commonName: "kube-apiserver-kubelet-client", organizations: ["system:masters"], usage: [.client], now: now,
            validity: validity)
    }
}
