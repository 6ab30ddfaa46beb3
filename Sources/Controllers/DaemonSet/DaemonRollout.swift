import Document

/// Replacing the pods of old templates.
extension DaemonSetState {
    func rollOut() -> DaemonWork {
        guard set.text("spec", "updateStrategy", "type") == "RollingUpdate" else { return DaemonWork() }
        return maxSurge == 0 ? replace() : surge()
    }

    /// The nodes that have a pod or should have one.
    private var concerned: [String] {
        Swift.Set(pods.keys).union(nodes.lazy.map(\.name).filter { shouldRun(on: $0) }).sorted()
    }

    private enum Present {
        /// More than one of a kind, which placing takes care of.
        case excess
        case pods(new: Document?, old: Document?)
    }

    private func present(on node: String) -> Present {
        let present = (pods[node] ?? []).filter { !$0.isTerminating }
        let new = present.filter(isNew)
        let old = present.filter { !isNew($0) }
        return new.count > 1 || old.count > 1 ? .excess : .pods(new: new.first, old: old.first)
    }

    /// Deletes old pods, so that no more than `maxUnavailable` nodes are without; those that are not available anyway
    /// go at once. Their successors are a matter of placing.
    private func replace() -> DaemonWork {
        var unavailable = 0
        var broken: [Document] = []
        var candidates: [Document] = []
        for node in concerned {
            switch present(on: node) {
            case .pods(let new?, nil):
                if !isAvailable(new) { unavailable += 1 }
            case .pods(nil, let old?):
                if isAvailable(old) {
                    candidates.append(old)
                } else {
                    broken.append(old)
                    unavailable += 1
                }
            default: unavailable += 1
            }
        }
        return DaemonWork(deletions: broken + candidates.prefix(max(0, maxUnavailable - unavailable)))
    }

    /// Makes new pods beside the old ones, no more than `maxSurge` at a time besides those for old pods that are not
    /// available, and deletes each old pod once the new one is.
    private func surge() -> DaemonWork {
        var surging = 0
        var available = 0
        var work = DaemonWork()
        var candidates: [String] = []
        var misplaced: [Document] = []
        for node in concerned {
            guard case .pods(let new, let old) = present(on: node) else {
                surging += 1
                continue
            }
            if let counted = old ?? new, isAvailable(counted) { available += 1 }
            switch (new, old) {
            case (let new?, let old?):
                if isAvailable(new) { work.deletions.append(old) } else { surging += 1 }
            case (nil, let old?) where !shouldRun(on: node):
                if isAvailable(old) { misplaced.append(old) } else { work.deletions.append(old) }
            case (nil, let old?):
                if isAvailable(old) { candidates.append(node) } else { work.nodes.append(node) }
            default: break
            }
        }
        // On nodes that are not to run it any more, the last available pods stay until others stand in for them.
        work.deletions += misplaced.prefix(max(0, available - desired))
        work.nodes += candidates.prefix(max(0, maxSurge - surging))
        return work
    }
}
