import Basics
import Document
import Kinds

/// A pod's claims must be bound to volumes that its node can use, or be able to get such volumes there.
struct VolumeBinding: Plugin {
    private static let title = "VolumeBinding"
    let name = title
    var timeout = Duration.seconds(600)

    private struct Volumes: Check {
        let bound: [Document]
        let isMissingVolume: Bool
        let open: [Document]
        let storage: StorageState

        func filter(_ node: NodeInfo) -> Rejection? {
            if isMissingVolume { return VolumeBinding.missing }
            if bound.contains(where: { !NodeRules.allows($0, node) }) { return VolumeBinding.elsewhere }
            if open.isEmpty { return nil }
            do {
                _ = try VolumeMatching(storage: storage).plan(open, node)
                return nil
            } catch {
                return error == .notEnoughSpace ? VolumeBinding.full : VolumeBinding.unbindable
            }
        }
    }

    private static let elsewhere = Rejection(
        title, "node(s) didn't match PersistentVolume's node affinity", isUnresolvable: true)
    private static let unbindable = Rejection(
        title, "node(s) didn't find available persistent volumes to bind", isUnresolvable: true)
    private static let full = Rejection(title, "node(s) did not have enough free storage", isUnresolvable: true)
    private static let missing = Rejection(
        title, "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", isUnresolvable: true)

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.volumes.claims.isEmpty { return .skip }
        var bound: [Document] = []
        var open: [Document] = []
        var isMissingVolume = false
        var isUnbound = false
        for wanted in pod.volumes.claims {
            guard let claim = cluster.storage.claims[wanted.key] else {
                return .refuse(Rejection(name, Self.notFound(wanted), isUnresolvable: true))
            }
            if let problem = Self.problem(claim, wanted, pod) {
                return .refuse(Rejection(name, problem, isUnresolvable: true))
            }
            if let volume = cluster.storage.boundVolume(claim) {
                if let volume = cluster.storage.volumes[volume] { bound.append(volume) } else { isMissingVolume = true }
            } else if cluster.storage.waitsForConsumer(claim), (claim.text("spec", "volumeName") ?? "").isEmpty {
                open.append(claim)
            } else {
                isUnbound = true
            }
        }
        if isUnbound {
            return .refuse(Rejection(name, "pod has unbound immediate PersistentVolumeClaims", isUnresolvable: true))
        }
        return .check(
            Volumes(bound: bound, isMissingVolume: isMissingVolume, open: open, storage: cluster.storage))
    }

    private static func notFound(_ claim: PodVolumes.Claim) -> String {
        let name = claim.key.split(separator: "/").last.map(String.init) ?? claim.key
        return claim.isEphemeral
            ? "waiting for ephemeral volume controller to create the persistentvolumeclaim \"\(name)\""
            : "persistentvolumeclaim \"\(name)\" not found"
    }

    private static func problem(_ claim: Document, _ wanted: PodVolumes.Claim, _ pod: PodInfo) -> String? {
        let name = claim.text("metadata", "name") ?? ""
        if claim.text("status", "phase") == "Lost" {
            let volume = claim.text("spec", "volumeName") ?? ""
            return "persistentvolumeclaim \"\(name)\" bound to non-existent persistentvolume \"\(volume)\""
        }
        if claim.text("metadata", "deletionTimestamp") != nil {
            return "persistentvolumeclaim \"\(name)\" is being deleted"
        }
        guard wanted.isEphemeral else { return nil }
        let isOwned = claim.list("metadata", "ownerReferences").contains {
            $0.flag("controller") == true && $0.text("uid") == pod.uid
        }
        return isOwned ? nil : "PVC \(wanted.key) was not created for pod \(pod.key) (pod is not owner)"
    }

    // MARK: Keeping and binding

    /// What the pod's open claims get on the node.
    static func plan(_ pod: PodInfo, _ node: NodeInfo, _ storage: StorageState) throws -> VolumePlan {
        let open = pod.volumes.claims.compactMap { storage.claims[$0.key] }.filter { storage.boundVolume($0) == nil }
        return open.isEmpty ? VolumePlan(node: node.name) : try VolumeMatching(storage: storage).plan(open, node)
    }

    func reserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) -> String? {
        if pod.volumes.claims.isEmpty { return nil }
        guard let info = cluster.node(node) else { return "node \"\(node)\" not found" }
        do {
            let plan = try Self.plan(pod, info, cluster.storage)
            if plan.isEmpty { return nil }
            cluster.storage.promise(plan)
            cluster.volumePlans[pod.key] = plan
            return nil
        } catch {
            return "no volumes are left on node \"\(node)\""
        }
    }

    func unreserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) {
        if let plan = cluster.volumePlans.removeValue(forKey: pod.key) { cluster.storage.release(plan) }
    }

    func preBind(_ pod: PodInfo, _ node: String, _ work: any BindingWork) async throws {
        if pod.volumes.claims.isEmpty { return }
        try await work.bindVolumes(of: pod, timeout: timeout)
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .claimChanged(let key): return pod.volumes.claims.contains { $0.key == key }
        case .volumeChanged, .storageClassChanged, .capacityChanged, .nodeAdded, .driverChanged: return true
        case .nodeChanged(_, let changes): return changes.contains(.labels)
        default: return false
        }
    }
}

/// Disks that one pod may use at a time, and claims that one pod may.
struct VolumeRestrictions: Plugin {
    let name = "VolumeRestrictions"

    private struct Disks: Check {
        let disks: [PodVolumes.Disk]
        let isClaimTaken: Bool

