import Basics
import Images
import Runtime

/// When a container runs in the life of its pod.
enum ContainerRole: Sendable, Equatable {
    /// Runs to its end before the next one starts.
    case initial
    /// An init container with `restartPolicy: Always`: started in order, then kept beside the others.
    case sidecar
    case main
    /// Added to a living pod for debugging; runs once and counts for nothing.
    case ephemeral
}

/// How a container's process ended, in the words of `ContainerStateTerminated`.
struct Termination: Sendable, Equatable {
    var exitCode: Int
    var signal: Int?
    var reason: String
    var message: String?
    var startedAt: Timestamp?
    var finishedAt: Timestamp
    var containerID: String

    var succeeded: Bool { exitCode == 0 }
}

/// Why a pod failed as a whole.
struct PodFailure: Sendable, Equatable {
    var reason: String
    var message: String
    /// How long its containers may take to end; nil: as long as the pod says.
    var grace: Duration?
    /// The node took the pod's place away from it, which its conditions say.
    var isDisruption = false
}

/// Where a container's image stands.
enum ImageState: Sendable {
    case unknown
    case resolving
    case ready(Image)
    /// Tried again at `retryAt`; `reason` is what the user reads meanwhile.
    case failed(reason: String, message: String, retryAt: Timestamp, pause: Duration)

    var image: Image? { if case .ready(let image) = self { image } else { nil } }
}

/// Why and how far a container is being stopped.
struct StopState: Sendable, Equatable {
    enum Stage: Sendable, Equatable {
        case hook, term, kill
    }

    var deadline: Timestamp
    var stage: Stage
}

enum HookKind: String, Sendable, Equatable {
    case postStart = "PostStart"
    case preStop = "PreStop"
}

/// Everything the node agent knows about one container of a pod.
struct ContainerRecord: Sendable {
    enum Phase: Sendable, Equatable {
        case waiting
        case running(pid: Int32, startedAt: Timestamp)
        case terminated(Termination)
    }

    let name: String
    let role: ContainerRole
    var phase = Phase.waiting
    /// Number of the newest process; processes are called `NAME.ATTEMPT` in their sandbox.
    var attempt = -1
    var restartCount = 0
    var lastTermination: Termination?
    var image = ImageState.unknown
    /// What the newest process was made from.
    var startedImage: Image?
    /// The reference the newest process was started from, to notice a changed `spec.image`.
    var startedReference: String?
    /// A start or the resolution of what it needs is under way.
    var starting = false
    /// Why the last attempt to start led to no process: `CreateContainerConfigError`, `RunContainerError`.
    var startProblem: (reason: String, message: String)?
    var retryStartAt: Timestamp?

    /// The pause before the next restart and when it was last lengthened.
    var backoff: Duration?
    var backoffSetAt: Timestamp?

    /// Who the newest process runs as.
    var user: User?
    var postStartPending = false
    var stop: StopState?
    var probes: [ProbeKind: ProbeState] = [:]

    init(name: String, role: ContainerRole) {
        self.name = name
        self.role = role
    }

    var processID: String { ProcessName(container: name, attempt: attempt).text }

    var isRunning: Bool { if case .running = phase { true } else { false } }
    var termination: Termination? { if case .terminated(let end) = phase { end } else { nil } }

    /// Runs and has passed its startup probe.
    var isStarted: Bool {
        guard isRunning, !postStartPending else { return false }
        return probes[.startup].map { $0.verdict == true } ?? true
    }

    var isReady: Bool {
        switch role {
        case .initial: return termination?.succeeded ?? false
        case .ephemeral: return false
        case .main, .sidecar:
            guard isStarted else { return false }
            return probes[.readiness].map { $0.verdict == true } ?? true
        }
    }
}

/// The name of a container's process within its sandbox.
struct ProcessName: Sendable, Equatable {
    var container: String
    var attempt: Int

    init(container: String, attempt: Int) {
        self.container = container
        self.attempt = attempt
    }

    /// Nil for processes that are no containers, such as probes.
    init?(_ text: String) {
        guard let dot = text.lastIndex(of: "."), let attempt = Int(text[text.index(after: dot)...]), attempt >= 0,
            dot != text.startIndex, !ExecRunner.owns(text)
        else { return nil }
        self.init(container: String(text[..<dot]), attempt: attempt)
    }

    var text: String { "\(container).\(attempt)" }
}
