import Basics
import CLinux
import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `lab runtime`, and the binary when it is called `lab-runc`: runc's commands, flags, messages and exit codes.
/// Synchronous from end to end: there is no event loop to start for what takes milliseconds.
enum RuntimeProgram {
    static let specification = "1.2.0"

    /// What every command gets.
    struct Context {
        var store: ContainerStore
        var arguments: RuntimeArguments
        var log: RuntimeLog

        var id: String { arguments.operands.first ?? "" }
    }

    static func run(_ words: [String]) -> Int32 {
        // Descriptors that the caller left open are for the container, if at all: not for hooks.
        let listening = Variables()["LISTEN_FDS"].flatMap(Int32.init) ?? 0
        var rest = words[...]
        var log = RuntimeLog(path: nil, isJSON: false)
        do {
            let global = try RuntimeArguments(&rest, RuntimeCommands.global)
            log = RuntimeLog(path: global["log"], isJSON: global["log-format"] == "json")
            if let format = global["log-format"], format != "text", format != "json" {
                throw UsageError("invalid log-format: '\(format)'", remedy: "text or json")
            }
            if global.has("version") {
                Console.line(
                    "lab-runc version \(Program.version)\nspec: \(specification)\nlibseccomp: "
                        + RuntimeFeatures.seccompVersion)
                return Program.Exit.success
            }
            let name = rest.popFirst()
            guard let name, name != "help", !global.wantsHelp else {
                Console.line(RuntimeCommands.overview)
                return Program.Exit.success
            }
            guard !["checkpoint", "restore"].contains(name) else {
                throw UsageError(
                    "\(name): this runtime takes no checkpoints of containers",
                    remedy: "that is CRIU's, which it does not use")
            }
            guard let syntax = RuntimeCommands.all.first(where: { $0.name == name }) else {
                throw UsageError("no such command: '\(name)'", remedy: "'lab runtime help' lists the commands")
            }
            let arguments = try RuntimeArguments(&rest, syntax)
            if arguments.wantsHelp {
                Console.line(syntax.help)
                return Program.Exit.success
            }
            let root = try self.root(global)
            let context = Context(store: ContainerStore(root: root), arguments: arguments, log: log)
            lab_close_on_exec_from(UInt32(3))
            return try perform(name, context, listening: listening)
        } catch let error as CommandFailure {
            log.error(error.message)
            return error.code
        } catch let error as UsageError {
            log.error(error.message + (error.remedy.isEmpty ? "" : " (\(error.remedy))"))
        } catch {
            log.error("\(error)")
        }
        return Program.Exit.failure
    }

    private static func root(_ global: RuntimeArguments) throws -> String {
        guard !global.has("systemd-cgroup") else {
            throw UsageError(
                "--systemd-cgroup: this runtime makes control groups itself and does not ask systemd for them",
                remedy: "use cgroupfs: podman --cgroup-manager cgroupfs, containerd SystemdCgroup = false")
        }
        let rootless = global["rootless"] ?? "auto"
        guard ["auto", "true", "false", "1", "0"].contains(rootless) else {
            throw UsageError("--rootless is true, false or auto, not '\(rootless)'", remedy: "")
        }
        guard geteuid() == 0 || rootless != "false" else {
            throw UsageError(
                "rootless container requires user namespaces, and --rootless=false forbids them", remedy: "")
        }
        if let root = global["root"] { return absolute(root) }
        if geteuid() != 0, let directory = Variables()["XDG_RUNTIME_DIR"] { return "\(directory)/lab-runc" }
        return "/run/lab-runc"
    }

    private static func perform(_ name: String, _ context: Context, listening: Int32) throws -> Int32 {
        switch name {
        case "create": return try RuntimeLifecycle(context, listening: listening).create()
        case "run": return try RuntimeLifecycle(context, listening: listening).run()
        case "exec": return try RuntimeLifecycle(context, listening: listening).exec()
        case "start":
            for warning in try context.store.load(context.id).start() { context.log.warn(warning) }
        case "state": Console.line(try context.store.load(context.id).stateDocument().indented(by: "  "))
        case "kill": try RuntimeInspection.kill(context)
        case "delete": try RuntimeInspection.delete(context)
        case "ps": return try RuntimeInspection.processes(context)
        case "list": try RuntimeInspection.list(context)
        case "pause": try context.store.load(context.id).setPaused(true)
        case "resume": try context.store.load(context.id).setPaused(false)
        case "update": try RuntimeUpdate.run(context)
        case "events": try RuntimeEvents.run(context)
        case "spec": try RuntimeTemplate.run(context)
        case "features": Console.line(RuntimeFeatures.document(version: Program.version).indented(by: "    "))
        default: throw Failure("'\(name)' has no implementation")
        }
        return Program.Exit.success
    }

    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        guard let pointer = getcwd(nil, 0) else { return path }
        defer { free(pointer) }
        return "\(String(cString: pointer))/\(path)"
    }

    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

/// A command that failed with an exit code of its own.
struct CommandFailure: Error {
    var message: String
    var code: Int32
}

/// Where messages go: to whoever called on standard error, and to a file that managers read.
struct RuntimeLog {
    var path: String?
    var isJSON: Bool

    func error(_ message: String) {
        write("error", message)
        Console.write(message + "\n", to: 2)
    }

    func warn(_ message: String) {
        write("warning", message)
        if path == nil { Console.write("warning: \(message)\n", to: 2) }
    }

    private func write(_ level: String, _ message: String) {
        guard let path else { return }
        let time = RuntimeProgram.now().rfc3339(fractionDigits: 0)
        let line: String
        if isJSON {
            let entry: Document = ["level": Document(level), "msg": Document(message), "time": Document(time)]
            line = entry.jsonText
        } else {
            line = "time=\"\(time)\" level=\(level) msg=\(Document(message).jsonText)"
        }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        try? Files.writeAll(Array((line + "\n").utf8), to: file, name: path)
        close(file)
    }
}

extension Document {
    /// One member or element a line.
    func indented(by step: String, _ current: String = "") -> String {
        let next = current + step
        if isObject {
            guard !members.isEmpty else { return "{}" }
            let lines = members.map { "\(next)\(Document($0.key).jsonText): \($0.value.indented(by: step, next))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(current)}"
        }
        guard isArray else { return jsonText }
        guard !elements.isEmpty else { return "[]" }
        return "[\n\(elements.map { next + $0.indented(by: step, next) }.joined(separator: ",\n"))\n\(current)]"
    }
}
