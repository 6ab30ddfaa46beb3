import Glibc
import Synchronization

/// Another program, started with its output in temporary files: for scenarios' scripts, measurements and tests.
public final class Command: Sendable {
    public struct Outcome: Sendable, CustomStringConvertible {
        public var words: [String]
        /// The exit code; 128 and the signal's number for a program that a signal ended, 127 for one that could not start.
        public var code: Int32
        public var out: String
        public var err: String

        public var description: String {
            "\(words.joined(separator: " "))\nexit \(code)\n--- out\n\(out)\n--- err\n\(err)"
        }
    }

    private static let counter = Atomic<Int>(0)

    /// -1 where the program could not be started.
    public let pid: pid_t
    private let words: [String]
    private let out: String
    private let err: String

    /// `words[0]` is looked up in the PATH; `extra` is laid over this process's environment.
    public init(_ words: [String], extra: [String: String] = [:]) {
        self.words = words
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        let base = "/tmp/lab-command-\(getpid())-\(number)"
        out = base + ".out"
        err = base + ".err"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        // New files: one that somebody else put there would be theirs to read.
        for (number, path) in [(Int32(1), out), (2, err)] {
            unlink(path)
            posix_spawn_file_actions_addopen(&actions, number, path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] =
            Self.environment(with: extra).map { strdup($0) } + [nil]
        defer { for pointer in arguments + environment { free(pointer) } }
        var child: pid_t = -1
        let code = posix_spawnp(&child, words.first ?? "", &actions, nil, &arguments, &environment)
        pid = code == 0 ? child : -1
    }

    private static func environment(with extra: [String: String]) -> [String] {
        var entries = extra.map { "\($0)=\($1)" }
        var cursor = environ
        while let entry = cursor.pointee {
            let text = String(cString: entry)
            if extra[String(text.prefix { $0 != "=" })] == nil { entries.append(text) }
            cursor += 1
        }
        return entries
    }

    /// Blocks until the program has ended; to be called once.
    public func wait() -> Outcome {
        var status: Int32 = 127 << 8
        if pid > 0 { while waitpid(pid, &status, 0) < 0, errno == EINTR {} }
        defer {
            unlink(out)
            unlink(err)
        }
        let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
        return Outcome(
            words: words, code: code, out: (try? Files.text(out)) ?? "", err: (try? Files.text(err)) ?? "")
    }

    /// Starts, waits, and tells.
    public static func run(_ words: [String], extra: [String: String] = [:]) -> Outcome {
        Command(words, extra: extra).wait()
    }
}
