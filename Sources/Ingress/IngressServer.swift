import Basics
import Client
import Document
import Synchronization
import Wire

/// Serves the Ingress objects of our classes on the node's ports 80 and 443.
///
/// Everything but the watch of ingresses goes on only while it is needed, so that a cluster without ingresses pays
/// for one quiet watch:
///
///     ingresses ─▶ any there: classes ─▶ any of ours: services, slices, listeners (and status, on one node)
///                                                  ─▶ any with certificates: secrets
public final class IngressServer: Sendable {
    public static let controllerName = "lab.dev/ingress"

    public struct Ports: Sendable {
        public var http: UInt16 = 80
        public var https: UInt16 = 443

        public init() {}
    }

    private let client: APIClient
    private let address: IPAddress
    private let ports: Ports
    private let writesStatus: Bool
    private let world: World
    private let log: Log
    let front: IngressFront
    private let ingresses: Informer
    private let state = Mutex(IngressState())
    private let certificates = Mutex(CertificateBook())
    private let standard = Mutex<TLSServerContext?>(nil)
    /// Told after every change of what the table is made of.
    private let changed = Wakeup()
    private let reported = Mutex<[String: [String]]>([:])
    private let bound = Mutex<[Bool: Endpoint]>([:])

    /// - writesStatus: one agent of the cluster tells in the objects where they are served.
    public init(
        client: APIClient, address: IPAddress = .any, ports: Ports = Ports(), writesStatus: Bool, world: World,
        log: Log
    ) {
        self.client = client
        self.address = address
        self.ports = ports
        self.writesStatus = writesStatus
        self.world = world
        self.log = log
        front = IngressFront(world: world, log: log)
        ingresses = Informer(client, .ingresses, world: world, log: log)
    }

