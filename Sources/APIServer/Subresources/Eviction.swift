import Basics
import Document
import Kinds
import Schema

extension Resources {
    /// `POST pods/NAME/eviction`: a deletion that asks the pod's disruption budget first.
    func evict(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "CreateOptions")
        let subresource = call.resource.subresource("eviction")
        let eviction = try BodyDecoder(registry: registry, call: call).object(
            kind: "Eviction", group: "policy", version: "v1", type: subresource?.type,
            validation: options.fieldValidation)
        guard eviction.text("metadata", "name") == call.name else {
            throw APIStatus.badRequest("name in URL does not match name in Eviction object")
        }
        var deletion = DeleteOptions()
        deletion.gracePeriodSeconds = eviction.number("deleteOptions", "gracePeriodSeconds")
        deletion.propagationPolicy = eviction.text("deleteOptions", "propagationPolicy")
        deletion.uid = eviction.text("deleteOptions", "preconditions", "uid")
        deletion.resourceVersion = eviction.text("deleteOptions", "preconditions", "resourceVersion")
        deletion.dryRun = options.dryRun || !eviction.list("deleteOptions", "dryRun").isEmpty
        guard let pod = try await document(call.resource, namespace: call.namespace, name: call.name) else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        // A pod that was let go because it was not ready must still be the one that was looked at.
        let unready = try await ask(pod, call, dryRun: deletion.dryRun)
        let isPinned = unready != nil && deletion.resourceVersion == nil
        if isPinned { deletion.resourceVersion = pod.text("metadata", "resourceVersion") }
        do {
            if !deletion.dryRun {
                let version = try await markDisrupted(call, deletion)
                if deletion.resourceVersion != nil { deletion.resourceVersion = version }
            }
            _ = try await delete(call, name: call.name, deletion)
        } catch let status as APIStatus where status.isConflict && isPinned {
            throw EvictionAnswer.busy(unready ?? "")
        }
        return .document(Self.created, status: 201)
    }

    /// Asks the pod's budget, and takes one disruption from it. Returns the budget's name where the pod goes without
    /// being counted, because it is not ready.
    private func ask(_ pod: Document, _ call: Call, dryRun: Bool) async throws -> String? {
        let phase = pod.text("status", "phase") ?? ""
        // Who has ended, is ending, or never ran is no loss to the budget.
        if ["Succeeded", "Failed", "Pending"].contains(phase) || pod.text("metadata", "deletionTimestamp") != nil {
            return nil
        }
        let labels = pod.map("metadata", "labels")
        guard !labels.isEmpty,
            let budgets = registry.resource(group: "policy", version: "v1", kind: "PodDisruptionBudget")
        else { return nil }
        let all = try await objects(budgets.plural, group: "policy", namespace: call.namespace)
        let matching = all.filter { budget in
            guard let selector = budget.at("spec", "selector"), selector.isObject else { return false }
            return LabelSelector(selector)?.matches(labels) == true
        }
        guard let budget = matching.first else { return nil }
        guard matching.count == 1 else {
            throw APIStatus.failure(
                500, "",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        }
        let name = budget.text("metadata", "name") ?? ""
        if !EvictionAnswer.isReady(pod), EvictionAnswer.letsUnreadyGo(budget) { return name }
        let now = world.clock.now
        _ = try await change(call.about(budgets, name: name, subresource: "status"), dryRun: dryRun) { budget in
            try EvictionAnswer.decremented(budget, pod: call.name, budgets, now: now).withoutRevision
        }
        return nil
    }

    /// Notes on the pod why it goes. Returns the revision of the pod with that note.
    private func markDisrupted(_ call: Call, _ deletion: DeleteOptions) async throws -> String? {
        let now = world.clock.now
        let bytes = try await change(
            call.about(call.resource, name: call.name, subresource: "status"), dryRun: false
        ) { old in
            var pod = old.withoutRevision
            if let version = deletion.resourceVersion {
                pod.set(Document(version), at: "metadata", "resourceVersion")
            }
            if let uid = deletion.uid, uid != old.text("metadata", "uid") { return pod }
            let condition: Document = [
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting", "lastProbeTime": .null,
            ]
            return EvictionAnswer.noting(condition, on: pod, now: now)
        }
        return try ObjectCodec.document(bytes, call.resource).text("metadata", "resourceVersion")
    }
}

