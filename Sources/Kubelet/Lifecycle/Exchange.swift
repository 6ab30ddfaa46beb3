import Basics
import Document
import Images
import Runtime

/// A process as its supervisor reports it, with what its end left in the termination message file.
struct ObservedProcess: Sendable, Equatable {
    var status: ProcessStatus
    var message: String?
}

/// Why a container could not be started.
struct StartProblem: Error, Sendable, Equatable, CustomStringConvertible {
    var reason: String
    var message: String
    /// The program itself could not be run: this counts as an attempt, with an exit code.
    var exitCode: Int?

    var description: String { message }
}

/// What happens to a pod.
enum PodInput: Sendable {
    /// The pod as the API server has it.
    case desired(Document)
    case volumesReady
    case volumesFailed(String)
    case sandboxReady(addresses: [IPAddress])
    case sandboxFailed(String)
    /// The supervisor is gone and with it every process of the pod.
    case sandboxDied
    case processes([ObservedProcess])
    case image(container: String, Result<Image, StartProblem>)
    case started(container: String, attempt: Int, pid: Int32, user: User? = nil)
    case startFailed(container: String, attempt: Int, StartProblem)
    case hook(container: String, attempt: Int, HookKind, problem: String?)
    case probe(container: String, attempt: Int, ProbeKind, ProbeResult)
    /// Sandbox, mounts, directories and addresses of the pod are gone.
    case cleanedUp
    case cleanUpFailed(String)
    case deletionConfirmed
    case deletionFailed
    /// The API server no longer has the pod.
    case vanished
    /// The node has to get rid of the pod.
    case evict(PodFailure)
    case resizeAnswered(generation: Int, ResizeVerdict)
    /// The control groups are as they shall be; else why not.
    case resourcesApplied(generation: Int, problem: String?)
    /// Another pod has given resources back.
    case roomFreed
}

/// What shall be done for a pod. Each is answered by an input once it is done, save for events and signals.
enum PodAction: Sendable, Equatable {
    case prepareVolumes
    case createSandbox
    case resolveImage(container: String, reference: String, policy: String)
    case start(container: String, attempt: Int)
    case runHook(container: String, attempt: Int, HookKind)
    case signal(process: String, Int32)
    /// `stopSignal` of the image, or SIGTERM.
    case terminate(container: String, attempt: Int)
    /// Frees the record and the writable layer of a process that nobody needs any more.
    case forget(process: String)
    case probe(container: String, attempt: Int, ProbeKind)
    case cleanUp
    case confirmDeletion
    /// Whether the node has room for what the pod asks for now.
    case askForResize(generation: Int)
    /// Brings the control groups of the pod and its running containers to what was granted.
    case applyResources(generation: Int)
    case event(type: String, reason: String, message: String, container: String?)
}
