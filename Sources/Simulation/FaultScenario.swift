import Basics
import Client
import Controllers
import Document
import Synchronization
import Wire

/// Something that controllers are to bring about whatever single call of theirs fails.
///
///     let job = FaultScenario(
///         "a job runs to its end", controllers: ["job-controller"],
///         begin: { cluster in _ = try await cluster.client.create(.jobs, someJob) },
///         end: { cluster in try await cluster.client.get(.jobs, …).condition("Complete") != nil })
public struct FaultScenario: Sendable, CustomStringConvertible {
    public enum Component: Sendable { case controllers, scheduler }

    public var name: String
    public var server: SimulatedServer
    public var nodes: Int
    /// Whose calls fail.
    public var component: Component
    /// The controllers that run, as `--controllers` names them.
    public var controllers: [String]
    public var options: ControllerOptions
    /// Makes the objects that give the controllers their work.
    public var begin: @Sendable (SimulatedCluster) async throws -> Void
    /// Whether the work is done, and rightly: it must not hold while there is too much of anything either.
    public var end: @Sendable (SimulatedCluster) async throws -> Bool
    /// What must be the same in every run, such as the names of what was created.
    public var result: @Sendable (SimulatedCluster) async throws -> [String]
    /// Virtual time within which the end comes even after a failure.
    public var limit: Duration

    public var description: String { name }

    public init(
        _ name: String, server: SimulatedServer = .real, nodes: Int = 1, component: Component = .controllers,
        controllers: [String], options: ControllerOptions = SimulatedCluster.defaultOptions,
        limit: Duration = .seconds(300),
        begin: @escaping @Sendable (SimulatedCluster) async throws -> Void,
        end: @escaping @Sendable (SimulatedCluster) async throws -> Bool,
        result: @escaping @Sendable (SimulatedCluster) async throws -> [String] = { _ in [] }
    ) {
        self.name = name
        self.server = server
        self.nodes = nodes
        self.component = component
        self.controllers = controllers
        self.options = options
        self.limit = limit
        self.begin = begin
        self.end = end
        self.result = result
    }
}

/// What became of a scenario whose calls failed one at a time.
public struct FaultReport: Sendable {
    /// The calls of the run in which nothing failed.
    public var calls: [String] = []
    /// How many runs with a failing call there were.
    public var runs = 0
    /// The runs that did not come to the right end, each with what failed in it.
    public var failures: [String] = []
}

extension FaultScenario {
    /// Runs the scenario once undisturbed to count its calls, then again and again, each time with one call
    /// that fails in one way. Where there are more possible runs than `most`, the seed draws which.
    public func everyCallFailsOnce(seed: UInt64 = 1, most: Int = 24) throws -> FaultReport {
        let undisturbed = try run(seed: seed, failing: nil)
        var report = FaultReport(calls: undisturbed.calls)
        for planned in Self.choose(undisturbed.calls, most: most, random: SeededRandom(seed: seed)) {
            report.runs += 1
            let call = undisturbed.calls[planned.call]
            do {
                let outcome = try run(seed: seed, failing: planned)
                if outcome.result != undisturbed.result {
                    report.failures.append("\(planned) (\(call)): \(outcome.result), not \(undisturbed.result)")
                }
            } catch { report.failures.append("\(planned) (\(call)): \(error)") }
        }
        return report
    }

    /// Three quarters of the runs go to writes, where there are so many.
    private static func choose(_ calls: [String], most: Int, random: SeededRandom) -> [CallFaults.Planned] {
        var writes: [CallFaults.Planned] = []
        var reads: [CallFaults.Planned] = []
        for (number, call) in calls.enumerated() {
            if call.hasPrefix("GET ") {
                reads += CallFault.ofReads.map { .init(call: number, fault: $0) }
            } else {
                writes += CallFault.allCases.map { .init(call: number, fault: $0) }
            }
        }
        shuffle(&writes, random)
        shuffle(&reads, random)
        let ofWrites = min(writes.count, max(most * 3 / 4, most - reads.count))
        return Array(writes.prefix(ofWrites) + reads.prefix(most - ofWrites))
    }

    private static func shuffle<Element>(_ list: inout [Element], _ random: SeededRandom) {
        for index in list.indices.dropFirst() { list.swapAt(index, random.below(index + 1)) }
    }

    private struct Outcome: Sendable {
        var calls: [String]
        var result: [String]
    }

    /// The end must come, and still hold a minute later: what is done twice often shows late.
    private func run(seed: UInt64, failing planned: CallFaults.Planned?) throws -> Outcome {
        try Simulation.run(seed: seed) { world in
            let faults = SimulatedCluster.Faults(
                component: component, planned: planned,
                nodesAreJudged: try ControllerSelection(controllers).contains("node-lifecycle-controller"))
            let cluster = try await SimulatedCluster(server: server, nodes: nodes, world: world, faults: faults)
            var options = options
            options.controllers = controllers
            return try await cluster.run(options: options) { cluster in
                try await begin(cluster)
                try await cluster.eventually(name, within: limit, every: .milliseconds(500)) { try await end(cluster) }
                let calls = cluster.calls
                cluster.stopCounting()
                try await world.clock.sleep(for: .seconds(60))
                guard try await end(cluster) else { throw DidNotLast(what: name) }
                return Outcome(calls: calls, result: try await result(cluster))
            }
        }
    }

    public struct DidNotLast: Error, Sendable, CustomStringConvertible {
        public let what: String
        public var description: String { "reached, and undone within a minute: \(what)" }
    }
}
