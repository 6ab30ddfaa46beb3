import Basics
import Client
import Document
import Kinds

/// The status that a Deployment's round reports: counts, and the Available and Progressing conditions.
struct DeploymentStatus {
    private let deployment: Document
    private let situation: Situation
    private var conditions: Document
    private var collisionCount: Int?

    init(_ state: DeploymentState, _ situation: Situation) {
        deployment = state.deployment
        self.situation = situation
        conditions = Document(deployment.list("status", "conditions"))
        collisionCount = deployment.number("status", "collisionCount")
    }

    private var deadline: Duration? {
        // The largest value means none.
        deployment.number("spec", "progressDeadlineSeconds").flatMap { $0 == Int(Int32.max) ? nil : .seconds($0) }
    }

    private func condition(_ type: String) -> Document? { conditions.elements.first { $0.text("type") == type } }

    /// A condition whose status and reason stay keeps everything else too.
    private mutating func set(_ type: String, _ status: String, _ reason: String, _ message: String) {
        if let old = condition(type), old.text("status") == status, old.text("reason") == reason { return }
        conditions = conditions.settingCondition(
            [
                "type": Document(type), "status": Document(status), "reason": Document(reason),
                "message": Document(message), "lastUpdateTime": Document(situation.now.rfc3339()),
            ], at: situation.now)
    }

    private mutating func remove(_ type: String) {
        conditions = Document(conditions.elements.filter { $0.text("type") != type })
    }
}

// MARK: Progress

extension DeploymentStatus {
    mutating func notePause(_ state: DeploymentState) {
        guard deadline != nil else { return }
        let reason = condition("Progressing")?.text("reason")
        if reason == "ProgressDeadlineExceeded" { return }
        if state.isPaused, reason != "DeploymentPaused" {
            set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        } else if !state.isPaused, reason == "DeploymentPaused" {
            set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        }
    }

    mutating func noteFound(_ state: DeploymentState) {
        guard deadline != nil, condition("Progressing") == nil, let set = state.newSet else { return }
        self.set("Progressing", "True", "FoundNewReplicaSet", "Found new replica set \"\(set.name)\"")
    }

    mutating func noteCreated(_ name: String) {
        guard deadline != nil else { return }
        if let failure = situation.lastFailure {
            set(
                "Progressing", "False", "ReplicaSetCreateError",
                "Failed to create new replica set \"\(name)\": \(failure)")
            return
        }
        set("Progressing", "True", "NewReplicaSetCreated", "Created new replica set \"\(name)\"")
    }

    mutating func noteCollision() { collisionCount = (collisionCount ?? 0) + 1 }

    func isComplete(_ state: DeploymentState) -> Bool {
        let counts = Counts(state)
        return counts.updated == state.replicas && counts.replicas == state.replicas
            && counts.available == state.replicas
    }

    mutating func noteProgress(_ state: DeploymentState, _ plan: inout Plan) {
        guard let deadline else { return remove("Progressing") }
        let counts = Counts(state)
        let old = Counts(deployment["status"] ?? .emptyObject)
        let subject = state.newSet.map { "ReplicaSet \"\($0.name)\"" } ?? "Deployment \"\(deployment.name)\""
        let current = condition("Progressing")
        if counts.replicas == counts.updated, current?.text("reason") == "NewReplicaSetAvailable" { return }
        if isComplete(state), state.newSet != nil {
            set("Progressing", "True", "NewReplicaSetAvailable", "\(subject) has successfully progressed.")
        } else if counts.isProgress(after: old) {
            renew("\(subject) is progressing.")
        } else if isTimedOut(deadline) {
            set("Progressing", "False", "ProgressDeadlineExceeded", "\(subject) has timed out progressing.")
        }
        if let current = condition("Progressing"), current.text("status") != "False",
            current.text("reason") != "NewReplicaSetAvailable", let updated = current.time("lastUpdateTime")
        {
            plan.lookAgain(after: updated + deadline - situation.now + .seconds(1))
        }
    }

