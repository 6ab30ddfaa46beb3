import Basics
import Document
import Images
import Runtime

/// One pod's life as a value: what happened goes in through `apply`, what shall be done comes out of `decide`.
///
/// It does no I/O and knows no clock; `nextWake` says when `decide` has something new to say even if
/// nothing happens until then.
struct PodLifecycle: Sendable {
    enum Stage: Sendable, Equatable {
        /// Containers are started and kept.
        case alive
        /// Containers are being ended; nothing is started any more.
        case stopping
        /// Sandbox, mounts and directories are being removed.
        case cleaning
        /// Nothing of the pod is left but its logs and, unless deleted, its object.
        case clean
        /// The API server is being told that nothing is left.
        case confirming
        case gone
    }

    enum Preparation: Sendable, Equatable {
        case none, underway, ready
        case failed(String, retryAt: Timestamp)
    }

    var pod: Document
    /// Init containers in their order, then the main ones, then the ephemeral ones.
    var containers: [ContainerRecord] = []
    var stage = Stage.alive
    var volumes = Preparation.none
    var sandbox = Preparation.none
    var addresses: [IPAddress] = []
    /// All init containers have succeeded since the sandbox was made.
    var initialized = false
    var startTime: Timestamp
    /// Why the pod failed as a whole: `DeadlineExceeded`, `Evicted`, or why the node did not take it.
    var failure: PodFailure?
    /// A rule of a container has all of them end and begin anew.
    var isStartingOver = false
    /// What the containers were granted, where that differs from what the pod asks for now.
    var resizing = ResizeState()
    var vanished = false
    /// The node never took the pod in.
    private(set) var isRejected = false
    /// The pod had ended, and nothing of it ran, before this agent first saw it.
    var wasOverAtFirst = false
    private(set) var nextWake: Timestamp?

    var pending: [PodAction] = []
    /// The last pause after a failed pull, by container.
    var imagePauses: [String: Duration] = [:]
    /// The image that each container asked for last.
    var wantedImages: [String: String] = [:]
    /// Containers whose present pause the user has been told of.
    var announcedImagePauses: Set<String> = []
    var stopDeadline: Timestamp?
    private var cleanRetryAt: Timestamp?
    private var confirmRetryAt: Timestamp?

    static let firstBackoff = Duration.seconds(10)
    static let longestBackoff = Duration.seconds(300)
    /// So long a failed pull is shown as itself before it becomes a back-off.
    static let pullErrorShown = Duration.seconds(2)

    var uid: String { pod.text("metadata", "uid") ?? "" }
    var name: String { pod.text("metadata", "name") ?? "" }
    var namespace: String { pod.text("metadata", "namespace") ?? "default" }
    var restartPolicy: String { pod.text("spec", "restartPolicy") ?? "Always" }
    var isDeleted: Bool { vanished || pod.text("metadata", "deletionTimestamp") != nil }
    var isSandboxReady: Bool { sandbox == .ready }

    // MARK: What happened

    mutating func apply(_ input: PodInput, now: Timestamp) {
        switch input {
        case .desired(let document): adopt(document)
        case .evict(let failure): evict(failure, now: now)
        case .resizeAnswered(let generation, let verdict): resizeAnswered(generation, verdict)
        case .resourcesApplied(let generation, let problem): resourcesApplied(generation, problem)
        case .roomFreed: resizing.isDeferred = false
        case .vanished: vanished = true
        case .volumesReady: volumes = .ready
        case .volumesFailed(let problem):
            volumes = .failed(problem, retryAt: now + .seconds(2))
            warn("FailedMount", problem)
        case .sandboxReady(let addresses):
            sandbox = .ready
            self.addresses = addresses
        case .sandboxFailed(let problem):
            sandbox = .failed(problem, retryAt: now + .seconds(2))
            warn("FailedCreatePodSandBox", "Failed to create pod sandbox: \(problem)")
        case .sandboxDied: loseSandbox(now: now)
        case .processes(let observed): observe(observed, now: now)
        case .image(let container, let result): apply(image: result, container: container, now: now)
        case .started(let container, let attempt, let pid, let user):
            began(container, attempt: attempt, pid: pid, now: now)
            if let index = index(of: container) { containers[index].user = user }
        case .startFailed(let container, let attempt, let problem):
            failedToStart(container, attempt: attempt, problem, now: now)
        case .hook(let container, let attempt, let kind, let problem):
            finishedHook(container, attempt: attempt, kind, problem: problem, now: now)
        case .probe(let container, let attempt, let kind, let result):
            answered(container, attempt: attempt, kind, result, now: now)
        case .cleanedUp:
            stage = .clean
            sandbox = .none
            volumes = .none
        case .cleanUpFailed(let problem):
            cleanRetryAt = now + .seconds(2)
            stage = .stopping
            warn("FailedKillPod", problem)
        case .deletionConfirmed: stage = .gone
        case .deletionFailed:
            stage = .clean
            confirmRetryAt = now + .seconds(1)
        }
    }

