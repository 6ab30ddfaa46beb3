import Basics
import Cluster
import Glibc
import Kinds
import Linux
import Runtime

/// The binary's entry: one file that is many programs, told apart by how it is called.
public enum Program {
    public static let version = "0.1.0"

    public enum Exit {
        public static let success: Int32 = 0
        public static let failure: Int32 = 1
        public static let misuse: Int32 = 2
    }

    /// How the user calls the binary, for hints that can be typed as they stand.
    static var invokedAs: String { CommandLine.arguments.first ?? "lab" }

    /// Returns the exit code.
    public static func run(_ words: [String]) -> Int32 {
        let name = words.first.map { String($0.split(separator: "/").last ?? "lab") } ?? "lab"
        if name == "testbox" { return TestboxProgram.run(Array(words.dropFirst())) }
        guard let command = words.dropFirst().first else {
            Console.line(Commands.overview)
            return Exit.success
        }
        let rest = Array(words.dropFirst(2))
        switch command {
        case "help", "--help", "-h":
            return help(rest)
        case "version", "--version":
            // Answered without an event loop: scripts ask often, and it shows what a start costs.
            return report { try versionCommand(try Arguments(rest, for: Commands.version)) }
        case "role":
            return RoleProgram.run(rest)
        case "testbox":
            return TestboxProgram.run(rest)
        case "image":
            return ImageProgram.run(rest)
        default:
            guard let syntax = Commands.all.first(where: { $0.name == command }) else {
                return report {
                    throw UsageError("unknown command '\(command)'", remedy: "'lab help' lists the commands")
                }
            }
            return report { try perform(syntax, rest) }
        }
    }

    static func perform(
        _ syntax: CommandSyntax, _ words: [String], _ implementations: [String: CommandBody] = Commands.implementations
    ) throws {
        let arguments = try Arguments(words, for: syntax)
        if arguments.wantsHelp {
            Console.line(syntax.help)
            return
        }
        guard let command = implementations[syntax.name] else {
            throw Failure("'lab \(syntax.name)' has no implementation")
        }
        try EventLoop.run { loop in try await command(arguments, try await Environment(loop: loop)) }
    }

    private static func help(_ words: [String]) -> Int32 {
        guard let name = words.first else {
            Console.line(Commands.overview)
            return Exit.success
        }
        if name == "image" { return ImageProgram.help(Array(words.dropFirst())) }
        guard let syntax = Commands.all.first(where: { $0.name == name }) else {
            return report { throw UsageError("unknown command '\(name)'", remedy: "'lab help' lists the commands") }
        }
        Console.line(syntax.help)
        return Exit.success
    }

    private static func versionCommand(_ arguments: Arguments) throws {
        if arguments.wantsHelp { return Console.line(Commands.version.help) }
        if arguments.has("json") {
            Console.line("{\"lab\":\"\(version)\",\"kubernetes\":\"\(KubernetesVersion.gitVersion)\"}")
        } else {
            Console.line("lab \(version), Kubernetes \(KubernetesVersion.gitVersion)")
        }
    }

    /// Turns what went wrong into one clear message and the exit code that goes with its kind.
    static func report(_ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return Exit.success
        } catch let error as UsageError {
            Console.failure(error.message, remedy: error.remedy)
            return Exit.misuse
        } catch let error as Failure {
            Console.failure(error.message, remedy: error.remedy)
        } catch let error as SystemError where error.errno == ENOSPC || error.errno == EDQUOT {
            Console.failure("\(error)", remedy: "make room on the file system of /var/lib/lab, then try again")
        } catch let error as APIStatus {
            Console.failure("the API server refused: \(error.message)", remedy: "")
        } catch {
            Console.failure("\(error)", remedy: "")
        }
        return Exit.failure
    }
}
