import Basics
import Client
import Cluster
import Document
import Linux
import Scenario

extension Commands {
    static let conformance = CommandSyntax(
        "conformance", operands: "[PATH...]", most: 1_000,
        "Run the scenarios of the conformance suite (or those in PATH) against a cluster.",
        flags: [
            .init("cluster", .one, "NAME", "a cluster of this machine (default lab)"),
            .init("kubeconfig", .one, "FILE", "any cluster: the current context of FILE"),
            .init("focus", .many, "TEXT", "only scenarios with TEXT in their id, name, tags or behaviours"),
            .init("skip", .many, "TEXT", "leave those out"),
            .init("tags", .one, "LIST", "only those with one of these tags: TAG,…; -TAG leaves out"),
            .init("rerun-failed", .none, "", "only those that failed when they were last run"),
            .init("shard", .one, "I/N", "the I-th of N equal parts"),
            .init("shuffle", .none, "", "in another order each time; the seed is printed"),
            .init("seed", .one, "N", "in the order of that seed"),
            .init("repeat", .one, "N", "each of them N times"),
            .init("parallel", .one, "N", "scenarios that run at the same time (default 4)"),
            .init("fork-serial", .one, "BOOL", "run those that stand no others each on a fork (default true)"),
            .init("fail-fast", .none, "", "stop at the first failure"),
            .init("pause-on-failure", .none, "", "keep a failed scenario's namespace until Enter is pressed"),
            .init("image", .one, "REF", "image to use in place of lab.local/testbox"),
            .init("junit", .one, "FILE", "write the results as JUnit XML"),
            .init("html", .one, "FILE", "write a report: one page that needs no other file"),
            json,
            .init("list", .none, "", "list the scenarios instead, with tags and behaviours"),
            .init("behaviours", .none, "", "instead, the programme's behaviours and the scenarios that hold them"),
            .init("page", .none, "", "behaviours: as Conformance/BEHAVIOURS.md"),
            .init("schema", .none, "", "print the JSON schema of scenario files, for editors"),
            .init("reference", .none, "", "print the reference page of the scenario language"),
        ])

    static let runConformance: CommandBody = { arguments, environment in
        let console = environment.console
        if arguments.has("schema") { return console.out(ScenarioLanguage.schema) }
        if arguments.has("reference") { return console.text(ScenarioLanguage.reference) }
        let records = RunRecords(environment)
        let options = try ConformanceOptions(arguments, records, environment).suite
        let scenarios = try ScenarioFiles(paths: arguments.operands).read()
        if arguments.has("list") { return ScenarioList(scenarios, options.selection).tell(arguments, console) }
        if arguments.has("behaviours") { return BehaviourList(scenarios, records.history).tell(arguments, console) }
        try await ConformanceRun(
            arguments: arguments, environment: environment, records: records, options: options, scenarios: scenarios
        ).run()
    }
}

/// What the flags say of a run.
struct ConformanceOptions {
    var suite = SuiteOptions()

    init(_ arguments: Arguments, _ records: RunRecords, _ environment: Environment) throws {
        suite.failFast = arguments.has("fail-fast")
        if let image = arguments["image"] { suite.image = image }
        suite.parallel = try arguments.count("parallel", within: 1...64, or: 4)
        var selection = Selection()
        selection.focus = arguments.values["focus"] ?? []
        selection.skip = arguments.values["skip"] ?? []
        selection.tags = (arguments["tags"] ?? "").split(separator: ",").map(String.init)
        selection.repeats = try arguments.count("repeat", within: 1...10_000, or: 1)
        if let text = arguments["shard"] {
            guard let shard = Selection.Shard(text) else {
                throw UsageError("--shard '\(text)' is no part of a whole", remedy: "write it like 1/4")
            }
            selection.shard = shard
        }
        if let text = arguments["seed"] {
            guard let seed = UInt64(text) else {
                throw UsageError("--seed '\(text)' is no number", remedy: "use the one that a run printed")
            }
            selection.seed = seed
        } else if arguments.has("shuffle") {
            selection.seed = environment.world.random.next() >> 32
        }
        if arguments.has("rerun-failed") {
            selection.only = records.history.failedLast
            guard selection.only?.isEmpty == false else {
                throw Failure("nothing failed when it was last run", remedy: "leave out --rerun-failed")
            }
        }
        suite.selection = selection
    }
}

