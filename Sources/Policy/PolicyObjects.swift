import Basics
import Document
import Kinds

/// A pod as policies see it: who it is, where it is, and what its named ports mean.
public struct PolicyPod: Sendable, Equatable {
    public struct PortName: Sendable, Hashable {
        public var name: String
        public var transport: UInt8
    }

    /// As the node knows the pod: a static pod has another uid in the API than on its node.
    public var uid: String
    public var namespace: String
    public var labels: [String: String]
    public var node: String
    public var addresses: [IPAddress]
    public var ports: [PortName: UInt16]

    /// Nil for pods that have no network of their own, and for those that have ended and given theirs back.
    public init?(_ pod: Document) {
        guard let uid = pod.text("metadata", "uid"), let namespace = pod.text("metadata", "namespace"),
            pod.flag("spec", "hostNetwork") != true,
            !["Succeeded", "Failed"].contains(pod.text("status", "phase") ?? "")
        else { return nil }
        self.uid = pod.map("metadata", "annotations")[Self.mirrorAnnotation] ?? uid
        self.namespace = namespace
        labels = pod.map("metadata", "labels")
        node = pod.text("spec", "nodeName") ?? ""
        addresses = pod.list("status", "podIPs").compactMap { $0.text("ip").flatMap { IPAddress($0) } }
        ports = [:]
        for container in Self.containers(of: pod) {
            for port in container.list("ports") {
                guard let name = port.text("name"), let transport = Transport.number(port.text("protocol")),
                    let number = port.number("containerPort").flatMap({ UInt16(exactly: $0) })
                else { continue }
                ports[PortName(name: name, transport: transport)] = number
            }
        }
    }

    private static let mirrorAnnotation = "kubernetes.io/config.mirror"

    private static func containers(of pod: Document) -> [Document] {
        pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
            + pod.list("spec", "containers")
    }

    /// The little of a pod that is kept while policies are in force.
    public static let reduce: @Sendable (Document) -> Document = { pod in
        var metadata: Document = [:]
        for key in ["name", "namespace", "uid", "labels", "resourceVersion"] { metadata[key] = pod.at("metadata", key) }
        if let mirror = pod.map("metadata", "annotations")[mirrorAnnotation] {
            metadata["annotations"] = [mirrorAnnotation: Document(mirror)]
        }
        var spec: Document = [:]
        for key in ["nodeName", "hostNetwork"] { spec[key] = pod.at("spec", key) }
        let named = containers(of: pod).compactMap { container -> Document? in
            let ports = container.list("ports").filter { $0["name"] != nil }
            return ports.isEmpty ? nil : ["ports": Document(ports)]
        }
        if !named.isEmpty { spec["containers"] = Document(named) }
        var status: Document = [:]
        for key in ["phase", "podIPs"] { status[key] = pod.at("status", key) }
        return [
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status,
        ]
    }
}

/// The protocols that policies can name, by their numbers in IP.
enum Transport {
    static func number(_ name: String?) -> UInt8? {
        switch name ?? "TCP" {
        case "TCP": 6
        case "UDP": 17
        case "SCTP": 132
        default: nil
        }
    }
}

/// Pods that a policy picks as peers, by their labels and by those of their namespaces.
public struct PeerSelector: Sendable, Hashable {
    /// The policy's own namespace, where the peer names none.
    var namespace: String?
    var namespaces: LabelSelector?
    var pods: LabelSelector
    /// Selectors that say the same are one, whoever uses them.
    private let name: String

    init(namespace: String?, namespaces: LabelSelector?, pods: LabelSelector) {
        self.namespace = namespace
        self.namespaces = namespaces
        self.pods = pods
        name = "\(namespace ?? "")|\(namespaces.map { "\($0)" } ?? "-")|\(pods)"
    }

    static let everyPod = PeerSelector(namespace: nil, namespaces: LabelSelector(), pods: LabelSelector())

