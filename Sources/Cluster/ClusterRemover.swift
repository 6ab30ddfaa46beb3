import Basics
import Images
import Linux
import Runtime

/// `lab delete`: works on whatever is there, also on the halves that a killed creation left.
public struct ClusterRemover: Sendable {
    let host: Host

    public init(host: Host) { self.host = host }

    /// Ends every process of the cluster and removes its cgroups and directories.
    /// Its namespaces, mounts and links go with the processes; the host holds no more than its end of their link.
    public func remove(name: String) async throws {
        let hostLink = HostLink.read(host.layout.cluster(name))
        // A supervisor that could not be reached any more is found through its cgroup.
        try await ClusterLifecycle(host: host, progress: SilentProgress()).endProcesses(of: name)
        let cluster = host.layout.cluster(name)
        let swap = DirectorySwap(host.layout, name)
        try await host.blocking.run {
            try hostLink?.remove()
            for directory in [cluster.directory, swap.fresh, swap.old] { try Files.removeTree(directory) }
        }
        // Its nodes' pods need no image any more.
        guard Files.exists(cluster.images) else { return }
        try await host.blocking.run {
            try ImageStore(root: cluster.images).forget { $0.hasPrefix("\(name).") }
        }
    }
}
