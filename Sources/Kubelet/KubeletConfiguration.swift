import Basics
import Document
import Kinds

/// What a node agent is told about its node.
public struct KubeletConfiguration: Sendable {
    public var nodeName: String
    public var nodeIPs: [IPAddress]
    /// Pods' state: volumes, writable layers, sandboxes. On a real file system.
    public var rootDirectory: String
    public var logDirectory: String
    /// Where images lie, to see how full that disk is.
    public var imageDirectory = "/var/lib/lab-images"
    /// The directories of dynamically made volumes, which outlive pods.
    public var volumeDirectory = NodeDirectory.root
    public var clusterDNS: [IPAddress]
    public var clusterDomain: String
    /// Given to the Node at registration, beside the well-known ones.
    public var labels: [String: String] = [:]
    /// Given to the Node at registration: objects with `key`, `value`, `effect`.
    public var taints: [Document] = []
    public var registerNode = true
    /// Nil: as the machine has it.
    public var cpuMillis: Int64?
    public var memoryBytes: Int64?
    public var maxPods = 110
    /// Cgroup path below each hierarchy's root under which `kubepods` lies.
    public var cgroupRoot = ""
    public var port: UInt16 = 10250
    public var authorization = ServerAuthorization.reviews
    /// The resolver configuration that pods with `dnsPolicy: Default` inherit.
    public var resolvConf = "/etc/resolv.conf"
    public var maximumLogBytes: Int64 = 10 << 20
    public var keptLogs = 4
    public var leaseRenewal = Duration.seconds(10)
    public var leaseSeconds = 40
    public var statusInterval = Duration.seconds(60)
    /// How many images may be fetched at the same time.
    public var parallelPulls = 3
    /// How full the images' file system may become before unused images are removed, and how full it may be then.
    /// Unlike a machine that is a node alone, this one is mostly full of its user's files, and the images are shared by
    /// all clusters: so by default, at 100, nothing is removed.
    public var imageHighThresholdPercent = 100
    public var imageLowThresholdPercent = 80
    public var imageMinimumAge = Duration.seconds(120)
    /// So long nobody has to have used an image for it to be removed whatever room there is; nil: never.
    public var imageMaximumAge: Duration?
    public var imageCollectionInterval = Duration.seconds(300)

    /// Kernel settings that pods may have beside the safe ones: names, or beginnings that end with `*`.
    public var allowedUnsafeSysctls: [String] = []
    /// Kept from pods, by resource, as quantities.
    public var reserved: [String: String] = [:]
    public var eviction = EvictionSettings()
    /// The most processes of one pod; nil: as many as the kernel has.
    public var podPidsLimit: Int64?
    /// A directory with the manifests of pods that run here whatever the API server says.
    public var staticPodPath = "/etc/kubernetes/manifests"
    /// A place from which such manifests are fetched again and again.
    public var staticPodURL = ""
    public var staticPodURLHeaders: [String: [String]] = [:]
    public var staticPodURLInterval = Duration.seconds(20)

    public init(
        nodeName: String, nodeIP: IPAddress, rootDirectory: String = "/var/lib/kubelet",
        logDirectory: String = "/var/log/pods", clusterDNS: [IPAddress] = [], clusterDomain: String = "cluster.local"
    ) {
        self.nodeName = nodeName
        nodeIPs = [nodeIP]
        self.rootDirectory = rootDirectory
        self.logDirectory = logDirectory
        self.clusterDNS = clusterDNS
        self.clusterDomain = clusterDomain
    }

    /// What pods may have of the machine, in thousandths.
    func allocatable(_ machine: Machine) -> Amounts {
        var amounts = Amounts([
            "cpu": machine.cpuMillis, "memory": machine.memoryBytes * 1000,
            "ephemeral-storage": machine.storageBytes.multipliedReportingOverflow(by: 1000).partialValue,
            "pods": Int64(maxPods) * 1000,
        ])
        for (name, quantity) in reserved where name != "pods" {
            amounts[name] = max(0, amounts[name] - (Quantity.milli(quantity) ?? 0))
        }
        // What eviction keeps free is nothing that could be promised.
        for threshold in eviction.hard where threshold.signal == .memoryAvailable {
            amounts["memory"] = max(0, amounts["memory"] - threshold.bytes(of: machine.memoryBytes) * 1000)
        }
        return amounts
    }

    func podDirectory(_ uid: String) -> String { "\(rootDirectory)/pods/\(uid)" }

    func logFile(_ pod: Document, container: String, attempt: Int) -> String {
        "\(logDirectory(of: pod))/\(container)/\(attempt).log"
    }

    func logDirectory(of pod: Document) -> String {
        let names = ["namespace", "name"].map { pod.text("metadata", $0) ?? "" }
        return "\(logDirectory)/\(names.joined(separator: "_"))_\(PodIdentity.uid(pod))"
    }
}
