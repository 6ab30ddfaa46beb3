import Basics
import CLinux
import Document
import Glibc
import Linux

/// `create`: from a bundle to a process that waits at its gate.
public struct ContainerCreator {
    public struct Options: Sendable {
        public var consoleSocket: String?
        public var usesPivot = true
        public var makesKeyring = true
        /// Descriptors from 3 on that the program inherits.
        public var preserved: Int32 = 0
        public var environment: [String] = []

        public init() {}
    }

    let store: ContainerStore
    let id: String
    let bundle: String
    let options: Options
    let now: String
    /// Gets the terminal's near end where there is one and no console socket.
    var terminal: ((Descriptor) -> Void)?

    /// `now` is the time of creation, RFC 3339 with nanoseconds.
    public init(
        store: ContainerStore, id: String, bundle: String, options: Options, now: String,
        terminal: ((Descriptor) -> Void)? = nil
    ) {
        self.store = store
        self.id = id
        self.bundle = bundle
        self.options = options
        self.now = now
        self.terminal = terminal
    }

    /// The container, whose process waits at its gate and is this process's child; and what there is to warn about.
    public func create() throws -> (Container, warnings: [String]) {
        try ContainerStore.check(id: id)
        let path = "\(bundle)/config.json"
        guard Files.exists(path) else {
            throw ContainerError("JSON specification file config.json not found in \(bundle)")
        }
        let json = try Files.read(path, limit: 16 << 20)
        let configuration = try ConfigurationReader.read(json: json, bundle: bundle)
        try check(configuration)
        var record = ContainerRecord(
            id: id, version: configuration.version, bundle: bundle, rootPath: configuration.rootPath, created: now,
            annotations: configuration.annotations,
            cgroup: configuration.cgroupsPath.isEmpty ? "/\(id)" : configuration.cgroupsPath,
            process: ProcessIdentity(pid: 0, startTime: 0),
            laterHooks: configuration.hooks.filter { $0.key == .poststart || $0.key == .poststop })
        let layout = try CgroupLayout.ofProcess()
        let group = try group(record.cgroup, configuration, layout)
        record.cgroup = group.path
        // What cannot be planned leaves nothing behind.
        let plan = try ContainerCompiler.create(configuration, surroundings(record, group, layout))
        try store.reserve(id)
        var madeGroup = false
        do {
            try prepare(record, json: json)
            guard try group.processes().isEmpty else {
                throw ContainerError("the container's cgroup \(group.path) is not empty")
            }
            madeGroup = try group.create()
            try group.apply(configuration.resources)
            try group.restrictDevices(configuration.deviceRules + DeviceRule.standard)
            try spawn(plan, configuration, &record)
        } catch {
            if madeGroup { try? group.remove() }
            try? Files.removeTree(store.directory(id))
            throw error
        }
        return (Container(store: store, record: record), configuration.warnings)
    }

    private func check(_ configuration: ContainerConfiguration) throws {
        guard let process = configuration.process else { throw ConfigurationError("process", "is missing") }
        if geteuid() != 0, configuration.namespaces[.user] == .new {
            try Self.checkOwn(configuration.idMaps.uids, geteuid(), "linux.uidMappings")
            try Self.checkOwn(configuration.idMaps.gids, getegid(), "linux.gidMappings")
        }
        var status = stat()
        guard stat(configuration.rootPath, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw ConfigurationError("root.path", "\(configuration.rootPath) is no directory")
        }
        let takesTerminal = options.consoleSocket != nil || terminal != nil
        guard process.hasTerminal == takesTerminal || (terminal != nil && options.consoleSocket == nil) else {
            throw ContainerError(
                process.hasTerminal
                    ? "cannot allocate tty if runc will detach without setting console socket"
                    : "cannot use console socket if runc will not detach or allocate tty")
        }
        for (index, mount) in configuration.mounts.enumerated() where mount.isBind && mount.destination == "/proc" {
            guard lab_file_system_type(mount.source) == 0x9FA0 else {
                throw ConfigurationError(
                    "mounts[\(index)].source", "\(mount.source) is no procfs, and would pass for /proc")
            }
        }
    }

