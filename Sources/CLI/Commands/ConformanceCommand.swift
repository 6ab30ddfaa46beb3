import Basics
import Client
import Cluster
import Glibc
import Linux
import Scenario
import Wire

extension Commands {
    static let runConformance: CommandBody = { arguments, environment in
        var options = SuiteOptions()
        options.focus = arguments["focus"]
        options.skip = arguments["skip"]
        options.failFast = arguments.has("fail-fast")
        if let image = arguments["image"] { options.image = image }
        if let text = arguments["parallel"] {
            guard let count = Int(text), (1...64).contains(count) else {
                throw UsageError("--parallel '\(text)' is no number of scenarios", remedy: "use 1 to 64")
            }
            options.parallel = count
        }
        let scenarios = try ScenarioFiles(paths: arguments.operands).read()
        let access = try conformanceAccess(arguments, environment)
        let console = environment.console
        let stop = StopSignal()

        console.err("Running \(scenarios.count) scenarios")
        let suite = Suite(scenarios, options: options)
        let result = await withTaskGroup(of: Void.self, returning: SuiteResult.self) { group in
            group.addTask {
                if (try? await environment.host.interruption()) != nil { stop.stop() }
            }
            let result = await suite.run(
                on: access, world: environment.world, scripts: scriptRunner(arguments, environment), stop: stop
            ) { event in ScenarioReport.tell(event, console) }
            group.cancelAll()
            return result
        }
        if let path = arguments["junit"] { try Files.write(Array(result.junit().utf8), to: path) }
        console.out("\(result.summary) in \(ScenarioReport.seconds(result.duration))")
        guard result.isPassed else {
            throw Failure(
                result.results.isEmpty ? "no scenario was run" : "not every scenario passed",
                remedy: result.results.isEmpty ? "check --focus and --skip" : "")
        }
    }

    private static func conformanceKubeconfig(
        _ arguments: Arguments, _ environment: Environment
    ) throws -> (kubeconfig: Kubeconfig, path: String) {
        if let path = arguments["kubeconfig"] {
            guard !arguments.has("cluster") else {
                throw UsageError("--cluster and --kubeconfig exclude each other", remedy: conformance.usage)
            }
            let file = KubeconfigFile(UserKubeconfig.Place(path: path, owner: nil))
            guard Files.exists(path) else {
                throw Failure("there is no kubeconfig at \(path)", remedy: "check the path given to --kubeconfig")
            }
            return (try file.read(), path)
        }
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        guard environment.host.index.names.contains(name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "make it with 'lab create', or use --kubeconfig")
        }
        let path = environment.host.layout.cluster(name).kubeconfig
        return (try Kubeconfig(yaml: try Files.read(path)), path)
    }

    private static func conformanceAccess(
        _ arguments: Arguments, _ environment: Environment
    ) throws -> ClusterAccess {
        let access = try conformanceKubeconfig(arguments, environment).kubeconfig.access()
        var transport = try Connect.transport(access, world: environment.world)
        if let token = access.token { transport = TokenTransport(transport: transport, token: token) }
        return ClusterAccess(
            transport: transport,
            anonymous: try Connect.transport(access, withCertificate: false, world: environment.world))
    }

    /// Scripts see the cluster as a user's shell would: through `$KUBECONFIG`.
    private static func scriptRunner(_ arguments: Arguments, _ environment: Environment) -> ScriptRunner {
        let kubeconfig = try? conformanceKubeconfig(arguments, environment).path
        let blocking = environment.host.blocking
        return { text, variables in
            try await blocking.run {
                var variables = variables
                variables["KUBECONFIG"] = kubeconfig
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

/// Where scenarios come from: the paths given, or the suite beside the binary's checkout.
struct ScenarioFiles {
    var paths: [String]

    func read() throws -> [Scenario] {
        let found = paths.isEmpty ? [try Self.suite()] : paths
        var scenarios: [Scenario] = []
        for path in found {
            for file in try files(at: path) {
                let bytes: [UInt8]
                do { bytes = try Files.read(file, limit: 16 << 20) } catch {
                    throw Failure("cannot read the scenario: \(error)", remedy: "check the path")
                }
                do { scenarios.append(try Scenario(yaml: bytes, file: file)) } catch {
                    throw UsageError("\(error)", remedy: "Conformance/README.md describes the language")
                }
            }
        }
        guard !scenarios.isEmpty else {
            throw Failure("no scenario in \(found.joined(separator: ", "))", remedy: "scenarios are files *.yaml")
        }
        return scenarios
    }

    private func files(at path: String) throws -> [String] {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw Failure("there is no \(path)", remedy: "name a scenario file or a directory of them")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
        return try Files.list(path).filter { $0.hasSuffix(".yaml") }.map { "\(path)/\($0)" }
    }

    /// `Conformance` in the working directory, or in the checkout that the binary was built in.
    private static func suite() throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let binary = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var candidates = ["Conformance"]
        var directory = binary.split(separator: "/").dropLast()
        while !directory.isEmpty {
            candidates.append("/" + directory.joined(separator: "/") + "/Conformance")
            directory = directory.dropLast()
        }
        guard let found = candidates.first(where: { Files.exists("\($0)/01-pod.yaml") }) else {
            throw Failure("the conformance suite is not beside this binary", remedy: "give the path of its directory")
        }
        return found
    }
}

/// How a run looks while it goes on.
enum ScenarioReport {
    static func tell(_ event: ScenarioEvent, _ console: Console) {
        switch event {
        case .started(let scenario): console.err(" • \(scenario.id): \(scenario.name)")
        case .step(let scenario, let step): console.err("   \(scenario.id): \(step)")
        case .finished(let result): finished(result, console)
        }
    }

    private static func finished(_ result: ScenarioResult, _ console: Console) {
        let took = seconds(result.duration)
        switch result.outcome {
        case .passed: console.err(" ✓ \(result.id): \(result.name) (\(took))")
        case .stopped: console.err(" - \(result.id): \(result.name) (stopped after \(took))")
        case .failed(let step, let problems):
            console.err(" ✗ \(result.id): \(result.name) (\(took))")
            console.err("     step: \(step)")
            for problem in problems { console.err("     \(problem)") }
            for line in result.evidence { console.err("       \(line)") }
        }
        for note in result.notes { console.err("     \(note)") }
    }

    static func seconds(_ duration: Duration) -> String {
        let tenths = duration.wholeMilliseconds / 100
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
