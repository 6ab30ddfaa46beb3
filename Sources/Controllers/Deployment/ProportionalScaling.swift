import Document

extension DeploymentState {
    /// Follows a change of the total outside a rollout, or in the middle of one.
    mutating func scale(_ plan: inout Plan) {
        if let only = onlyActiveOrLatest {
            resize(at: only, to: replicas, &plan)
        } else if isNewSetSaturated {
            for index in oldIndices where sets[index].wantedReplicas > 0 { resize(at: index, to: 0, &plan) }
        } else if deployment.text("spec", "strategy", "type") != "Recreate" {
            for (index, size) in shares { resize(at: index, to: size, &plan) }
        }
    }

    /// The one set that has pods; where none has any, the new set or else the newest old one.
    private var onlyActiveOrLatest: Int? {
        let active = sets.indices.filter { sets[$0].wantedReplicas > 0 }
        switch active.count {
        case 0: return newIndex ?? sets.indices.last
        case 1: return active[0]
        default: return nil
        }
    }

    private var isNewSetSaturated: Bool {
        guard let set = newSet else { return false }
        return set.wantedReplicas == replicas
            && set.annotations[DeploymentLabel.desired] == String(replicas)
            && (set.number("status", "availableReplicas") ?? 0) == replicas
    }

    /// The new total divided among the sets as the present one is. What rounding leaves goes to the largest.
    private var shares: [(index: Int, size: Int)] {
        let active = sets.indices.filter { sets[$0].wantedReplicas > 0 }
        let total = active.reduce(0) { $0 + sets[$1].wantedReplicas }
        let toAdd = (replicas > 0 ? replicas + maxSurge : 0) - total
        // Larger first; of equals the newer when growing, the older when shrinking.
        let ordered = active.sorted { a, b in
            let (sizeA, sizeB) = (sets[a].wantedReplicas, sets[b].wantedReplicas)
            return sizeA != sizeB ? sizeA > sizeB : toAdd > 0 ? a > b : a < b
        }
        var added = 0
        var sizes: [(index: Int, size: Int)] = []
        for index in ordered {
            let change = toAdd == added ? 0 : share(of: index, limit: toAdd - added)
            added += change
            sizes.append((index, sets[index].wantedReplicas + change))
        }
        if !sizes.isEmpty { sizes[0].size = max(0, sizes[0].size + toAdd - added) }
        return sizes
    }

    private func share(of index: Int, limit: Int) -> Int {
        let size = sets[index].wantedReplicas
        if replicas == 0 { return max(-size, limit) }
        let before =
            sets[index].annotations[DeploymentLabel.maximum].flatMap { Int($0) }
            ?? deployment.number("status", "replicas") ?? 0
        guard before > 0 else { return 0 }
        // Rounded half up.
        let change = (2 * size * (replicas + maxSurge) + before) / (2 * before) - size
        return limit > 0 ? min(change, limit) : max(change, limit)
    }
}