    /// This node does not take the pod: it has failed before anything of it was made.
    mutating func reject(_ failure: PodFailure) {
        self.failure = failure
        isRejected = true
        stage = .clean
        let said = failure.message.hasPrefix(Self.rejected) ? failure.message.dropFirst(Self.rejected.count) : ""
        warn(failure.reason, said.isEmpty ? failure.message : String(said))
    }

    private static let rejected = "Pod was rejected: "

    /// The pod has to go from this node; the latest moment is the failure's own.
    private mutating func evict(_ failure: PodFailure, now: Timestamp) {
        guard stage == .alive, self.failure == nil else { return }
        self.failure = failure
        if let grace = failure.grace { stopDeadline = min(stopDeadline ?? now + grace, now + grace) }
        warn(failure.reason, failure.message)
    }

    /// Ends what runs; once nothing does, everything is as it was before the first start, but for the counts.
    private mutating func startOver(now: Timestamp) {
        let running = containers.indices.filter { containers[$0].role != .ephemeral && containers[$0].isRunning }
        for index in running where containers[index].stop == nil {
            beginStop(
                index, grace: gracePeriod, now: now,
                why: "Container \(containers[index].name) ends because all containers of the pod are restarted")
        }
        guard running.isEmpty, !containers.contains(where: \.starting) else { return }
        for index in containers.indices where containers[index].role != .ephemeral {
            guard let end = containers[index].termination else { continue }
            // The one whose rule it was pauses as after any failure; the others wait for it or start at once.
            if restartVerdict(index, end) == .restartPod {
                let pause = containers[index].backoff ?? .zero
                containers[index].retryStartAt = end.finishedAt + pause
                containers[index].backoff = max(Self.firstBackoff, min(pause * 2, Self.longestBackoff))
                containers[index].backoffSetAt = now
            }
            containers[index].lastTermination = end
            containers[index].phase = .waiting
        }
        initialized = false
        isStartingOver = false
    }

    /// Takes a newer version of the pod; only what may change in a running pod is looked at.
    private mutating func adopt(_ document: Document) {
        pod = document
        for entry in document.list("spec", "ephemeralContainers") {
            guard let name = entry.text("name"), index(of: name) == nil else { continue }
            containers.append(ContainerRecord(name: name, role: .ephemeral))
        }
    }

    // MARK: What shall be done

    mutating func decide(now: Timestamp) -> [PodAction] {
        nextWake = nil
        checkDeadline(now: now)
        if stage == .alive, isDeleted || failure != nil || outcome != nil { stage = .stopping }
        if stage == .alive, isStartingOver { startOver(now: now) }
        if stage == .alive, !isStartingOver { startWhatIsMissing(now: now) }
        if stage == .stopping { stopEverything(now: now) }
        advanceStops(now: now)
        issueProbes(now: now)
        if stage == .clean, isDeleted {
            if vanished {
                stage = .gone
            } else if isDue(confirmRetryAt, now: now) {
                stage = .confirming
                pending.append(.confirmDeletion)
            }
        }
        defer { pending = [] }
        return pending
    }

