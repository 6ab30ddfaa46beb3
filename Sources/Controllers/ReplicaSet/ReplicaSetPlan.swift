import Basics
import Client
import Document
import Kinds

/// Keeps as many pods of a template as the replica set, or the replication controller, asks for.
enum ReplicaSetPlan {
    /// No more than so many creations or deletions in one round.
    static let burst = 500

    /// - Parameters:
    ///   - pods: the pods of the namespace that this set owns or might adopt.
    ///   - neighbours: for each node, how many pods of this set and its siblings (the other sets of the same
    ///     Deployment) run there; pods are taken from crowded nodes first.
    static func plan(
        _ set: Document, _ kind: ReplicatedKind = .replicaSet, pods: [Document], neighbours: [String: Int],
        _ situation: Situation
    ) -> Plan {
        guard let selector = kind.selector(set) else { return .nothing }
        let owner = set.controllerReference(kind: kind.resource.kind, apiVersion: kind.resource.apiVersion)
        let claim = Claim(pods, of: .pods, for: set, owner: owner, selector: selector)
        var plan = Plan()
        plan.then(claim.actions)
        let active = claim.owned.filter(\.isActivePod)
        if !set.isTerminating, claim.actions.isEmpty {
            let wanted = set.number("spec", "replicas") ?? 1
            if active.count < wanted {
                let pod = template(of: set, owner: owner)
                let count = min(wanted - active.count, burst)
                plan.steps.append(.slowStart(Array(repeating: .create(.pods, pod, owner: set), count: count)))
            } else if active.count > wanted {
                let victims = DeletionOrder(neighbours: neighbours, now: situation.now).sort(active)
                    .prefix(min(active.count - wanted, burst))
                plan.steps.append(.together(victims.map { .delete(.pods, $0, owner: set) }))
            }
        }
        let terminating = kind.countsTerminating ? claim.owned.count { $0.isTerminating && !$0.isFinished } : nil
        reportStatus(of: set, kind, active, terminating: terminating, situation, in: &plan)
        return plan
    }

    /// The pod that the template describes, owned by `set`.
    static func template(of set: Document, owner: Document) -> Document {
        let template = set.at("spec", "template") ?? .emptyObject
        var metadata = Document.emptyObject
        metadata["generateName"] = Document(set.name + "-")
        metadata["namespace"] = set.at("metadata", "namespace")
        for field in ["labels", "annotations", "finalizers"] { metadata[field] = template.at("metadata", field) }
        metadata["ownerReferences"] = [owner]
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] ?? .emptyObject]
    }

    private static func reportStatus(
        of set: Document, _ kind: ReplicatedKind, _ active: [Document], terminating: Int?, _ situation: Situation,
        in plan: inout Plan
    ) {
        let minReady = set.number("spec", "minReadySeconds") ?? 0
        let templateLabels = set.map("spec", "template", "metadata", "labels")
        var ready = 0
        var available = 0
        for pod in active {
            guard let wait = pod.timeToAvailable(minReady: minReady, now: situation.now) else { continue }
            ready += 1
            if wait == .zero { available += 1 } else { plan.lookAgain(after: wait) }
        }
        let labelled = active.filter { pod in
            let labels = pod.labels
            return templateLabels.allSatisfy { labels[$0.key] == $0.value }
        }.count
        let conditions = conditions(of: set, isShort: active.count < set.wantedReplicas, situation, plan)
        var status: Document = ["replicas": Document(active.count)]
        if let terminating { status["terminatingReplicas"] = Document(terminating) }
        for (field, count) in [
            ("fullyLabeledReplicas", labelled), ("readyReplicas", ready), ("availableReplicas", available),
        ] where count > 0 { status[field] = Document(count) }
        status["observedGeneration"] = Document(set.generation)
        if conditions.count > 0 { status["conditions"] = conditions }
        let old = set["status"] ?? .emptyObject
        let counts = [
            "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration",
            "terminatingReplicas",
        ]
        let isCurrent =
            counts.allSatisfy { (old.number($0) ?? 0) == (status.number($0) ?? 0) }
            && (old["conditions"] ?? .emptyArray).isSame(as: conditions)
        if isCurrent { return }
        var reported = set
        reported["status"] = status
        plan.finally.append(.update(kind.resource, reported, subresource: "status"))
    }

    /// With ReplicaFailure for as long as pods cannot be made or deleted. The first message stays: were it renewed
    /// with each failure, each report would be a change that leads to the next attempt.
    private static func conditions(
        of set: Document, isShort: Bool, _ situation: Situation, _ plan: Plan
    ) -> Document {
        let old = set.list("status", "conditions")
        let others = Document(old.filter { $0.text("type") != "ReplicaFailure" })
        guard let failure = situation.lastFailure, !plan.steps.isEmpty else { return others }
        if others.count < old.count { return Document(old) }
        return others.settingCondition(
            [
                "type": "ReplicaFailure", "status": "True", "message": Document(failure),
                "reason": isShort ? "FailedCreate" : "FailedDelete",
            ], at: situation.now)
    }
}

/// Which of a set's pods to give up first: those that do the least good and cost the least to lose.
struct DeletionOrder {
    let neighbours: [String: Int]
    let now: Timestamp

    func sort(_ pods: [Document]) -> [Document] {
        pods.map { ($0, rank($0)) }.sorted { $0.1.lexicographicallyPrecedes($1.1) }.map(\.0)
    }

    /// Compared element by element, smallest first to go:
    /// not on a node; pending, unknown, running; not ready; cheap to delete; with many siblings on its node;
    /// ready for a short time; many restarts; young. Ages count by their logarithm, so that
    /// pods of about the same age are told apart by uid, which spreads the choice.
    private func rank(_ pod: Document) -> [Int] {
        let phase = ["Pending": 0, "Unknown": 1, "Running": 2][pod.phase] ?? 1
        let cost = pod.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int($0) } ?? 0
        let restarts = pod.list("status", "containerStatuses").map { $0.number("restartCount") ?? 0 }.max() ?? 0
        let readyAge = pod.isReadyPod ? pod.readySince.map(logarithmicAge) ?? 0 : 0
        return [
            pod.nodeName.isEmpty ? 0 : 1, phase, pod.isReadyPod ? 1 : 0, cost, -(neighbours[pod.nodeName] ?? 0),
            readyAge, -restarts, logarithmicAge(pod.created),
        ] + pod.uid.utf8.map { Int($0) }
    }

    private func logarithmicAge(_ time: Timestamp) -> Int {
        let seconds = max(0, (now - time).wholeSeconds)
        return seconds == 0 ? 0 : Int64.bitWidth - seconds.leadingZeroBitCount
    }
}
