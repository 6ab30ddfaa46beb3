import Basics
import Client
import Document
import Kinds

/// What an autoscaler keeps between two looks.
struct AutoscalerMemory: Sendable {
    var history = ScalingHistory()
    /// A change of size that was ordered, until it is known whether it came about.
    var ordered: Order?

    struct Order: Sendable {
        var old: Int
        var new: Int
        var reason: String
        var time: Duration
    }
}

/// One look at one autoscaler.
struct AutoscalerPlan {
    /// Metrics change by themselves, and nobody tells.
    static let period = Duration.seconds(15)

    private let autoscaler: Document
    private let situation: Situation
    private var memory: AutoscalerMemory
    private var status: Document
    private var conditions: Document
    private var events: [Action] = []
    private var change: [Action] = []

    /// - Parameters:
    ///   - scale: of the target.
    ///   - pods: those that the target's selector picks.
    ///   - rivals: the keys of all autoscalers that scale some of these pods, where there are others.
    static func plan(
        _ autoscaler: Document, scale: ScaleLookup.Finding, pods: [Document], rivals: [String],
        memory: inout AutoscalerMemory, _ situation: Situation
    ) -> Plan {
        var plan = AutoscalerPlan(autoscaler, memory, situation)
        plan.decide(scale, pods, rivals)
        memory = plan.memory
        return plan.assembled()
    }

    private init(_ autoscaler: Document, _ memory: AutoscalerMemory, _ situation: Situation) {
        self.autoscaler = autoscaler
        self.memory = memory
        self.situation = situation
        status = autoscaler["status"] ?? .emptyObject
        conditions = autoscaler.at("status", "conditions") ?? .emptyArray
    }

    private var least: Int { autoscaler.number("spec", "minReplicas") ?? 1 }
    private var most: Int { autoscaler.number("spec", "maxReplicas") ?? 1 }

    /// Whether metrics matter at all.
    static func needsMetrics(_ autoscaler: Document, current: Int) -> Bool {
        let least = autoscaler.number("spec", "minReplicas") ?? 1
        if current == 0, least != 0 { return false }
        return current >= least && current <= autoscaler.number("spec", "maxReplicas") ?? 1
    }

    private mutating func set(_ type: String, _ value: Bool, _ reason: String, _ message: String) {
        let condition: Document = [
            "type": Document(type), "status": value ? "True" : "False", "reason": Document(reason),
            "message": Document(message),
        ]
        conditions = conditions.settingCondition(condition, at: situation.now)
    }

    private mutating func warn(_ reason: String, _ message: String) {
        events.append(.event(autoscaler, .warning, reason: reason, message: message))
    }

    private mutating func decide(_ finding: ScaleLookup.Finding, _ pods: [Document], _ rivals: [String]) {
        let scale: Document
        let resource: ResourceType
        switch finding {
        case .scale(let found, let type): (scale, resource) = (found, type)
        case .unscalable: return noScale("the server could not find the requested resource")
        case .missing(let problem): return noScale(problem.message)
        case .unknownKind(let problem): return noScale(unknownKind(problem))
        case .question: return
        }
        let current = scale.number("spec", "replicas") ?? 0
        if let failure = settleOrder(), let ordered = failure.order {
            warn(
                "FailedRescale", "New size: \(ordered.new); reason: \(ordered.reason); error: \(failure.error)")
            set(
                "AbleToScale", false, "FailedUpdateScale",
                "the HPA controller was unable to update the target scale: \(failure.error)")
            status["currentReplicas"] = current == 0 ? .none : Document(current)
            return
        }
        set(
            "AbleToScale", true, "SucceededGetScale",
            "the HPA controller was able to get the target's current scale")
        memory.history.forgetWhatIsOld(at: situation.uptime)
        if memory.history.recommendations.isEmpty {
            memory.history.recommendations = [.init(count: current, time: situation.uptime)]
        }
        guard let (desired, reason) = desired(scale, current, pods, rivals) else {
            status["currentReplicas"] = current == 0 ? .none : Document(current)
            return
        }
        if desired != current { rescale(scale, resource, current, desired, reason) }
        status["currentReplicas"] = current == 0 ? .none : Document(current)
        status["desiredReplicas"] = Document(desired)
    }

    private func unknownKind(_ problem: APIStatus) -> String {
        let version = autoscaler.text("spec", "scaleTargetRef", "apiVersion") ?? ""
        let parts = version.split(separator: "/")
        let kind = autoscaler.text("spec", "scaleTargetRef", "kind") ?? ""
        guard problem.code == 404 else { return problem.message }
        return "no matches for kind \"\(kind)\" in group \"\(parts.count == 2 ? String(parts[0]) : "")\""
    }

    private mutating func noScale(_ problem: String) {
        warn("FailedGetScale", problem)
        set(
            "AbleToScale", false, "FailedGetScale",
            "the HPA controller was unable to get the target's current scale: \(problem)")
    }

    /// What became of the change that was ordered last.
    private mutating func settleOrder() -> (error: String, order: AutoscalerMemory.Order?)? {
        guard let order = memory.ordered else { return nil }
        memory.ordered = nil
        if let error = situation.lastFailure { return (error, order) }
        memory.history.recordChange(from: order.old, to: order.new, at: order.time)
        return nil
    }

    // MARK: The size

