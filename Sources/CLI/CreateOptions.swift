import Cluster
import Document
import Glibc
import Linux

/// Flags of `lab create` over its configuration file.
enum CreateOptions {
    static func configuration(_ arguments: Arguments) throws -> ClusterConfiguration {
        var configuration = ClusterConfiguration()
        if let path = arguments["config"] {
            let bytes: [UInt8]
            do { bytes = try Files.read(path == "-" ? "/dev/stdin" : path, limit: 1 << 20) } catch {
                throw Failure("cannot read the configuration: \(error)", remedy: "check the path given to --config")
            }
            configuration = try ConfigurationFile.parse(bytes, name: path == "-" ? "standard input" : path)
            makePathsAbsolute(&configuration)
        }
        if let name = try arguments.clusterName() { configuration.name = name }
        if let text = arguments["workers"] {
            guard let count = Int(text) else {
                throw UsageError("--workers '\(text)' is no number", remedy: "write it like --workers 2")
            }
            try ClusterConfiguration.check(workers: count)
            configuration.workers = count
        }
        if let image = arguments["image"] { try ClusterConfiguration.check(nodeImage: image) }
        if let text = arguments["api-port"] {
            guard let port = UInt16(text), port > 0 else {
                throw UsageError("--api-port '\(text)' is no port", remedy: "use a number from 1 to 65535")
            }
            configuration.apiPort = port
        }
        if let text = arguments["controllers"] {
            configuration.controllers = text.split(separator: ",").map(String.init)
        }
        configuration.leaderElection = try flag("leader-elect", arguments) ?? configuration.leaderElection
        configuration.egress = try flag("egress", arguments) ?? configuration.egress
        for text in arguments.values["port"] ?? [] { configuration.ports.append(try PublishedPort(parsing: text)) }
        configuration.imageArchives += arguments.values["image-archive"] ?? []
        try configuration.check()
        return configuration
    }

    private static func flag(_ name: String, _ arguments: Arguments) throws -> Bool? {
        switch arguments[name] {
        case nil: nil
        case "true": true
        case "false": false
        case let text?: throw UsageError("--\(name) '\(text)' is neither true nor false", remedy: "choose one")
        }
    }

    /// The host's paths in a file count from the directory that the command runs in, as kind has it.
    private static func makePathsAbsolute(_ configuration: inout ClusterConfiguration) {
        var buffer = [CChar](repeating: 0, count: 4_096)
        guard getcwd(&buffer, buffer.count) != nil else { return }
        let directory = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for node in configuration.nodes.indices {
            for mount in configuration.nodes[node].extraMounts.indices {
                let path = configuration.nodes[node].extraMounts[mount].hostPath
                guard !path.hasPrefix("/") else { continue }
                let plain = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
                configuration.nodes[node].extraMounts[mount].hostPath = "\(directory)/\(plain)"
            }
        }
    }
}

extension Arguments {
    /// The cluster that is named as an operand, or with kind's `--name`; nil where neither is.
    func clusterName(operand: Int = 0) throws(UsageError) -> String? {
        let positional = operands.count > operand ? operands[operand] : nil
        if let flag = self["name"] {
            guard positional == nil else {
                throw UsageError(
                    "the cluster is named twice: '\(positional ?? "")' and --name '\(flag)'", remedy: "name it once")
            }
            return flag
        }
        return positional
    }
}
