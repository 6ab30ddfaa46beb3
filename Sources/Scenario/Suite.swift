import Basics
import Client
import Synchronization

/// Which scenarios of a suite are run, and how.
public struct SuiteOptions: Sendable {
    /// Only those whose id, name or tags contain this text.
    public var focus: String?
    /// Those are left out.
    public var skip: String?
    public var parallel = 4
    public var failFast = false
    /// The repository of the test image, without a tag; it has the tags `latest`, `v1` and `v2`.
    public var image = Self.defaultImage

    public static let defaultImage = "lab.local/testbox"

    public init() {}

    func wants(_ scenario: Scenario) -> Bool {
        func has(_ text: String) -> Bool {
            ([scenario.id, scenario.name] + scenario.tags).contains { $0.lowercased().contains(text.lowercased()) }
        }
        if let focus, !has(focus) { return false }
        if let skip, has(skip) { return false }
        return true
    }
}

public struct SuiteResult: Sendable {
    /// In the order of the scenarios.
    public var results: [ScenarioResult]
    /// Names of those that were left out or never begun.
    public var skipped: [String]
    public var duration: Duration

    public var isPassed: Bool { results.allSatisfy(\.isPassed) && !results.isEmpty }

    /// One line for the end of a report.
    public var summary: String {
        let passed = results.count { $0.isPassed }
        let failed = results.count { if case .failed = $0.outcome { true } else { false } }
        let stopped = results.count - passed - failed
        var text = "\(passed) passed, \(failed) failed"
        if stopped > 0 { text += ", \(stopped) stopped" }
        if !skipped.isEmpty { text += ", \(skipped.count) skipped" }
        return text
    }
}

/// Runs scenarios against a cluster.
public struct Suite: Sendable {
    public var scenarios: [Scenario]
    public var options: SuiteOptions

    public init(_ scenarios: [Scenario], options: SuiteOptions = SuiteOptions()) {
        self.scenarios = scenarios
        self.options = options
    }

    /// `stop` ends running scenarios early and starts no more; each still cleans up.
    public func run(
        on access: ClusterAccess, world: World, scripts: ScriptRunner? = nil, stop: StopSignal = StopSignal(),
        progress: @escaping @Sendable (ScenarioEvent) -> Void = { _ in }
    ) async -> SuiteResult {
        let begun = world.clock.uptime
        let runner = ScenarioRunner(
            access: access, locator: ResourceLocator(client: access.client), world: world,
            image: Self.repository(options.image), scripts: scripts, stop: stop, progress: progress)
        let wanted = scenarios.filter { options.wants($0) }
        var results: [Int: ScenarioResult] = [:]
        await withTaskGroup(of: (Int, ScenarioResult).self) { group in
            var next = 0
            func startOne() {
                guard next < wanted.count, !stop.isStopped else { return }
                let (index, scenario) = (next, wanted[next])
                next += 1
                group.addTask { (index, await runner.run(scenario)) }
            }
            for _ in 0..<max(1, options.parallel) { startOne() }
            while let (index, result) = await group.next() {
                results[index] = result
                if options.failFast, case .failed = result.outcome { stop.stop() }
                startOne()
            }
        }
        let left = wanted.indices.filter { results[$0] == nil }.map { wanted[$0].name }
        return SuiteResult(
            results: wanted.indices.compactMap { results[$0] },
            skipped: scenarios.filter { !options.wants($0) }.map(\.name) + left,
            duration: world.clock.uptime - begun)
    }

    /// A tag that came with the image's name is left out: the scenarios choose their own.
    static func repository(_ image: String) -> String {
        guard let colon = image.lastIndex(of: ":"), !image[colon...].contains("/") else { return image }
        return String(image[..<colon])
    }
}
