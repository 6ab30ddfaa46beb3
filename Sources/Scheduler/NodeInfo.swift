import Basics
import Document
import Kinds

/// A node with the pods that are on it or about to be.
struct NodeInfo: Sendable {
    /// Nil where pods are bound to a node that is not there (any more).
    private(set) var document: Document?
    let name: String
    private(set) var labels: [String: String] = [:]
    private(set) var taints: [Document] = []
    private(set) var isUnschedulable = false
    private(set) var allocatable = Resources()
    /// The size of each image that is present, by every name that it has.
    private(set) var images: [String: Int] = [:]
    private(set) var requested = Resources()
    private(set) var scoredRequested = Resources()
    private(set) var pods: [String: PodInfo] = [:]
    /// Of `pods`, those that want to keep others away, or draw them near.
    private(set) var withAffinity: Set<String> = []

    init(name: String) { self.name = name }

    mutating func set(_ node: Document?) {
        document = node
        let view = NodeView(node ?? .emptyObject)
        labels = view.metadata.labels
        taints = view.taints
        isUnschedulable = view.unschedulable
        allocatable = Resources(view.document, "status", "allocatable")
        images = [:]
        for image in view.images {
            for name in image.list("names").compactMap(\.string) { images[name] = image.number("sizeBytes") ?? 0 }
        }
    }

    mutating func add(_ pod: PodInfo) {
        remove(pod.key)
        pods[pod.key] = pod
        requested += pod.requests
        scoredRequested += pod.scoredRequests
        if pod.affinity?["podAffinity"] != nil || pod.affinity?["podAntiAffinity"] != nil {
            withAffinity.insert(pod.key)
        }
    }

    mutating func remove(_ key: String) {
        guard let pod = pods.removeValue(forKey: key) else { return }
        requested -= pod.requests
        scoredRequested -= pod.scoredRequests
        withAffinity.remove(key)
    }

    var isEmpty: Bool { document == nil && pods.isEmpty }
}

/// The cluster as one scheduling decision sees it.
struct Snapshot: Sendable {
    private(set) var nodes: [String: NodeInfo] = [:]
    /// Names of the nodes that exist, in order.
    private(set) var names: [String] = []
    var namespaceLabels: [String: [String: String]] = [:]
    /// Where each pod is counted.
    private var places: [String: String] = [:]

    init() {}

    mutating func setNode(_ name: String, _ document: Document?) {
        let existed = nodes[name]?.document != nil
        nodes[name, default: NodeInfo(name: name)].set(document)
        if nodes[name]?.isEmpty == true { nodes[name] = nil }
        if existed != (document != nil) { names = nodes.values.filter { $0.document != nil }.map(\.name).sorted() }
    }

    /// Counts the pod on `node`, and no longer where it was before.
    mutating func place(_ pod: PodInfo, on node: String) {
        if places[pod.key] != node { remove(pod.key) }
        places[pod.key] = node
        nodes[node, default: NodeInfo(name: node)].add(pod)
    }

    mutating func remove(_ key: String) {
        guard let node = places.removeValue(forKey: key) else { return }
        nodes[node]?.remove(key)
        if nodes[node]?.isEmpty == true { nodes[node] = nil }
    }

    func place(of key: String) -> String? { places[key] }
}
