import Basics
import Document

public struct PodView: ObjectView {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var containers: [ContainerView] { document.list("spec", "containers").map { ContainerView($0) } }
    public var initContainers: [ContainerView] { document.list("spec", "initContainers").map { ContainerView($0) } }
    public var ephemeralContainers: [ContainerView] {
        document.list("spec", "ephemeralContainers").map { ContainerView($0) }
    }
    public var volumes: [Document] { document.list("spec", "volumes") }
    public var nodeName: String { document.text("spec", "nodeName") ?? "" }
    public var schedulerName: String { document.text("spec", "schedulerName") ?? "default-scheduler" }
    public var restartPolicy: String { document.text("spec", "restartPolicy") ?? "Always" }
    public var terminationGracePeriodSeconds: Int { document.number("spec", "terminationGracePeriodSeconds") ?? 30 }
    public var activeDeadlineSeconds: Int? { document.number("spec", "activeDeadlineSeconds") }
    public var serviceAccountName: String { document.text("spec", "serviceAccountName") ?? "" }
    public var automountServiceAccountToken: Bool? { document.flag("spec", "automountServiceAccountToken") }
    public var enableServiceLinks: Bool { document.flag("spec", "enableServiceLinks") ?? true }
    public var hostNetwork: Bool { document.flag("spec", "hostNetwork") ?? false }
    public var hostPID: Bool { document.flag("spec", "hostPID") ?? false }
    public var hostIPC: Bool { document.flag("spec", "hostIPC") ?? false }
    public var hostUsers: Bool { document.flag("spec", "hostUsers") ?? true }
    public var shareProcessNamespace: Bool { document.flag("spec", "shareProcessNamespace") ?? false }
    public var hostname: String { document.text("spec", "hostname") ?? "" }
    public var subdomain: String { document.text("spec", "subdomain") ?? "" }
    public var setHostnameAsFQDN: Bool { document.flag("spec", "setHostnameAsFQDN") ?? false }
    public var dnsPolicy: String { document.text("spec", "dnsPolicy") ?? "ClusterFirst" }
    public var dnsConfig: Document? { document.at("spec", "dnsConfig") }
    public var hostAliases: [Document] { document.list("spec", "hostAliases") }
    public var securityContext: Document { document.at("spec", "securityContext") ?? .emptyObject }
    public var nodeSelector: [String: String] { document.map("spec", "nodeSelector") }
    public var affinity: Document? { document.at("spec", "affinity") }
    public var tolerations: [Document] { document.list("spec", "tolerations") }
    public var topologySpreadConstraints: [Document] { document.list("spec", "topologySpreadConstraints") }
    public var schedulingGates: [Document] { document.list("spec", "schedulingGates") }
    public var readinessGates: [String] {
        document.list("spec", "readinessGates").compactMap { $0.text("conditionType") }
    }
    public var priority: Int { document.number("spec", "priority") ?? 0 }
    public var priorityClassName: String { document.text("spec", "priorityClassName") ?? "" }
    public var preemptionPolicy: String { document.text("spec", "preemptionPolicy") ?? "PreemptLowerPriority" }
    public var runtimeClassName: String? { document.text("spec", "runtimeClassName") }
    public var overhead: [String: Quantity] { document.quantities("spec", "overhead") }

    public var phase: String { document.text("status", "phase") ?? "" }
    public var reason: String { document.text("status", "reason") ?? "" }
    public var message: String { document.text("status", "message") ?? "" }
    public var qosClass: String { document.text("status", "qosClass") ?? "" }
    public var podIP: String { document.text("status", "podIP") ?? "" }
    public var podIPs: [String] { document.list("status", "podIPs").compactMap { $0.text("ip") } }
    public var hostIP: String { document.text("status", "hostIP") ?? "" }
    public var nominatedNodeName: String { document.text("status", "nominatedNodeName") ?? "" }
    public var startTime: Timestamp? { document.time("status", "startTime") }
    public var containerStatuses: [ContainerStatusView] {
        document.list("status", "containerStatuses").map { ContainerStatusView($0) }
    }
    public var initContainerStatuses: [ContainerStatusView] {
        document.list("status", "initContainerStatuses").map { ContainerStatusView($0) }
    }
    public var ephemeralContainerStatuses: [ContainerStatusView] {
        document.list("status", "ephemeralContainerStatuses").map { ContainerStatusView($0) }
    }

    public var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
    public var isReady: Bool { isTrue("Ready") }
}

/// A container of a pod's spec.
public struct ContainerView: Sendable {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var name: String { document.text("name") ?? "" }
    public var image: String { document.text("image") ?? "" }
    public var imagePullPolicy: String { document.text("imagePullPolicy") ?? "" }
    public var command: [String] { document.list("command").compactMap(\.string) }
    public var args: [String] { document.list("args").compactMap(\.string) }
    public var workingDir: String { document.text("workingDir") ?? "" }
    public var env: [Document] { document.list("env") }
    public var envFrom: [Document] { document.list("envFrom") }
    public var ports: [Document] { document.list("ports") }
    public var volumeMounts: [Document] { document.list("volumeMounts") }
    public var requests: [String: Quantity] { document.quantities("resources", "requests") }
    public var limits: [String: Quantity] { document.quantities("resources", "limits") }
    public var livenessProbe: Document? { document["livenessProbe"] }
    public var readinessProbe: Document? { document["readinessProbe"] }
    public var startupProbe: Document? { document["startupProbe"] }
    public var lifecycle: Document? { document["lifecycle"] }
    public var securityContext: Document { document["securityContext"] ?? .emptyObject }
    public var restartPolicy: String? { document.text("restartPolicy") }
    public var terminationMessagePath: String { document.text("terminationMessagePath") ?? "/dev/termination-log" }
    public var terminationMessagePolicy: String { document.text("terminationMessagePolicy") ?? "File" }
    public var stdin: Bool { document.flag("stdin") ?? false }
    public var stdinOnce: Bool { document.flag("stdinOnce") ?? false }
    public var tty: Bool { document.flag("tty") ?? false }
    /// An init container that keeps running beside the others.
    public var isSidecar: Bool { restartPolicy == "Always" }
}

public struct ContainerStatusView: Sendable {
    public let document: Document
    public init(_ document: Document) { self.document = document }

    public var name: String { document.text("name") ?? "" }
    public var image: String { document.text("image") ?? "" }
    public var imageID: String { document.text("imageID") ?? "" }
    public var containerID: String { document.text("containerID") ?? "" }
    public var ready: Bool { document.flag("ready") ?? false }
    public var started: Bool { document.flag("started") ?? false }
    public var restartCount: Int { document.number("restartCount") ?? 0 }
    public var running: Document? { document.at("state", "running") }
    public var waiting: Document? { document.at("state", "waiting") }
    public var terminated: Document? { document.at("state", "terminated") }
    public var lastTerminated: Document? { document.at("lastState", "terminated") }
}
