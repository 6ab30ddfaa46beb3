import Basics
import Client
import Document
import Kinds

public enum ScenarioEvent: Sendable {
    case started(Scenario)
    case step(Scenario, String)
    case finished(ScenarioResult)
}

/// Shows a failed scenario's namespace to somebody before it goes away.
public typealias FailurePause = @Sendable (ScenarioResult, String) async -> Void

/// Runs one scenario: a namespace of its own, the steps, evidence after a failure, and always the clean-up.
struct ScenarioRunner: Sendable {
    let ground: Ground
    let locator: ResourceLocator
    let world: World
    let image: String
    let stop: StopSignal
    var pause: FailurePause?
    let progress: @Sendable (ScenarioEvent) -> Void

    private static let cleanupTimeout: Duration = .seconds(60)

    private var access: ClusterAccess { ground.access }

    /// `since`: the run's begin.
    func run(_ scenario: Scenario, attempt: Int = 1, since: Duration = .zero) async -> ScenarioResult {
        progress(.started(scenario))
        let begun = world.clock.uptime
        let namespace = Self.namespace(for: scenario, random: world.random)
        let log = StepLog(begun: begun, clock: world.clock)
        let place = Place(namespace: namespace, outside: OutsideObjects(), journal: MachineryJournal(), log: log)
        var result = ScenarioResult(id: scenario.id, name: scenario.name, outcome: .stopped, duration: .zero)
        result.attempt = attempt
        result.begin = begun - since
        result.tags = scenario.tags
        result.behaviours = scenario.behaviours
        result.outcome = await outcome(of: scenario, in: place)
        if result.isFailed {
            result.steps = log.records
            result.evidence = await Evidence(client: access.client, locator: locator, namespace: namespace).collect()
            result.timeline = await History(
                client: access.client, namespace: namespace, begun: log.wallBegin, revision: log.revision
            ).collect(steps: log.records)
            await pause?(result, namespace)
        }
        let problems = await cleanup(of: scenario, in: place)
        if result.isPassed, let problem = problems.first {
            result.outcome = .failed(step: problem.step ?? "the clean-up", problems: problem.problems)
        } else {
            result.notes += problems.flatMap { failure in failure.problems.map { "\(failure.step ?? ""): \($0)" } }
        }
        result.steps = log.records
        if let machinery = ground.machinery { result.notes += await place.journal.undo(on: machinery) }
        result.notes += await CleanUp(client: access.client, clock: world.clock).run(namespace, place.outside)
        result.duration = world.clock.uptime - begun
        progress(.finished(result))
        return result
    }

    /// Where a scenario happens, and what has happened there.
    private struct Place: Sendable {
        let namespace: String
        let outside: OutsideObjects
        let journal: MachineryJournal
        let log: StepLog
    }

    /// `lab-01-pod-x7k2q`: a valid name, and one that tells where it comes from.
    static func namespace(for scenario: Scenario, random: any Randomness) -> String {
        let letters = scenario.id.lowercased().utf8.map { byte in
            (48...57).contains(byte) || (97...122).contains(byte) ? byte : UInt8(ascii: "-")
        }
        let slug = String(decoding: letters.prefix(40), as: UTF8.self)
        return "lab-\(slug)-\(Identifier.suffix(from: random))"
    }

    /// Steps, time and the stop signal run side by side; whichever ends first decides.
    private func outcome(of scenario: Scenario, in place: Place) async -> ScenarioResult.Outcome {
        await withTaskGroup(of: ScenarioResult.Outcome?.self) { group in
            group.addTask { await steps(of: scenario, in: place) }
            group.addTask {
                await stop.wait()
                return Task.isCancelled ? nil : .stopped
            }
            group.addTask {
                do { try await world.clock.sleep(for: scenario.timeout) } catch { return nil }
                return .failed(
                    step: place.log.current ?? "the scenario", problems: ["not done within \(scenario.timeout)"])
            }
            defer { group.cancelAll() }
            while let outcome = await group.next() {
                if let outcome { return outcome }
            }
            return .stopped
        }
    }

