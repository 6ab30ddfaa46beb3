import Basics
import Document
import Images
import Runtime

/// What happens to single containers.
extension PodLifecycle {
    mutating func observe(_ observed: [ObservedProcess], now: Timestamp) {
        for process in observed {
            guard let name = ProcessName(process.status.id), let index = index(of: name.container),
                name.attempt == containers[index].attempt
            else { continue }
            if case .exited(let code, let signal, let at, let outOfMemory) = process.status.state {
                // The exit may be seen before the answer to the start that led to it.
                if case .terminated(let end) = containers[index].phase, !containers[index].starting,
                    end.containerID == containerID(index)
                {
                    continue
                }
                let end = Self.termination(
                    code: code, signal: signal, at: at, outOfMemory: outOfMemory, message: process.message,
                    startedAt: Timestamp(nanoseconds: process.status.startedAtNanoseconds),
                    containerID: containerID(index))
                ended(index, end, now: now)
            }
        }
    }

    static func termination(
        code: Int32, signal: Int32?, at: Int64, outOfMemory: Bool, message: String?, startedAt: Timestamp?,
        containerID: String
    ) -> Termination {
        let exitCode = signal.map { 128 + Int($0) } ?? Int(code)
        let reason = outOfMemory ? "OOMKilled" : exitCode == 0 ? "Completed" : "Error"
        return Termination(
            exitCode: exitCode, signal: signal.map { Int($0) }, reason: reason,
            message: message.flatMap { $0.isEmpty ? nil : $0 }, startedAt: startedAt,
            finishedAt: Timestamp(nanoseconds: at), containerID: containerID)
    }

    func containerID(_ index: Int) -> String { containerID(containers[index].name, containers[index].attempt) }

    func containerID(_ name: String, _ attempt: Int) -> String { "lab://\(uid)/\(name)/\(attempt)" }

    mutating func ended(_ index: Int, _ end: Termination, now: Timestamp) {
        if let previous = containers[index].termination { containers[index].lastTermination = previous }
        containers[index].phase = .terminated(end)
        containers[index].starting = false
        containers[index].restartCount = max(containers[index].restartCount, containers[index].attempt)
        containers[index].stop = nil
        containers[index].probes = [:]
        containers[index].postStartPending = false
        forgetOldAttempt(index)
        let name = containers[index].name
        if containers[index].image.image != nil, specification(of: name)?.text("imagePullPolicy") == "Always" {
            containers[index].image = .unknown
        }
        if stage == .alive, restartVerdict(index, end) == .restartPod { isStartingOver = true }
        if stage == .alive, let backoff = containers[index].backoff, end.finishedAt + backoff > now,
            willRestart(index)
        {
            warn(
                "BackOff", "Back-off restarting failed container \(name) in pod \(self.name)_\(namespace)(\(uid))",
                container: name)
        }
    }

    /// Two attempts are kept: the newest, and the one `kubectl logs --previous` and `lastState` speak of.
    private mutating func forgetOldAttempt(_ index: Int) {
        let old = containers[index].attempt - 2
        if old >= 0 {
            pending.append(.forget(process: ProcessName(container: containers[index].name, attempt: old).text))
        }
    }

    func willRestart(_ index: Int) -> Bool {
        guard let end = containers[index].termination else { return true }
        return restartVerdict(index, end) != .stay || resizing.restarting.contains(containers[index].name)
    }

    func restartVerdict(_ index: Int, _ end: Termination) -> RestartRules.Verdict {
        let record = containers[index]
        return RestartRules(podPolicy: restartPolicy).verdict(
            specification(of: record.name), record.role, exitCode: end.exitCode)
    }

