import Basics
import Client
import Synchronization

/// Which scenarios of a suite are run, and how.
public struct SuiteOptions: Sendable {
    public var selection = Selection()
    public var parallel = 4
    public var failFast = false
    /// The repository of the test image, without a tag; it has the tags `latest`, `v1` and `v2`.
    public var image = Self.defaultImage

    public static let defaultImage = "lab.local/testbox"

    public init() {}
}

/// What scenarios run on: a cluster, and what this machine can do for it.
public struct Ground: Sendable {
    public var access: ClusterAccess
    public var scripts: ScriptRunner?
    public var machinery: (any Machinery)?
    /// Takes a cluster away that was made for one scenario. Answers what stayed.
    public var discard: (@Sendable () async -> String?)?

    public init(
        access: ClusterAccess, scripts: ScriptRunner? = nil, machinery: (any Machinery)? = nil,
        discard: (@Sendable () async -> String?)? = nil
    ) {
        self.access = access
        self.scripts = scripts
        self.machinery = machinery
        self.discard = discard
    }
}

/// Makes a cluster like the first one for a scenario that stands no others beside it.
public typealias Forker = @Sendable (_ number: Int) async throws -> Ground

/// Runs scenarios against a cluster.
public struct Suite: Sendable {
    public var scenarios: [Scenario]
    public var options: SuiteOptions

    public init(_ scenarios: [Scenario], options: SuiteOptions = SuiteOptions()) {
        self.scenarios = scenarios
        self.options = options
    }

    /// `stop` ends running scenarios early and starts no more; each still cleans up. Serial scenarios get a cluster
    /// each from `fork`, or run alone at the end.
    public func run(
        on ground: Ground, world: World, fork: Forker? = nil, stop: StopSignal = StopSignal(),
        pause: FailurePause? = nil, progress: @escaping @Sendable (ScenarioEvent) -> Void = { _ in }
    ) async -> SuiteResult {
        let crew = Crew(
            world: world, image: Self.repository(options.image), stop: stop, pause: pause, progress: progress,
            begun: world.clock.uptime, fork: fork)
        let begun = world.clock.now
        var (runs, skipped) = options.selection.plan(scenarios)
        let requirements = Requirements(ground: ground, locator: ResourceLocator(client: ground.access.client))
        var able: [PlannedRun] = []
        for run in runs {
            guard let missing = await requirements.missing(for: run.scenario) else {
                able.append(run)
                continue
            }
            if run.attempt == 1 { skipped.append(Skipped(run.scenario, missing)) }
        }
        runs = able
        let isAlone = { (run: PlannedRun) in run.scenario.isSerial && fork == nil }
        let together = runs.indices.filter { !isAlone(runs[$0]) }
        let alone = runs.indices.filter { isAlone(runs[$0]) }
        var results = await crew.run(runs, together, width: options.parallel, on: ground, failFast: options.failFast)
        results.merge(await crew.run(runs, alone, width: 1, on: ground, failFast: options.failFast)) { $1 }
        let left = runs.indices.filter { results[$0] == nil }.map { Skipped(runs[$0].scenario, "not begun") }
        return SuiteResult(
            results: runs.indices.compactMap { results[$0] }, skipped: skipped + left,
            duration: world.clock.uptime - crew.begun, begun: begun, seed: options.selection.seed)
    }

    /// A tag that came with the image's name is left out: the scenarios choose their own.
    static func repository(_ image: String) -> String {
        guard let colon = image.lastIndex(of: ":"), !image[colon...].contains("/") else { return image }
        return String(image[..<colon])
    }
}

/// Runs scenarios side by side.
private struct Crew: Sendable {
    let world: World
    let image: String
    let stop: StopSignal
    let pause: FailurePause?
    let progress: @Sendable (ScenarioEvent) -> Void
    let begun: Duration
    let fork: Forker?

    func run(
        _ runs: [PlannedRun], _ places: [Int], width: Int, on ground: Ground, failFast: Bool
    ) async -> [Int: ScenarioResult] {
        let locator = ResourceLocator(client: ground.access.client)
        var results: [Int: ScenarioResult] = [:]
        await withTaskGroup(of: (Int, ScenarioResult).self) { group in
            var waiting = places[...]
            func startOne() {
                guard !stop.isStopped, let index = waiting.popFirst() else { return }
                let planned = runs[index]
                if let fork, planned.scenario.isSerial {
                    group.addTask { (index, await apart(planned, number: index + 1, fork)) }
                } else {
                    group.addTask { (index, await runner(ground, locator).run(planned, since: begun)) }
                }
            }
            for _ in 0..<max(1, width) { startOne() }
            while let (index, result) = await group.next() {
                results[index] = result
                if failFast, result.isFailed { stop.stop() }
                startOne()
            }
        }
        return results
    }

    private func runner(_ ground: Ground, _ locator: ResourceLocator) -> ScenarioRunner {
        ScenarioRunner(
            ground: ground, locator: locator, world: world, image: image, stop: stop, pause: pause,
            progress: progress)
    }

    /// On a cluster of its own, which goes away with it.
    private func apart(_ planned: PlannedRun, number: Int, _ fork: Forker) async -> ScenarioResult {
        let begin = world.clock.uptime
        do {
            let ground = try await fork(number)
            let locator = ResourceLocator(client: ground.access.client)
            var result = await runner(ground, locator).run(planned, since: begun)
            if let note = await ground.discard?() { result.notes.append(note) }
            return result
        } catch {
            var result = ScenarioResult(
                id: planned.scenario.id, name: planned.scenario.name,
                outcome: .failed(step: "making a cluster of its own", problems: ["\(error)"]),
                duration: world.clock.uptime - begin)
            result.begin = begin - begun
            result.attempt = planned.attempt
            result.tags = planned.scenario.tags
            result.behaviours = planned.scenario.behaviours
            progress(.finished(result))
            return result
        }
    }
}

extension ScenarioRunner {
    fileprivate func run(_ planned: PlannedRun, since: Duration) async -> ScenarioResult {
        await run(planned.scenario, attempt: planned.attempt, since: since)
    }
}