    public static func == (a: PeerSelector, b: PeerSelector) -> Bool { a.name == b.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    func matches(_ pod: PolicyPod, namespaceLabels: [String: String]?) -> Bool {
        if let namespace, pod.namespace != namespace { return false }
        if let namespaces {
            // A namespace that nobody has seen yet has no labels to go by.
            guard let namespaceLabels, namespaces.matches(namespaceLabels) else { return false }
        }
        return pods.matches(pod.labels)
    }
}

/// One rule of a policy: these peers, through these ports.
public struct PolicyRule: Sendable, Equatable {
    enum Port: Sendable, Equatable {
        case numbers(PortRange)
        case named(PolicyPod.PortName)
    }

    /// Nil for everybody.
    var peers: [PeerSelector]?
    var blocks: [AddressRange]
    /// Nil for every port of every protocol.
    var ports: [Port]?

    /// - Parameter side: `from` or `to`.
    init(_ rule: Document, side: String, namespace: String) {
        let listed = rule.list(side)
        var peers: [PeerSelector] = []
        var blocks: [AddressRange] = []
        for peer in listed {
            if let block = peer["ipBlock"] {
                guard let network = block.text("cidr").flatMap({ CIDR($0) }) else { continue }
                let exceptions = block.list("except").compactMap { $0.string.flatMap { CIDR($0) } }
                blocks += AddressRange.ranges(of: network, without: exceptions)
                continue
            }
            // A selector that cannot be read picks nobody.
            guard let pods = LabelSelector(peer["podSelector"] ?? .emptyObject) else { continue }
            if let selector = peer["namespaceSelector"] {
                guard let namespaces = LabelSelector(selector) else { continue }
                peers.append(PeerSelector(namespace: nil, namespaces: namespaces, pods: pods))
            } else if peer["podSelector"] != nil {
                peers.append(PeerSelector(namespace: namespace, namespaces: nil, pods: pods))
            }
        }
        self.peers = listed.isEmpty ? nil : peers
        self.blocks = blocks
        let ports = rule.list("ports")
        self.ports = ports.isEmpty ? nil : ports.compactMap(Self.port)
    }

    private static func port(_ port: Document) -> Port? {
        guard let transport = Transport.number(port.text("protocol")) else { return nil }
        guard let value = port["port"], !value.isNull else { return .numbers(PortRange(transport, 0, .max)) }
        if let name = value.string { return .named(PolicyPod.PortName(name: name, transport: transport)) }
        guard let first = value.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
        let last = port.number("endPort").flatMap { UInt16(exactly: $0) } ?? first
        return last < first ? nil : .numbers(PortRange(transport, first, last))
    }
}

/// A NetworkPolicy as it was understood.
public struct PolicyText: Sendable, Equatable {
    public var namespace: String
    var pods: LabelSelector
    /// Nil where the policy says nothing about this direction.
    var ingress: [PolicyRule]?
    var egress: [PolicyRule]?

    public init?(_ policy: Document) {
        guard let namespace = policy.text("metadata", "namespace"),
            let pods = LabelSelector(policy.at("spec", "podSelector") ?? .emptyObject)
        else { return nil }
        self.namespace = namespace
        self.pods = pods
        let types = policy.list("spec", "policyTypes").compactMap(\.string)
        let hasEgress = policy.at("spec", "egress") != nil
        if types.isEmpty || types.contains("Ingress") {
            ingress = policy.list("spec", "ingress").map { PolicyRule($0, side: "from", namespace: namespace) }
        }
        if types.contains("Egress") || (types.isEmpty && hasEgress) {
            egress = policy.list("spec", "egress").map { PolicyRule($0, side: "to", namespace: namespace) }
        }
    }

    func rules(_ direction: PolicyDirection) -> [PolicyRule]? { direction == .ingress ? ingress : egress }
}

public enum PolicyDirection: UInt8, Sendable, Hashable, CaseIterable { case ingress, egress }
