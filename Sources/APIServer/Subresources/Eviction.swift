import Basics
import Document
import Kinds
import Schema
import Store

// `POST pods/NAME/eviction`: a deletion that asks the disruption budgets first.

extension Resources {
    /// Entries in a budget's list of evicted pods that its controller has not seen yet.
    private static let mostDisrupted = 2_000

    func evict(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "CreateOptions")
        let subresource = call.resource.subresource("eviction")
        // The older version of the body is still understood.
        let isOlder = (try? Document(json: call.request.body))?.text("apiVersion") == "policy/v1beta1"
        var eviction = try BodyDecoder(registry: registry, call: call).object(
            kind: "Eviction", group: "policy", version: isOlder ? "v1beta1" : "v1", type: subresource?.type,
            validation: options.fieldValidation)
        guard (eviction.text("metadata", "name") ?? "") == call.name else {
            throw APIStatus.badRequest("name in URL does not match name in Eviction object")
        }
        try await admitBody(
            &eviction, call, .create, .init(group: "policy", version: "v1", kind: "Eviction"), dryRun: options.dryRun)
        var deletion = DeleteOptions()
        deletion.gracePeriodSeconds = eviction.number("deleteOptions", "gracePeriodSeconds")
        deletion.propagationPolicy = eviction.text("deleteOptions", "propagationPolicy")
        deletion.uid = eviction.text("deleteOptions", "preconditions", "uid")
        deletion.resourceVersion = eviction.text("deleteOptions", "preconditions", "resourceVersion")
        deletion.dryRun = options.dryRun || !eviction.list("deleteOptions", "dryRun").isEmpty
        for _ in 0..<Self.conflictRetries {
            do {
                return try await evict(call, deletion)
            } catch let status as APIStatus
                where status.isConflict && deletion.resourceVersion == nil && deletion.uid == nil
            {
                continue
            }
        }
        throw APIStatus.modified(call.resource, call.name)
    }

    private func evict(_ call: Call, _ asked: DeleteOptions) async throws -> Answer {
        guard let pod = try await document(call.resource, namespace: call.namespace, name: call.name) else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        var deletion = asked
        let phase = pod.text("status", "phase") ?? ""
        let isGoing = pod.text("metadata", "deletionTimestamp") != nil
        let isOver = phase == "Succeeded" || phase == "Failed" || isGoing
        if isOver || phase == "Pending" {
            // It serves nobody, so nothing is disrupted; but it must not have come to life meanwhile.
            if !isOver { deletion.resourceVersion = asked.resourceVersion ?? pod.text("metadata", "resourceVersion") }
        } else {
            let budgets = try await budgets(of: pod, call.namespace)
            guard budgets.count < 2 else { return Self.twoBudgets }
            if let budget = budgets.first {
                if Self.mayGoUnhealthy(pod, budget) {
                    deletion.resourceVersion =
                        asked.resourceVersion ?? pod.text("metadata", "resourceVersion")
                } else {
                    try await take(from: budget, for: call, dryRun: deletion.dryRun)
                }
            }
        }
        if !deletion.dryRun { try await announce(call, &deletion) }
        _ = try await delete(call, name: call.name, deletion)
        return .document(Self.created, status: 201)
    }

    /// Writes into the pod why it goes, for those who judge its end, such as its job.
    private func announce(_ call: Call, _ deletion: inout DeleteOptions) async throws {
        let asked = deletion
        let now = world.clock.now
        let bytes = try await change(call.about(call.resource, name: call.name, subresource: "status"), dryRun: false) {
            pod in
            for (wanted, found) in [
                (asked.uid, pod.text("metadata", "uid")),
                (asked.resourceVersion, pod.text("metadata", "resourceVersion")),
            ] where wanted != nil && wanted != found { throw APIStatus.modified(call.resource, call.name) }
            var going = pod.withoutRevision
            going.setDisruptionTarget(now: now)
            return going
        }
        if asked.resourceVersion != nil {
            deletion.resourceVersion = try Document(json: bytes).text("metadata", "resourceVersion")
        }
    }

    private static let twoBudgets = Answer.document(
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message":
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            "code": 500,
        ], status: 500)

    /// The budgets that select the pod; one without a selector selects none.
    private func budgets(of pod: Document, _ namespace: String) async throws -> [Document] {
        let labels = pod.map("metadata", "labels")
        return try await objects("poddisruptionbudgets", group: "policy", namespace: namespace).filter { budget in
            guard let selector = budget.at("spec", "selector"), selector.isObject else { return false }
            return LabelSelector(selector)?.matches(labels) ?? false
        }
    }

    /// A pod that is not ready counts for nothing, as long as the others are enough without it.
    private static func mayGoUnhealthy(_ pod: Document, _ budget: Document) -> Bool {
        let isReady = pod.list("status", "conditions").contains {
            $0.text("type") == "Ready" && $0.text("status") == "True"
        }
        if isReady { return false }
        if budget.text("spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow" { return true }
        let wanted = budget.number("status", "desiredHealthy") ?? 0
        return wanted > 0 && (budget.number("status", "currentHealthy") ?? 0) >= wanted
    }

    /// Takes one disruption from the budget, and notes for whom, so that its controller does not count the pod again.
    private func take(from budget: Document, for call: Call, dryRun: Bool) async throws {
        let name = budget.text("metadata", "name") ?? ""
        try Self.check(budget, name)
        guard !dryRun, let resource = registry.resource(group: "policy", version: "v1", plural: "poddisruptionbudgets")
        else { return }
        let now = world.clock.now
        let pod = call.name
        _ = try await change(call.about(resource, name: name, subresource: "status"), dryRun: false) { current in
            try Self.check(current, name)
            let left = (current.number("status", "disruptionsAllowed") ?? 0) - 1
            var taken = current.withoutRevision
            taken.set(Document(left), at: "status", "disruptionsAllowed")
            taken.set(Document(now.description), at: "status", "disruptedPods", pod)
            if left == 0 {
                taken.setDisruptionAllowed(now: now, generation: current.number("metadata", "generation") ?? 0)
            }
            return taken
        }
    }

    private static func check(_ budget: Document, _ name: String) throws {
        let status = budget["status"] ?? .emptyObject
        if (status.number("observedGeneration") ?? 0) < (budget.number("metadata", "generation") ?? 0) {
            var refusal = blocked("The disruption budget \(name) is still being processed by the server.")
            refusal.retryAfterSeconds = 10
            throw refusal
        }
        let allowed = status.number("disruptionsAllowed") ?? 0
        if allowed < 0 { throw forbidden(name, "pdb disruptions allowed is negative") }
        if (status["disruptedPods"]?.count ?? 0) > mostDisrupted {
            throw forbidden(
                name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
        }
        if allowed == 0 {
            throw blocked(
                "The disruption budget \(name) needs \(status.number("desiredHealthy") ?? 0) healthy pods and has "
                    + "\(status.number("currentHealthy") ?? 0) currently")
        }
    }

    private static func blocked(_ why: String) -> APIStatus {
        var status = APIStatus.failure(
            429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
        status.causes = [StatusCause(reason: "DisruptionBudget", message: why, field: "")]
        return status
    }

    private static func forbidden(_ name: String, _ why: String) -> APIStatus {
        var status = APIStatus.failure(
            403, "Forbidden", "poddisruptionbudget.policy \"\(name)\" is forbidden: \(why)")
        status.name = name
        status.group = "policy"
        status.kind = "poddisruptionbudget"
        return status
    }
}

extension Document {
    /// The budget is used up.
    fileprivate mutating func setDisruptionAllowed(now: Timestamp, generation: Int) {
        setCondition(
            [
                "type": "DisruptionAllowed", "status": "False", "observedGeneration": Document(generation),
                "reason": "InsufficientPods", "message": "",
            ], now: now)
    }

    /// The pod is about to be evicted.
    fileprivate mutating func setDisruptionTarget(now: Timestamp) {
        setCondition(
            [
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            ], now: now)
    }

    private mutating func setCondition(_ new: Document, now: Timestamp) {
        var conditions = list("status", "conditions")
        var condition = new
        condition["lastTransitionTime"] = Document(now.description)
        if let index = conditions.firstIndex(where: { $0.text("type") == new.text("type") }) {
            if conditions[index].text("status") == new.text("status") {
                condition["lastTransitionTime"] = conditions[index]["lastTransitionTime"]
            }
            conditions[index] = condition
        } else {
            conditions.append(condition)
        }
        set(Document(conditions), at: "status", "conditions")
    }
}
