import CLinux
import Glibc
import Linux

/// A living supervisor, as its clients see it. Every request has a connection of its own.
final class LinuxSandbox: Sandbox {
    let pid: Int32
    private let state: StateDirectory

    /// A pidfd: unlike the number it never means another process. -1 where the pid is not visible from here.
    private let process: Int32

    private init(pid: Int32, process: Int32, state: StateDirectory) {
        self.pid = pid
        self.process = process
        self.state = state
    }

    deinit { if process >= 0 { close(process) } }

    static func find(stateDirectory: String) throws -> LinuxSandbox? {
        guard let control = try Control.connect(stateDirectory: stateDirectory) else { return nil }
        let pid = control.supervisorPID
        let process = pid > 0 ? lab_pidfd_open(pid) : -1
        guard process >= 0 || pid <= 0 || errno == ESRCH else {
            throw SystemError("pidfd_open", "\(pid)", errno: errno)
        }
        let sandbox = LinuxSandbox(pid: pid, process: process, state: StateDirectory(stateDirectory))
        // Only an answer proves that it lives, and so that the pidfd is its own.
        try control.send(LAB_REQUEST_LIST)
        return try batch(control) == nil ? nil : sandbox
    }

    func start(_ process: ProcessSpecification) async throws -> Int32 {
        try await Blocking.run { try self.startBlocking(process, nil).pid }
    }

    func start(_ process: ProcessSpecification, with streams: StreamSet) async throws -> ProcessStreams {
        try await Blocking.run { try self.startBlocking(process, streams) }
    }

    func attach(_ id: String, to streams: StreamSet) async throws -> ProcessStreams {
        try await Blocking.run { try self.attachBlocking(id, streams) }
    }

    func closeInput(_ id: String) async throws {
        try await Blocking.run {
            try self.request(LAB_REQUEST_CLOSE_INPUT, on: "close the input of \(id)") { $0.text(id) }
        }
    }

    func signal(_ id: String, _ signal: Int32) async throws {
        try await Blocking.run {
            try self.request(LAB_REQUEST_SIGNAL, on: "signal \(id)") {
                $0.text(id)
                $0.number(Int64(signal))
            }
        }
    }

    func remove(_ id: String) async throws {
        try await Blocking.run {
            try self.request(LAB_REQUEST_REMOVE, on: "remove \(id)") { $0.text(id) }
            try self.state.removeGroup(of: id, layout: self.layout(), seenBy: self.prefix)
        }
    }

    func processes() async throws -> [ProcessStatus] {
        try await Blocking.run {
            let control = try self.connect(for: "list processes")
            try control.send(LAB_REQUEST_LIST)
            guard let batch = try Self.batch(control) else { throw Self.gone("list processes") }
            return batch
        }
    }

    func follow(_ changed: @Sendable ([ProcessStatus]) async -> Void) async throws {
        guard let control = try await Blocking.run({ try Control.connect(stateDirectory: self.state.path) }) else {
            return
        }
        try await withTaskCancellationHandler {
            try await Blocking.run { try control.send(LAB_REQUEST_FOLLOW) }
            while let batch = try await Blocking.run({ try Self.batch(control, patient: true) }) {
                await changed(batch)
            }
        } onCancel: {
            control.interrupt()
        }
        try Task.checkCancellation()
    }

    func destroy() async throws {
        try await Blocking.run { try self.destroyBlocking() }
    }

    // MARK: Requests

    /// What the supervisor's mounts show, reached through /proc: its mount namespace need not be ours.
    private var prefix: String { "/proc/\(pid)/root" }

    private func layout() throws -> CgroupLayout { try CgroupLayout.ofProcess("\(pid)") }

    private static func gone(_ what: String) -> SystemError {
        SystemError(what, "the supervisor is gone", errno: ECONNREFUSED)
    }

    private func connect(for what: String) throws -> Control {
        guard let control = try Control.connect(stateDirectory: state.path) else { throw Self.gone(what) }
        return control
    }

    private func request(_ request: lab_request, on what: String, _ fields: (inout Payload) -> Void) throws {
        let control = try connect(for: what)
        try control.send(request, fields)
        switch try control.receive() {
        case .done: return
        case .failed(_, let errno, let detail): throw SystemError(what, detail, errno: errno)
        case .status, .end: throw SystemError(what, "unexpected answer", errno: EBADMSG)
        case nil: throw Self.gone(what)
        }
    }

    /// Statuses up to the next `end`; nil when the supervisor is gone.
    private static func batch(_ control: Control, patient: Bool = false) throws -> [ProcessStatus]? {
        var statuses: [ProcessStatus] = []
        while let answer = try control.receive(patient: patient) {
            switch answer {
            case .status(let status): statuses.append(status)
            case .end: return statuses
            case .done: throw SystemError("list processes", "unexpected answer", errno: EBADMSG)
            case .failed(_, let errno, let detail): throw SystemError("list processes", detail, errno: errno)
            }
        }
        return nil
    }

    // MARK: Starting

    private func startBlocking(_ process: ProcessSpecification, _ streams: StreamSet?) throws -> ProcessStreams {
        try SpecificationRules.check(id: process.id)
        let layout = try layout()
        let plan = try PlanCompiler.process(process, layout: layout)
        // Compiled first: what cannot be planned leaves no group behind.
        var made = false
        do {
            let group = try process.cgroup.map { try Cgroup($0, layout: layout, seenBy: prefix) }
            if let group {
                made = try state.create(group, owner: process.id)
                if layout.isV2, process.isSupervisor {
                    try group.child(PlanCompiler.supervisorLeaf).create(plain: true)
                }
                try group.apply(process.limits.cgroupLimits)
                if made, !process.privileges.allDevices {
                    try group.restrictDevices(allowing: process.privileges.devices)
                }
            }
            return try send(process, plan: plan, counter: group?.outOfMemoryFile, streams)
        } catch {
            if made { try? state.removeGroup(of: process.id, layout: layout, seenBy: prefix) }
            throw error
        }
    }

