import Basics
import Cluster
import Glibc
import Linux

extension Commands {
    static let runServer: CommandBody = { arguments, environment in
        let options = try ServerOptions.parse(arguments)
        let log = Log(component: "apiserver", clock: environment.world.clock, sink: { environment.console.err($0) })
        let server = StandaloneServer(
            options: options, build: environment.build, world: environment.world, log: log)
        let interruption = environment.host.interruption
        let console = environment.console
        try await withThrowingTaskGroup { group in
            group.addTask {
                try await server.run { address in
                    console.out(
                        """
                        Serving on https://\(address). You can type:

                          kubectl --kubeconfig \(options.kubeconfig) api-resources
                        """)
                }
            }
            // A signal is the ordinary end.
            group.addTask { try await interruption() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    static let runBackup: CommandBody = { arguments, environment in
        guard let data = arguments["data"] else {
            throw UsageError("say whose objects to copy: --data DIR", remedy: backup.usage)
        }
        let target = arguments.operands[0]
        try await environment.host.blocking.run { try DataDirectory(data).backup(to: target) }
        environment.console.out(
            """
            Copied to \(target). A server starts from it with

              lab apiserver --data \(target)
            """)
    }
}

/// What the flags of `lab apiserver` ask for: pure, so that every refusal is a unit test.
enum ServerOptions {
    static func parse(_ arguments: Arguments) throws -> StandaloneServer.Options {
        let storage: StandaloneServer.Storage
        switch (arguments["data"], arguments.has("memory")) {
        case (let path?, false): storage = .directory(path)
        case (nil, true): storage = .memory
        default:
            throw UsageError(
                "say where the objects are kept: either --data DIR or --memory", remedy: Commands.apiserver.usage)
        }
        var kubeconfig = arguments["kubeconfig"] ?? "apiserver.kubeconfig"
        if arguments["kubeconfig"] == nil, case .directory(let path) = storage { kubeconfig = "\(path)/kubeconfig" }
        var options = StandaloneServer.Options(storage: storage, kubeconfig: kubeconfig)
        if let text = arguments["port"] {
            guard let port = UInt16(text) else {
                throw UsageError("'\(text)' is not a port", remedy: "a port is a number from 0 to 65535")
            }
            options.port = port
        }
        if let text = arguments["address"] {
            guard let address = IPAddress(text) else {
                throw UsageError("'\(text)' is not an address", remedy: "name an IP address of this machine")
            }
            options.address = address
        }
        if let text = arguments["service-cluster-ip-range"] {
            guard let range = CIDR(text) else {
                throw UsageError("'\(text)' is not a range of addresses", remedy: "write it like 10.96.0.0/16")
            }
            options.services = range
        }
        func names(_ flag: String) -> Set<String> {
            Set((arguments[flag] ?? "").split(separator: ",").map(String.init))
        }
        options.enabledPlugins = names("enable-admission-plugins")
        options.disabledPlugins = names("disable-admission-plugins")
        return options
    }
}
