import Basics
import Client
import Linux
import Runtime
import Synchronization

/// Runs programs beside a container's own, in its namespaces and with its privileges: probes, hooks, and what clients ask
/// for.
///
/// They are processes of the pod's supervisor called `_exec.CONTAINER.NUMBER`, as no container can be; their ends arrive with those of
/// the containers through `finished`.
final class ExecRunner: Sendable {
    struct Outcome: Sendable, Equatable {
        var exitCode: Int
        var output: String
    }

    private struct State {
        var next = 0
        var ends: [String: Int] = [:]
        var waiting: Set<String> = []
    }

    /// A program whose streams are the caller's, who gives it back with `release`.
    struct Opened: Sendable {
        var id: String
        var streams: ProcessStreams
        var sandbox: any Sandbox
    }

    private let state = Mutex(State())
    private let change = Wakeup()
    private let world: World
    private let pool: BlockingPool

    init(world: World, pool: BlockingPool) {
        self.world = world
        self.pool = pool
    }

    /// True for processes that this runner started.
    static func owns(_ id: String) -> Bool { id.hasPrefix("_exec.") }

    func finished(_ status: ProcessStatus) {
        guard case .exited(let code, let signal, _, _) = status.state else { return }
        state.withLock { state in
            guard state.waiting.contains(status.id) else { return }
            state.ends[status.id] = signal.map { 128 + Int($0) } ?? Int(code)
        }
        change.wake()
    }

    /// The supervisor is gone, and with it every process.
    func lost() {
        state.withLock { state in for id in state.waiting where state.ends[id] == nil { state.ends[id] = 137 } }
        change.wake()
    }

    /// `model` and `pid` as for `run`.
    func open(
        _ command: [String], like model: ProcessSpecification, pid: Int32, in sandbox: any Sandbox,
        streams: StreamSet, terminal: TerminalSize?
    ) async throws -> Opened {
        var process = beside(model, pid: pid, command)
        process.terminal = terminal
        if terminal != nil, !process.environment.contains(where: { $0.hasPrefix("TERM=") }) {
            process.environment.append("TERM=xterm")
        }
        do {
            try? await sandbox.remove(process.id)
            let opened = try await sandbox.start(process, with: streams)
            return Opened(id: process.id, streams: opened, sandbox: sandbox)
        } catch {
            forget(process.id)
            throw error
        }
    }

    func end(of opened: Opened) async throws -> Int {
        while true {
            let ticket = change.ticket
            if let code = state.withLock({ $0.ends[opened.id] }) { return code }
            try await change.wait(since: ticket)
        }
    }

    /// Ends the program if it still runs.
    func release(_ opened: Opened) async {
        forget(opened.id)
        try? await opened.sandbox.remove(opened.id)
    }

    private func forget(_ id: String) {
        state.withLock { state in
            state.waiting.remove(id)
            state.ends[id] = nil
        }
    }

    /// `model` is the container's own process; `pid` the one whose namespaces are joined.
    func run(
        _ command: [String], like model: ProcessSpecification, pid: Int32, in sandbox: any Sandbox,
        outputFile: String, timeout: Duration
    ) async throws -> Outcome {
        var process = beside(model, pid: pid, command)
        let id = process.id
        defer { forget(id) }
        let file = "\(outputFile).\(id)"
        process.output = .file(path: file)
        // A process left over from an earlier life of this agent may hold the name.
        try? await sandbox.remove(id)
        _ = try await sandbox.start(process)
        let code = try await waitForEnd(id, timeout: timeout, sandbox)
        let output = try await pool.run { () -> String in
            defer { try? Files.removeTree(file) }
            return String(decoding: ((try? Files.read(file, limit: 1 << 20)) ?? []).suffix(10 << 10), as: UTF8.self)
        }
        try? await sandbox.remove(id)
        guard let code else {
            throw StartProblem(reason: "Timeout", message: "command timed out after \(timeout.wholeSeconds)s")
        }
        return Outcome(exitCode: code, output: output)
    }

    /// A process in the namespaces of `pid`, awaited from now on.
    private func beside(_ model: ProcessSpecification, pid: Int32, _ command: [String]) -> ProcessSpecification {
        let container = ProcessName(model.id)?.container ?? model.id
        var process = model
        process.id = state.withLock { state in
            state.next += 1
            let id = "_exec.\(container).\(state.next)"
            state.waiting.insert(id)
            return id
        }
        process.arguments = command
        process.root = .inherit
        process.mounts = []
        process.limits = ResourceLimits()
        process.privileges.maskedPaths = []
        process.privileges.readOnlyPaths = []
        process.sysctls = [:]
        process.input = .none
        process.terminal = nil
        process.output = .discard
        process.namespaces = [:]
        for (kind, name) in [
            (NamespaceKind.mount, "mnt"), (.pid, "pid"), (.network, "net"), (.ipc, "ipc"), (.uts, "uts"),
            (.cgroup, "cgroup"),
        ] {
            process.namespaces[kind] = .path("/proc/\(pid)/ns/\(name)")
        }
        return process
    }

    private func waitForEnd(_ id: String, timeout: Duration, _ sandbox: any Sandbox) async throws -> Int? {
        let deadline = world.clock.uptime + timeout
        while true {
            let ticket = change.ticket
            if let code = state.withLock({ $0.ends[id] }) { return code }
            let rest = deadline - world.clock.uptime
            guard rest > .zero else {
                try? await sandbox.signal(id, 9)
                return nil
            }
            try await change.wait(since: ticket, atMost: rest, clock: world.clock)
        }
    }
}