    /// Nil where it cannot be told.
    private mutating func desired(
        _ scale: Document, _ current: Int, _ pods: [Document], _ rivals: [String]
    ) -> (Int, reason: String)? {
        if current == 0, least != 0 {
            set(
                "ScalingActive", false, "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero")
            status["currentMetrics"] = .none
            return (0, "")
        }
        if current > most { return (most, "Current number of replicas above Spec.MaxReplicas") }
        if current < least { return (least, "Current number of replicas below Spec.MinReplicas") }
        guard let (wanted, metric) = wanted(scale, current, pods, rivals) else { return nil }
        let behavior = autoscaler.at("spec", "behavior").flatMap { $0.isObject ? $0 : Optional.none }
        let rules = ScalingRules(least: least, most: most, behavior: behavior)
        let decision = rules.decide(
            current: current, wanted: wanted, history: &memory.history, now: situation.uptime)
        set("AbleToScale", true, decision.ability.reason, decision.ability.message)
        set("ScalingLimited", decision.isLimited, decision.limit.reason, decision.limit.message)
        return (decision.replicas, wanted > current ? "\(metric) above target" : "All metrics below target")
    }

    /// The most that any metric calls for.
    private mutating func wanted(
        _ scale: Document, _ current: Int, _ pods: [Document], _ rivals: [String]
    ) -> (Int, metric: String)? {
        let selector = scale.text("status", "selector") ?? ""
        guard isSelectorFit(selector, rivals) else { return nil }
        var calculator = ReplicaCalculator(pods: pods, current: current, now: situation.now)
        for (direction, field) in [("scaleUp", \ReplicaCalculator.Tolerance.up), ("scaleDown", \.down)] {
            let given = autoscaler.at("spec", "behavior", direction)?.quantities()["tolerance"]
            if let given { calculator.tolerance[keyPath: field] = Double(given.nano) / 1e9 }
        }
        var best: (Int, metric: String)?
        var statuses: [Document] = []
        var failures: [MetricSource.Failure] = []
        let sources = Self.sources(autoscaler, selector: selector)
        for source in sources {
            do throws(MetricSource.Failure) {
                let proposal = try source.proposal(
                    source.path.flatMap { situation.answers[$0] }, calculator,
                    running: scale.number("status", "replicas") ?? 0)
                statuses.append(proposal.status)
                if proposal.replicas > best?.0 ?? -1 { best = (proposal.replicas, proposal.name) }
            } catch {
                warn(error.reason, error.problem)
                failures.append(error)
            }
        }
        status["currentMetrics"] = statuses.isEmpty ? .none : Document(statuses)
        // With part of the truth it may grow, for more would only make it grow more, but not shrink.
        if let failure = failures.first, best == nil || (best?.0 ?? 0) < current {
            set(
                "ScalingActive", false, failure.reason,
                "the HPA was unable to compute the replica count: \(failure.problem)")
            warn(
                "FailedComputeMetricsReplicas",
                "invalid metrics (\(failures.count) invalid out of \(sources.count)), first error is: \(failure.summary)"
            )
            return nil
        }
        guard let best else { return nil }
        set(
            "ScalingActive", true, "ValidMetricFound",
            "the HPA was able to successfully calculate a replica count from \(best.metric)")
        return best
    }

    static func sources(_ autoscaler: Document, selector: String) -> [MetricSource] {
        autoscaler.list("spec", "metrics").map {
            MetricSource(spec: $0, namespace: autoscaler.namespace ?? "", selector: selector)
        }
    }

    private mutating func isSelectorFit(_ selector: String, _ rivals: [String]) -> Bool {
        var problem: (event: String, text: String, condition: String)?
        if selector.isEmpty {
            problem = ("SelectorRequired", "selector is required", "the HPA target's scale is missing a selector")
        } else if (try? LabelSelector(parsing: selector)) == nil {
            let text = "couldn't convert selector into a corresponding internal selector object: \(selector)"
            problem = ("InvalidSelector", text, text)
        } else if rivals.count > 1 {
            let names = rivals.map { key in
                let (namespace, name) = ObjectKey.split(key)
                return "{\(name) \(namespace ?? "")}"
            }
            let text =
                "pods by selector \(selector) are controlled by multiple HPAs: [\(names.joined(separator: " "))]"
            problem = ("AmbiguousSelector", text, text)
        }
        guard let problem else { return true }
        warn(problem.event, problem.text)
        set(
            "ScalingActive", false, problem.event == "SelectorRequired" ? "InvalidSelector" : problem.event,
            problem.condition)
        warn("FailedComputeMetricsReplicas", problem.text)
        status["currentMetrics"] = .none
        return false
    }

    private mutating func rescale(
        _ scale: Document, _ resource: ResourceType, _ current: Int, _ desired: Int, _ reason: String
    ) {
        var changed = scale
        changed.set(Document(desired), at: "spec", "replicas")
        change = [
            .update(resource, changed, subresource: "scale"),
            .event(
                autoscaler, .normal, reason: "SuccessfulRescale", message: "New size: \(desired); reason: \(reason)"),
        ]
        memory.ordered = .init(old: current, new: desired, reason: reason, time: situation.uptime)
        set(
            "AbleToScale", true, "SucceededRescale",
            "the HPA controller was able to update the target scale to \(desired)")
        status["lastScaleTime"] = Document(situation.now.rfc3339())
    }

    private func assembled() -> Plan {
        var plan = Plan()
        plan.then(change)
        var status = status
        if conditions.count > 0 { status["conditions"] = conditions }
        if status["desiredReplicas"] == nil { status["desiredReplicas"] = 0 }
        if !status.isSame(as: autoscaler["status"] ?? .emptyObject) {
            var reported = autoscaler
            reported["status"] = status
            plan.then(.update(.horizontalPodAutoscalers, reported, subresource: "status"))
        }
        plan.then(events)
        plan.lookAgain(after: Self.period)
        return plan
    }
}
