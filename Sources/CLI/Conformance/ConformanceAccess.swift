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

    func ground() async throws -> Ground {
        Ground(access: try await access(), scripts: scripts, machinery: machinery)
    }

    private static let patience: Duration = .seconds(10)

    /// The ground where somebody answers: else every scenario would fail, and for the same reason.
    func checkedGround() async throws -> Ground {
        if let cluster, let obstacle = await environment.host.index.entry(cluster)?.state.obstacle(cluster) {
            throw obstacle
        }
        let ground: Ground
        do { ground = try await self.ground() } catch let error as KubeconfigError {
            throw Failure("the kubeconfig \(path): \(error)", remedy: "change it, or name another with --kubeconfig")
        }
        let remedy = "check that it runs, and the server and user of the current context in \(path)"
        do {
            let status = try await withDeadline(Self.patience, environment.world.clock, "an answer") {
                try await ground.access.transport.send(Request("GET", "/version")).status
            }
            guard status != 401 else { throw Failure("\(title) does not know the user", remedy: remedy) }
        } catch let error as Failure {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch {
            throw Failure("\(title) cannot be reached: \(error)", remedy: remedy)
        }
        return ground
    }

    private var machinery: (any Machinery)? {
        guard let cluster, environment.isRoot else { return nil }
        return LabMachinery(cluster: cluster, host: environment.hostOnTheSide)
    }

    private func access() async throws -> ClusterAccess {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        let access = try kubeconfig.access(folder: folder)
        return ClusterAccess(
            transport: try await Identity(access, world: environment.world, blocking: environment.host.blocking),
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
