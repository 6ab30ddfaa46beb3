import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `kill`, `delete`, `ps` and `list`.
enum RuntimeInspection {
    private static let signals: [String: Int32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": 9,
        "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CLD": 17,
        "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26,
        "PROF": 27, "WINCH": 28, "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
    ]

    /// `9`, `KILL`, `SIGKILL`, `RTMIN+3`.
    static func signal(_ text: String) throws -> Int32 {
        if let number = Int32(text) {
            guard (0...64).contains(number) else { throw UsageError("unknown signal \"\(text)\"", remedy: "") }
            return number
        }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let number = signals[name] { return number }
        if name == "RTMIN" { return 34 }
        if name == "RTMAX" { return 64 }
        if name.hasPrefix("RTMIN+"), let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) {
            return 34 + offset
        }
        if name.hasPrefix("RTMAX-"), let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) {
            return 64 - offset
        }
        throw UsageError("unknown signal \"\(text)\"", remedy: "")
    }

    static func kill(_ context: RuntimeProgram.Context) throws {
        let words = context.arguments.operands
        let signal = try signal(words.count > 1 ? words[1] : "SIGTERM")
        try context.store.load(context.id).kill(signal, all: context.arguments.has("all"))
    }

    static func delete(_ context: RuntimeProgram.Context) throws {
        let force = context.arguments.has("force")
        do {
            for warning in try context.store.load(context.id).delete(force: force) { context.log.warn(warning) }
        } catch let error as ContainerError where force {
            // Gone already, or never finished: either way nothing shall be left.
            if error.isMissing { return }
            try Files.removeTree(context.store.directory(context.id))
        }
    }

    static func list(_ context: RuntimeProgram.Context) throws {
        let containers = context.store.ids().compactMap { try? context.store.load($0) }
        if context.arguments.has("quiet") {
            for container in containers { Console.line(container.id) }
            return
        }
        switch context.arguments["format"] ?? "table" {
        case "json":
            Console.line(containers.isEmpty ? "null" : Document(containers.map { $0.stateDocument() }).jsonText)
        case "table":
            let rows = containers.map { container -> [String] in
                let state = container.stateDocument()
                return [
                    container.id, "\(state.number("pid") ?? 0)", state.text("status") ?? "", container.record.bundle,
                    container.record.created, container.owner,
                ]
            }
            Console.line(Table.text(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], rows))
        case let other: throw UsageError("invalid format option '\(other)'", remedy: "table or json")
        }
    }

    /// `ps -ef` of the machine, without the lines of other processes.
    static func processes(_ context: RuntimeProgram.Context) throws -> Int32 {
        let pids = try context.store.load(context.id).group().processes()
        switch context.arguments["format"] ?? "table" {
        case "json":
            Console.line(Document(pids.map { Document(Int($0)) }).jsonText)
            return Program.Exit.success
        case "table": break
        case let other: throw UsageError("invalid format option '\(other)'", remedy: "table or json")
        }
        let options = Array(context.arguments.operands.dropFirst())
        let outcome = Command.run(["ps"] + (options.isEmpty ? ["-ef"] : options))
        guard outcome.code == 0 else { throw Failure("ps: \(outcome.err)") }
        let lines = outcome.out.split(separator: "\n")
        let column = lines.first?.split(separator: " ").firstIndex(of: "PID")
        guard let header = lines.first, let column else {
            throw Failure("couldn't find PID field in ps output", remedy: "give ps options that show it")
        }
        let wanted = Set(pids.map { "\($0)" })
        let own = lines.dropFirst().filter { line in
            let fields = line.split(separator: " ")
            return fields.count > column && wanted.contains(String(fields[column]))
        }
        Console.line(([header] + own).joined(separator: "\n"))
        return Program.Exit.success
    }
}
