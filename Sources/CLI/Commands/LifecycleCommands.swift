import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Schema

extension Commands {
    static let runStart: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "starting a cluster")
        let name = try arguments.clusterName() ?? "lab"
        let lifecycle = ClusterLifecycle(host: environment.host, progress: environment.console)
        try await lifecycle.start(name, wait: try arguments.waitingTime())
        if arguments.has("json") { try await printCluster(name, environment) }
    }

    static let runStop: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "stopping a cluster")
        let name = try arguments.clusterName() ?? "lab"
        try await ClusterLifecycle(host: environment.host, progress: environment.console).stop(name)
        if arguments.has("json") { try await printCluster(name, environment) }
    }

    static let runPause: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "pausing a cluster")
        let name = try arguments.clusterName() ?? "lab"
        try await ClusterLifecycle(host: environment.host, progress: environment.console).pause(name)
        if arguments.has("json") { try await printCluster(name, environment) }
    }

    static let runResume: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "resuming a cluster")
        let name = try arguments.clusterName() ?? "lab"
        try await ClusterLifecycle(host: environment.host, progress: environment.console).resume(name)
        if arguments.has("json") { try await printCluster(name, environment) }
    }

    // MARK: Nodes

    static let runNodeAdd: CommandBody = { arguments, environment in
        let (count, configuration) = try NodeOptions.parse(arguments)
        let wait = try arguments.waitingTime()
        try environment.requireRoot(for: "adding a node")
        let added = try await editor(environment).add(
            count, like: configuration, to: arguments["cluster"] ?? "lab", wait: wait)
        tell("added", added, arguments, environment)
    }

    static let runNodeRemove: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "removing a node")
        try await editor(environment).remove(arguments.operands, from: arguments["cluster"] ?? "lab")
        tell("removed", arguments.operands, arguments, environment)
    }

    static let runNodeStop: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "stopping a node")
        try await editor(environment).stop(arguments.operands, of: arguments["cluster"] ?? "lab")
        tell("stopped", arguments.operands, arguments, environment)
    }

    static let runNodeStart: CommandBody = { arguments, environment in
        let wait = try arguments.waitingTime()
        try environment.requireRoot(for: "starting a node")
        let started = try await editor(environment).start(
            arguments.operands, of: arguments["cluster"] ?? "lab", wait: wait)
        tell("started", started, arguments, environment)
    }

    private static func editor(_ environment: Environment) -> NodeEditor {
        NodeEditor(host: environment.host, progress: environment.console)
    }

    private static func tell(
        _ what: String, _ nodes: [String], _ arguments: Arguments, _ environment: Environment
    ) {
        if arguments.has("json") {
            environment.console.out(Document(members: [(what, Document(nodes))]).jsonText)
        } else {
            for node in nodes { environment.console.out("node/\(node) \(what)") }
        }
    }

    // MARK: Copies

    /// `[NAME] SNAPSHOT`: the last operand is the snapshot.
    private static func names(_ arguments: Arguments) -> (cluster: String, snapshot: String) {
        (arguments.operands.count == 2 ? arguments.operands[0] : "lab", arguments.operands.last ?? "")
    }

    static let runSnapshot: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "copying a cluster")
        let (name, snapshot) = names(arguments)
        let snapshots = ClusterSnapshots(host: environment.host, progress: environment.console)
        if arguments.has("delete") {
            try await snapshots.delete(snapshot, of: name)
            if arguments.has("json") {
                environment.console.out((["deleted": Document([snapshot])] as Document).jsonText)
            }
            return
        }
        let taken = try await snapshots.take(snapshot, of: name)
        if arguments.has("json") {
            environment.console.out(taken.document.jsonText)
        } else {
            environment.console.out(
                """
                Snapshot "\(snapshot)" of "\(name)" holds \((taken.bytes + 999_999) / 1_000_000) MB. You can type:

                  \(Program.invokedAs) restore \(name) \(snapshot)
                  \(Program.invokedAs) fork \(name) NEW --snapshot \(snapshot)
                """)
        }
    }

    static let runRestore: CommandBody = { arguments, environment in
        let wait = try arguments.waitingTime()
        try environment.requireRoot(for: "restoring a cluster")
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        _ = try KubeconfigFile(place).read()
        let (name, snapshot) = names(arguments)
        let snapshots = ClusterSnapshots(host: environment.host, progress: environment.console)
        let kubeconfig = try await snapshots.restore(snapshot, of: name, wait: wait)
        try KubeconfigFile(place).update { $0.merge(kubeconfig) }
        if arguments.has("json") { return try await printCluster(name, environment) }
        environment.console.out("Cluster \"\(name)\" is as it was in \"\(snapshot)\".")
    }

    static let runFork: CommandBody = { arguments, environment in
        let wait = try arguments.waitingTime()
        let port = try arguments.port("api-port")
        try environment.requireRoot(for: "forking a cluster")
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        _ = try KubeconfigFile(place).read()
        let (name, new) = (arguments.operands[0], arguments.operands[1])
        let snapshots = ClusterSnapshots(host: environment.host, progress: environment.console)
        let kubeconfig = try await snapshots.fork(
            name, into: new, snapshot: arguments["snapshot"], apiPort: port, wait: wait)
        try KubeconfigFile(place).update { $0.merge(kubeconfig) }
        if arguments.has("json") { return try await printCluster(new, environment) }
        environment.console.out(
            """
            The current context of \(place.path) is now "lab-\(new)". You can type:

              kubectl --context lab-\(name) get pods -A
              kubectl --context lab-\(new) get pods -A
            """)
    }
}