    /// Where it listens, by whether TLS is spoken there; nil while it does not.
    func local(isSecure: Bool) -> Endpoint? { bound.withLock { $0[isSecure] } }

    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.follow(self.ingresses) { $0.setIngress($1.key, $1.new) } }
            group.addTask { try await self.front.watch() }
            group.addTask { try await self.whileTrue({ self.hasIngresses }) { try await self.followClasses() } }
            try await group.waitForAll()
        }
    }

    private var hasIngresses: Bool { state.withLock { !$0.isEmpty } }
    private var hasOwn: Bool { state.withLock { !$0.own.isEmpty } }
    private var hasSecrets: Bool { state.withLock { !$0.secrets.isEmpty } }

    // MARK: Following

    private func follow(
        _ informer: Informer, _ take: @escaping @Sendable (inout IngressState, Change) -> Void
    ) async throws {
        let changes = informer.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await informer.run() }
            group.addTask {
                for await change in changes {
                    self.state.withLock { take(&$0, change) }
                    self.changed.wake()
                }
            }
            try await group.waitForAll()
        }
    }

    private func followClasses() async throws {
        let classes = Informer(client, .ingressClasses, world: world, log: log)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await self.follow(classes) { $0.setClass($1.key, $1.new, controller: Self.controllerName) }
            }
            group.addTask { try await self.whileTrue({ self.hasOwn }) { try await self.serveOwn() } }
            try await group.waitForAll()
        }
    }

    private func serveOwn() async throws {
        let services = Informer(client, .services, world: world, log: log)
        let slices = Informer(client, .endpointSlices, world: world, log: log)
        if standard.withLock({ $0 == nil }) { try makeStandardCertificate() }
        log.info("serving ingresses")
        defer {
            front.use(RouteTable())
            state.withLock { $0.forgetBackends() }
            log.info("no ingress is left to serve")
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.follow(services) { $0.setService($1.key, $1.new) } }
            group.addTask { try await self.follow(slices) { $0.setSlice($1.key, $1.new) } }
            group.addTask { try await self.whileTrue({ self.hasSecrets }) { try await self.followSecrets() } }
            group.addTask { try await self.rebuild() }
            group.addTask {
                // Nobody shall be told that a service has no endpoints before they are known.
                try await services.waitForSync()
                try await slices.waitForSync()
                try await self.listen()
            }
            if writesStatus {
                let status = IngressStatus(client: client, ingresses: ingresses, world: world, log: log)
                group.addTask {
                    try await status.run(changed: self.changed) { self.state.withLock { Set($0.own.map(\.key)) } }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Only secrets of the type that `kubectl create secret tls` makes are read.
    private func followSecrets() async throws {
        let secrets = Informer(
            client, .secrets, fieldSelector: "type=kubernetes.io/tls", world: world, log: log)
        let changes = secrets.changes()
        defer { certificates.withLock { $0 = CertificateBook() } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await secrets.run() }
            group.addTask {
                for await change in changes {
                    let problem = self.certificates.withLock { $0.set(change.key, change.new) }
                    if let problem { self.log.warning("secret \(change.key): \(problem)") }
                    self.changed.wake()
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: The table

    private func rebuild() async throws {
        while true {
            let ticket = changed.ticket
            let (table, own) = state.withLock { ($0.table(), $0.own) }
            var filled = table
            let standard = standard.withLock { $0 }
            certificates.withLock { $0.fill(&filled, own, standard: standard) }
            front.use(filled)
            report(own)
            try await changed.wait(since: ticket)
        }
    }

    /// Says once what an Ingress asks for in vain.
    private func report(_ own: [IngressRules]) {
        for rules in own {
            let isNew = reported.withLock { reported in
                defer { reported[rules.key] = rules.remarks }
                return (reported[rules.key] ?? []) != rules.remarks
            }
            if isNew { for remark in rules.remarks { log.warning("ingress \(rules.key): \(remark)") } }
        }
        let keys = Set(own.map(\.key))
        reported.withLock { $0 = $0.filter { keys.contains($0.key) } }
    }

    private func makeStandardCertificate() throws {
        let name = "lab ingress default certificate"
        let year = Duration.seconds(365 * 86_400)
        let authority = try CertificateAuthority.create(commonName: name, now: world.clock.now, validity: year)
        let issued = try authority.issue(
            commonName: name, dnsNames: ["ingress.local"], usage: [.server], now: world.clock.now, validity: year)
        let context = try TLSServerContext(certificatePEM: issued.certificatePEM, keyPEM: issued.keyPEM)
        standard.withLock { $0 = context }
    }

    // MARK: Listening

    private func listen() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for isSecure in [false, true] {
                group.addTask { try await self.listen(isSecure: isSecure) }
            }
            try await group.waitForAll()
        }
    }

    private func listen(isSecure: Bool) async throws {
        let port = isSecure ? ports.https : ports.http
        var pause = Duration.seconds(1)
        var problem = ""
        while true {
            do {
                let listener = try await world.network.listen(on: .ip(address, port: port))
                bound.withLock { $0[isSecure] = listener.local }
                defer { _ = bound.withLock { $0.removeValue(forKey: isSecure) } }
                problem = ""
                try await front.serve(listener, isSecure: isSecure)
            } catch let error as CancellationError {
                throw error
            } catch {
                if "\(error)" != problem { log.error("port \(port) cannot be served: \(error)") }
                problem = "\(error)"
            }
            try await world.clock.sleep(for: pause)
            pause = min(pause * 2, .seconds(30))
        }
    }

    // MARK: -

    private func until(_ condition: @Sendable () -> Bool) async throws {
        while true {
            let ticket = changed.ticket
            if condition() { return }
            try await changed.wait(since: ticket)
        }
    }

    /// Runs `body` whenever the condition holds, and cancels it when it does no longer.
    private func whileTrue(
        _ condition: @escaping @Sendable () -> Bool, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        while true {
            try await until(condition)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body() }
                group.addTask { try await self.until { !condition() } }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }
}
