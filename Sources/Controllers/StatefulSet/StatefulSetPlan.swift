import Basics
import Client
import Document
import Kinds

/// Keeps a stateful set's pods, each under its own name and with its own claims.
///
/// Ordered management brings up the pods from the lowest ordinal, each once the one before is available, and takes
/// them away from the highest; parallel management does all at once. Either way a name's next pod comes only when
/// the one before is gone, so that no two pods ever have one identity.
enum StatefulSetPlan {
    static func plan(
        _ set: Document, pods: [Document], revisions: [Document], revisionNamed: (String) -> Document?,
        claimNamed: @escaping (String) -> Document?, _ situation: Situation
    ) -> Plan {
        guard let selector = set.selector else { return .nothing }
        let owner = set.controllerReference(kind: "StatefulSet", apiVersion: "apps/v1")
        let claim = Claim(pods, of: .pods, for: set, owner: owner, selector: selector) {
            StatefulName(of: $0, in: set) != nil
        }
        var plan = Plan()
        plan.then(claim.actions)
        if set.isTerminating {
            StatefulSetStatus(set, claim.owned, situation).report(&plan)
            return plan
        }
        let history = RevisionHistory(
            of: set, .statefulSet, selector: selector, candidates: revisions, named: revisionNamed)
        plan.then(history.actions)
        let state = StatefulSetState(set, claim.owned, history, claimNamed, situation)
        if claim.actions.isEmpty { state.manage(&plan) }
        plan.then(
            history.surplus(countsLive: false) { revision in
                revision.name == state.currentRevision
                    || claim.owned.contains { $0.labels[RevisionStyle.podLabel] == revision.name }
            })
        StatefulSetStatus(state).report(&plan)
        return plan
    }
}

extension Document {
    func isAvailablePod(minReady seconds: Int, now: Timestamp) -> Bool {
        phase == "Running" && timeToAvailable(minReady: seconds, now: now) == .zero
    }
}

/// A stateful set with its pods and revisions, as one round finds them.
struct StatefulSetState {
    let set: Document
    let pods: [Document]
    let situation: Situation
    let replicas: Int
    /// The ordinals that the set is to have.
    let range: Range<Int>
    let isOrdered: Bool
    let minReady: Int
    /// The revisions' names: of the pods not yet replaced, and of the present template.
    let currentRevision: String
    let updateRevision: String
    let collisions: Int
    private let currentTemplate: Document
    private let members: [Int: Document]
    /// Those beyond the range, highest first.
    private let condemned: [Document]
    private let claims: ClaimTemplates
    private let retention: ClaimRetention
    private let claimNamed: (String) -> Document?

    init(
        _ set: Document, _ pods: [Document], _ history: RevisionHistory, _ claimNamed: @escaping (String) -> Document?,
        _ situation: Situation
    ) {
        self.set = set
        self.pods = pods
        self.situation = situation
        replicas = set.wantedReplicas
        let start = set.number("spec", "ordinals", "start") ?? 0
        let range = start..<start + replicas
        self.range = range
        isOrdered = set.text("spec", "podManagementPolicy") != "Parallel"
        minReady = set.number("spec", "minReadySeconds") ?? 0
        let current = set.text("status", "currentRevision").flatMap { history.owned(named: $0) } ?? history.present
        currentRevision = current.name
        updateRevision = history.present.name
        currentTemplate = RevisionHistory.template(of: current, for: set)
        collisions = history.collisions
        var members: [Int: Document] = [:]
        var beyond: [(ordinal: Int, pod: Document)] = []
        for pod in pods {
            guard let ordinal = StatefulName(of: pod, in: set)?.ordinal else { continue }
            if range.contains(ordinal) { members[ordinal] = pod } else { beyond.append((ordinal, pod)) }
        }
        self.members = members
        condemned = beyond.sorted { $0.ordinal > $1.ordinal }.map(\.pod)
        claims = ClaimTemplates(set)
        retention = ClaimRetention(set)
        self.claimNamed = claimNamed
    }