    mutating func began(_ name: String, attempt: Int, pid: Int32, now: Timestamp) {
        guard let index = index(of: name), containers[index].attempt == attempt, containers[index].starting else {
            return
        }
        if let previous = containers[index].termination { containers[index].lastTermination = previous }
        containers[index].phase = .running(pid: pid, startedAt: now)
        containers[index].starting = false
        containers[index].startProblem = nil
        containers[index].retryStartAt = nil
        containers[index].restartCount = attempt
        containers[index].startedImage = containers[index].image.image
        if let granted = resizing.granted[name] { resizing.applied[name] = granted }
        resizing.restarting.remove(name)
        let specification = specification(of: name)
        startProbes(index, now: now)
        if specification?.at("lifecycle", "postStart") != nil {
            containers[index].postStartPending = true
            pending.append(.runHook(container: name, attempt: attempt, .postStart))
        }
        pending.append(
            .event(type: "Normal", reason: "Started", message: "Container started", container: name))
    }

    mutating func failedToStart(_ name: String, attempt: Int, _ problem: StartProblem, now: Timestamp) {
        guard let index = index(of: name), containers[index].attempt == attempt, containers[index].starting else {
            return
        }
        containers[index].starting = false
        if let exitCode = problem.exitCode {
            let end = Termination(
                exitCode: exitCode, signal: nil, reason: "ContainerCannotRun", message: problem.message,
                startedAt: now, finishedAt: now, containerID: containerID(index))
            ended(index, end, now: now)
            containers[index].startProblem = (problem.reason, problem.message)
        } else {
            containers[index].attempt -= 1
            // What is missing may appear at any time; the wait is short and constant, as upstream's.
            containers[index].retryStartAt = now + .seconds(2)
            let known = containers[index].startProblem
            containers[index].startProblem = (problem.reason, problem.message)
            if let known, known == (problem.reason, problem.message) { return }
        }
        warn("Failed", "Error: \(problem.message)", container: name)
    }

    mutating func apply(image result: Result<Image, StartProblem>, container name: String, now: Timestamp) {
        guard let index = index(of: name) else { return }
        announcedImagePauses.remove(name)
        switch result {
        case .success(let image):
            containers[index].image = .ready(image)
            imagePauses[name] = nil
        case .failure(let problem):
            let pause = imagePauses[name].map { min($0 * 2, Self.longestBackoff) } ?? Self.firstBackoff
            imagePauses[name] = pause
            containers[index].image = .failed(
                reason: problem.reason, message: problem.message, retryAt: now + pause, pause: pause)
            warn("Failed", "Error: \(problem.reason)", container: name)
        }
    }

    // MARK: Stopping

    mutating func beginStop(_ index: Int, grace: Duration, now: Timestamp, why: String) {
        beginStop(index, deadline: now + grace, now: now, why: why)
    }

    mutating func beginStop(_ index: Int, deadline: Timestamp, now: Timestamp, why: String) {
        let record = containers[index]
        pending.append(.event(type: "Normal", reason: "Killing", message: why, container: record.name))
        let hasHook = specification(of: record.name)?.at("lifecycle", "preStop") != nil && deadline > now
        containers[index].stop = StopState(deadline: deadline, stage: hasHook ? .hook : .term)
        if hasHook {
            pending.append(.runHook(container: record.name, attempt: record.attempt, .preStop))
        } else if deadline > now {
            pending.append(.terminate(container: record.name, attempt: record.attempt))
        }
    }

    mutating func advanceStops(now: Timestamp) {
        for index in containers.indices {
            guard let stop = containers[index].stop, containers[index].isRunning else { continue }
            if now >= stop.deadline {
                // SIGKILL is repeated: the first may have met a supervisor that was just being found again.
                containers[index].stop = StopState(deadline: now + .seconds(5), stage: .kill)
                pending.append(.signal(process: containers[index].processID, 9))
                wake(at: now + .seconds(5))
            } else {
                wake(at: stop.deadline)
            }
        }
    }

    mutating func finishedHook(_ name: String, attempt: Int, _ kind: HookKind, problem: String?, now: Timestamp) {
        guard let index = index(of: name), containers[index].attempt == attempt, containers[index].isRunning else {
            return
        }
        if problem != nil { warn("Failed\(kind.rawValue)Hook", "\(kind.rawValue)Hook failed", container: name) }
        switch kind {
        case .postStart:
            containers[index].postStartPending = false
            if problem != nil, containers[index].stop == nil {
                beginStop(index, grace: gracePeriod, now: now, why: "FailedPostStartHook")
            }
        case .preStop:
            guard var stop = containers[index].stop, stop.stage == .hook else { return }
            stop.stage = .term
            // As upstream: a hook that used up the time leaves two seconds for the signal to work.
            stop.deadline = max(stop.deadline, now + .seconds(2))
            containers[index].stop = stop
            pending.append(.terminate(container: name, attempt: attempt))
        }
    }

