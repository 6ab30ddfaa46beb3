import Basics

/// Which scenarios of a suite are run, how often, and in what order: the pure part of a run's options.
public struct Selection: Sendable, Equatable {
    /// Only those whose id, name, tags or behaviours contain one of these texts.
    public var focus: [String] = []
    /// Those are left out.
    public var skip: [String] = []
    /// Only those with one of these tags; those with a tag that is written as `-TAG` here are left out.
    public var tags: [String] = []
    /// Only these ids, such as those that failed the last time.
    public var only: Set<String>?
    /// The i-th of n equal parts of what is selected.
    public var shard: Shard?
    /// The order is drawn from this number.
    public var seed: UInt64?
    /// How often each of them is run.
    public var repeats = 1

    public struct Shard: Sendable, Equatable {
        public var number: Int
        public var count: Int

        /// `2/4`; nil where it is no part of a whole.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let number = parts[0], let count = parts[1], (1...1_000).contains(count),
                (1...count).contains(number)
            else { return nil }
            self.number = number
            self.count = count
        }
    }

    public init() {}

    /// Why it is not run; nil where it is.
    func refusal(_ scenario: Scenario) -> String? {
        func has(_ text: String) -> Bool {
            ([scenario.id, scenario.name] + scenario.tags + scenario.behaviours).contains {
                $0.lowercased().contains(text.lowercased())
            }
        }
        if let only, !only.contains(scenario.id), !only.contains(scenario.file) { return "did not fail the last time" }
        if !focus.isEmpty, !focus.contains(where: has) { return "not in the focus" }
        if skip.contains(where: has) { return "to be skipped" }
        let wanted = tags.filter { !$0.hasPrefix("-") }
        if !wanted.isEmpty, !wanted.contains(where: scenario.tags.contains) {
            return "no tag of \(wanted.joined(separator: ", "))"
        }
        for tag in tags where tag.hasPrefix("-") && scenario.tags.contains(String(tag.dropFirst())) {
            return "has the tag \(tag.dropFirst())"
        }
        return nil
    }

    /// Whether it is among what is run, before the run is cut into parts.
    public func wants(_ scenario: Scenario) -> Bool { refusal(scenario) == nil }

    /// What is run, in order, and what is left out. Each case of a scenario is a run of its own.
    func plan(_ scenarios: [Scenario]) -> (runs: [PlannedRun], skipped: [Skipped]) {
        var wanted: [Scenario] = []
        var skipped: [Skipped] = []
        for scenario in scenarios.flatMap(\.instances) {
            if let why = refusal(scenario) { skipped.append(Skipped(scenario, why)) } else { wanted.append(scenario) }
        }
        if let shard {
            for (index, scenario) in wanted.enumerated() where index % shard.count != shard.number - 1 {
                skipped.append(Skipped(scenario, "in another shard"))
            }
            wanted = wanted.enumerated().filter { $0.offset % shard.count == shard.number - 1 }.map(\.element)
        }
        var runs = (1...max(1, repeats)).flatMap { attempt in wanted.map { PlannedRun(scenario: $0, attempt: attempt) }
        }
        if let seed {
            var generator = SeededOrder(seed)
            for place in runs.indices.dropFirst().reversed() { runs.swapAt(place, generator.below(place + 1)) }
        }
        return (runs, skipped)
    }
}

struct PlannedRun: Sendable {
    var scenario: Scenario
    /// From 1 on.
    var attempt: Int
}

/// A scenario that was not run, and why.
public struct Skipped: Sendable, Equatable {
    public var id: String
    public var name: String
    public var reason: String

    init(_ scenario: Scenario, _ reason: String) {
        id = scenario.id
        name = scenario.name
        self.reason = reason
    }
}

/// A sequence of numbers that one number fixes for ever (splitmix64): the same seed is the same order everywhere.
private struct SeededOrder {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
    }
}
