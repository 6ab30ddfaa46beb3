import Basics
import Document

/// `status` of a pod, field by field as Kubernetes's node agent writes it.
struct PodStatusBuilder {
    let lifecycle: PodLifecycle
    let hostIPs: [IPAddress]
    let now: Timestamp
    /// The status as last written or read, which transition times are taken from. Only our own conditions
    /// are built; those of others stay on the server as they are.
    let previous: Document

    private var pod: Document { lifecycle.pod }

    func build() -> Document {
        var status = previous.isObject ? previous : .emptyObject
        let containers = ContainerStatusBuilder(lifecycle: lifecycle, now: now)
        let phase = self.phase
        status["phase"] = Document(phase)
        if phase == "Failed", let failure = lifecycle.failure {
            status["reason"] = Document(failure.reason)
            status["message"] = Document(failure.message)
        }
        if let generation = pod.number("metadata", "generation") {
            status["observedGeneration"] = Document(generation)
        }
        if let first = hostIPs.first {
            status["hostIP"] = Document(first.description)
            status["hostIPs"] = Document(hostIPs.map { ["ip": Document($0.description)] as Document })
        }
        let addresses = pod.flag("spec", "hostNetwork") == true ? hostIPs : lifecycle.addresses
        if lifecycle.isSandboxReady, let first = addresses.first {
            status["podIP"] = Document(first.description)
            status["podIPs"] = Document(addresses.map { ["ip": Document($0.description)] as Document })
        }
        status["startTime"] = Document(lifecycle.startTime.description)
        status["qosClass"] = Document(previous.text("qosClass") ?? QualityOfService(pod).rawValue)
        for (member, list) in [
            ("initContainerStatuses", "initContainers"), ("containerStatuses", "containers"),
            ("ephemeralContainerStatuses", "ephemeralContainers"),
        ] {
            let statuses = lifecycle.isRejected ? [] : containers.statuses(of: list)
            if !statuses.isEmpty { status[member] = Document(statuses) }
        }
        status["conditions"] = Document(conditions(phase: phase))
        return status
    }

    // MARK: Phase

    var phase: String {
        let records = lifecycle.containers
        // A terminal phase is never taken back, and never given while something runs.
        if let before = previous.text("phase"), before == "Succeeded" || before == "Failed" { return before }
        if !records.contains(where: { $0.isRunning || $0.starting }) {
            if lifecycle.failure != nil { return "Failed" }
            if let outcome = lifecycle.outcome { return outcome }
        }
        if records.contains(where: { $0.role == .initial && !$0.isReady }), !lifecycle.initialized {
            return isEnded ? "Failed" : "Pending"
        }
        let mains = records.filter { $0.role == .main }
        let hasRun = mains.filter { $0.isRunning || $0.termination != nil || $0.lastTermination != nil }
        if isEnded {
            let ends = mains.compactMap(\.termination)
            return ends.count == mains.count && ends.allSatisfy(\.succeeded) ? "Succeeded" : "Failed"
        }
        return hasRun.count == mains.count && !mains.isEmpty ? "Running" : "Pending"
    }

    /// The pod was ended from outside and no process of it is left.
    private var isEnded: Bool {
        lifecycle.stage != .alive && lifecycle.stage != .stopping
    }

    // MARK: Conditions

