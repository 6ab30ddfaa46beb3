import APIServer
import Basics
import Client
import DNS
import Kinds
import Linux
import Store
import Wire

/// The API server of a control-plane node: the store on disk, HTTPS on the node's address.
public struct APIServerRole: Sendable {
    let record: NodeRecord
    let build: BuildOrigin
    let loop: EventLoop
    let world: World
    let log: Log

    public init(record: NodeRecord, build: BuildOrigin, loop: EventLoop, world: World, log: Log) {
        self.record = record
        self.build = build
        self.loop = loop
        self.world = world
        self.log = log
    }

    public func run() async throws {
        OpenFiles.raiseLimit()
        let pki = "\(NodeBlueprint.Inside.configuration)/pki"
        func file(_ name: String) throws -> [UInt8] { try Files.read("\(pki)/\(name)") }
        let authority = try file("ca.crt")
        let toKubelets = try TLSClientContext(
            caPEM: authority, certificatePEM: try file("apiserver-kubelet-client.crt"),
            keyPEM: try file("apiserver-kubelet-client.key"))
        let key = try file("service-account.key")
        let world = self.world

        var configuration = APIServerConfiguration(
            serviceCIDR: record.networking.serviceSubnet, advertiseAddress: record.address,
            advertisePort: Addresses.apiPort,
            clientCA: authority, serviceAccountKey: { key })
        configuration.dnsAddress = record.networking.dnsAddress
        configuration.admission.enabled = Set(record.components.enabledAdmission)
        configuration.admission.disabled = Set(record.components.disabledAdmission)
        configuration.build = build
        configuration.processStatistics = { ProcessUsage.statistics() }
        configuration.nameServers = ResolverFile.ofThisMachine
        // Clusters that were made before there was one have none.
        if Files.exists("\(pki)/front-proxy-client.crt") {
            configuration.proxyClient = .init(
                authority: try file("front-proxy-ca.crt"), certificatePEM: try file("front-proxy-client.crt"),
                keyPEM: try file("front-proxy-client.key"))
        }
        // Known to this process alone: how it writes the cluster's own objects through its own front door.
        let token = Hex.encode(world.random.bytes(32))
        configuration.staticTokens = [token: UserInfo(name: "system:apiserver", groups: ["system:masters"])]
        configuration.offersUsage = true
        let faults = ClientFaults(clock: world.clock, random: world.random)
        configuration.clientFaults = faults
        configuration.nodeTransport = { _, addresses, port in
            HTTPTransport(
                .ip(addresses.first ?? .loopback, port: port), host: "\(addresses.first ?? .loopback):\(port)",
                tls: toKubelets, network: world.network, clock: world.clock)
        }
        let store = try SQLiteStore(path: "/var/lib/store/lab.db")
        let server = try APIServer(configuration: configuration, store: store, world: world, log: log)
        try await server.bootstrap()
        let inside = APIClient(
            transport: InProcessTransport(handler: server.handler), userAgent: "lab-bootstrap", bearerToken: token)
        try await ClusterObjects(client: inside).ensure()
        let toItself = InProcessTransport(handler: server.handler)
        let ruling = APIClient(
            transport: toItself, userAgent: ClientFaults.sparedAgent, bearerToken: token)

        let tls = try TLSServerContext(
            certificatePEM: try file("apiserver.crt"), keyPEM: try file("apiserver.key"), clientCAPEM: authority)
        let listener = try await world.network.listen(on: .ip(.any, port: Addresses.apiPort))
        log.info("serving on \(listener.local)")
        let http = HTTPServer(
            listener: listener, tls: tls, clock: world.clock, log: log.named("http"), handler: server.handler)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            group.addTask { try await http.run() }
            group.addTask { try await toItself.run() }
            group.addTask { try await ClientFaultRules(client: ruling).follow(into: faults, world, log) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