    private func steps(of scenario: Scenario, in place: Place) async -> ScenarioResult.Outcome? {
        do {
            place.log.begin("preparing the namespace")
            place.log.revision = try await prepare(place.namespace, for: scenario)
            place.log.end(passed: true)
            var runner = stepRunner(place, try variables(of: scenario, in: place))
            for step in scenario.steps {
                place.log.begin(step.label)
                progress(.step(scenario, step.label))
                try await runner.run(step)
                place.log.end(passed: true)
                place.log.variables = runner.variables
            }
            return .passed
        } catch is CancellationError {
            return nil
        } catch let failure as StepFailure {
            return .failed(step: failure.step ?? place.log.fail(), problems: failure.problems)
        } catch {
            return .failed(step: place.log.fail(), problems: ["\(error)"])
        }
    }

    private func variables(of scenario: Scenario, in place: Place) throws -> Variables {
        var variables = Variables(namespace: place.namespace, image: image)
        for (name, value) in scenario.variables { variables.set(name, try variables.fill(value)) }
        return variables
    }

    private func stepRunner(_ place: Place, _ variables: Variables) -> StepRunner {
        StepRunner(
            access: access, locator: locator, clock: world.clock, random: world.random, scripts: ground.scripts,
            machinery: ground.machinery, journal: place.journal, namespace: place.namespace, variables: variables,
            outside: place.outside)
    }

    /// Every step of the clean-up, whatever becomes of the others; with the variables as the steps left them.
    private func cleanup(of scenario: Scenario, in place: Place) async -> [StepFailure] {
        guard !scenario.cleanup.isEmpty else { return [] }
        let known = place.log.variables ?? (try? variables(of: scenario, in: place))
        var runner = stepRunner(place, known ?? Variables(namespace: place.namespace, image: image))
        var problems: [StepFailure] = []
        let end = world.clock.uptime + Self.cleanupTimeout
        for var step in scenario.cleanup {
            let left = max(.milliseconds(100), end - world.clock.uptime)
            step.timeout = min(step.timeout ?? left, left)
            place.log.begin(step.label)
            progress(.step(scenario, step.label))
            do {
                try await runner.run(step)
                place.log.end(passed: true)
            } catch {
                var failure = (error as? StepFailure) ?? StepFailure("\(error)")
                failure.step = failure.step ?? step.label
                place.log.end(passed: false)
                problems.append(failure)
            }
        }
        return problems
    }

    /// Pods need the namespace's default service account, which a controller makes a moment later. The namespace's
    /// first revision is where its history begins.
    private func prepare(_ namespace: String, for scenario: Scenario) async throws -> String? {
        let object: Document = [
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": ["name": Document(namespace), "labels": ["lab.dev/scenario": "true"]],
        ]
        let made = try await access.client.create(.namespaces, object)
        let end = world.clock.uptime + .seconds(15)
        while true {
            do {
                _ = try await access.client.get(.serviceAccounts, namespace: namespace, name: "default")
                return made.text("metadata", "resourceVersion")
            } catch let status as APIStatus where status.isNotFound {
                guard world.clock.uptime < end else {
                    throw StepFailure("the namespace got no service account \"default\" within 15 seconds")
                }
                try await world.clock.sleep(for: .milliseconds(50))
            }
        }
    }
}

/// Removes what a scenario made, whatever became of it. Gives what could not be removed.
struct CleanUp: Sendable {
    static let patience: Duration = .seconds(60)

    let client: APIClient
    let clock: any WorldClock

    func run(_ namespace: String, _ outside: OutsideObjects) async -> [String] {
        var notes: [String] = []
        for entry in outside.newestFirst {
            if let problem = await delete(entry.type, entry.namespace, entry.name) { notes.append(problem) }
        }
        if let problem = await delete(.namespaces, nil, namespace) { notes.append(problem) }
        let end = clock.uptime + Self.patience
        while notes.isEmpty {
            do {
                _ = try await client.get(.namespaces, name: namespace)
                guard clock.uptime < end else {
                    notes.append("the namespace \(namespace) is still there after \(Self.patience)")
                    break
                }
                try await clock.sleep(for: .milliseconds(100))
            } catch let status as APIStatus where status.isNotFound {
                break
            } catch {
                notes.append("the namespace \(namespace): \(error)")
            }
        }
        return notes
    }

    private func delete(_ type: ResourceType, _ namespace: String?, _ name: String) async -> String? {
        do {
            _ = try await client.delete(type, namespace: namespace, name: name)
            return nil
        } catch let status as APIStatus where status.isNotFound {
            return nil
        } catch {
            return "\(type) \(name) could not be deleted: \(error)"
        }
    }
}
