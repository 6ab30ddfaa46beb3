import Basics
import Client
import Document
import Kinds
import Synchronization

/// Counts what the objects of a namespace use, and writes it into the status of its quotas.
///
/// The server charges what is created; here is given back what goes, and new quotas get their first count.
/// Collections are followed only once some quota counts them.
final class QuotaController: Controller {
    static let quotaController = "resourcequota-controller"
    let name = quotaController
    let workers = 5
    /// A count from a cache that was a moment behind the server's own charge is put right after this.
    private static let doubt = Duration.seconds(5)
    private static let untilSync = Duration.milliseconds(100)
    /// A charge is written before the object that it is for: the quota is left alone until that has come too.
    private static let settling = Duration.milliseconds(200)

    /// Objects whose use is more than their number: these are kept whole.
    private static let measured: Set<String> = [
        "pods", "services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io",
    ]
    private let quotas: Informer
    private let informers: Informers
    private let served: ServedResources
    /// Since when each quota has the version that it has.
    private let ages = Mutex<[String: (version: String, since: Duration)]>([:])
    /// The collections that are followed, by the name that quotas have for them.
    private let followed = Mutex<[String: Informer]>([:])

    init(_ informers: Informers, _ served: ServedResources) {
        self.informers = informers
        self.served = served
        quotas = informers(.resourceQuotas)
        quotas.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] { [Source(quotas)] }

    // MARK: Following

    func accompany(_ add: @escaping @Sendable (String) -> Void) async throws {
        let wanted = Wakeup()
        let changes = quotas.changes()
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { for await _ in changes { wanted.wake() } }
            group.addTask { [served] in
                while true {
                    let ticket = served.ticket
                    wanted.wake()
                    try await served.wait(since: ticket)
                }
            }
            while true {
                let ticket = wanted.ticket
                for (kind, informer) in followMore() {
                    let changes = informer.changes()
                    group.addTask { for await change in changes { self.take(change, of: kind, add) } }
                    for quota in quotas.all { add(ObjectKey.of(quota)) }
                }
                try await wanted.wait(since: ticket)
            }
        }
    }

    /// Begins to follow the collections that quotas count and that are not followed yet.
    private func followMore() -> [(kind: String, informer: Informer)] {
        let quotas = quotas.all
        if quotas.isEmpty { return [] }
        var new: [(kind: String, informer: Informer)] = []
        for resource in served.all ?? [] where quotas.contains(where: { Self.counts($0, resource) }) {
            let kind = resource.type.description
            let informer = followed.withLock { followed -> Informer? in
                if followed[kind] != nil { return nil }
                let informer =
                    Self.measured.contains(kind) ? informers(resource.type) : informers.metadata(resource.type)
                followed[kind] = informer
                return informer
            }
            guard let informer else { continue }
            informer.addIndex(PodIndex.namespace, PodIndex.byNamespace)
            new.append((kind, informer))
        }
        return new
    }

    /// What goes, or comes to use another amount, concerns the quotas that count its kind.
    private func take(_ change: Change, of kind: String, _ add: @Sendable (String) -> Void) {
        guard let old = change.old else { return }
        if let new = change.new {
            guard Self.measured.contains(kind), Self.frees(old, new, kind) else { return }
        }
        for quota in quotas.indexed("namespace", old.namespace ?? "") where QuotaCount.concerns(quota, kind) {
            add(ObjectKey.of(quota))
        }
    }

    private static func frees(_ old: Document, _ new: Document, _ kind: String) -> Bool {
        switch kind {
        case "pods":
            old.isFinished != new.isFinished
                || old.at("spec", "containers") != new.at("spec", "containers")
                || old.at("spec", "activeDeadlineSeconds") != new.at("spec", "activeDeadlineSeconds")
        case "persistentvolumeclaims":
            old["spec"] != new["spec"]
                || old.at("status", "allocatedResources") != new.at("status", "allocatedResources")
        default: old["spec"] != new["spec"]
        }
    }

    // MARK: Counting

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let quota = quotas.get(key: key) else {
            ages.withLock { $0[key] = nil }
            return .nothing
        }
        let age = age(of: quota, key, situation.uptime)
        if age < Self.settling, quota.at("status", "used") != nil,
            quota.at("status", "hard") == quota.at("spec", "hard")
        {
            return Plan(lookAgain: Self.settling - age)
        }
        let collections = followed.withLock { $0 }.filter { QuotaCount.concerns(quota, $0.key) }
        guard let served = served.all, collections.values.allSatisfy(\.hasSynced),
            served.allSatisfy({ collections[$0.type.description] != nil || !Self.counts(quota, $0) })
        else { return Plan(lookAgain: Self.untilSync) }
        let objects = collections.mapValues { $0.indexed(PodIndex.namespace, quota.namespace ?? "") }
        return Self.plan(quota, objects: objects, situation)
    }

    private func age(of quota: Document, _ key: String, _ now: Duration) -> Duration {
        let version = quota.text("metadata", "resourceVersion") ?? ""
        return ages.withLock { ages in
            if let known = ages[key], known.version == version { return now - known.since }
            let isFirst = ages[key] == nil
            ages[key] = (version, isFirst ? now - Self.settling : now)
            return isFirst ? Self.settling : .zero
        }
    }

    private static func counts(_ quota: Document, _ resource: Discovery.Resource) -> Bool {
        resource.type.namespaced && resource.verbs.contains("watch")
            && QuotaCount.concerns(quota, resource.type.description)
    }

    static func plan(_ quota: Document, objects: [String: [Document]], _ situation: Situation) -> Plan {
        guard let counted = QuotaCount.counted(quota, objects: objects, now: situation.now) else { return .nothing }
        var plan = Plan(steps: [.inOrder([.update(.resourceQuotas, counted, subresource: "status")])])
        plan.lookAgain(after: doubt)
        return plan
    }
}
