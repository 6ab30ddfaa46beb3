import Basics
import Client
import Cluster
import Document
import Glibc
import Linux

typealias CommandBody = @Sendable (Arguments, Environment) async throws -> Void

extension Commands {
    /// What each command does, by name.
    static let implementations: [String: CommandBody] = [
        create.name: runCreate, delete.name: runDelete, list.name: runList,
        start.name: runStart, stop.name: runStop, pause.name: runPause, resume.name: runResume,
        nodeAdd.name: runNodeAdd, nodeRemove.name: runNodeRemove, nodeStop.name: runNodeStop,
        nodeStart.name: runNodeStart, snapshot.name: runSnapshot, restore.name: runRestore, fork.name: runFork,
        get.name: runGet, kubeconfig.name: runKubeconfig, export.name: runExport,
        completion.name: runCompletion, man.name: runMan,
        load.name: ImageCommands.runLoad, loadArchive.name: ImageCommands.runLoad,
        loadImage.name: ImageCommands.runLoadImage, images.name: ImageCommands.runList, port.name: runPort,
        registry.name: runRegistry,
        conformance.name: runConformance,
        apiserver.name: runServer, backup.name: runBackup, fault.name: runFault, doctor.name: runDoctor,
        netTrace.name: runNetTrace, netDump.name: runNetDump,
    ].merging(ImageCommands.implementations) { $1 }

    static let runCreate: CommandBody = { arguments, environment in
        let configuration = try CreateOptions.configuration(arguments)
        let wait = try arguments["wait"].map { try Duration.parse($0) } ?? .seconds(60)
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        try environment.requireRoot(for: "creating a cluster")
        // Read before anything is made: a kubeconfig that cannot be merged into is an error now, not at the end.
        _ = try KubeconfigFile(place).read()

        let console = environment.console
        console.err("Creating cluster \"\(configuration.name)\": 1 control plane, \(configuration.workers) workers")
        let creator = ClusterCreator(
            configuration: configuration, host: environment.host, progress: console, retain: arguments.has("retain"))
        let kubeconfig = try await creator.create(wait: wait)
        try KubeconfigFile(place).update { $0.merge(kubeconfig) }
        if arguments.has("json") { return try await printCluster(configuration.name, environment) }
        let other = configuration.name == "lab" ? "" : " \(configuration.name)"
        let lab = Program.invokedAs
        console.out(
            """
            The current context of \(place.path) is now "lab-\(configuration.name)". You can type:

              kubectl get nodes -o wide
              \(lab) conformance\(configuration.name == "lab" ? "" : " --cluster\(other)")
              \(lab) delete\(other)
            """)
    }

    static let runDelete: CommandBody = { arguments, environment in
        try environment.requireRoot(for: "deleting a cluster")
        let index = environment.host.index
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        if arguments.has("all") {
            guard arguments.operands.isEmpty, !arguments.has("name") else {
                throw UsageError("--all and a name exclude each other", remedy: delete.usage)
            }
            let names = index.names
            for name in names { try await deleteOne(name, environment, place) }
            if arguments.has("json") { environment.console.out((["deleted": Document(names)] as Document).jsonText) }
            return
        }
        let names = arguments.operands.count > 1 ? arguments.operands : [try arguments.clusterName() ?? "lab"]
        guard names.count == 1 || !arguments.has("name") else {
            throw UsageError("--name and other names exclude each other", remedy: delete.usage)
        }
        // All are looked at before the first is deleted.
        for name in names {
            try ClusterConfiguration.check(name: name)
            guard index.names.contains(name) else {
                throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
            }
        }
        for name in names { try await deleteOne(name, environment, place) }
        if arguments.has("json") { environment.console.out((["deleted": Document(names)] as Document).jsonText) }
    }

    private static func deleteOne(
        _ name: String, _ environment: Environment, _ place: UserKubeconfig.Place
    ) async throws {
        let host = environment.host
        let lock = try await host.lockName(name)
        defer { withExtendedLifetime(lock) {} }
        try await environment.console.step("Deleting cluster \"\(name)\"") {
            try await ClusterRemover(host: host).remove(name: name)
        }
        try KubeconfigFile(place).update { $0.remove(context: "lab-\(name)") }
    }

    static let runList: CommandBody = { arguments, environment in
        let entries = await environment.host.index.all()
        if arguments.has("json") {
            environment.console.out(Document(entries.map(describe)).jsonText)
            return
        }
        guard !entries.isEmpty else {
            environment.console.err("No clusters. Make one with 'lab create'.")
            return
        }
        let now = environment.world.clock.now
        let rows = entries.map { entry in
            [
                entry.record.name, entry.state.rawValue, nodes(entry),
                "https://\(Endpoint.ip(entry.record.networking.apiServerAddress, port: entry.record.apiPort))",
                Age.text(now - entry.record.createdAt),
            ]
        }
        environment.console.out(Table.text(["NAME", "STATE", "NODES", "API", "AGE"], rows))
    }

    /// `2/3` where not all of them run.
    private static func nodes(_ entry: ClusterIndex.Entry) -> String {
        let all = entry.record.nodes.count
        return entry.down.isEmpty ? "\(all)" : "\(all - entry.down.count)/\(all)"
    }

    /// A cluster as scripts see it.
    static func describe(_ entry: ClusterIndex.Entry) -> Document {
        let record = entry.record
        let server = Endpoint.ip(record.networking.apiServerAddress, port: record.apiPort)
        return [
            "name": Document(record.name), "state": Document(entry.state.rawValue),
            "nodes": Document(record.nodeNames), "down": Document(entry.down), "apiPort": Document(Int(record.apiPort)),
            "server": Document("https://\(server)"), "context": Document("lab-\(record.name)"),
            "createdAt": Document(record.createdAt.description),
        ]
    }

    static func printCluster(_ name: String, _ environment: Environment) async throws {
        guard let entry = await environment.host.index.entry(name) else { return }
        environment.console.out(describe(entry).jsonText)
    }
}

/// `3m`, `2h`, `5d`: an age as kubectl shortens it.
enum Age {
    static func text(_ age: Duration) -> String {
        let seconds = max(0, age.wholeSeconds)
        switch seconds {
        case ..<120: return "\(seconds)s"
        case ..<7200: return "\(seconds / 60)m"
        case ..<172_800: return "\(seconds / 3600)h"
        default: return "\(seconds / 86_400)d"
        }
    }
}
