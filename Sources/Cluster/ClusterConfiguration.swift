import Basics
import Controllers
import Document

/// What a user asks for: the flags of `lab create`, laid over its `--config` file.
public struct ClusterConfiguration: Sendable, Equatable {
    public var name = "lab"
    /// The control plane first.
    public var nodes = [
        NodeConfiguration(role: .controlPlane), NodeConfiguration(role: .worker), NodeConfiguration(role: .worker),
    ]
    public var networking = Networking()
    public var components = Components()
    /// OCI or docker archives that are loaded before the nodes start.
    public var imageArchives: [String] = []
    /// The host's port of the API; nil lets the kernel choose a free one.
    public var apiPort: UInt16?
    /// Ports of the host that lead into the cluster.
    public var ports: [PublishedPort] = []
    /// Which controllers run: `*` for all that do by default, `NAME` for one, `-NAME` for all but it.
    public var controllers = ["*"]
    /// Whether controllers and scheduler work only while they hold their leases.
    public var leaderElection = true
    /// What the user should know about how the file was understood.
    public var notes: [String] = []
    /// Whether pods reach what the host reaches.
    public var egress = true

    public init() {}

    /// Those of the command line, and those that the file lists with the nodes.
    var allPorts: [PublishedPort] {
        ports
            + zip(nodeNames, nodes).flatMap { name, node in
                node.portMappings.map { mapping in
                    var port = mapping
                    port.node = name
                    return port
                }
            }
    }

    /// How many workers there are; setting it adds plain ones, or takes the last ones away.
    public var workers: Int {
        get { nodes.count { $0.role == .worker } }
        set {
            while workers > max(0, newValue) { nodes.removeLast() }
            while workers < newValue { nodes.append(NodeConfiguration(role: .worker)) }
        }
    }

    public static let apiVersion = "lab.dev/v1"
    public static let mostWorkers = 100

    /// Names become node names, directory names and contexts, and a socket's path has at most 107 bytes.
    public static let longestName = 32

    public static func check(name: String) throws(UsageError) {
        let letters = name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
        guard !name.isEmpty, letters, name.utf8.first != 45, name.utf8.last != 45, name.utf8.count <= longestName
        else {
            throw UsageError(
                "'\(name)' is not a cluster name",
                remedy: "use at most \(longestName) of a-z, 0-9 and '-', beginning and ending with a letter or digit")
        }
    }

    public static func check(workers: Int) throws(UsageError) {
        guard (0...mostWorkers).contains(workers) else {
            throw UsageError("\(workers) workers are out of range", remedy: "ask for 0 to \(mostWorkers)")
        }
    }

    public func check() throws(UsageError) {
        try Self.check(name: name)
        try Self.check(workers: workers)
        let subnet = networking.podSubnet
        guard nodes.count <= 1 << max(0, 24 - subnet.prefix) else {
            throw UsageError(
                "the pod subnet \(subnet) has no /24 for each of \(nodes.count) nodes", remedy: "choose a larger one")
        }
        for port in ports { _ = try port.nodeIndex(among: nodeNames) }
        do { _ = try ControllerSelection(controllers) } catch {
            throw UsageError(
                "\(error)", remedy: "name controllers as kube-controller-manager does, such as '-cronjob-controller'")
        }
    }

    /// What is to be published: the file's mappings of each node, and those of the whole cluster.
    var allPorts: [PublishedPort] {
        zip(nodeNames, nodes).flatMap { name, node in
            node.portMappings.map { port in
                var port = port
                port.node = name
                return port
            }
        } + ports
    }

    /// Node names as kind gives them, the control plane first.
    public var nodeNames: [String] {
        ["\(name)-control-plane"] + (0..<workers).map { Self.workerName($0 + 1, of: name) }
    }

    static func workerName(_ number: Int, of cluster: String) -> String {
        number == 1 ? "\(cluster)-worker" : "\(cluster)-worker\(number)"
    }
}

/// The caller asked for something that cannot be; exit code 2.
public struct UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String
    public var remedy: String

    public init(_ message: String, remedy: String) {
        self.message = message
        self.remedy = remedy
    }

    public var description: String { message }
}

/// Something that should have worked did not; exit code 1. Says what was tried, what is wrong, what to do.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String
    public var remedy: String

    public init(_ message: String, remedy: String = "") {
        self.message = message
        self.remedy = remedy
    }

    public var description: String { message }
}
