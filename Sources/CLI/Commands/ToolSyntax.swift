import Cluster

/// The commands around a cluster's life, beside creating and deleting it.
extension Commands {
    static let cluster = CommandSyntax.Flag("cluster", .one, "NAME", "the cluster (default lab)")

    static let start = CommandSyntax(
        "start", operands: "[NAME]", most: 1,
        "Start a cluster that was stopped, or whose processes a restart of the machine has ended.",
        flags: [name, wait, json])
    static let stop = CommandSyntax(
        "stop", operands: "[NAME]", most: 1,
        "End a cluster's processes at once; 'start' brings it back with its addresses, objects and volumes.",
        flags: [name, json])
    static let pause = CommandSyntax(
        "pause", operands: "[NAME]", most: 1, "Freeze every process of a cluster.", flags: [name, json])
    static let resume = CommandSyntax(
        "resume", operands: "[NAME]", most: 1, "Let a paused cluster go on.", flags: [name, json])

    static let nodeAdd = CommandSyntax(
        "node add", "Add workers to a running cluster.",
        flags: [
            cluster, .init("count", .one, "N", "how many (default 1)"),
            .init("labels", .one, "LIST", "labels of the nodes: KEY=VALUE,…"),
            .init("taints", .one, "LIST", "taints of the nodes: KEY=VALUE:EFFECT,…"),
            .init("cpus", .one, "QUANTITY", "processors that a node may use and reports, such as 2 or 500m"),
            .init("memory", .one, "QUANTITY", "memory that a node may use and reports, such as 2Gi"),
            wait, json,
        ])
    static let nodeRemove = CommandSyntax(
        "node remove", operands: "NODE...", fewest: 1, most: 100,
        "Remove workers from a running cluster, with their pods and data.", flags: [cluster, json])
    static let nodeStop = CommandSyntax(
        "node stop", operands: "NODE...", fewest: 1, most: 101,
        "End nodes as a power cut would; the cluster sees them fail.", flags: [cluster, json])
    static let nodeStart = CommandSyntax(
        "node start", operands: "NODE...", fewest: 1, most: 101, "Start nodes that were stopped.",
        flags: [cluster, wait, json])

    static let snapshot = CommandSyntax(
        "snapshot", operands: "[NAME] SNAPSHOT", fewest: 1, most: 2,
        "Copy a cluster as it is at this moment; a running one goes on.",
        flags: [.init("delete", .none, "", "remove the snapshot instead"), json])
    static let restore = CommandSyntax(
        "restore", operands: "[NAME] SNAPSHOT", fewest: 1, most: 2,
        "Put a cluster back to a snapshot of it, and start it.",
        flags: [.init("kubeconfig", .one, "FILE", "merge the context into FILE"), wait, json])
    static let fork = CommandSyntax(
        "fork", operands: "NAME NEW", fewest: 2, most: 2,
        "Make a second cluster that is as the first is now, and start it beside it.",
        flags: [
            .init("snapshot", .one, "SNAPSHOT", "as it was in that snapshot"),
            .init("api-port", .one, "PORT", "port of the new API (default: a free one)"),
            .init("kubeconfig", .one, "FILE", "merge the context into FILE"), wait, json,
        ])

    static let get = CommandSyntax(
        "get", operands: "clusters|nodes|kubeconfig|snapshots [NAME]", fewest: 1, most: 2,
        "Print names, one a line, for scripts.",
        flags: [name, .init("internal", .none, "", "kubeconfig: with the address inside the cluster's network"), json])
    static let kubeconfig = CommandSyntax(
        "kubeconfig", operands: "[get|export|merge] [NAME]", most: 2,
        "Print a cluster's kubeconfig; export it to yours as the current context, or merge it without switching.",
        flags: [
            name,
            .init("kubeconfig", .one, "FILE", "export, merge: your file (default: $KUBECONFIG or ~/.kube/config)"),
            .init("internal", .none, "", "with the address inside the cluster's network"), json,
        ])
    static let export = CommandSyntax(
        "export", operands: "logs|kubeconfig [DIR]", fewest: 1, most: 2,
        "Copy every log of a cluster into a directory, or its context into your kubeconfig.",
        flags: [
            name, .init("kubeconfig", .one, "FILE", "kubeconfig: your file"),
            .init("internal", .none, "", "kubeconfig: with the address inside the cluster's network"), json,
        ])

