import CLinux
import Glibc
import Linux

/// The real runtime: sandboxes are supervisor processes (see `supervisor.h`) that outlive this one.
///
/// `launch` makes the sandbox's control group, clones the binary at `selfPath` into a supervisor with the encoded plan,
/// and waits until it listens. Nothing is kept here: everything is asked of the supervisor over its socket.
public final class LinuxSupervisor: SandboxRuntime {
    private let selfPath: String

    /// `selfPath` is a binary that links `CLinux`.
    public init(selfPath: String = "/proc/self/exe") { self.selfPath = selfPath }

    public func launch(_ sandbox: SandboxSpecification) async throws -> any Sandbox {
        let path = selfPath
        return try await Blocking.run { try Launch(sandbox, selfPath: path).run() }
    }

    public func attach(stateDirectory: String) async throws -> (any Sandbox)? {
        try await Blocking.run { try LinuxSandbox.find(stateDirectory: stateDirectory) }
    }

    /// The pid of a supervisor that listens, as the caller's pid namespace sees it, without asking it anything: one that
    /// is frozen does not answer.
    public static func processID(stateDirectory: String) throws -> Int32? {
        try Control.connect(stateDirectory: stateDirectory)?.supervisorPID
    }

    /// Waits for a supervisor that was started as a process (see `supervisorProcess`) to listen.
    /// Nil when it does not within `patience`.
    public func attach(stateDirectory: String, within patience: Duration) async throws -> (any Sandbox)? {
        try await Blocking.run {
            let deadline = ContinuousClock.now + patience
            while true {
                if let sandbox = try LinuxSandbox.find(stateDirectory: stateDirectory) { return sandbox }
                if ContinuousClock.now >= deadline { return nil }
                usleep(500)
            }
        }
    }

    /// Removes what a supervisor that died has left: control groups and the state directory.
    /// Throws EBUSY while the supervisor lives.
    public func cleanUp(stateDirectory: String) async throws {
        try await Blocking.run {
            if try Control.connect(stateDirectory: stateDirectory) != nil {
                throw SystemError("clean up", stateDirectory, errno: EBUSY)
            }
            try StateDirectory(stateDirectory).removeAll()
        }
    }

    /// A supervisor as a supervised process of another one: a node. All that `sandbox` says about root, namespaces and
    /// limits becomes the process's; its `stateDirectory` is a path inside the new root, best one that a bind mount
    /// shares with the outside, so that `attach` works from there. `held` names descriptors that the outer supervisor
    /// holds and that the inner one shall hold under the same names.
    public static func supervisorProcess(
        for sandbox: SandboxSpecification, binary: String = "/bin/lab", held: [String] = []
    ) throws -> ProcessSpecification {
        guard sandbox.heldNamespaces.isEmpty else {
            throw PlanCompiler.invalid(sandbox.id, "an inner supervisor gets held namespaces from the outer one's")
        }
        var arguments = [binary, LAB_SUPERVISE_MARKER, sandbox.stateDirectory]
        var process = ProcessSpecification(id: sandbox.id, arguments: [])
        for (index, name) in held.enumerated() {
            let number = Int32(10 + index)
            process.heldDescriptors[number] = name
            arguments.append("\(LAB_HELD_ARGUMENT)\(number):\(name)")
        }
        process.arguments = arguments
        process.root = sandbox.root
        process.mounts = sandbox.mounts
        process.namespaces = sandbox.namespaces
        process.hostname = sandbox.hostname
        process.sysctls = sandbox.sysctls
        process.cgroup = sandbox.cgroup
        process.limits = sandbox.limits
        process.oomScoreAdjust = sandbox.oomScoreAdjust
        process.privileges = sandbox.privileges
        // A supervisor needs all of root's powers to set its processes up; they are limited one by one.
        process.privileges.user = User()
        process.privileges.capabilities = nil
        process.privileges.seccomp = .unconfined
        process.privileges.noNewPrivileges = false
        return process
    }
}

extension ResourceLimits {
    var cgroupLimits: CgroupLimits {
        var limits = CgroupLimits()
        limits.memoryBytes = memoryBytes
        limits.cpuQuota = cpuQuota
        limits.cpuPeriod = cpuPeriod
        limits.cpuShares = cpuShares
        limits.cpusetCpus = cpusetCpus
        limits.pids = pids
        return limits
    }
}

