import Basics
import Client
import Document
import Kinds

/// Keeps one pod of a daemon set on every node where one belongs.
enum DaemonSetPlan {
    /// No more than so many creations or deletions in one round.
    static let burst = 250

    static func plan(
        _ set: Document, nodes: [NodeFacts], pods: [Document], revisions: [Document],
        revisionNamed: (String) -> Document?, _ backoff: inout FailedPodBackoff, _ situation: Situation
    ) -> Plan {
        // What a set that goes away still owns is no longer known, and so neither is its status.
        guard let selector = set.selector, !set.isTerminating else { return .nothing }
        let owner = set.controllerReference(kind: "DaemonSet", apiVersion: "apps/v1")
        let claim = Claim(pods, of: .pods, for: set, owner: owner, selector: selector)
        let history = RevisionHistory(
            of: set, .daemonSet, selector: selector, candidates: revisions, named: revisionNamed)
        var plan = Plan()
        plan.then(claim.actions)
        plan.then(history.actions)
        plan.then(history.merging(claim.owned))
        backoff.begin(uid: set.uid, generation: set.number("status", "observedGeneration") ?? 0, at: situation.uptime)
        let state = DaemonSetState(set, nodes, claim.owned, hash: history.hash, situation)
        if claim.actions.isEmpty, history.duplicates.isEmpty {
            var work = state.place(&backoff, &plan)
            // One thing at a time: the bounds of a rollout are counted when every node has its pod.
            if work.isEmpty { work = state.rollOut() }
            work.add(to: &plan, set, hash: history.hash)
        }
        let live = Set(claim.owned.compactMap { $0.labels[RevisionStyle.podLabel] })
        plan.then(
            history.surplus(countsLive: true) { live.contains($0.labels[RevisionStyle.podLabel] ?? "") })
        state.report(collisions: history.collisions, &plan)
        return plan
    }
}

/// Pods to delete, and nodes to make pods for.
struct DaemonWork {
    var deletions: [Document] = []
    var nodes: [String] = []

    var isEmpty: Bool { deletions.isEmpty && nodes.isEmpty }

    func add(to plan: inout Plan, _ set: Document, hash: String) {
        let deletions = deletions.prefix(DaemonSetPlan.burst).map { Action.delete(.pods, $0, owner: set) }
        if !deletions.isEmpty { plan.steps.append(.together(deletions)) }
        let creations = nodes.prefix(DaemonSetPlan.burst).map {
            Action.create(.pods, DaemonPod.make(set, hash: hash, node: $0), owner: set)
        }
        if !creations.isEmpty { plan.steps.append(.slowStart(creations)) }
    }
}

/// A daemon set with its nodes and pods, as one round finds them.
struct DaemonSetState {
    let set: Document
    let hash: String
    let situation: Situation
    let nodes: [NodeFacts]
    let verdicts: [String: DaemonPlacement.Verdict]
    /// The pods made for each node, without those that have ended and are on their way out.
    let pods: [String: [Document]]
    let minReady: Int
    let maxSurge: Int
    let maxUnavailable: Int
    /// How many nodes should run a pod.
    let desired: Int

    init(_ set: Document, _ nodes: [NodeFacts], _ owned: [Document], hash: String, _ situation: Situation) {
        self.set = set
        self.hash = hash
        self.situation = situation
        self.nodes = nodes
        let placement = DaemonPlacement(set)
        let verdicts = Dictionary(nodes.map { ($0.name, placement.verdict($0)) }, uniquingKeysWith: { $1 })
        self.verdicts = verdicts
        var pods: [String: [Document]] = [:]
        for pod in owned where !(pod.isFinished && pod.isTerminating) {
            if let node = DaemonPod.node(of: pod) { pods[node, default: []].append(pod) }
        }
        self.pods = pods.mapValues { $0.sorted(by: Self.isOlder) }
        minReady = set.number("spec", "minReadySeconds") ?? 0
        let desired = nodes.count { verdicts[$0.name]?.shouldRun == true }
        self.desired = desired
        let update = set.at("spec", "updateStrategy", "rollingUpdate") ?? .emptyObject
        func bound(_ field: String, _ fallback: Int) -> Int {
            IntOrString(update[field])?.scaled(to: desired, roundingUp: true) ?? fallback
        }
        let isRolling = set.text("spec", "updateStrategy", "type") == "RollingUpdate"
        let surge = isRolling ? bound("maxSurge", 0) : 0
        let unavailable = isRolling ? bound("maxUnavailable", 1) : 0
        maxSurge = surge
        // Both zero would let nothing ever move.
        maxUnavailable = surge == 0 && unavailable == 0 ? 1 : unavailable
    }