    static let lifecycle = [
        start, stop, pause, resume, nodeAdd, nodeRemove, nodeStop, nodeStart, snapshot, restore, fork, get, kubeconfig,
        export,
    ]

    static let completion = CommandSyntax(
        "completion", operands: "bash|zsh|fish", fewest: 1, most: 1,
        "Print a shell's completion script: source <(lab completion bash).")
    static let man = CommandSyntax("man", "Print the manual page: lab man | man -l -.")
    static let shell = [completion, man]
}

/// What `lab` alone says, and which of the table's commands a command line means.
extension Commands {
    private static let headings: [(title: String, commands: [String])] = [
        ("Clusters", ["create", "delete", "list", "start", "stop", "pause", "resume", "port"]),
        ("Nodes", ["node add", "node remove", "node stop", "node start"]),
        ("Copies", ["snapshot", "restore", "fork"]),
        ("Images", ["registry", "load", "images"] + ImageCommands.all.map(\.name)),
        ("Looking", ["get", "kubeconfig", "export", "conformance", "doctor"]),
    ]

    public static var overview: String {
        let width = all.map(\.name.count).max() ?? 0
        var text = "lab: a real, Kubernetes-compatible cluster in about a second\n\nusage: lab COMMAND [flags]\n"
        let placed = Set(headings.flatMap(\.commands))
        let rest = all.map(\.name).filter { !placed.contains($0) }
        for (title, names) in headings + [("More", rest)] {
            text += "\n\(title):\n"
            for name in names {
                guard let command = all.first(where: { $0.name == name }) else { continue }
                text += "  \(name)\(String(repeating: " ", count: width - name.count))  \(command.summary)\n"
            }
        }
        return text + "\nStart with 'lab create', then 'kubectl get nodes'. 'lab COMMAND --help' tells more.\n"
    }

    /// The command that the words begin with, the longer name first, and the words behind it.
    static func find(_ words: [String]) -> (syntax: CommandSyntax, rest: [String])? {
        // kind says what is created and deleted; here that goes without saying.
        if words.count > 1, ["create", "delete"].contains(words[0]), ["cluster", "clusters"].contains(words[1]) {
            return find([words[0]] + words.dropFirst(2))
        }
        for count in [2, 1] where words.count >= count {
            let name = words.prefix(count).joined(separator: " ")
            if let found = all.first(where: { $0.name == name }) { return (found, Array(words.dropFirst(count))) }
        }
        return nil
    }

    /// Nil where no command begins with that word.
    static func helpOfGroup(_ name: String) -> String? {
        let parts = all.filter { $0.name.hasPrefix(name + " ") }
        return parts.isEmpty ? nil : parts.map(\.help).joined(separator: "\n")
    }

    static func unknown(_ words: [String]) -> UsageError {
        let first = words.first ?? ""
        let longer = all.map(\.name).filter { $0.hasPrefix(first + " ") }
        if !longer.isEmpty {
            return UsageError(
                words.count > 1 ? "unknown command '\(first) \(words[1])'" : "'lab \(first)' is not a whole command",
                remedy: "there are: \(longer.joined(separator: ", "))")
        }
        let similar = all.map(\.name).filter { Spelling.distance($0, first) <= 2 }
        return UsageError(
            "unknown command '\(first)'",
            remedy: similar.isEmpty
                ? "'lab help' lists the commands"
                : "did you mean '\(similar.joined(separator: "' or '"))'? 'lab help' lists the commands")
    }
}

/// How far words are apart, for whoever mistyped one.
enum Spelling {
    static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = x == y ? diagonal : min(diagonal, above, row[j]) + 1
                diagonal = above
            }
        }
        return row[b.count]
    }
}