    // MARK: Probes

    mutating func startProbes(_ index: Int, now: Timestamp) {
        containers[index].probes = [:]
        guard containers[index].role == .main || containers[index].role == .sidecar,
            let specification = specification(of: containers[index].name)
        else { return }
        for kind in ProbeKind.allCases {
            guard let probe = specification[kind.member], probe.isObject else { continue }
            containers[index].probes[kind] = ProbeState(kind, probe, now: now)
        }
    }

    mutating func issueProbes(now: Timestamp) {
        guard stage == .alive || stage == .stopping else { return }
        for index in containers.indices where containers[index].isRunning {
            let started = containers[index].isStarted
            for kind in ProbeKind.allCases {
                guard let state = containers[index].probes[kind], !state.inFlight else { continue }
                if kind == .startup ? started : !started { continue }
                // Only readiness matters to a container that is going away.
                if kind != .readiness, stage != .alive || containers[index].stop != nil { continue }
                guard isDue(state.due, now: now) else { continue }
                containers[index].probes[kind]?.inFlight = true
                pending.append(
                    .probe(container: containers[index].name, attempt: containers[index].attempt, kind))
            }
        }
    }

    mutating func answered(
        _ name: String, attempt: Int, _ kind: ProbeKind, _ result: ProbeResult, now: Timestamp
    ) {
        guard let index = index(of: name), containers[index].attempt == attempt, containers[index].isRunning,
            let changed = containers[index].probes[kind]?.count(result, now: now)
        else { return }
        switch result {
        case .success: break
        case .warning(let why): warn("ProbeWarning", "\(kind.title) probe warning: \(why)", container: name)
        case .failure(let why): warn("Unhealthy", "\(kind.title) probe failed: \(why)", container: name)
        }
        let verdict = containers[index].probes[kind]?.verdict
        guard changed, verdict == false, kind != .readiness, containers[index].stop == nil, stage == .alive else {
            return
        }
        let own = specification(of: name)?.number(kind.member, "terminationGracePeriodSeconds")
        let restarts =
            RestartRules(podPolicy: restartPolicy).verdict(
                specification(of: name), containers[index].role, exitCode: 137) != .stay
        let remedy = restarts ? ", will be restarted" : ""
        beginStop(
            index, grace: own.map { .seconds($0) } ?? gracePeriod, now: now,
            why: "Container \(name) failed \(kind.rawValue) probe\(remedy)")
    }

    // MARK: The sandbox's death

    /// Nobody saw how the processes ended: they died with their supervisor, by SIGKILL.
    mutating func loseSandbox(now: Timestamp) {
        for index in containers.indices {
            if containers[index].isRunning { ended(index, lostProcess(index, now: now), now: now) }
        }
        if sandbox == .ready { sandbox = .none }
        guard stage == .alive, outcome == nil else { return }
        initialized = false
        for index in containers.indices where containers[index].role == .initial {
            guard let end = containers[index].termination else { continue }
            containers[index].lastTermination = end
            containers[index].phase = .waiting
        }
        pending.append(
            .event(
                type: "Normal", reason: "SandboxChanged",
                message: "Pod sandbox changed, it will be killed and re-created.", container: nil))
    }

    func lostProcess(_ index: Int, now: Timestamp) -> Termination {
        var startedAt: Timestamp?
        if case .running(_, let started) = containers[index].phase { startedAt = started }
        return Termination(
            exitCode: 137, signal: 9, reason: "Error", message: "The pod's sandbox died and the container with it.",
            startedAt: startedAt, finishedAt: now, containerID: containerID(index))
    }
}