extension Arguments {
    fileprivate func count(
        _ flag: String, within range: ClosedRange<Int>, or standard: Int
    ) throws(UsageError) -> Int {
        guard let text = self[flag] else { return standard }
        guard let count = Int(text), range.contains(count) else {
            throw UsageError(
                "--\(flag) '\(text)' is no number that fits", remedy: "use \(range.lowerBound) to \(range.upperBound)")
        }
        return count
    }
}

/// One run of the suite, with everything that is told of it.
struct ConformanceRun {
    let arguments: Arguments
    let environment: Environment
    let records: RunRecords
    let options: SuiteOptions
    let scenarios: [Scenario]

    func run() async throws {
        let console = environment.console
        let target = try ConformanceTarget(arguments, environment)
        let ground = try await environment.interruptible("nothing was run") { try await target.checkedGround() }
        let view = ConformanceView(console, clock: environment.world.clock, isQuiet: arguments.has("json"))
        let chosen = scenarios.flatMap(\.instances).filter(options.selection.wants)
        view.begin(chosen.count * options.selection.repeats, seed: options.selection.seed)
        let stop = StopSignal()
        let forks = try forks(of: target)
        let result = try await withThrowingTaskGroup(of: Void.self, returning: SuiteResult.self) { group in
            group.addTask {
                if (try? await environment.host.interruption()) != nil { stop.stop() }
            }
            group.addTask { await view.keepUp() }
            let suite = Suite(scenarios, options: options)
            let result = await suite.run(
                on: ground, world: environment.world, fork: forks?.forker, stop: stop,
                pause: try pause(view)
            ) { view.tell($0) }
            group.cancelAll()
            return result
        }
        view.end()
        if let note = await forks?.end() { console.err("   \(note)") }
        try tell(result, target, view)
    }

    /// Serial scenarios get a cluster each, where clusters can be made.
    private func forks(of target: ConformanceTarget) throws -> ConformanceForks? {
        let wanted: Bool
        switch arguments["fork-serial"] {
        case nil, "true": wanted = true
        case "false": wanted = false
        case let text?:
            throw UsageError("--fork-serial '\(text)' is neither true nor false", remedy: "write one of them")
        }
        guard wanted, environment.isRoot, let cluster = target.cluster,
            scenarios.contains(where: { $0.isSerial })
        else { return nil }
        return ConformanceForks(cluster: cluster, environment: environment)
    }

    private func pause(_ view: ConformanceView) throws -> FailurePause? {
        guard arguments.has("pause-on-failure") else { return nil }
        guard environment.console.canAsk else {
            throw UsageError("--pause-on-failure needs a terminal", remedy: "run it where somebody can press Enter")
        }
        let blocking = environment.host.blocking
        return { result, namespace in
            try? await blocking.run {
                view.ask(
                    "\(result.id) failed in the namespace \(namespace), which is still there. Press Enter to go on.",
                    about: result)
            }
        }
    }

    private func tell(_ result: SuiteResult, _ target: ConformanceTarget, _ view: ConformanceView) throws {
        let console = environment.console
        let history = records.add(result)
        if let path = arguments["junit"] { try Files.write(Array(result.junit().utf8), to: path) }
        if let path = arguments["html"] {
            let table = BehaviourTable(behaviours: ScenarioFiles.behaviours(), scenarios: scenarios)
            let report = HTMLReport(
                result, history: history, behaviours: table.held > 0 ? table : nil, title: target.title)
            try Files.write(Array(report.text.utf8), to: path)
        }
        if arguments.has("json") {
            console.out(result.document.jsonText)
        } else {
            view.summary(of: result, history)
        }
        guard result.isPassed else {
            if arguments.has("json"), !result.results.isEmpty { throw ToldFailure() }
            throw Failure(
                result.results.isEmpty ? "no scenario was run" : "not every scenario passed",
                remedy: result.results.isEmpty
                    ? "check --focus, --skip and --tags" : "'--rerun-failed' runs those alone that failed")
        }
    }
}