    private func conditions(phase: String) -> [Document] {
        let isOver = phase == "Succeeded" || phase == "Failed"
        let initials = lifecycle.containers.filter { $0.role == .initial || $0.role == .sidecar }
        let incomplete = initials.filter {
            !lifecycle.initialized && ($0.role == .sidecar ? !$0.isStarted : !$0.isReady)
        }
        let unready = lifecycle.containers.filter {
            ($0.role == .main || $0.role == .sidecar) && !$0.isReady
        }
        let isComplete = phase == "Succeeded"
        var readiness = Verdict(
            unready.isEmpty && !isOver,
            isComplete ? "PodCompleted" : phase == "Failed" ? "PodFailed" : "ContainersNotReady",
            isOver ? "" : "containers with unready status: [\(unready.map(\.name).joined(separator: " "))]")
        let containersReady = readiness
        let missingGates = pod.list("spec", "readinessGates").compactMap { $0.text("conditionType") }.filter { gate in
            !pod.list("status", "conditions").contains { $0.text("type") == gate && $0.text("status") == "True" }
        }
        if readiness.holds, !missingGates.isEmpty {
            let parts = missingGates.map { "corresponding condition of pod readiness gate \"\($0)\" does not exist." }
            readiness = Verdict(false, "ReadinessGatesNotReady", parts.joined(separator: ", "))
        }
        let verdicts: [(String, Verdict)] = [
            ("PodReadyToStartContainers", Verdict(lifecycle.isSandboxReady, "", "")),
            (
                "Initialized",
                isComplete
                    ? Verdict(true, "PodCompleted", "", always: true)
                    : Verdict(
                        incomplete.isEmpty && (lifecycle.initialized || initials.isEmpty), "ContainersNotInitialized",
                        "containers with incomplete status: [\(incomplete.map(\.name).joined(separator: " "))]")
            ),
            ("Ready", readiness),
            ("ContainersReady", containersReady),
            ("PodScheduled", Verdict(true, "", "")),
        ]
        return verdicts.map { condition($0.0, $0.1) } + resizeConditions
            + (lifecycle.failure?.isDisruption == true
                ? [
                    condition(
                        "DisruptionTarget",
                        Verdict(true, "TerminationByKubelet", lifecycle.failure?.message ?? "", always: true))
                ] : [])
    }

    /// There only while they hold.
    private var resizeConditions: [Document] {
        var result: [Document] = []
        if let pending = lifecycle.resizing.pending {
            var entry = condition("PodResizePending", Verdict(true, pending.reason, pending.message, always: true))
            entry["observedGeneration"] = Document(pending.generation)
            result.append(entry)
        }
        if let progress = lifecycle.resizing.progress {
            let verdict = Verdict(true, progress.problem == nil ? "" : "Error", progress.problem ?? "", always: true)
            var entry = condition("PodResizeInProgress", verdict)
            entry["observedGeneration"] = Document(progress.generation)
            result.append(entry)
        }
        return result
    }

    private struct Verdict {
        var holds: Bool
        var reason: String
        var message: String

        /// Reason and message belong to what does not hold, unless `always`.
        init(_ holds: Bool, _ reason: String, _ message: String, always: Bool = false) {
            self.holds = holds
            self.reason = holds && !always ? "" : reason
            self.message = holds && !always ? "" : message
        }
    }

    private func condition(_ type: String, _ verdict: Verdict) -> Document {
        let before = previous.list("conditions").first { $0.text("type") == type }
        let status = verdict.holds ? "True" : "False"
        let since = before?.text("status") == status ? before?.text("lastTransitionTime") : nil
        var result: Document = ["type": Document(type), "status": Document(status)]
        if let generation = pod.number("metadata", "generation") {
            result["observedGeneration"] = Document(generation)
        }
        result["lastTransitionTime"] = Document(since ?? now.description)
        if !verdict.reason.isEmpty { result["reason"] = Document(verdict.reason) }
        if !verdict.message.isEmpty { result["message"] = Document(verdict.message) }
        return result
    }
}

/// How much a pod's resources are guaranteed, which decides its cgroup and who dies first when memory runs out.
enum QualityOfService: String, Sendable {
    case guaranteed = "Guaranteed"
    case burstable = "Burstable"
    case bestEffort = "BestEffort"

    init(_ pod: Document) {
        // What the pod says as a whole takes the place of what its containers say.
        let whole = pod.at("spec", "resources") ?? .emptyObject
        let asWhole = (whole["requests"]?.count ?? 0) + (whole["limits"]?.count ?? 0) > 0
        let containers =
            asWhole
            ? [["resources": whole] as Document] : pod.list("spec", "containers") + pod.list("spec", "initContainers")
        var any = false
        var all = true
        for container in containers {
            for resource in ["cpu", "memory"] {
                let limit = Quantity.milli(container.at("resources", "limits", resource)) ?? 0
                let request = Quantity.milli(container.at("resources", "requests", resource)) ?? limit
                if limit > 0 || request > 0 { any = true }
                if limit == 0 || request != limit { all = false }
            }
        }
        self = !any ? .bestEffort : all ? .guaranteed : .burstable
    }
}
