import Basics
import Cluster
import Document

extension Commands {
    static let registry = CommandSyntax(
        "registry", operands: "start|stop|status", fewest: 1, most: 1,
        "A registry on this machine's loopback, served from the content store: push to it, and pods find it.",
        flags: [.init("port", .one, "N", "start: where to listen (default 5001, or as before; 0: a free port)"), json])

    static let runRegistry: CommandBody = { arguments, environment in
        let action = arguments.operands[0]
        guard ["start", "stop", "status"].contains(action) else {
            throw UsageError("'\(action)' is nothing to do with a registry", remedy: registry.usage)
        }
        guard action == "start" || arguments["port"] == nil else {
            throw UsageError("'registry \(action)' takes no --port", remedy: registry.usage)
        }
        let port = try arguments["port"].map { text throws(UsageError) -> UInt16 in
            guard let port = UInt16(text) else {
                throw UsageError("--port '\(text)' is no port", remedy: "use a number from 0 to 65535")
            }
            return port
        }
        try environment.requireRoot(for: "a registry of this machine")
        let registry = LocalRegistry(host: environment.host)
        switch action {
        case "start":
            let status = try await registry.start(port: port)
            if arguments.has("json") { return environment.console.out(document(status).jsonText) }
            environment.console.out(
                """
                The registry answers on \(status.address). Push to it, and pods use the image under the same name:

                  docker push \(status.address)/app
                  kubectl create deployment app --image \(status.address)/app
                """)
        case "stop":
            let hasRun = try await registry.stop()
            if arguments.has("json") {
                environment.console.out((["stopped": Document(hasRun)] as Document).jsonText)
            } else {
                environment.console.out(hasRun ? "The registry is stopped; what was pushed stays." : "No registry ran.")
            }
        default: show(try await registry.status(), arguments, environment)
        }
    }

    private static func show(
        _ status: LocalRegistry.Status?, _ arguments: Arguments, _ environment: Environment
    ) {
        if arguments.has("json") {
            return environment.console.out((status.map(document) ?? ["running": false]).jsonText)
        }
        guard let status else {
            return environment.console.out("There is no registry. 'lab registry start' makes one.")
        }
        environment.console.out("\(status.address): \(status.isRunning ? "running" : "stopped")")
        let rows = status.contents.repositories.map { [$0.name, $0.tags.joined(separator: ", ")] }
        if !rows.isEmpty { environment.console.out(Table.text(["REPOSITORY", "TAGS"], rows)) }
    }

    private static func document(_ status: LocalRegistry.Status) -> Document {
        [
            "running": Document(status.isRunning), "address": Document(status.address),
            "repositories": Document(
                status.contents.repositories.map {
                    ["name": Document($0.name), "tags": Document($0.tags)] as Document
                }),
        ]
    }
}
