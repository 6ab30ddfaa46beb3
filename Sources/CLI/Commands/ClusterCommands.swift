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
        create.name: runCreate, delete.name: runDelete, list.name: runList, kubeconfig.name: runKubeconfig,
        load.name: ImageCommands.runLoad, images.name: ImageCommands.runList, port.name: runPort,
        conformance.name: runConformance,
        apiserver.name: runServer, backup.name: runBackup, doctor.name: runDoctor,
    ]

    static let runCreate: CommandBody = { arguments, environment in
        let configuration = try CreateOptions.configuration(arguments)
        let wait = try arguments["wait"].map { try Duration.parse($0) } ?? .seconds(60)
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        try environment.requireRoot(for: "creating a cluster")
        // Read before anything is made: a kubeconfig that cannot be merged into is an error now, not at the end.
        _ = try KubeconfigFile(place).read()

        let console = environment.console
        console.err("Creating cluster \"\(configuration.name)\": 1 control plane, \(configuration.workers) workers")
        let creator = ClusterCreator(configuration: configuration, host: environment.host, progress: console)
        let kubeconfig = try await creator.create(wait: wait)
        try KubeconfigFile(place).update { $0.merge(kubeconfig) }
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
            guard arguments.operands.isEmpty else {
                throw UsageError("--all and a name exclude each other", remedy: delete.usage)
            }
            for name in index.names { try await deleteOne(name, environment, place) }
            return
        }
        let name = arguments.operands.first ?? "lab"
        try ClusterConfiguration.check(name: name)
        guard index.names.contains(name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        try await deleteOne(name, environment, place)
    }

    private static func deleteOne(
        _ name: String, _ environment: Environment, _ place: UserKubeconfig.Place
    ) async throws {
        let host = environment.host
        try Files.makeDirectories(host.layout.locks)
        guard let lock = try FileLock(path: host.layout.cluster(name).lock) else {
            throw Failure(
                "cluster '\(name)' is being created or deleted by another process", remedy: "wait for it to end")
        }
        defer { withExtendedLifetime(lock) {} }
        try await environment.console.step("Deleting cluster \"\(name)\"") {
            try await ClusterRemover(host: host).remove(name: name)
        }
        try KubeconfigFile(place).update { $0.remove(context: "lab-\(name)") }
    }

    static let runList: CommandBody = { arguments, environment in
        let entries = await environment.host.index.all()
        if arguments.has("json") {
            let items = entries.map { entry -> Document in
                var item = entry.record.document
                item["state"] = Document(entry.state.rawValue)
                return item
            }
            environment.console.out(Document(items).jsonText)
            return
        }
        guard !entries.isEmpty else {
            environment.console.err("No clusters. Make one with 'lab create'.")
            return
        }
        let now = environment.world.clock.now
        let rows = entries.map { entry in
            [
                entry.record.name, entry.state.rawValue, String(entry.record.nodes.count),
                "https://127.0.0.1:\(entry.record.apiPort)", Age.text(now - entry.record.createdAt),
            ]
        }
        environment.console.out(Table.text(["NAME", "STATE", "NODES", "API", "AGE"], rows))
    }

    static let runKubeconfig: CommandBody = { arguments, environment in
        let name = arguments.operands.first ?? "lab"
        try ClusterConfiguration.check(name: name)
        guard environment.host.index.names.contains(name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        do {
            let text = try Files.text(environment.host.layout.cluster(name).kubeconfig)
            environment.console.out(text.hasSuffix("\n") ? String(text.dropLast()) : text)
        } catch let error as SystemError where error.errno == EACCES {
            throw Failure("the kubeconfig of '\(name)' holds a private key that only root may read", remedy: "use sudo")
        }
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
