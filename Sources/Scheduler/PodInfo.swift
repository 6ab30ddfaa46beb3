import Basics
import Document
import Kinds

/// Amounts of what nodes have: CPU in thousandths, everything else in its own unit.
struct Resources: Sendable, Equatable {
    var amounts: [String: Int] = [:]

    subscript(name: String) -> Int {
        get { amounts[name] ?? 0 }
        set { amounts[name] = newValue == 0 ? nil : newValue }
    }

    init() {}

    init(_ object: Document, _ path: String...) {
        for member in object.at(path: path)?.members ?? [] {
            let list = Document(members: [("list", Document(members: [(member.key, member.value)]))])
            guard let quantity = list.quantities("list")[member.key] else { continue }
            self[member.key] = member.key == "cpu" ? quantity.milliValue : quantity.value
        }
    }

    static func += (a: inout Resources, b: Resources) { for (name, amount) in b.amounts { a[name] += amount } }
    static func -= (a: inout Resources, b: Resources) { for (name, amount) in b.amounts { a[name] -= amount } }

    mutating func raise(to other: Resources) {
        for (name, amount) in other.amounts { self[name] = max(self[name], amount) }
    }
}

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

/// A pod as the scheduler sees it: its requirements, read once.
struct PodInfo: Sendable {
    let document: Document
    let key: String
    let uid: String
    let name: String
    let namespace: String
    let labels: [String: String]
    let nodeName: String
    let priority: Int
    let isTerminating: Bool
    let controllerUID: String?
    let requests: Resources
    /// CPU and memory with a small default for containers that ask for nothing, for scoring.
    let scoredRequests: Resources
    let hostPorts: [HostPort]
    let tolerations: [Document]
    let affinity: Document?
    let images: [String]

    init(_ document: Document) {
        let view = PodView(document)
        self.document = document
        key = view.key
        uid = view.uid
        name = view.name
        namespace = view.namespace
        labels = view.metadata.labels
        nodeName = view.nodeName
        priority = view.priority
        isTerminating = view.metadata.isDeleting
        controllerUID = view.metadata.controllerRef?.uid
        tolerations = view.tolerations
        affinity = view.affinity
        images = view.containers.map(\.image)
        hostPorts = view.containers.flatMap { container in
            container.ports.compactMap { port in
                guard let number = port.number("hostPort"), number > 0 else { return nil }
                let address = port.text("hostIP").flatMap { $0.isEmpty ? nil : $0 } ?? "0.0.0.0"
                return HostPort(address: address, transport: port.text("protocol") ?? "TCP", port: number)
            }
        }
        requests = Self.requests(of: document, cpuDefault: 0, memoryDefault: 0)
        scoredRequests = Self.requests(of: document, cpuDefault: 100, memoryDefault: 200 << 20)
    }

    /// What the pod needs at the same time at its worst moment: init containers run one after the other,
    /// beside the sidecars started before them; then the containers run beside all sidecars.
    private static func requests(of pod: Document, cpuDefault: Int, memoryDefault: Int) -> Resources {
        func needs(_ container: Document) -> Resources {
            var resources = Resources(container, "resources", "requests")
            if container.at("resources", "requests", "cpu") == nil { resources["cpu"] = cpuDefault }
            if container.at("resources", "requests", "memory") == nil { resources["memory"] = memoryDefault }
            return resources
        }
        var running = Resources()
        for container in pod.list("spec", "containers") { running += needs(container) }
        var sidecars = Resources()
        var starting = Resources()
        for container in pod.list("spec", "initContainers") {
            var moment = needs(container)
            if container.text("restartPolicy") == "Always" {
                sidecars += moment
                starting.raise(to: sidecars)
            } else {
                moment += sidecars
                starting.raise(to: moment)
            }
        }
        running += sidecars
        running.raise(to: starting)
        running += Resources(pod, "spec", "overhead")
        return running
    }

    var requiredAffinity: [AffinityTerm] { terms("podAffinity", of: self) }
    var requiredAntiAffinity: [AffinityTerm] { terms("podAntiAffinity", of: self) }

    private func terms(_ kind: String, of pod: PodInfo) -> [AffinityTerm] {
        (affinity?[kind]?.list("requiredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            AffinityTerm($0, of: self)
        }
    }

    func preferredTerms(_ kind: String) -> [(term: AffinityTerm, weight: Int)] {
        (affinity?[kind]?.list("preferredDuringSchedulingIgnoredDuringExecution") ?? []).map {
            (AffinityTerm($0["podAffinityTerm"] ?? .emptyObject, of: self), $0.number("weight") ?? 1)
        }
    }
}

/// Which pods a pod wants near it, or far.
struct AffinityTerm: Sendable {
    let topologyKey: String
    private let selector: LabelSelector?
    private let namespaces: Set<String>
    private let namespaceSelector: LabelSelector?

    init(_ term: Document, of pod: PodInfo) {
        topologyKey = term.text("topologyKey") ?? ""
        selector = term["labelSelector"].flatMap { LabelSelector($0) }
        namespaceSelector = term["namespaceSelector"].flatMap { LabelSelector($0) }
        let named = term.list("namespaces").compactMap(\.string)
        namespaces = Set(named.isEmpty && namespaceSelector == nil ? [pod.namespace] : named)
    }

    func matches(_ pod: PodInfo, namespaceLabels: [String: [String: String]]) -> Bool {
        guard let selector, selector.matches(pod.labels) else { return false }
        if namespaces.contains(pod.namespace) { return true }
        return namespaceSelector?.matches(namespaceLabels[pod.namespace] ?? [:]) ?? false
    }
}