    private func isAvailable(_ pod: Document) -> Bool {
        pod.isAvailablePod(minReady: minReady, now: situation.now) && !pod.isTerminating
    }

    /// First the pods that are to be there, then those that are too many, then those of an old template.
    func manage(_ plan: inout Plan) {
        var work: [Action] = []
        for ordinal in range {
            let (actions, isSettled) = tend(ordinal)
            work += actions
            if isOrdered, !isSettled { return plan.then(work) }
        }
        if isOrdered { plan.then(work) } else if !work.isEmpty { plan.steps.append(.slowStart(work)) }
        if scaleDown(&plan) { rollOut(&plan) }
    }
}

// MARK: One pod

extension StatefulSetState {
    /// What one ordinal needs, and whether those after it may go on.
    private func tend(_ ordinal: Int) -> (actions: [Action], isSettled: Bool) {
        guard let pod = members[ordinal] else { return (bringUp(ordinal), false) }
        if pod.isFinished { return (pod.isTerminating ? [] : [delete(pod)], false) }
        var actions: [Action] = []
        if pod.phase == "Pending", !pod.isTerminating { actions += missingClaims(ordinal, for: pod.name) }
        if pod.isTerminating { return (actions, false) }
        actions += claims(of: ordinal).compactMap { retention.fix($0, of: pod, isScaledAway: false) }
        let identity = Self.identity(pod.name, ordinal)
        let labels = pod.labels
        if identity.contains(where: { labels[$0.key] != $0.value }) {
            let patch = Action.patch(
                .pods, namespace: pod.namespace, name: pod.name,
                ["metadata": ["uid": Document(pod.uid), "labels": Document(sorted: identity)]])
            actions.append(.unit([patch], notice("update", pod.name)))
        }
        return (actions, isAvailable(pod))
    }

    private func claims(of ordinal: Int) -> [Document] { claims.claimNames(for: ordinal).compactMap(claimNamed) }

    private func bringUp(_ ordinal: Int) -> [Action] {
        let name = StatefulName.make(set, ordinal)
        let present = claims(of: ordinal)
        if present.contains(where: { retention.isStale($0, forPod: name) }) { return [] }
        if let leaving = present.first(where: \.isTerminating) {
            let notice = notice("create", name)
            return [
                .event(
                    set, .warning, reason: "FailedCreate",
                    message: notice.failure + "pvc \(leaving.name) is being deleted")
            ]
        }
        let pod = pod(ordinal)
        let claims = missingClaims(ordinal, for: name)
        let owned = present.compactMap { retention.fix($0, of: pod, isScaledAway: false) }
        return [.unit(claims + owned + [.create(.pods, pod)], notice("create", name))]
    }

    private func missingClaims(_ ordinal: Int, for pod: String) -> [Action] {
        if claims.isEmpty { return [] }
        return claims.claims(for: ordinal, owners: retention.owners).filter { claimNamed($0.name) == nil }.map {
            claim in
            .unit(
                [.create(.persistentVolumeClaims, claim)],
                Notice(
                    set, verb: "Create",
                    success: "create Claim \(claim.name) Pod \(pod) in StatefulSet \(set.name) success",
                    failure: "create Claim \(claim.name) for Pod \(pod) in StatefulSet \(set.name) failed error: "))
        }
    }

    /// The labels by which a pod is known.
    private static func identity(_ name: String, _ ordinal: Int) -> [String: String] {
        ["statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": String(ordinal)]
    }

