import Basics
import Images
import Linux
import Runtime

/// `lab delete`: works on whatever is there, also on the halves that a killed creation left.
public struct ClusterRemover: Sendable {
    let host: Host

    public init(host: Host) { self.host = host }

    /// Ends every process of the cluster and removes its cgroups and directories.
    /// Its namespaces, mounts and links go with the processes; nothing of it is held by the host.
    public func remove(name: String) async throws {
        let cluster = host.layout.cluster(name)
        if let supervisor = try? await host.runtime.attach(stateDirectory: cluster.state) {
            try await supervisor.destroy()
        }
        // A supervisor that could not be reached any more is found through its cgroup.
        let cgroup = try Cgroup(cluster.cgroup, layout: try CgroupLayout.ofProcess())
        try await host.blocking.run {
            try cgroup.remove()
            cgroup.removeEmptyParents()
        }
        try await host.blocking.run { try Files.removeTree(cluster.directory) }
        // Its nodes' pods need no image any more.
        guard Files.exists(cluster.images) else { return }
        try await host.blocking.run {
            try ImageStore(root: cluster.images).forget { $0.hasPrefix("\(name).") }
        }
    }
}