/// What a disruption budget says to an eviction.
enum EvictionAnswer {
    /// More evictions than its controller has seen are too many to keep apart.
    private static let mostDisrupted = 2000
    private static let refusal = "Cannot evict pod as it would violate the pod's disruption budget."

    static func busy(_ name: String) -> APIStatus {
        var status = refused("The disruption budget \(name) is still being processed by the server.")
        status.retryAfterSeconds = 10
        return status
    }

    private static func refused(_ why: String) -> APIStatus {
        var status = APIStatus.failure(429, "TooManyRequests", refusal)
        status.causes = [StatusCause(reason: "DisruptionBudget", message: why, field: "")]
        return status
    }

    /// The object with a condition in its status, in place of the one of its type.
    static func noting(_ given: Document, on object: Document, now: Timestamp) -> Document {
        var (condition, object) = (given, object)
        var conditions = object.list("status", "conditions")
        let place = conditions.firstIndex { $0.text("type") == given.text("type") }
        let isSame = place.map { conditions[$0].text("status") == given.text("status") } ?? false
        condition["lastTransitionTime"] =
            isSame ? place.flatMap { conditions[$0]["lastTransitionTime"] } : Document(now.description)
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        object.set(Document(conditions), at: "status", "conditions")
        return object
    }

    static func isReady(_ pod: Document) -> Bool {
        pod.list("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" }
    }

    /// Whether a pod that is not ready may go without being counted.
    static func letsUnreadyGo(_ budget: Document) -> Bool {
        if budget.text("spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow" { return true }
        let desired = budget.number("status", "desiredHealthy") ?? 0
        return desired > 0 && budget.number("status", "currentHealthy") ?? 0 >= desired
    }

    /// The budget with one disruption less.
    static func decremented(_ budget: Document, pod: String, _ resource: ResourceInfo, now: Timestamp) throws(APIStatus)
        -> Document
    {
        let name = budget.text("metadata", "name") ?? ""
        let status = budget["status"] ?? .emptyObject
        guard status.number("observedGeneration") ?? 0 >= budget.number("metadata", "generation") ?? 0 else {
            throw busy(name)
        }
        let allowed = status.number("disruptionsAllowed") ?? 0
        if allowed < 0 { throw forbidden(name, "pdb disruptions allowed is negative") }
        if status["disruptedPods"]?.count ?? 0 > mostDisrupted {
            throw forbidden(
                name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
        }
        guard allowed > 0 else { throw refused(reason(name, status)) }
        var result = budget
        result.set(Document(allowed - 1), at: "status", "disruptionsAllowed")
        if allowed == 1 {
            var condition: Document = [
                "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
            ]
            condition["observedGeneration"] = status["observedGeneration"]
            result = noting(condition, on: result, now: now)
        }
        // Its controller must not count the pod as available any more, before it has seen it go.
        result.set(Document(now.description), at: "status", "disruptedPods", pod)
        return result
    }

    private static func reason(_ name: String, _ status: Document) -> String {
        let condition = status.list("conditions").first { $0.text("type") == "DisruptionAllowed" }
        if let condition, condition.text("status") == "False", condition.text("reason") == "SyncFailed" {
            return "The disruption budget \(name) does not allow evicting pods currently because it failed sync: "
                + (condition.text("message") ?? "")
        }
        return "The disruption budget \(name) needs \(status.number("desiredHealthy") ?? 0) healthy pods and has "
            + "\(status.number("currentHealthy") ?? 0) currently"
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
