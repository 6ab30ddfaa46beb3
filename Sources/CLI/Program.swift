import Basics
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Runtime

/// A failure of which the command's own output tells everything.
struct ToldFailure: Error {}

/// The binary's entry: one file that is many programs, told apart by how it is called.
public enum Program {
    public static let version = LabVersion.current

    public enum Exit {
        public static let success: Int32 = 0
        public static let failure: Int32 = 1
        public static let misuse: Int32 = 2
    }

    /// How the user calls the binary, for hints that can be typed as they stand.
    static var invokedAs: String { CommandLine.arguments.first ?? "lab" }

    /// Returns the exit code.
    public static func run(_ words: [String], build: BuildOrigin) -> Int32 {
        let name = words.first.map { String($0.split(separator: "/").last ?? "lab") } ?? "lab"
        if name == "lab-runc" { return RuntimeProgram.run(Array(words.dropFirst())) }
        if name == "lab-cni" { return CNIProgram.run() }
        if name == "testbox" { return TestboxProgram.run(Array(words.dropFirst())) }
        guard let command = words.dropFirst().first else {
            Console.line(Commands.overview)
            return Exit.success
        }
        let rest = Array(words.dropFirst(2))
        let isJSON = rest.contains("--json")
        switch command {
        case "help", "--help", "-h":
            return help(rest)
        case "--version":
            return report { try versionCommand(try Arguments(rest, for: Commands.version), build) }
        case "version":
            // Answered without an event loop: scripts ask often, and it shows what a start costs.
            return report(isJSON) { try versionCommand(try Arguments(rest, for: Commands.version), build) }
        case "role":
            return RoleProgram.run(rest, build: build)
        case "runtime":
            return RuntimeProgram.run(rest)
        case "testbox":
            return TestboxProgram.run(rest)
        case "image":
            return ImageProgram.run(rest, build: build)
        default:
            let all = Array(words.dropFirst())
            return report(isJSON) {
                guard let (syntax, rest) = Commands.find(all) else {
                    // `lab node --help`: of all commands that begin so.
                    guard all.count > 1, ["--help", "-h"].contains(all[1]), let parts = Commands.helpOfGroup(all[0])
                    else { throw Commands.unknown(all) }
                    return Console.line(parts)
                }
                try perform(syntax, rest, build: build)
            }
        }
    }

    static func perform(
        _ syntax: CommandSyntax, _ words: [String], build: BuildOrigin,
        _ implementations: [String: CommandBody] = Commands.implementations
    ) throws {
        let arguments = try Arguments(words, for: syntax)
        if arguments.wantsHelp {
            Console.line(syntax.help)
            return
        }
        guard let command = implementations[syntax.name] else {
            throw Failure("'lab \(syntax.name)' has no implementation")
        }
        try EventLoop.run { loop in try await command(arguments, try await Environment(loop: loop, build: build)) }
    }

    private static func help(_ words: [String]) -> Int32 {
        guard let name = words.first else {
            Console.line(Commands.overview)
            return Exit.success
        }
        if name == "image" { return ImageProgram.help(Array(words.dropFirst())) }
        guard let (syntax, _) = Commands.find(words) else {
            guard let parts = Commands.helpOfGroup(name) else { return report { throw Commands.unknown(words) } }
            Console.line(parts)
            return Exit.success
        }
        Console.line(syntax.help)
        return Exit.success
    }

    private static func versionCommand(_ arguments: Arguments, _ build: BuildOrigin) throws {
        if arguments.wantsHelp { return Console.line(Commands.version.help) }
        if arguments.has("json") {
            let document: Document = [
                "lab": Document(version), "kubernetes": Document(KubernetesVersion.gitVersion),
                "commit": Document(build.commit), "date": Document(build.date), "tree": Document(build.treeState),
            ]
            Console.line(document.jsonText)
        } else {
            Console.line("lab \(version), Kubernetes \(KubernetesVersion.gitVersion)")
        }
    }

    /// Turns what went wrong into one clear message and the exit code that goes with its kind.
    /// Who asked for JSON gets the message on standard output, too, as an object.
    static func report(_ isJSON: Bool = false, _ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return Exit.success
        } catch is ToldFailure {
            return Exit.failure
        } catch {
            let (message, remedy) = describe(error)
            if isJSON {
                Console.line((["error": Document(message), "remedy": Document(remedy)] as Document).jsonText)
            }
            Console.failure(message, remedy: remedy)
            return error is UsageError ? Exit.misuse : Exit.failure
        }
    }

    private static func describe(_ error: any Error) -> (message: String, remedy: String) {
        switch error {
        case let error as UsageError: (error.message, error.remedy)
        case let error as Failure: (error.message, error.remedy)
        case let error as SystemError where error.errno == ENOSPC || error.errno == EDQUOT:
            ("\(error)", "make room on the file system of \(Variables()["LAB_HOME"] ?? "/var/lib/lab"), then try again")
        case let error as APIStatus: ("the API server refused: \(error.message)", "")
        default: ("\(error)", "")
        }
    }
}
