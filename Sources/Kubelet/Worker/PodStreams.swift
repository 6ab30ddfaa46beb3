import Basics
import Document
import Glibc
import Linux
import Runtime

/// Ways into a pod's running containers, for clients.
extension PodWorker {
    private func running(_ container: String) throws -> (attempt: Int, pid: Int32, sandbox: any Sandbox) {
        let (attempt, pid, sandbox) = state.withLock { state in
            (state.running[container], state.pids[container] ?? 0, state.sandbox)
        }
        guard let attempt, let sandbox, pid > 0 else { throw ContainerMissing(container: container) }
        return (attempt, pid, sandbox)
    }

    /// Starts a program beside the container's own.
    func open(_ command: [String], _ container: String, streams: StreamSet, terminal: TerminalSize?) async throws
        -> ExecRunner.Opened
    {
        let (attempt, pid, sandbox) = try running(container)
        let model = try await model(container, attempt)
        do {
            return try await exec.open(
                command, like: model, pid: pid, in: sandbox, streams: streams, terminal: terminal)
        } catch let error as StageError where error.step == "exec" {
            throw ExecProblem(program: command.first ?? "", error)
        }
    }

    /// Joins the container's own streams.
    func attach(_ container: String, streams: StreamSet) async throws -> Attached {
        let (attempt, _, sandbox) = try running(container)
        let id = ProcessName(container: container, attempt: attempt).text
        let specification = containerSpecification(container)
        return Attached(
            streams: try await sandbox.attach(id, to: streams),
            endsInput: specification?.flag("stdinOnce") == true && specification?.flag("tty") != true,
            closeInput: { try? await sandbox.closeInput(id) })
    }

    struct Attached: Sendable {
        var streams: ProcessStreams
        /// The container's input ends with the client's; otherwise the client leaves and the input stays open.
        var endsInput: Bool
        var closeInput: @Sendable () async -> Void
    }

    /// A descriptor of the pod's network namespace; nil for the node's own.
    func networkNamespace() throws -> Descriptor? {
        guard let sandbox = state.withLock({ $0.sandbox }) else {
            throw StartProblem(reason: "NotRunning", message: "the pod has no sandbox")
        }
        if isHostNetwork { return nil }
        let path = "/proc/\(sandbox.pid)/ns/net"
        let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { throw SystemError("open", path, errno: errno) }
        return Descriptor(number)
    }
}

struct ContainerMissing: Error, CustomStringConvertible {
    var container: String
    var description: String { "container not found (\"\(container)\")" }
}

/// Why a program could not be executed, in the words that scripts look for.
struct ExecProblem: Error, CustomStringConvertible {
    var description: String

    init(program: String, _ error: StageError) {
        let why =
            switch error.errno {
            case ENOENT where !program.contains("/"): "executable file not found in $PATH"
            case ENOENT: "stat \(program): no such file or directory"
            case EACCES: "permission denied"
            default: error.description
            }
        description = "failed to start exec: exec: \"\(program)\": \(why)"
    }
}
