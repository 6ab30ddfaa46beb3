import Basics
import Client
import Document
import Kinds
import Synchronization

/// What plug-ins may do between a decision and its binding.
protocol BindingWork: Sendable {
    /// Gives the pod's claims the volumes that were kept for them, and waits until they are bound.
    func bindVolumes(of pod: PodInfo, timeout: Duration) async throws
}

struct BindingProblem: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension Scheduler: BindingWork {
    func bindVolumes(of pod: PodInfo, timeout: Duration) async throws {
        let plan = state.withLock { $0.core.cluster.volumePlans[pod.key] }
        guard let plan else { return }
        for binding in plan.bindings { try await bind(binding) }
        for claim in plan.provisions {
            let (namespace, name) = ObjectKey.split(claim)
            _ = try await client.patch(
                .persistentVolumeClaims, namespace: namespace, name: name,
                ["metadata": ["annotations": ["volume.kubernetes.io/selected-node": Document(plan.node)]]])
        }
        let keys = plan.bindings.map(\.claim) + plan.provisions
        let problem = BindingState()
        let isBound = try await claims.wait(atMost: timeout) {
            problem.look(at: keys.map { self.claims.get(key: $0) }, plan)
        }
        if let text = problem.text { throw BindingProblem("binding volumes: \(text)") }
        if !isBound { throw BindingProblem("binding volumes: context deadline exceeded") }
    }

    private func bind(_ binding: VolumePlan.Binding) async throws {
        guard let claim = claims.get(key: binding.claim), let volume = volumes.get(key: binding.volume) else {
            throw BindingProblem("binding volumes: claim \"\(binding.claim)\" or its volume is gone")
        }
        let reference: Document = [
            "kind": "PersistentVolumeClaim", "apiVersion": "v1",
            "namespace": claim.at("metadata", "namespace") ?? "", "name": claim.at("metadata", "name") ?? "",
            "uid": claim.at("metadata", "uid") ?? "",
            "resourceVersion": claim.at("metadata", "resourceVersion") ?? "",
        ]
        // Only as it was when the decision was made: another claim may have taken it.
        var metadata: Document = ["resourceVersion": volume.at("metadata", "resourceVersion") ?? ""]
        if volume.at("spec", "claimRef") == nil {
            metadata["annotations"] = ["pv.kubernetes.io/bound-by-controller": "yes"]
        }
        _ = try await client.patch(
            .persistentVolumes, name: binding.volume, ["metadata": metadata, "spec": ["claimRef": reference]])
    }
}

/// Looks whether claims have become bound, or never will.
private final class BindingState: Sendable {
    private let problem = Mutex<String?>(nil)

    var text: String? { problem.withLock { $0 } }

    func look(at claims: [Document?], _ plan: VolumePlan) -> Bool {
        for claim in claims {
            guard let claim else {
                problem.withLock { $0 = "a claim of the pod was deleted" }
                return true
            }
            let key = ObjectKey.of(claim)
            if plan.provisions.contains(key),
                claim.text("metadata", "annotations", "volume.kubernetes.io/selected-node") == nil
            {
                // The provisioner gave the node back.
                problem.withLock { $0 = "provisioning failed for PVC \"\(claim.text("metadata", "name") ?? "")\"" }
                return true
            }
            if claim.text("status", "phase") != "Bound" { return false }
        }
        return true
    }
}