    private func send(
        _ process: ProcessSpecification, plan: Plan, counter: String?, _ streams: StreamSet?
    ) throws -> ProcessStreams {
        let file = Descriptor(try plan.memoryFile())
        let control = try connect(for: "start \(process.id)")
        // A terminal comes back from the process; pipes are given to it.
        let pipes = try StreamPipes(process.terminal == nil ? streams ?? [] : [], owner: process.privileges.user)
        try withExtendedLifetime(file) {
            try control.send(
                LAB_REQUEST_START, { process.encodeStart(into: &$0, counter: counter ?? "", streams) },
                descriptors: [file.number] + pipes.far.map(\.number))
        }
        guard let (answer, attached) = try control.receiveAttached() else { throw Self.gone("start \(process.id)") }
        switch answer {
        case .status(let status):
            guard case .running(let pid) = status.state else {
                throw SystemError("start \(process.id)", "unexpected state", errno: EBADMSG)
            }
            guard let terminal = attached, let streams else { return pipes.near(pid: pid) }
            return ProcessStreams(
                pid: pid, input: streams.contains(.input) ? try terminal.copy() : nil,
                output: streams.contains(.output) ? try terminal.copy() : nil, terminal: terminal)
        case .failed(let step, let errno, let detail): throw plan.error(step: step, errno: errno, detail: detail)
        case .done, .end: throw SystemError("start \(process.id)", "unexpected answer", errno: EBADMSG)
        }
    }

    // MARK: Attaching

    private func attachBlocking(_ id: String, _ streams: StreamSet) throws -> ProcessStreams {
        let what = "attach to \(id)"
        let control = try connect(for: what)
        let pipes = try StreamPipes(streams.subtracting(.input), owner: nil)
        try control.send(
            LAB_REQUEST_ATTACH,
            {
                $0.text(id)
                $0.number(UInt64(streams.rawValue))
            }, descriptors: pipes.far.map(\.number))
        guard let (answer, input) = try control.receiveAttached() else { throw Self.gone(what) }
        switch answer {
        case .status(let status):
            guard case .running(let pid) = status.state else { throw SystemError(what, "it has ended", errno: ESRCH) }
            return try pipes.near(pid: pid, input: input, session: control)
        case .failed(_, let errno, let detail): throw SystemError(what, detail, errno: errno)
        case .done, .end: throw SystemError(what, "unexpected answer", errno: EBADMSG)
        }
    }

    // MARK: The end

    private static let patienceMilliseconds: Int32 = 5_000

    private func destroyBlocking() throws {
        if let control = try Control.connect(stateDirectory: state.path) {
            // Told to end at once, it still brings its processes' last output to the logs.
            try control.send(LAB_REQUEST_SHUTDOWN) { $0.number(Int64(0)) }
            _ = try control.receive()
        }
        // The socket closes before the last process of the sandbox is gone.
        if process >= 0, !hasEnded() {
            lab_pidfd_signal(process, SIGKILL)
            guard hasEnded() else { throw SystemError("destroy", state.path, errno: ETIMEDOUT) }
        }
        try state.removeAll()
    }

    /// A pid namespace's init ends only after everything in it has.
    private func hasEnded() -> Bool {
        var request = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, Self.patienceMilliseconds) > 0
    }
}

extension ProcessSpecification {
    /// The fields of LAB_REQUEST_START.
    func encodeStart(into payload: inout Payload, counter: String, _ streams: StreamSet?) {
        payload.text(id)
        payload.number(namespaces[.pid] == .new ? NamespaceKind.pid.flag : 0)
        if case .path(let path)? = namespaces[.pid] { payload.text(path) } else { payload.text("") }
        payload.text(counter)
        let (kind, path, maximum, keep): (lab_output, String, Int64, Int) =
            switch streams == nil ? output : .discard {
            case .discard: (LAB_OUTPUT_DISCARD, "", 0, 0)
            case .criLog(let path, let maximumBytes, let keep): (LAB_OUTPUT_CRI, path, maximumBytes, keep)
            case .file(let path): (LAB_OUTPUT_FILE, path, 0, 0)
            }
        payload.number(UInt64(kind.rawValue))
        payload.text(path)
        payload.number(maximum)
        payload.number(Int64(keep))
        switch restart {
        case .never: payload.number(Int64(0))
        case .always(let seconds): payload.number(Int64(max(1, seconds)) * 1_000)
        }
        payload.number(UInt64(privileges.user.uid))
        payload.number(UInt64(privileges.user.gid))
        payload.number(UInt64(terminal == nil ? streams?.rawValue ?? 0 : 0))
        let kept: lab_input =
            switch streams == nil ? input : .none {
            case .none: LAB_INPUT_NONE
            case .open(let once): once ? LAB_INPUT_ONCE : LAB_INPUT_OPEN
            }
        payload.number(UInt64(kept.rawValue))
        let end =
            terminal == nil ? LAB_TERMINAL_NONE : streams == nil ? LAB_TERMINAL_KEPT : LAB_TERMINAL_HANDED
        payload.number(UInt64(end.rawValue))
    }
}