        func filter(_ node: NodeInfo) -> Rejection? {
            let collides = node.withVolumes.contains { key in
                (node.pods[key]?.volumes.disks ?? []).contains { used in disks.contains { $0.collides(with: used) } }
            }
            if collides { return Rejection("VolumeRestrictions", "node(s) had no available disk") }
            if !isClaimTaken { return nil }
            return Rejection(
                "VolumeRestrictions",
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by "
                    + "another pod")
        }
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.volumes.claims.isEmpty, pod.volumes.disks.isEmpty { return .skip }
        let isTaken = pod.volumes.claims.contains { claim in
            let modes = cluster.storage.claims[claim.key]?.list("spec", "accessModes") ?? []
            return modes.contains { $0.string == "ReadWriteOncePod" } && (cluster.storage.users[claim.key] ?? 0) > 0
        }
        if pod.volumes.disks.isEmpty, !isTaken { return .skip }
        return .check(Disks(disks: pod.volumes.disks, isClaimTaken: isTaken))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .podRemoved(let gone, _):
            return gone.volumes.disks.contains { used in pod.volumes.disks.contains { $0.collides(with: used) } }
                || gone.volumes.claims.contains { pod.volumes.claims.contains($0) }
        case .claimChanged(let key): return pod.volumes.claims.contains { $0.key == key }
        case .nodeAdded: return true
        default: return false
        }
    }
}

/// Volumes of a zone are for the nodes of that zone.
struct VolumeZone: Plugin {
    let name = "VolumeZone"
    private static let labels = [
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    ]

    private struct Zones: Check {
        let wanted: [(key: String, values: Set<String>)]

        func filter(_ node: NodeInfo) -> Rejection? {
            guard VolumeZone.labels.contains(where: { node.labels[$0] != nil }) else { return nil }
            for (key, values) in wanted {
                // Old and new names of the same label stand for each other.
                let value = node.labels[key] ?? node.labels[VolumeZone.otherName(key)]
                if value.map({ !values.contains($0) }) ?? true {
                    return Rejection("VolumeZone", "node(s) had no available volume zone", isUnresolvable: true)
                }
            }
            return nil
        }
    }

    private static func otherName(_ key: String) -> String {
        key.hasPrefix("failure-domain.beta")
            ? "topology" + key.dropFirst("failure-domain.beta".count)
            : "failure-domain.beta" + key.dropFirst("topology".count)
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.volumes.claims.isEmpty { return .skip }
        var wanted: [(String, Set<String>)] = []
        for claim in pod.volumes.claims {
            guard let name = cluster.storage.claims[claim.key]?.text("spec", "volumeName"),
                let volume = cluster.storage.volumes[name]
            else { continue }
            for (key, value) in volume.map("metadata", "labels").sorted(by: { $0.key < $1.key })
            where Self.labels.contains(key) {
                wanted.append((key, Set(value.split(separator: "__").map(String.init))))
            }
        }
        return wanted.isEmpty ? .skip : .check(Zones(wanted: wanted))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .claimChanged(let key): return pod.volumes.claims.contains { $0.key == key }
        case .volumeChanged, .storageClassChanged, .nodeAdded: return true
        case .nodeChanged(_, let changes): return changes.contains(.labels)
        default: return false
        }
    }
}

/// A node attaches only so many volumes of one driver.
struct NodeVolumeLimits: Plugin {
    let name = "NodeVolumeLimits"

    private struct Attachments: Check {
        let storage: StorageState
        /// By driver, the volumes that the pod needs.
        let wanted: [String: Set<String>]

        func filter(_ node: NodeInfo) -> Rejection? {
            guard let limits = storage.limits[node.name], wanted.keys.contains(where: { limits[$0] != nil }) else {
                return nil
            }
            var used: [String: Set<String>] = [:]
            for key in node.withVolumes {
                guard let pod = node.pods[key] else { continue }
                for (driver, handles) in NodeVolumeLimits.attachments(pod, storage) {
                    used[driver, default: []].formUnion(handles)
                }
            }
            for (driver, handles) in wanted {
                guard let limit = limits[driver] else { continue }
                let there = used[driver] ?? []
                let new = handles.subtracting(there)
                if !new.isEmpty, there.count + new.count > limit {
                    return Rejection("NodeVolumeLimits", "node(s) exceed max volume count")
                }
            }
            return nil
        }
    }

    fileprivate static func attachments(_ pod: PodInfo, _ storage: StorageState) -> [String: Set<String>] {
        var found: [String: Set<String>] = [:]
        for claim in pod.volumes.claims {
            guard let (driver, handle) = storage.attachment(claim.key) else { continue }
            found[driver, default: []].insert(handle)
        }
        for (index, driver) in pod.volumes.inlineDrivers.enumerated() {
            found[driver, default: []].insert("\(pod.uid)/\(index)")
        }
        return found
    }

    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation {
        if pod.volumes.claims.isEmpty, pod.volumes.inlineDrivers.isEmpty { return .skip }
        let wanted = Self.attachments(pod, cluster.storage)
        if wanted.isEmpty { return .skip }
        return .check(Attachments(storage: cluster.storage, wanted: wanted))
    }

    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool {
        switch event {
        case .podRemoved(let gone, _): return !gone.volumes.isEmpty
        case .claimChanged(let key): return pod.volumes.claims.contains { $0.key == key }
        case .storageNodeChanged, .nodeAdded, .volumeChanged: return true
        default: return false
        }
    }
}