    /// A new pod: of the present template, unless a rollout leaves this ordinal alone for now.
    private func pod(_ ordinal: Int) -> Document {
        let isOld = ordinal < firstUpdated
        var source = set
        if isOld { source.set(currentTemplate, at: "spec", "template") }
        let owner = set.controllerReference(kind: "StatefulSet", apiVersion: "apps/v1")
        var pod = ReplicaSetPlan.template(of: source, owner: owner)
        let name = StatefulName.make(set, ordinal)
        pod.set(Document(name), at: "metadata", "name")
        var labels = pod.labels.merging(Self.identity(name, ordinal)) { $1 }
        labels[RevisionStyle.podLabel] = isOld ? currentRevision : updateRevision
        pod.set(Document(sorted: labels), at: "metadata", "labels")
        pod.set(Document(name), at: "spec", "hostname")
        if let service = set.text("spec", "serviceName"), !service.isEmpty {
            pod.set(Document(service), at: "spec", "subdomain")
        }
        if !claims.isEmpty {
            let volumes = claims.volumes(pod.list("spec", "volumes"), ordinal: ordinal)
            pod.set(Document(volumes), at: "spec", "volumes")
        }
        return pod
    }

    /// Pods below this ordinal come back as they were.
    private var firstUpdated: Int {
        let strategy = set.at("spec", "updateStrategy") ?? .emptyObject
        guard strategy.text("type") == "RollingUpdate" else { return range.lowerBound }
        let bounds = strategy["rollingUpdate"]
        let kept =
            bounds == nil ? set.number("status", "currentReplicas") ?? 0 : bounds?.number("partition") ?? 0
        return range.lowerBound + kept
    }

    private func delete(_ pod: Document) -> Action { .unit([.delete(.pods, pod)], notice("delete", pod.name)) }

    private func notice(_ verb: String, _ pod: String) -> Notice {
        Notice(
            set, verb: verb == "create" ? "Create" : verb == "delete" ? "Delete" : "Update",
            success: "\(verb) Pod \(pod) in StatefulSet \(set.name) successful",
            failure: "\(verb) Pod \(pod) in StatefulSet \(set.name) failed error: ")
    }
}

// MARK: Fewer pods, newer pods

extension StatefulSetState {
    /// Takes away pods beyond the range. Answers whether a rollout may go on in this round.
    private func scaleDown(_ plan: inout Plan) -> Bool {
        var fixes: [Action] = []
        for pod in condemned {
            guard let ordinal = StatefulName(of: pod, in: set)?.ordinal else { continue }
            fixes += claims(of: ordinal).compactMap { retention.fix($0, of: pod, isScaledAway: true) }
        }
        plan.then(fixes)
        guard isOrdered else {
            let victims = condemned.filter { !$0.isTerminating }
            if !victims.isEmpty { plan.steps.append(.slowStart(victims.map(delete))) }
            return true
        }
        guard let highest = condemned.first else { return true }
        // A pod that is not well goes only when none below it waits to become well.
        let mayGo = isAvailable(highest) || !condemned.dropFirst().contains { !isAvailable($0) }
        if !highest.isTerminating, mayGo { plan.then(delete(highest)) }
        return false
    }

    /// Deletes pods of old templates, highest first, as long as no more than `maxUnavailable` are missing among
    /// those that it has come by. An old pod that does not work is not waited for, or a rollout that mends it
    /// could never begin.
    private func rollOut(_ plan: inout Plan) {
        let strategy = set.at("spec", "updateStrategy") ?? .emptyObject
        guard strategy.text("type") == "RollingUpdate" else { return }
        let first = range.lowerBound + (strategy.number("rollingUpdate", "partition") ?? 0)
        let most =
            IntOrString(strategy.at("rollingUpdate", "maxUnavailable"))?
            .scaled(to: replicas, roundingUp: false) ?? 1
        var missing = 0
        var victims: [Action] = []
        for ordinal in range.reversed() {
            if ordinal < first || missing >= max(1, most) { break }
            guard let pod = members[ordinal] else {
                missing += 1
                continue
            }
            if pod.labels[RevisionStyle.podLabel] != updateRevision, !pod.isTerminating {
                victims.append(delete(pod))
                missing += 1
            } else if !isAvailable(pod) {
                missing += 1
            }
        }
        if !victims.isEmpty { plan.steps.append(.together(victims)) }
    }
}
