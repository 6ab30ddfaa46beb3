import Basics
import Client
import Document
import Kinds

/// What became of one scenario.
public struct ScenarioResult: Sendable {
    public enum Outcome: Sendable, Equatable {
        case passed
        /// The step, and what is wrong.
        case failed(step: String, problems: [String])
        /// Ended early because somebody stopped the run.
        case stopped
    }

    public var id: String
    public var name: String
    public var outcome: Outcome
    public var duration: Duration
    /// After a failure: events and logs of the namespace, a line each.
    public var evidence: [String] = []
    /// What could not be cleaned up.
    public var notes: [String] = []

    public var isPassed: Bool { outcome == .passed }
}

public enum ScenarioEvent: Sendable {
    case started(Scenario)
    case step(Scenario, String)
    case finished(ScenarioResult)
}

/// Runs one scenario: a namespace of its own, the steps, evidence after a failure, and always the clean-up.
struct ScenarioRunner: Sendable {
    let access: ClusterAccess
    let locator: ResourceLocator
    let world: World
    let image: String
    let scripts: ScriptRunner?
    let stop: StopSignal
    let progress: @Sendable (ScenarioEvent) -> Void

    func run(_ scenario: Scenario) async -> ScenarioResult {
        progress(.started(scenario))
        let begun = world.clock.uptime
        let namespace = Self.namespace(for: scenario, random: world.random)
        let outside = OutsideObjects()
        let outcome = await outcome(of: scenario, in: namespace, outside)
        var result = ScenarioResult(id: scenario.id, name: scenario.name, outcome: outcome, duration: .zero)
        if case .failed = outcome {
            result.evidence = await Evidence(client: access.client, locator: locator, namespace: namespace).collect()
        }
        result.notes = await CleanUp(client: access.client, clock: world.clock).run(namespace, outside)
        result.duration = world.clock.uptime - begun
        progress(.finished(result))
        return result
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
    private func outcome(
        of scenario: Scenario, in namespace: String, _ outside: OutsideObjects
    ) async -> ScenarioResult.Outcome {
        await withTaskGroup(of: ScenarioResult.Outcome?.self) { group in
            group.addTask { await steps(of: scenario, in: namespace, outside) }
            group.addTask {
                await stop.wait()
                return Task.isCancelled ? nil : .stopped
            }
            group.addTask {
                do { try await world.clock.sleep(for: scenario.timeout) } catch { return nil }
                return .failed(step: "the scenario", problems: ["not done within \(scenario.timeout)"])
            }
            defer { group.cancelAll() }
            while let outcome = await group.next() {
                if let outcome { return outcome }
            }
            return .stopped
        }
    }

    private func steps(
        of scenario: Scenario, in namespace: String, _ outside: OutsideObjects
    ) async -> ScenarioResult.Outcome? {
        var runner = StepRunner(
            access: access, locator: locator, clock: world.clock, random: world.random, scripts: scripts,
            namespace: namespace,
            variables: Variables(namespace: namespace, image: image), outside: outside)
        var label = "preparing the namespace"
        do {
            try await prepare(namespace, for: scenario)
            for step in scenario.steps {
                label = step.label
                progress(.step(scenario, label))
                try await runner.run(step)
            }
            return .passed
        } catch is CancellationError {
            return nil
        } catch let failure as StepFailure {
            return .failed(step: label, problems: failure.problems)
        } catch {
            return .failed(step: label, problems: ["\(error)"])
        }
    }

    /// Pods need the namespace's default service account, which a controller makes a moment later.
    private func prepare(_ namespace: String, for scenario: Scenario) async throws {
        let object: Document = [
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": ["name": Document(namespace), "labels": ["lab.dev/scenario": "true"]],
        ]
        _ = try await access.client.create(.namespaces, object)
        let end = world.clock.uptime + .seconds(15)
        while true {
            do {
                _ = try await access.client.get(.serviceAccounts, namespace: namespace, name: "default")
                return
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
