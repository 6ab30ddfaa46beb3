import Basics
import Client
import Document
import Kinds

/// Moves a Deployment's pods from one template to the next by moving numbers between its replica sets.
///
/// One round decides from what the caches show and writes; the changes that follow bring the next round.
/// The files of this folder are the parts: what exists (`DeploymentState`), numbers in a rollout (`RollingUpdate`),
/// numbers when the total changes (`ProportionalScaling`), and what is reported (`DeploymentStatus`).
enum DeploymentPlan {
    /// - Parameters:
    ///   - sets: the replica sets of the namespace.
    ///   - runningPods: for each replica set's uid, how many of its pods have not finished.
    static func plan(
        _ deployment: Document, sets: [Document], runningPods: [String: Int], _ situation: Situation
    ) -> Plan {
        guard let selector = deployment.selector else { return .nothing }
        let owner = deployment.controllerReference(kind: "Deployment", apiVersion: "apps/v1")
        let claim = Claim(sets, of: .replicaSets, for: deployment, owner: owner, selector: selector)
        var plan = Plan()
        plan.then(claim.actions)
        if !claim.actions.isEmpty { return plan }
        var state = DeploymentState(deployment, sets: claim.owned)
        var status = DeploymentStatus(state, situation)
        if deployment.isTerminating {
            status.report(state, &plan)
            return plan
        }
        status.notePause(state)
        if state.isPaused || state.totalChanged {
            state.reviseKnownSets(&plan)
            state.scale(&plan)
            if state.isPaused { state.cleanUp(&plan) }
            status.report(state, &plan)
            return plan
        }
        if state.newIndex == nil, sets.contains(where: { $0.name == state.newName }) {
            // The name is taken by a set that is not ours or has another template: next round hashes differently.
            status.noteCollision()
        } else if deployment.text("spec", "strategy", "type") == "Recreate" {
            recreate(&state, runningPods, &status, &plan)
        } else {
            roll(&state, &status, &plan)
        }
        status.noteProgress(state, &plan)
        status.report(state, &plan)
        return plan
    }

    private static func roll(_ state: inout DeploymentState, _ status: inout DeploymentStatus, _ plan: inout Plan) {
        if state.revise(&plan, createWith: RollingUpdate.newReplicas(state), &status) { return }
        if let size = RollingUpdate.sizeOfNewSet(state) {
            state.resize(at: state.newIndex, to: size, &plan)
            return
        }
        let sizes = RollingUpdate.sizesOfOldSets(state)
        for (index, size) in sizes { state.resize(at: index, to: size, &plan) }
        if sizes.isEmpty, status.isComplete(state) { state.cleanUp(&plan) }
    }

    /// Everything old goes, pods included, before anything new comes.
    private static func recreate(
        _ state: inout DeploymentState, _ runningPods: [String: Int], _ status: inout DeploymentStatus,
        _ plan: inout Plan
    ) {
        state.reviseKnownSets(&plan)
        let active = state.oldIndices.filter { state.sets[$0].wantedReplicas > 0 }
        for index in active { state.resize(at: index, to: 0, &plan) }
        if !active.isEmpty { return }
        if state.oldIndices.contains(where: { runningPods[state.sets[$0].uid, default: 0] > 0 }) { return }
        if state.revise(&plan, createWith: state.replicas, &status) { return }
        if let index = state.newIndex, state.sets[index].wantedReplicas != state.replicas {
            state.resize(at: index, to: state.replicas, &plan)
        } else if status.isComplete(state) {
            state.cleanUp(&plan)
        }
    }
}
