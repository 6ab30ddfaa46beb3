import Document

/// How far a rollout may go now: never more than `replicas + maxSurge` pods,
/// never fewer than `replicas - maxUnavailable` available.
enum RollingUpdate {
    /// The size with which the new set begins or to which it may grow.
    ///
    /// A set that was told to shrink still counts with the pods that it has, so that even for a moment
    /// there are no more than promised.
    static func newReplicas(_ state: DeploymentState) -> Int {
        let present = state.newSet?.wantedReplicas ?? 0
        let room = state.replicas + state.maxSurge - state.presentReplicas
        return room <= 0 ? present : present + max(0, min(room, state.replicas - present))
    }

    /// The new set's next size; nil where it stays.
    static func sizeOfNewSet(_ state: DeploymentState) -> Int? {
        guard let set = state.newSet else { return nil }
        let size = set.wantedReplicas > state.replicas ? state.replicas : newReplicas(state)
        return size == set.wantedReplicas ? nil : size
    }

    /// The next sizes of old sets that shrink now. Pods that do no work go first, whichever set they belong to:
    /// losing them costs no availability.
    static func sizesOfOldSets(_ state: DeploymentState) -> [(index: Int, size: Int)] {
        let old = state.oldIndices.filter { state.sets[$0].wantedReplicas > 0 }
        if old.isEmpty { return [] }
        let minimum = state.replicas - state.maxUnavailable
        let newUnavailable =
            (state.newSet?.wantedReplicas ?? 0) - (state.newSet?.number("status", "availableReplicas") ?? 0)
        let most = state.totalReplicas - minimum - newUnavailable
        if most <= 0 { return [] }
        var sizes = Dictionary(uniqueKeysWithValues: old.map { ($0, state.sets[$0].wantedReplicas) })
        var taken = 0
        for index in old where taken < most {
            let size = sizes[index] ?? 0
            let available = state.sets[index].number("status", "availableReplicas") ?? 0
            let idle = min(most - taken, size - available)
            if idle <= 0 { continue }
            sizes[index] = size - idle
            taken += idle
        }
        var spare = state.lastingReplicas - minimum
        for index in old where spare > 0 {
            let step = min(sizes[index] ?? 0, spare)
            sizes[index, default: 0] -= step
            spare -= step
        }
        return old.compactMap { index in
            sizes[index].flatMap { $0 == state.sets[index].wantedReplicas ? nil : (index, $0) }
        }
    }
}
