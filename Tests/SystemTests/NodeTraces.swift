import Glibc
import Linux

/// A process of a cluster, as the host sees it.
struct ClusterProcess {
    var pid: pid_t
    var command: String
    /// The part of its control group below the cluster's.
    var group: String

    static func all(of cluster: String) -> [ClusterProcess] {
        let mark = "/lab/\(cluster)/"
        return ((try? Files.list("/proc")) ?? []).compactMap { entry in
            guard let pid = pid_t(entry), let groups = try? Files.text("/proc/\(entry)/cgroup"),
                let line = groups.split(separator: "\n").first(where: { $0.contains(mark) }),
                let below = line.components(after: mark),
                let command = try? Files.read("/proc/\(entry)/cmdline"), !command.isEmpty
            else { return nil }
            let words = String(decoding: command.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            return ClusterProcess(pid: pid, command: words, group: below)
        }
    }
}

extension StringProtocol {
    fileprivate func components(after mark: String) -> String? {
        guard let range = firstRange(of: mark) else { return nil }
        return String(self[range.upperBound...])
    }
}

/// Everything that pods could leave behind on the nodes of a cluster, as lines that can be compared.
struct NodeTraces {
    var lines: Set<String>

    /// Nil while an agent is away, since a node's namespaces are seen through it.
    static func capture(_ lab: Lab) -> NodeTraces? {
        var lines: Set<String> = []
        let nodes = "\(lab.home)/clusters/\(lab.name)/nodes"
        let processes = ClusterProcess.all(of: lab.name)
        let names = ((try? Files.list(nodes)) ?? []).sorted()
        for name in names {
            for path in ["lib/kubelet", "lib/overlay", "lib/lab-volumes", "log/pods"] {
                lines.formUnion(tree("\(nodes)/\(name)/var/\(path)").map { "file \(name) \($0)" })
            }
            let isControlPlane = name == "control-plane"
            let host = isControlPlane ? "\(lab.name)-control-plane" : "\(lab.name)-\(name)"
            guard
                let agent = processes.first(where: {
                    $0.command.contains("role agent") && $0.group.hasPrefix("\(host)/")
                }),
                let mounts = try? Files.text("/proc/\(agent.pid)/mountinfo"),
                let links = try? Files.text("/proc/\(agent.pid)/net/dev")
            else { return nil }
            lines.formUnion(mounts.split(separator: "\n").map { "mount \(name) \(mountPoint($0))" })
            lines.formUnion(links.split(separator: "\n").dropFirst(2).map { "link \(name) \(linkName($0))" })
            let rules = Shell.run(["nsenter", "-t", "\(agent.pid)", "-n", "nft", "list", "ruleset"]).out
            lines.formUnion(podAddresses(rules).map { "rule \(name) \($0)" })
        }
        // A directory for each node, which stays, and in it what its pods use.
        for owner in (try? Files.list("\(lab.home)/images/uses")) ?? [] {
            lines.formUnion(tree("\(lab.home)/images/uses/\(owner)").map { "use \($0)" })
        }
        var namespaces: Set<String> = []
        for process in processes {
            lines.insert("process \(process.group) \(process.command)")
            if let namespace = try? Files.target(ofLink: "/proc/\(process.pid)/ns/net") { namespaces.insert(namespace) }
        }
        lines.insert("network namespaces \(namespaces.count)")
        let groups = Shell.run(["find", "/sys/fs/cgroup", "-type", "d", "-path", "*/lab/\(lab.name)/*"]).out
        // The classes of pods keep their groups.
        let parents = ["/kubepods", "/kubepods/besteffort", "/kubepods/burstable"]
        for group in groups.split(separator: "\n") where !parents.contains(where: { group.hasSuffix($0) }) {
            lines.insert("group \(group)")
        }
        return NodeTraces(lines: lines)
    }

    /// What is here and was not there, and what has gone.
    func differences(from before: NodeTraces) -> [String] {
        lines.subtracting(before.lines).sorted().map { "+ \($0)" }
            + before.lines.subtracting(lines).sorted().map { "- \($0)" }
    }

    private static func tree(_ path: String) -> [String] {
        var found: [String] = []
        for name in (try? Files.list(path)) ?? [] {
            let below = "\(path)/\(name)"
            found.append(below)
            var status = stat()
            if lstat(below, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { found += tree(below) }
        }
        return found
    }

    private static func mountPoint(_ line: Substring) -> String {
        let words = line.split(separator: " ")
        let type = words.firstIndex(of: "-").map { words[words.index(after: $0)] } ?? ""
        return words.count > 4 ? "\(words[4]) \(type)" : String(line)
    }

    private static func linkName(_ line: Substring) -> String {
        String(line.drop { $0 == " " }.prefix { $0 != ":" })
    }

    /// Rules come and go with services; pods' addresses must not stay in them.
    private static func podAddresses(_ rules: String) -> Set<String> {
        let words = rules.split { !($0.isNumber || $0 == ".") }
        return Set(words.filter { $0.hasPrefix("10.244.") && !$0.hasSuffix(".0") }.map(String.init))
    }
}

extension Files {
    fileprivate static func target(ofLink path: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { throw SystemError("readlink", path, errno: errno) }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
