import Document

/// When a container that has ended is started again: its own rules by exit code, then its own policy, then the pod's.
struct RestartRules: Sendable {
    enum Verdict: Sendable, Equatable {
        case restart, stay
        /// The whole pod begins anew, init containers and all.
        case restartPod
    }

    let podPolicy: String

    func verdict(_ container: Document?, _ role: ContainerRole, exitCode: Int) -> Verdict {
        if role == .ephemeral { return .stay }
        for rule in container?.list("restartPolicyRules") ?? [] where Self.matches(rule, exitCode) {
            switch rule.text("action") {
            case "Restart": return .restart
            case "RestartAllContainers": return .restartPod
            default: break
            }
        }
        let policy = container?.text("restartPolicy") ?? podPolicy
        switch role {
        case .sidecar: return .restart
        // What has prepared the pod need not do it again.
        case .initial: return exitCode != 0 && policy != "Never" ? .restart : .stay
        default: return policy == "Always" || (policy != "Never" && exitCode != 0) ? .restart : .stay
        }
    }

    private static func matches(_ rule: Document, _ exitCode: Int) -> Bool {
        let values = rule.list("exitCodes", "values").compactMap(\.int)
        switch rule.text("exitCodes", "operator") {
        case "In": return values.contains(exitCode)
        case "NotIn": return !values.contains(exitCode)
        default: return false
        }
    }
}
