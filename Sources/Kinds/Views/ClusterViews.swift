import Basics
import Document

public struct NodeView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var unschedulable: Bool { document.flag("spec", "unschedulable") ?? false }
    public var taints: [Document] { document.list("spec", "taints") }
    public var podCIDR: String { document.text("spec", "podCIDR") ?? "" }
    public var podCIDRs: [String] { document.list("spec", "podCIDRs").compactMap(\.string) }
    public var providerID: String { document.text("spec", "providerID") ?? "" }
    public var addresses: [Document] { document.list("status", "addresses") }
    public var capacity: [String: Quantity] { document.quantities("status", "capacity") }
    public var allocatable: [String: Quantity] { document.quantities("status", "allocatable") }
    public var images: [Document] { document.list("status", "images") }
    public var kubeletPort: Int { document.number("status", "daemonEndpoints", "kubeletEndpoint", "Port") ?? 0 }
    public var internalIP: String? { address("InternalIP") }
    public var isReady: Bool { isTrue("Ready") }

    public func address(_ type: String) -> String? {
        addresses.first { $0.text("type") == type }?.text("address")
    }
}

public struct ServiceView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var type: String { document.text("spec", "type") ?? "ClusterIP" }
    public var clusterIP: String { document.text("spec", "clusterIP") ?? "" }
    public var clusterIPs: [String] { document.list("spec", "clusterIPs").compactMap(\.string) }
    public var isHeadless: Bool { clusterIP == "None" }
    public var externalName: String { document.text("spec", "externalName") ?? "" }
    public var externalIPs: [String] { document.list("spec", "externalIPs").compactMap(\.string) }
    public var ipFamilies: [String] { document.list("spec", "ipFamilies").compactMap(\.string) }
    public var selector: [String: String] { document.map("spec", "selector") }
    public var ports: [ServicePortView] { document.list("spec", "ports").map { ServicePortView($0) } }
    public var publishNotReadyAddresses: Bool { document.flag("spec", "publishNotReadyAddresses") ?? false }
    public var sessionAffinity: String { document.text("spec", "sessionAffinity") ?? "None" }
    public var sessionAffinitySeconds: Int {
        document.number("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds") ?? 10_800
    }
    public var internalTrafficPolicy: String { document.text("spec", "internalTrafficPolicy") ?? "Cluster" }
    public var externalTrafficPolicy: String { document.text("spec", "externalTrafficPolicy") ?? "Cluster" }
    public var healthCheckNodePort: Int { document.number("spec", "healthCheckNodePort") ?? 0 }
    public var trafficDistribution: String? { document.text("spec", "trafficDistribution") }
    public var loadBalancerIngress: [Document] { document.list("status", "loadBalancer", "ingress") }
}

public struct ServicePortView: Sendable {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var name: String { document.text("name") ?? "" }
    public var `protocol`: String { document.text("protocol") ?? "TCP" }
    public var port: Int { document.number("port") ?? 0 }
    public var nodePort: Int { document.number("nodePort") ?? 0 }
    public var appProtocol: String? { document.text("appProtocol") }
    public var targetPort: IntOrString { IntOrString(document["targetPort"]) ?? .int(port) }
}

public struct EndpointSliceView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var addressType: String { document.text("addressType") ?? "" }
    public var endpoints: [EndpointView] { document.list("endpoints").map { EndpointView($0) } }
    public var ports: [Document] { document.list("ports") }
    /// The service that the slice belongs to.
    public var serviceName: String { metadata.labels["kubernetes.io/service-name"] ?? "" }
}

public struct EndpointView: Sendable {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var addresses: [String] { document.list("addresses").compactMap(\.string) }
    /// Unknown counts as ready.
    public var ready: Bool { document.flag("conditions", "ready") ?? true }
    public var serving: Bool { document.flag("conditions", "serving") ?? ready }
    public var terminating: Bool { document.flag("conditions", "terminating") ?? false }
    public var hostname: String? { document.text("hostname") }
    public var nodeName: String? { document.text("nodeName") }
    public var zone: String? { document.text("zone") }
    public var targetRef: Document? { document["targetRef"] }
}

public struct DeploymentView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var replicas: Int { document.number("spec", "replicas") ?? 1 }
    public var selector: LabelSelector? { document.at("spec", "selector").flatMap { LabelSelector($0) } }
    public var template: Document { document.at("spec", "template") ?? .emptyObject }
    public var strategy: String { document.text("spec", "strategy", "type") ?? "RollingUpdate" }
    public var maxSurge: IntOrString? { IntOrString(document.at("spec", "strategy", "rollingUpdate", "maxSurge")) }
    public var maxUnavailable: IntOrString? {
        IntOrString(document.at("spec", "strategy", "rollingUpdate", "maxUnavailable"))
    }
    public var minReadySeconds: Int { document.number("spec", "minReadySeconds") ?? 0 }
    public var progressDeadlineSeconds: Int? { document.number("spec", "progressDeadlineSeconds") }
    public var revisionHistoryLimit: Int { document.number("spec", "revisionHistoryLimit") ?? 10 }
    public var paused: Bool { document.flag("spec", "paused") ?? false }
    public var observedGeneration: Int { document.number("status", "observedGeneration") ?? 0 }
    public var collisionCount: Int { document.number("status", "collisionCount") ?? 0 }
    public var readyReplicas: Int { document.number("status", "readyReplicas") ?? 0 }
    public var availableReplicas: Int { document.number("status", "availableReplicas") ?? 0 }
    public var updatedReplicas: Int { document.number("status", "updatedReplicas") ?? 0 }
    public var statusReplicas: Int { document.number("status", "replicas") ?? 0 }
}

public struct ReplicaSetView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var replicas: Int { document.number("spec", "replicas") ?? 1 }
    public var selector: LabelSelector? { document.at("spec", "selector").flatMap { LabelSelector($0) } }
    public var template: Document { document.at("spec", "template") ?? .emptyObject }
    public var minReadySeconds: Int { document.number("spec", "minReadySeconds") ?? 0 }
    public var observedGeneration: Int { document.number("status", "observedGeneration") ?? 0 }
    public var statusReplicas: Int { document.number("status", "replicas") ?? 0 }
    public var readyReplicas: Int { document.number("status", "readyReplicas") ?? 0 }
    public var availableReplicas: Int { document.number("status", "availableReplicas") ?? 0 }
    public var fullyLabeledReplicas: Int { document.number("status", "fullyLabeledReplicas") ?? 0 }
}
