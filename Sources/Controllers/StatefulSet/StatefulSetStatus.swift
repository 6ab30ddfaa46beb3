import Client
import Document

/// The status that a stateful set's round reports.
struct StatefulSetStatus {
    private let set: Document
    private let pods: [Document]
    private let situation: Situation
    private var currentRevision: String
    private let updateRevision: String
    private let collisions: Int

    init(_ state: StatefulSetState) {
        set = state.set
        pods = state.pods
        situation = state.situation
        currentRevision = state.currentRevision
        updateRevision = state.updateRevision
        collisions = state.collisions
    }

    /// Of a set that goes away: its revisions stay as they were last told.
    init(_ set: Document, _ pods: [Document], _ situation: Situation) {
        self.set = set
        self.pods = pods
        self.situation = situation
        currentRevision = set.text("status", "currentRevision") ?? ""
        updateRevision = set.text("status", "updateRevision") ?? ""
        collisions = set.number("status", "collisionCount") ?? 0
    }

    private static let counts = [
        "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "collisionCount",
    ]

    func report(_ plan: inout Plan) {
        let old = set["status"] ?? .emptyObject
        let status = status(&plan)
        let isCurrent =
            Self.counts.allSatisfy { (old.number($0) ?? 0) == (status.number($0) ?? 0) }
            && ["currentRevision", "updateRevision"].allSatisfy { (old.text($0) ?? "") == (status.text($0) ?? "") }
            && (old.number("observedGeneration") ?? 0) >= set.generation
        if isCurrent { return }
        var reported = set
        reported["status"] = status
        plan.finally.append(.update(.statefulSets, reported, subresource: "status"))
    }

    private func status(_ plan: inout Plan) -> Document {
        let minReady = set.number("spec", "minReadySeconds") ?? 0
        var (ready, available, current, updated) = (0, 0, 0, 0)
        for pod in pods {
            if pod.phase == "Running", let wait = pod.timeToAvailable(minReady: minReady, now: situation.now) {
                ready += 1
                if wait == .zero { available += 1 } else { plan.lookAgain(after: wait) }
            }
            if pod.isTerminating { continue }
            let revision = pod.labels[RevisionStyle.podLabel] ?? ""
            if revision == currentRevision { current += 1 }
            if revision == updateRevision { updated += 1 }
        }
        var currentRevision = currentRevision
        let wanted = set.wantedReplicas
        if !set.isTerminating, set.text("spec", "updateStrategy", "type") == "RollingUpdate",
            [updated, ready, pods.count].allSatisfy({ $0 == wanted })
        {
            // The rollout is through: what was new is the current one from now on.
            current = updated
            currentRevision = updateRevision
        }
        var status = set["status"] ?? .emptyObject
        status["observedGeneration"] = Document(set.generation)
        status["replicas"] = Document(pods.count)
        for (field, count) in [("readyReplicas", ready), ("currentReplicas", current), ("updatedReplicas", updated)] {
            status[field] = count > 0 ? Document(count) : Document?.none
        }
        status["currentRevision"] = Document(currentRevision)
        status["updateRevision"] = Document(updateRevision)
        status["collisionCount"] = Document(collisions)
        status["availableReplicas"] = Document(available)
        return status
    }
}
