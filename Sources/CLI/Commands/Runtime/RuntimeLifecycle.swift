import CLinux
import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `create`, `run` and `exec`.
struct RuntimeLifecycle {
    private let context: RuntimeProgram.Context
    private let arguments: RuntimeArguments
    private let preserved: Int32
    private let environment: [String]

    init(_ context: RuntimeProgram.Context, listening: Int32) throws {
        self.context = context
        arguments = context.arguments
        let further = arguments.number("preserve-fds") ?? 0
        guard (0...1_000).contains(further), (0...1_000).contains(listening) else {
            throw UsageError("--preserve-fds is a number up to 1000", remedy: "")
        }
        preserved = Int32(further) + listening
        environment = listening > 0 ? ["LISTEN_FDS=\(listening)", "LISTEN_PID=1"] : []
        for number in 3..<(3 + preserved) where fcntl(number, F_GETFD) < 0 {
            throw UsageError("descriptor \(number) is to be preserved and is not open", remedy: "")
        }
    }

    private func creator(terminal: ((Descriptor) -> Void)?) throws -> ContainerCreator {
        var options = ContainerCreator.Options()
        options.consoleSocket = arguments["console-socket"].map(RuntimeProgram.absolute)
        options.usesPivot = !arguments.has("no-pivot")
        options.makesKeyring = !arguments.has("no-new-keyring")
        options.preserved = preserved
        options.environment = environment
        let bundle = RuntimeProgram.absolute(arguments["bundle"] ?? ".")
        var resolved = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard realpath(bundle, &resolved) != nil else { throw SystemError("bundle", bundle, errno: errno) }
        let path = String(decoding: resolved.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return ContainerCreator(
            store: context.store, id: context.id, bundle: path, options: options,
            now: RuntimeProgram.now().rfc3339(fractionDigits: 9), terminal: terminal)
    }

    private func writePID(_ pid: Int32) throws {
        guard let path = arguments["pid-file"] else { return }
        try Files.write(Array("\(pid)".utf8), to: RuntimeProgram.absolute(path))
    }

    private func failing<Value>(_ what: String, code: Int32 = 1, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as UsageError { throw error } catch {
            throw CommandFailure(message: "\(what) failed: \(error)", code: code)
        }
    }

    func create() throws -> Int32 {
        try failing("create") {
            let (container, warnings) = try creator(terminal: nil).create()
            for warning in warnings { context.log.warn(warning) }
            do { try writePID(container.record.process.pid) } catch {
                _ = try? container.delete(force: true)
                throw error
            }
            return Program.Exit.success
        }
    }

    func run() throws -> Int32 {
        let detaches = arguments.has("detach")
        let foreground = detaches ? nil : try Foreground()
        // Orphans of a container without a pid namespace of its own are then this process's to reap.
        if !detaches, !arguments.has("no-subreaper") { lab_set_subreaper(1) }
        let container = try failing("run") {
            let takesTerminal = !detaches && arguments["console-socket"] == nil
            let (container, warnings) = try creator(
                terminal: takesTerminal ? { foreground?.take($0) } : nil
            ).create()
            for warning in warnings { context.log.warn(warning) }
            do {
                try writePID(container.record.process.pid)
                for warning in try container.start() { context.log.warn(warning) }
            } catch {
                _ = try? container.delete(force: true)
                throw error
            }
            return container
        }
        guard let foreground else { return Program.Exit.success }
        let code = try foreground.wait(for: container.record.process.pid)
        if !arguments.has("keep") {
            for warning in try container.delete(force: true) { context.log.warn(warning) }
        }
        return code
    }

    func exec() throws -> Int32 {
        try failing("exec", code: 255) {
            let container = try context.store.load(context.id)
            var process = try self.process(container)
            if arguments.has("tty") { process.hasTerminal = true }
            var options = ContainerExec.Options()
            options.consoleSocket = arguments["console-socket"].map(RuntimeProgram.absolute)
            options.preserved = preserved
            options.environment = environment
            options.ignoresPause = arguments.has("ignore-paused")
            options.cgroup = arguments["cgroup"]
            let detaches = arguments.has("detach")
            let foreground = detaches ? nil : try Foreground()
            if !detaches { lab_set_subreaper(1) }
            let takesTerminal = !detaches && options.consoleSocket == nil && process.hasTerminal
            let pid = try ContainerExec(
                container, process, options: options, terminal: takesTerminal ? { foreground?.take($0) } : nil
            ).run()
            do { try writePID(pid) } catch {
                Glibc.kill(pid, SIGKILL)
                throw error
            }
            guard let foreground else { return Program.Exit.success }
            return try foreground.wait(for: pid)
        }
    }

    /// From `--process`, or the container's own with what the flags change.
    private func process(_ container: Container) throws -> ContainerProcess {
        if let path = arguments["process"] {
            guard arguments.operands.count == 1 else {
                throw UsageError("--process says what is run: give no command", remedy: "")
            }
            return try ConfigurationReader.process(json: Files.read(path, limit: 16 << 20))
        }
        let command = Array(arguments.operands.dropFirst())
        guard !command.isEmpty else { throw UsageError("process args cannot be empty", remedy: "") }
        guard var process = try container.configuration().process else { throw ContainerError("it has no process") }
        process.arguments = command
        process.hasTerminal = false
        process.environment += arguments.all("env")
        if let directory = arguments["cwd"] {
            guard directory.hasPrefix("/") else { throw UsageError("--cwd must be an absolute path", remedy: "") }
            process.workingDirectory = directory
        }
        if let user = arguments["user"] { try apply(user: user, to: &process) }
        process.user.additionalGroups += try arguments.all("additional-gids").map { text in
            guard let id = UInt32(text) else { throw UsageError("parsing \(text) as int for gid failed", remedy: "") }
            return id
        }
        try RuntimeFeatures.add(capabilities: arguments.all("cap"), to: &process)
        if arguments.has("no-new-privs") { process.noNewPrivileges = true }
        let machine = ConfigurationReader.Machine.here
        if let profile = arguments["apparmor"] {
            guard machine.hasAppArmor else { throw UsageError("--apparmor: this kernel has no AppArmor", remedy: "") }
            process.appArmorProfile = profile
        }
        if let label = arguments["process-label"] {
            guard machine.hasSELinux else {
                throw UsageError("--process-label: this kernel has no SELinux", remedy: "")
            }
            process.selinuxLabel = label
        }
        return process
    }

    private func apply(user text: String, to process: inout ContainerProcess) throws {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let uid = UInt32(parts[0]) else {
            throw UsageError(
                "--user is UID[:GID], not '\(text)'", remedy: "names of users are the image's: use numbers")
        }
        process.user.uid = uid
        if parts.count == 2 {
            guard let gid = UInt32(parts[1]) else { throw UsageError("--user is UID[:GID], not '\(text)'", remedy: "") }
            process.user.gid = gid
        }
    }
}