    private mutating func checkDeadline(now: Timestamp) {
        guard stage == .alive, let seconds = pod.number("spec", "activeDeadlineSeconds") else { return }
        let deadline = startTime + .seconds(seconds)
        if now >= deadline {
            failure = PodFailure(
                reason: "DeadlineExceeded", message: "Pod was active on the node longer than the specified deadline")
            pending.append(
                .event(
                    type: "Normal", reason: "DeadlineExceeded",
                    message: "Pod was active on the node longer than the specified deadline", container: nil))
        } else {
            wake(at: deadline)
        }
    }

    private mutating func startWhatIsMissing(now: Timestamp) {
        switch volumes {
        case .none: begin(\.volumes, .prepareVolumes)
        case .failed(_, let retryAt) where isDue(retryAt, now: now): begin(\.volumes, .prepareVolumes)
        default: break
        }
        switch sandbox {
        case .none: begin(\.sandbox, .createSandbox)
        case .failed(_, let retryAt) where isDue(retryAt, now: now): begin(\.sandbox, .createSandbox)
        default: break
        }
        let eligible = eligibleContainers()
        for index in eligible { startIfPossible(index, now: now) }
        restartChangedContainers(now: now)
        decideResize(now: now)
    }

    private mutating func begin(_ part: WritableKeyPath<PodLifecycle, Preparation>, _ action: PodAction) {
        self[keyPath: part] = .underway
        pending.append(action)
    }

    /// The containers that should run now and do not.
    private mutating func eligibleContainers() -> [Int] {
        var result: [Int] = []
        for index in containers.indices where containers[index].role == .initial || containers[index].role == .sidecar {
            let record = containers[index]
            if record.role == .initial {
                if record.termination?.succeeded ?? false { continue }
                if initialized { continue }
                return record.isRunning ? result : result + [index]
            }
            if !record.isRunning { result.append(index) }
            if !initialized, !record.isStarted { return result }
        }
        initialized = true
        for index in containers.indices {
            let record = containers[index]
            guard !record.isRunning else { continue }
            switch record.role {
            case .main where willRestart(index): result.append(index)
            case .ephemeral where record.termination == nil: result.append(index)
            default: break
            }
        }
        return result
    }

    /// Resolves the image as early as possible; the start itself waits for sandbox, volumes and back-off.
    private mutating func startIfPossible(_ index: Int, now: Timestamp) {
        guard !containers[index].starting else { return }
        let name = containers[index].name
        guard let specification = specification(of: name) else { return }
        switch containers[index].image {
        case .unknown: return resolveImage(index, specification)
        case .resolving: return
        case .failed(_, _, let retryAt, let pause):
            // Asked again when the error turns into a back-off, so that the status says so.
            if isDue(retryAt + (Self.pullErrorShown - pause), now: now) { announceImagePause(index, specification) }
            // The pause is that image's; another one has done nothing wrong yet.
            if wantedImages[name] != specification.text("image") {
                imagePauses[name] = nil
                return resolveImage(index, specification)
            }
            if isDue(retryAt, now: now) { resolveImage(index, specification) }
            return
        case .ready: break
        }
        guard volumes == .ready, sandbox == .ready, isDue(containers[index].retryStartAt, now: now),
            passesBackoff(index, now: now)
        else { return }
        containers[index].starting = true
        containers[index].attempt += 1
        containers[index].startedReference = specification.text("image")
        pending.append(.start(container: name, attempt: containers[index].attempt))
    }

    private mutating func resolveImage(_ index: Int, _ specification: Document) {
        containers[index].image = .resolving
        let reference = specification.text("image") ?? ""
        wantedImages[containers[index].name] = reference
        let policy = specification.text("imagePullPolicy") ?? "IfNotPresent"
        pending.append(.resolveImage(container: containers[index].name, reference: reference, policy: policy))
    }

    /// Kubernetes's pauses: the first restart comes at once, the second 10 s after the end, then doubling up
    /// to 5 min; ten quiet minutes forgive everything.
    private mutating func passesBackoff(_ index: Int, now: Timestamp) -> Bool {
        guard let end = containers[index].termination else { return true }
        if resizing.restarting.contains(containers[index].name) { return true }
        // A successful init container that runs again after its sandbox died has nothing to atone for.
        if let backoff = containers[index].backoff, let setAt = containers[index].backoffSetAt,
            end.finishedAt - setAt <= .seconds(600)
        {
            guard isDue(end.finishedAt + backoff, now: now) else { return false }
            containers[index].backoff = min(backoff * 2, Self.longestBackoff)
        } else {
            containers[index].backoff = Self.firstBackoff
        }
        containers[index].backoffSetAt = now
        return true
    }

