import Basics
import Cluster
import Document

extension Commands {
    static let runPort: CommandBody = { arguments, environment in
        let action = arguments.operands[0]
        let mappings = try arguments.operands.dropFirst().map { try PublishedPort(parsing: $0) }
        guard ["add", "remove", "list"].contains(action) else {
            throw UsageError("'\(action)' is nothing to do with ports", remedy: port.usage)
        }
        guard mappings.isEmpty == (action == "list") else {
            throw UsageError(
                action == "list" ? "'port list' takes no mapping" : "'port \(action)' needs a mapping",
                remedy: port.usage)
        }
        try environment.requireRoot(for: "changing a cluster's ports")
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        guard let record = environment.host.index.record(of: name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        let client = PortsClient(cluster: environment.host.layout.cluster(name), world: environment.world)
        let asked = try mappings.map { mapping in
            try CarriedPort(mapping, nodes: record.nodeNames) { record.nodes[$0].address }
        }
        switch action {
        case "add":
            let before = Set(try await client.list().map(\.port.key))
            let after = try await client.add(asked)
            show(after.filter { !before.contains($0.port.key) }, arguments, environment)
        case "remove":
            let remaining = try await client.remove(asked)
            if arguments.has("json") { show(remaining, arguments, environment) }
        default: show(try await client.list(), arguments, environment)
        }
    }

    private static func show(_ entries: [PortsClient.Entry], _ arguments: Arguments, _ environment: Environment) {
        if arguments.has("json") {
            environment.console.out(Document(entries.map(\.document)).jsonText)
            return
        }
        let rows = entries.map { entry -> [String] in
            let target: String
            if case .ip(_, let port) = entry.port.target { target = "\(port)" } else { target = "" }
            return [
                "\(entry.port.listen)", entry.port.transport.rawValue.lowercased(), entry.port.node, target,
                entry.error ?? (entry.port.isAPI ? "the API" : "open"),
            ]
        }
        environment.console.out(Table.text(["LISTEN", "PROTOCOL", "NODE", "PORT", "STATE"], rows))
    }
}
