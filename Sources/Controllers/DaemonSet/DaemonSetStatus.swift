import Client
import Document

extension DaemonSetState {
    private static let fields = [
        "desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberReady",
        "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
    ]

    /// Reports what is on the nodes; of a node with two pods the older one counts.
    func report(collisions: Int, _ plan: inout Plan) {
        let old = set["status"] ?? .emptyObject
        let status = status(collisions, &plan)
        let isCurrent =
            Self.fields.allSatisfy { (old.number($0) ?? 0) == (status.number($0) ?? 0) }
            && (old.number("observedGeneration") ?? 0) >= set.generation
        if isCurrent { return }
        var reported = set
        reported["status"] = status
        plan.finally.append(.update(.daemonSets, reported, subresource: "status"))
    }

    private func status(_ collisions: Int, _ plan: inout Plan) -> Document {
        var (current, misplaced, ready, updated, available) = (0, 0, 0, 0, 0)
        for node in nodes {
            guard let pod = pods[node.name]?.first else { continue }
            guard shouldRun(on: node.name) else {
                misplaced += 1
                continue
            }
            current += 1
            if isNew(pod) { updated += 1 }
            guard let wait = pod.timeToAvailable(minReady: minReady, now: situation.now) else { continue }
            ready += 1
            if wait == .zero { available += 1 } else { plan.lookAgain(after: wait) }
        }
        var status = set["status"] ?? .emptyObject
        for (field, count) in [
            ("currentNumberScheduled", current), ("numberMisscheduled", misplaced),
            ("desiredNumberScheduled", desired), ("numberReady", ready), ("observedGeneration", set.generation),
        ] { status[field] = Document(count) }
        for (field, count) in [
            ("updatedNumberScheduled", updated), ("numberAvailable", available),
            ("numberUnavailable", desired - available), ("collisionCount", collisions),
        ] { status[field] = count > 0 ? Document(count) : Document?.none }
        return status
    }
}