    /// Pods that have a node first, then by age.
    private static func isOlder(_ a: Document, _ b: Document) -> Bool {
        if a.nodeName.isEmpty != b.nodeName.isEmpty { return b.nodeName.isEmpty }
        return (a.created, a.name) < (b.created, b.name)
    }

    func isAvailable(_ pod: Document) -> Bool {
        pod.timeToAvailable(minReady: minReady, now: situation.now) == .zero
    }

    func isNew(_ pod: Document) -> Bool { pod.labels[RevisionStyle.podLabel] == hash }
    func shouldRun(on node: String) -> Bool { verdicts[node]?.shouldRun ?? false }
}

// MARK: Placing

extension DaemonSetState {
    /// One pod for every node where one belongs, and none elsewhere.
    func place(_ backoff: inout FailedPodBackoff, _ plan: inout Plan) -> DaemonWork {
        var work = DaemonWork()
        for node in nodes {
            let present = pods[node.name] ?? []
            let verdict = verdicts[node.name] ?? .init()
            if verdict.shouldRun, present.isEmpty {
                work.nodes.append(node.name)
            } else if verdict.mayStay {
                let running = weed(present, node.name, &backoff, &work, &plan)
                prune(running, node.name, &work)
            } else {
                work.deletions += present.filter { !$0.isTerminating }
            }
        }
        // The scheduler never places the pod of a node that is gone, and nobody else deletes it.
        for node in pods.keys.sorted() where verdicts[node] == nil {
            work.deletions += (pods[node] ?? []).filter { $0.nodeName.isEmpty && !$0.isTerminating }
        }
        return work
    }

    /// Takes away a node's pods that have ended. Answers those that go on.
    private func weed(
        _ present: [Document], _ node: String, _ backoff: inout FailedPodBackoff, _ work: inout DaemonWork,
        _ plan: inout Plan
    ) -> [Document] {
        var running: [Document] = []
        for pod in present where !pod.isTerminating {
            let name = "\(pod.namespace ?? "")/\(pod.name) on node \(node)"
            switch pod.phase {
            case "Failed":
                if let wait = backoff.wait(node, at: situation.uptime) {
                    plan.lookAgain(after: wait)
                    continue
                }
                plan.then(
                    .event(
                        set, .warning, reason: "FailedDaemonPod",
                        message: "Found failed daemon pod \(name), will try to kill it"))
                work.deletions.append(pod)
            case "Succeeded":
                plan.then(
                    .event(
                        set, .normal, reason: "SucceededDaemonPod",
                        message: "Found succeeded daemon pod \(name), will try to delete it"))
                work.deletions.append(pod)
            default: running.append(pod)
            }
        }
        return running
    }

    /// Leaves one pod on a node, or with a surge an old and a new one for as long as the new one comes up.
    private func prune(_ running: [Document], _ node: String, _ work: inout DaemonWork) {
        guard maxSurge > 0 else {
            work.deletions += running.dropFirst()
            return
        }
        if running.count <= 1 {
            // A pod on its way out does not hold up its successor.
            if running.isEmpty, shouldRun(on: node) { work.nodes.append(node) }
            return
        }
        let new = running.first(where: isNew)
        let old = running.first { !isNew($0) }
        work.deletions += running.filter { $0.uid != new?.uid && $0.uid != old?.uid }
        if let new, let old, !old.isReadyPod || isAvailable(new) { work.deletions.append(old) }
    }
}
