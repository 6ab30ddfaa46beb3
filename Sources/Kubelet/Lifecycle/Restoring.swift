import Basics
import Document
import Runtime

/// A sandbox that was found alive when the node agent came back.
struct FoundSandbox: Sendable {
    var addresses: [IPAddress]
    var processes: [ObservedProcess]
}

extension PodLifecycle {
    /// Rebuilds a pod's state from its object and, if there is one, its living sandbox. `hasRemains`: something of it
    /// is on the node without one, since the agent ended before everything was removed.
    init(pod: Document, found: FoundSandbox?, hasRemains: Bool = false, now: Timestamp) {
        self.pod = pod
        startTime = pod.text("status", "startTime").flatMap { Timestamp(rfc3339: $0) } ?? now
        for (member, role) in [
            ("initContainers", ContainerRole.initial), ("containers", .main), ("ephemeralContainers", .ephemeral),
        ] {
            for entry in pod.list("spec", member) {
                guard let name = entry.text("name") else { continue }
                let isSidecar = role == .initial && entry.text("restartPolicy") == "Always"
                containers.append(ContainerRecord(name: name, role: isSidecar ? .sidecar : role))
            }
        }
        let phase = pod.text("status", "phase")
        if phase == "Failed", let reason = pod.text("status", "reason") {
            failure = PodFailure(reason: reason, message: pod.text("status", "message") ?? "")
        }
        for index in containers.indices { restore(index, hasSandbox: found != nil, now: now) }
        resizing = ResizeState(pod)
        if let found {
            sandbox = .ready
            addresses = found.addresses
            adoptProcesses(found.processes, now: now)
        }
        initialized =
            found != nil
            && pod.list("status", "conditions").contains {
                $0.text("type") == "Initialized" && $0.text("status") == "True"
            }
        if found == nil, phase == "Succeeded" || phase == "Failed" {
            stage = hasRemains ? .stopping : .clean
            wasOverAtFirst = true
            initialized = true
        }
    }

    private func reportedStatus(of name: String) -> Document? {
        for member in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
            if let found = pod.list("status", member).first(where: { $0.text("name") == name }) { return found }
        }
        return nil
    }

    /// What the API server remembers of the container.
    private mutating func restore(_ index: Int, hasSandbox: Bool, now: Timestamp) {
        guard let reported = reportedStatus(of: containers[index].name) else { return }
        let restarts = reported.number("restartCount") ?? 0
        let ran = !(reported.text("containerID") ?? "").isEmpty
        containers[index].restartCount = restarts
        containers[index].attempt = ran ? restarts : restarts - 1
        containers[index].lastTermination = reported.at("lastState", "terminated").map(Termination.init(reported:))
        if let end = reported.at("state", "terminated") {
            containers[index].phase = .terminated(Termination(reported: end))
        } else if reported.at("state", "running") != nil {
            let startedAt = reported.text("state", "running", "startedAt").flatMap { Timestamp(rfc3339: $0) } ?? now
            containers[index].phase = .running(pid: 0, startedAt: startedAt)
            if !hasSandbox { containers[index].phase = .terminated(lostProcess(index, now: now)) }
        } else if let end = containers[index].lastTermination, ran {
            // It was waiting to be started again.
            containers[index].phase = .terminated(end)
            if reported.text("state", "waiting", "reason") == "CrashLoopBackOff" {
                containers[index].backoff = Self.firstBackoff
                containers[index].backoffSetAt = end.finishedAt
            }
        }
    }

    /// The supervisor knows better than the API server what runs and how it ended.
    private mutating func adoptProcesses(_ processes: [ObservedProcess], now: Timestamp) {
        for index in containers.indices {
            let own = processes.compactMap { process in
                ProcessName(process.status.id).flatMap { name in
                    name.container == containers[index].name ? (name.attempt, process) : nil
                }
            }.sorted { $0.0 < $1.0 }
            guard let (attempt, newest) = own.last, attempt >= containers[index].attempt else {
                if containers[index].isRunning {
                    containers[index].phase = .terminated(lostProcess(index, now: now))
                }
                continue
            }
            adopt(index, attempt: attempt, newest, now: now)
        }
    }

    private mutating func adopt(_ index: Int, attempt: Int, _ process: ObservedProcess, now: Timestamp) {
        let reported = reportedStatus(of: containers[index].name)
        if attempt > containers[index].attempt, let end = containers[index].termination {
            containers[index].lastTermination = end
        }
        containers[index].attempt = attempt
        containers[index].restartCount = attempt
        let startedAt = Timestamp(nanoseconds: process.status.startedAtNanoseconds)
        switch process.status.state {
        case .running(let pid):
            containers[index].phase = .running(pid: pid, startedAt: startedAt)
            containers[index].startedReference = specification(of: containers[index].name)?.text("image")
            startProbes(index, now: now)
            // Readiness carries over, so that a restart of the node agent does not empty any service.
            if reported?.flag("started") == true { containers[index].probes[.startup]?.verdict = true }
            if reported?.flag("ready") == true { containers[index].probes[.readiness]?.verdict = true }
        case .exited(let code, let signal, let at, let outOfMemory):
            containers[index].phase = .terminated(
                Self.termination(
                    code: code, signal: signal, at: at, outOfMemory: outOfMemory, message: process.message,
                    startedAt: startedAt, containerID: containerID(index)))
        case .backingOff: break
        }
    }
}

extension Termination {
    /// Reads a `ContainerStateTerminated`.
    init(reported: Document) {
        self.init(
            exitCode: reported.number("exitCode") ?? 0, signal: reported.number("signal"),
            reason: reported.text("reason") ?? "", message: reported.text("message"),
            startedAt: reported.text("startedAt").flatMap { Timestamp(rfc3339: $0) },
            finishedAt: reported.text("finishedAt").flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(seconds: 0),
            containerID: reported.text("containerID") ?? "")
    }
}