enum SpecificationRules {
    /// Ids become file names beside the supervisor's own.
    static func check(id: String) throws {
        let allowed = id.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || byte == 45 || byte == 46 || byte == 95
        }
        guard allowed, (1...128).contains(id.utf8.count), id != ".", id != ".." else {
            throw PlanCompiler.invalid(id, "an id has 1 to 128 letters, digits, -, _ or .")
        }
    }
}

/// The steps of `launch`, in order, and what is undone when one fails.
private struct Launch {
    let specification: SandboxSpecification
    let selfPath: String
    let state: StateDirectory

    init(_ specification: SandboxSpecification, selfPath: String) throws {
        try SpecificationRules.check(id: specification.id)
        self.specification = specification
        self.selfPath = selfPath
        state = StateDirectory(specification.stateDirectory)
    }

    func run() throws -> LinuxSandbox {
        if try Control.connect(stateDirectory: state.path) != nil {
            throw SystemError("launch: a supervisor lives in", state.path, errno: EEXIST)
        }
        // What an earlier supervisor left here is not this one's.
        try state.forgetAll()
        let existed = Files.exists(state.path)
        try Files.makeDirectories(state.path, mode: 0o700)
        do {
            let layout = try CgroupLayout.ofProcess()
            if let path = specification.cgroup {
                let group = try Cgroup(path, layout: layout)
                try state.create(group, owner: StateDirectory.sandboxOwner)
                if layout.isV2 { try group.child(PlanCompiler.supervisorLeaf).create(plain: true) }
                try group.apply(specification.limits.cgroupLimits)
            }
            try spawn(PlanCompiler.sandbox(specification, layout: layout))
            guard let sandbox = try LinuxSandbox.find(stateDirectory: state.path) else {
                throw StageError(
                    step: "launch", object: specification.id, errno: ECONNREFUSED, detail: "it died at once")
            }
            return sandbox
        } catch {
            if existed { try? state.forgetAll() } else { try? state.removeAll() }
            throw error
        }
    }

    private func spawn(_ plan: Plan) throws {
        let file = try plan.memoryFile()
        defer { close(file) }
        var pipe: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &pipe) { lab_pipe($0.bindMemory(to: Int32.self).baseAddress) }
        guard made == 0 else { throw SystemError("pipe", "", errno: errno) }
        defer { close(pipe.0) }
        let entered = try pidNamespace()
        defer { if entered >= 0 { close(entered) } }
        let flags = specification.namespaces[.pid] == .new ? NamespaceKind.pid.flag : 0
        let pid = lab_spawn_supervisor(selfPath, state.path, UInt(flags), entered, file, pipe.1)
        close(pipe.1)
        guard pid > 0 else {
            throw StageError(step: "clone", object: selfPath, errno: -pid, detail: "the supervisor")
        }
        try awaitReady(pipe.0, plan: plan, pid: pid)
    }

    private func pidNamespace() throws -> Int32 {
        guard case .path(let path)? = specification.namespaces[.pid] else { return -1 }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StageError(step: "setns", object: path, errno: errno, detail: "open") }
        return descriptor
    }

    private func awaitReady(_ pipe: Int32, plan: Plan, pid: pid_t) throws {
        var request = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
        var ready = poll(&request, 1, 60_000)
        while ready < 0, errno == EINTR { ready = poll(&request, 1, 60_000) }
        var report = lab_failure()
        let size = MemoryLayout<lab_failure>.size
        guard ready > 0, withUnsafeMutableBytes(of: &report, { read(pipe, $0.baseAddress, size) }) == size else {
            kill(pid, SIGKILL)
            let why = ready > 0 ? "it died before it could say why" : "it did not get ready"
            throw StageError(step: "supervisor", object: specification.id, errno: ETIMEDOUT, detail: why)
        }
        if report.step == UInt32(LAB_FAILURE_READY) { return }
        let detail = withUnsafeBytes(of: &report.detail) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        throw plan.error(step: report.step, errno: report.error, detail: detail)
    }
}

extension Plan {
    /// The encoded plan in a memfd at position 0; the caller closes it.
    func memoryFile() throws -> Int32 {
        let file = lab_memfd("plan")
        guard file >= 0 else { throw SystemError("memfd", "plan", errno: errno) }
        do { try Files.writeAll(encode(), to: file, name: "plan") } catch {
            close(file)
            throw error
        }
        return file
    }
}
