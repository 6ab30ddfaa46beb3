import Basics
import Document
import Kinds

struct HostPort: Sendable, Hashable {
    var address: String
    var transport: String
    var port: Int

    /// Two ports collide on equal addresses, and where one of them is every address.
    func collides(with other: HostPort) -> Bool {
        port == other.port && transport == other.transport
            && (address == other.address || address == "0.0.0.0" || other.address == "0.0.0.0")
    }
}

/// What tells pods apart that the scheduler must treat differently. Made with the process's own hashing secret, so
/// nobody can make two different pods look alike.
struct Signature: Sendable, Hashable {
    private let high: Int
    private let low: Int

    init(_ parts: [String]) {
        var first = Hasher()
        var second = Hasher()
        first.combine(1)
        second.combine(2)
        for part in parts {
            first.combine(part)
            second.combine(part)
        }
        high = first.finalize()
        low = second.finalize()
    }
}

/// A pod as the scheduler sees it: its requirements, read once.
final class PodInfo: Sendable {
    let document: Document
    let key: String
    let uid: String
    let name: String
    let namespace: String
    let labels: [String: String]
    let nodeName: String
    let nominatedNode: String
    let schedulerName: String
    let priority: Int
    let neverPreempts: Bool
    let isTerminating: Bool
    let controllerUID: String?
    let controllerKind: String
    let requests: PodRequests
    let hostPorts: [HostPort]
    let tolerations: [Toleration]
    let nodeSelector: [String: String]
    let nodeSelection: NodeSelection?
    let preferredNodes: [(term: NodeTerm, weight: Int)]
    let near: [AffinityTerm]
    let far: [AffinityTerm]
    let preferredNear: [AffinityTerm]
    let preferredFar: [AffinityTerm]
    let spread: [SpreadConstraint]
    let images: [String]
    let volumes: PodVolumes
    let gates: [String]
    /// Equal for pods that any one node, with what is on it, serves equally well or badly.
    let nodeSignature: Signature
    /// Equal for pods that other pods' rules, and theirs about others, treat equally.
    let groupSignature: Signature

