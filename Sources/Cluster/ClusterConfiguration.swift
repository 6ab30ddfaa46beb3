import Basics
import Controllers
import Document

/// What a user asks for: the flags of `lab create`, laid over its `--config` file.
public struct ClusterConfiguration: Sendable, Equatable {
    public var name = "lab"
    public var workers = 2
    /// OCI or docker archives that are loaded before the nodes start.
    public var imageArchives: [String] = []
    /// The loopback port of the API; nil lets the kernel choose a free one.
    public var apiPort: UInt16?
    /// Ports of the host that lead into the cluster.
    public var ports: [PublishedPort] = []
    /// Which controllers run: `*` for all that do by default, `NAME` for one, `-NAME` for all but it.
    public var controllers = ["*"]
    /// Whether controllers and scheduler work only while they hold their leases.
    public var leaderElection = true

    public init() {}

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

    public func check() throws(UsageError) {
        try Self.check(name: name)
        guard (0...Self.mostWorkers).contains(workers) else {
            throw UsageError("\(workers) workers are out of range", remedy: "ask for 0 to \(Self.mostWorkers)")
        }
        for port in ports { _ = try port.nodeIndex(among: nodeNames) }
        do { _ = try ControllerSelection(controllers) } catch {
            throw UsageError(
                "\(error)", remedy: "name controllers as kube-controller-manager does, such as '-cronjob-controller'")
        }
    }

    /// Node names as kind gives them, the control plane first.
    public var nodeNames: [String] {
        ["\(name)-control-plane"] + (0..<workers).map { $0 == 0 ? "\(name)-worker" : "\(name)-worker\($0 + 1)" }
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