    private mutating func restartChangedContainers(now: Timestamp) {
        for index in containers.indices where containers[index].isRunning && containers[index].stop == nil {
            guard containers[index].role != .ephemeral, let started = containers[index].startedReference,
                let wanted = specification(of: containers[index].name)?.text("image"), wanted != started
            else { continue }
            let name = containers[index].name
            beginStop(
                index, grace: gracePeriod, now: now, why: "Container \(name) definition changed, will be restarted")
            containers[index].image = .unknown
        }
    }

    private mutating func stopEverything(now: Timestamp) {
        let deadline = endDeadline(now: now)
        // Sidecars outlive the main containers and end in the reverse of their order.
        let others = containers.indices.filter { containers[$0].role != .sidecar && containers[$0].isRunning }
        if others.isEmpty {
            if let last = containers.indices.last(where: { containers[$0].isRunning }) {
                stop(last, by: deadline, now: now)
            }
        } else {
            for index in others { stop(index, by: deadline, now: now) }
        }
        let busy = containers.contains { $0.isRunning || $0.starting } || sandbox == .underway || volumes == .underway
        if !busy, isDue(cleanRetryAt, now: now) {
            stage = .cleaning
            pending.append(.cleanUp)
        }
    }

    private mutating func stop(_ index: Int, by deadline: Timestamp, now: Timestamp) {
        if let stop = containers[index].stop {
            if deadline < stop.deadline { containers[index].stop?.deadline = deadline }
        } else {
            beginStop(index, deadline: deadline, now: now, why: "Stopping container \(containers[index].name)")
        }
    }

    /// The latest moment for this pod's containers; a later deletion with a shorter grace moves it forward.
    private mutating func endDeadline(now: Timestamp) -> Timestamp {
        let grace = pod.number("metadata", "deletionGracePeriodSeconds").map { Duration.seconds($0) } ?? gracePeriod
        let deadline = now + grace
        stopDeadline = min(stopDeadline ?? deadline, deadline)
        return stopDeadline ?? deadline
    }

    var gracePeriod: Duration { .seconds(pod.number("spec", "terminationGracePeriodSeconds") ?? 30) }

    // MARK: Helpers

    /// The phase that the pod has reached for good by itself, nil while something may still run.
    var outcome: String? {
        let mains = containers.filter { $0.role == .main }
        if isStartingOver { return nil }
        let hasFailedForGood = containers.indices.contains { index in
            guard containers[index].role == .initial, let end = containers[index].termination else { return false }
            return !end.succeeded && restartVerdict(index, end) == .stay
        }
        if !initialized, hasFailedForGood { return "Failed" }
        let ends = mains.compactMap(\.termination)
        let restarts = containers.indices.contains { containers[$0].role == .main && willRestart($0) }
        guard !mains.isEmpty, ends.count == mains.count, !mains.contains(where: \.starting), !restarts else {
            return nil
        }
        return ends.allSatisfy(\.succeeded) ? "Succeeded" : "Failed"
    }

    func index(of name: String) -> Int? { containers.firstIndex { $0.name == name } }

    func specification(of name: String) -> Document? {
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            if let found = pod.list("spec", list).first(where: { $0.text("name") == name }) { return found }
        }
        return nil
    }

    mutating func wake(at time: Timestamp) { nextWake = nextWake.map { min($0, time) } ?? time }

    /// Whether `time` has come; if not, `decide` wants to be asked again then.
    mutating func isDue(_ time: Timestamp?, now: Timestamp) -> Bool {
        guard let time, now < time else { return true }
        wake(at: time)
        return false
    }

    mutating func warn(_ reason: String, _ message: String, container: String? = nil) {
        pending.append(.event(type: "Warning", reason: reason, message: message, container: container))
    }
}
