import Basics
import Client
import Document
import Synchronization
import Wire

/// The node's DNS server: answers for the cluster's domain from informers, asks the resolvers outside for the rest,
/// and does what the ConfigMap `kube-system/coredns` says, under the key `Corefile`.
public final class DNSServer: Sendable {
    /// Where the configuration is kept: the place that every guide about DNS in a cluster names.
    public static let configurationNamespace = "kube-system"
    public static let configurationName = "coredns"
    public static let configurationKey = "Corefile"

    private let listenOn: [Endpoint]
    private let domain: DNSName
    private let resolvers: [Endpoint]
    let world: World
    let log: Log
    let zone: Mutex<Zone>
    private let planned: Mutex<DNSPlan>
    private let replanned = Wakeup()
    public let metrics = DNSMetrics()
    private let publish: @Sendable ([UInt16: UInt16]) async throws -> Void
    private let services: Informer
    private let slices: Informer
    private let namespaces: Informer
    private let configurations: Informer
    private let bound = Mutex<[Endpoint]>([])
    private let ready = Atomic(false)
    let queries = Atomic(0)
    let streams = Atomic(0)

    /// - upstreams: what `/etc/resolv.conf` stands for; this server's own addresses among them are left out.
    /// - publish: leads the ports of health and metrics to those where they are served.
    public init(
        addresses: [IPAddress], port: UInt16 = 53, clusterDomain: String, client: APIClient, upstreams: [Endpoint],
        world: World, log: Log, publish: @escaping @Sendable ([UInt16: UInt16]) async throws -> Void = { _ in }
    ) throws {
        guard let domain = DNSName(clusterDomain) else {
            throw DNSFormatError("\(clusterDomain) is no domain name")
        }
        self.domain = domain
        listenOn = addresses.map { .ip($0, port: port) }
        resolvers = upstreams.filter { [listenOn] in !listenOn.contains($0) }
        self.world = world
        self.log = log
        self.publish = publish
        zone = Mutex(Zone(domain: domain, servers: addresses))
        let standard = try DNSConfiguration(
            DNSConfiguration.standardText(domain: clusterDomain), domain: domain, resolvers: resolvers)
        planned = Mutex(DNSPlan(standard, metrics: metrics, world: world, log: log))
        services = Informer(client, .services, world: world, log: log)
        slices = Informer(client, .endpointSlices, world: world, log: log)
        namespaces = Informer(client, .namespaces, world: world, log: log)
        configurations = Informer(
            client, .configMaps, namespace: Self.configurationNamespace,
            fieldSelector: "metadata.name=\(Self.configurationName)", world: world, log: log)
    }

    /// Where the server listens, once it does.
    public var local: [Endpoint] { bound.withLock { $0 } }

    var plan: DNSPlan { planned.withLock { $0 } }

    public func run() async throws {
        var sockets: [any DatagramSocket] = []
        var listeners: [any Listener] = []
        defer {
            for socket in sockets { socket.close() }
            for listener in listeners { listener.close() }
        }
        for endpoint in listenOn {
            let socket = try await world.network.datagrams(on: endpoint)
            sockets.append(socket)
            // Where the kernel chose the port, streams get the same one.
            listeners.append(try await world.network.listen(on: socket.local))
        }
        bound.withLock { [sockets] in $0 = sockets.map(\.local) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for informer in [services, slices, namespaces, configurations] {
                let changes = informer.changes()
                group.addTask { for await change in changes { self.take(change, from: informer.resource) } }
                group.addTask { try await informer.run() }
            }
            for socket in sockets { group.addTask { try await self.serve(socket) } }
            for listener in listeners { group.addTask { try await self.serve(listener) } }
            group.addTask { try await self.accompany() }
            try await group.waitForAll()
        }
    }

    private func take(_ change: Change, from resource: ResourceType) {
        if resource == .configMaps {
            guard change.key == "\(Self.configurationNamespace)/\(Self.configurationName)" else { return }
            return configure(change.new?.text("data", Self.configurationKey))
        }
        zone.withLock { zone in
            switch resource {
            case .services: zone.setService(change.key, change.new)
            case .endpointSlices: zone.setSlice(change.key, change.new)
            default: zone.setNamespace(change.key, exists: change.new != nil)
            }
        }
    }

    // MARK: Configuration

    /// Takes a Corefile over; nil stands for the one that nobody wrote. One that is wrong changes nothing.
    func configure(_ text: String?) {
        let text = text ?? DNSConfiguration.standardText(domain: domain.description)
        let configuration: DNSConfiguration
        do {
            configuration = try DNSConfiguration(text, domain: domain, resolvers: resolvers)
        } catch {
            metrics.countFailedReload()
            log.error(
                "the \(Self.configurationKey) of ConfigMap \(Self.configurationNamespace)/\(Self.configurationName) "
                    + "is not taken over: \(error)")
            return
        }
        guard configuration != plan.configuration else { return }
        for remark in configuration.remarks { log.warning("\(Self.configurationKey): \(remark)") }
        if let cluster = configuration.blocks.lazy.compactMap(\.cluster).first {
            zone.withLock { zone in
                zone.timeToLive = cluster.timeToLive
                zone.namesPods = cluster.namesPods
            }
        }
        let plan = DNSPlan(configuration, metrics: metrics, world: world, log: log)
        planned.withLock { $0 = plan }
        replanned.wake()
        log.info("\(Self.configurationKey): \(configuration.blocks.count) server blocks")
    }

    /// What goes on beside answering, anew for every configuration: health and metrics, and the search for loops.
    private func accompany() async throws {
        while true {
            let ticket = replanned.ticket
            let plan = plan
            let sidecars = DNSSidecars(
                address: listenAddress, metrics: metrics, isReady: { self.isReady }, publish: publish, world: world,
                log: log)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do { try await sidecars.run(plan.configuration) } catch let error as CancellationError {
                        throw error
                    } catch {
                        self.log.error("health and metrics: \(error)")
                    }
                    return false
                }
                for case let forwarder? in plan.forwarders {
                    group.addTask {
                        try await forwarder.probeForLoops()
                        return false
                    }
                }
                group.addTask {
                    try await self.replanned.wait(since: ticket)
                    return true
                }
                while try await group.next() == false {}
                group.cancelAll()
            }
        }
    }

    private var listenAddress: IPAddress {
        if case .ip(let address, _) = listenOn.first { return address }
        return .loopback
    }

    /// Whether the zone holds everything that the first lists brought. Their changes reach the zone a moment later,
    /// so at the first sight of complete lists they are taken over at once.
    var isReady: Bool {
        if ready.load(ordering: .relaxed) { return true }
        let all = [services, slices, namespaces, configurations]
        guard all.allSatisfy(\.hasSynced) else { return false }
        for informer in all {
            for object in informer.all {
                let (namespace, name) = (object.text("metadata", "namespace"), object.text("metadata", "name") ?? "")
                let key = namespace.map { "\($0)/\(name)" } ?? name
                take(Change(key: key, old: nil, new: object), from: informer.resource)
            }
        }
        ready.store(true, ordering: .relaxed)
        return true
    }
}
