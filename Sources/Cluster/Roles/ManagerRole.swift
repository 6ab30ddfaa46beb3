import APIServer
import Basics
import Client
import Controllers
import Linux
import Scheduler
import Wire

/// Controllers and scheduler in one process. They share nothing but the process: each has a client of its own,
/// with the rights of its own user, a lease and a port of its own, and cooperates through API objects alone.
public struct ManagerRole: Sendable {
    let record: NodeRecord
    let world: World
    let log: Log
    /// Woken when the process is to end: leases are given back before `run` returns.
    let stop: Wakeup

    public init(record: NodeRecord, world: World, log: Log, stop: Wakeup) {
        self.stop = stop
        self.record = record
        self.world = world
        self.log = log
    }

    public func run() async throws {
        let controllers = try Connect.component("controller-manager", to: record.address, world: world)
        let scheduler = try Connect.component("scheduler", to: record.address, world: world)
        let options = try controllerOptions()
        let certificate = try ServingCertificate(now: world.clock.now)
        let counted = ControllerMetrics()
        let schedulerOptions = try Self.schedulerOptions()
        try await withThrowingTaskGroup { group in
            group.addTask {
                try await lead(
                    "kube-controller-manager", port: Addresses.controllerManagerPort, controllers, certificate,
                    metrics: [counted]
                ) {
                    try await runControllers(
                        client: controllers, world: world, log: log.named("controllers"), options: options,
                        metrics: counted)
                }
            }
            group.addTask {
                try await lead(
                    "kube-scheduler", port: Addresses.schedulerPort, scheduler, certificate,
                    metrics: [schedulerOptions.metrics]
                ) {
                    try await runScheduler(
                        client: scheduler, world: world, log: log.named("scheduler"), options: schedulerOptions)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
            // Asked to stop, both give their leases back.
            if stop.ticket > 0 { try await group.next() }
        }
    }

    /// Serves the component's port, and does its work while it leads.
    private func lead(
        _ name: String, port: UInt16, _ client: APIClient, _ certificate: ServingCertificate,
        metrics: [any MetricsSource], _ work: @escaping @Sendable () async throws -> Void
    ) async throws {
        // The supervisor runs one manager on a node, and its port admits no second: the node's name says who leads,
        // and a manager that was killed goes on at once when it is back.
        let elector = LeaderElector(
            client, name: name, identity: record.name, world: world, log: log.named(name))
        var checks: [ComponentServer.Check] = []
        var sources: [any MetricsSource] = metrics + [ProcessMetrics()]
        if record.leaderElection {
            checks.append(.init("leaderElection") { elector.status.isSound() })
            sources.append(elector.status)
        }
        let server = ComponentServer(
            access: DelegatedAccess(client: client, clock: world.clock), checks: checks, metrics: sources)
        let tls = try TLSServerContext(
            certificatePEM: certificate.certificate, keyPEM: certificate.key, clientCAPEM: try Self.file("ca.crt"))
        let listener = try await world.network.listen(on: .ip(.loopback, port: port))
        let http = HTTPServer(
            listener: listener, tls: tls, limits: Self.limits, clock: world.clock, log: log.named("http"),
            handler: server.handler)
        try await withThrowingTaskGroup { group in
            group.addTask { try await http.run() }
            group.addTask {
                if record.leaderElection { return try await elector.runAlways(until: stop, work) }
                try await withThrowingTaskGroup { alone in
                    alone.addTask { try await work() }
                    alone.addTask { try await stop.wait(since: 0) }
                    defer { alone.cancelAll() }
                    try await alone.next()
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func controllerOptions() throws -> ControllerOptions {
        var options = ControllerOptions()
        options.controllers = record.controllers
        options.clusterCIDR = record.networking.podSubnet
        options.loadBalancerPool = record.loadBalancers
        options.rootCertificate = String(decoding: try Self.file("ca.crt"), as: UTF8.self)
        options.signer = try CertificateSigning(
            certificatePEM: try Self.file("ca.crt"), keyPEM: try Self.file("ca.key"))
        let key = try Self.file("service-account.key")
        let tokens = ServiceAccountTokens(issuer: ServiceAccountTokens.legacyIssuer, key: { key })
        options.tokenMaker = { namespace, account, uid, secret in
            try tokens.legacyToken(namespace: namespace, serviceAccount: account, uid: uid, secret: secret)
        }
        return options
    }

    /// A node may bring a `KubeSchedulerConfiguration` of its own.
    private static func schedulerOptions() throws -> SchedulerOptions {
        var options = SchedulerOptions()
        let path = "\(NodeBlueprint.Inside.configuration)/scheduler.yaml"
        if Files.exists(path) { options.configuration = try SchedulerConfiguration(yaml: try Files.read(path)) }
        return options
    }

    private static func file(_ name: String) throws -> [UInt8] {
        try Files.read("\(NodeBlueprint.Inside.configuration)/pki/\(name)")
    }

    /// Few look at these ports.
    private static var limits: HTTPServer.Limits {
        var limits = HTTPServer.Limits()
        limits.connections = 32
        limits.allBodies = 1 << 20
        return limits
    }
}

/// What a component's port shows to those who connect: made anew by each process, trusted by nobody in particular.
private struct ServingCertificate {
    let certificate: [UInt8]
    let key: [UInt8]

    init(now: Timestamp) throws {
        let authority = try CertificateAuthority.create(
            commonName: "localhost-ca", now: now, validity: ClusterAuthority.leafValidity)
        let issued = try authority.issue(
            commonName: "localhost", dnsNames: ["localhost"], ipAddresses: [.loopback],
            usage: [.server], now: now, validity: ClusterAuthority.leafValidity)
        certificate = issued.certificatePEM + authority.certificatePEM
        key = issued.keyPEM
    }
}

/// What the process uses of the machine.
private struct ProcessMetrics: MetricsSource {
    func write(to text: inout MetricsText) {
        guard let statistics = ProcessUsage.statistics() else { return }
        func family(_ name: String, _ kind: MetricsText.Kind, _ help: String, _ value: Double) {
            text.family("process_" + name, kind, help, [([], value)])
        }
        family("cpu_seconds_total", .counter, "Time spent in user and system mode", statistics.cpuSeconds)
        family("max_fds", .gauge, "Descriptors that may be open", Double(statistics.mostFiles))
        family("open_fds", .gauge, "Descriptors that are open", Double(statistics.openFiles))
        family("resident_memory_bytes", .gauge, "Resident memory", Double(statistics.residentBytes))
        family("start_time_seconds", .gauge, "Start of the process, since 1970", statistics.started)
        family("virtual_memory_bytes", .gauge, "Virtual memory", Double(statistics.virtualBytes))
    }
}
