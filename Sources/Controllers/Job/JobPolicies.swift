import Document

/// What a job's `podFailurePolicy` says about a failed pod.
struct PodFailureVerdict: Sendable, Equatable {
    /// Nil where no rule matches.
    var action: String?
    /// Counts against the back-off limits.
    var counts = true
    /// Why the whole job fails, where it does.
    var jobFailure: String?

    init(_ policy: Document?, pod: Document) {
        for (index, rule) in (policy?.list("rules") ?? []).enumerated() {
            let action = rule.text("action") ?? ""
            let subject: String
            if let codes = rule["onExitCodes"], codes.isObject {
                guard let container = Self.container(of: pod, exiting: codes) else { continue }
                subject =
                    "Container \(container.text("name") ?? "") for pod \(pod.namespace ?? "")/\(pod.name) failed with "
                    + "exit code \(container.number("state", "terminated", "exitCode") ?? 0)"
            } else if let condition = Self.condition(of: pod, rule.list("onPodConditions")) {
                subject = "Pod \(pod.namespace ?? "")/\(pod.name) has condition \(condition)"
            } else {
                continue
            }
            guard ["Ignore", "Count", "FailIndex", "FailJob"].contains(action) else { continue }
            self.action = action
            counts = action != "Ignore"
            if action == "FailJob" { jobFailure = "\(subject) matching FailJob rule at index \(index)" }
            return
        }
    }

    private static func container(of pod: Document, exiting codes: Document) -> Document? {
        let values = codes.list("values").compactMap(\.int)
        let name = codes.text("containerName")
        let statuses = pod.list("status", "containerStatuses") + pod.list("status", "initContainerStatuses")
        return statuses.first { status in
            guard let code = status.number("state", "terminated", "exitCode"), code != 0,
                name == nil || name == status.text("name")
            else { return false }
            switch codes.text("operator") {
            case "In": return values.contains(code)
            case "NotIn": return !values.contains(code)
            default: return false
            }
        }
    }

    private static func condition(of pod: Document, _ patterns: [Document]) -> String? {
        pod.list("status", "conditions").first { condition in
            patterns.contains {
                $0.text("type") == condition.text("type") && $0.text("status") == condition.text("status")
            }
        }?.text("type")
    }
}

enum SuccessPolicy {
    /// The first rule that the indexes fulfil.
    static func fulfilled(_ policy: Document?, completions: Int, succeeded: CompletionIndexes) -> Int? {
        if succeeded.isEmpty { return nil }
        return (policy?.list("rules") ?? []).firstIndex { rule in
            let wanted = rule.number("succeededCount")
            guard let text = rule.text("succeededIndexes") else { return wanted.map { succeeded.count >= $0 } ?? false }
            let required = CompletionIndexes(parsing: text, completions: completions)
            if required.isEmpty { return false }
            let reached = required.overlap(with: succeeded)
            return reached == required.count || wanted.map { reached >= $0 } ?? false
        }
    }
}
