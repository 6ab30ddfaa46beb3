import Basics
import Linux

/// Where lab keeps things on the host. One directory holds everything, so that deleting is one step.
public struct Layout: Sendable, Equatable {
    public let home: String

    public init(home: String = "/var/lib/lab") { self.home = home }

    /// The content store, shared by all clusters.
    public var images: String { "\(home)/images" }
    public var clusters: String { "\(home)/clusters" }
    /// Lock files stay when their cluster goes: removing one would let two holders in.
    public var locks: String { "\(home)/locks" }
    /// Snapshots, by cluster; they outlive it.
    public var snapshots: String { "\(home)/snapshots" }
    /// Logs of creations that failed.
    public var failed: String { "\(home)/failed" }

    public func cluster(_ name: String) -> ClusterLayout {
        ClusterLayout(
            directory: "\(clusters)/\(name)", lock: "\(locks)/\(name)", name: name, images: images, home: home)
    }
}

public struct ClusterLayout: Sendable, Equatable {
    public let directory: String
    /// Held (flock) by whoever creates or deletes the cluster.
    public let lock: String
    public let name: String
    /// The content store, which all clusters share.
    public let images: String
    public let home: String

    /// Sockets of processes on the host that nodes may ask; bound to `/run/lab-host` in every node.
    public var hostServices: String { "\(directory)/host" }
    /// What the cluster is: written first, so that whatever dies later leaves a trace that `delete` can follow.
    public var record: String { "\(directory)/cluster.json" }
    /// The cluster's own copy of the binary, so that a rebuilt or moved one does not touch it.
    public var binary: String { "\(directory)/lab" }
    /// How the cluster is linked with the host.
    public var hostLink: String { "\(directory)/host-link.json" }
    public var kubeconfig: String { "\(directory)/kubeconfig" }
    /// Control socket and exit records of the cluster's supervisor.
    public var state: String { "\(directory)/s" }
    public var logs: String { "\(directory)/logs" }
    /// The ports that the host carries into the cluster, and where their carrier is asked.
    public var ports: String { "\(directory)/ports.json" }
    public var portsControl: String { "\(state)/ports.sock" }
    public var pki: String { "\(directory)/pki" }
    /// Below every cgroup hierarchy's root.
    public var cgroup: String { "lab/\(name)" }

    /// Of all nodes that have one.
    func volumeDirectories() -> [String] {
        let nodes = "\(directory)/nodes"
        return ((try? Files.list(nodes)) ?? []).map { "\(nodes)/\($0)/var/\(NodeLayout.volumes)" }
    }

    public func node(_ node: String) -> NodeLayout {
        // Without the cluster's name: a socket's path has 107 bytes. It need not be this cluster's, for the nodes of a
        // fork keep their names.
        let words = node.split(separator: "-")
        let count = words.suffix(2) == ["control", "plane"] ? 2 : words.last?.hasPrefix("worker") == true ? 1 : 0
        let short = count == 0 ? node : words.suffix(count).joined(separator: "-")
        return NodeLayout(
            directory: "\(directory)/nodes/\(short)", cgroup: "\(cgroup)/\(node)", hostServices: hostServices)
    }
}

/// One node's directories on the host.
public struct NodeLayout: Sendable, Equatable {
    public let directory: String
    public let cgroup: String
    /// The cluster's.
    public let hostServices: String

    public var root: String { "\(directory)/root" }
    /// Bound to `/etc/lab` in the node.
    public var configuration: String { "\(directory)/etc" }
    /// Bound to `/var` in the node: pods' volumes and upper layers, the store.
    public var data: String { "\(directory)/var" }
    /// In the node's data: the volumes of the built-in class.
    static let volumes = "lib/lab-volumes"
    /// Bound to `/run/lab` in the node: the control socket of its supervisor.
    public var state: String { "\(directory)/s" }
}
