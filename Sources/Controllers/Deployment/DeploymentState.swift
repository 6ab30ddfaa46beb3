import Basics
import Client
import Document
import Kinds

enum DeploymentLabel {
    static let hash = "pod-template-hash"
    static let revision = "deployment.kubernetes.io/revision"
    static let revisionHistory = "deployment.kubernetes.io/revision-history"
    static let desired = "deployment.kubernetes.io/desired-replicas"
    static let maximum = "deployment.kubernetes.io/max-replicas"

    /// Annotations that are the Deployment's own business and not handed down to its replica sets.
    static let kept: Set<String> = [
        "kubectl.kubernetes.io/last-applied-configuration", revision, revisionHistory, desired, maximum,
        "deprecated.deployment.rollback.to",
    ]
}

extension Document {
    /// The pods that a replica set or Deployment is told to have.
    var wantedReplicas: Int { number("spec", "replicas") ?? 1 }
    fileprivate var revision: Int { annotations[DeploymentLabel.revision].flatMap { Int($0) } ?? 0 }

    /// An object of strings, in key order, so that equal maps make equal bytes.
    init(sorted map: [String: String]) {
        self.init(members: map.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
    }
}

/// A Deployment with its replica sets, as the round goes on changing them.
struct DeploymentState {
    let deployment: Document
    /// Oldest first.
    var sets: [Document]
    /// The set with the Deployment's present template.
    let newIndex: Int?
    let replicas: Int
    let maxSurge: Int
    let maxUnavailable: Int

    init(_ deployment: Document, sets: [Document]) {
        self.deployment = deployment
        let sets = sets.sorted { ($0.created, $0.name) < ($1.created, $1.name) }
        self.sets = sets
        let template = deployment.at("spec", "template") ?? .emptyObject
        newIndex = sets.firstIndex { set in
            var theirs = set.at("spec", "template") ?? .emptyObject
            theirs.set(nil, at: "metadata", "labels", DeploymentLabel.hash)
            return theirs.isSame(as: template)
        }
        replicas = deployment.wantedReplicas
        guard deployment.text("spec", "strategy", "type") != "Recreate" else {
            (maxSurge, maxUnavailable) = (0, 0)
            return
        }
        let view = DeploymentView(deployment)
        let share = IntOrString.string("25%")
        maxSurge = (view.maxSurge ?? share).scaled(to: replicas, roundingUp: true) ?? 0
        let unavailable = (view.maxUnavailable ?? share).scaled(to: replicas, roundingUp: false) ?? 0
        // Both zero would let nothing ever move.
        maxUnavailable = maxSurge == 0 && unavailable == 0 ? 1 : min(unavailable, max(replicas, 1))
    }

    var isPaused: Bool { deployment.flag("spec", "paused") ?? false }
    var newSet: Document? { newIndex.map { sets[$0] } }
    var oldIndices: [Int] { sets.indices.filter { $0 != newIndex } }
    var totalReplicas: Int { sets.reduce(0) { $0 + $1.wantedReplicas } }
    /// Pods that are there or may come at any moment.
    var presentReplicas: Int { sets.reduce(0) { $0 + max($1.wantedReplicas, $1.number("status", "replicas") ?? 0) } }
    var availableReplicas: Int { sets.reduce(0) { $0 + ($1.number("status", "availableReplicas") ?? 0) } }
    /// Available pods that stay so: a set that was told to shrink reports for a while the pods that it still has.
    var lastingReplicas: Int {
        sets.reduce(0) { $0 + min($1.wantedReplicas, $1.number("status", "availableReplicas") ?? 0) }
    }

    /// Whether `spec.replicas` changed since the active sets were sized.
    var totalChanged: Bool {
        sets.contains { set in
            guard set.wantedReplicas > 0, let desired = set.annotations[DeploymentLabel.desired].flatMap({ Int($0) })
            else { return false }
            return desired != replicas
        }
    }

    /// The name of the set for the present template: a hash of the template, and of the collisions so far.
    var newName: String { "\(deployment.name)-\(hash)" }

    private var hash: String {
        let template = deployment.at("spec", "template") ?? .emptyObject
        var text = template.canonical.json
        if let collisions = deployment.number("status", "collisionCount") { text += String(collisions).utf8 }
        // FNV-1a, written in the alphabet of generated names.
        let value = text.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789".utf8)
        return String(decoding: String(value).utf8.map { alphabet[Int($0) % alphabet.count] }, as: UTF8.self)
    }
}

// MARK: Revisions

extension DeploymentState {
    /// Brings the new set's revision and annotations up to date, or creates the set with `size` pods.
    /// Answers true where something was written that the next round has to see first.
    mutating func revise(_ plan: inout Plan, createWith size: Int, _ status: inout DeploymentStatus) -> Bool {
        if newIndex != nil {
            status.noteFound(self)
            return reviseKnownSets(&plan)
        }
        let set = makeSet(size: size)
        plan.then(.create(.replicaSets, set))
        syncRevision(set.annotations[DeploymentLabel.revision] ?? "", &plan)
        if size > 0 { announce(set, from: 0, to: size, &plan) }
        status.noteCreated(set.name)
        return true
    }

