import Basics
import Linux

/// A node's directories and the files that it starts from: a skeleton of a root, its record, its certificates,
/// and the few files that programs look for in `/etc`.
struct NodeFiles: Sendable {
    let cluster: ClusterLayout
    let record: ClusterRecord

    /// Makes everything that a new node needs; what is there is written anew.
    func make(_ node: ClusterNode, authority: ClusterAuthority) throws {
        let layout = cluster.node(node.name)
        for directory in [layout.root, layout.configuration, layout.data, layout.state] {
            try Files.makeDirectories(directory)
        }
        for path in NodeBlueprint.skeleton { try Files.makeDirectories("\(layout.root)/\(path)") }
        for path in NodeBlueprint.dataSkeleton { try Files.makeDirectories("\(layout.data)/\(path)") }
        try Files.write([], to: "\(layout.root)/bin/lab", mode: 0o755)
        let own = record.nodeRecord(node)
        try Files.write(own.document.json, to: "\(layout.configuration)/node.json")
        if node.isControlPlane, let text = record.components.schedulerConfiguration {
            try Files.write(Array(text.utf8), to: "\(layout.configuration)/scheduler.yaml")
        }
        try writeNames(node)
        try authority.writeFiles(for: own, into: "\(layout.configuration)/pki")
    }

    /// `hosts`, `hostname`, `resolv.conf`, `passwd`: changed when nodes come and go, and when the host's resolver has.
    func writeNames(_ node: ClusterNode) throws {
        let etc = "\(cluster.node(node.name).root)/etc"
        var hosts = "127.0.0.1 localhost\n::1 localhost\n"
        for other in record.nodes { hosts += "\(other.address) \(other.name)\n" }
        try Files.write(Array(hosts.utf8), to: "\(etc)/hosts")
        try Files.write(Array("\(node.name)\n".utf8), to: "\(etc)/hostname")
        try Files.write(Array("root:x:0:0:root:/root:/bin/lab\n".utf8), to: "\(etc)/passwd")
        try Files.write(Array("root:x:0:\n".utf8), to: "\(etc)/group")
        // Where no packet gets out, a name is better refused at once than asked for in vain.
        let host = record.egress ? HostResolver.ofThisMachine().text : ""
        let text = Self.resolver(host, search: record.networking.dnsSearch)
        try Files.write(Array(text.utf8), to: "\(etc)/resolv.conf")
    }

    /// The host's resolver configuration, with other search domains where some were asked for.
    static func resolver(_ text: String, search: [String]?) -> String {
        guard let search else { return text }
        let kept = text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            let word = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first
            return word != "search" && word != "domain"
        }
        let rest = kept.joined(separator: "\n")
        return search.isEmpty ? rest : "search \(search.joined(separator: " "))\n\(rest)"
    }
}