extension Arguments {
    func waitingTime() throws(UsageError) -> Duration {
        guard let text = self["wait"] else { return .seconds(60) }
        return try Duration.parse(text)
    }

    func port(_ flag: String) throws(UsageError) -> UInt16? {
        guard let text = self[flag] else { return nil }
        guard let port = UInt16(text), port > 0 else {
            throw UsageError("--\(flag) '\(text)' is no port", remedy: "use a number from 1 to 65535")
        }
        return port
    }
}

/// What the flags of `lab node add` ask for: pure, so that every refusal is a unit test.
enum NodeOptions {
    static func parse(_ arguments: Arguments) throws(UsageError) -> (count: Int, NodeConfiguration) {
        var node = NodeConfiguration(role: .worker)
        var count = 1
        if let text = arguments["count"] {
            guard let number = Int(text), (1...ClusterConfiguration.mostWorkers).contains(number) else {
                throw UsageError(
                    "--count '\(text)' is no number of nodes", remedy: "use 1 to \(ClusterConfiguration.mostWorkers)")
            }
            count = number
        }
        for word in list(arguments["labels"]) {
            let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let value = pair.count == 2 ? pair[1] : ""
            if let problem = (Formats.qualifiedName(pair[0]) + Formats.labelValue(value)).first {
                throw UsageError("the label '\(word)' is not valid", remedy: problem)
            }
            node.labels[pair[0]] = value
        }
        if arguments.has("taints") { node.taints = try list(arguments["taints"]).map(taint) }
        if let text = arguments["cpus"] {
            let millis = try quantity("cpus", text).milliValue
            guard millis >= NodeConfiguration.leastMillis else {
                throw UsageError("--cpus \(text) is too little", remedy: "use at least 10m")
            }
            node.cpuMillis = Int64(millis)
        }
        if let text = arguments["memory"] {
            let bytes = try quantity("memory", text).value
            guard bytes >= NodeConfiguration.leastMemory else {
                throw UsageError("--memory \(text) is too little for a node", remedy: "use at least 64Mi")
            }
            node.memoryBytes = Int64(bytes)
        }
        return (count, node)
    }

    private static func list(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",", omittingEmptySubsequences: true).map(String.init)
    }

    private static func taint(_ word: String) throws(UsageError) -> NodeConfiguration.Taint {
        let halves = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let pair = halves[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let value = pair.count == 2 ? pair[1] : ""
        guard halves.count == 2, NodeConfiguration.Taint.effects.contains(halves[1]),
            (Formats.qualifiedName(pair[0]) + Formats.labelValue(value)).isEmpty
        else {
            throw UsageError(
                "the taint '\(word)' is not valid",
                remedy:
                    "write it like KEY=VALUE:EFFECT, with \(NodeConfiguration.Taint.effects.joined(separator: ", "))")
        }
        return NodeConfiguration.Taint(key: pair[0], value: value, effect: halves[1])
    }

    private static func quantity(_ flag: String, _ text: String) throws(UsageError) -> Quantity {
        guard let quantity = Quantity(text) else {
            throw UsageError("--\(flag) '\(text)' is no quantity", remedy: "write it like 2, 500m, 512Mi or 2Gi")
        }
        return quantity
    }
}
