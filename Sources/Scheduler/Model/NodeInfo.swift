import Document
import Kinds

/// A node with the pods that are on it or about to be.
///
/// An object with one owner, the `Cluster`: thousands of them are read for one decision, and reading a value out of
/// an array would count references of every field of it.
final class NodeInfo {
    let slot: Int
    let name: String
    /// False where pods are bound to a node that is not there (any more).
    private(set) var exists = false
    private(set) var labels: [String: String] = [:]
    private(set) var taints: [Taint] = []
    private(set) var isUnschedulable = false
    private(set) var allocatable = Resources()
    private(set) var allowedPods = 0
    /// The size of each image that is present, by every name that it has.
    private(set) var images: [String: Int] = [:]
    private(set) var requested = Resources()
    private(set) var scored = Resources()
    private(set) var pods: [String: PodInfo] = [:]
    /// How many pods of each group are here; those that are ending apart.
    private(set) var groups: [Int: (live: Int32, ending: Int32)] = [:]
    /// Of `pods`, those with host ports, disks or volume claims.
    private(set) var withPorts: Set<String> = []
    private(set) var withVolumes: Set<String> = []
    /// Grows with every change; what was found out about the node holds as long as it stays.
    private(set) var version: UInt64 = 1

    init(slot: Int, name: String) {
        self.slot = slot
        self.name = name
    }

    struct Changes: OptionSet, Sendable {
        let rawValue: Int
        static let labels = Changes(rawValue: 1)
        static let taints = Changes(rawValue: 2)
        static let resources = Changes(rawValue: 4)
        static let images = Changes(rawValue: 8)
        static let existence = Changes(rawValue: 16)
    }

    /// Answers what of it matters here.
    func set(_ node: Document?) -> Changes {
        var changes: Changes = []
        if exists != (node != nil) {
            changes.insert(.existence)
            exists = node != nil
        }
        let view = NodeView(node ?? .emptyObject)
        let labels = view.metadata.labels
        let taints = view.taints.map { Taint($0) }
        if labels != self.labels { changes.insert(.labels) }
        if taints != self.taints || view.unschedulable != isUnschedulable { changes.insert(.taints) }
        let allocatable = Resources(view.document, "status", "allocatable")
        let allowedPods = allocatable.other["pods"] ?? 0
        if allocatable != self.allocatable || allowedPods != self.allowedPods { changes.insert(.resources) }
        var images: [String: Int] = [:]
        for image in view.images {
            for name in image.list("names").compactMap(\.string) { images[name] = image.number("sizeBytes") ?? 0 }
        }
        if images != self.images { changes.insert(.images) }
        if changes.isEmpty { return changes }
        self.labels = labels
        self.taints = taints
        self.allocatable = allocatable
        self.allowedPods = allowedPods
        self.images = images
        isUnschedulable = view.unschedulable
        version += 1
        return changes
    }

    func add(_ pod: PodInfo, group: Int) {
        pods[pod.key] = pod
        requested += pod.requests.exact
        scored += pod.requests.scored
        count(pod, group, 1)
        if !pod.hostPorts.isEmpty { withPorts.insert(pod.key) }
        if !pod.volumes.isEmpty { withVolumes.insert(pod.key) }
        version += 1
    }

    func remove(_ pod: PodInfo, group: Int) {
        guard pods.removeValue(forKey: pod.key) != nil else { return }
        requested -= pod.requests.exact
        scored -= pod.requests.scored
        count(pod, group, -1)
        withPorts.remove(pod.key)
        withVolumes.remove(pod.key)
        version += 1
    }

    private func count(_ pod: PodInfo, _ group: Int, _ change: Int32) {
        var entry = groups[group] ?? (0, 0)
        if pod.isTerminating { entry.ending += change } else { entry.live += change }
        groups[group] = entry.live == 0 && entry.ending == 0 ? nil : entry
    }

    var isEmpty: Bool { !exists && pods.isEmpty }
    var zone: String {
        let region = labels["topology.kubernetes.io/region"] ?? ""
        return region + "/" + (labels["topology.kubernetes.io/zone"] ?? "")
    }
}