    @discardableResult
    mutating func reviseKnownSets(_ plan: inout Plan) -> Bool {
        guard let newIndex else { return false }
        let old = sets[newIndex]
        var set = old
        var annotations = inheritedAnnotations(old.annotations)
        let highest = oldIndices.map { sets[$0].revision }.max() ?? 0
        if old.revision < highest + 1 {
            if let previous = old.annotations[DeploymentLabel.revision] {
                let history = old.annotations[DeploymentLabel.revisionHistory].map { $0 + "," + previous } ?? previous
                annotations[DeploymentLabel.revisionHistory] = history
            }
            annotations[DeploymentLabel.revision] = String(highest + 1)
        }
        syncRevision(annotations[DeploymentLabel.revision] ?? "", &plan)
        let minReady = deployment.number("spec", "minReadySeconds") ?? 0
        let minReadyChanged = (old.number("spec", "minReadySeconds") ?? 0) != minReady
        if annotations == old.annotations, !minReadyChanged { return false }
        set.set(Document(sorted: annotations), at: "metadata", "annotations")
        if minReadyChanged { set.set(Document(minReady), at: "spec", "minReadySeconds") }
        write(set, at: newIndex, &plan)
        return true
    }

    private func inheritedAnnotations(_ own: [String: String]) -> [String: String] {
        own.merging(deployment.annotations.filter { !DeploymentLabel.kept.contains($0.key) }) { $1 }
    }

    /// The Deployment carries the revision of its newest set.
    private func syncRevision(_ revision: String, _ plan: inout Plan) {
        guard deployment.annotations[DeploymentLabel.revision] != revision, !revision.isEmpty else { return }
        plan.then(
            .patch(
                .deployments, namespace: deployment.namespace, name: deployment.name,
                ["metadata": ["annotations": Document(sorted: [DeploymentLabel.revision: revision])]]))
    }

    private func makeSet(size: Int) -> Document {
        let hash = Document(hash)
        var template = deployment.at("spec", "template") ?? .emptyObject
        template.set(hash, at: "metadata", "labels", DeploymentLabel.hash)
        var selector = deployment.at("spec", "selector") ?? .emptyObject
        selector.set(hash, at: "matchLabels", DeploymentLabel.hash)
        var annotations = inheritedAnnotations([:])
        annotations[DeploymentLabel.revision] = String((sets.map(\.revision).max() ?? 0) + 1)
        annotations.merge(sizeAnnotations) { $1 }
        var spec: Document = ["replicas": Document(size), "selector": selector, "template": template]
        spec["minReadySeconds"] = deployment.at("spec", "minReadySeconds")
        return [
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": [
                "name": Document(newName), "namespace": Document(deployment.namespace ?? ""),
                "labels": template.at("metadata", "labels") ?? .emptyObject,
                "annotations": Document(sorted: annotations),
                "ownerReferences": [deployment.controllerReference(kind: "Deployment", apiVersion: "apps/v1")],
            ],
            "spec": spec,
        ]
    }
}

// MARK: Sizes

extension DeploymentState {
    private var sizeAnnotations: [String: String] {
        [DeploymentLabel.desired: String(replicas), DeploymentLabel.maximum: String(replicas + maxSurge)]
    }

    /// Sets the size of one set, and notes the total that it was sized for.
    mutating func resize(at index: Int?, to size: Int, _ plan: inout Plan) {
        guard let index else { return }
        let old = sets[index]
        let annotations = old.annotations.merging(sizeAnnotations) { $1 }
        if old.wantedReplicas == size, old.annotations == annotations { return }
        var set = old
        set.set(Document(size), at: "spec", "replicas")
        set.set(Document(sorted: annotations), at: "metadata", "annotations")
        write(set, at: index, &plan)
        if old.wantedReplicas != size { announce(set, from: old.wantedReplicas, to: size, &plan) }
    }

    /// One round writes each set once: a second change joins the first.
    private mutating func write(_ set: Document, at index: Int, _ plan: inout Plan) {
        sets[index] = set
        for (position, step) in plan.steps.enumerated() {
            if case .inOrder(let actions) = step,
                case .update(.replicaSets, let earlier, subresource: nil) = actions.first, earlier.uid == set.uid
            {
                plan.steps[position] = .inOrder([.update(.replicaSets, set)])
                return
            }
        }
        plan.then(.update(.replicaSets, set))
    }

    private func announce(_ set: Document, from old: Int, to size: Int, _ plan: inout Plan) {
        plan.then(
            .event(
                deployment, .normal, reason: "ScalingReplicaSet",
                message: "Scaled \(size > old ? "up" : "down") replica set \(set.name) from \(old) to \(size)"))
    }

    /// Deletes the oldest empty sets beyond the history that the Deployment keeps.
    func cleanUp(_ plan: inout Plan) {
        guard let limit = deployment.number("spec", "revisionHistoryLimit") else { return }
        let old = oldIndices.map { sets[$0] }.filter { !$0.isTerminating }
        let surplus = old.count - limit
        guard surplus > 0 else { return }
        let victims = old.sorted { ($0.revision, $0.name) < ($1.revision, $1.name) }.prefix(surplus).filter { set in
            set.wantedReplicas == 0 && (set.number("status", "replicas") ?? 0) == 0
                && set.generation <= (set.number("status", "observedGeneration") ?? 0)
        }
        plan.then(victims.map { .delete(.replicaSets, $0, propagation: "Background") })
    }
}
