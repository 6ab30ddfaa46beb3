import Basics
import Document
import Synchronization
import Testing

@testable import Scheduler

final class Dice: Randomness {
    private let state: Mutex<UInt64>
    init(_ seed: UInt64) { state = Mutex(seed) }
    func next() -> UInt64 {
        state.withLock {
            $0 = $0 &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return $0 >> 17
        }
    }
}

func labels(_ map: [String: String]) -> Document {
    Document(members: map.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
}

func podDocument(
    _ name: String, cpu: String = "100m", memory: String = "64Mi", labels map: [String: String] = [:],
    on node: String = "",
    namespace: String = "default", spec: Document = [:], status: Document = [:], owner: String? = nil
) -> Document {
    var spec = spec
    if spec["containers"] == nil {
        spec["containers"] = [
            [
                "name": "main", "image": "app:1",
                "resources": ["requests": ["cpu": Document(cpu), "memory": Document(memory)]],
            ]
        ]
    }
    if !node.isEmpty { spec["nodeName"] = Document(node) }
    var metadata: Document = [
        "name": Document(name), "namespace": Document(namespace), "uid": Document("uid-\(name)"), "labels": labels(map),
    ]
    if let owner {
        metadata["ownerReferences"] = [
            [
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "owner", "uid": Document(owner),
                "controller": true,
            ]
        ]
    }
    return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status]
}

func pod(
    _ name: String, cpu: String = "100m", labels: [String: String] = [:], spec: Document = [:], owner: String? = nil
) -> PodInfo {
    PodInfo(podDocument(name, cpu: cpu, labels: labels, spec: spec, owner: owner))
}

func nodeDocument(_ name: String, cpu: String = "1", pods: String = "110", zone: String = "z", _ patch: Document = [:])
    -> Document
{
    let node: Document = [
        "metadata": [
            "name": Document(name),
            "labels": ["kubernetes.io/hostname": Document(name), "topology.kubernetes.io/zone": Document(zone)],
        ],
        "status": ["allocatable": ["cpu": Document(cpu), "memory": "1Gi", "pods": Document(pods)]],
    ]
    return node.applyingMergePatch(patch)
}

func makeCluster(
    _ nodes: [String: Document] = [:], count: Int = 3, pods: String = "110", zone: (Int) -> String = { "z\($0 % 2)" }
) -> Cluster {
    var cluster = Cluster()
    for index in 1...count {
        let name = "n\(index)"
        _ = cluster.setNode(name, nodeDocument(name, pods: pods, zone: zone(index), nodes[name] ?? [:]))
    }
    return cluster
}

/// The node's name, or why there is none.
func decide(_ pod: PodInfo, _ cluster: inout Cluster, seed: UInt64 = 1, _ profile: Profile = .standard()) -> String {
    var framework = Framework(profile)
    switch framework.schedule(pod, &cluster, random: Dice(seed)) {
    case .bind(let node): return node
    case .unschedulable(let diagnosis): return diagnosis.message
    case .failed(let message): return message
    }
}

func makeCore(_ nodes: Int = 1, cpu: String = "1") -> Core {
    var core = Core([.standard()], queue: .init())
    for index in 0..<nodes { core.takeNode("n\(index + 1)", nodeDocument("n\(index + 1)", cpu: cpu)) }
    return core
}

extension Core {
    mutating func add(_ document: Document, now: Duration = .zero) {
        let key = "\(document.text("metadata", "namespace") ?? "")/\(document.text("metadata", "name") ?? "")"
        takePod(key, nil, document, now: now)
    }

    /// The next decision in words.
    mutating func step(_ now: Duration = .zero) -> String {
        guard let (queued, work) = next(now: now, random: Dice(1)) else { return "nothing" }
        switch work {
        case .bind(let node): return "\(queued.pod.name) on \(node)"
        case .fail(let message): return "\(queued.pod.name) failed: \(message)"
        case .report(let message, let victims, let nominated):
            let gone = victims.isEmpty ? "" : ", driving out \(victims.map(\.name).sorted().joined(separator: " "))"
            let promise = nominated.map { $0.isEmpty ? "" : ", nominated \($0)" } ?? ""
            return "\(queued.pod.name): \(message)\(gone)\(promise)"
        }
    }
}
