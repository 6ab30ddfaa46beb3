import Basics
import Client
import Cluster
import Document
import Glibc
import Linux

extension Commands {
    static let runGet: CommandBody = { arguments, environment in
        let what = arguments.operands[0]
        let name = try arguments.clusterName(operand: 1)
        let host = environment.host
        let names: [String]
        switch what {
        case "clusters": names = host.index.names
        case "nodes":
            guard let record = host.index.record(of: try existing(name ?? "lab", environment)) else {
                throw Failure("the record of cluster '\(name ?? "lab")' is unreadable")
            }
            names = record.nodeNames
        case "snapshots":
            let found = ClusterSnapshots(host: host, progress: environment.console).list(of: name)
            if arguments.has("json") { return environment.console.out(Document(found.map(\.document)).jsonText) }
            names = found.map { name == nil ? "\($0.cluster) \($0.name)" : $0.name }
        case "kubeconfig":
            return try printKubeconfig(try existing(name ?? "lab", environment), arguments, environment)
        default:
            throw UsageError("there is no 'lab get \(what)'", remedy: get.usage)
        }
        if arguments.has("json") { return environment.console.out(Document(names).jsonText) }
        if names.isEmpty { return environment.console.err("No \(what) found.") }
        environment.console.out(names.joined(separator: "\n"))
    }

    static let runKubeconfig: CommandBody = { arguments, environment in
        var verb = "get"
        var operands = arguments.operands
        // `lab kubeconfig NAME` prints, too.
        if let first = operands.first, ["get", "export", "merge"].contains(first) { verb = operands.removeFirst() }
        guard operands.count <= 1 else {
            throw UsageError("unexpected argument '\(operands[1])'", remedy: kubeconfig.usage)
        }
        if let flag = arguments["name"] {
            guard operands.isEmpty else { throw UsageError("the cluster is named twice", remedy: "name it once") }
            operands = [flag]
        }
        let name = try existing(operands.first ?? "lab", environment)
        if verb == "get" { return try printKubeconfig(name, arguments, environment) }
        try mergeKubeconfig(name, switching: verb == "export", arguments, environment)
    }

    static let runExport: CommandBody = { arguments, environment in
        let name = try existing(arguments["name"] ?? "lab", environment)
        switch arguments.operands[0] {
        case "kubeconfig":
            guard arguments.operands.count == 1 else {
                throw UsageError("unexpected argument '\(arguments.operands[1])'", remedy: export.usage)
            }
            try mergeKubeconfig(name, switching: true, arguments, environment)
        case "logs":
            try environment.requireRoot(for: "reading a cluster's logs")
            let directory = try arguments.operands.count == 2 ? arguments.operands[1] : temporaryDirectory()
            let export = LogExport(host: environment.host)
            let files = try await environment.host.blocking.run { try export.run(name, to: directory) }
            if arguments.has("json") {
                let result: Document = ["directory": Document(directory), "files": Document(files)]
                return environment.console.out(result.jsonText)
            }
            environment.console.err("Exporting logs for cluster \"\(name)\" to:")
            environment.console.out(directory)
        case let what:
            throw UsageError("there is no 'lab export \(what)'", remedy: export.usage)
        }
    }

    // MARK: Parts

    private static func existing(_ name: String, _ environment: Environment) throws -> String {
        try ClusterConfiguration.check(name: name)
        guard environment.host.index.names.contains(name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        return name
    }

    private static func read(
        _ name: String, _ arguments: Arguments, _ environment: Environment
    ) throws -> Kubeconfig {
        let path = environment.host.layout.cluster(name).kubeconfig
        do {
            let kubeconfig = try Kubeconfig(yaml: try Files.read(path))
            guard arguments.has("internal") else { return kubeconfig }
            return kubeconfig.reaching("https://\(Endpoint.ip(Addresses.node(0), port: Addresses.apiPort))")
        } catch let error as SystemError where error.errno == EACCES {
            throw Failure("the kubeconfig of '\(name)' holds a private key that only root may read", remedy: "use sudo")
        } catch let error as SystemError where error.errno == ENOENT {
            throw Failure("cluster '\(name)' has no kubeconfig", remedy: "its creation did not get that far; delete it")
        }
    }

    private static func printKubeconfig(_ name: String, _ arguments: Arguments, _ environment: Environment) throws {
        let kubeconfig = try read(name, arguments, environment)
        if arguments.has("json") { return environment.console.out(kubeconfig.document.jsonText) }
        let text = String(decoding: kubeconfig.yaml, as: UTF8.self)
        environment.console.out(text.hasSuffix("\n") ? String(text.dropLast()) : text)
    }

    private static func mergeKubeconfig(
        _ name: String, switching: Bool, _ arguments: Arguments, _ environment: Environment
    ) throws {
        let kubeconfig = try read(name, arguments, environment)
        let place = UserKubeconfig.place(flag: arguments["kubeconfig"])
        try KubeconfigFile(place).update { $0.merge(kubeconfig, switching: switching) }
        if arguments.has("json") {
            let result: Document = ["context": Document("lab-\(name)"), "kubeconfig": Document(place.path)]
            return environment.console.out(result.jsonText)
        }
        environment.console.err(
            switching
                ? "Set kubectl context to \"lab-\(name)\" in \(place.path)"
                : "Merged the context \"lab-\(name)\" into \(place.path)")
    }

    private static func temporaryDirectory() throws -> String {
        var template = Array("/tmp/lab-logs-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", "/tmp", errno: errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
