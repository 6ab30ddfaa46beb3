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
    public var imageCollectionInterval = Duration.seconds(300)

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

    func podDirectory(_ uid: String) -> String { "\(rootDirectory)/pods/\(uid)" }

    func logFile(_ pod: Document, container: String, attempt: Int) -> String {
        "\(logDirectory(of: pod))/\(container)/\(attempt).log"
    }

    func logDirectory(of pod: Document) -> String {
        let name = ["namespace", "name", "uid"].map { pod.text("metadata", $0) ?? "" }.joined(separator: "_")
        return "\(logDirectory)/\(name)"
    }
}