    /// Progress again: the transition stays old, the update is new, and the deadline counts from it.
    private mutating func renew(_ message: String) {
        conditions = conditions.settingCondition(
            [
                "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": Document(message),
                "lastUpdateTime": Document(situation.now.rfc3339()),
            ], at: situation.now)
    }

    private func isTimedOut(_ deadline: Duration) -> Bool {
        guard let current = condition("Progressing"), let updated = current.time("lastUpdateTime"),
            current.text("reason") != "NewReplicaSetAvailable"
        else { return false }
        return updated + deadline <= situation.now
    }
}

// MARK: Report

extension DeploymentStatus {
    struct Counts: Equatable {
        var replicas = 0
        var updated = 0
        var ready = 0
        var available = 0

        init(_ state: DeploymentState) {
            for set in state.sets {
                replicas += set.number("status", "replicas") ?? 0
                ready += set.number("status", "readyReplicas") ?? 0
                available += set.number("status", "availableReplicas") ?? 0
            }
            updated = state.newSet?.number("status", "replicas") ?? 0
        }

        init(_ status: Document) {
            replicas = status.number("replicas") ?? 0
            updated = status.number("updatedReplicas") ?? 0
            ready = status.number("readyReplicas") ?? 0
            available = status.number("availableReplicas") ?? 0
        }

        func isProgress(after old: Counts) -> Bool {
            updated > old.updated || replicas - updated < old.replicas - old.updated || ready > old.ready
                || available > old.available
        }
    }

    mutating func report(_ state: DeploymentState, _ plan: inout Plan) {
        let counts = Counts(state)
        noteAvailability(state, counts)
        var status = Document.emptyObject
        let old = deployment["status"] ?? .emptyObject
        status["observedGeneration"] = Document(deployment.generation)
        for (field, count) in [
            ("replicas", counts.replicas), ("updatedReplicas", counts.updated), ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", max(0, state.totalReplicas - counts.available)),
        ] where count > 0 { status[field] = Document(count) }
        if let collisionCount { status["collisionCount"] = Document(collisionCount) }
        if let terminating = Self.terminating(state) { status["terminatingReplicas"] = Document(terminating) }
        let fields = [
            "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
            "unavailableReplicas", "collisionCount", "terminatingReplicas",
        ]
        if fields.allSatisfy({ (old.number($0) ?? 0) == (status.number($0) ?? 0) }),
            (old["conditions"] ?? .emptyArray).isSame(as: conditions)
        {
            return
        }
        // A patch, because the round may have changed the object's annotations just before.
        var patch = Document.emptyObject
        for field in fields where old[field] != nil || status[field] != nil { patch[field] = status[field] ?? .null }
        patch["conditions"] = conditions
        plan.finally.append(
            .patch(
                .deployments, namespace: deployment.namespace, name: deployment.name, ["status": patch],
                subresource: "status"))
    }

    /// Unknown as long as one of the sets does not tell.
    private static func terminating(_ state: DeploymentState) -> Int? {
        var sum = 0
        for set in state.sets {
            guard let count = set.number("status", "terminatingReplicas") else { return nil }
            sum += count
        }
        return state.sets.isEmpty ? nil : sum
    }

    private mutating func noteAvailability(_ state: DeploymentState, _ counts: Counts) {
        if counts.available >= state.replicas - state.maxUnavailable {
            set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            set(
                "Available", "False", "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.")
        }
        let candidates = [state.newSet].compactMap { $0 } + state.sets
        let failure = candidates.lazy.compactMap { $0.condition("ReplicaFailure") }.first
        if let failure, failure.text("status") == "True" {
            set("ReplicaFailure", "True", failure.text("reason") ?? "", failure.text("message") ?? "")
        } else {
            remove("ReplicaFailure")
        }
    }
}
