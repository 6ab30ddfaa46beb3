import Document
import Glibc
import Linux

/// `lab export logs`: what a cluster's parts and its pods have written, in kind's order of directories.
///
///     lab-version.txt, cluster.json
///     port-6443.log …                      the host's side
///     NODE/agent.log, apiserver.log …      the node's services
///     NODE/pods/NAMESPACE_POD_UID/CONTAINER/0.log
public struct LogExport: Sendable {
    let host: Host

    public init(host: Host) { self.host = host }

    /// Answers the files' paths below `directory`, which may be there already.
    public func run(_ name: String, to directory: String) throws -> [String] {
        let cluster = host.layout.cluster(name)
        try Files.makeDirectories(directory)
        try Files.write(Array("lab \(LabVersion.current)\n".utf8), to: "\(directory)/lab-version.txt")
        try Files.copy(cluster.record, to: "\(directory)/cluster.json")
        var files = ["cluster.json", "lab-version.txt"]
        files += try copy(cluster.logs, to: directory, "")
        for node in host.index.record(of: name)?.nodeNames ?? [] {
            let layout = cluster.node(node)
            try Files.makeDirectories("\(directory)/\(node)")
            files += try copy("\(layout.data)/log/lab", to: directory, node)
            files += try copy("\(layout.data)/log/pods", to: directory, "\(node)/pods")
            let supervisor = "\(layout.directory)/supervisor.log"
            if Files.exists(supervisor) {
                try Files.copy(supervisor, to: "\(directory)/\(node)/supervisor.log")
                files.append("\(node)/supervisor.log")
            }
        }
        return files.sorted()
    }

    /// Plain files only: a pod's log directory is written by what runs in the cluster, and may hold links.
    private func copy(_ source: String, to directory: String, _ below: String) throws -> [String] {
        var files: [String] = []
        guard Files.exists(source) else { return [] }
        if !below.isEmpty { try Files.makeDirectories("\(directory)/\(below)") }
        for name in try Files.list(source) {
            var status = stat()
            let path = below.isEmpty ? name : "\(below)/\(name)"
            guard lstat("\(source)/\(name)", &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: files += try copy("\(source)/\(name)", to: directory, path)
            case S_IFREG:
                do {
                    try Files.copy("\(source)/\(name)", to: "\(directory)/\(path)")
                    files.append(path)
                } catch let error as SystemError where error.errno == ENOENT {
                    // Rotated away since it was listed.
                }
            default: break
            }
        }
        return files
    }
}
