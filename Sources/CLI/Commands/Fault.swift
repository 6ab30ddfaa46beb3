import Basics
import Cluster
import Document

extension Commands {
    static let runFault: CommandBody = { arguments, environment in
        let verb = arguments.operands[0]
        let operands = Array(arguments.operands.dropFirst())
        try environment.requireRoot(for: "changing a cluster's network")
        switch verb {
        case "add":
            try refuse(["all", "json"], arguments, verb)
            try await addFault(operands, arguments, environment)
        case "list":
            try refuse(["name", "for", "one-way", "percent", "rate", "all"], arguments, verb)
            guard operands.isEmpty else { throw UsageError("'fault list' takes no words", remedy: fault.usage) }
            try await listFaults(arguments, environment)
        case "remove":
            try refuse(["name", "for", "one-way", "percent", "rate", "json"], arguments, verb)
            try await removeFaults(operands, arguments, environment)
        default: throw UsageError("'fault \(verb)' is nothing lab can do", remedy: "add, list or remove")
        }
    }

    private static func refuse(_ flags: [String], _ arguments: Arguments, _ verb: String) throws(UsageError) {
        for flag in flags where arguments.has(flag) {
            throw UsageError("'fault \(verb)' has no --\(flag)", remedy: "see 'lab fault --help'")
        }
    }

    private static func injector(_ arguments: Arguments, _ environment: Environment) throws -> FaultInjector {
        let name = arguments["cluster"] ?? "lab"
        try ClusterConfiguration.check(name: name)
        return try FaultInjector(cluster: name, host: environment.host)
    }

    private static let knownFaults = "partition, loss, rate, reset and dns"

    private static func addFault(
        _ operands: [String], _ arguments: Arguments, _ environment: Environment
    ) async throws {
        guard let word = operands.first, operands.count >= 2 else {
            throw UsageError(
                "'fault add' needs a kind and a place",
                remedy: "such as 'lab fault add partition node/worker node/worker2'")
        }
        let kind: Fault.Kind
        switch word {
        case "partition": kind = .partition
        case "reset": kind = .reset
        case "dns": kind = .dns
        case "loss":
            guard let percent = arguments["percent"].flatMap({ Int($0) }) else {
                throw UsageError("'fault add loss' needs --percent N", remedy: "such as --percent 20")
            }
            kind = .loss(percent: percent)
        case "rate":
            guard let rate = arguments["rate"] else {
                throw UsageError("'fault add rate' needs --rate RATE", remedy: "such as --rate 1mbit")
            }
            kind = .rate(kilobits: try Fault.kilobits(rate))
        case "delay", "jitter":
            throw Failure(
                "packets cannot be delayed: that needs the kernel's netem, which lab does not use",
                remedy: "known are \(knownFaults)")
        default:
            throw UsageError("'\(word)' is no kind of fault", remedy: "known are \(knownFaults)")
        }
        if word != "rate", arguments.has("rate") {
            throw UsageError("only 'rate' has --rate", remedy: "leave it out")
        }
        if word != "loss", arguments.has("percent") {
            throw UsageError("only 'loss' has --percent", remedy: "leave it out")
        }
        let now = environment.world.clock.now
        let injector = try injector(arguments, environment)
        let taken = Set(try await injector.list().map(\.name))
        let free = (1...).lazy.map { "\(word)-\($0)" }.first { !taken.contains($0) }
        let fault = try Fault(
            name: arguments["name"] ?? free ?? word, kind: kind, from: try Fault.Place(operands[1]),
            to: operands.count > 2 ? try Fault.Place(operands[2]) : nil, oneWay: arguments.has("one-way"),
            until: try arguments["for"].map { now + (try Duration.parse($0)) })
        try await injector.add(fault)
        environment.console.out("fault \(fault.name) is in force")
    }

    private static func listFaults(_ arguments: Arguments, _ environment: Environment) async throws {
        let faults = try await injector(arguments, environment).list()
        if arguments.has("json") {
            let items = faults.map { fault -> Document in
                var item: Document = [
                    "name": Document(fault.name), "kind": Document(fault.summary), "from": Document(fault.from.text),
                    "oneWay": Document(fault.oneWay),
                ]
                if let to = fault.to { item["to"] = Document(to.text) }
                if let until = fault.until { item["until"] = Document(until.rfc3339()) }
                return item
            }
            return environment.console.out(Document(items).jsonText)
        }
        guard !faults.isEmpty else { return environment.console.err("No faults.") }
        let now = environment.world.clock.now
        let rows = faults.map { fault in
            [
                fault.name, fault.summary, fault.from.text, fault.to?.text ?? "(everybody)",
                fault.oneWay ? "one way" : "both ways", fault.until.map { Age.text($0 - now) } ?? "(until removed)",
            ]
        }
        environment.console.out(Table.text(["NAME", "KIND", "FROM", "TO", "WAYS", "LEFT"], rows))
    }

    private static func removeFaults(
        _ operands: [String], _ arguments: Arguments, _ environment: Environment
    ) async throws {
        let injector = try injector(arguments, environment)
        if arguments.has("all") {
            guard operands.isEmpty else { throw UsageError("--all and a name exclude each other", remedy: fault.usage) }
            for fault in try await injector.list() { _ = try await injector.remove(name: fault.name) }
            return
        }
        guard operands.count == 1 else {
            throw UsageError("'fault remove' needs a fault's name", remedy: "'lab fault list' shows them")
        }
        guard try await injector.remove(name: operands[0]) else {
            throw Failure("there is no fault '\(operands[0])'", remedy: "'lab fault list' shows those there are")
        }
    }
}
