import Basics
import Cluster
import Document

extension Commands {
    static let runFault: CommandBody = { arguments, environment in
        let verb = arguments.operands[0]
        let operands = Array(arguments.operands.dropFirst())
        try environment.requireRoot(for: "breaking a cluster")
        switch verb {
        case "add":
            try refuse(["all", "json"], arguments, verb)
            try await addFault(operands, arguments, environment)
        case "list":
            try refuse(["name", "for", "one-way", "percent", "rate", "delay", "all"], arguments, verb)
            guard operands.isEmpty else { throw UsageError("'fault list' takes no words", remedy: fault.usage) }
            try await listFaults(arguments, environment)
        case "remove":
            try refuse(["name", "for", "one-way", "percent", "rate", "delay", "json"], arguments, verb)
            try await removeFaults(operands, arguments, environment)
        default: throw UsageError("'fault \(verb)' is nothing lab can do", remedy: "add, list or remove")
        }
    }

    private static func refuse(_ flags: [String], _ arguments: Arguments, _ verb: String) throws(UsageError) {
        for flag in flags where arguments.has(flag) {
            throw UsageError("'fault \(verb)' has no --\(flag)", remedy: "see 'lab fault --help'")
        }
    }

    private static func faults(_ arguments: Arguments, _ environment: Environment) throws -> Faults {
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        return try Faults(cluster: name, host: environment.host)
    }

    private static func addFault(
        _ operands: [String], _ arguments: Arguments, _ environment: Environment
    ) async throws {
        guard let kind = operands.first else {
            throw UsageError(
                "'fault add' needs a kind and a place",
                remedy: "such as 'lab fault add partition node/worker node/worker2'")
        }
        var request = FaultRequest(
            kind: kind, at: operands.count > 1 ? operands[1] : nil, to: operands.count > 2 ? operands[2] : nil,
            name: arguments["name"], isOneWay: arguments.has("one-way"))
        if let text = arguments["percent"] {
            guard let percent = Int(text) else {
                throw UsageError("--percent '\(text)' is no number", remedy: "such as --percent 20")
            }
            request.percent = percent
        }
        request.kilobits = try arguments["rate"].map { try Fault.kilobits($0) }
        request.lasts = try arguments["for"].map { try Duration.parse($0) }
        request.delay = try arguments["delay"].map { try Duration.parse($0) }
        let name = try await faults(arguments, environment).add(request)
        environment.console.out(kind == "kill" ? "killed \(operands[1])" : "fault \(name) is in force")
    }

    private static func listFaults(_ arguments: Arguments, _ environment: Environment) async throws {
        let faults = try await faults(arguments, environment).list()
        if arguments.has("json") {
            let items = faults.map { fault -> Document in
                var item: Document = [
                    "name": Document(fault.name), "kind": Document(fault.kind), "at": Document(fault.at),
                    "oneWay": Document(fault.isOneWay),
                ]
                if let to = fault.to { item["to"] = Document(to) }
                if let until = fault.until { item["until"] = Document(until.rfc3339()) }
                return item
            }
            return environment.console.out(Document(items).jsonText)
        }
        guard !faults.isEmpty else { return environment.console.err("No faults.") }
        let now = environment.world.clock.now
        let rows = faults.map { fault in
            [
                fault.name, fault.kind, fault.at, fault.to ?? "-",
                fault.to == nil ? "-" : fault.isOneWay ? "one way" : "both ways",
                fault.until.map { Age.text($0 - now) } ?? "(until removed)",
            ]
        }
        environment.console.out(Table.text(["NAME", "KIND", "AT", "TO", "WAYS", "LEFT"], rows))
    }

    private static func removeFaults(
        _ operands: [String], _ arguments: Arguments, _ environment: Environment
    ) async throws {
        let faults = try faults(arguments, environment)
        if arguments.has("all") {
            guard operands.isEmpty else { throw UsageError("--all and a name exclude each other", remedy: fault.usage) }
            for fault in try await faults.list() { _ = try await faults.remove(fault.name) }
            return
        }
        guard operands.count == 1 else {
            throw UsageError("'fault remove' needs a fault's name", remedy: "'lab fault list' shows them")
        }
        guard try await faults.remove(operands[0]) else {
            throw Failure("there is no fault '\(operands[0])'", remedy: "'lab fault list' shows those there are")
        }
    }
}
