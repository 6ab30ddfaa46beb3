/// Why a pod has no node.
struct Diagnosis: Sendable {
    var nodeCount = 0
    /// Said about the pod as a whole, before any node was looked at.
    var refusal: Rejection?
    /// By node slot.
    var rejections: [(slot: Int, rejection: Rejection)] = []
    /// Nodes that were not looked at because plug-ins named the ones that matter.
    var unnamedNodes = 0
    var namingPlugins: [String] = []
    /// What was said after trying to make room.
    var afterthought = ""

    /// An event that may change the mind of one of these may help the pod.
    var plugins: Set<String> {
        var plugins = Set(namingPlugins)
        if let refusal { plugins.insert(refusal.plugin) }
        var last = ""
        for entry in rejections where entry.rejection.plugin != last {
            last = entry.rejection.plugin
            plugins.insert(last)
        }
        return plugins
    }

    var message: String {
        if nodeCount == 0 { return "no nodes available to schedule pods" }
        var text = "0/\(nodeCount) nodes are available:"
        if let refusal {
            text += " \(refusal.reasons.joined(separator: ", "))."
        } else {
            text += Self.summary(counts())
        }
        return afterthought.isEmpty ? text : "\(text) \(afterthought)"
    }

    private func counts() -> [String: Int] {
        var counts: [String: Int] = [:]
        for (_, rejection) in rejections { for reason in rejection.reasons { counts[reason, default: 0] += 1 } }
        if unnamedNodes > 0 {
            counts["node(s) didn't satisfy plugin(s) [\(namingPlugins.sorted().joined(separator: " "))]"] = unnamedNodes
        }
        return counts
    }

    /// ` 1 Insufficient cpu, 2 Too many pods.`, in the order of the texts.
    static func summary(_ counts: [String: Int]) -> String {
        let parts = counts.filter { $0.value > 0 }.map { "\($0.value) \($0.key)" }.sorted()
        return parts.isEmpty ? "" : " \(parts.joined(separator: ", "))."
    }
}

enum Decision {
    case bind(node: String)
    case unschedulable(Diagnosis)
    /// Nothing is wrong with the cluster, but the pod cannot be decided now.
    case failed(String)
}
