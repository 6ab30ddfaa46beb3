import CLinux
import Glibc
import Linux

/// `exec`: a further process in a container that runs.
public struct ContainerExec {
    public struct Options: Sendable {
        public var consoleSocket: String?
        public var preserved: Int32 = 0
        public var environment: [String] = []
        public var ignoresPause = false
        /// Below the container's own group.
        public var cgroup: String?

        public init() {}
    }

    let container: Container
    let process: ContainerProcess
    let options: Options
    var terminal: ((Descriptor) -> Void)?

    public init(
        _ container: Container, _ process: ContainerProcess, options: Options,
        terminal: ((Descriptor) -> Void)? = nil
    ) {
        self.container = container
        self.process = process
        self.options = options
        self.terminal = terminal
    }

    /// Its pid: a child of this process.
    public func run() throws -> Int32 {
        switch container.status() {
        case .running, .created: break
        case .paused where options.ignoresPause: break
        case .paused: throw ContainerError("cannot exec in a paused container (use --ignore-paused to override)")
        case .stopped, .creating: throw ContainerError("cannot exec in a stopped container")
        }
        guard process.hasTerminal == (options.consoleSocket != nil || terminal != nil) else {
            throw ContainerError(
                process.hasTerminal
                    ? "cannot allocate tty if runc will detach without setting console socket"
                    : "cannot use console socket if runc will not detach or allocate tty")
        }
        let configuration = try container.configuration()
        let identity = container.record.process
        let compiler = ExecCompiler(
            container: configuration, process: process, cgroup: try ContainerCompiler.join(group()),
            pid: identity.pid, startTime: identity.startTime, kinds: try Self.foreign(identity.pid),
            makesKeyring: "_ses.\(container.id)", environment: options.environment)
        var spawn = ContainerSpawn(plan: try compiler.plan(), kept: options.preserved, end: .executed)
        spawn.answers.terminal = { near in
            if let socket = options.consoleSocket { try ConsoleSocket.send(near, to: socket) } else { terminal?(near) }
        }
        spawn.answers.listener = { listener, pid in
            try ContainerCreator.send(listener, of: pid, configuration, container.record.stateDocument(.running))
        }
        return try spawn.run()
    }

    /// A container that manages groups of its own on v2 may have emptied its first one: then the group of its process.
    private func group() throws -> Cgroup {
        let group = try container.group()
        guard !group.layout.hierarchies.isEmpty else { return group }
        var path = group.path
        if group.layout.isV2,
            let text = try? Files.text("/proc/\(container.record.process.pid)/cgroup"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
        {
            let own = String(line.dropFirst(3))
            if own != "/", !own.hasPrefix("/..") { path = own }
        }
        if let sub = options.cgroup { path = group.path + "/" + sub }
        let chosen = try Cgroup(path, layout: group.layout)
        guard chosen.exists else { throw ContainerError("the cgroup \(chosen.path) does not exist") }
        return chosen
    }

    /// Namespaces that differ from this process's: the kernel refuses to enter one's own user namespace.
    static func foreign(_ pid: Int32) throws -> [NamespaceKind] {
        try NamespaceKind.allCases.filter { kind in
            let name =
                switch kind {
                case .mount: "mnt"
                case .network: "net"
                default: kind.rawValue
                }
            // The kernel may lack a kind.
            guard Files.exists("/proc/self/ns/\(name)") else { return false }
            var own = stat(), other = stat()
            guard stat("/proc/self/ns/\(name)", &own) == 0, stat("/proc/\(pid)/ns/\(name)", &other) == 0 else {
                throw SystemError("stat", "/proc/\(pid)/ns/\(name)", errno: errno)
            }
            return own.st_ino != other.st_ino
        }
    }
}
