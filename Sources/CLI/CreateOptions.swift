import Cluster
import Document
import Linux

/// Flags of `lab create` over its configuration file.
enum CreateOptions {
    static func configuration(_ arguments: Arguments) throws -> ClusterConfiguration {
        var configuration = ClusterConfiguration()
        if let path = arguments["config"] {
            let bytes: [UInt8]
            do { bytes = try Files.read(path, limit: 1 << 20) } catch {
                throw Failure("cannot read the configuration: \(error)", remedy: "check the path given to --config")
            }
            configuration = try ConfigurationFile.parse(bytes, name: path)
        }
        if let name = arguments.operands.first { configuration.name = name }
        if let text = arguments["workers"] {
            guard let count = Int(text) else {
                throw UsageError("--workers '\(text)' is no number", remedy: "write it like --workers 2")
            }
            configuration.workers = count
        }
        if let text = arguments["api-port"] {
            guard let port = UInt16(text), port > 0 else {
                throw UsageError("--api-port '\(text)' is no port", remedy: "use a number from 1 to 65535")
            }
            configuration.apiPort = port
        }
        if let text = arguments["controllers"] {
            configuration.controllers = text.split(separator: ",").map(String.init)
        }
        switch arguments["leader-elect"] {
        case nil: break
        case "true": configuration.leaderElection = true
        case "false": configuration.leaderElection = false
        case let text?: throw UsageError("--leader-elect '\(text)' is neither true nor false", remedy: "choose one")
        }
        for text in arguments.values["port"] ?? [] { configuration.ports.append(try PublishedPort(parsing: text)) }
        configuration.imageArchives += arguments.values["image-archive"] ?? []
        try configuration.check()
        return configuration
    }
}