    /// A user who may make no groups, and names none and asks for no limit, does without.
    private func group(
        _ path: String, _ configuration: ContainerConfiguration, _ layout: CgroupLayout
    ) throws -> Cgroup {
        let group = try Cgroup(path, layout: layout)
        let isAsked =
            !configuration.cgroupsPath.isEmpty || configuration.resources != CgroupResources()
            || !configuration.deviceRules.isEmpty
        let isAllowed = geteuid() == 0 || layout.hierarchies.allSatisfy { access($0.mountPoint, W_OK) == 0 }
        return isAsked || isAllowed ? group : .none
    }

    /// The kernel lets who has no privilege map himself; more takes a helper that has one.
    private static func checkOwn(_ map: [IDMaps.Range], _ own: UInt32, _ field: String) throws {
        guard map.count == 1, map[0].outside == own, map[0].count == 1 else {
            throw ConfigurationError(
                field, "a user without privileges can map only its own id, \(own): newuidmap and newgidmap are not used"
            )
        }
    }

    private func surroundings(
        _ record: ContainerRecord, _ group: Cgroup, _ layout: CgroupLayout
    ) -> ContainerCompiler.Surroundings {
        ContainerCompiler.Surroundings(
            id: id, bundle: bundle, stateDirectory: store.directory(id), layout: layout, cgroup: group,
            usesPivot: options.usesPivot, makesKeyring: options.makesKeyring,
            creating: record.stateAroundPID(.creating), created: record.stateAroundPID(.created),
            environment: options.environment)
    }

    private func prepare(_ record: ContainerRecord, json: [UInt8]) throws {
        let directory = store.directory(id)
        try Files.write(json, to: "\(directory)/\(ContainerStore.configurationFile)", mode: 0o600)
        for name in [ContainerStore.gate, ContainerStore.gateStatus] {
            guard mkfifo("\(directory)/\(name)", 0o600) == 0 else {
                throw SystemError("mkfifo", "\(directory)/\(name)", errno: errno)
            }
        }
        try store.save(record)
    }

    private func spawn(
        _ plan: Plan, _ configuration: ContainerConfiguration, _ record: inout ContainerRecord
    ) throws {
        var current = record
        var spawn = ContainerSpawn(plan: plan, kept: options.preserved, end: .ready)
        spawn.answers.born = { pid in
            current.process = ProcessIdentity(pid: pid, startTime: ProcessIdentity.read(pid)?.startTime ?? 0)
            try store.save(current)
        }
        spawn.answers.hooks = {
            let runner = HookRunner(state: current.stateDocument(.creating))
            for kind in [Hook.Kind.prestart, .createRuntime] {
                try runner.run(configuration.hooks[kind] ?? [], kind: kind)
            }
        }
        spawn.answers.terminal = { try deliver($0) }
        spawn.answers.listener = { listener, pid in
            try Self.send(listener, of: pid, configuration, current.stateDocument(.creating))
        }
        do { _ = try spawn.run() } catch {
            // The environment existed, so what undoes it has its turn too.
            try? HookRunner(state: current.stateDocument(.stopped)).run(
                configuration.hooks[.poststop] ?? [], kind: .poststop)
            throw error
        }
        record = current
    }

    private func deliver(_ near: Descriptor) throws {
        guard let socket = options.consoleSocket else {
            terminal?(near)
            return
        }
        try ConsoleSocket.send(near, to: socket)
    }

    /// OCI's container process state, with the listener as its only descriptor.
    static func send(
        _ listener: Descriptor, of pid: Int32, _ configuration: ContainerConfiguration, _ state: Document
    ) throws {
        guard let program = configuration.seccomp, !program.listenerPath.isEmpty else { return }
        var message: Document = [
            "ociVersion": Document(configuration.version), "fds": ["seccompFd"], "pid": Document(Int(pid)),
        ]
        message["metadata"] = Document(program.listenerMetadata)
        message["state"] = state
        let bytes = Array(message.jsonText.utf8)
        guard lab_send_to_socket(program.listenerPath, bytes, bytes.count, listener.number) == 0 else {
            throw SystemError("send the seccomp listener to", program.listenerPath, errno: errno)
        }
    }
}

/// Who asked for a terminal gets its near end through a socket of theirs, as runc sends it.
enum ConsoleSocket {
    static func send(_ near: Descriptor, to path: String) throws {
        let name = Array("/dev/ptmx".utf8)
        guard lab_send_to_socket(path, name, name.count, near.number) == 0 else {
            throw SystemError("send the terminal to the console socket", path, errno: errno)
        }
    }
}
