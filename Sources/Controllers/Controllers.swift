import Basics
import Client
import Document

public struct ControllerOptions: Sendable {
    /// Which controllers run: `*` for all that do by default, `NAME` for one, `-NAME` for all but it.
    public var controllers = ["*"]
    /// The pods' network, of which every node gets a part; nil where something else hands them out.
    public var clusterCIDR: CIDR?
    public var nodeMaskSize = 24
    /// The addresses of load balancers; nil leaves those services to something else.
    public var loadBalancerPool: CIDR?
    /// PEM of the authority that signed the API server's certificate, for every namespace's `kube-root-ca.crt`.
    public var rootCertificate: String?
    /// Makes the tokens that live in Secrets; nil leaves those unfilled.
    public var tokenMaker: TokenMaker?
    /// Signs the certificates that were approved; nil leaves that to others.
    public var signer: CertificateSigning?
    /// A silent node counts as lost after this.
    public var nodeMonitorGracePeriod = Duration.seconds(50)
    public var nodeMonitorPeriod = Duration.seconds(5)
    public var nodeStartupGracePeriod = Duration.seconds(60)
    /// Tokens in Secrets that were not used for so long are made invalid, and removed after the same time again.
    public var legacyTokenPatience = Duration.seconds(365 * 86_400)

    public init() {}
}

/// Runs the controllers until cancelled.
public func runControllers(
    client: APIClient, world: World, log: Log, options: ControllerOptions = ControllerOptions(),
    metrics: ControllerMetrics = ControllerMetrics()
) async throws {
    let chosen = try ControllerSelection(options.controllers)
    let informers = Informers(client: client, world: world, log: log)
    let served = ServedResources(client: client, informers: informers, world: world, log: log)
    let setting = ControllerSetting(informers: informers, served: served, options: options)
    // Made once for their names alone, so that nobody follows collections for controllers that do not run.
    let trial = ControllerSetting(
        informers: Informers(client: client, world: world, log: log), served: served, options: options)
    let controllers = roster.filter { $0(trial).map { chosen.contains($0.name) } ?? false }.compactMap { $0(setting) }
    try await withThrowingDiscardingTaskGroup { group in
        for controller in controllers {
            let recorder = EventRecorder(client, component: controller.component, world: world)
            let loop = ControllerLoop(
                controller: controller, client: client, recorder: recorder, world: world,
                log: log.named(controller.name), metrics: metrics)
            group.addTask { try await loop.run() }
        }
        if chosen.contains(NamespaceController.name) {
            let namespaces = NamespaceController(
                client: client, informers: informers, world: world, log: log, metrics: metrics)
            group.addTask { try await namespaces.run() }
        }
        if chosen.contains(GarbageCollector.name) {
            let collector = GarbageCollector(
                client: client, informers: informers, served: served, world: world, log: log, metrics: metrics)
            group.addTask { try await collector.run() }
        }
        if chosen.contains(GarbageCollector.name) || chosen.contains(QuotaController.quotaController) {
            group.addTask { try await served.run() }
        }
        // Last, so that every index is in place before the first object comes.
        group.addTask { try await informers.run() }
    }
}

/// The names of all controllers for which the options leave something to do, whether chosen or not.
public func controllerNames(client: APIClient, world: World, options: ControllerOptions) -> [String] {
    let informers = Informers(client: client, world: world, log: .silent)
    let served = ServedResources(client: client, informers: informers, world: world, log: .silent)
    let setting = ControllerSetting(informers: informers, served: served, options: options)
    return roster.compactMap { $0(setting)?.name } + [NamespaceController.name, GarbageCollector.name]
}

/// What a controller is made from.
struct ControllerSetting {
    var informers: Informers
    var served: ServedResources
    var options: ControllerOptions

    var nodeLifecycle: NodeLifecycleSettings {
        var settings = NodeLifecycleSettings()
        settings.gracePeriod = options.nodeMonitorGracePeriod
        settings.period = options.nodeMonitorPeriod
        settings.startupGracePeriod = options.nodeStartupGracePeriod
        return settings
    }
}

/// Every controller that runs by the common loop; nil where the options leave nothing for it to do.
private let roster: [@Sendable (ControllerSetting) -> (any Controller)?] = [
    { ServiceAccountController($0.informers) },
    { ReplicaSetController($0.informers) },
    { ReplicaSetController($0.informers, kind: .replicationController) },
    { StatefulSetController($0.informers) },
    { DaemonSetController($0.informers) },
    { DeploymentController($0.informers) },
    { EndpointSliceController($0.informers) },
    { EndpointsController($0.informers) },
    { MirroringController($0.informers) },
    { CertificateApprover($0.informers) },
    { setting in setting.options.signer.map { CertificateSigner(setting.informers, $0) } },
    { CertificateCleaner($0.informers) },
    { NodeLifecycleController($0.informers, $0.nodeLifecycle) },
    { TaintEvictionController($0.informers) },
    { PodGC($0.informers) },
    { PersistentVolumeController($0.informers) },
    { NodeDirectoryProvisioner($0.informers) },
    { ExpandController($0.informers) },
    { EphemeralVolumeController($0.informers) },
    { ClaimProtection($0.informers) },
    { VolumeProtection($0.informers) },
    { AttributesClassProtection($0.informers) },
    { AttachDetachController($0.informers) },
    { ClusterRoleAggregation($0.informers) },
    { QuotaController($0.informers, $0.served) },
    { ServiceCIDRController($0.informers) },
    { ValidatingPolicyStatus($0.informers) },
    { BootstrapSigner($0.informers) },
    { TokenCleaner($0.informers) },
    { ResourceClaimController($0.informers) },
    { JobController($0.informers) },
    { TTLAfterFinished($0.informers) },
    { CronJobController($0.informers) },
    { DisruptionController($0.informers) },
    { HorizontalPodAutoscaler($0.informers) },
    { setting in
        setting.options.clusterCIDR.map {
            NodeIPAM(setting.informers, network: $0, length: setting.options.nodeMaskSize)
        }
    },
    { setting in
        setting.options.loadBalancerPool.map { LoadBalancerController(setting.informers, pool: $0) }
    },
    { setting in
        setting.options.tokenMaker.map {
            TokenController(setting.informers, certificate: setting.options.rootCertificate, make: $0)
        }
    },
    { LegacyTokenCleaner($0.informers, patience: $0.options.legacyTokenPatience) },
    { setting in
        setting.options.rootCertificate.map { RootCAPublisher(setting.informers, certificate: $0) }
    },
]