    init(_ document: Document) {
        let view = PodView(document)
        let metadata = view.metadata
        self.document = document
        key = metadata.key
        uid = metadata.uid
        name = metadata.name
        namespace = metadata.namespace
        labels = metadata.labels
        nodeName = view.nodeName
        nominatedNode = view.nominatedNodeName
        schedulerName = view.schedulerName
        priority = view.priority
        neverPreempts = view.preemptionPolicy == "Never"
        isTerminating = metadata.isDeleting
        let controller = metadata.controllerRef
        controllerUID = controller?.uid
        controllerKind = controller?.kind ?? ""
        let affinity = view.affinity
        let tolerations = document.at("spec", "tolerations")
        self.tolerations = (tolerations?.elements ?? []).map { Toleration($0) }
        nodeSelector = view.nodeSelector
        let nodes = affinity?["nodeAffinity"]
        nodeSelection = nodes?["requiredDuringSchedulingIgnoredDuringExecution"].flatMap {
            $0.isNull ? nil : NodeSelection($0)
        }
        preferredNodes = (nodes?.list("preferredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            (NodeTerm($0["preference"] ?? .emptyObject), $0.number("weight") ?? 0)
        }
        let attract = affinity?["podAffinity"]
        let repel = affinity?["podAntiAffinity"]
        near = AffinityTerm.list(attract, namespace: namespace, labels: labels)
        far = AffinityTerm.list(repel, namespace: namespace, labels: labels)
        preferredNear = AffinityTerm.preferred(attract, namespace: namespace, labels: labels)
        preferredFar = AffinityTerm.preferred(repel, namespace: namespace, labels: labels)
        let spread = document.at("spec", "topologySpreadConstraints")
        self.spread = (spread?.elements ?? []).map { [namespace, labels] in
            SpreadConstraint($0, namespace: namespace, labels: labels)
        }
        let containers = view.containers
        images = containers.map(\.image) + view.initContainers.map(\.image)
        hostPorts = (containers + view.initContainers.filter(\.isSidecar)).flatMap { Self.ports($0) }
        requests = PodRequests(document)
        volumes = PodVolumes(document, namespace: namespace, pod: name)
        gates = view.schedulingGates.compactMap { $0.text("name") }
        nodeSignature = Signature(
            [Self.text(requests), nodeName, tolerations?.jsonText ?? "", nodes?.jsonText ?? ""]
                + images + hostPorts.map { "\($0)" } + nodeSelector.sorted { $0.key < $1.key }.flatMap { [$0, $1] })
        groupSignature = Signature([
            namespace, metadata.document["labels"]?.jsonText ?? "", controllerUID ?? "",
            attract?.jsonText ?? "", repel?.jsonText ?? "",
        ])
    }

    private static func text(_ requests: PodRequests) -> String {
        let (exact, scored) = (requests.exact, requests.scored)
        var text = "\(exact.cpu),\(exact.memory),\(exact.storage),\(scored.cpu),\(scored.memory)"
        for (name, amount) in exact.other.sorted(by: { $0.key < $1.key }) { text += ",\(name)=\(amount)" }
        return text
    }

    private static func ports(_ container: ContainerView) -> [HostPort] {
        container.ports.compactMap { port in
            guard let number = port.number("hostPort"), number > 0 else { return nil }
            let address = port.text("hostIP").flatMap { $0.isEmpty ? nil : $0 } ?? "0.0.0.0"
            return HostPort(address: address, transport: port.text("protocol") ?? "TCP", port: number)
        }
    }

    var hasAffinity: Bool {
        !near.isEmpty || !far.isEmpty || !preferredNear.isEmpty || !preferredFar.isEmpty
    }

    var started: Timestamp? { document.time("status", "startTime") }

    /// Whether a change of the pod could change where it may go.
    func differs(from old: PodInfo) -> Bool {
        document["spec"] != old.document["spec"] || labels != old.labels || requests != old.requests
    }
}

/// A pod's volumes, as far as they bind it to places.
struct PodVolumes: Sendable, Equatable {
    /// A disk that not every pod may use at the same time.
    struct Disk: Sendable, Hashable {
        var identity: String
        var isReadOnly: Bool
        /// Whether readers may share it.
        var sharesReaders: Bool

        func collides(with other: Disk) -> Bool {
            identity == other.identity && !(sharesReaders && isReadOnly && other.isReadOnly)
        }
    }

    struct Claim: Sendable, Hashable {
        /// `namespace/name`.
        var key: String
        var isEphemeral: Bool
    }

    var claims: [Claim] = []
    var disks: [Disk] = []
    /// Drivers of inline CSI volumes.
    var inlineDrivers: [String] = []

    init(_ pod: Document, namespace: String, pod name: String) {
        for volume in pod.list("spec", "volumes") {
            for member in volume.members where member.value.isObject {
                let source = member.value
                switch member.key {
                case "persistentVolumeClaim":
                    claims.append(Claim(key: "\(namespace)/\(source.text("claimName") ?? "")", isEphemeral: false))
                case "ephemeral":
                    claims.append(
                        Claim(key: "\(namespace)/\(name)-\(volume.text("name") ?? "")", isEphemeral: true))
                case "csi": inlineDrivers.append(source.text("driver") ?? "")
                case "gcePersistentDisk": add("gce", source.text("pdName"), source, sharesReaders: true)
                case "awsElasticBlockStore": add("aws", source.text("volumeID"), source, sharesReaders: false)
                case "iscsi": add("iscsi", source.text("iqn"), source, sharesReaders: true)
                case "rbd":
                    for monitor in source.list("monitors").compactMap(\.string) {
                        let image = "\(monitor)/\(source.text("pool") ?? "rbd")/\(source.text("image") ?? "")"
                        add("rbd", image, source, sharesReaders: true)
                    }
                default: break
                }
            }
        }
    }

    private mutating func add(_ kind: String, _ name: String?, _ source: Document, sharesReaders: Bool) {
        disks.append(
            Disk(
                identity: "\(kind):\(name ?? "")", isReadOnly: source.flag("readOnly") ?? false,
                sharesReaders: sharesReaders))
    }

    var isEmpty: Bool { claims.isEmpty && disks.isEmpty && inlineDrivers.isEmpty }
}
