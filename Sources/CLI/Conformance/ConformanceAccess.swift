import Basics
import Client
import Cluster
import Linux
import Scenario
import Wire

/// The cluster that scenarios run against.
struct ConformanceTarget: Sendable {
    let environment: Environment
    /// Nil where only a kubeconfig is known.
    let cluster: String?
    /// The kubeconfig's path, as scripts get it.
    let path: String
    let kubeconfig: Kubeconfig

    init(_ arguments: Arguments, _ environment: Environment) throws {
        guard let path = arguments["kubeconfig"] else {
            try self.init(cluster: arguments["cluster"] ?? "lab", environment)
            return
        }
        guard !arguments.has("cluster") else {
            throw UsageError(
                "--cluster and --kubeconfig exclude each other", remedy: Commands.conformance.usage)
        }
        let file = KubeconfigFile(UserKubeconfig.Place(path: path, owner: nil))
        guard Files.exists(path) else {
            throw Failure("there is no kubeconfig at \(path)", remedy: "check the path given to --kubeconfig")
        }
        try self.init(environment, cluster: nil, path: path, try file.read())
    }

    init(cluster name: String, _ environment: Environment) throws {
        try ClusterConfiguration.check(name: name)
        guard environment.host.index.names.contains(name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "make it with 'lab create', or use --kubeconfig")
        }
        let path = environment.host.layout.cluster(name).kubeconfig
        try self.init(environment, cluster: name, path: path, try Kubeconfig(yaml: try Files.read(path)))
    }

    private init(_ environment: Environment, cluster: String?, path: String, _ kubeconfig: Kubeconfig) throws {
        self.environment = environment
        self.cluster = cluster
        self.path = path
        self.kubeconfig = kubeconfig
    }

    var title: String { cluster.map { "cluster \"\($0)\"" } ?? "the cluster of \(path)" }

    func ground() throws -> Ground {
        Ground(access: try access(), scripts: scripts, machinery: machinery)
    }

    private var machinery: (any Machinery)? {
        guard let cluster, environment.isRoot else { return nil }
        return LabMachinery(cluster: cluster, host: environment.hostOnTheSide)
    }

    private func access() throws -> ClusterAccess {
        let access = try kubeconfig.access()
        var transport = try Connect.transport(access, world: environment.world)
        if let token = access.token { transport = TokenTransport(transport: transport, token: token) }
        return ClusterAccess(
            transport: transport,
            anonymous: try Connect.transport(access, withCertificate: false, world: environment.world))
    }

    /// Scripts see the cluster as a user's shell would: through `$KUBECONFIG`.
    private var scripts: ScriptRunner {
        let blocking = environment.host.blocking
        return { [path] text, variables in
            try await blocking.run {
                var variables = variables
                variables["KUBECONFIG"] = path
                let ran = Command.run(["/bin/sh", "-euc", text], extra: variables)
                return (ran.code, ran.out + ran.err)
            }
        }
    }
}

/// Adds a kubeconfig's bearer token to every request.
private struct TokenTransport: UpgradingTransport {
    var transport: any Transport
    var token: String

    func send(_ request: Request) async throws -> any ResponseStream { try await transport.send(identified(request)) }

    func upgrade(_ request: Request) async throws -> Upgrade {
        guard let transport = transport as? any UpgradingTransport else {
            throw KubeconfigError("this way to the server carries no protocol upgrades")
        }
        return try await transport.upgrade(identified(request))
    }

    private func identified(_ request: Request) -> Request {
        var request = request
        if request.headers["Authorization"] == nil { request.headers["Authorization"] = "Bearer \(token)" }
        return request
    }
}
