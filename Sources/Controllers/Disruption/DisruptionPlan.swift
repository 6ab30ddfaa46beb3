import Basics
import Client
import Document
import Kinds

/// Tells how many pods of a budget may go now.
enum DisruptionPlan {
    /// An eviction that was granted and has not deleted its pod after so long is taken for failed.
    static let deletionTimeout = Duration.seconds(120)

    /// How many pods the budget's owners want, where that can be told.
    struct Expectation: Sendable, Equatable {
        var expected: Int
        var desired: Int
        var hasStrays = false
    }

    /// Why it cannot be told.
    struct Unknown: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// - Parameters:
    ///   - pods: those that the budget selects.
    ///   - expectation: what follows from the pods' owners.
    static func plan(
        _ budget: Document, pods: [Document], expectation: Result<Expectation, Unknown>, _ situation: Situation
    ) -> Plan {
        var plan = Plan()
        var status = budget["status"] ?? .emptyObject
        var events: [Action] = []
        switch expectation {
        case .failure(let problem):
            events.append(
                .event(
                    budget, .warning, reason: "CalculateExpectedPodCountFailed",
                    message: "Failed to calculate the number of expected pods: \(problem)"))
            // Whatever the truth is, no eviction may rely on it.
            status["disruptionsAllowed"] = 0
            status.setAllowed(
                "False", "SyncFailed", "\(problem)", generation: status.number("observedGeneration") ?? 0,
                situation.now)
        case .success(let expectation):
            if pods.isEmpty {
                events.append(.event(budget, .normal, reason: "NoPods", message: "No matching pods found"))
            }
            if expectation.hasStrays { events.append(strayWarning(budget)) }
            let disrupted = disrupted(budget, pods, situation.now, &plan)
            let healthy = pods.count {
                !$0.isTerminating && disrupted[$0.name] == nil && $0.isReadyPod
            }
            let allowed = expectation.expected > 0 ? max(0, healthy - expectation.desired) : 0
            status["currentHealthy"] = Document(healthy)
            status["desiredHealthy"] = Document(expectation.desired)
            status["expectedPods"] = Document(expectation.expected)
            status["disruptionsAllowed"] = Document(allowed)
            status["observedGeneration"] = Document(budget.generation)
            status["disruptedPods"] =
                disrupted.isEmpty
                ? .none
                : Document(members: disrupted.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value.rfc3339())) })
            status.setAllowed(
                allowed > 0 ? "True" : "False", allowed > 0 ? "SufficientPods" : "InsufficientPods", "",
                generation: budget.generation, situation.now)
        }
        if !status.isSame(as: budget["status"] ?? .emptyObject) {
            var reported = budget
            reported["status"] = status
            plan.then([.update(.podDisruptionBudgets, reported, subresource: "status")] + events)
        }
        return plan
    }

    private static func strayWarning(_ budget: Document) -> Action {
        let selector = budget.at("spec", "selector").flatMap { LabelSelector($0) }?.description ?? ""
        return .event(
            budget, .warning, reason: "UnmanagedPods",
            message: "Pods selected by this PodDisruptionBudget (selector: \(selector)) were found to be unmanaged. As "
                + "a result, the status of the PDB cannot be calculated correctly, which may result in undefined "
                + "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an "
                + "integer value.")
    }

    /// The pods whose eviction was granted and that are still to be deleted. What has been deleted needs no note.
    private static func disrupted(
        _ budget: Document, _ pods: [Document], _ now: Timestamp, _ plan: inout Plan
    ) -> [String: Timestamp] {
        let noted = budget.map("status", "disruptedPods")
        if noted.isEmpty { return [:] }
        var kept: [String: Timestamp] = [:]
        for pod in pods where !pod.isTerminating {
            guard let since = noted[pod.name].flatMap({ Timestamp(rfc3339: $0) }) else { continue }
            let rest = since + deletionTimeout - now
            if rest >= .zero {
                kept[pod.name] = since
                plan.lookAgain(after: rest + .milliseconds(1))
            } else {
                plan.then(
                    .event(
                        pod, .warning, reason: "NotDeleted",
                        message: "Pod was expected by PDB \(budget.namespace ?? "")/\(budget.name) to be deleted but "
                            + "it wasn't"))
            }
        }
        return kept
    }

    /// What the budget's numbers come to.
    ///
    /// - Parameter scale: how many pods the owners of all of them want, and whether some have none.
    static func expectation(
        _ budget: Document, pods: Int, scale: () throws(Unknown) -> (sum: Int, hasStrays: Bool)
    ) throws(Unknown) -> Expectation {
        if let most = IntOrString(budget.at("spec", "maxUnavailable")) {
            let (sum, hasStrays) = try scale()
            guard let unavailable = most.scaled(to: sum, roundingUp: true) else { throw malformed(most) }
            return Expectation(expected: sum, desired: max(0, sum - unavailable), hasStrays: hasStrays)
        }
        guard let least = IntOrString(budget.at("spec", "minAvailable")) else {
            return Expectation(expected: 0, desired: 0)
        }
        if case .int(let count) = least { return Expectation(expected: pods, desired: count) }
        let (sum, hasStrays) = try scale()
        guard let desired = least.scaled(to: sum, roundingUp: true) else { throw malformed(least) }
        return Expectation(expected: sum, desired: desired, hasStrays: hasStrays)
    }

    private static func malformed(_ value: IntOrString) -> Unknown {
        guard case .string(let text) = value else { return Unknown(description: "invalid value for IntOrString") }
        return Unknown(
            description: "invalid value for IntOrString: invalid type: string is not a percentage: "
                + Document(text).jsonText)
    }

    // MARK: Evictions that came to nothing

    /// Takes back the announcement that a pod will be disrupted, where that has not come true.
    static func withdraw(_ pod: Document, _ situation: Situation) -> Plan {
        var plan = Plan()
        guard let rest = timeToWithdraw(pod, situation.now) else { return plan }
        if rest > .zero {
            plan.lookAgain(after: rest)
        } else {
            let condition: Document = [
                "type": "DisruptionTarget", "status": "False",
                "lastTransitionTime": Document(situation.now.rfc3339()),
            ]
            plan.then(
                .strategicPatch(
                    .pods, namespace: pod.namespace, name: pod.name,
                    ["metadata": ["uid": Document(pod.uid)], "status": ["conditions": [condition]]],
                    subresource: "status"))
        }
        return plan
    }

    /// Nil where there is nothing to take back.
    static func timeToWithdraw(_ pod: Document, _ now: Timestamp) -> Duration? {
        guard !pod.isFinished, !pod.isTerminating, let condition = pod.condition("DisruptionTarget"),
            condition.text("status") == "True"
        else { return nil }
        return max(.zero, (condition.time("lastTransitionTime") ?? now) + deletionTimeout - now)
    }
}

extension Document {
    /// Sets whether disruptions are allowed in a budget's status.
    fileprivate mutating func setAllowed(
        _ value: String, _ reason: String, _ message: String, generation: Int, _ now: Timestamp
    ) {
        let condition: Document = [
            "type": "DisruptionAllowed", "status": Document(value), "reason": Document(reason),
            "message": Document(message), "observedGeneration": Document(generation),
        ]
        self["conditions"] = (self["conditions"] ?? .emptyArray).settingCondition(condition, at: now)
    }
}
