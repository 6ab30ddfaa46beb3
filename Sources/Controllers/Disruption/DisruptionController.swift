import Client
import Document
import Kinds

struct DisruptionController: Controller {
    let name = "disruption-controller"
    let eventSource = "controllermanager"
    private let budgets: Informer
    private let pods: Informer
    private let deployments: Informer
    /// Owners whose size is at hand without asking.
    private let owners: [String: Informer]

    /// Marks the keys of pods that were announced to be disrupted. No name contains a colon.
    private static let podPrefix = "pod:"

    init(_ informers: Informers) {
        budgets = informers(.podDisruptionBudgets)
        pods = informers(.pods)
        deployments = informers(.deployments)
        owners = [
            "apps/v1 ReplicaSet": informers(.replicaSets), "apps/v1 StatefulSet": informers(.statefulSets),
            "v1 ReplicationController": informers(.replicationControllers), "apps/v1 Deployment": deployments,
        ]
        budgets.addIndex("namespace") { [$0.namespace ?? ""] }
        pods.addIndex(PodIndex.namespace, PodIndex.byNamespace)
    }

    var sources: [Source] {
        let budgets = budgets
        return [
            Source(budgets),
            Source(pods) { change in
                var keys: [String] = []
                if let pod = change.new, pod.condition("DisruptionTarget") != nil {
                    keys.append(Self.podPrefix + change.key)
                }
                let (namespace, _) = ObjectKey.split(change.key)
                let concerned = budgets.indexed("namespace", namespace ?? "")
                if concerned.isEmpty { return keys }
                let labels = [change.old, change.new].compactMap { $0?.labels }
                for budget in concerned {
                    guard let selector = budget.selector, labels.contains(where: { selector.matches($0) }) else {
                        continue
                    }
                    keys.append(ObjectKey.of(budget))
                }
                return keys
            },
        ]
            // Their sizes are read, and change the pods anyway.
            + owners.sorted { $0.key < $1.key }.map { Source(onlyRead: $0.value) }
    }

    func questions(_ key: String, _ answers: Answers) -> [String] {
        guard !key.hasPrefix(Self.podPrefix), let budget = budgets.get(key: key), needsScale(budget) else { return [] }
        return foreignOwners(of: selected(budget)).compactMap { owner in
            if case .question(let path) = Self.find(owner, budget.namespace, answers) { path } else { nil }
        }
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        if key.hasPrefix(Self.podPrefix) {
            return pods.get(key: String(key.dropFirst(Self.podPrefix.count)))
                .map { DisruptionPlan.withdraw($0, situation) } ?? .nothing
        }
        guard let budget = budgets.get(key: key) else { return .nothing }
        let selected = selected(budget)
        let expectation: Result<DisruptionPlan.Expectation, DisruptionPlan.Unknown>
        do throws(DisruptionPlan.Unknown) {
            expectation = .success(
                try DisruptionPlan.expectation(budget, pods: selected.count) { () throws(DisruptionPlan.Unknown) in
                    try scale(of: selected, situation.answers)
                })
        } catch {
            expectation = .failure(error)
        }
        return DisruptionPlan.plan(budget, pods: selected, expectation: expectation, situation)
    }

    private func selected(_ budget: Document) -> [Document] {
        guard let selector = budget.selector else { return [] }
        return pods.indexed(PodIndex.namespace, budget.namespace ?? "").filter { selector.matches($0.labels) }
    }

    private func needsScale(_ budget: Document) -> Bool {
        if budget.at("spec", "maxUnavailable") != nil { return true }
        return budget.text("spec", "minAvailable") != nil
    }

    // MARK: Owners

    private static func identity(_ owner: Document) -> String {
        "\(owner.text("apiVersion") ?? "") \(owner.text("kind") ?? "")"
    }

    private func foreignOwners(of pods: [Document]) -> [Document] {
        var seen: Set<String> = []
        return pods.compactMap(\.controllerReference).filter {
            owners[Self.identity($0)] == nil && seen.insert($0.text("uid") ?? "").inserted
        }
    }

    private static func find(_ owner: Document, _ namespace: String?, _ answers: Answers) -> ScaleLookup.Finding {
        ScaleLookup.find(
            apiVersion: owner.text("apiVersion") ?? "", kind: owner.text("kind") ?? "", namespace: namespace,
            name: owner.text("name") ?? "", answers)
    }

    /// The sum over all owners of `pods`.
    private func scale(
        of pods: [Document], _ answers: Answers
    ) throws(DisruptionPlan.Unknown) -> (sum: Int, hasStrays: Bool) {
        var sizes: [String: Int] = [:]
        // Pods' owners, so that each is looked up once: a Deployment's sets count as the Deployment.
        var seen: Set<String> = []
        var hasStrays = false
        for pod in pods {
            guard let owner = pod.controllerReference else {
                hasStrays = true
                continue
            }
            guard seen.insert(owner.text("uid") ?? "").inserted else { continue }
            guard let (uid, size) = try size(of: owner, namespace: pod.namespace, answers) else {
                throw DisruptionPlan.Unknown(description: "found no controllers for pod \"\(pod.name)\"")
            }
            sizes[uid] = size
        }
        return (sizes.values.reduce(0, +), hasStrays)
    }

    private func size(
        of owner: Document, namespace: String?, _ answers: Answers
    ) throws(DisruptionPlan.Unknown) -> (uid: String, size: Int)? {
        let uid = owner.text("uid") ?? ""
        if let informer = owners[Self.identity(owner)] {
            guard let object = informer.get(namespace: namespace, name: owner.text("name") ?? ""), object.uid == uid
            else { return nil }
            if informer.resource == .replicaSets, let reference = object.controllerReference,
                reference.text("kind") == "Deployment",
                let deployment = deployments.get(namespace: namespace, name: reference.text("name") ?? ""),
                deployment.uid == reference.text("uid")
            {
                return (deployment.uid, deployment.number("spec", "replicas") ?? 1)
            }
            return (uid, object.number("spec", "replicas") ?? 1)
        }
        switch Self.find(owner, namespace, answers) {
        case .scale(let scale, _):
            guard scale.uid == uid else { return nil }
            return (uid, scale.number("spec", "replicas") ?? 0)
        case .unscalable(let resource):
            throw DisruptionPlan.Unknown(description: "\(resource) does not implement the scale subresource")
        case .missing(let status) where status.isNotFound: return nil
        case .missing(let status), .unknownKind(let status):
            throw DisruptionPlan.Unknown(description: status.message)
        case .question: return nil
        }
    }
}
