import Linux

/// The logs of what failed, copied to where a clean-up does not reach. The newest failure of a name replaces the last.
struct Evidence: Sendable {
    let host: Host

    /// Where they are; nil where there are none.
    func keep(_ name: String, nodes: [String]) -> String? {
        let cluster = host.layout.cluster(name)
        let target = "\(host.layout.failed)/\(name)"
        do {
            try Files.removeTree(target)
            try Files.makeDirectories(target)
            for node in nodes {
                let layout = cluster.node(node)
                let logs = "\(layout.data)/log/lab"
                for file in (try? Files.list(logs)) ?? [] {
                    try Files.copy("\(logs)/\(file)", to: "\(target)/\(node)-\(file)")
                }
                let supervisor = "\(layout.directory)/supervisor.log"
                if Files.exists(supervisor) { try Files.copy(supervisor, to: "\(target)/\(node)-supervisor.log") }
            }
            for file in (try? Files.list(cluster.logs)) ?? [] {
                try Files.copy("\(cluster.logs)/\(file)", to: "\(target)/\(file)")
            }
            guard try !Files.list(target).isEmpty else {
                try Files.removeTree(target)
                return nil
            }
            return target
        } catch {
            return nil
        }
    }
}
